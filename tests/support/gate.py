"""A rate limit in memory, as requests on their way out see it."""

from __future__ import annotations

from dataclasses import dataclass, field

from airflow_provider_voicepartner.sending.transport import Slot
from tests.support.servers import FakeTime

LASTS = 0.1


@dataclass
class FakeGate:
    """
    Turns that last for a tenth of a second, of a clock that moves when it is told to.

    :param waits: seconds until each new slot's moment, in order; then 0.
    """

    time: FakeTime
    waits: list[float] = field(default_factory=list)
    passed: list[Slot | None] = field(default_factory=list)
    renewed: int = 0
    given_back: list[Slot] = field(default_factory=list)

    def pass_through(self, endpoint: str, slot: Slot | None) -> Slot:
        """Wait for a new slot's moment."""
        self.passed.append(slot)
        new = self._new()
        self.time.moment += self.left_of(new)
        return new

    def _new(self) -> Slot:
        return Slot(0.0, self.time.moment + (self.waits.pop(0) if self.waits else 0.0))

    def is_open(self, slot: Slot) -> bool:
        """Look at the clock."""
        assert isinstance(slot.ticket, float)
        return slot.ticket <= self.time.moment <= slot.ticket + LASTS

    def renew(self, slot: Slot) -> Slot:
        """Give a new slot, without a wait."""
        self.renewed += 1
        return self._new()

    def left_of(self, slot: Slot) -> float:
        """Return what is left until its moment."""
        assert isinstance(slot.ticket, float)
        return max(0.0, slot.ticket - self.time.moment)

    def release(self, slot: Slot) -> None:
        """Note it."""
        self.given_back.append(slot)
