"""The loop that sends a campaign: for each batch claim, send, record; a retry goes on where the last one stopped."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Protocol

from airflow_provider_voicepartner.exceptions import (
    CampaignInterruptedError,
    RetryableNotSentError,
)
from airflow_provider_voicepartner.gateways.model import MAX_RECIPIENTS_PER_BATCH, Message, Recipient
from airflow_provider_voicepartner.sending.budget import Budget
from airflow_provider_voicepartner.sending.doubt import Doubt, DoubtSettler
from airflow_provider_voicepartner.sending.fingerprint import new_reference
from airflow_provider_voicepartner.sending.flight import Carrier, Flight, Landing
from airflow_provider_voicepartner.sending.lanes import Lanes, Task
from airflow_provider_voicepartner.sending.ledger import BatchRecord, Ledger, OnUnknown, Phase
from airflow_provider_voicepartner.sending.messenger import (
    Messenger,
    NoLimit,
    Turnstile,
    TurnTooFarError,
)
from airflow_provider_voicepartner.sending.pricing import Pricing
from airflow_provider_voicepartner.sending.progress import ProgressLog
from airflow_provider_voicepartner.sending.schedule import OnLate, Schedule
from airflow_provider_voicepartner.sending.stop import StopSign

log = logging.getLogger(__name__)

MAX_IN_FLIGHT = 4
GRACE_SECONDS = 20.0
"""How long an interrupted campaign waits for answers that are under way; Airflow kills a task 60 s after SIGTERM."""
_GLANCE = 0.5


class Batches(Protocol):
    """The recipients of a campaign in batches, always cut in the same way."""

    def __len__(self) -> int:
        """How many batches."""

    def __iter__(self) -> Iterator[Sequence[Recipient]]:
        """Batch by batch, from the first."""


def in_batches(recipients: Sequence[Recipient]) -> tuple[tuple[Recipient, ...], ...]:
    """Cut recipients into batches of at most 500, always in the same way."""
    step = MAX_RECIPIENTS_PER_BATCH
    return tuple(tuple(recipients[start : start + step]) for start in range(0, len(recipients), step))


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """
    What one task sends.

    :param message: what is said.
    :param batches: 1 to 500 recipients each, all different.
    :param recipients: how many there are in all batches together.
    :param send_at: aware; None sends at once.
    :param on_late: what to do with batches that have not left when ``send_at`` passes: ``fail``, or ``send_now``.
    :param max_cost: stop before this price is passed; None has no limit.
    :param unit_price: price of one SMS segment or one call, for gateways that cannot tell before sending.
    :param weigh: returns a batch's SMS segments, which it is priced by; None prices each recipient as one.
    :param on_unknown: what to do with a batch that is in doubt.
    :param send_again: any text; everything is sent again, once, if it differs from the one that the ledger knows.
    :param max_in_flight: batches under way at once.
    :param longest_wait: seconds to wait for the rate limit; beyond it the campaign is handed back. None always waits.
    """

    message: Message
    batches: Batches
    recipients: int
    send_at: datetime | None = None
    on_late: OnLate = "fail"
    max_cost: Decimal | None = None
    unit_price: Decimal | None = None
    weigh: Callable[[int], int] | None = None
    on_unknown: OnUnknown = "fail"
    send_again: str | None = None
    max_in_flight: int = MAX_IN_FLIGHT
    longest_wait: float | None = None


@dataclass(kw_only=True)
class CampaignSender:
    """
    Sends one campaign, once.

    One thread reads batches, asks for budget and turn, and writes the ledger; others only send. The record of a batch
    that has landed and the claim of the next travel in one write, and nothing is claimed that is not about to leave.

    :param messenger: the hook; must bear several threads.
    :param ledger: opened by :meth:`send`.
    :param turnstile: the gateway's rate limit.
    :param now: the present, aware; injected by tests.
    :param reference: makes the id of a batch; injected by tests.
    :param sleep: waits; injected by tests.
    :param clock: seconds that only go forward; injected by tests.
    :param stop: raised by anybody to stop, and by a campaign that fails; what sends must heed it.
    """

    messenger: Messenger
    ledger: Ledger
    now: Callable[[], datetime]
    turnstile: Turnstile = field(default_factory=NoLimit)
    reference: Callable[[], str] = new_reference
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    stop: StopSign = field(default_factory=StopSign)

    def send(self, campaign: Campaign) -> list[BatchRecord]:
        """
        Send every batch that the ledger does not know as sent.

        :returns: one record a batch, all of them sent or assumed sent.
        :raises ConfigurationError: bad input, or input that changed since an earlier attempt; nothing was sent.
        :raises BudgetExceededError: the next batch would pass ``max_cost``.
        :raises NotSentError: a batch was refused, or must wait; what was sent is recorded.
        :raises SendOutcomeUnknownError: a batch is in doubt and ``on_unknown`` is ``fail``.
        :raises CampaignInterruptedError: ``stop`` was raised; what was sent is recorded.
        """
        self.ledger.open(len(campaign.batches), send_again=campaign.send_again)
        with closing(Lanes()) as lanes:
            run = _Run(sender=self, campaign=campaign, lanes=lanes)
            try:
                return run.to_the_end()
            except BaseException:
                # A time-out, a kill, a bug: nothing more leaves; let land what is on the wire, then go on falling.
                self.stop.raise_()
                run.land_all()
                raise


@dataclass(kw_only=True)
class _Run:
    """The state of one campaign on its way."""

    sender: CampaignSender
    campaign: Campaign
    lanes: Lanes
    records: dict[int, BatchRecord] = field(default_factory=dict)
    under_way: dict[int, Task[Landing]] = field(default_factory=dict)
    landed: dict[int, BatchRecord] = field(default_factory=dict)
    ready: Flight | None = None
    leaving: int = 0
    put_back: tuple[int, Sequence[Recipient]] | None = None
    failure: BaseException | None = None
    stopped_at: float | None = None

    def __post_init__(self) -> None:
        self.batches = enumerate(self.campaign.batches)
        sender, campaign = self.sender, self.campaign
        self.budget = Budget(campaign.max_cost, campaign.unit_price, campaign.weigh)
        self.pricing = Pricing(sender, campaign, self.budget, before_asking=partial(self._write, {}))
        self.schedule = Schedule(campaign, sender.ledger, sender.now)
        self.settler = DoubtSettler(
            messenger=self.sender.messenger,
            message=self.campaign.message,
            send_at=self.schedule.for_repeats,
            on_unknown=self.campaign.on_unknown,
            now=self.sender.now,
            sleep=self.sender.stop.sleeper(self.sender.sleep),
        )
        self.carrier = Carrier(
            messenger=self.sender.messenger,
            message=self.campaign.message,
            settler=self.settler,
            now=self.sender.now,
        )
        self.progress = ProgressLog(len(self.campaign.batches))
        self.finished = False

    def to_the_end(self) -> list[BatchRecord]:
        """Send batch by batch until nothing is left, then raise the first failure there was."""
        while True:
            leaving = list(self._next_flights())
            self._claim(leaving)
            for flight in leaving:
                task = self.under_way[flight.index] = Task(partial(self.carrier.fly, flight))
                self.lanes.start(task)
            if not (self.under_way or self.ready) or self._has_waited_enough():
                break
            self._wait()
        # Who was stopped in a wait says less than how far we came.
        if self.failure is not None and not isinstance(self.failure, CampaignInterruptedError):
            raise self.failure
        if len(self.records) < len(self.campaign.batches):
            raise CampaignInterruptedError(
                f"stopped as asked, after {len(self.records)} of {len(self.campaign.batches)} batches; "
                "what was sent is recorded, and a retry goes on with the rest"
            )
        return [self.records[index] for index in sorted(self.records)]

    def _has_waited_enough(self) -> bool:
        """Say whether what is under way had its time, after somebody asked to stop."""
        return self.sender.stop.is_up and self._grace() <= 0

    def _grace(self) -> float:
        """Return the seconds that are left for what is under way, from the moment when this was first asked."""
        now = time.monotonic()
        self.stopped_at = self.stopped_at or now
        return self.stopped_at + GRACE_SECONDS - now

    def _next_flights(self) -> Iterator[Flight]:
        """Yield what may leave now: as many as there are free lanes, each with its turn."""
        free = self.campaign.max_in_flight - len(self.under_way)
        self.leaving = 0
        while free > 0 and self._may_go_on():
            flight = self.ready = self.ready or self._prepare()
            if flight is None or flight.due > self.sender.clock():
                return
            self.ready = None
            free -= 1
            self.leaving += 1
            if flight.claim.at is None:
                flight.claim = replace(flight.claim, at=self.sender.now().isoformat())
            yield flight

    def _may_go_on(self) -> bool:
        if self.failure is not None or self.sender.stop.is_up:
            self._give_back()
            return False
        # With the price unknown, the first batch goes alone.
        alone = self.budget.needs_price and (self.under_way or self.leaving)
        return not self.finished and not alone

    def _give_back(self) -> None:
        """Release the turn of a flight that will not leave."""
        if self.ready is not None:
            flight, self.ready = self.ready, None
            self._release(flight)

    def _release(self, flight: Flight) -> None:
        try:
            self.sender.turnstile.give_back(flight.turn)
        except Exception as error:
            # A turn that nobody uses delays others and harms nobody; what stopped us matters more.
            log.warning("A turn could not be given back: %s", type(error).__name__)

    def _prepare(self) -> Flight | None:
        """Make the next batch ready that has to be sent; None when there is none, or something is in the way."""
        try:
            for index, recipients in self._rest():
                known = self.sender.ledger.find(index, len(recipients))
                in_doubt = known is not None and known.phase is Phase.CLAIMED and known.reference
                if self.leaving and (in_doubt or (known is None and self.pricing.must_ask(recipients))):
                    # To ask a gateway takes seconds, and those that have their turn must not wait for that.
                    self.put_back = index, recipients
                    return None
                if known is None or not self._is_settled(index, known, recipients):
                    return self._make_ready(index, recipients, known)
        except TurnTooFarError as far:
            self.failure = RetryableNotSentError(
                f"the gateway's rate limit: the next batch may leave in {far.wait:.0f} s",
                retry_after=far.wait,
            )
            return None
        except Exception as error:
            self.failure = error
            return None
        self.finished = True
        return None

    def _rest(self) -> Iterator[tuple[int, Sequence[Recipient]]]:
        while (batch := self.put_back or next(self.batches, None)) is not None:
            self.put_back = None
            yield batch

    def _make_ready(self, index: int, recipients: Sequence[Recipient], known: BatchRecord | None) -> Flight:
        doubted = known if known is not None and known.phase is Phase.CLAIMED else None
        claim = Flight.claim_for(doubted, len(recipients), self.sender.reference)
        send_at = self.schedule.for_next()
        request = self.sender.messenger.build_batch(
            self.campaign.message, recipients, reference=claim.reference, send_at=send_at
        )
        self.pricing.approve(index, recipients, send_at)
        turn = self.sender.turnstile.take_turn(request.endpoint, self.campaign.longest_wait)
        return Flight(
            index=index,
            recipients=recipients,
            request=request,
            claim=claim,
            turn=turn,
            due=self.sender.clock() + turn.wait,
            doubted=doubted,
        )

    def _is_settled(self, index: int, known: BatchRecord, recipients: Sequence[Recipient]) -> bool:
        """Decide what an earlier attempt's record means: True when the batch is done."""
        if known.phase is Phase.REFUSED:
            return False
        if known.phase is Phase.CLAIMED:
            settled = self.settler.settle(self._doubt_about(index, known, recipients))
            if settled is None:
                return False
            self.landed[index] = known = settled
        else:
            self.progress.known(index, known)
        self.budget.settle(index, known)
        self.records[index] = known
        return True

    def _doubt_about(self, index: int, claim: BatchRecord, recipients: Sequence[Recipient]) -> Doubt:
        why = (
            "an earlier attempt stopped between sending it and reading the answer"
            if self.sender.ledger.is_durable
            else "Airflow before 3.3 keeps nothing between attempts, so it cannot be known what the first one sent"
        )
        return Doubt(index=index, claim=claim, recipients=recipients, why=why)

    def _wait(self) -> None:
        """Wait until something lands, or the next batch's turn comes."""
        timeout = _GLANCE
        if self.ready is not None:
            timeout = min(timeout, max(0.0, self.ready.due - self.sender.clock()))
        if not self.under_way:
            self.sender.sleep(timeout)
            return
        self.lanes.wait(timeout)
        self._land()

    def _land(self) -> None:
        for index, task in list(self.under_way.items()):
            if not task.is_done:
                continue
            landing = task.result or Landing(index=index, record=None, error=task.error)
            sent = landing.record if landing.error is None else None
            self.budget.settle(index, sent)
            if landing.record is not None:
                self.landed[index] = landing.record
            if sent is not None:
                self.records[index] = sent
                self.progress.sent(index, sent)
            self.failure = self.failure or landing.error
            del self.under_way[index]
            self.lanes.free()

    def _claim(self, flights: Sequence[Flight]) -> None:
        """Record that flights are about to leave, and with it what has landed."""
        try:
            self._write({flight.index: flight.claim for flight in flights})
        except BaseException:
            for flight in flights:
                self._release(flight)
            self._withdraw(flights)
            raise

    def _withdraw(self, flights: Sequence[Flight]) -> None:
        """Take back claims of which some may have been written: these batches did not leave now."""
        try:
            self._write({flight.index: flight.not_taken for flight in flights})
        except Exception as error:
            log.warning("Claims that never left stay in doubt: %s", type(error).__name__)

    def _write(self, claims: Mapping[int, BatchRecord]) -> None:
        """Write what has landed and what is about to leave, together."""
        if self.landed or claims:
            self.sender.ledger.write({**self.landed, **claims})
            self.landed.clear()

    def land_all(self) -> None:
        """Wait for everything under way, for a limited time, and record what is known; claim nothing more."""
        self.lanes.wait_for_all(list(self.under_way.values()), self._grace())
        self._land()
        try:
            self._give_back()
            self._write({})
        except Exception as error:
            log.error("What was sent could not be recorded: %s", type(error).__name__)
