"""What a gateway makes of answers: good ones, refusals, and those that nobody can read."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.gateways.gateway import Gateway
from airflow_provider_voicepartner.gateways.model import Recipient
from airflow_provider_voicepartner.testing.gateway_cases.samples import (
    KEY,
    NUMBER,
    TEXT,
    UNREADABLE,
    Cases,
    Sample,
    answer,
    failure,
    nothing_private_in,
    value_at,
    with_value,
    without,
)


class ReceiptCases(Cases):
    def test_a_good_answer(self, sample: Sample) -> None:
        receipt = sample.parse(answer({**sample.sent, "brand_new": {"a": [1]}}, sample.good_status))
        assert receipt.gateway_id == str(value_at(sample.sent, sample.id_key))
        assert receipt.accepted == 1
        if sample.cost_key is None:
            assert (receipt.cost, sample.gateway.INFO.currency) == (None, None), (
                "Sample.cost_key: name the price; or, if no answer to a send has one, INFO.currency is None"
            )
        else:
            assert isinstance(receipt.cost, Decimal)
            assert receipt.cost == Decimal(str(value_at(sample.sent, sample.cost_key)))
            assert receipt.currency == sample.gateway.INFO.currency
        assert receipt.raw["brand_new"] == {"a": [1]}

    def test_money_as_text_and_exact(self, sample: Sample) -> None:
        if sample.cost_key is not None:
            exact = "0.10000000000000000001"
            changed = with_value(sample.sent, sample.cost_key, exact)
            receipt = sample.parse(answer(changed, sample.good_status))
            assert receipt.cost == Decimal(exact)

    @pytest.mark.parametrize("nothing", [None, "", " "])
    def test_success_without_an_id_is_in_doubt(self, sample: Sample, nothing: object) -> None:
        nameless = without(sample.sent, sample.id_key)
        assert sample.fail(answer(nameless, sample.good_status)).kind is ErrorKind.UNKNOWN
        empty = with_value(sample.sent, sample.id_key, nothing)
        for status in (200, sample.good_status):
            assert sample.fail(answer(empty, status)).kind is ErrorKind.UNKNOWN

    @pytest.mark.parametrize("cost", [0, "0", "0.00", "0,0", -1, "-0.045", -0.0, None, "", "free", [], True])
    def test_a_cost_of_nothing_or_less_is_not_told(self, sample: Sample, cost: object) -> None:
        """A budget that believed it would never end."""
        changed = sample.sent if sample.cost_key is None else with_value(sample.sent, sample.cost_key, cost)
        assert sample.parse(answer(changed, sample.good_status)).cost is None

    @pytest.mark.parametrize(
        ("count", "accepted"),
        [(5, 5), (9, 5), (4, 4), (1, 1), (0, 0), ("4", 4), (-1, 5), (None, 5), ("x", 5)],
    )
    def test_a_count_below_the_batch_is_believed(self, sample: Sample, count: object, accepted: int) -> None:
        if sample.count_key is None:
            return
        recipients = [Recipient(f"+336{number:08}") for number in range(5)]
        response = answer(with_value(sample.sent, sample.count_key, count), sample.good_status)
        receipt = sample.gateway.parse_batch(response, sample.message, recipients)
        assert receipt.accepted == accepted
        assert receipt.accepted + len(receipt.refused) + receipt.in_doubt == 5
        left_out_is_said = sample.counts_recipients and accepted
        assert receipt.in_doubt == (0 if left_out_is_said else 5 - accepted)


class AnAnswerThatNamesASendCases(Cases):
    @pytest.mark.parametrize("status", [200, 201, 400, 402, 429, 500])
    def test_is_no_refusal(self, sample: Sample, status: int) -> None:
        named = with_value({}, sample.id_key, value_at(sample.sent, sample.id_key))
        no: dict[str, Any] = {"success": False, "code": 400, "message": "no"}
        # Without a flag, a good status and an id are what a good answer looks like.
        is_good = status == sample.good_status and not self.answers_are_flagged
        whole: list[dict[str, Any] | bytes] = [] if is_good else [{**no, **named}]
        for data in (
            *whole,
            {**no, "data": named},
            {**no, "result": [{"inner": named}]},
            json.dumps({**named, **no}).encode()[:-5],
            b'{"cost": NaN, ' + json.dumps(named).encode()[1:],
        ):
            response = answer(data, status)
            assert sample.gateway.names_a_send(response), f"names_a_send: the id is in {data!r}"
            assert sample.fail(response).kind is ErrorKind.UNKNOWN, (
                f"parse_batch: {data!r} (HTTP {status}) names an accepted message, so it is no refusal; decorate it "
                "with in_doubt_if_named(names_a_send)"
            )

    @pytest.mark.parametrize("nothing", [None, "", " ", 0, "0", "0.0", [], {}, True, False])
    @pytest.mark.parametrize("status", [400, 429])
    def test_is_not_one_without_an_id(self, sample: Sample, nothing: object, status: int) -> None:
        no = {"success": False, "code": 400, "message": "no"}
        response = answer(with_value(no, sample.id_key, nothing), status)
        assert not sample.gateway.names_a_send(response)
        assert sample.fail(response).kind in (ErrorKind.REJECTED, ErrorKind.RETRYABLE)

    def test_is_not_one_that_cannot_be_read(self, gateway: Gateway) -> None:
        for body in UNREADABLE.values():
            assert not gateway.names_a_send(answer(body, 429))

    @pytest.mark.parametrize("code", [200, "200", 201])
    def test_a_no_with_the_code_of_a_success_is_in_doubt(self, sample: Sample, code: object) -> None:
        for status in (200, 400) if self.answers_are_flagged else (200,):
            response = answer({"success": False, "code": code, "message": "no"}, status)
            assert sample.fail(response).kind is ErrorKind.UNKNOWN
        rate_limit = answer({"success": False, "code": code, "message": "no"}, 429)
        assert sample.fail(rate_limit).kind is ErrorKind.RETRYABLE


class UnreadableAnswerCases(Cases):
    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (200, ErrorKind.UNKNOWN),
            (201, ErrorKind.UNKNOWN),
            (204, ErrorKind.UNKNOWN),
            (301, ErrorKind.CONFIGURATION),
            (302, ErrorKind.UNKNOWN),
            (307, ErrorKind.CONFIGURATION),
            (308, ErrorKind.CONFIGURATION),
            (400, ErrorKind.REJECTED),
            (401, ErrorKind.CONFIGURATION),
            (403, ErrorKind.CONFIGURATION),
            (404, ErrorKind.REJECTED),
            (408, ErrorKind.UNKNOWN),
            (429, ErrorKind.RETRYABLE),
            (500, ErrorKind.UNKNOWN),
            (502, ErrorKind.UNKNOWN),
            (503, ErrorKind.UNKNOWN),
            (504, ErrorKind.UNKNOWN),
        ],
    )
    def test_to_a_send(self, sample: Sample, status: int, kind: ErrorKind) -> None:
        for name, body in UNREADABLE.items():
            error = sample.fail(answer(body, status))
            assert (error.kind, error.status, error.gateway) == (kind, status, sample.gateway.INFO.name), name
            assert error.endpoint == sample.build().endpoint
            assert f"HTTP {status}" in str(error)
            assert nothing_private_in(error), name

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (200, ErrorKind.RETRYABLE),
            (301, ErrorKind.CONFIGURATION),
            (401, ErrorKind.CONFIGURATION),
            (404, ErrorKind.NOT_FOUND),
            (429, ErrorKind.RETRYABLE),
            (500, ErrorKind.RETRYABLE),
            (503, ErrorKind.RETRYABLE),
        ],
    )
    def test_to_a_read(self, gateway: Gateway, status: int, kind: ErrorKind) -> None:
        for name, body in UNREADABLE.items():
            error = failure(partial(gateway.parse_balance, answer(body, status)))
            assert (error.kind, error.status) == (kind, status), name
            assert nothing_private_in(error), name

    @pytest.mark.parametrize("status", [200, 302, 401, 429, 500])
    def test_to_a_cancel(self, gateway: Gateway, status: int) -> None:
        for name, body in UNREADABLE.items():
            error = failure(partial(gateway.parse_cancel, answer(body, status), "8123456"))
            assert nothing_private_in(error), name

    def test_shows_enough_to_find_the_cause_and_no_more(self, sample: Sample) -> None:
        error = sample.fail(answer(b"<html>" + b"Service down for maintenance. " * 100, 503))
        assert "Service down for maintenance." in str(error)
        assert len(str(error)) < 200 + 100


REFUSALS = [
    {"success": False, "code": 1, "message": f"{TEXT} {KEY} {NUMBER}"},
    {"success": False, "code": f"{TEXT} {KEY} {NUMBER}", "message": "x"},
    {"success": False, "code": KEY},
    {"success": False, "code": NUMBER, "error": KEY},
    {"success": False, "code": 33699887766},
    {"success": False, "error": {"code": KEY, "message": NUMBER}},
    {
        "success": False,
        "code": 1,
        "errors": [{"code": KEY, "message": TEXT, "elementId": NUMBER, "phoneNumber": NUMBER}],
    },
    {"code": 400, "message": "x", "errors": {KEY: [TEXT, NUMBER]}},
]


class RefusalCases(Cases):
    @pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
    def test_never_shows_a_key_a_number_or_a_text(self, sample: Sample, status: int) -> None:
        for data in REFUSALS:
            response = answer(data, status)
            assert nothing_private_in(sample.fail(response)), data
            assert nothing_private_in(failure(partial(sample.gateway.parse_balance, response))), data
            assert nothing_private_in(failure(partial(sample.gateway.parse_cancel, response, "8123456"))), (
                data
            )

    def test_a_rate_limit_may_be_tried_again(self, sample: Sample) -> None:
        for data in ({"success": False, "code": 429, "message": "slow down"}, {}):
            assert sample.fail(answer(data, 429)).kind is ErrorKind.RETRYABLE

    def test_an_empty_object_proves_nothing(self, sample: Sample) -> None:
        for status in (200, 201, 202, 500):
            assert sample.fail(answer({}, status)).kind is ErrorKind.UNKNOWN


class BalanceCases(Cases):
    def test_is_exact_money(self, gateway: Gateway) -> None:
        balance = gateway.parse_balance(answer({**self.balance, "brand_new": 1}))
        assert (balance.amount, balance.unit) == (Decimal("42.5"), "EUR")
        assert isinstance(balance.amount, Decimal)
        assert balance.raw["brand_new"] == 1

    def test_must_be_there(self, gateway: Gateway) -> None:
        failure(lambda: gateway.parse_balance(answer({"success": True, "code": 200})))
