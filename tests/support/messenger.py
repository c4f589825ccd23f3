"""A gateway in memory that counts who was messaged, and attempts that die wherever a test says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from airflow_provider_voicepartner.gateways.model import Message, Receipt, Recipient
from airflow_provider_voicepartner.gateways.wire import ApiRequest
from tests.support.tasks import FakeStore

NOW = datetime(2031, 5, 6, 12, 0, tzinfo=UTC)


class CrashError(BaseException):
    """A worker that dies: nothing may catch this."""


@dataclass
class Crashes:
    """
    Kills an attempt when it passes a point for the n-th time.

    :param points: which passings are deadly, counted from 0 over all points.
    """

    points: frozenset[int] = frozenset()
    passed: list[str] = field(default_factory=list)

    def point(self, name: str) -> None:
        """Pass a point, or die there."""
        self.passed.append(name)
        if len(self.passed) - 1 in self.points:
            raise CrashError(name)


@dataclass
class CrashingStore:
    """The state store, with a point before and after each write of a batch."""

    store: FakeStore
    crashes: Crashes

    def get(self, key: str, default: Any = None) -> Any:
        """Read."""
        return self.store.get(key, default)

    def set(self, key: str, value: Any) -> None:
        """Write, or die just before or just after."""
        named = f"{value.get('phase', 'plan')} of {key.rpartition('/')[2]}"
        self.crashes.point(f"before {named}")
        self.store.set(key, value)
        self.crashes.point(f"after {named}")


@dataclass
class FakeMessenger:
    """
    A gateway that takes everything, unless it was told to fail.

    :param failures: what to do instead, one a delivery, in order; None takes the batch.
    :param price: of one recipient, told by a simulation and by a receipt; None tells none.
    """

    failures: list[BaseException | None] = field(default_factory=list)
    crashes: Crashes = field(default_factory=Crashes)
    price: Decimal | None = Decimal("0.045")
    messaged: Counter[str] = field(default_factory=Counter)
    built: list[str] = field(default_factory=list)
    simulated: int = 0
    check: Callable[[], None] = lambda: None

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
        """Build a request that carries nothing but whether it is a simulation."""
        self.built.append(reference)
        return ApiRequest(
            endpoint="send", method="POST", path="send", safe_to_repeat=False, body={"simulate": simulate}
        )

    def deliver(self, request: ApiRequest, message: Message, recipients: Sequence[Recipient]) -> Receipt:
        """Take a batch and count everybody in it."""
        simulate = bool(request.body and request.body["simulate"])
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        if simulate:
            self.simulated += 1
        else:
            self.check()
            self.crashes.point("before deliver")
            self.messaged.update(recipient.phone_number for recipient in recipients)
            self.crashes.point("after deliver")
        return Receipt(
            gateway_id=str(8_000_000 + len(self.built)),
            accepted=len(recipients),
            cost=None if self.price is None else self.price * len(recipients),
            currency=None if self.price is None else "EUR",
            segments=len(recipients),
        )
