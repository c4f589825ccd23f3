"""Escalation policies as users write them, checked: a mistake in one step leaves the others usable."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import time
from typing import Any, Final
from zoneinfo import ZoneInfo

from airflow_provider_voicepartner.constants import (
    ACKNOWLEDGED_FOR,
    LONGEST_ACKNOWLEDGED_FOR,
    LONGEST_PAGE_WAIT,
    MOST_PAGE_REPEATS,
    MOST_PAGE_STEPS,
    SHORTEST_PAGE_WAIT,
)
from airflow_provider_voicepartner.contacts.names import MARK, NAME_RULE, meant, read_name, shown
from airflow_provider_voicepartner.contacts.policy import (
    By,
    Policy,
    QuietHours,
    Step,
)

_POLICY: Final = (
    "steps",
    "repeat",
    "last_resort",
    "acknowledged_for",
    "quiet_hours",
    "time_zone",
    "sms",
    "call",
)
_STEP: Final = ("who", "by", "wait")
_DURATION: Final = re.compile(
    r"(?:(?P<h>\d{1,4})\s*h)?\s*(?:(?P<m>\d{1,5})\s*m(?:in)?)?\s*(?:(?P<s>\d{1,6})\s*s)?"
)
_HOURS: Final = re.compile(r"(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)")
_CONNECTION: Final = re.compile(r"[\w.-]{1,200}", re.ASCII)

AddProblem = Callable[[str, str], None]
"""Notes a mistake: its place, and what is wrong with the fix."""


def read_duration(text: object) -> float | None:
    """Return seconds for a text such as ``90s``, ``5m`` or ``1h30m``; None for any other."""
    found = _DURATION.fullmatch(text.strip().lower()) if isinstance(text, str) else None
    if found is None or not any(found.groupdict().values()):
        return None
    hours, minutes, seconds = (int(found[unit] or 0) for unit in "hms")
    return float(hours * 3600 + minutes * 60 + seconds)


class PolicyReader:
    """
    Reads the table ``policies``.

    :param add: notes a mistake.
    :param names: of people, groups and rotas.
    :param rotas: those that are rotas.
    :param zone: reads a time zone, and notes what is wrong with it.
    """

    def __init__(
        self,
        add: AddProblem,
        names: frozenset[str],
        rotas: frozenset[str],
        zone: Callable[[str, object], ZoneInfo | None],
    ) -> None:
        self._add, self._names, self._rotas, self._zone = add, names, rotas, zone

    def read(self, name: str, entry: Mapping[Any, Any]) -> Policy:
        """Return a policy as far as it can be used."""
        where = f"policies.{name}"
        self._check_keys(where, entry, _POLICY)
        conn_ids = {by: self._connection(f"{where}.{by.value}", entry.get(by.value)) for by in By}
        steps = self._steps(f"{where}.steps", entry.get("steps"), conn_ids)
        zone = self._zone(f"{where}.time_zone", entry.get("time_zone", "Europe/Paris"))
        return Policy(
            name=name,
            steps=steps,
            repeat=self._repeat(f"{where}.repeat", entry.get("repeat", 0)),
            last_resort=self._last_resort(f"{where}.last_resort", entry.get("last_resort")),
            acknowledged_for=self._acknowledged_for(where, entry),
            quiet_hours=self._quiet_hours(f"{where}.quiet_hours", entry.get("quiet_hours"), zone),
            sms=conn_ids[By.SMS],
            call=conn_ids[By.CALL],
        )

    def _check_keys(self, where: str, table: Mapping[Any, Any], known: tuple[str, ...]) -> None:
        for key in table:
            if key not in known:
                hint = meant(str(key), known) or f"; known are {', '.join(known)}"
                self._add(f"{where}.{shown(key)}", f"is no key that is known{hint}")

    def _steps(self, where: str, value: object, conn_ids: Mapping[By, str | None]) -> tuple[Step, ...]:
        if not isinstance(value, list | tuple) or not value:
            said = "is missing" if value is None else "is no list of steps"
            self._add(where, f'{said}; write such as [{{ who = "@oncall", by = "sms", wait = "5m" }}]')
            return ()
        if len(value) > MOST_PAGE_STEPS:
            self._add(where, f"has more than {MOST_PAGE_STEPS} steps; the others are left out")
        found = [self._step(f"{where}[{at}]", one) for at, one in enumerate(value[:MOST_PAGE_STEPS], 1)]
        steps = [step for step in found if step is not None]
        for by in dict.fromkeys(step.by for step in steps):
            if conn_ids[by] is None:
                self._add(
                    f"{where.rpartition('.')[0]}.{by.value}",
                    f'is missing or wrong, and steps are by "{by.value}"; give the id of an Airflow connection',
                )
        return tuple(step for step in steps if conn_ids[step.by] is not None)

    def _step(self, where: str, row: object) -> Step | None:
        if not isinstance(row, Mapping):
            self._add(where, f"is no table with the keys {', '.join(_STEP)}")
            return None
        self._check_keys(where, row, _STEP)
        who = self._who(f"{where}.who", row.get("who"))
        text = row.get("by")
        by = next((one for one in By if isinstance(text, str) and text.strip().lower() == one.value), None)
        if by is None:
            said = "is missing" if text is None else f"{shown(text)} is no way to page somebody"
            self._add(f"{where}.by", f'{said}; write "sms" or "call"')
        wait = self._seconds(f"{where}.wait", row.get("wait"), SHORTEST_PAGE_WAIT, LONGEST_PAGE_WAIT)
        return Step(who, by, wait) if who and by is not None and wait is not None else None

    def _seconds(self, where: str, value: object, least: float, most: float) -> float | None:
        seconds = read_duration(value)
        if seconds is None:
            said = "is missing" if value is None else f"{shown(value)} is no duration"
            self._add(where, f'{said}; write such as "90s", "5m" or "1h"')
            return None
        if not least <= seconds <= most:
            self._add(where, f"{shown(value)} is not between {least:g} and {most:g} seconds; correct it")
            return None
        return seconds

    def _who(self, where: str, value: object) -> tuple[str, ...]:
        values = value if isinstance(value, list | tuple) else [value]
        if value is None or not values:
            self._add(where, 'is missing; write a name such as "@oncall", or a list of them')
            return ()
        found = []
        for one in values:
            name = read_name(one.lstrip().removeprefix(MARK) if isinstance(one, str) else one)
            if name is None:
                self._add(where, f"{shown(one)} is no name; {NAME_RULE}")
            elif name not in self._names:
                hint = meant(name, self._names) or f"; add people.{name}, a group or a rota"
                self._add(where, f"{shown(one)} is not in the contacts{hint}")
            else:
                found.append(name)
        return tuple(dict.fromkeys(found))

    def _last_resort(self, where: str, value: object) -> tuple[str, ...]:
        if value is None:
            return ()
        found = self._who(where, value)
        for name in found:
            if name in self._rotas:
                self._add(where, f"{shown(name)} is a rota; name people or groups")
        return tuple(name for name in found if name not in self._rotas)

    def _repeat(self, where: str, value: object) -> int:
        text = str(value).strip() if type(value) in (int, str) else ""
        if text.isascii() and text.isdigit() and len(text) < 5 and int(text) <= MOST_PAGE_REPEATS:
            return int(text)
        self._add(where, f"{shown(value)} is no whole number from 0 to {MOST_PAGE_REPEATS}; correct it")
        return 0

    def _acknowledged_for(self, where: str, entry: Mapping[Any, Any]) -> float | None:
        value = entry.get("acknowledged_for")
        if value is None:
            return ACKNOWLEDGED_FOR
        if isinstance(value, str) and value.strip().lower() == "never":
            return None
        seconds = self._seconds(
            f"{where}.acknowledged_for", value, SHORTEST_PAGE_WAIT, LONGEST_ACKNOWLEDGED_FOR
        )
        return ACKNOWLEDGED_FOR if seconds is None else seconds

    def _quiet_hours(self, where: str, value: object, zone: ZoneInfo | None) -> QuietHours | None:
        if value is None:
            return None
        found = _HOURS.fullmatch(value.strip()) if isinstance(value, str) else None
        numbers = [int(part) for part in found.groups()] if found else []
        is_right = numbers and numbers[0] < 24 and numbers[2] < 24 and numbers[1] < 60 and numbers[3] < 60
        if not is_right or numbers[:2] == numbers[2:]:
            self._add(where, f'{shown(value)} are no hours; write such as "22:00-07:00"')
            return None
        if zone is None:
            return None
        return QuietHours(time(numbers[0], numbers[1]), time(numbers[2], numbers[3]), zone)

    def _connection(self, where: str, value: object) -> str | None:
        if value is None:
            return None
        if isinstance(value, str) and _CONNECTION.fullmatch(value.strip()):
            return value.strip()
        self._add(where, f"{shown(value)} is no connection id; give the id of an Airflow connection")
        return None
