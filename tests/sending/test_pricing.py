"""What is asked before anything leaves: the price of the very request, and the balance."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_voicepartner.exceptions import (
    BudgetExceededError,
    RejectedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.gateways.model import Recipient
from airflow_provider_voicepartner.sending.budget import Budget
from tests.sending.test_campaign import SIZE, attempt, campaign, first_of
from tests.support.tasks import FakeStore
from tests.support.transport import NOW, FakeTransport


@pytest.mark.parametrize(("batches", "is_asked"), [(1, False), (2, True), (3, True)])
def test_the_balance_is_worth_a_question_from_two_batches_on(batches: int, is_asked: bool) -> None:
    transport = FakeTransport(price=Decimal(1), tells_price=True, money=Decimal(1))
    if is_asked:
        with pytest.raises(RejectedError, match="the account has 1 and the campaign costs about"):
            attempt(transport, FakeStore(), campaign(batches))
    else:
        attempt(transport, FakeStore(), campaign(batches))
    assert (transport.simulated, transport.messaged.total()) == ((1, 0) if is_asked else (0, SIZE))


@pytest.mark.parametrize("send_at", [None, NOW + timedelta(hours=1)])
def test_what_is_simulated_is_the_request_that_will_be_sent(send_at: datetime | None) -> None:
    built: list[tuple[bool, datetime | None, int]] = []

    class Noting(FakeTransport):
        def build_batch(self, message: Any, recipients: Any, **more: Any) -> Any:
            built.append((more.get("simulate", False), more.get("send_at"), len(recipients)))
            return super().build_batch(message, recipients, **more)

    attempt(Noting(tells_price=True), FakeStore(), campaign(2, send_at=send_at))
    assert sorted(built, key=lambda one: one[0]) == [
        (False, send_at, SIZE),
        (False, send_at, SIZE),
        (True, send_at, SIZE),
    ]


def test_what_is_in_doubt_is_not_needed_again_before_it_is_known_that_it_is_sent_again() -> None:
    """The rest leaves first, and a look-up may settle the doubt; a repeat that nobody can pay the gateway refuses."""
    store, transport = FakeStore(), FakeTransport(price=Decimal(1))
    transport.lost[first_of(0)] = SendOutcomeUnknownError("lost")
    transport.failures = [None, RetryableNotSentError("stopped")]
    with pytest.raises(RetryableNotSentError):
        attempt(transport, store, campaign(3))
    again = campaign(3, on_unknown="resend", unit_price=Decimal(1))
    transport.money = Decimal(3)
    with pytest.raises(RejectedError, match="has 3 and the campaign costs about 4 for the 4"):
        attempt(transport, store, again, try_number=2)
    transport.money = Decimal(4)
    attempt(transport, store, again, try_number=3)
    assert transport.messaged.total() == 4 * SIZE


class ByCountry(FakeTransport):
    """A gateway for which France costs twice as much as Belgium."""

    def deliver(self, request: Any, message: Any, recipients: Any, **more: Any) -> Any:
        receipt = super().deliver(request, message, recipients, **more)
        each = Decimal(1) if recipients[0].phone_number.startswith("+33") else Decimal("0.5")
        return replace(receipt, cost=each * len(recipients))


@pytest.mark.parametrize(("limit", "batches"), [("4", 3), ("3.99", 2)])
def test_a_price_told_for_one_batch_holds_for_the_next_of_its_country(limit: str, batches: int) -> None:
    """The last batch is as cheap as the one before it, though the first was dear."""
    transport = ByCountry(tells_price=True)
    numbers = [f"+3361234560{last}" for last in (1, 2)], [f"+3247012345{last}" for last in (1, 2, 3, 4)]
    french, belgian = ([Recipient(number) for number in some] for some in numbers)
    wanted = replace(
        campaign(3, max_cost=Decimal(limit)), batches=(tuple(french), tuple(belgian[:2]), tuple(belgian[2:]))
    )
    if batches == 3:
        attempt(transport, FakeStore(), wanted)
    else:
        with pytest.raises(BudgetExceededError, match=r"3\.0 spent or in flight, and 1\.0 for the next 2"):
            attempt(transport, FakeStore(), wanted)
    assert (transport.simulated, transport.messaged.total()) == (2, batches * SIZE)


@pytest.mark.parametrize("told", [None, Decimal(0), Decimal(-1)], ids=str)
def test_a_simulation_that_tells_no_price_is_not_asked_for_again(told: Decimal | None) -> None:
    transport = FakeTransport(price=told, tells_price=True)
    attempt(transport, FakeStore(), campaign(4, max_cost=Decimal(8), unit_price=Decimal(1)))
    assert (transport.simulated, transport.messaged.total()) == (1, 4 * SIZE)


def test_price_and_balance_are_told_before_the_campaign_begins(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    transport = FakeTransport(price=Decimal(1), tells_price=True, money=Decimal(100))
    attempt(transport, FakeStore(), campaign(3))
    assert "About 6 is needed for 6 SMS segments; the account has 100" in caplog.text


def test_a_balance_that_cannot_be_read_stops_nobody_and_is_said(caplog: pytest.LogCaptureFixture) -> None:
    class Mute(FakeTransport):
        def money_left(self) -> Decimal | None:
            raise RetryableNotSentError("the gateway is busy")

    transport = Mute(price=Decimal(1), tells_price=True)
    attempt(transport, FakeStore(), campaign(2))
    assert transport.messaged.total() == 2 * SIZE
    assert (
        "The balance could not be read, so it is not compared with the price: the gateway is busy"
        in caplog.text
    )


def test_what_earlier_attempts_sent_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that is under way would be counted as a doubt of its own, if the ledger were read again."""
    counted: list[int] = []
    count = Budget.count
    monkeypatch.setattr(Budget, "count", lambda budget, records: counted.append(1) or count(budget, records))
    attempt(FakeTransport(), FakeStore(), campaign(3, max_cost=Decimal(8)))
    assert counted == [1]
