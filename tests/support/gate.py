"""A rate limit in memory, as requests on their way out see it."""

from __future__ import annotations

from dataclasses import dataclass, field

from airflow_provider_voicepartner.sending.transport import Turn
from tests.support.servers import FakeTime

LASTS = 0.1


@dataclass
class FakeGate:
    """
    Turns that last for a tenth of a second, of a clock that moves when it is told to.

    :param waits: seconds until each new turn's moment, in order; then 0.
    """

    time: FakeTime
    waits: list[float] = field(default_factory=list)
    passed: list[Turn | None] = field(default_factory=list)
    renewed: int = 0
    given_back: list[Turn] = field(default_factory=list)

    def pass_through(self, endpoint: str, turn: Turn | None) -> Turn:
        """Wait for a new turn's moment."""
        self.passed.append(turn)
        new = self._new()
        self.time.moment += self.left_of(new)
        return new

    def _new(self) -> Turn:
        return Turn(0.0, self.time.moment + (self.waits.pop(0) if self.waits else 0.0))

    def is_open(self, turn: Turn) -> bool:
        """Look at the clock."""
        assert isinstance(turn.ticket, float)
        return turn.ticket <= self.time.moment <= turn.ticket + LASTS

    def renew(self, turn: Turn) -> Turn:
        """Give a new turn, without a wait."""
        self.renewed += 1
        return self._new()

    def left_of(self, turn: Turn) -> float:
        """Return what is left until its moment."""
        assert isinstance(turn.ticket, float)
        return max(0.0, turn.ticket - self.time.moment)

    def give_back(self, turn: Turn) -> None:
        """Note it."""
        self.given_back.append(turn)
