"""Who of a batch was taken, by an answer whose numbers do not fit together: never more than it proves."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from airflow_provider_voicepartner.gateways import parsing, smspartner
from airflow_provider_voicepartner.gateways.errors import ErrorKind, GatewayError
from airflow_provider_voicepartner.gateways.model import Receipt, Recipient, SmsMessage
from airflow_provider_voicepartner.gateways.wire import ApiResponse

NUMBERS = ("+33600000001", "+33600000002", "+33600000003")
A, B, C = NUMBERS
STRANGER = "+33699999999"
SENT = {"success": True, "code": 200, "message_id": 8123456, "currency": "EUR"}
MESSAGE = SmsMessage(text="Hello")
TWO_SEGMENTS = SmsMessage(text="x" * 161)
PERSONAL = SmsMessage(text="Hello {name}")


def answer(data: Any, status: int = 200) -> ApiResponse:
    return ApiResponse(status=status, body=json.dumps(data).encode())


def read(data: Any, message: SmsMessage = MESSAGE, people: int = 3, status: int = 200) -> Receipt:
    recipients = [Recipient(f"+336{number:08}", {"name": "Anna"}) for number in range(1, people + 1)]
    receipt = smspartner.parse_batch(answer(data, status), message, recipients)
    assert parsing.account_for_all("smspartner", "send", receipt, people) == receipt, "nobody is left out"
    assert receipt.accepted + len(receipt.refused) + receipt.in_doubt == people
    assert min(receipt.accepted, receipt.in_doubt) >= 0
    return receipt


def counts(receipt: Receipt) -> tuple[int, int, int]:
    return receipt.accepted, len(receipt.refused), receipt.in_doubt


def no(number: str | None, code: Any = 14, **more: Any) -> dict[str, Any]:
    entry = {"success": False, "code": code, "phoneNumber": number, **more}
    return {name: value for name, value in entry.items() if value is not None}


def yes(number: str | None, **more: Any) -> dict[str, Any]:
    entry = {"success": True, "code": 200, "nbSms": 1, "phoneNumber": number, **more}
    return {name: value for name, value in entry.items() if value is not None}


@pytest.mark.parametrize(
    ("sms", "message", "people", "accepted"),
    [
        # Each person takes an SMS at least.
        (500, MESSAGE, 500, 500),
        (400, MESSAGE, 500, 400),
        (499, MESSAGE, 500, 499),
        (0, MESSAGE, 500, 0),
        ("0", MESSAGE, 500, 0),
        ("400", MESSAGE, 500, 400),
        (1, MESSAGE, 500, 1),
        # More than one each: a STOP mention that makes the text longer, or a count of its own.
        (501, MESSAGE, 500, 500),
        (1000, MESSAGE, 500, 500),
        (10**30, MESSAGE, 500, 500),
        # A text of two SMS.
        (1000, TWO_SEGMENTS, 500, 500),
        (800, TWO_SEGMENTS, 500, 400),
        (998, TWO_SEGMENTS, 500, 499),
        (500, TWO_SEGMENTS, 500, 500),  # a multiple: the gateway may count the text otherwise than we do
        (400, TWO_SEGMENTS, 500, 200),
        # Not told.
        (None, MESSAGE, 500, 500),
        (-1, MESSAGE, 500, 500),
        ("many", MESSAGE, 500, 500),
        (1.5, MESSAGE, 500, 500),
        (True, MESSAGE, 500, 500),
        ([400], MESSAGE, 500, 500),
    ],
)
@pytest.mark.parametrize("key", ["nb_sms", "nbSMS", "nbSms"])
def test_the_count_of_sms_bounds_the_people(
    key: str, sms: Any, message: SmsMessage, people: int, accepted: int
) -> None:
    assert counts(read({**SENT, key: sms}, message, people)) == (accepted, 0, people - accepted)


@pytest.mark.parametrize(
    ("errors", "sms", "expected"),
    [
        ([no(A)], None, (2, 1, 0)),
        ([no(A)], 2, (2, 1, 0)),
        ([no(A)], 3, (2, 1, 0)),
        ([no(A)], 1, (1, 1, 1)),
        ([no(A)], 0, (0, 1, 2)),
        # Five errors for three people.
        ([no(A), no(B), no(C), no(A), no(B)], None, (0, 3, 0)),
        ([no(A)] * 5, None, (2, 1, 0)),
        ([no(A, 14), no(A, 13)], None, (2, 1, 0)),
        ([no(None)] * 5, None, (0, 3, 0)),
        ([no(A), *[no(None)] * 5], None, (0, 3, 0)),
        # Of others: perhaps ours in a spelling that cannot be read, so somebody is in doubt.
        ([no(STRANGER)], None, (2, 0, 1)),
        ([no(STRANGER)] * 5, None, (0, 0, 3)),
        ([no(A), no(STRANGER)], None, (1, 1, 1)),
        ([no("nobody")], None, (2, 0, 1)),
        # The number in another spelling.
        ([no("0600000001")], None, (2, 1, 0)),
        ([no("0033600000001")], None, (2, 1, 0)),
        ([no("33600000001"), no("06 00 00 00 01")], None, (2, 1, 0)),
        # An error that proves nothing: the gateway's own failure, or the code of a success.
        ([no(A, 500)], None, (2, 0, 1)),
        ([no(A, "503")], None, (2, 0, 1)),
        ([no(A, 200)], None, (2, 0, 1)),
        ([no(A, 500), no(A, 14)], None, (2, 1, 0)),
        ([no(None, 500)], None, (2, 0, 1)),
        # No error about a recipient.
        ([{"message": "be careful"}], None, (3, 0, 0)),
        ([{"elementId": "children[sender].data", "code": 44}], None, (3, 0, 0)),
        ([{"success": True, "code": 200, "phoneNumber": A}], None, (3, 0, 0)),
        ([None, "x", 5, []], None, (3, 0, 0)),
        ({"code": 14, "phoneNumber": A}, None, (2, 1, 0)),
        ("14", None, (3, 0, 0)),
    ],
)
@pytest.mark.parametrize("key", ["errors", "error"])
def test_recipients_that_an_answer_to_a_send_refuses(
    key: str, errors: Any, sms: int | None, expected: tuple[int, int, int]
) -> None:
    assert counts(read({**SENT, key: errors, "nb_sms": sms})) == expected


@pytest.mark.parametrize(
    ("entries", "sms", "expected"),
    [
        ([yes(A), yes(B), yes(C)], 3, (3, 0, 0)),
        ([yes(C), yes(A), yes(B)], None, (3, 0, 0)),
        ([yes(None), yes(None), yes(None)], None, (3, 0, 0)),
        ([yes(A), no(B), yes(C)], None, (2, 1, 0)),
        ([yes(A), no(None), yes(C)], None, (2, 1, 0)),
        # Nobody, or not everybody, is mentioned.
        ([], None, (0, 0, 3)),
        ({}, None, (0, 0, 3)),
        ("x", None, (0, 0, 3)),
        (5, None, (0, 0, 3)),
        ([None, "x", 5], None, (0, 0, 3)),
        ([yes(A)], None, (1, 0, 2)),
        ([yes(None)], None, (1, 0, 2)),
        ([no(A)], None, (0, 1, 2)),
        ([no(None)], None, (0, 1, 2)),
        ([yes(A), yes(A), yes(A)], None, (1, 0, 2)),
        ([yes(None)] * 5, None, (3, 0, 0)),
        ([no(None)] * 5, None, (0, 3, 0)),
        ({"0": yes(A), "2": yes(C)}, None, (2, 0, 1)),  # a list with a gap, as PHP writes it
        # Others.
        ([yes(STRANGER), yes(B), yes(C)], None, (2, 0, 1)),
        ([no(STRANGER), yes(B), yes(C)], None, (2, 0, 1)),
        ([yes(STRANGER)] * 5, None, (0, 0, 3)),
        # Neither a clear yes nor a clear no.
        ([yes(A, success=1), yes(B, success="true"), yes(C)], None, (1, 0, 2)),
        ([yes(A, success=None), yes(B, success=""), yes(C, success="maybe")], None, (0, 0, 3)),
        ([yes(A, success=[]), yes(B, success={}), yes(C)], None, (1, 0, 2)),
        ([yes(None, success=1), yes(None), yes(None)], None, (2, 0, 1)),
        # A yes or a no that contradicts itself.
        ([yes(A, code=14), yes(B), yes(C)], None, (2, 0, 1)),
        ([yes(A, nbSms=0), yes(B), yes(C)], None, (2, 0, 1)),
        ([yes(A, nbSms=-1), yes(B), yes(C)], None, (2, 0, 1)),
        ([no(A, 200), yes(B), yes(C)], None, (2, 0, 1)),
        ([no(A, 500), yes(B), yes(C)], None, (2, 0, 1)),
        ([yes(A), no(A), yes(B), yes(C)], None, (2, 0, 1)),
        ([yes(A), yes(A, success="true"), yes(B), yes(C)], None, (2, 0, 1)),
        # The count of all SMS.
        ([yes(A), yes(B), yes(C)], 2, (2, 0, 1)),
        ([yes(A), yes(B), yes(C)], 0, (0, 0, 3)),
        ([yes(A), yes(B), yes(C)], 30, (3, 0, 0)),
        ([yes(A), no(B), no(C)], 3, (1, 2, 0)),
        # Says nothing of numbers at all.
        (None, None, (3, 0, 0)),
        (None, 2, (2, 0, 1)),
        (None, 0, (0, 0, 3)),
    ],
)
def test_recipients_that_an_answer_to_a_bulk_send_lists(
    entries: Any, sms: int | None, expected: tuple[int, int, int]
) -> None:
    receipt = read({**SENT, "SMSResponse_List": entries, "nbSMS": sms}, PERSONAL)
    assert counts(receipt) == expected
    assert not {refused.phone_number for refused in receipt.refused} & {STRANGER, "nobody"}


@pytest.mark.parametrize(
    ("errors", "entries", "expected"),
    [
        ([no(C)], [yes(A), yes(B)], (2, 1, 0)),
        ([no(C)], [yes(A), yes(B), yes(C)], (2, 0, 1)),
        ([no(C, 500)], [yes(A), yes(B)], (2, 0, 1)),
        ([no(C), no(C)], [], (0, 1, 2)),
        ([no(STRANGER)], [yes(A), yes(B), yes(C)], (3, 0, 0)),
    ],
)
def test_errors_beside_the_list_of_a_bulk_send(
    errors: Any, entries: Any, expected: tuple[int, int, int]
) -> None:
    assert counts(read({**SENT, "errors": errors, "SMSResponse_List": entries}, PERSONAL)) == expected


def test_a_nameless_no_beside_a_list_that_says_nothing_leaves_nobody_below_zero() -> None:
    receipt = read({**SENT, "errors": [no(None, 200)], "SMSResponse_List": [{}, {}, {}]}, PERSONAL)
    assert counts(receipt) == (0, 1, 2)


def test_one_from_a_virtual_number_is_counted_likewise() -> None:
    message = SmsMessage(text="Hello", options={"virtual_number": "33644000000"})
    assert counts(read({**SENT, "nb_sms": 1}, message, people=1)) == (1, 0, 0)
    assert counts(read({**SENT, "nb_sms": 0}, message, people=1)) == (0, 0, 1)


def test_what_does_not_add_up_is_said_without_a_number(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    read({**SENT, "nb_sms": 3})
    read({**SENT, "errors": [no(A)]})
    assert not caplog.records
    read({**SENT, "nb_sms": 2})
    read({**SENT, "SMSResponse_List": [yes(A), no(B)]}, PERSONAL)
    read({**SENT, "errors": [no(None)]})
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 3
    assert "2 accepted, 0 refused, 1 in doubt" in caplog.messages[0]
    assert "1 accepted, 1 refused, 1 in doubt" in caplog.messages[1]
    assert "1 recipients were left out" in caplog.messages[2]
    assert not [text for text in caplog.messages if "0000000" in text or "8123456" in text]


@pytest.mark.parametrize(
    ("data", "people", "opted_out"),
    [
        ({"code": 55, "errors": [no(A), no(B), no(C)]}, 3, 3),
        ({"code": 55, "errors": [no(A, "14"), no(B, 13), no(C, "9")]}, 3, 1),
        ({"code": "55", "error": [no("0600000001"), no("33600000002"), no(C)]}, 3, 3),
        ({"errors": [no(A), no(B), no(C)]}, 3, 3),
        ({"code": 14, "errors": [no(A), no(B), no(C)]}, 3, 3),
        ({"code": 55, "SMSResponse_List": [no(A), no(B), no(C)]}, 3, 3),
        ({"code": 55, "SMSResponse_List": [no(A), no(B)], "errors": [no(C)]}, 3, 3),
        ({"code": 55, "errors": [no(A), no(B), no(C), no(A), no(B), no(STRANGER), no(None)]}, 3, 3),
        # One recipient: the answer can be about nobody else.
        ({"code": 55, "errors": [no(None)]}, 1, 1),
        ({"code": 55, "errors": [no(A, "9")]}, 1, 0),
        ({"code": 55, "errors": [no(None, 13)]}, 1, 0),
        ({"code": 14, "message": "stop"}, 1, 1),
        ({"code": 13}, 1, 0),
    ],
)
@pytest.mark.parametrize("message", [MESSAGE, PERSONAL], ids=["send", "bulk-send"])
@pytest.mark.parametrize("status", [200, 400])
def test_nobody_is_left_of_a_batch(
    status: int, message: SmsMessage, data: dict[str, Any], people: int, opted_out: int
) -> None:
    receipt = read({"success": False, **data}, message, people, status)
    assert (receipt.gateway_id, receipt.accepted, receipt.in_doubt) == (None, 0, 0)
    assert (receipt.cost, receipt.segments) == (None, 0)
    assert {refused.phone_number for refused in receipt.refused} == set(NUMBERS[:people])
    assert sum(refused.opted_out for refused in receipt.refused) == opted_out
    assert all(refused.reason for refused in receipt.refused)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        # Not everybody is named.
        ({"code": 55}, ErrorKind.REJECTED),
        ({"code": 55, "errors": []}, ErrorKind.REJECTED),
        ({"code": 55, "errors": [no(A), no(B)]}, ErrorKind.REJECTED),
        ({"code": 55, "errors": [no(None)] * 3}, ErrorKind.REJECTED),
        ({"code": 55, "errors": [no(A), no(B), no(STRANGER)]}, ErrorKind.REJECTED),
        ({"code": 55, "errors": [no(A), no(A), no(A)]}, ErrorKind.REJECTED),
        ({"code": 14}, ErrorKind.REJECTED),
        # Something else is the matter: with the message, the account, the request or the gateway.
        ({"code": 55, "errors": [no(A, 11), no(B, 11), no(C, 11)]}, ErrorKind.CREDIT),
        ({"code": 55, "errors": [no(A, 14), no(B, 11), no(C, 14)]}, ErrorKind.REJECTED),
        ({"code": 55, "errors": [no(A, 44), no(B, 44), no(C, 44)]}, ErrorKind.REJECTED),
        ({"code": 55, "errors": [no(A, 22), no(B, 22), no(C, 22)]}, ErrorKind.REJECTED),
        ({"code": 55, "errors": [no(A, 992), no(B, 992), no(C, 992)]}, ErrorKind.CONFIGURATION),
        ({"code": 55, "errors": [no(A, 500), no(B, 14), no(C, 14)]}, ErrorKind.UNKNOWN),
        ({"code": 55, "errors": [no(A, 777), no(B, 14), no(C, 14)]}, ErrorKind.REJECTED),
        ({"code": 55, "errors": [no(A, 15), no(B, 14), no(C, 14)]}, ErrorKind.REJECTED),
        ({"code": 55, "errors": [no(A, None), no(B), no(C)]}, ErrorKind.REJECTED),
        ({"code": 11, "errors": [no(A), no(B), no(C)]}, ErrorKind.CREDIT),
        ({"code": 44, "errors": [no(A), no(B), no(C)]}, ErrorKind.REJECTED),
        ({"code": 500, "errors": [no(A), no(B), no(C)]}, ErrorKind.UNKNOWN),
        ({"code": 9, "errors": [{"elementId": "children[sender].data"}, no(A), no(B), no(C)]}, ErrorKind.REJECTED),
        ({"code": 55, "errors": [no(A), no(B), no(C)], "error": {"message": "NOCREDITS"}}, ErrorKind.REJECTED),
        # It contradicts itself.
        ({"code": 200, "errors": [no(A), no(B), no(C)]}, ErrorKind.UNKNOWN),
        ({"code": 55, "message_id": 5, "errors": [no(A), no(B), no(C)]}, ErrorKind.UNKNOWN),
        ({"code": 55, "data": {"messageId": 5}, "errors": [no(A), no(B), no(C)]}, ErrorKind.UNKNOWN),
        ({"code": 55, "SMSResponse_List": [yes(A), no(B), no(C)]}, ErrorKind.UNKNOWN),
        ({"code": 55, "errors": [no(A), no(B), no(C), yes(A)]}, ErrorKind.REJECTED),
        ({"code": 55, "errors": [no(A), no(B), no(C), no(A, success="true")]}, ErrorKind.REJECTED),
        ({"code": 55, "SMSResponse_List": [{"phoneNumber": A}], "errors": [no(A), no(B), no(C)]}, ErrorKind.REJECTED),
        # No clear no.
        ({"success": None, "code": 55, "errors": [no(A), no(B), no(C)]}, ErrorKind.UNKNOWN),
    ],
)  # fmt: skip
@pytest.mark.parametrize("message", [MESSAGE, PERSONAL], ids=["send", "bulk-send"])
def test_a_refusal_that_is_not_about_each_recipient_ends_the_campaign_as_before(
    message: SmsMessage, data: dict[str, Any], kind: ErrorKind
) -> None:
    with pytest.raises(GatewayError) as caught:
        read({"success": False, **data}, message)
    assert caught.value.kind is kind
    with pytest.raises(GatewayError):
        read({"success": False, **data}, message, status=429)


@pytest.mark.parametrize(
    "data", [{"code": 9}, {"code": 55, "errors": [no(None, 9)]}, {"code": 15}, {"code": 44}]
)
def test_a_constraint_that_names_no_number_may_lie_in_the_message(data: dict[str, Any]) -> None:
    with pytest.raises(GatewayError) as caught:
        read({"success": False, **data}, people=1)
    assert caught.value.kind is ErrorKind.REJECTED


def test_a_rate_limit_that_names_everybody_was_still_only_a_rate_limit() -> None:
    with pytest.raises(GatewayError) as caught:
        read({"success": False, "code": 55, "errors": [no(A), no(B), no(C)]}, status=429)
    assert caught.value.kind is ErrorKind.RETRYABLE


def test_an_answer_that_takes_everybody_is_read_without_a_look_at_each_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To scrub words compares them with all texts of the batch: for each of 500 entries it took seconds a batch."""
    scrubbed: list[str] = []

    def scrub(text: str, secrets: Any = ()) -> str:
        scrubbed.append(text)
        return text

    monkeypatch.setattr(parsing, "scrub", scrub)
    many = [Recipient(f"+336{number:08}", {"name": "Anna"}) for number in range(500)]
    data = SENT | {
        "nbSms": 500,
        "SMSResponse_List": [yes(person.phone_number, message="Message sent") for person in many],
    }
    receipt = smspartner.parse_batch(answer(data), PERSONAL, many)
    assert (receipt.accepted, len(scrubbed) < 5) == (500, True)
    data["SMSResponse_List"][7] = no(many[7].phone_number, message="Refused")
    assert counts(smspartner.parse_batch(answer(data), PERSONAL, many)) == (499, 1, 0)
    assert "Refused" in scrubbed
