"""When France lets a marketing SMS out: 8h to 20h, not on Sundays, not on public holidays."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

OPENS, CLOSES = time(8), time(20)
_FIXED = {(1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25)}
_AFTER_EASTER = (1, 39, 50)
NIGHT, HOLIDAY = 22, 23


def easter(year: int) -> date:
    """Return Easter Sunday (Gregorian computus)."""
    a, b, c = year % 19, year // 100, year % 100
    d = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    e = (32 + 2 * (b % 4) + 2 * (c // 4) - d - c % 4) % 7
    month_and_day = d + e - 7 * ((a + 11 * d + 22 * e) // 451) + 114
    return date(year, month_and_day // 31, month_and_day % 31 + 1)


def is_day_off(day: date) -> bool:
    """Tell whether a day is a Sunday or a French public holiday."""
    moving = {easter(day.year) + timedelta(days=days) for days in _AFTER_EASTER}
    return day.weekday() == 6 or (day.month, day.day) in _FIXED or day in moving


def refusal_code(moment: datetime) -> int | None:
    """Return 23 on a day off, 22 at night, ``None`` when the message may leave (Paris time)."""
    if is_day_off(moment.date()):
        return HOLIDAY
    return None if OPENS <= moment.time() < CLOSES else NIGHT


def next_opening(moment: datetime) -> datetime:
    """Return when a message that is held leaves: 8h on the next working day."""
    day = moment.date() if moment.time() < OPENS else moment.date() + timedelta(days=1)
    while is_day_off(day):
        day += timedelta(days=1)
    return datetime.combine(day, OPENS, moment.tzinfo)
