"""Errors of SMS Partner: codes whatever the HTTP status, the shapes of a no, and what of it may be shown."""

from __future__ import annotations

from itertools import product

import pytest

from airflow_provider_voicepartner.gateways import smspartner
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.gateways.smspartner.codes import explanation
from tests.support.smspartner import NUMBERS, answer, failure, send

CODES = {
    ErrorKind.CONFIGURATION: [1, 10, 20, 30, 40, 96, 992],
    ErrorKind.CREDIT: [11],
    ErrorKind.UNKNOWN: [500],
    ErrorKind.REJECTED: [2, 4, 9, 13, 14, 15, 22, 23, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 55, 90],
}


class TestSendCodes:
    @pytest.mark.parametrize(
        ("kind", "code"), [(kind, code) for kind, many in CODES.items() for code in many]
    )
    def test_every_documented_code_whatever_the_http_status(self, kind, code):
        parsers = {
            "send": lambda response: smspartner.parse_send(response, phone_numbers=NUMBERS),
            "bulk-send": lambda response: smspartner.parse_bulk_send(response, phone_numbers=NUMBERS),
        }
        if code not in (13, 14):  # Of a send to one number these refuse everybody in it.
            parsers["vn/send"] = lambda response: smspartner.parse_vn_send(response, phone_number=NUMBERS[0])
        for (endpoint, parse), status, written in product(
            parsers.items(), (200, 400, 500), (code, str(code))
        ):
            error = failure(parse, answer({"success": False, "code": written, "message": "Désolé"}, status))
            assert error.kind is kind
            assert (error.gateway, error.endpoint) == ("smspartner", endpoint)
            assert (error.code, error.status) == (str(code), status)
            assert "'Désolé'" in error.summary
            assert not error.summary.startswith("the gateway said"), "a documented code has a meaning of ours"

    def test_code_2_names_what_is_missing_on_each_endpoint(self):
        no = answer({"success": False, "code": 2})
        said = {
            failure(smspartner.parse_send, no, phone_numbers=NUMBERS).summary,
            failure(smspartner.parse_bulk_send, no, phone_numbers=NUMBERS).summary,
            failure(smspartner.parse_vn_send, no, phone_number=NUMBERS[0]).summary,
        }
        assert len(said) == 3

    def test_outside_the_hours_tells_the_fix(self):
        assert "send_at" in failure(send, {"success": False, "code": 22}).summary
        assert "Sunday" in failure(send, {"success": False, "code": 23}).summary

    def test_a_code_that_is_not_documented_is_a_refusal(self):
        assert failure(send, {"success": False, "code": 777}).kind is ErrorKind.REJECTED
        assert failure(send, {"success": False, "code": 777}, 503).kind is ErrorKind.REJECTED
        assert failure(send, {"success": False, "code": "NEW_WORD"}).code == "NEW_WORD"

    def test_a_server_failure_as_code_is_in_doubt_like_the_documented_500(self):
        assert failure(send, {"success": False, "code": 503}).kind is ErrorKind.UNKNOWN

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (200, ErrorKind.REJECTED),
            (400, ErrorKind.REJECTED),
            (403, ErrorKind.CONFIGURATION),
            (429, ErrorKind.RETRYABLE),
            (500, ErrorKind.UNKNOWN),
        ],
    )
    def test_a_no_without_a_code_is_judged_by_the_http_status(self, status, kind):
        assert failure(send, {"success": False, "message": "Internal error"}, status).kind is kind

    @pytest.mark.parametrize("code", [9, 10, 11, 500, 777, None])
    def test_429_was_never_taken(self, code):
        error = failure(send, {"success": False, "code": code}, 429)
        assert error.kind is ErrorKind.RETRYABLE

    def test_a_short_text_cannot_hide_a_code(self):
        no = answer({"success": False, "code": 500}, private=("500", "5", "0"))
        error = failure(smspartner.parse_send, no, phone_numbers=NUMBERS)
        assert (error.code, error.kind) == ("500", ErrorKind.UNKNOWN)

    @pytest.mark.parametrize(
        "code", ["+33600000001", "33600000001", "s3cret-key", "<b>9</b>", ["9"], {"a": 1}, True]
    )
    def test_what_is_no_code_is_not_shown(self, code):
        no = answer({"success": False, "code": code}, private=("s3cret-key",))
        error = failure(smspartner.parse_send, no, phone_numbers=NUMBERS)
        assert error.code is None
        assert error.kind is ErrorKind.REJECTED


class TestErrorShapes:
    @pytest.mark.parametrize("key", ["errors", "error"])
    def test_fields_are_named_by_our_arguments(self, key):
        error = failure(
            send,
            {
                "success": False,
                "code": 9,
                key: [
                    {"elementId": "children[sender].data", "message": "trop long"},
                    {"elementId": "children[minute].data", "message": "requis"},
                    {"elementId": "children[phoneNumbers].data"},
                ],
            },
        )
        assert error.kind is ErrorKind.REJECTED
        assert error.code == "9"
        assert "sender: trop long; send_at (minute): requis; to (phoneNumbers)" in error.summary
        assert error.recipients == ()

    def test_a_nested_field_is_named_by_its_last_part(self):
        element = "children[SMSList].children[0].children[phoneNumber].data"
        error = failure(
            send, {"success": False, "code": 9, "errors": [{"elementId": element, "message": "x"}]}
        )
        assert "to (phoneNumber): x" in error.summary

    def test_no_number_is_left(self):
        error = failure(
            send,
            {
                "success": False,
                "code": 55,
                "message": "Aucun numéro",
                "errors": [
                    {"success": False, "code": "14", "message": "a", "phoneNumber": "+33600000001"},
                    {"success": False, "code": "9", "message": "b"},
                    {"success": False, "code": "14", "message": "c", "phoneNumber": "06 00 00 00 03"},
                ],
            },
        )
        assert error.kind is ErrorKind.REJECTED
        assert error.code == "14", "the numbers' own code says more than 55"
        assert "STOP list" in error.summary
        assert [(p.phone_number, p.code) for p in error.recipients] == [
            ("+33600000001", "14"),
            (None, "9"),
            ("+33600000003", "14"),
        ]
        assert "600000001" not in str(error)
        assert "600000001" not in repr(error.recipients)

    def test_a_numbers_reason_is_our_meaning_and_the_gateways_words(self):
        entries = [
            {"code": "14", "message": "stop"},
            {"code": "14"},
            {"code": "777", "message": "new"},
            {"code": "777"},
        ]
        error = failure(send, {"success": False, "code": 55, "errors": entries})
        assert [problem.reason for problem in error.recipients] == [
            "the number is on the STOP list: stop",
            "the number is on the STOP list",
            "new",
            "refused without a reason",
        ]

    def test_an_entry_without_a_number_is_about_the_only_recipient(self):
        no = {"success": False, "code": 55, "message": "x", "errors": [{"success": False, "code": "15"}]}
        error = failure(send, no, numbers=NUMBERS[:1])
        assert error.recipients[0].phone_number == NUMBERS[0]
        assert error.code == "15"

    @pytest.mark.parametrize(
        ("codes", "kind"),
        [
            (["11", "11"], ErrorKind.CREDIT),
            (["992"], ErrorKind.CONFIGURATION),
            (["500", "14"], ErrorKind.UNKNOWN),
            (["14", "500", "14"], ErrorKind.UNKNOWN),
            (["11", "14"], ErrorKind.REJECTED),
            (["777"], ErrorKind.REJECTED),
        ],
    )
    def test_the_numbers_codes_decide_and_doubt_prevails(self, codes, kind):
        no = {"success": False, "code": 55, "errors": [{"success": False, "code": code} for code in codes]}
        assert failure(send, no).kind is kind

    def test_numbers_codes_without_any_other(self):
        error = failure(send, {"success": False, "errors": [{"success": False, "code": "11"}]})
        assert (error.code, error.kind) == ("11", ErrorKind.CREDIT)

    def test_a_field_with_a_code_is_no_recipient(self):
        entry = {"elementId": "children[sender].data", "code": 44, "message": "x"}
        assert failure(send, {"success": False, "code": 9, "errors": [entry]}).recipients == ()

    def test_55_alone(self):
        error = failure(send, {"success": False, "code": 55, "message": "x"})
        assert (error.code, error.kind, error.recipients) == ("55", ErrorKind.REJECTED, ())

    def test_another_code_is_not_replaced_by_the_numbers(self):
        error = failure(send, {"success": False, "code": 11, "errors": [{"success": False, "code": "9"}]})
        assert (error.code, error.kind) == ("11", ErrorKind.CREDIT)

    def test_the_old_credit_error(self):
        body = {"success": False, "code": 11, "error": {"message": "NOCREDITS"}, "credits": {"balance": "0"}}
        error = failure(send, body)
        assert (error.kind, error.code, error.recipients) == (ErrorKind.CREDIT, "11", ())
        assert "NOCREDITS" in error.summary
        del body["code"]
        assert failure(send, body).kind is ErrorKind.CREDIT

    @pytest.mark.parametrize("key", ["errors", "error"])
    def test_an_error_that_is_a_word(self, key):
        assert "'nope'" in failure(send, {"success": False, "code": 9, key: "nope"}).summary

    def test_nothing_private_is_shown(self):
        no = answer(
            {
                "success": False,
                "code": 9,
                "message": "Bonjour Anna é at +33 6 00 00 00 01 s3cret",
                "errors": [
                    {"elementId": "children[message].data", "message": "Bonjour Anna é"},
                    {"code": "9", "phoneNumber": "+33600000001", "message": "0600000001: Bonjour Anna é"},
                ],
            },
            private=("s3cret", "Bonjour Anna é"),
        )
        error = failure(smspartner.parse_send, no, phone_numbers=NUMBERS)
        shown = f"{error} {error!r} {error.recipients!r}"
        for private in ("Anna", "00 00 01", "0600000001", "33600000001", "s3cret"):
            assert private not in shown

    @pytest.mark.parametrize(
        ("body", "status", "kind", "said"),
        [
            (b"", 200, ErrorKind.UNKNOWN, "empty"),
            (b"<html>Bad gateway</html>", 502, ErrorKind.UNKNOWN, "Bad gateway"),
            (b'{"success": true, "mess', 200, ErrorKind.UNKNOWN, "not JSON"),
            (b"[]", 200, ErrorKind.UNKNOWN, "not an object"),
            (b"<html>", 429, ErrorKind.RETRYABLE, "not JSON"),
            (b"<html>", 403, ErrorKind.CONFIGURATION, "not JSON"),
            (b"<html>", 400, ErrorKind.REJECTED, "not JSON"),
            (b'{"success": true, "message_id": 1e99999999999999999999}', 200, ErrorKind.UNKNOWN, "not JSON"),
        ],
    )
    def test_what_is_no_json_object(self, body, status, kind, said):
        error = failure(send, body, status)
        assert error.kind is kind
        assert said in error.summary
        assert error.status == status


@pytest.mark.parametrize(
    ("field", "argument"),
    [
        ("phoneNumbers", "to (phoneNumbers)"),
        ("phoneNumber", "to (phoneNumber)"),
        ("SMSList", "to (SMSList)"),
        ("scheduledDeliveryDate", "send_at (scheduledDeliveryDate)"),
        ("time", "send_at (time)"),
        ("minute", "send_at (minute)"),
        ("isStopSms", "is_stop_sms (isStopSms)"),
        ("isUnicode", "is_unicode (isUnicode)"),
        ("urlDlr", "url_dlr (urlDlr)"),
        ("urlResponse", "url_response (urlResponse)"),
        ("from", "virtual_number (from)"),
        ("sender", "sender"),
    ],
)
def test_a_refused_field_is_named_by_the_argument_that_fills_it(field: str, argument: str) -> None:
    content = {"errors": [{"elementId": f"children[{field}].data", "message": "no"}]}
    assert explanation(content) == f"{argument}: no"


@pytest.mark.parametrize(
    ("data", "status", "problem"),
    [
        (
            {"success": True, "message_id": 8123456},
            429,
            "names a message that was accepted, and a failure too",
        ),
        (
            {"success": False, "message_id": 8123456},
            429,
            "names a message that was accepted, and a failure too",
        ),
        (
            {"success": False, "message_id": 8123456},
            200,
            "names a message that was accepted, and a failure too",
        ),
        ({"message_id": 8123456}, 200, "has no success flag, and names a message that was accepted"),
        ({"success": "perhaps", "message_id": 8123456}, 429, "has no success flag, and names a message"),
        ({"success": False, "code": 200}, 200, "its flag says no, and its code is that of a success"),
    ],
)
def test_why_an_answer_proves_nothing_is_said(data: dict[str, object], status: int, problem: str) -> None:
    error = failure(send, data, status)
    assert (error.kind, error.status) == (ErrorKind.UNKNOWN, status)
    assert problem in str(error)


@pytest.mark.parametrize("status", [200, 400, 500])
def test_the_code_of_an_answer_without_a_flag_is_told(status: int) -> None:
    error = failure(send, {"code": 9, "message": "no"}, status)
    assert (error.code, error.status) == ("9", status)
    assert "has no success flag" in str(error)
