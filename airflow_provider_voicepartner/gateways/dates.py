"""Dates as the gateways write them: zone-less and in Europe/Paris on the wire, aware everywhere else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pendulum

from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError

PARIS = pendulum.timezone("Europe/Paris")
_OFFSET_STEP = timedelta(hours=1) / 4
_NO_ZONE_TIME = ("LMT", "-00")
"""What a zone calls its clock before there was one: local mean time, and before anybody lived there."""


def as_instant(moment: datetime, *, argument: str = "send_at") -> datetime:
    """
    Return the instant that an aware date names, in UTC, whatever library its zone comes from.

    Libraries differ in what they make of a date that they did not build themselves, above all in the hour that the
    clock skips or repeats. What Python says of the date's own offset is the one thing that all of them agree on.

    :param moment: of zoneinfo, dateutil, pytz, pendulum or with a fixed offset.
    :param argument: the name that errors give.
    :raises InvalidArgumentError: for a naive date, and for an offset that no zone of today has: pytz gives that of the
        19th century (Paris: 9 minutes, Madrid: -15) to ``datetime(…, tzinfo=pytz.timezone(…))``.
    """
    offset = moment.utcoffset()
    if offset is None:
        raise InvalidArgumentError(
            argument,
            f"{moment.isoformat()} has no time zone, so the hour is ambiguous; add one, for instance "
            "'2031-05-06T14:15:00+02:00' or pendulum.datetime(2031, 5, 6, 14, 15, tz='Europe/Paris')",
        )
    if offset % _OFFSET_STEP or moment.tzname() in _NO_ZONE_TIME:
        raise InvalidArgumentError(
            argument,
            f"is {offset.total_seconds() / 60:+g} minutes from UTC, which its clock is not today; pytz does that to "
            "datetime(…, tzinfo=zone): use zone.localize(datetime(…)), or zoneinfo",
        )
    try:
        return (moment.replace(tzinfo=None) - offset).replace(tzinfo=UTC, fold=0)
    except OverflowError:
        pass
    raise InvalidArgumentError(argument, "is at the very end of the calendar; give a date in between")


def require_future(send_at: datetime, now: datetime) -> pendulum.DateTime:
    """
    Check a date of sending: it must carry a zone and lie ahead.

    :param send_at: when to send.
    :param now: the present, aware.
    :returns: the same instant in Europe/Paris.
    :raises InvalidArgumentError: for a naive or a past date.
    """
    instant = as_instant(send_at)
    if instant <= now:
        raise InvalidArgumentError(
            "send_at",
            f"{send_at.isoformat()} is in the past; give a later date, or leave it out to send at once",
        )
    try:
        return pendulum.instance(instant).in_timezone(PARIS)
    except OverflowError:
        raise _too_far() from None


def check_lead(send_at: datetime, now: datetime, *, shortest: timedelta, longest: timedelta | None) -> None:
    """
    Check that a date of sending is as far ahead as the gateway wants it.

    :param shortest: how far at least; zero says nothing.
    :param longest: how far at most; None says nothing.
    :raises InvalidArgumentError: it is not.
    """
    if not shortest and longest is None:
        return
    ahead = as_instant(send_at) - now
    if ahead < shortest:
        raise InvalidArgumentError(
            "send_at",
            f"{send_at.isoformat()} is less than {shortest.total_seconds() / 60:g} minutes ahead, which is "
            "the least that the gateway takes; give a later date, or leave it out to send at once",
        )
    if longest is not None and ahead > longest:
        raise InvalidArgumentError(
            "send_at",
            f"{send_at.isoformat()} is more than {longest.total_seconds() / 86_400:g} days ahead, which is the most "
            "that the gateway takes; give an earlier date",
        )


def require_future_slot(send_at: datetime, now: datetime, *, step: int) -> pendulum.DateTime:
    """
    Check a date of sending for a gateway that takes Paris time without an offset, and move it up to a minute it takes.

    The hour that the clock repeats on the last Sunday of October stands for two moments on such a wire, and the gateway
    alone picks; such a date is refused only when the first of the two has passed.

    :param send_at: when to send, aware.
    :param now: the present, aware.
    :param step: minutes between two dates that the gateway takes, a divisor of 60.
    :returns: the next such date in Europe/Paris, never earlier than asked.
    :raises InvalidArgumentError: for a naive or a past date, or one that the gateway could take for a past one.
    """
    asked = require_future(send_at, now)
    try:
        slot = round_up_to_minutes(asked, step)
    except (OverflowError, ValueError):
        raise _too_far() from None
    if slot.replace(fold=0) <= now:
        raise InvalidArgumentError(
            "send_at",
            "lies in the hour that the clock repeats, and the gateway would take it for a time that has passed; "
            "choose a time from 03:00 on",
        )
    return slot


def require_future_second(send_at: datetime, now: datetime) -> pendulum.DateTime:
    """
    Check a date of sending for a gateway that takes an offset and whole seconds, and move it up to one.

    :param send_at: when to send, aware.
    :param now: the present, aware.
    :returns: the instant in Europe/Paris, never earlier than asked.
    :raises InvalidArgumentError: for a naive or a past date.
    """
    asked = require_future(send_at, now)
    try:
        return asked + timedelta(seconds=1, microseconds=-asked.microsecond) if asked.microsecond else asked
    except OverflowError:
        raise _too_far() from None


def _too_far() -> InvalidArgumentError:
    return InvalidArgumentError("send_at", "is too far in the future; give an earlier date")


def round_up_to_minutes(moment: pendulum.DateTime, step: int) -> pendulum.DateTime:
    """
    Move a moment forward to the next full multiple of ``step`` minutes, never back.

    :param moment: an aware moment.
    :param step: minutes, a divisor of 60.
    """
    floor = moment.start_of("minute")
    late = moment > floor
    missing = -floor.minute % step
    if late and missing == 0:
        missing = step
    return floor + timedelta(minutes=missing)


def is_before(moment: pendulum.DateTime, other: datetime) -> bool:
    """
    Say whether a moment that a gateway wrote is certainly before another one.

    A zone-less hour that the clock repeats in October may mean the later of two moments; and zero on the clock of 1970
    is how some write "not yet", so it is before nothing.

    :param moment: as :func:`read_date` gives it.
    :param other: aware.
    """
    if moment.timestamp() <= 0:
        return False
    return moment.in_timezone(PARIS).replace(fold=1) < other


def read_date(value: object) -> pendulum.DateTime | None:
    """
    Read a date from the wire: Unix seconds or milliseconds (number or text), ``YYYY-MM-DD HH:MM:SS`` taken as Paris
    time, or ISO 8601.

    An hour that the clock repeats is the first of the two, one that it skips counts on from before, as in Python.

    :param value: as it came; None, blank, zero dates and unreadable text give None, since no decision hangs on it.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        return None
    text = str(value).strip()
    if not text or text.startswith("0000-"):
        return None
    try:
        if text.lstrip("-").replace(".", "", 1).isdigit() and text.isascii():
            number = float(text)
            if 1e12 <= number < 1e13:  # thirteen digits: milliseconds, 2001 to 2286
                number /= 1000
            # More is no date, or one written without separators, such as 20310506141611.
            return pendulum.from_timestamp(number, tz=PARIS) if abs(number) < 1e11 else None
        parsed = datetime.fromisoformat(text)
        aware = parsed.replace(tzinfo=PARIS) if parsed.tzinfo is None else parsed
        return pendulum.instance(aware.astimezone(UTC)).in_timezone(PARIS)
    except (ValueError, OverflowError, OSError):
        return None
