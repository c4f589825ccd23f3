"""An escalation policy: who is paged how and when until somebody has it, as a value that can be stored as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from airflow_provider_voicepartner.constants import ACKNOWLEDGED_FOR
from airflow_provider_voicepartner.gateways.info import Kind


class By(StrEnum):
    """How somebody is paged."""

    SMS = "sms"
    CALL = "call"

    @property
    def kind(self) -> Kind:
        """The kind of the message."""
        return "sms" if self is By.SMS else "tts"


@dataclass(frozen=True, slots=True)
class Step:
    """
    One step of a policy.

    :param who: names of people, groups and rotas, without the mark.
    :param wait: seconds until the next step, counted from this one.
    """

    who: tuple[str, ...]
    by: By
    wait: float


@dataclass(frozen=True, slots=True)
class QuietHours:
    """
    The hours in which nobody is paged for what is not urgent.

    :param begin: the time of day, without a zone.
    :param end: not included; before ``begin`` it is the next day's.
    :param zone: whose clock is meant.
    """

    begin: time
    end: time
    zone: ZoneInfo

    @classmethod
    def from_json(cls, data: Any) -> QuietHours:
        """Read begin, end and zone."""
        begin, end, zone = data
        return cls(time.fromisoformat(begin), time.fromisoformat(end), ZoneInfo(zone))

    def end_of(self, at: float) -> float | None:
        """
        Return when the quiet hours end that an instant is in, in Unix seconds; None where it is in none.

        :param at: Unix seconds.
        """
        here = datetime.fromtimestamp(at, UTC).astimezone(self.zone)
        for ahead in (-1, 0):
            day = here.date() + timedelta(days=ahead)
            first = self._instant(day, self.begin)
            last = self._instant(day if self.begin < self.end else day + timedelta(days=1), self.end)
            if first <= at < last:
                return last
        return None

    def _instant(self, day: Any, at: time) -> float:
        # Through UTC: Python compares the clocks on the wall of times in one zone, whatever daylight saving does.
        return datetime.combine(day, at, tzinfo=self.zone).astimezone(UTC).timestamp()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """
    Who is paged until somebody has it.

    :param name: of the policy.
    :param steps: in their order; may be none, and then only the last resort is paged.
    :param repeat: how often all steps are done again.
    :param last_resort: names of people and groups, paged when nobody answered; none for that of the contacts.
    :param acknowledged_for: seconds after which an acknowledgement ends if nothing was closed; None for never.
    :param quiet_hours: for what is not urgent.
    :param sms: the connection for text messages, also of those that tell who has it; None sends none.
    :param call: the connection for calls; None makes none.
    """

    name: str
    steps: tuple[Step, ...] = ()
    repeat: int = 0
    last_resort: tuple[str, ...] = ()
    acknowledged_for: float | None = ACKNOWLEDGED_FOR
    quiet_hours: QuietHours | None = None
    sms: str | None = None
    call: str | None = None

    @property
    def ways(self) -> tuple[By, ...]:
        """How people are paged in the steps, each way once; a policy without steps uses all that it has."""
        used = tuple(dict.fromkeys(step.by for step in self.steps))
        return used or tuple(by for by in By if self.conn_id(by) is not None)

    def conn_id(self, by: By) -> str | None:
        """Return the connection for a way; None where there is none."""
        return self.sms if by is By.SMS else self.call

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON; it holds names, and no numbers."""
        quiet = self.quiet_hours
        return {
            "name": self.name,
            "steps": [{"who": list(one.who), "by": one.by.value, "wait": one.wait} for one in self.steps],
            "repeat": self.repeat,
            "last_resort": list(self.last_resort),
            "acknowledged_for": self.acknowledged_for,
            "quiet_hours": quiet
            and [quiet.begin.isoformat("minutes"), quiet.end.isoformat("minutes"), quiet.zone.key],
            "sms": self.sms,
            "call": self.call,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Policy:
        """Read what :meth:`to_json` wrote."""
        quiet = data["quiet_hours"]
        return cls(
            name=data["name"],
            steps=tuple(Step(tuple(one["who"]), By(one["by"]), float(one["wait"])) for one in data["steps"]),
            repeat=int(data["repeat"]),
            last_resort=tuple(data["last_resort"]),
            acknowledged_for=data["acknowledged_for"],
            quiet_hours=None if quiet is None else QuietHours.from_json(quiet),
            sms=data["sms"],
            call=data["call"],
        )
