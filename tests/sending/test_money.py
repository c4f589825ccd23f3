"""No campaign spends more than ``max_cost``, as the gateway counts: whatever is in doubt, told or sent again."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_voicepartner.exceptions import (
    BudgetExceededError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.gateways.model import Receipt
from airflow_provider_voicepartner.sending.ledger import OnUnknown
from tests.support.campaigns import SIZE, attempt, campaign, first_of
from tests.support.tasks import FakeStore
from tests.support.transport import CrashError, Crashes, CrashingStore, FakeTransport

BATCHES = 3
PRICE = Decimal("0.1")
BATCH = PRICE * SIZE
"""What one batch costs."""


@dataclass
class ChargingTransport(FakeTransport):
    """
    A gateway that charges for each batch that it takes, and tells what it likes.

    :param tells: the cost in its answers, from the true one.
    :param dear: first recipients of batches that cost three times as much.
    """

    tells: Callable[[Decimal], Any] = lambda cost: cost
    dear: tuple[str, ...] = ()
    charged: Decimal = Decimal(0)

    def _deliver(self, reference: str, recipients: Any) -> None:
        before = len(self.taken)
        try:
            super()._deliver(reference, recipients)
        finally:
            if len(self.taken) > before:
                self.charged += self.cost_of(recipients)

    def cost_of(self, recipients: Any) -> Decimal:
        """Return the true cost."""
        return BATCH * (3 if recipients[0].phone_number in self.dear else 1)

    def deliver(self, request: Any, message: Any, recipients: Any, **more: Any) -> Receipt:
        """Take a batch, and tell of its cost."""
        receipt = super().deliver(request, message, recipients, **more)
        return replace(receipt, cost=self.tells(self.cost_of(recipients)))


TELLS: dict[str, Callable[[Decimal], Any]] = {
    "told": lambda cost: cost,
    "not told": lambda cost: None,
    "0": lambda cost: Decimal(0),
    "negative": lambda cost: -cost,
    "not a number": lambda cost: Decimal("NaN"),
}
LIMITS = [BATCH * sendings for sendings in range(1, 2 * BATCHES + 2)]


def attempts(
    transport: ChargingTransport,
    limit: Decimal,
    unit_price: Decimal | None,
    choices: list[OnUnknown],
    workers: int = 1,
    crashes: Crashes | None = None,
) -> bool:
    """Attempt a campaign again and again, as a user does who chooses what to do with doubts; say whether it ended."""
    store = FakeStore()
    for number, on_unknown in enumerate(choices, start=1):
        wanted = campaign(
            BATCHES, max_cost=limit, unit_price=unit_price, on_unknown=on_unknown, max_in_flight=workers
        )
        where = store if crashes is None else CrashingStore(store, crashes)
        try:
            attempt(transport, where, wanted, try_number=number)
        except (BudgetExceededError, SendOutcomeUnknownError):
            continue
        except CrashError:
            crashes = None
            transport.crashes = Crashes()
            continue
        return True
    return False


def most(limit: Decimal, tells: str, unit_price: Decimal | None) -> Decimal:
    """Return what may be charged: the limit. Where nobody knows any price, a first batch is sent to learn it."""
    return limit if unit_price is not None or tells == "told" else max(limit, BATCH)


@pytest.mark.sampled(40)
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("unit_price", [PRICE, None], ids=["unit_price", "no unit_price"])
@pytest.mark.parametrize("tells", TELLS)
@pytest.mark.parametrize("place", range(BATCHES), ids=["first", "middle", "last"])
@pytest.mark.parametrize("chosen", ["at once", "by a retry"])
def test_a_doubt_at_any_place_never_passes_the_limit(
    chosen: str, place: int, tells: str, unit_price: Decimal | None, workers: int
) -> None:
    for limit in LIMITS:
        transport = ChargingTransport(tells=TELLS[tells], price=None)
        transport.lost[first_of(place)] = SendOutcomeUnknownError("lost")
        choices: list[OnUnknown] = ["resend"] * 4 if chosen == "at once" else ["fail", "resend", "resend"]
        ended = attempts(transport, limit, unit_price, choices, workers)
        assert transport.charged <= most(limit, tells, unit_price), limit
        # Nothing stops a campaign that can be paid for: four sendings of three batches.
        if unit_price is not None or (tells == "told" and place):
            assert ended == (limit >= 4 * BATCH), limit
            assert len(transport.messaged) == BATCHES * SIZE or not ended


@pytest.mark.parametrize(
    "choices", [["resend"] * 4, ["fail", "resend", "resend"]], ids=["at once", "by retries"]
)
@pytest.mark.parametrize("place", range(BATCHES), ids=["first", "middle", "last"])
def test_a_batch_whose_repeat_is_in_doubt_too_counts_each_time(place: int, choices: list[OnUnknown]) -> None:
    for limit in LIMITS:
        transport = ChargingTransport(price=None)
        lost = [SendOutcomeUnknownError("lost"), SendOutcomeUnknownError("lost again")]

        def lose(first: str, transport: ChargingTransport = transport, lost: list[Any] = lost) -> None:
            if first == first_of(place) and lost:
                transport.lost[first] = lost.pop()

        transport.check = lose
        ended = attempts(transport, limit, PRICE, [*choices, "resend"])
        assert transport.charged <= limit
        # Three batches, and two sendings of which nobody knows.
        assert ended == (limit >= 5 * BATCH)


@pytest.mark.sampled(14)
@pytest.mark.parametrize("unit_price", [PRICE, None], ids=["unit_price", "no unit_price"])
@pytest.mark.parametrize("tells", TELLS)
@pytest.mark.parametrize("place", [None, 0, 1, 2], ids=["no other doubt", "first", "middle", "last"])
def test_a_kill_at_any_instant_never_passes_the_limit(
    place: int | None, tells: str, unit_price: Decimal | None
) -> None:
    for limit in (2 * BATCH, 3 * BATCH, 4 * BATCH, 5 * BATCH):
        for deadly in range(24):
            crashes = Crashes(frozenset({deadly}))
            transport = ChargingTransport(tells=TELLS[tells], price=None, crashes=crashes)
            if place is not None:
                transport.lost[first_of(place)] = SendOutcomeUnknownError("lost")
            attempts(transport, limit, unit_price, ["resend"] * 4, crashes=crashes)
            assert transport.charged <= most(limit, tells, unit_price), (limit, deadly)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("tells", TELLS)
@pytest.mark.parametrize("place", range(BATCHES), ids=["first", "middle", "last"])
def test_whoever_gives_the_dearest_price_is_never_charged_more_than_the_limit(
    place: int, tells: str, workers: int
) -> None:
    """Of several countries one is dear; answers about the others must not make anybody hope."""
    for limit in LIMITS:
        transport = ChargingTransport(tells=TELLS[tells], price=None, dear=(first_of(place),))
        attempts(transport, limit, PRICE * 3, ["resend"] * 3, workers)
        assert transport.charged <= limit


@pytest.mark.parametrize("place", range(BATCHES), ids=["first", "middle", "last"])
@pytest.mark.parametrize("known_by", ["finds", "recognises"])
def test_what_a_look_up_or_a_recognised_repeat_settles_counts_once(known_by: str, place: int) -> None:
    transport = ChargingTransport(price=None, finds=known_by == "finds", recognises=known_by == "recognises")
    transport.lost[first_of(place)] = SendOutcomeUnknownError("lost")
    assert attempts(transport, BATCHES * BATCH, PRICE, ["fail"])
    assert transport.charged == BATCHES * BATCH
    assert set(transport.messaged.values()) == {1}


@pytest.mark.parametrize("told", [Decimal(0), Decimal(-1), None], ids=str)
def test_a_simulation_that_tells_nothing_does_not_lift_the_limit(told: Decimal | None) -> None:
    transport = ChargingTransport(price=None, tells_price=True, tells=lambda cost: told)
    assert not attempts(transport, 2 * BATCH, PRICE, ["fail"] * 2)
    assert transport.charged == 2 * BATCH


@pytest.mark.parametrize("unit_price", [PRICE, None], ids=["unit_price", "no unit_price"])
@pytest.mark.parametrize("sent", range(1, BATCHES + 1))
def test_an_attempt_that_is_blind_counts_every_batch_as_sent_before(
    sent: int, unit_price: Decimal | None
) -> None:
    """Whatever the tries without a trace sent was charged, also of the batches behind the one that is sent again."""
    for limit in LIMITS:
        transport = ChargingTransport(price=None)
        transport.failures = [None] * sent + [RetryableNotSentError("stopped")]
        wanted = campaign(BATCHES, max_cost=limit, unit_price=unit_price, on_unknown="resend")
        for number in (1, 2):
            with contextlib.suppress(BudgetExceededError, RetryableNotSentError):
                attempt(transport, None, wanted, try_number=number)
        assert transport.charged <= most(limit, "told", unit_price), limit
        if unit_price is not None and limit >= 2 * BATCHES * BATCH:
            assert len(transport.messaged) == BATCHES * SIZE
