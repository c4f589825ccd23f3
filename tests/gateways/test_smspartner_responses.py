"""Answers to sends: read tolerantly, judged strictly."""

from __future__ import annotations

from decimal import Decimal

import pendulum
import pytest

from airflow_provider_voicepartner.gateways import smspartner
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.gateways.model import Recipient, SmsMessage
from tests.support.smspartner import NUMBERS, QUEUED, answer, failure, send

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
