"""What a campaign may cost is asked, compared and kept, also by a retry."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_voicepartner.exceptions import (
    BudgetExceededError,
    ConfigurationError,
    RejectedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.gateways.model import Recipient, SmsMessage
from tests.support.campaigns import (
    SIZE,
    TEXT,
    attempt,
    campaign,
    first_of,
    paced,
)
from tests.support.ledgers import known, phases
from tests.support.servers import FakeTime
from tests.support.tasks import FakeStore
from tests.support.transport import (
    CountingStore,
    FakeRateLimiter,
    FakeTransport,
)

# What it may cost


def test_a_budget_is_kept_with_the_price_that_a_simulation_tells() -> None:
    transport, store = FakeTransport(price=Decimal("0.05"), tells_price=True), FakeStore()
    with pytest.raises(BudgetExceededError, match=r"max_cost: 0\.29 would be exceeded"):
        attempt(transport, store, campaign(3, max_cost=Decimal("0.29"), max_in_flight=3))
    assert (transport.simulated, len(transport.messaged)) == (1, 2 * SIZE)
    attempt(transport, store, campaign(3, max_cost=Decimal("0.30")), try_number=2)
    assert set(transport.messaged.values()) == {1}
    assert len(transport.messaged) == 3 * SIZE


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("told", [Decimal("0.1"), None], ids=["receipts tell", "receipts do not tell"])
def test_the_limit_counts_what_is_spent_and_what_is_under_way(told: Decimal | None, workers: int) -> None:
    transport, store = FakeTransport(price=told), FakeStore()
    limited = campaign(9, max_cost=Decimal("0.9"), unit_price=Decimal("0.1"), max_in_flight=workers)
    with pytest.raises(BudgetExceededError, match=r"0\.8 spent or in flight, and 0\.2 for the next 2"):
        attempt(transport, store, limited)
    assert len(transport.messaged) == 4 * SIZE
    # A retry is held to the same sum, and sends nobody again.
    with pytest.raises(BudgetExceededError):
        attempt(transport, store, limited, try_number=2)
    assert len(transport.messaged) == 4 * SIZE
    attempt(transport, store, campaign(9, max_cost=Decimal("1.8"), unit_price=Decimal("0.1")), try_number=3)
    assert set(transport.messaged.values()) == {1}
    assert len(transport.messaged) == 9 * SIZE
    assert transport.simulated == 0


def test_with_an_unknown_price_the_first_batch_goes_alone_and_teaches_it() -> None:
    transport = FakeTransport(price=Decimal("0.1"))
    store = CountingStore()
    with pytest.raises(BudgetExceededError):
        attempt(transport, store, campaign(9, max_cost=Decimal("0.9"), max_in_flight=4))
    assert len(transport.messaged) == 4 * SIZE
    assert store.changed[0] == "claimed 0"
    assert store.changed[1] == "sent 0"  # what it cost is recorded before the balance is asked for
    assert store.changed[2].startswith("claimed 1")


def test_a_gateway_that_takes_a_batch_and_tells_no_price_stops_a_limited_campaign() -> None:
    transport, store = FakeTransport(price=None), FakeStore()
    with pytest.raises(BudgetExceededError, match="give unit_price"):
        attempt(transport, store, campaign(9, max_cost=Decimal(1), max_in_flight=4))
    assert len(transport.messaged) == SIZE
    attempt(transport, store, campaign(9, max_cost=Decimal(2), unit_price=Decimal("0.1")), try_number=2)
    assert set(transport.messaged.values()) == {1}
    assert len(transport.messaged) == 9 * SIZE


def spent(store: Any) -> Decimal:
    """Return what is known to have been spent."""
    return sum((record.cost or Decimal(0) for record in known(store).values()), Decimal(0))


@pytest.mark.parametrize("told", [True, False])
def test_a_retry_knows_what_later_batches_cost_before_it_fills_a_hole(told: bool) -> None:
    store = FakeStore()
    transport = FakeTransport(price=Decimal("1.5"), trouble={first_of(0): [RetryableNotSentError("429")]})
    limited = campaign(3, max_cost=Decimal(6), unit_price=Decimal(1), max_in_flight=3)
    with pytest.raises(RetryableNotSentError):
        attempt(transport, store, limited)
    assert spent(store) == 6
    transport.tells_price = told
    with pytest.raises(BudgetExceededError, match=r"6\.0 spent or in flight"):
        attempt(transport, store, limited, try_number=2)
    assert spent(store) == 6
    assert transport.messaged.total() == 2 * SIZE


def test_a_limit_that_is_set_for_a_retry_counts_what_was_sent_without_one() -> None:
    store = FakeStore()
    transport = FakeTransport(price=Decimal(1), trouble={first_of(0): [RetryableNotSentError("429")]})
    with pytest.raises(RetryableNotSentError):
        attempt(transport, store, campaign(3, max_in_flight=3))
    assert spent(store) == 4
    with pytest.raises(BudgetExceededError):
        attempt(transport, store, campaign(3, max_cost=Decimal(4)), try_number=2)
    assert spent(store) == 4
    attempt(transport, store, campaign(3, max_cost=Decimal(6)), try_number=3)
    assert set(transport.messaged.values()) == {1}
    assert transport.messaged.total() == 3 * SIZE


def test_what_is_in_doubt_behind_a_hole_counts_against_the_limit() -> None:
    store = FakeStore()
    transport = FakeTransport(price=Decimal(1), trouble={first_of(0): [RetryableNotSentError("429")]})
    transport.lost[first_of(1)] = SendOutcomeUnknownError("lost")
    with pytest.raises((RetryableNotSentError, SendOutcomeUnknownError)):
        attempt(transport, store, campaign(2, max_in_flight=2))
    assert phases(store) == {0: "refused", 1: "claimed"}
    limited = {"max_cost": Decimal(3), "unit_price": Decimal(1)}
    with pytest.raises(BudgetExceededError, match="2 spent or in flight"):
        attempt(transport, store, campaign(2, **limited), try_number=2)
    assert transport.messaged.total() == SIZE


def test_a_campaign_of_2000_batches_is_counted_without_reading_it_once_more() -> None:
    store = CountingStore()
    transport = FakeTransport(trouble={first_of(1999): [RetryableNotSentError("429")]})
    with pytest.raises(RetryableNotSentError):
        attempt(transport, store, campaign(2000))
    store.reads.clear()
    attempt(transport, store, campaign(2000, max_cost=Decimal(10_000)), try_number=2)
    assert len(store.reads) <= 160
    assert transport.messaged.total() == 2000 * SIZE


def test_without_any_price_no_retry_sends_one_more_batch() -> None:
    transport, store = FakeTransport(price=None), FakeStore()
    for number in (1, 2, 3, 4):
        with pytest.raises(BudgetExceededError, match="give unit_price"):
            attempt(transport, store, campaign(9, max_cost=Decimal(1)), try_number=number)
        assert transport.messaged.total() == SIZE


def test_the_gateways_own_price_goes_before_the_users() -> None:
    transport, store = FakeTransport(price=Decimal(1), tells_price=True), FakeStore()
    with pytest.raises(BudgetExceededError):
        attempt(transport, store, campaign(3, max_cost=Decimal(3), unit_price=Decimal("0.1")))
    assert (transport.simulated, transport.messaged.total()) == (1, SIZE)


@pytest.mark.parametrize("limit", [None, Decimal(1)])
def test_the_users_price_counts_where_a_simulation_tells_none(limit: Decimal | None) -> None:
    transport = FakeTransport(price=None, tells_price=True, money=Decimal("0.5"))
    with pytest.raises(RejectedError, match=r"has 0\.5 and the campaign costs about 0\.6 for the 6"):
        attempt(transport, FakeStore(), campaign(3, max_cost=limit, unit_price=Decimal("0.1")))
    assert not transport.messaged


def test_the_balance_is_compared_as_soon_as_the_first_answer_tells_a_price() -> None:
    transport, store = FakeTransport(price=Decimal(1), money=Decimal(4)), FakeStore()
    with pytest.raises(RejectedError, match="has 4 and the campaign costs about 16 for the 16") as caught:
        attempt(transport, store, campaign(9))
    assert caught.value.kind is ErrorKind.CREDIT
    assert transport.messaged.total() == SIZE
    assert phases(store) == {0: "sent"}
    transport.money = Decimal(16)
    attempt(transport, store, campaign(9), try_number=2)
    assert transport.messaged.total() == 9 * SIZE


def test_a_balance_is_compared_with_what_is_left_and_not_with_what_is_under_way() -> None:
    """What is under way may have been paid for already."""
    transport = FakeTransport(price=Decimal(1))
    transport.check = lambda first: setattr(transport, "money", Decimal(18) - transport.under_way * SIZE)
    attempt(transport, FakeStore(), campaign(9, max_in_flight=3))
    assert transport.messaged.total() == 9 * SIZE


def test_a_campaign_that_its_limit_will_stop_says_so_before_it_begins(
    caplog: pytest.LogCaptureFixture,
) -> None:
    transport = FakeTransport(price=Decimal(1), tells_price=True)
    with pytest.raises(BudgetExceededError):
        attempt(transport, FakeStore(), campaign(9, max_cost=Decimal(4)))
    assert "About 18 is needed for what is left, which max_cost does not allow" in caplog.text


@pytest.mark.parametrize("tells", [True, False])
def test_what_has_landed_is_recorded_before_the_gateway_is_asked_for_anything(tells: bool) -> None:
    """A crash in a question that takes long must leave nothing in doubt that was answered."""
    store = FakeStore()
    asked: list[dict[int, str]] = []

    class Asked(FakeTransport):
        def deliver(self, request: Any, message: Any, recipients: Any, *, slot: Any = None) -> Any:
            if request.body["simulate"]:
                asked.append(phases(store))
            return super().deliver(request, message, recipients, slot=slot)

        def money_left(self) -> Decimal | None:
            asked.append(phases(store))
            return None

    wanted = campaign(3, max_cost=Decimal(100)) if tells else campaign(3)
    wanted = replace(wanted, message=SmsMessage(text="Bonjour {name}"))
    attempt(Asked(tells_price=tells), store, wanted)
    sent: list[dict[int, str]] = [{}, {0: "sent"}, {0: "sent", 1: "sent"}]
    assert asked == ([sent[0], *sent] if tells else sent[1:2])


def test_nobody_with_a_turn_waits_while_the_price_of_another_batch_is_asked_for() -> None:
    time = FakeTime()
    rate_limiter, left = FakeRateLimiter(time, gap=0), []

    class Slow(FakeTransport):
        def deliver(self, request: Any, message: Any, recipients: Any, *, slot: Any = None) -> Any:
            if request.body["simulate"]:
                time.sleep(5)
            return super().deliver(request, message, recipients, slot=slot)

    transport = Slow(tells_price=True)
    transport.check = lambda first: left.append(time.moment)
    wanted = campaign(3, max_cost=Decimal(100), max_in_flight=3)
    paced(rate_limiter, transport, FakeStore(), replace(wanted, message=SmsMessage(text="Bonjour {name}")))
    assert left == rate_limiter.taken
    assert transport.simulated == 3


WEIGHTS = (2, 6, 2)
"""Segments of three batches of two people: the second gets texts of three segments."""


class Weighing(FakeTransport):
    """Charges by the segment, like every gateway of SMS."""

    def deliver(self, request: Any, message: Any, recipients: Any, *, slot: Any = None) -> Any:
        receipt = super().deliver(request, message, recipients, slot=slot)
        assert self.price is not None
        batch = (int(recipients[0].phone_number[4:]) - int(first_of(0)[4:])) // SIZE
        return replace(receipt, cost=self.price * WEIGHTS[batch])


@pytest.mark.parametrize("tells", [True, False])
def test_batches_are_priced_by_their_segments(tells: bool) -> None:
    transport, store = Weighing(price=Decimal(1), tells_price=tells), FakeStore()
    limited = campaign(
        3, max_cost=Decimal(7), unit_price=Decimal(1), segments_per_batch=lambda index: (WEIGHTS[index],)
    )
    with pytest.raises(BudgetExceededError, match="2 spent or in flight, and 6 for the next 6 SMS segments"):
        attempt(transport, store, limited)
    assert spent(store) == 2
    transport.money = Decimal(7)
    with pytest.raises(RejectedError, match="costs about 8 for the 8"):
        attempt(transport, store, replace(limited, max_cost=None), try_number=2)
    transport.money = None
    attempt(transport, store, replace(limited, max_cost=Decimal(10)), try_number=3)
    assert spent(store) == 10


@pytest.mark.parametrize("limited", [True, False])
@pytest.mark.parametrize(
    ("text", "countries", "asked"), [(TEXT, "+33", 1), ("Bonjour {name}", "+33", 3), (TEXT, "mixed", 3)]
)
def test_with_a_limit_each_batch_that_may_cost_another_price_is_asked_for(
    limited: bool, text: str, countries: str, asked: int
) -> None:
    """One simulation tells for all batches of one text to one country."""
    transport = FakeTransport(price=Decimal(1), tells_price=True)
    wanted = campaign(3, max_cost=Decimal(6) if limited else None)
    batches = [list(batch) for batch in wanted.batches]
    if countries == "mixed":
        for number, batch in enumerate(batches):
            batch[1] = Recipient(f"+3247012345{number}")
    wanted = replace(wanted, message=SmsMessage(text=text), batches=[tuple(batch) for batch in batches])
    attempt(transport, FakeStore(), wanted)
    assert transport.simulated == (asked if limited else 1)
    assert transport.messaged.total() == 3 * SIZE


def test_no_batch_passes_the_limit_whose_price_the_gateway_tells() -> None:
    """People of another country cost ten times as much, and only the gateway knows."""

    class Abroad(FakeTransport):
        def deliver(self, request: Any, message: Any, recipients: Any, *, slot: Any = None) -> Any:
            receipt = super().deliver(request, message, recipients, slot=slot)
            abroad = sum(person.phone_number.startswith("+32") for person in recipients)
            return replace(receipt, cost=Decimal(len(recipients) + 9 * abroad))

    transport, store = Abroad(tells_price=True), FakeStore()
    wanted = campaign(3, max_cost=Decimal(13), unit_price=Decimal(1))
    first, second, third = wanted.batches
    batches = [first, (second[0], Recipient("+32470123456")), third]
    with pytest.raises(BudgetExceededError, match="2 spent or in flight, and 11 for"):
        attempt(transport, store, replace(wanted, batches=batches, max_cost=Decimal(12)))
    assert spent(store) == 2
    attempt(transport, store, replace(wanted, batches=batches, max_cost=Decimal(15)), try_number=2)
    assert spent(store) == 15


@pytest.mark.parametrize("simulates", [True, False])
def test_a_single_batch_without_a_price_is_refused(simulates: bool) -> None:
    transport = FakeTransport(price=None, tells_price=simulates)
    with pytest.raises(ConfigurationError, match=r"max_cost: .* give unit_price"):
        attempt(transport, FakeStore(), campaign(1, max_cost=Decimal(1)))
    assert (transport.simulated, transport.messaged.total()) == (simulates, 0)


def test_a_price_that_nobody_answered_is_not_a_send_in_doubt() -> None:
    store = FakeStore()
    transport = FakeTransport(tells_price=True, failures=[SendOutcomeUnknownError("read timeout")])
    with pytest.raises(RetryableNotSentError, match="nothing was sent"):
        attempt(transport, store, campaign(3, max_cost=Decimal(1)))
    attempt(transport, store, campaign(3, max_cost=Decimal(1)), try_number=2)
    assert transport.messaged.total() == 3 * SIZE


def test_without_a_limit_a_price_that_nobody_answered_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    transport = FakeTransport(tells_price=True, failures=[SendOutcomeUnknownError("read timeout")])
    attempt(transport, FakeStore(), campaign(3))
    assert transport.messaged.total() == 3 * SIZE
    assert "the balance is not compared" in caplog.text
