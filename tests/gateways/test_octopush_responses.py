"""What Octopush answers: each documented shape, and what an odd one proves."""

from __future__ import annotations

import json
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pendulum
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.gateways import octopush
from airflow_provider_voicepartner.gateways.errors import ErrorKind, GatewayError
from airflow_provider_voicepartner.gateways.model import Message, Recipient, SmsMessage, VoiceMessage
from airflow_provider_voicepartner.gateways.wire import ApiResponse
from tests.support.examples import examples

SMS, CALL = SmsMessage(text="Bonjour"), VoiceMessage(text="Bonjour")
TWO = (Recipient("+33612345678"), Recipient("+33690123456"))

VOICE_SENT = {
    "ticket_number": "voice_6543aa10c9d21", "number_of_contacts": 2, "total_cost": 0.1, "estimated_duration": 30,
    "residual_credit": 41.85,
}  # fmt: skip
SMS_SENT = {
    "sms_ticket": "sms_6543aa10c9d21", "number_of_contacts": 2, "total_cost": 0.0495, "number_of_sms_needed": 1,
    "residual_credit": 41.8,
}  # fmt: skip
BALANCE = {
    "amount": 10, "unit": "vocal_sms",
    "wallet_packs": [{"id": "1f0a", "credit": "10", "expiration_date": "2030-12-08T16:45:14+01:00"}],
}  # fmt: skip
REFUSED = {
    "code": 400,
    "message": "The payload was refused.",
    "errors": [{"code": 442, "message": "No such language."}],
}


def answer(data: Any, status: int = 201, private: tuple[str, ...] = ()) -> ApiResponse:
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return ApiResponse(status=status, body=body, private=private)


def batch_error(data: Any, status: int = 400, message: Message = CALL, **more: Any) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        octopush.parse_batch(answer(data, status, **more), message, TWO)
    return caught.value


class TestReceipt:
    def test_of_a_call(self) -> None:
        receipt = octopush.parse_batch(answer(VOICE_SENT), CALL, TWO)
        assert (receipt.gateway_id, receipt.accepted, receipt.segments) == ("voice_6543aa10c9d21", 2, None)
        assert (receipt.cost, receipt.currency) == (Decimal("0.1"), "EUR")
        assert (receipt.duration, receipt.remaining_credit) == (Decimal(30), Decimal("41.85"))

    def test_of_an_sms(self) -> None:
        receipt = octopush.parse_batch(answer(SMS_SENT, 200), SMS, TWO)
        assert (receipt.gateway_id, receipt.segments, receipt.duration) == ("sms_6543aa10c9d21", 1, None)
        assert str(receipt.cost) == "0.0495"

    @pytest.mark.parametrize("key", ["ticket_number", "sms_ticket", "voice_ticket", "vocal_ticket"])
    def test_a_ticket_under_every_name(self, key: str) -> None:
        receipt = octopush.parse_batch(
            answer({key: "voice_624ejr3re5c035518", "code": 0, "new": {"a": 1}}), CALL, TWO
        )
        assert receipt.gateway_id == "voice_624ejr3re5c035518"
        assert receipt.raw["new"] == {"a": 1}
        assert (receipt.cost, receipt.currency, receipt.accepted) == (None, None, 2)

    @pytest.mark.parametrize(("count", "accepted"), [(None, 2), (7, 2), (-1, 2), ("x", 2), ("1", 1), (0, 0)])
    def test_accepted_is_never_more_than_asked(self, count: object, accepted: int) -> None:
        data = {**SMS_SENT, "number_of_contacts": count}
        assert octopush.parse_batch(answer(data), SMS, TWO).accepted == accepted


class TestRefusal:
    def test_a_nested_code_with_all_the_words(self) -> None:
        error = batch_error(REFUSED)
        assert (error.kind, error.code, error.status) == (ErrorKind.REJECTED, "442", 400)
        assert error.endpoint == "voice-campaign/send"
        assert "does not speak this language" in str(error)
        assert "The payload was refused." in str(error)
        assert "No such language." in str(error)

    @pytest.mark.parametrize("name", ["errors", "violations", "0", "data"])
    def test_the_list_under_any_name(self, name: str) -> None:
        for nested in ([{"code": 442, "message": "x"}], {"voice_language": [{"code": 442}]}, {"code": 442}):
            assert batch_error({"code": 400, "message": "no", name: nested}).code == "442"

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (400, ErrorKind.REJECTED),
            (401, ErrorKind.CONFIGURATION),
            (402, ErrorKind.CREDIT),
            (403, ErrorKind.CONFIGURATION),
            (404, ErrorKind.REJECTED),
            (408, ErrorKind.UNKNOWN),
            (422, ErrorKind.REJECTED),
            (429, ErrorKind.RETRYABLE),
            (500, ErrorKind.UNKNOWN),
            (502, ErrorKind.UNKNOWN),
            (200, ErrorKind.UNKNOWN),
            (201, ErrorKind.UNKNOWN),
            (302, ErrorKind.UNKNOWN),
        ],
    )
    def test_the_status_decides(self, status: int, kind: ErrorKind) -> None:
        for data in ({"code": status, "message": "no"}, {"message": "no"}, {}, {"code": 7}, b"<html>", b""):
            for message in (SMS, CALL):
                assert batch_error(data, status, message).kind is kind, data

    @pytest.mark.parametrize("status", [200, 401, 402, 408, 429, 500])
    def test_no_code_changes_what_such_a_status_says(self, status: int) -> None:
        plain = batch_error({}, status).kind
        for code in (101, 104, 120, 127, 442):
            assert batch_error({"code": code, "message": "x"}, status).kind is plain

    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            (101, ErrorKind.CONFIGURATION), (104, ErrorKind.CREDIT), (105, ErrorKind.CREDIT), (106, ErrorKind.REJECTED),
            (113, ErrorKind.CONFIGURATION), (117, ErrorKind.REJECTED), (121, ErrorKind.REJECTED),
            (127, ErrorKind.RETRYABLE), (153, ErrorKind.RETRYABLE), (999, ErrorKind.REJECTED),
        ],
    )  # fmt: skip
    def test_numbers_of_the_previous_api(self, code: int, kind: ErrorKind) -> None:
        for data in (
            {"code": code, "message": "x"},
            {"code": 400, "errors": [{"code": str(code), "message": "x"}]},
        ):
            error = batch_error(data, message=SMS)
            assert (error.kind, error.code) == (kind, str(code))

    @pytest.mark.parametrize(
        "data",
        [
            {},
            {"ticket_number": ""},
            {"ticket_number": None, "sms_ticket": 0},
            {"ticket_number": {"id": 1}},
            {"ticket_number": True},
            {"ticket": "sms_6543aa10c9d21"},
            [VOICE_SENT],
        ],
    )
    def test_no_ticket_is_in_doubt(self, data: object) -> None:
        assert batch_error(data, 201).kind is ErrorKind.UNKNOWN

    @pytest.mark.parametrize("status", [202, 206, 302, 400, 404, 429, 500])
    def test_a_ticket_beside_a_failure_is_in_doubt(self, status: int) -> None:
        assert batch_error({**VOICE_SENT, "message": "no"}, status).kind is ErrorKind.UNKNOWN


class TestDuplicate:
    @pytest.mark.parametrize(
        "data",
        [
            {"code": 120, "message": "x"},
            {"code": "120"},
            {"code": 400, "errors": [{"code": 120, "message": "x"}]},
            {"code": 400, "message": "The request_id has already been used."},
            {"code": 400, "message": "x", "errors": [{"code": 931, "message": "Duplicate request id"}]},
            {"code": 400, "errors": {"request_id": ["This value is already in use."]}},
            {
                "code": 400,
                "violations": [{"field": "request_id", "message": "Was used in the last 24 hours"}],
            },
            {"code": 400, "message": "Ce request_id est déjà utilisé"},
            {"code": 400, "message": "request_id already used", "ticket_number": "voice_6543aa10c9d21"},
        ],
    )
    def test_a_refusal_that_names_it(self, data: object) -> None:
        assert batch_error(data).kind is ErrorKind.DUPLICATE
        assert batch_error(data, 422, SMS).kind is ErrorKind.DUPLICATE

    @pytest.mark.parametrize(
        "data",
        [
            {"code": 400, "message": "request_id is too long"},
            {"code": 400, "message": "This value is already used"},
            {"code": 400, "message": "request_id can only be used with campaigns"},
            {
                "code": 400,
                "errors": [{"message": "request_id is odd"}, {"message": "the sender is already taken"}],
            },
            {"code": 400, "message": "120"},
            {"code": 1200},
        ],
    )
    def test_a_refusal_that_does_not(self, data: object) -> None:
        assert batch_error(data).kind is ErrorKind.REJECTED

    def test_only_a_clear_refusal_counts(self) -> None:
        said = {"code": 120, "message": "request_id already used"}
        assert batch_error(said, 500).kind is ErrorKind.UNKNOWN
        assert batch_error(said, 200).kind is ErrorKind.UNKNOWN
        with pytest.raises(GatewayError) as caught:
            octopush.parse_cancel(answer(said, 400), "sms_1")
        assert caught.value.kind is ErrorKind.REJECTED


def test_nothing_private_in_an_error() -> None:
    said = "le numéro +33612345678 a refusé « Bonjour Zoé » pour s3cr3t-key"
    private = ("s3cr3t-key", "Bonjour Zoé", "ops@example.org")
    for data in (
        {"code": said, "message": said},
        {"code": "s3cr3t-key", "errors": [{"code": 33612345678, "message": said, "to": "ops@example.org"}]},
        {"errors": {"x": [said]}},
        said.encode(),
    ):
        for status in (201, 400, 500):
            error = batch_error(data, status, private=private)
            for secret in ("s3cr3t-key", "Bonjour Zoé", "12345678", "ops@example.org"):
                assert secret not in str(error) + repr(error) + str(error.code)


class TestBalance:
    @pytest.mark.parametrize("unit", ["euros", "euro", "EUR", "€"])
    def test_money(self, unit: str) -> None:
        balance = octopush.parse_balance(answer({"amount": 41.85, "unit": unit}, 200))
        assert (balance.amount, balance.unit, balance.details) == (Decimal("41.85"), "EUR", {})

    def test_units_of_a_product_with_packs(self) -> None:
        balance = octopush.parse_balance(answer(BALANCE, 200))
        assert (balance.amount, balance.unit) == (Decimal(10), "vocal_sms")
        (pack,) = balance.details["wallet_packs"]
        assert (pack.pack_id, pack.credit) == ("1f0a", Decimal(10))
        assert pack.expires_at == pendulum.datetime(2030, 12, 8, 16, 45, 14, tz="Europe/Paris")

    @pytest.mark.parametrize(
        ("data", "status", "kind"),
        [
            ({"code": 401, "message": "no"}, 401, ErrorKind.CONFIGURATION),
            ({"code": 403}, 403, ErrorKind.CONFIGURATION),
            ({"code": 101, "message": "no"}, 400, ErrorKind.CONFIGURATION),
            ({"code": 101, "message": "no"}, 200, ErrorKind.CONFIGURATION),
            ({"code": 400, "message": "no"}, 400, ErrorKind.REJECTED),
            ({"amount": 1}, 200, ErrorKind.RETRYABLE),
            ({"unit": "euros"}, 200, ErrorKind.RETRYABLE),
            ({"amount": "lots", "unit": "euros"}, 200, ErrorKind.RETRYABLE),
            ({"amount": 1, "unit": "euros"}, 500, ErrorKind.RETRYABLE),
            (b"", 200, ErrorKind.RETRYABLE),
            (b"<html>", 404, ErrorKind.NOT_FOUND),
        ],
    )
    def test_failures(self, data: object, status: int, kind: ErrorKind) -> None:
        with pytest.raises(GatewayError) as caught:
            octopush.parse_balance(answer(data, status))
        assert caught.value.kind is kind


class TestCancel:
    def test_done(self) -> None:
        cancelled = octopush.parse_cancel(answer(b"", 204), "voice_6543aa10c9d21")
        assert (cancelled.gateway_id, cancelled.already, cancelled.refunded) == (
            "voice_6543aa10c9d21",
            False,
            None,
        )

    @pytest.mark.parametrize(
        ("data", "status", "kind"),
        [
            ({"code": 400, "message": "Too late"}, 400, ErrorKind.REJECTED),
            ({"code": 404, "message": "?"}, 404, ErrorKind.NOT_FOUND),
            ({"message": "?"}, 404, ErrorKind.NOT_FOUND),
            ({"code": 401}, 401, ErrorKind.CONFIGURATION),
            ({}, 429, ErrorKind.RETRYABLE),
            ({}, 200, ErrorKind.UNKNOWN),
            (b"", 200, ErrorKind.UNKNOWN),
            (b"", 500, ErrorKind.UNKNOWN),
            (b"<html>", 404, ErrorKind.REJECTED),
        ],
    )
    def test_failures(self, data: object, status: int, kind: ErrorKind) -> None:
        with pytest.raises(GatewayError) as caught:
            octopush.parse_cancel(answer(data, status), "voice_6543aa10c9d21")
        assert caught.value.kind is kind

    def test_a_refusal_says_what_the_vendor_allows(self) -> None:
        for data in (
            {"code": 400, "message": "no"},
            {"code": 400, "errors": [{"code": 914, "message": "no"}]},
            {},
        ):
            with pytest.raises(GatewayError, match="fewer than 3 recipients"):
                octopush.parse_cancel(answer(data, 400), "voice_6543aa10c9d21")


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from([*VOICE_SENT, *SMS_SENT, *BALANCE, *REFUSED])
ODD_ANSWER = st.one_of(
    st.binary(max_size=200),
    ANY_JSON.map(lambda data: json.dumps(data).encode()),
    st.builds(
        lambda good, changes: json.dumps({**good, **changes}).encode(),
        st.sampled_from([VOICE_SENT, SMS_SENT, BALANCE, REFUSED]),
        st.dictionaries(KEYS, ANY_JSON, max_size=4),
    ),
)


class TestAnything:
    @settings(max_examples=examples(75), deadline=None)
    @given(body=ODD_ANSWER, status=st.sampled_from([200, 201, 204, 302, 400, 401, 402, 404, 408, 429, 500]))
    def test_no_answer_makes_a_parser_fail_in_another_way(self, body: bytes, status: int) -> None:
        response = answer(body, status)
        for parse in (
            lambda: octopush.parse_batch(response, CALL, TWO),
            lambda: octopush.parse_balance(response),
            lambda: octopush.parse_cancel(response, "sms_1"),
        ):
            with suppress(GatewayError):
                parse()

    @settings(max_examples=examples(50), deadline=None)
    @given(changes=st.dictionaries(KEYS, ANY_JSON, max_size=4), status=st.integers(200, 599))
    def test_a_receipt_always_has_a_ticket_and_a_201(self, changes: dict[str, Any], status: int) -> None:
        try:
            receipt = octopush.parse_batch(answer({**SMS_SENT, **changes}, status), SMS, TWO)
        except GatewayError:
            return
        assert receipt.gateway_id
        assert status in (200, 201)
        assert 0 <= receipt.accepted <= 2

    def test_a_very_deep_or_very_long_refusal(self) -> None:
        deep: Any = {"code": 442, "message": "deep"}
        for _ in range(300):
            deep = {"errors": [deep]}
        assert batch_error(deep).kind is ErrorKind.REJECTED
        error = batch_error({"errors": [{"code": 442, "message": "x" * 1000}] * 10_000})
        assert error.code == "442"
        assert len(str(error)) < 500
