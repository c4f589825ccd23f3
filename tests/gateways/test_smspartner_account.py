"""Answers to cancels, the account and the STOP list: read tolerantly, judged strictly."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

import pendulum
import pytest

from airflow_provider_voicepartner.gateways import smspartner
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from tests.support.smspartner import QUEUED, answer, failure


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
