"""A gateway in memory that counts who was messaged, and attempts that die wherever a test says."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from airflow_provider_voicepartner.exceptions import RejectedError
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.gateways.model import Message, Receipt, Recipient
from airflow_provider_voicepartner.gateways.wire import ApiRequest
from airflow_provider_voicepartner.sending.records import Evidence, Proof
from airflow_provider_voicepartner.sending.transport import RateLimitWaitTooLongError, Slot
from tests.support.ledgers import is_summary
from tests.support.servers import FakeTime
from tests.support.tasks import FakeStore

NOW = datetime(2031, 5, 6, 12, 0, tzinfo=UTC)


class CrashError(BaseException):
    """A worker that dies: nothing may catch this."""


@dataclass
class Crashes:
    """
    Kills an attempt when it passes a point for the n-th time; the dead do nothing more, in any of their threads.

    :param points: which passings are deadly, counted from 0 over all points.
    """

    points: frozenset[int] = frozenset()
    passed: list[str] = field(default_factory=list)
    is_dead: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def point(self, name: str) -> None:
        """Pass a point, or die there."""
        with self.lock:
            self.passed.append(name)
            self.is_dead = self.is_dead or len(self.passed) - 1 in self.points
            if self.is_dead:
                raise CrashError(name)


def changes(entry: Any) -> str:
    """Name the batches that an entry of the task state's log is about, such as ``sent 0, claimed 1``."""
    return ", ".join(f"{record['phase']} {index}" for index, record in entry.get("batches", {}).items())


@dataclass
class CrashingStore:
    """The state store, with a point before and after each write."""

    store: FakeStore
    crashes: Crashes

    def get(self, key: str, default: Any = None) -> Any:
        """Read."""
        return self.store.get(key, default)

    def set(self, key: str, value: Any) -> None:
        """Write, or die just before or just after."""
        named = changes(value) or "attempt"
        self.crashes.point(f"before {named}")
        self.store.set(key, value)
        self.crashes.point(f"after {named}")


@dataclass
class CountingStore(FakeStore):
    """The state store, with every key that was read or written, in order, and what each write changed."""

    reads: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    phases: dict[str, str] = field(default_factory=dict)
    most_claimed: int = 0

    def get(self, key: str, default: Any = None) -> Any:
        """Read and note the key."""
        self.reads.append(key)
        return super().get(key, default)

    def set(self, key: str, value: Any) -> None:
        """Write, and note the key, the change and how many batches are claimed now."""
        self.writes.append(key)
        if "batches" in value and not is_summary(value):
            self.changed.append(changes(value))
        super().set(key, value)
        for index, record in value.get("batches", {}).items():
            self.phases[index] = record["phase"]
        self.most_claimed = max(self.most_claimed, list(self.phases.values()).count("claimed"))


@dataclass
class FakeTransport:
    """
    A gateway that takes everything, unless it was told to fail.

    :param failures: what to do instead, one a delivery, in order; None takes the batch.
    :param trouble: the same for single batches, by the number of their first recipient.
    :param lost: first recipients of batches that are taken, and whose answer is lost with this error.
    :param price: of one recipient, told by a receipt and, where it ``tells_price``, by a simulation; None tells none.
    :param finds: knows batches by their reference, when asked.
    :param shows: for how many recipients a look-up shows that they were taken; None for all.
    :param listed_within: how long after its claim a batch may come to be known.
    :param disproves: a look-up that lists nothing may be believed after that time.
    :param recognises: refuses a reference that it took before as a duplicate.
    """

    failures: list[BaseException | None] = field(default_factory=list)
    trouble: dict[str, list[BaseException]] = field(default_factory=dict)
    lost: dict[str, BaseException] = field(default_factory=dict)
    crashes: Crashes = field(default_factory=Crashes)
    price: Decimal | None = Decimal("0.045")
    tells_price: bool = False
    money: Decimal | None = None
    finds: bool = False
    shows: int | None = None
    listed_within: timedelta = timedelta(minutes=15)
    disproves: bool = False
    recognises: bool = False
    asked: list[str] = field(default_factory=list)
    messaged: Counter[str] = field(default_factory=Counter)
    taken: list[str] = field(default_factory=list)
    built: list[str] = field(default_factory=list)
    slots: list[Slot] = field(default_factory=list)
    simulated: int = 0
    under_way: int = 0
    most_under_way: int = 0
    check: Callable[[str], None] = lambda first: None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def simulation_tells_price(self) -> bool:
        """As the test says."""
        return self.tells_price

    def build_batch(
        self,
        message: Message,
        recipients: Sequence[Recipient],
        *,
        reference: str,
        send_at: datetime | None = None,
        callbacks: Any = None,
        simulate: bool = False,
    ) -> ApiRequest:
        """Build a request that carries nothing but its reference and whether it is a simulation."""
        self.built.append(reference)
        return ApiRequest(
            endpoint="send",
            method="POST",
            path="send",
            safe_to_repeat=False,
            body={"simulate": simulate, "reference": reference},
        )

    def deliver(
        self,
        request: ApiRequest,
        message: Message,
        recipients: Sequence[Recipient],
        *,
        slot: Slot | None = None,
    ) -> Receipt:
        """Take a batch and count everybody in it."""
        assert request.body is not None
        if request.body["simulate"]:
            self._fail_as_told(recipients)
            self.simulated += 1
        else:
            if slot is not None:
                self.slots.append(slot)
            self._deliver(str(request.body["reference"]), recipients)
        return Receipt(
            gateway_id=f"8{int(str(request.body['reference']), 36)}",
            accepted=len(recipients),
            cost=None if self.price is None else self.price * len(recipients),
            currency=None if self.price is None else "EUR",
            segments=len(recipients),
        )

    def _fail_as_told(self, recipients: Sequence[Recipient]) -> None:
        with self.lock:
            failure = self.failures.pop(0) if self.failures else None
            mine = self.trouble.get(recipients[0].phone_number)
            failure = mine.pop(0) if mine else failure
        if failure is not None:
            raise failure

    def _deliver(self, reference: str, recipients: Sequence[Recipient]) -> None:
        first = recipients[0].phone_number
        with self.lock:
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            self.check(first)
            self.crashes.point("before deliver")
            self._fail_as_told(recipients)
            with self.lock:
                if self.recognises and reference in self.taken:
                    raise RejectedError("taken before", kind=ErrorKind.DUPLICATE)
                self.taken.append(reference)
                self.messaged.update(recipient.phone_number for recipient in recipients)
                lost = self.lost.pop(first, None)
            self.crashes.point("after deliver")
            if lost is not None:
                raise lost
        finally:
            with self.lock:
                self.under_way -= 1

    def money_left(self) -> Decimal | None:
        """As the test says."""
        return self.money

    def can_look_up(self, message: Message, reference: str) -> bool:
        """As the test says."""
        return self.finds

    def find_proof(
        self, message: Message, reference: str, recipients: Sequence[Recipient], since: datetime | None
    ) -> Proof | None:
        """Say whether a batch was taken: all of it, unless the test says for how many it shows."""
        self.asked.append(reference)
        if reference not in self.taken:
            return None
        return Proof(Evidence.LOOK_UP, len(recipients) if self.shows is None else self.shows)

    def known_within(self, message: Message) -> timedelta | None:
        """As the test says, where there is anything to ask."""
        return self.listed_within if self.finds else None

    def can_disprove(self, message: Message) -> bool:
        """As the test says."""
        return self.disproves

    def tag_of(self, message: Message, reference: str) -> str | None:
        """Return what a batch can be asked about by."""
        return f"tag-{reference}" if self.finds else None

    def repeats_safely(self, age: timedelta) -> bool:
        """Recognise a repeat for 23 hours, or never."""
        return self.recognises and timedelta(0) <= age < timedelta(hours=23)


@dataclass
class FakeRateLimiter:
    """
    One slot every so many seconds of a clock that moves only when somebody sleeps.

    :param gap: seconds between two slots.
    """

    time: FakeTime
    gap: float = 10.0
    check: Callable[[int], None] = lambda taken: None
    taken: list[float] = field(default_factory=list)
    confirmed: list[float] = field(default_factory=list)
    given_back: list[float] = field(default_factory=list)

    def acquire(self, endpoint: str, longest_wait: float | None) -> Slot:
        """Take the next slot."""
        assert endpoint == "send"
        self.check(len(self.taken))
        at = max(self.time.moment, self.taken[-1] + self.gap if self.taken else 0.0)
        wait = at - self.time.moment
        if longest_wait is not None and wait > longest_wait:
            raise RateLimitWaitTooLongError(wait)
        self.taken.append(at)
        return Slot(wait, at)

    def confirm(self, slot: Slot) -> Slot:
        """Say go, and note that somebody asked."""
        self.confirmed.append(self.time.moment)
        return Slot(0.0, slot.ticket)

    def release(self, slot: Slot) -> None:
        """Note it."""
        self.given_back.append(slot.ticket)
