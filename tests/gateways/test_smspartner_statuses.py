"""What became of messages, in the four spellings of the four status calls."""

from __future__ import annotations

import json
from decimal import Decimal

import pendulum
import pytest

from airflow_provider_voicepartner.gateways import smspartner
from airflow_provider_voicepartner.gateways.errors import ErrorKind, GatewayError
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from airflow_provider_voicepartner.gateways.wire import ApiResponse

AT = pendulum.datetime(2031, 5, 6, 14, 16, 11, tz="Europe/Paris")
UNIX = str(int(AT.timestamp()))
QUEUED = {"success": True, "code": 200, "message": "Request queued for processing"}

MESSAGE_STATUS = {
    "success": True, "code": 200, "number": "0600000001", "messageId": "8123456", "stopSms": False,
    "date": "2031-05-06 14:16:11", "statut": "Delivered", "cost": 0.045, "countryCode": "FR", "currency": "EUR",
}  # fmt: skip
MULTI_STATUS = {
    "success": True, "code": 200,
    "StatutResponse_List": [
        {
            "success": True, "code": 200, "phoneNumber": "+33600000001", "messageId": 8123456,
            "status": "Waiting", "date": UNIX, "stopSms": "1", "isSpam": "0",
        },
        {
            "success": False, "code": 4, "phoneNumber": "+33600000009", "messageId": 8123456,
            "status": "Numéro introuvable",
        },
    ],
}  # fmt: skip
BULK_STATUS = {
    "success": True, "code": 200, "message_id": "8123456",
    "StatutResponse_List": [
        {"phoneNumber": "+33600000001", "status": "Delivered", "stopSMS": False, "date": UNIX, "cost": "0.045"},
        {"phoneNumber": "+33600000002", "status": "Not delivered", "stopSMS": True, "date": UNIX},
    ],
}  # fmt: skip
BY_TAG = {
    "success": True, "code": 200, "currentPage": 2, "total": "31",
    "StatutResponse_List": BULK_STATUS["StatutResponse_List"],
}  # fmt: skip

PARSERS = {
    "message-status": smspartner.parse_message_status,
    "multi-status": smspartner.parse_multi_status,
    "bulk-status": smspartner.parse_bulk_status,
    "bulk-status-by-tag": smspartner.parse_bulk_status_by_tag,
}


def answer(body: object, status: int = 200) -> ApiResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ApiResponse(status=status, body=raw)


def failure(parse, body, status=200) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        parse(answer(body, status))
    return caught.value


def test_message_status():
    (report,) = smspartner.parse_message_status(answer(MESSAGE_STATUS))
    assert report.gateway == "smspartner"
    assert report.campaign_id == "8123456"
    assert report.phone_number == "+33600000001"
    assert report.status is DeliveryStatus.DELIVERED
    assert report.gateway_status == "Delivered"
    assert report.at == AT
    assert report.cost == Decimal("0.045")
    assert report.opted_out is False
    assert report.raw["countryCode"] == "FR"


def test_message_status_with_unix_seconds_and_a_stop():
    (report,) = smspartner.parse_message_status(answer(MESSAGE_STATUS | {"date": UNIX, "stopSms": True}))
    assert report.at == AT
    assert report.opted_out is True
    assert report.status is DeliveryStatus.DELIVERED


def test_multi_status():
    found, missing = smspartner.parse_multi_status(answer(MULTI_STATUS))
    assert (found.phone_number, found.campaign_id) == ("+33600000001", "8123456")
    assert (found.status, found.detail, found.opted_out, found.at) == (DeliveryStatus.PENDING, None, True, AT)
    assert found.raw["isSpam"] == "0"
    assert (missing.phone_number, missing.campaign_id) == ("+33600000009", "8123456")
    assert (missing.status, missing.detail) == (DeliveryStatus.PENDING, smspartner.NOT_FOUND)
    assert missing.at is None


def test_an_error_text_in_the_place_of_a_status_is_no_unknown_word(caplog):
    entries = [
        {"success": False, "code": "4", "phoneNumber": "+33600000009", "status": "Delivered"},
        {"success": False, "code": 9, "phoneNumber": "+33600000009", "status": "Not a mobile at all"},
        {"success": False, "phoneNumber": "+33600000009"},
        {"phoneNumber": "+33600000009", "status": "Numéro introuvable"},
    ]
    reports = smspartner.parse_multi_status(answer(MULTI_STATUS | {"StatutResponse_List": entries}))
    assert [report.detail for report in reports] == ["not_found", "error_9", "error_unknown", "not_found"]
    assert all(report.status is DeliveryStatus.PENDING for report in reports)
    assert not caplog.records


def test_bulk_status():
    first, second = smspartner.parse_bulk_status(answer(BULK_STATUS))
    assert (first.status, first.campaign_id, first.cost) == (
        DeliveryStatus.DELIVERED,
        "8123456",
        Decimal("0.045"),
    )
    assert (second.status, second.campaign_id, second.cost) == (DeliveryStatus.FAILED, "8123456", None)
    assert (first.opted_out, second.opted_out) == (False, True)
    assert (first.at, second.at) == (AT, AT)


def test_bulk_status_by_tag():
    page = smspartner.parse_bulk_status_by_tag(answer(BY_TAG), tag="rdv-k3v9x0q2w7ha")
    assert (page.page, page.total) == (2, 31)
    assert [report.campaign_id for report in page.reports] == [None, None]
    assert [report.reference for report in page.reports] == ["k3v9x0q2w7ha"] * 2


def test_a_foreign_tag_stays_as_it_is():
    page = smspartner.parse_bulk_status_by_tag(answer(BY_TAG), tag="rdv-2031")
    assert page.reports[0].reference == "rdv-2031"
    assert smspartner.parse_bulk_status_by_tag(answer(BY_TAG)).reports[0].reference is None


def test_paging_that_is_not_told():
    body = {key: BY_TAG[key] for key in ("success", "code", "StatutResponse_List")}
    page = smspartner.parse_bulk_status_by_tag(answer(body))
    assert (page.page, page.total, len(page.reports)) == (None, None, 2)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("Delivered", DeliveryStatus.DELIVERED),
        ("delivered", DeliveryStatus.DELIVERED),
        (" DELIVERED ", DeliveryStatus.DELIVERED),
        ("Not delivered", DeliveryStatus.FAILED),
        ("not  delivered", DeliveryStatus.FAILED),
        ("not_delivered", DeliveryStatus.FAILED),
        ("Waiting", DeliveryStatus.PENDING),
        ("ko", DeliveryStatus.FAILED),
        ("KO", DeliveryStatus.FAILED),
        ("DELIVRD", DeliveryStatus.DELIVERED),
        ("PENDING", DeliveryStatus.PENDING),
        ("ACCEPTD", DeliveryStatus.PENDING),
        ("ENROUTE", DeliveryStatus.PENDING),
        ("UNDELIV", DeliveryStatus.FAILED),
        ("REJECTD", DeliveryStatus.FAILED),
        ("EXPIRED", DeliveryStatus.FAILED),
        ("UNKNOWN", DeliveryStatus.PENDING),
    ],
)
def test_words(word, status, caplog):
    for key in ("statut", "status"):
        body = {"success": True, "number": "+33600000001", "messageId": "1", key: word}
        (report,) = smspartner.parse_message_status(answer(body))
        assert report.status is status
        assert report.gateway_status == word.strip()
    assert not caplog.records, "a documented word is not reported as unknown"


def test_an_unknown_word_is_pending_and_logged(caplog):
    body = MESSAGE_STATUS | {"statut": "teleported"}
    (report,) = smspartner.parse_message_status(answer(body))
    assert report.status is DeliveryStatus.PENDING
    assert not report.status.is_terminal
    smspartner.parse_message_status(answer(body))
    assert len([record for record in caplog.records if "teleported" in record.message]) == 1


def test_entries_without_a_number_or_that_are_no_object_are_about_nobody():
    entries = [None, "x", {}, {"status": "Delivered"}, {"phoneNumber": "0600000001", "status": "Delivered"}]
    (report,) = smspartner.parse_bulk_status(answer(BULK_STATUS | {"StatutResponse_List": entries}))
    assert report.phone_number == "+33600000001"


def test_an_empty_list_is_an_answer():
    assert smspartner.parse_bulk_status(answer(BULK_STATUS | {"StatutResponse_List": []})) == ()


@pytest.mark.parametrize("endpoint", PARSERS)
def test_a_success_without_what_was_asked_for_is_a_failure(endpoint):
    for body in (QUEUED, QUEUED | {"StatutResponse_List": {}}):
        error = failure(PARSERS[endpoint], body)
        assert (error.kind, error.endpoint) == (ErrorKind.RETRYABLE, endpoint)


def test_a_message_status_without_a_status_is_a_failure():
    assert (
        failure(smspartner.parse_message_status, MESSAGE_STATUS | {"statut": ""}).kind is ErrorKind.RETRYABLE
    )


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1, ErrorKind.CONFIGURATION),
        (10, ErrorKind.CONFIGURATION),
        (96, ErrorKind.CONFIGURATION),
        (2, ErrorKind.REJECTED),
        (3, ErrorKind.REJECTED),
        (4, ErrorKind.NOT_FOUND),
        (5, ErrorKind.REJECTED),
        (6, ErrorKind.REJECTED),
        (9, ErrorKind.REJECTED),
        (50, ErrorKind.REJECTED),
        (500, ErrorKind.RETRYABLE),
        (777, ErrorKind.REJECTED),
    ],
)
def test_codes(code, kind):
    for endpoint, parse in PARSERS.items():
        error = failure(parse, {"success": False, "code": code, "message": "x"})
        assert (error.kind, error.code, error.endpoint) == (kind, str(code), endpoint)


def test_codes_mean_different_things_on_different_endpoints():
    five = {"success": False, "code": 5, "message": "x"}
    assert "list is empty" in failure(smspartner.parse_bulk_status, five).summary
    assert smspartner.parse_cancel(answer(five), "1").already


@pytest.mark.parametrize("endpoint", PARSERS)
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, ErrorKind.NOT_FOUND),
        (429, ErrorKind.RETRYABLE),
        (502, ErrorKind.RETRYABLE),
        (200, ErrorKind.RETRYABLE),
    ],
)
def test_unreadable_answers_of_reads_are_never_in_doubt(endpoint, status, kind):
    assert failure(PARSERS[endpoint], b"<html>", status).kind is kind


ROW = {"phoneNumber": "+33600000001", "status": "Waiting", "stopSMS": False, "date": "1935836171"}


@pytest.mark.parametrize(
    ("changes", "taken"),
    [
        ({}, True),
        ({"status": "Delivered"}, True),
        # Whatever became of it: it was taken.
        ({"status": "Not delivered"}, True),
        ({"status": "EXPIRED"}, True),
        ({"status": "ko"}, True),
        ({"status": "UNKNOWN"}, True),
        ({"success": True, "code": 200}, True),
        ({"success": "1", "code": "200"}, True),
        ({"success": None, "code": None, "error": None, "errors": []}, True),
        # Errors, in every shape that was seen and some that were not.
        ({"success": False, "code": 4, "status": "Numéro introuvable"}, False),
        ({"status": "Numéro introuvable"}, False),
        ({"status": "NUMÉRO  INTROUVABLE"}, False),
        ({"status": "Nume\u0301ro introuvable"}, False),
        ({"status": "Numero introuvable."}, False),
        ({"status": "Number not found"}, False),
        ({"status": "Erreur"}, False),
        ({"status": ""}, False),
        ({"status": None}, False),
        ({"code": 4}, False),
        ({"code": "4"}, False),
        ({"code": 14}, False),
        ({"code": 0}, False),
        ({"code": [4]}, False),
        ({"success": False}, False),
        ({"success": "false"}, False),
        ({"success": 0}, False),
        ({"success": "maybe"}, False),
        ({"success": []}, False),
        ({"success": True, "code": 4}, False),
        ({"success": False, "code": 200}, False),
        ({"error": "not found"}, False),
        ({"errors": [{"code": 4}]}, False),
    ],
)
def test_an_entry_shows_that_its_number_was_taken(changes, taken):
    body = {"success": True, "total": 1, "StatutResponse_List": [ROW | changes]}
    page = smspartner.parse_tag_look_up(answer(body), tag="k3v9x0q2w7ha")
    assert [smspartner.shows_accepted(report) for report in page.reports] == [taken]
    assert not page.is_blank


NOT_KNOWN = {"success": False, "code": 4, "message": "unknown"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (NOT_KNOWN, 200),
        (NOT_KNOWN | {"code": "4"}, 200),
        (NOT_KNOWN, 400),
        (NOT_KNOWN, 404),
        (NOT_KNOWN | {"StatutResponse_List": []}, 200),
        ({"success": True, "code": 200, "StatutResponse_List": []}, 200),
        ({"success": True, "total": 0, "StatutResponse_List": []}, 200),
        ({"success": True, "total": "0", "StatusResponse_List": []}, 200),
    ],
)
def test_only_these_say_that_nothing_is_listed(body, status):
    page = smspartner.parse_tag_look_up(answer(body, status), tag="k3v9x0q2w7ha")
    assert (page.reports, page.listed, page.is_blank) == ((), 0, True)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"<html>Not found</html>", 404),
        (b"", 404),
        (b"", 200),
        (b'{"success": false, "code": 4', 200),
        ({}, 404),
        ({"message": "Not found"}, 404),
        ({"success": False}, 404),
        ({"success": False, "message": "unknown"}, 404),
        ({"code": 4, "message": "unknown"}, 200),
        ({"code": 4}, 404),
        ({"success": "", "code": 4}, 200),
        (NOT_KNOWN, 429),
        (NOT_KNOWN, 500),
        (NOT_KNOWN, 503),
        (NOT_KNOWN | {"StatutResponse_List": [ROW]}, 200),
        (NOT_KNOWN | {"code": 3}, 200),
        (NOT_KNOWN | {"code": 10}, 200),
        (NOT_KNOWN | {"code": 40}, 200),
        (QUEUED, 200),
        ({"success": True}, 200),
        ({"success": True, "StatutResponse_List": None}, 200),
        ({"success": True, "StatutResponse_List": {}}, 200),
        ({"success": True, "StatutResponse_List": "none"}, 200),
        ({"success": 1, "StatutResponse_List": []}, 200),
        ({"success": True, "StatutResponse_List": []}, 404),
        ({"success": True, "StatutResponse_List": []}, 500),
    ],
)
def test_anything_else_is_no_answer_to_a_look_up(body, status):
    with pytest.raises(GatewayError):
        smspartner.parse_tag_look_up(answer(body, status), tag="k3v9x0q2w7ha")


@pytest.mark.parametrize(
    "body",
    [
        {"success": True, "total": 2, "StatutResponse_List": []},
        {"success": True, "total": -1, "StatutResponse_List": []},
        {"success": True, "StatutResponse_List": [None]},
        {"success": True, "StatutResponse_List": ["x", {}]},
        {"success": True, "StatutResponse_List": [{"status": "Delivered"}]},
    ],
)
def test_a_list_that_cannot_be_read_is_not_an_empty_one(body):
    page = smspartner.parse_tag_look_up(answer(body), tag="k3v9x0q2w7ha")
    assert (page.reports, page.is_blank) == ((), False)
