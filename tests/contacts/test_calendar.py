"""A rota goes out as a calendar, and what was changed there comes back as overrides."""

from __future__ import annotations

import tomllib
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from icalendar import Calendar

from airflow_provider_voicepartner.contacts.calendar import as_text, export_rota, read_overrides
from airflow_provider_voicepartner.contacts.directory import Directory, Person
from airflow_provider_voicepartner.contacts.reading import UnreadableContactsError, read_text
from airflow_provider_voicepartner.contacts.rota import HandOver, Override, Rota

PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
BEGIN = datetime(2026, 1, 5, 9, tzinfo=PARIS)
ROTA = Rota(
    members=("anne", "bruno"),
    hand_over=HandOver(time(9), 0),
    start=date(2026, 1, 5),
    zone=PARIS,
    overrides=(Override(datetime(2026, 1, 7, 8, tzinfo=UTC), datetime(2026, 1, 8, 8, tzinfo=UTC), "bruno"),),
    holidays={date(2026, 1, 13): "anne"},
)
PEOPLE = {
    "anne": Person(name="anne", phones=("+33612345601",), mobiles=("+33612345601",), full_name="Anne Martin"),
    "bruno": Person(name="bruno", phones=("+33612345602",), mobiles=("+33612345602",)),
    "karl": Person(name="karl", phones=("+33612345603",), mobiles=(), full_name="Karl Twin"),
    "karla": Person(name="karla", phones=("+33612345604",), mobiles=(), full_name="karl  twin"),
}
DIRECTORY = Directory(people=PEOPLE, rotas={"oncall": ROTA})


def exported(weeks: int = 3) -> str:
    return export_rota("oncall", DIRECTORY, BEGIN, BEGIN + timedelta(weeks=weeks), now=NOW)


def calendar(*events: str) -> bytes:
    body = "".join(f"BEGIN:VEVENT\r\n{event}\r\nEND:VEVENT\r\n" for event in events)
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n{body}END:VCALENDAR\r\n".encode()


def event(summary: str, begin: str, end: str = "", more: str = "") -> str:
    lines = [f"UID:{summary}{begin}", "DTSTAMP:20260101T000000Z", f"SUMMARY:{summary}", f"DTSTART{begin}"]
    return "\r\n".join([*lines, *([f"DTEND{end}"] if end else []), *([more] if more else [])])


def test_each_shift_is_an_event_without_numbers() -> None:
    found = Calendar.from_ical(exported()).walk("VEVENT")
    assert [(str(one["summary"]), one.decoded("dtstart"), one.decoded("dtend")) for one in found] == [
        ("Anne Martin", datetime(2026, 1, 5, 8, tzinfo=UTC), datetime(2026, 1, 7, 8, tzinfo=UTC)),
        ("bruno", datetime(2026, 1, 7, 8, tzinfo=UTC), datetime(2026, 1, 8, 8, tzinfo=UTC)),
        ("Anne Martin", datetime(2026, 1, 8, 8, tzinfo=UTC), datetime(2026, 1, 12, 8, tzinfo=UTC)),
        ("bruno", datetime(2026, 1, 12, 8, tzinfo=UTC), datetime(2026, 1, 12, 23, tzinfo=UTC)),
        ("Anne Martin", datetime(2026, 1, 12, 23, tzinfo=UTC), datetime(2026, 1, 13, 23, tzinfo=UTC)),
        ("bruno", datetime(2026, 1, 13, 23, tzinfo=UTC), datetime(2026, 1, 19, 8, tzinfo=UTC)),
        ("Anne Martin", datetime(2026, 1, 19, 8, tzinfo=UTC), datetime(2026, 1, 26, 8, tzinfo=UTC)),
    ]
    assert len({str(one["uid"]) for one in found}) == len(found)
    assert "6123456" not in exported()


def test_what_went_out_comes_back_as_no_change() -> None:
    found = read_overrides(exported().encode(), ROTA, PEOPLE)
    assert (found.overrides, found.unchanged, found.errors) == ((), 7, ())


def test_a_shift_that_was_given_to_somebody_else_is_an_override() -> None:
    changed = exported().replace("SUMMARY:bruno", "SUMMARY:Anne MARTIN", 1)
    assert read_overrides(changed.encode(), ROTA, PEOPLE).overrides == (
        Override(datetime(2026, 1, 7, 8, tzinfo=UTC), datetime(2026, 1, 8, 8, tzinfo=UTC), "anne"),
    )


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        (event("bruno", ":20260105T180000Z", ":20260106T080000Z"), (5, 18), (6, 8)),
        (event("@Bruno", ";TZID=Europe/Paris:20260105T180000", ";TZID=Europe/Paris:20260106T090000"), (5, 17), (6, 8)),
        (event("bruno", ":20260105T180000", ":20260106T090000"), (5, 17), (6, 8)),
        (event("bruno", ";VALUE=DATE:20260106", ";VALUE=DATE:20260107"), (5, 23), (6, 23)),
        (event("bruno", ";VALUE=DATE:20260106"), (5, 23), (6, 23)),
        (event("bruno", ":20260105T180000Z", more="DURATION:PT2H"), (5, 18), (5, 20)),
    ],
)  # fmt: skip
def test_times_as_calendars_write_them(text: str, begin: tuple[int, int], end: tuple[int, int]) -> None:
    found = read_overrides(calendar(text), ROTA, PEOPLE)
    assert found.errors == ()
    assert found.overrides == (
        Override(datetime(2026, 1, *begin, tzinfo=UTC), datetime(2026, 1, *end, tzinfo=UTC), "bruno"),
    )


def test_a_cancelled_event_says_nothing() -> None:
    text = event("bruno", ":20260105T180000Z", ":20260106T080000Z", "STATUS:CANCELLED")
    found = read_overrides(calendar(text), ROTA, PEOPLE)
    assert (found.overrides, found.unchanged, found.errors) == ((), 0, ())


def test_each_wrong_event_is_an_error_of_its_own() -> None:
    good = event("bruno", ":20260105T180000Z", ":20260106T080000Z")
    wrong = [
        event("Bruna", ":20260105T180000Z", ":20260106T080000Z"),
        event("Call 0612345678", ":20260105T180000Z", ":20260106T080000Z"),
        event("Karl Twin", ":20260105T180000Z", ":20260106T080000Z"),
        event("bruno", ":20260106T080000Z", ":20260105T180000Z"),
        event("bruno", ":20260106T080000Z"),
        event("bruno", ":20260105T180000Z", ":20260106T080000Z", "RRULE:FREQ=DAILY"),
        "UID:1\r\nDTSTAMP:20260101T000000Z\r\nSUMMARY:bruno",
        event("bruno", ":yesterday", ":20260106T080000Z"),
        event("bruno", ":20260105T180000Z", ":99991231T235959Z"),
        event("bruno", ";VALUE=DATE:00010101"),
        event("bruno", ":20260105T180000Z", more="DURATION:P9999999D"),
    ]
    found = read_overrides(calendar(good, *wrong), ROTA, PEOPLE)
    assert len(found.overrides) == 1
    expected = [
        "event 2 ('Bruna', 2026-01-05T18:00:00+00:00): is nobody's name in the contacts; did you mean 'bruno'?",
        "event 3 ('Call 0612",
        "event 4 ('Karl Twin', 2026-01-05T18:00:00+00:00): is the name of 2 people; write karl or karla",
        "event 5 ('bruno', 2026-01-06T08:00:00+00:00): does not end after it begins",
        "event 6 ('bruno', 2026-01-06T08:00:00+00:00): does not end after it begins",
        "event 7 ('bruno', 2026-01-05T18:00:00+00:00): repeats; write each time as an event of its own",
        "event 8 ('bruno'): has no time at which it begins",
        "event 9 ('bruno'): has no time at which it begins",
        "event 10 ('bruno', 2026-01-05T18:00:00+00:00): is not in the years 1900 to 2999; correct it",
        "event 11 ('bruno', 0001-01-01): is not in the years 1900 to 2999",
        "event 12 ('bruno', 2026-01-05T18:00:00+00:00): is not in the years 1900 to 2999",
    ]
    assert len(found.errors) == len(expected)
    for error, start in zip(found.errors, expected, strict=True):
        assert error.startswith(start)
    assert "12345678" not in str(found.errors)


@pytest.mark.parametrize("text", [b"", b"hello", b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n"])
def test_what_is_no_calendar_is_refused(text: bytes) -> None:
    with pytest.raises(UnreadableContactsError, match="is no calendar"):
        read_overrides(text, ROTA, PEOPLE)


def test_overrides_are_written_as_the_contacts_have_them() -> None:
    override = Override(datetime(2026, 7, 5, 16, tzinfo=UTC), datetime(2026, 7, 6, 7, tzinfo=UTC), "bruno")
    toml = as_text("oncall", [override, override], ROTA, "TOML")
    assert toml.startswith("[[rotas.oncall.overrides]]\nfrom = 2026-07-05T18:00:00+02:00\n")
    assert len(tomllib.loads(toml)["rotas"]["oncall"]["overrides"]) == 2
    same = [{"from": "2026-07-05T18:00:00+02:00", "until": "2026-07-06T09:00:00+02:00", "who": "bruno"}]
    for kind in ("YAML", "JSON"):
        text = as_text("oncall", [override], ROTA, kind)
        assert read_text(text, kind)["rotas"]["oncall"]["overrides"] == same
