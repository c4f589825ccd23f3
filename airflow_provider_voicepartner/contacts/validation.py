"""
Contacts as users write them, checked: every mistake is found, names its table and key, and shows no number.

What is read comes from TOML, YAML or JSON: tables, lists, texts, and from TOML also dates and times.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from airflow_provider_voicepartner.contacts.directory import Directory, Person, Problem
from airflow_provider_voicepartner.contacts.names import NAME_RULE, TABLES, meant, read_name, shown
from airflow_provider_voicepartner.contacts.policy_reading import PolicyReader
from airflow_provider_voicepartner.contacts.rota import YEARS, HandOver, Override, Rota
from airflow_provider_voicepartner.gateways.phone_numbers import InvalidNumberError, PhoneNumber, parse_number
from airflow_provider_voicepartner.recipients.rejects import masked

DEFAULT_ZONE: Final = "Europe/Paris"
LANGUAGES: Final = ("fr", "en")

_TOP: Final = ("people", "groups", "rotas", "policies", "last_resort")
_PERSON: Final = ("phone", "call", "language", "time_zone", "name")
_GROUP: Final = ("members",)
_ROTA: Final = ("members", "hand_over", "start", "time_zone", "last_resort", "overrides", "holidays")
_OVERRIDE: Final = ("from", "until", "who")
_HOLIDAY: Final = ("day", "days", "who")
_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_HAND_OVER: Final = re.compile(r"(?:(?P<day>[a-z]+)\s+)?(?P<hour>\d{1,2}):(?P<minute>\d\d)")

Read = TypeVar("Read")


def read_directory(data: object, *, label: str = "the contacts", region: str = "FR") -> Directory:
    """
    Read contacts, and find every mistake in them.

    :param data: as TOML, YAML or JSON gives it.
    :param label: where it was read, for errors.
    :param region: where numbers without a country code are from, two letters.
    :returns: what could be read, with the mistakes.
    """
    return _Reader(region).read(data, label)


class _Reader:
    """What is known while contacts are read."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._problems: list[Problem] = []
        self._known: frozenset[str] = frozenset()
        self._known_people: frozenset[str] = frozenset()
        self._known_rotas: frozenset[str] = frozenset()
        self._rota_last_resorts: dict[str, tuple[str, ...]] = {}

    def read(self, data: object, label: str) -> Directory:
        if not isinstance(data, Mapping):
            self._add("contacts", "is no table; write tables such as [people.anne]")
            data = {}
        self._check_keys("", data, _TOP, None)
        tables = {name: dict(self._entries(name, data.get(name))) for name in TABLES}
        self._refuse_shared_names(tables)
        self._known_people, self._known_rotas = frozenset(tables["people"]), frozenset(tables["rotas"])
        self._known = frozenset(name for table in tables.values() for name in table)
        people = self._each(tables["people"], self._person)
        groups = self._each(tables["groups"], self._group)
        rotas = self._each(tables["rotas"], self._rota)
        last_resort = self._last_resort("last_resort", data.get("last_resort"), None)
        policies = PolicyReader(
            self._add, self._known, self._known_rotas, lambda where, value: self._zone(where, value, None)
        )
        return Directory(
            people=people,
            groups=groups,
            rotas=rotas,
            last_resort=last_resort,
            rota_last_resorts=self._rota_last_resorts,
            # No name of a policy is one that can be messaged, so its mistakes are about no name.
            policies={
                name: policies.read(name, entry)
                for name, entry in self._entries("policies", data.get("policies"), is_named=False)
            },
            problems=tuple(self._problems),
            label=label,
        )

    def _add(self, where: str, problem: str, name: str | None = None) -> None:
        self._problems.append(Problem(where, problem, name))

    @staticmethod
    def _each(
        table: Mapping[str, Mapping[Any, Any]], read: Callable[[str, Mapping[Any, Any]], Read | None]
    ) -> dict[str, Read]:
        found = {name: read(name, entry) for name, entry in table.items()}
        return {name: entry for name, entry in found.items() if entry is not None}

    def _entries(
        self, table: str, value: object, *, is_named: bool = True
    ) -> Iterator[tuple[str, Mapping[Any, Any]]]:
        """Yield the entries of a table under their names, as these are compared."""
        if value is None:
            return
        if not isinstance(value, Mapping):
            self._add(table, f"is no table; write one for each name, such as [{table}.name]")
            return
        seen = set[str]()
        for key, entry in value.items():
            name = read_name(key)
            where = f"{table}.{name or shown(key)}"
            if name is None:
                self._add(where, f"is no name; {NAME_RULE}")
            elif name in seen:
                about = name if is_named else None
                self._add(where, "is there twice, since capitals make no other name; take one out", about)
            elif not isinstance(entry, Mapping):
                self._add(where, "is no table; write its keys below it", name if is_named else None)
            else:
                yield name, entry
            seen.add(name or "")

    def _refuse_shared_names(self, tables: Mapping[str, Mapping[str, object]]) -> None:
        for at, (table, entries) in enumerate(tables.items()):
            for name in entries:
                others = [other for other in list(tables)[:at] if name in tables[other]]
                if others:
                    self._add(
                        f"{table}.{name}",
                        f"has the name of {others[0]}.{name}, and nobody knows which one is meant; rename one",
                        name,
                    )

    def _check_keys(
        self, where: str, table: Mapping[Any, Any], known: tuple[str, ...], name: str | None
    ) -> None:
        for key in table:
            if key not in known:
                place = f"{where}.{shown(key)}" if where else shown(key)
                self._add(
                    place,
                    f"is no key that is known{meant(str(key), known) or '; known are ' + ', '.join(known)}",
                    name,
                )

    def _person(self, name: str, entry: Mapping[Any, Any]) -> Person | None:
        where = f"people.{name}"
        self._check_keys(where, entry, _PERSON, name)
        phones = self._phones(f"{where}.phone", entry.get("phone"), name)
        call = self._phone(f"{where}.call", entry["call"], name) if "call" in entry else None
        language = entry.get("language")
        if language is not None and language not in LANGUAGES:
            self._add(f"{where}.language", f"{shown(language)} is not one of {', '.join(LANGUAGES)}", name)
            language = None
        full_name = entry.get("name")
        if full_name is not None and (not isinstance(full_name, str) or not full_name.strip()):
            self._add(f"{where}.name", "is no text; write how people call this person, or leave it out", name)
            full_name = None
        zone = self._zone(f"{where}.time_zone", entry["time_zone"], name) if "time_zone" in entry else None
        if not phones and call is None:
            return None
        return Person(
            name=name,
            phones=tuple(phone.e164 for phone in phones),
            mobiles=tuple(phone.e164 for phone in phones if phone.line_type.can_receive_sms),
            call=call.e164 if call else None,
            full_name=full_name.strip() if full_name else None,
            language=language,
            time_zone=zone.key if zone else None,
        )

    def _phones(self, where: str, value: object, name: str) -> list[PhoneNumber]:
        texts = value if isinstance(value, list | tuple) else [value]
        if value is None or not texts:
            self._add(where, "is missing; give a number in quotes, or a list of them", name)
            return []
        places = (
            [where]
            if not isinstance(value, list | tuple)
            else [f"{where}[{at}]" for at in range(1, len(texts) + 1)]
        )
        found = [self._phone(place, text, name) for place, text in zip(places, texts, strict=True)]
        return list(dict.fromkeys(phone for phone in found if phone is not None))

    def _phone(self, where: str, value: object, name: str) -> PhoneNumber | None:
        if not isinstance(value, str):
            self._add(
                where,
                f"is of type {type(value).__name__}, which loses a leading 0 and +; put the number in quotes",
                name,
            )
            return None
        try:
            phone = parse_number(value, region=self._region)
        except InvalidNumberError as error:
            self._add(where, f"{masked(value)!r} {error.reason}", name)
            return None
        if not phone.line_type.can_be_called:
            self._add(
                where, f"{masked(value)!r} is a special number, not a person's line; give another one", name
            )
            return None
        return phone

    def _zone(self, where: str, value: object, name: str | None) -> ZoneInfo | None:
        try:
            if isinstance(value, str) and value.strip():
                return ZoneInfo(value.strip())
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass
        self._add(where, f"{shown(value)} is no time zone; give one such as '{DEFAULT_ZONE}'", name)
        return None

    def _group(self, name: str, entry: Mapping[Any, Any]) -> tuple[str, ...]:
        self._check_keys(f"groups.{name}", entry, _GROUP, name)
        return tuple(dict.fromkeys(self._people(f"groups.{name}.members", entry.get("members"), name)))

    def _people(self, where: str, value: object, name: str) -> tuple[str, ...]:
        """Read a list of names, in its order, which may be nobody's; what can be no name is left out."""
        if not isinstance(value, list | tuple) or not value:
            self._add(where, 'is no list of names; write such as ["anne", "bruno"]', name)
            return ()
        found = [self._who(f"{where}[{at}]", one, name) for at, one in enumerate(value, start=1)]
        return tuple(one for one in found if one is not None)

    def _who(self, where: str, value: object, name: str) -> str | None:
        """Read the name of a person, also of one who is not there."""
        who = read_name(value.lstrip().removeprefix("@") if isinstance(value, str) else value)
        if who is None:
            self._add(where, f"{shown(value)} is no name; {NAME_RULE}", name)
        elif who not in self._known_people:
            what = (
                "is a group or a rota, and no person"
                if who in self._known
                else f"is not in people{meant(who, self._known_people)}"
            )
            self._add(where, f"{shown(who)} {what}; add people.{who}, or give the name of a person", name)
        return who

    def _last_resort(self, where: str, value: object, name: str | None) -> tuple[str, ...]:
        if value is None:
            return ()
        texts = list(value) if isinstance(value, list | tuple) else [value]
        found = list[str]()
        for text in texts:
            one = read_name(text.lstrip().removeprefix("@") if isinstance(text, str) else text)
            if one is None or one not in self._known or one in self._known_rotas:
                hint = meant(one, self._known - self._known_rotas) if one else ""
                self._add(
                    where,
                    f"{shown(text)} is no person and no group{hint}; name people or groups, no rota",
                    name,
                )
            else:
                found.append(one)
        return tuple(found)

    def _rota(self, name: str, entry: Mapping[Any, Any]) -> Rota | None:
        where = f"rotas.{name}"
        self._check_keys(where, entry, _ROTA, name)
        members = self._people(f"{where}.members", entry.get("members"), name)
        hand_over = self._hand_over(f"{where}.hand_over", entry.get("hand_over"), name)
        start = self._day(f"{where}.start", entry.get("start"), name)
        zone = self._zone(f"{where}.time_zone", entry.get("time_zone", DEFAULT_ZONE), name)
        self._rota_last_resorts[name] = self._last_resort(
            f"{where}.last_resort", entry.get("last_resort"), name
        )
        overrides, holidays = list[Override](), dict[date, str]()
        for place, row in self._rows(f"{where}.overrides", entry.get("overrides"), _OVERRIDE, name):
            override = self._override(place, row, zone or ZoneInfo("UTC"), name)
            overrides += [override] if override else []
        for place, row in self._rows(f"{where}.holidays", entry.get("holidays"), _HOLIDAY, name):
            holidays |= self._holiday(place, row, holidays, name)
        if not members or hand_over is None or start is None or zone is None:
            return None
        return Rota(
            members=members,
            hand_over=hand_over,
            start=start,
            zone=zone,
            overrides=tuple(overrides),
            holidays=holidays,
        )

    def _rows(
        self, where: str, value: object, keys: tuple[str, ...], name: str
    ) -> Iterator[tuple[str, Mapping[Any, Any]]]:
        if value is None:
            return
        if not isinstance(value, list | tuple):
            self._add(where, f"is no list of tables with the keys {', '.join(keys)}", name)
            return
        for at, row in enumerate(value, start=1):
            place = f"{where}[{at}]"
            if isinstance(row, Mapping):
                self._check_keys(place, row, keys, name)
                yield place, row
            else:
                self._add(place, f"is no table with the keys {', '.join(keys)}", name)

    def _hand_over(self, where: str, value: object, name: str) -> HandOver | None:
        if isinstance(value, time) and value == value.replace(second=0, microsecond=0):
            value = value.isoformat("minutes")
        found = _HAND_OVER.fullmatch(value.strip().lower()) if isinstance(value, str) else None
        days = [day for day in _WEEKDAYS if found and found["day"] and day.startswith(found["day"])]
        is_right = found and int(found["hour"]) < 24 and int(found["minute"]) < 60
        if not found or not is_right or (found["day"] and (len(days) != 1 or len(found["day"]) < 3)):
            said = "is missing" if value is None else f"{shown(value)} is not understood"
            self._add(where, f'{said}; write "Monday 09:00" for every week or "09:00" for every day', name)
            return None
        at = time(int(found["hour"]), int(found["minute"]))
        return HandOver(at, _WEEKDAYS.index(days[0]) if days else None)

    def _day(self, where: str, value: object, name: str) -> date | None:
        day = _day_of(value)
        if day is not None and day.year in YEARS:
            return day
        said = "is missing" if value is None else f"{shown(value)} is no day{_of_years(day)}"
        self._add(where, f"{said}; write one such as 2026-01-05", name)
        return None

    def _override(self, where: str, row: Mapping[Any, Any], zone: ZoneInfo, name: str) -> Override | None:
        begin = self._moment(f"{where}.from", row.get("from"), zone, name, is_end=False)
        end = self._moment(f"{where}.until", row.get("until"), zone, name, is_end=True)
        who = self._who(f"{where}.who", row.get("who"), name)
        if begin is None or end is None or who is None:
            return None
        if end <= begin:
            self._add(f"{where}.until", "is not after from; correct one of them", name)
            return None
        return Override(begin, end, who)

    def _moment(
        self, where: str, value: object, zone: ZoneInfo, name: str, *, is_end: bool
    ) -> datetime | None:
        """Read an instant, without an offset by the rota's clock; a day alone counts whole."""
        moment = _day_of(value) or value
        if isinstance(moment, str):
            try:
                moment = datetime.fromisoformat(moment.strip())
            except ValueError:
                moment = None
        is_out = isinstance(moment, date) and moment.year not in YEARS
        if isinstance(moment, date) and not isinstance(moment, datetime) and not is_out:
            day = moment + timedelta(days=1) if is_end else moment
            moment = datetime.combine(day, time())
        if not isinstance(moment, datetime) or is_out:
            said = "is missing" if value is None else f"{shown(value)} is no time{_of_years(moment)}"
            self._add(where, f"{said}; write one such as 2026-12-24T09:00, or a day", name)
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)

    def _holiday(
        self, where: str, row: Mapping[Any, Any], known: Mapping[date, str], name: str
    ) -> dict[date, str]:
        key = "days" if "days" in row else "day"
        values = row.get(key)
        days = [
            self._day(f"{where}.{key}", value, name)
            for value in (values if isinstance(values, list | tuple) and values else [values])
        ]
        if "day" in row and "days" in row:
            self._add(where, "has both day and days; give one of them", name)
        who = self._who(f"{where}.who", row.get("who"), name)
        for at, day in enumerate(days):
            if day is not None and (day in known or day in days[:at]):
                self._add(f"{where}.{key}", f"{day} is a holiday of this rota already; take one out", name)
        return {day: who for day in days if day is not None and who is not None}


def _of_years(moment: object) -> str:
    """Say which years there are, of a day outside of them."""
    is_out = isinstance(moment, date) and moment.year not in YEARS
    return f" of the years {YEARS[0]} to {YEARS[-1]}" if is_out else ""


def _day_of(value: object) -> date | None:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str):
        try:
            return date.fromisoformat(value.strip())
        except ValueError:
            return None
    return None
