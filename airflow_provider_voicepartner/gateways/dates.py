"""Dates as the gateways write them: zone-less and in Europe/Paris on the wire, aware everywhere else."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pendulum

from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError

PARIS = pendulum.timezone("Europe/Paris")


def require_future(send_at: datetime, now: datetime) -> pendulum.DateTime:
    """
    Check a date of sending: it must carry a zone and lie ahead.

    :param send_at: when to send.
    :param now: the present, aware.
    :returns: the same instant in Europe/Paris.
    :raises InvalidArgumentError: for a naive or a past date.
    """
    if send_at.tzinfo is None or send_at.utcoffset() is None:
        raise InvalidArgumentError(
            "send_at",
            "has no time zone, so the hour is ambiguous; give an aware datetime, "
            "for instance pendulum.datetime(2031, 5, 6, 14, 15, tz='Europe/Paris')",
        )
    if send_at <= now:
        raise InvalidArgumentError(
            "send_at",
            f"{send_at.isoformat()} is in the past; give a later date, or leave it out to send at once",
        )
    try:
        return pendulum.instance(send_at).in_timezone(PARIS)
    except OverflowError:
        raise _too_far() from None


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
    Read a date from the wire: Unix seconds (number or text), ``YYYY-MM-DD HH:MM:SS`` taken as Paris time, or ISO 8601.

    :param value: as it came; None, blank, zero dates and unreadable text give None, since no decision hangs on it.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        return None
    text = str(value).strip()
    if not text or text.startswith("0000-"):
        return None
    try:
        if text.lstrip("-").replace(".", "", 1).isdigit() and text.isascii():
            return pendulum.from_timestamp(float(text), tz=PARIS)
        parsed = datetime.fromisoformat(text)
        return (
            pendulum.instance(parsed, tz=PARIS)
            if parsed.tzinfo is None
            else pendulum.instance(parsed).in_timezone(PARIS)
        )
    except (ValueError, OverflowError, OSError):
        return None
