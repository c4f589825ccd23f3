"""Rotas as iCalendar, for people who plan in a calendar: shifts go out, overrides come back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_voicepartner.contacts.directory import Directory, Person
from airflow_provider_voicepartner.contacts.names import meant, read_name, shown
from airflow_provider_voicepartner.contacts.reading import UnreadableContactsError
from airflow_provider_voicepartner.contacts.rota import YEARS, Override, Rota

if TYPE_CHECKING:
    from icalendar import Calendar

_PRODUCT: Final = "-//airflow-provider-voicepartner//contacts//EN"


@dataclass(frozen=True, slots=True)
class CalendarOverrides:
    """
    What a calendar says of a rota.

    :param overrides: of events that say another person than the rota.
    :param unchanged: how many events say what the rota says.
    :param errors: one for each event that cannot be taken over.
    """

    overrides: tuple[Override, ...]
    unchanged: int
    errors: tuple[str, ...]


def export_rota(name: str, directory: Directory, begin: datetime, end: datetime, *, now: datetime) -> str:
    """
    Write who is on call as a calendar: an event for each shift, override and holiday; no numbers.

    :param name: of the rota.
    :param directory: the contacts.
    :param begin: aware.
    :param end: aware.
    :param now: aware; when it is written.
    """
    from icalendar import Calendar, Event

    calendar = Calendar()
    calendar.add("prodid", _PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", name)
    written = _written_names(directory.people)
    for shift in directory.rotas[name].shifts(begin, end):
        event = Event()
        event.add("uid", f"{name}-{shift.begin:%Y%m%dT%H%M%SZ}@voicepartner")
        event.add("dtstamp", now.astimezone(UTC))
        event.add("dtstart", shift.begin)
        event.add("dtend", shift.end)
        event.add("summary", written.get(shift.who, shift.who))
        event.add("categories", [shift.reason.value])
        calendar.add_component(event)
    return bytes(calendar.to_ical()).decode()


def _written_names(people: Mapping[str, Person]) -> dict[str, str]:
    """Return how people are written in a calendar: in full where that is nobody else's name."""
    count = Counter(_folded(person.full_name or name) for name, person in people.items())
    full = {name: person.full_name or name for name, person in people.items()}
    return {name: text if count[_folded(text)] == 1 else name for name, text in full.items()}


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def read_overrides(text: bytes, rota: Rota, people: Mapping[str, Person]) -> CalendarOverrides:
    """
    Read who is on call in place of whoever it would be.

    :param text: a calendar; the summary of each event is a person's name, in full or as in ``@name``.
    :param rota: what events are compared with; a time without a zone is by its clock.
    :param people: who is known.
    :raises UnreadableContactsError: it is no calendar.
    """
    overrides, errors, unchanged = list[Override](), list[str](), 0
    for at, event in enumerate(_calendar(text).walk("VEVENT"), start=1):
        if str(event.get("status", "")).upper() == "CANCELLED":
            continue
        try:
            override = _override(event, rota, people)
        except UnreadableContactsError as error:
            errors.append(f"event {at} ({_described(event)}): {error}")
            continue
        if all(shift.who == override.who for shift in rota.shifts(override.begin, override.end)):
            unchanged += 1
        else:
            overrides.append(override)
    return CalendarOverrides(tuple(overrides), unchanged, tuple(errors))


def _calendar(text: bytes) -> Calendar:
    from icalendar import Calendar

    try:
        return Calendar.from_ical(text)
    except (ValueError, IndexError, KeyError, AttributeError, TypeError):
        pass
    raise UnreadableContactsError("is no calendar (.ics); export it from your calendar again")


def _override(event: Any, rota: Rota, people: Mapping[str, Person]) -> Override:
    if event.get("rrule") is not None or event.get("rdate") is not None:
        raise UnreadableContactsError("repeats; write each time as an event of its own")
    who = _person(str(event.get("summary") or ""), people)
    begin = _time(event, "dtstart")
    if begin is None:
        raise UnreadableContactsError("has no time at which it begins; correct it")
    end, duration = _time(event, "dtend"), getattr(event.get("duration"), "dt", None)
    if not isinstance(duration, timedelta):
        duration = timedelta(days=0 if isinstance(begin, datetime) else 1)
    try:
        end = begin + duration if end is None else end
    except OverflowError:
        end = date.max
    if begin.year not in YEARS or end.year not in YEARS:
        raise UnreadableContactsError(f"is not in the years {YEARS[0]} to {YEARS[-1]}; correct it")
    first, last = _instant(begin, rota), _instant(end, rota)
    if last <= first:
        raise UnreadableContactsError("does not end after it begins; correct it")
    return Override(first, last, who)


def _time(event: Any, name: str) -> date | None:
    try:
        found = event.decoded(name)
    except (KeyError, ValueError, AttributeError, TypeError):
        return None
    return found if isinstance(found, date) else None


def _instant(moment: date, rota: Rota) -> datetime:
    """Return an instant; a day begins at midnight of the rota."""
    whole = moment if isinstance(moment, datetime) else datetime.combine(moment, time())
    return (whole if whole.tzinfo else whole.replace(tzinfo=rota.zone)).astimezone(UTC)


def _person(summary: str, people: Mapping[str, Person]) -> str:
    name = read_name(summary.strip().removeprefix("@"))
    if name in people:
        return str(name)
    wanted = _folded(summary)
    found = [
        name for name, person in people.items() if person.full_name and _folded(person.full_name) == wanted
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise UnreadableContactsError(
            f"is the name of {len(found)} people; write {' or '.join(sorted(found))}"
        )
    hint = meant(wanted, people) or "; write a name of people as the summary"
    raise UnreadableContactsError(f"is nobody's name in the contacts{hint}")


def _described(event: Any) -> str:
    begin = _time(event, "dtstart")
    when = "" if begin is None else f", {begin.isoformat()}"
    return f"{shown(str(event.get('summary') or ''))}{when}"


def as_text(key: str, overrides: Sequence[Override], rota: Rota, kind: str) -> str:
    """
    Write overrides as they stand in the contacts.

    :param key: the rota's name, as it is written there.
    :param kind: ``TOML``, ``YAML`` or ``JSON``.
    """
    rows = [
        {
            "from": override.begin.astimezone(rota.zone).isoformat(),
            "until": override.end.astimezone(rota.zone).isoformat(),
            "who": override.who,
        }
        for override in overrides
    ]
    if kind == "TOML":
        return "\n".join(_toml(key, rows))
    if kind == "YAML":
        lines = (
            f'      - {{from: "{row["from"]}", until: "{row["until"]}", who: {row["who"]}}}\n' for row in rows
        )
        return f"rotas:\n  {key}:\n    overrides:\n{''.join(lines)}"
    return json.dumps({"rotas": {key: {"overrides": rows}}}, indent=2) + "\n"


def _toml(key: str, rows: Sequence[Mapping[str, str]]) -> Iterator[str]:
    for row in rows:
        yield f'[[rotas.{key}.overrides]]\nfrom = {row["from"]}\nuntil = {row["until"]}\nwho = "{row["who"]}"\n'
