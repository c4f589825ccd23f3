"""Answers to sends, cancels, the account and the STOP list: read tolerantly, judged strictly."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import product
from typing import ClassVar

import pendulum
import pytest

from airflow_provider_voicepartner.gateways import smspartner
from airflow_provider_voicepartner.gateways.errors import ErrorKind, GatewayError
from airflow_provider_voicepartner.gateways.model import Recipient, SmsMessage
from airflow_provider_voicepartner.gateways.smspartner.codes import explanation
from airflow_provider_voicepartner.gateways.wire import ApiResponse

NUMBERS = ["+33600000001", "+33600000002"]
TWO = [Recipient(number) for number in NUMBERS]
PERSONAL = [Recipient(number, {"name": "Anna"}) for number in NUMBERS]
MESSAGE = SmsMessage(text="Hello")

SENT = {"success": True, "code": 200, "message_id": 8123456, "nb_sms": 2, "cost": 0.09, "currency": "EUR"}
BULK_SENT = {
    "success": True, "code": 200, "message_id": 8123457, "currency": "EUR", "cost": 0.09, "nbSMS": 2,
    "SMSResponse_List": [
        {"success": True, "code": 200, "nbSms": 1, "cost": 0.045, "phoneNumber": "+33600000001"},
        {"success": True, "code": 200, "nbSms": 1, "cost": 0.045, "phoneNumber": "+33600000002"},
    ],
}  # fmt: skip
QUEUED = {"success": True, "code": 200, "message": "Request queued for processing"}


def answer(body: object, status: int = 200, private: tuple[str, ...] = ()) -> ApiResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ApiResponse(status=status, body=raw, private=private)


def send(body: object, status: int = 200, numbers=NUMBERS):
    return smspartner.parse_send(answer(body, status), phone_numbers=numbers)


def failure(parse, *args, **kwargs) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        parse(*args, **kwargs)
    return caught.value


class TestSend:
    def test_a_success(self):
        receipt = send(SENT)
        assert receipt.gateway_id == "8123456"
        assert receipt.accepted == 2
        assert receipt.cost == Decimal("0.09")
        assert receipt.currency == "EUR"
        assert receipt.segments == 2
        assert receipt.refused == ()
        assert receipt.raw["nb_sms"] == 2

    def test_unknown_keys_are_kept(self):
        body = SENT | {"scheduledDeliveryDate": "2031-05-06 14:15:00", "new": {"a": [1]}}
        receipt = send(body)
        assert receipt.raw["new"] == {"a": [1]}
        assert receipt.raw["scheduledDeliveryDate"] == "2031-05-06 14:15:00"

    def test_numbers_as_text_and_other_spellings(self):
        receipt = send({"success": True, "messageId": "8123456", "nbSMS": "3", "cost": "0,135"})
        assert (receipt.gateway_id, receipt.segments, receipt.cost) == ("8123456", 3, Decimal("0.135"))
        assert receipt.currency == "EUR"

    def test_cost_is_exact(self):
        body = b'{"success": true, "message_id": 1, "cost": 0.10000000000000000001}'
        assert send(body).cost == Decimal("0.10000000000000000001")

    def test_what_is_not_told_is_none(self):
        receipt = send({"success": True, "message_id": 1})
        assert (receipt.cost, receipt.segments) == (None, None)

    def test_the_http_status_does_not_undo_a_success_with_an_id(self):
        assert send(SENT, status=500).gateway_id == "8123456"

    @pytest.mark.parametrize("flag", [True, False, None])
    def test_a_rate_limit_that_names_a_message_is_in_doubt(self, flag):
        assert failure(send, SENT | {"success": flag}, 429).kind is ErrorKind.UNKNOWN
        body = QUEUED | {"success": flag, "SMSResponse_List": [{"success": True}]}
        assert failure(send, body, 429).kind is ErrorKind.UNKNOWN

    @pytest.mark.parametrize("status", [200, 400, 500])
    @pytest.mark.parametrize("code", [200, "200", 201, 204])
    def test_a_no_with_the_code_of_a_success_is_in_doubt(self, status, code):
        no = {"success": False, "code": code, "message": "x"}
        for parse in (
            lambda response: smspartner.parse_send(response, phone_numbers=NUMBERS),
            lambda response: smspartner.parse_bulk_send(response, phone_numbers=NUMBERS),
            lambda response: smspartner.parse_vn_send(response, phone_number=NUMBERS[0]),
        ):
            error = failure(parse, answer(no, status))
            assert error.kind is ErrorKind.UNKNOWN
            assert "contradicts itself" in error.summary
        assert failure(send, no, 429).kind is ErrorKind.RETRYABLE

    def test_recipients_refused_within_a_success(self):
        body = SENT | {
            "errors": [
                {"success": False, "code": "14", "message": "stop", "phoneNumber": "0600000002"},
            ]
        }
        receipt = send(body)
        assert receipt.accepted == 1
        (refused,) = receipt.refused
        assert (refused.phone_number, refused.code) == ("+33600000002", "14")
        assert "STOP list" in refused.reason

    @pytest.mark.parametrize(("code", "opted_out"), [(14, True), ("14", True), (13, False), (None, False)])
    def test_who_said_stop_is_told_apart(self, code, opted_out):
        entries = [{"success": False, "code": code, "phoneNumber": "0600000002"}]
        (refused,) = send(SENT | {"errors": entries}).refused
        assert refused.opted_out is opted_out
        (refused,) = smspartner.parse_bulk_send(
            answer(BULK_SENT | {"SMSResponse_List": [BULK_SENT["SMSResponse_List"][0], *entries]}),
            phone_numbers=NUMBERS,
        ).refused
        assert refused.opted_out is opted_out

    def test_an_id_that_came_as_a_float_is_read(self):
        assert send(b'{"success": true, "message_id": 8123456.0}').gateway_id == "8123456"

    @pytest.mark.parametrize("id_", [None, "", " ", 0, "0", True, [], {}, -1, "a b", "x" * 65, "a/../b"])
    def test_a_success_without_an_id_is_in_doubt(self, id_):
        error = failure(send, SENT | {"message_id": id_})
        assert error.kind is ErrorKind.UNKNOWN
        assert "without a message id" in error.summary

    def test_queued_without_an_id_is_in_doubt(self):
        error = failure(send, QUEUED)
        assert error.kind is ErrorKind.UNKNOWN
        assert "queued for processing" in error.summary

    @pytest.mark.parametrize("status", [201, 400, 401, 404, 500])
    def test_a_success_without_an_id_is_in_doubt_whatever_the_http_status_and_the_code(self, status):
        assert failure(send, QUEUED, status).kind is ErrorKind.UNKNOWN
        assert failure(send, QUEUED | {"code": 11}, status).kind is ErrorKind.UNKNOWN

    def test_queued_without_an_id_at_429_was_not_taken(self):
        assert failure(send, QUEUED, 429).kind is ErrorKind.RETRYABLE

    @pytest.mark.parametrize("flag", [None, 1, "true", "", "maybe", [], {}, "yes"])
    def test_a_success_flag_that_is_not_true_is_in_doubt(self, flag):
        for status in (200, 201, 500, 503):
            error = failure(send, SENT | {"success": flag}, status)
            assert error.kind is ErrorKind.UNKNOWN
            assert "no success flag" in error.summary

    def test_a_missing_success_flag_is_in_doubt_whatever_the_code_says(self):
        assert failure(send, {"code": 10, "message": "wrong key"}).kind is ErrorKind.UNKNOWN

    @pytest.mark.parametrize(
        ("status", "body", "kind"),
        [
            (401, {"message": "no"}, ErrorKind.CONFIGURATION),
            (400, {"message": "no"}, ErrorKind.REJECTED),
            (400, {"code": 11}, ErrorKind.CREDIT),
            (429, {"code": 11}, ErrorKind.RETRYABLE),
        ],
    )
    def test_without_a_flag_the_http_status_may_prove_a_refusal(self, status, body, kind):
        assert failure(send, body, status).kind is kind

    @pytest.mark.parametrize("flag", [False, 0, "false", "0"])
    def test_a_clear_no(self, flag):
        assert failure(send, {"success": flag, "code": 10}).kind is ErrorKind.CONFIGURATION

    @pytest.mark.parametrize("status", [200, 400, 401, 500])
    @pytest.mark.parametrize("flag", [False, 0, "false", None])
    @pytest.mark.parametrize(
        "named",
        [
            {"message_id": 8123456},
            {"messageId": "8123456"},
            {"SMSResponse_List": [{"success": False, "code": 4}, {"success": True, "code": 200, "nbSms": 1}]},
        ],
    )
    @pytest.mark.parametrize("parse", ["send", "bulk-send", "vn/send"])
    def test_a_no_that_names_what_was_taken_is_in_doubt(self, status, flag, named, parse):
        """To take it for a refusal would send it once more."""
        parsers = {
            "send": lambda response: smspartner.parse_send(response, phone_numbers=NUMBERS),
            "bulk-send": lambda response: smspartner.parse_bulk_send(response, phone_numbers=NUMBERS),
            "vn/send": lambda response: smspartner.parse_vn_send(response, phone_number=NUMBERS[0]),
        }
        body = {"success": flag, "code": 11, "message": "no credit"} | named
        error = failure(parsers[parse], answer(body, status))
        assert error.kind is ErrorKind.UNKNOWN
        assert "names a message that was accepted" in error.summary

    @pytest.mark.parametrize("named", [{"message_id": 0}, {"message_id": ""}, {"SMSResponse_List": []}])
    def test_a_no_without_an_id_is_a_clear_no(self, named):
        assert failure(send, {"success": False, "code": 11} | named).kind is ErrorKind.CREDIT


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


class TestBulkSend:
    def parse(self, body, status=200):
        return smspartner.parse_bulk_send(answer(body, status), phone_numbers=NUMBERS)

    def test_a_success(self):
        receipt = self.parse(BULK_SENT)
        assert receipt.gateway_id == "8123457"
        assert (receipt.accepted, receipt.segments, receipt.cost) == (2, 2, Decimal("0.09"))
        assert receipt.refused == ()

    def test_failures_of_single_numbers(self):
        entries = [
            BULK_SENT["SMSResponse_List"][0],
            {"success": False, "code": 14, "message": "stop", "phoneNumber": "+33600000002"},
        ]
        receipt = self.parse(BULK_SENT | {"SMSResponse_List": entries})
        assert receipt.accepted == 1
        (refused,) = receipt.refused
        assert (refused.phone_number, refused.code) == ("+33600000002", "14")

    def test_a_failure_without_a_number_is_known_by_its_position(self):
        entries = [BULK_SENT["SMSResponse_List"][0], {"success": False, "code": 9}]
        assert self.parse(BULK_SENT | {"SMSResponse_List": entries}).refused[0].phone_number == NUMBERS[1]

    def test_a_position_proves_nothing_in_a_list_of_another_length(self):
        for entries in (
            [{"success": False, "code": 9}],
            [{"success": False, "code": 9}, None, {"success": True}],
        ):
            receipt = self.parse(BULK_SENT | {"SMSResponse_List": entries})
            assert receipt.refused[0].phone_number == ""

    def test_a_number_that_is_not_listed_is_in_doubt(self):
        receipt = self.parse(BULK_SENT | {"SMSResponse_List": BULK_SENT["SMSResponse_List"][:1]})
        assert (receipt.accepted, receipt.refused, receipt.in_doubt) == (1, (), 1)

    def test_no_list_at_all_takes_them_all(self):
        body = {key: BULK_SENT[key] for key in BULK_SENT if key != "SMSResponse_List"}
        assert self.parse(body).accepted == 2

    def test_an_entry_without_a_flag_is_no_success(self):
        entries = [BULK_SENT["SMSResponse_List"][0], {"phoneNumber": "+33600000002"}]
        receipt = self.parse(BULK_SENT | {"SMSResponse_List": entries})
        assert (receipt.accepted, receipt.refused, receipt.in_doubt) == (1, (), 1)

    def test_no_id_is_in_doubt(self):
        assert failure(self.parse, BULK_SENT | {"message_id": None}).kind is ErrorKind.UNKNOWN

    def test_all_refused_one_by_one(self):
        entries = [{"success": False, "code": 14, "phoneNumber": number} for number in NUMBERS]
        receipt = self.parse({"success": False, "code": 55, "SMSResponse_List": entries})
        assert (receipt.gateway_id, receipt.accepted, receipt.in_doubt) == (None, 0, 0)
        assert [refused.phone_number for refused in receipt.refused] == NUMBERS
        assert all(refused.opted_out for refused in receipt.refused)


class TestBatch:
    """The answer is read as that of the endpoint the batch went to."""

    def test_send(self):
        assert smspartner.parse_batch(answer(SENT), MESSAGE, TWO).accepted == 2

    def test_bulk_send(self):
        entries = [BULK_SENT["SMSResponse_List"][0], {"success": False, "code": 9}]
        response = answer(BULK_SENT | {"SMSResponse_List": entries})
        receipt = smspartner.parse_batch(response, SmsMessage(text="Hi {name}"), PERSONAL)
        assert receipt.accepted == 1
        assert receipt.refused[0].phone_number == NUMBERS[1]

    @pytest.mark.parametrize(
        ("message", "recipients", "endpoint"),
        [
            (MESSAGE, TWO, "send"),
            (MESSAGE, PERSONAL, "send"),
            (SmsMessage(text="Hi {{name}}"), TWO, "send"),
            (SmsMessage(text="Hi {{name}}"), PERSONAL, "send"),
            (SmsMessage(text="Hi {name}"), PERSONAL, "bulk-send"),
            (SmsMessage(text="Hi", options={"virtual_number": "33644000000"}), TWO[:1], "vn/send"),
            (
                SmsMessage(text="Hi {name}", options={"virtual_number": "33644000000"}),
                PERSONAL[:1],
                "vn/send",
            ),
        ],
    )
    def test_errors_name_the_endpoint_that_was_called(self, message, recipients, endpoint):
        error = failure(smspartner.parse_batch, answer({"success": False, "code": 11}), message, recipients)
        assert (error.endpoint, error.kind) == (endpoint, ErrorKind.CREDIT)
        now = pendulum.datetime(2031, 1, 1)
        built = smspartner.build_batch(message, recipients, reference="k3v9x0q2w7ha", now=now)
        assert built.endpoint == endpoint


class TestCancel:
    DONE: ClassVar = {"success": True, "code": 200, "message": "L'envoi du SMS a été annulé."}

    def parse(self, body, status=200):
        return smspartner.parse_cancel(answer(body, status), "8123456")

    def test_cancelled(self):
        cancellation = self.parse(self.DONE)
        assert (cancellation.gateway_id, cancellation.already) == ("8123456", False)
        assert cancellation.raw["code"] == 200

    @pytest.mark.parametrize("code", [5, "5"])
    def test_cancelled_before_is_a_success(self, code):
        cancellation = self.parse({"success": False, "code": code, "message": "déjà annulé"})
        assert cancellation.already is True
        assert cancellation.raw["message"] == "déjà annulé"

    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            (1, ErrorKind.CONFIGURATION),
            (10, ErrorKind.CONFIGURATION),
            (96, ErrorKind.CONFIGURATION),
            (3, ErrorKind.REJECTED),
            (4, ErrorKind.NOT_FOUND),
            (6, ErrorKind.TOO_LATE),
            (7, ErrorKind.TOO_LATE),
            (11, ErrorKind.CREDIT),
            (777, ErrorKind.REJECTED),
            (500, ErrorKind.RETRYABLE),
        ],
    )
    def test_codes(self, code, kind):
        error = failure(self.parse, {"success": False, "code": code, "message": "x"})
        assert (error.kind, error.endpoint) == (kind, "message-cancel")

    def test_429_with_code_5(self):
        assert failure(self.parse, {"success": False, "code": 5}, 429).kind is ErrorKind.RETRYABLE

    def test_queued_is_not_cancelled(self):
        assert failure(self.parse, QUEUED).kind is ErrorKind.RETRYABLE

    def test_no_flag_is_not_cancelled(self):
        assert failure(self.parse, {"code": 200}).kind is ErrorKind.RETRYABLE
        assert failure(self.parse, {"code": 6}).kind is ErrorKind.TOO_LATE


class TestMe:
    ME: ClassVar = {
        "success": True,
        "code": 200,
        "user": {"username": "ops@example.org", "firstname": "Ada", "lastname": "L", "id": 7},
        "credits": {
            "creditSms": 1200, "creditSmsECO": 1900, "creditSmsLowCost": 1, "creditHlr": 8000, "toSend": 3,
            "balance": "54.120", "solde": "1.0", "currency": "EUR",
        },
    }  # fmt: skip

    def with_credits(self, **credits):
        return self.ME | {"credits": credits}

    def test_balance(self):
        balance = smspartner.parse_balance(answer(self.ME))
        assert balance.amount == Decimal("54.120")
        assert str(balance.amount) == "54.120"
        assert balance.unit == "EUR"
        assert balance.details == {"premium_sms": 1200, "low_cost_sms": 1900, "hlr": 8000, "to_send": 3}

    def test_account(self):
        account = smspartner.parse_me(answer(self.ME))
        assert (account.username, account.first_name, account.last_name) == ("ops@example.org", "Ada", "L")
        assert account.user_id == "7"
        assert "ops@" not in repr(account)

    def test_older_names(self):
        balance = smspartner.parse_balance(answer(self.with_credits(solde="7,5", creditSmsLowCost="12")))
        assert balance.amount == Decimal("7.5")
        assert balance.unit == "EUR"
        assert balance.details == {"low_cost_sms": 12}

    def test_an_empty_account_is_an_answer(self):
        assert smspartner.parse_balance(answer(self.with_credits(balance=0))).amount == 0

    @pytest.mark.parametrize(
        "body",
        [
            QUEUED,
            ME | {"credits": None},
            ME | {"credits": []},
            ME | {"credits": {}},
            ME | {"credits": {"balance": "?"}},
            ME | {"success": "true"},
        ],
    )
    def test_no_balance_is_a_failure(self, body):
        error = failure(smspartner.parse_balance, answer(body))
        assert (error.kind, error.endpoint) == (ErrorKind.RETRYABLE, "me")

    @pytest.mark.parametrize("code", [1, 10, 20, 30, 40, 96])
    def test_a_bad_key_or_account(self, code):
        error = failure(smspartner.parse_balance, answer({"success": False, "code": code, "message": "x"}))
        assert error.kind is ErrorKind.CONFIGURATION

    def test_a_gateway_in_trouble_may_be_asked_again(self):
        assert failure(smspartner.parse_me, answer(b"<html>", 503)).kind is ErrorKind.RETRYABLE


class TestStopList:
    LIST: ClassVar = {
        "success": True, "code": 200, "nbData": 2,
        "data": [
            {"id": 77, "phoneNumber": "+33600000001", "createdAt": "2031-05-06 14:16:11"},
            {"id": "78", "phoneNumber": "0600000002"},
        ],
    }  # fmt: skip

    def test_list(self):
        stops = smspartner.parse_stop_list(answer(self.LIST))
        first, second = stops.entries
        assert (first.id, first.phone_number) == ("77", "+33600000001")
        assert first.created_at == pendulum.datetime(2031, 5, 6, 14, 16, 11, tz="Europe/Paris")
        assert (second.id, second.phone_number, second.created_at) == ("78", "+33600000002", None)
        assert stops.is_complete
        assert "600000001" not in repr(stops)

    def test_an_empty_list(self):
        stops = smspartner.parse_stop_list(answer({"success": True, "code": 200, "nbData": 0, "data": []}))
        assert stops.entries == ()
        assert stops.is_complete

    def test_a_list_that_announces_more_than_it_holds_is_not_complete(self):
        assert not smspartner.parse_stop_list(answer(self.LIST | {"nbData": "300"})).is_complete
        unreadable = {"success": True, "data": [{"id": 1}]}
        assert not smspartner.parse_stop_list(answer(unreadable)).is_complete

    @pytest.mark.parametrize("body", [QUEUED, LIST | {"data": None}, LIST | {"data": {}}])
    def test_no_list_is_a_failure(self, body):
        assert failure(smspartner.parse_stop_list, answer(body)).kind is ErrorKind.RETRYABLE

    def test_add(self):
        addition = smspartner.parse_stop_add(answer({"success": True, "code": 200, "stopId": 77}))
        assert (addition.stop_id, addition.already) == ("77", False)

    def test_adding_again_is_a_success(self):
        addition = smspartner.parse_stop_add(answer({"success": False, "code": 3, "message": "x"}))
        assert (addition.stop_id, addition.already) == (None, True)

    def test_queued_is_not_added(self):
        assert failure(smspartner.parse_stop_add, answer(QUEUED)).kind is ErrorKind.RETRYABLE

    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            (1, ErrorKind.CONFIGURATION),
            (10, ErrorKind.CONFIGURATION),
            (2, ErrorKind.REJECTED),
            (9, ErrorKind.REJECTED),
        ],
    )
    def test_add_codes(self, code, kind):
        error = failure(smspartner.parse_stop_add, answer({"success": False, "code": code}))
        assert (error.kind, error.endpoint) == (kind, "stop-sms/add")
        assert error.summary != "refused without a reason"

    def test_delete(self):
        assert smspartner.parse_stop_delete(answer({"success": True, "code": 200})).raw["code"] == 200

    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            (1, ErrorKind.CONFIGURATION),
            (10, ErrorKind.CONFIGURATION),
            (2, ErrorKind.REJECTED),
            (3, ErrorKind.REJECTED),
            (4, ErrorKind.NOT_FOUND),
        ],
    )
    def test_delete_codes(self, code, kind):
        error = failure(smspartner.parse_stop_delete, answer({"success": False, "code": code}))
        assert (error.kind, error.endpoint) == (kind, "stop-sms/delete")
        assert error.summary != "refused without a reason"

    def test_a_delete_without_a_clear_answer_is_in_doubt(self):
        assert failure(smspartner.parse_stop_delete, answer(QUEUED)).kind is ErrorKind.UNKNOWN
        assert failure(smspartner.parse_stop_delete, answer(b"", 502)).kind is ErrorKind.UNKNOWN

    @pytest.mark.parametrize("code", [1, 10])
    def test_list_codes(self, code):
        error = failure(smspartner.parse_stop_list, answer({"success": False, "code": code}))
        assert error.kind is ErrorKind.CONFIGURATION


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
