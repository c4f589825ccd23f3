"""
Who is on call when: one person at each instant, from a list of people who take over from each other.

Everybody takes over at the same time of day in the rota's own time zone, whatever daylight saving does. Instants are
compared in UTC, since Python compares the clocks on the wall of times in the same zone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from airflow_provider_voicepartner.constants import MOST_SHIFTS

_DAY = timedelta(days=1)

YEARS: Final = range(1900, 3000)
"""Of every day in a rota: outside of them Python cannot reckon with days and zones."""


class Reason(StrEnum):
    """Why somebody is on call."""

    ROTA = "rota"
    OVERRIDE = "override"
    HOLIDAY = "holiday"


@dataclass(frozen=True, slots=True)
class HandOver:
    """
    When the next person takes over.

    :param at: the time of day, without a zone.
    :param weekday: the day of the week from 0, Monday; None for every day.
    """

    at: time
    weekday: int | None = None

    @property
    def period(self) -> int:
        """Days between two of them."""
        return 1 if self.weekday is None else 7

    def first_day(self, start: date) -> date:
        """Return the first day of one, from a day on."""
        ahead = 0 if self.weekday is None else (self.weekday - start.weekday()) % 7
        return start + timedelta(days=ahead)


@dataclass(frozen=True, slots=True)
class Override:
    """
    Somebody is on call in place of whoever it would be.

    :param begin: aware.
    :param end: aware; not included.
    :param who: the name of a person.
    """

    begin: datetime
    end: datetime
    who: str


@dataclass(frozen=True, slots=True)
class Shift:
    """
    A time in which one person is on call for one reason.

    :param begin: in UTC.
    :param end: in UTC; not included.
    :param who: the name of a person.
    """

    begin: datetime
    end: datetime
    who: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class OnCall:
    """
    Who is on call at an instant, and what comes next.

    :param who: the name of a person.
    :param until: when somebody else takes over, in UTC; None where nobody does.
    :param then: who takes over.
    """

    who: str
    reason: Reason
    until: datetime | None = None
    then: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rota:
    """
    People who are on call in turn.

    :param members: the names of people, at least one, in their order; a name may stand several times.
    :param hand_over: when the next one takes over.
    :param start: the first member's turn ends with the second hand-over from this day on; until the first one, the
        first member is on call too.
    :param zone: whose clock is meant.
    :param overrides: of two at the same time the later in the list counts.
    :param holidays: days, from midnight to midnight, and who is on call then; overrides go before them.
    """

    members: tuple[str, ...]
    hand_over: HandOver
    start: date
    zone: ZoneInfo
    overrides: tuple[Override, ...] = ()
    holidays: Mapping[date, str] = field(default_factory=dict)

    def who(self, at: datetime) -> str:
        """
        Return the name of the person who is on call.

        :param at: aware.
        """
        return self._who(at.astimezone(UTC))[0]

    def on_call(self, at: datetime) -> OnCall:
        """
        Return who is on call, until when, and who is next.

        :param at: aware.
        """
        moment = at.astimezone(UTC)
        who, reason = self._who(moment)
        for _ in range(MOST_SHIFTS):
            edge = self._next_edge(moment)
            if self._is_one_person and all(edge > known for known in self._edges_apart):
                break  # Nothing but hand-overs of one person to themselves is left.
            moment = edge
            then = self._who(moment)[0]
            if then != who:
                return OnCall(who, reason, moment, then)
        return OnCall(who, reason)

    def shifts(self, begin: datetime, end: datetime) -> Iterator[Shift]:
        """
        Yield who is on call from one instant to another, without a gap; one shift for each hand-over.

        :param begin: aware.
        :param end: aware.
        """
        moment, last = begin.astimezone(UTC), end.astimezone(UTC)
        waiting: Shift | None = None
        while moment < last:
            edge = min(self._next_edge(moment), last)
            shift = Shift(moment, edge, *self._who(moment))
            if waiting is not None and self._goes_on(waiting, shift):
                shift = Shift(waiting.begin, shift.end, shift.who, shift.reason)
            elif waiting is not None:
                yield waiting
            waiting, moment = shift, edge
        if waiting is not None:
            yield waiting

    def _goes_on(self, one: Shift, other: Shift) -> bool:
        """Say whether nothing happens between two shifts: an override reaches over hand-overs."""
        same = (one.who, one.reason) == (other.who, other.reason)
        return same and (
            one.reason is not Reason.ROTA or self._hand_over(self._turn(other.begin)) < other.begin
        )

    def _who(self, moment: datetime) -> tuple[str, Reason]:
        for override in reversed(self.overrides):
            if override.begin <= moment < override.end:
                return override.who, Reason.OVERRIDE
        if self.holidays:
            holiday = self.holidays.get(moment.astimezone(self.zone).date())
            if holiday is not None:
                return holiday, Reason.HOLIDAY
        return self.members[max(self._turn(moment), 0) % len(self.members)], Reason.ROTA

    def _turn(self, moment: datetime) -> int:
        """Return how many hand-overs came after the first one, and before or at an instant; below 0 before it."""
        days = (moment.astimezone(self.zone).date() - self.hand_over.first_day(self.start)).days
        turn = days // self.hand_over.period
        while self._hand_over(turn) > moment:
            turn -= 1
        while self._hand_over(turn + 1) <= moment:
            turn += 1
        return turn

    def _hand_over(self, turn: int) -> datetime:
        """Return the instant of a hand-over; one that daylight saving skips is an hour later on the clock."""
        day = self.hand_over.first_day(self.start) + turn * self.hand_over.period * _DAY
        return datetime.combine(day, self.hand_over.at, tzinfo=self.zone).astimezone(UTC)

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), tzinfo=self.zone).astimezone(UTC)

    @property
    def _is_one_person(self) -> bool:
        return len(set(self.members)) == 1

    @property
    def _edges_apart(self) -> set[datetime]:
        """Return when overrides and holidays begin and end."""
        edges = {edge for override in self.overrides for edge in (override.begin, override.end)}
        days = {day + ahead for day in self.holidays for ahead in (timedelta(0), _DAY)}
        return edges | set(map(self._midnight, days))

    def _next_edge(self, moment: datetime) -> datetime:
        """Return the first instant after another at which somebody else may be on call."""
        edges = (edge for edge in self._edges_apart if edge > moment)
        return min([self._hand_over(self._turn(moment) + 1), *edges])
