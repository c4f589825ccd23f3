"""The sandbox's time: the wall clock, made faster by a factor, moved forward by hand.

Two hands turn on it. ``now()`` is the hand that messages live by: it runs ``speed`` times faster than the wall
clock. ``calendar()`` is the date a client sees: it runs at the pace of the wall clock, so that "in ten minutes" means
the same thing on both sides however fast messages live. ``advance()`` moves both. With ``speed`` 1 they never differ;
with ``speed`` 0 both stand still until they are advanced, which is what tests want.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")


@dataclass(frozen=True, slots=True)
class _Stretch:
    """From ``life`` on, the calendar moves by ``pace`` seconds for each second of a message's life."""

    life: float
    calendar: float
    pace: float


class Clock:
    """A clock that can run fast and can be pushed forward.

    :param speed: seconds of message life per second of wall time; 0 stands still (default 1).
    :param wall: where wall time is read, in Unix seconds (default ``time.time``).
    :param start: the first date shown, in Unix seconds (default: the wall's).
    """

    def __init__(
        self, *, speed: float = 1.0, wall: Callable[[], float] = time.time, start: float | None = None
    ) -> None:
        self._wall = wall
        self._begin(speed, wall() if start is None else start, None)

    def _begin(self, speed: float, life: float, calendar: float | None) -> None:
        if speed < 0:
            raise ValueError("speed must be 0 or more")
        self.speed = speed
        self._anchor = self._wall()
        self._stretches = [_Stretch(life, life if calendar is None else calendar, self._pace())]

    def _pace(self) -> float:
        return 1 / self.speed if self.speed else 1.0

    def _elapsed(self) -> float:
        return max(0.0, self._wall() - self._anchor)

    def now(self) -> float:
        """Return the moment messages live in, in seconds."""
        return self._stretches[-1].life + self._elapsed() * self.speed

    def calendar(self) -> float:
        """Return the date a client sees, in Unix seconds."""
        return self._stretches[-1].calendar + (self._elapsed() if self.speed else 0.0)

    def moment_of(self, date: float) -> float:
        """Return the moment of message life at which the calendar will show ``date``, were it to run at life's pace."""
        return self.now() + (date - self.calendar())

    def calendar_of(self, moment: float) -> float:
        """Return the date the calendar showed (or will show) at a moment of message life."""
        index = max(0, bisect_right(self._stretches, moment, key=lambda stretch: stretch.life) - 1)
        stretch = self._stretches[index]
        return stretch.calendar + (moment - stretch.life) * stretch.pace

    def _turn(self) -> tuple[float, float]:
        """Start a new stretch here; return both hands."""
        life, calendar = self.now(), self.calendar()
        self._anchor = self._wall()
        return life, calendar

    def advance(self, seconds: float) -> None:
        """Move both hands forward by ``seconds``."""
        if seconds < 0:
            raise ValueError("time only moves forward")
        life, calendar = self._turn()
        self._stretches.append(_Stretch(life, calendar, 1.0))
        self._stretches.append(_Stretch(life + seconds, calendar + seconds, self._pace()))

    def set_speed(self, speed: float) -> None:
        """Change the pace of message life from here on."""
        if speed < 0:
            raise ValueError("speed must be 0 or more")
        life, calendar = self._turn()
        self.speed = speed
        self._stretches.append(_Stretch(life, calendar, self._pace()))

    def wall_seconds_until(self, moment: float) -> float | None:
        """Return how long a thread must wait for ``moment``, in wall seconds; ``None`` when time stands still."""
        ahead = moment - self.now()
        if ahead <= 0:
            return 0.0
        return ahead / self.speed if self.speed else None

    def restart(self) -> None:
        """Forget all advances: both hands show the wall's time again."""
        self._begin(self.speed, self._wall(), None)

    def dump(self) -> dict[str, float]:
        """Return what :meth:`load` needs, for the state file."""
        return {"life": self.now(), "calendar": self.calendar(), "wall": self._wall()}

    def load(self, dumped: dict[str, float]) -> None:
        """Go on from a dump; the time the sandbox was down has passed, at the present speed."""
        away = max(0.0, self._wall() - dumped["wall"]) if self.speed else 0.0
        self._begin(self.speed, dumped["life"] + away * self.speed, dumped["calendar"] + away)


def paris(date: float) -> datetime:
    """Return a Unix date as an aware datetime in Europe/Paris, the zone of all zone-less dates on these wires."""
    return datetime.fromtimestamp(date, UTC).astimezone(PARIS)


def paris_text(date: float) -> str:
    """Return ``YYYY-MM-DD HH:MM:SS`` in Europe/Paris."""
    return paris(date).strftime("%Y-%m-%d %H:%M:%S")
