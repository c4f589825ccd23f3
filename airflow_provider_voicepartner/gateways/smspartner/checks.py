"""The vendor's limits, checked before anything is sent. Errors name the argument and the fix, no number and no text."""

from __future__ import annotations

import re
from datetime import datetime

from airflow_provider_voicepartner.gateways.checks import check_encodable, check_said
from airflow_provider_voicepartner.gateways.dates import require_future_slot
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.smspartner.length import (
    MAX_SEGMENTS,
    longest_text,
    segments,
    text_length,
)

TAG_LENGTH = 20
MINUTE_STEP = 5
SAY_SOMETHING = "write what is to be said"

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")


def check_text(text: str, *, is_unicode: bool = False, low_cost: bool = False) -> None:
    """
    Check a text: not empty, and at most 10 linked SMS (code 52), or a single one in the Low Cost range (code 42).

    :param is_unicode: counted 70 and 67 to an SMS.
    """
    check_encodable(text, argument="message")
    check_said(text, argument="message", fix=SAY_SOMETHING)
    allowed = 1 if low_cost else MAX_SEGMENTS
    if segments(text, is_unicode=is_unicode) > allowed:
        limit = longest_text(is_unicode=is_unicode, segments=allowed)
        over = text_length(text, is_unicode=is_unicode) - limit
        reason = "a Low Cost SMS" if low_cost else f"{MAX_SEGMENTS} linked SMS"
        raise InvalidArgumentError(
            "message",
            f"is {over} characters too long: {reason} takes {limit} as the gateway counts them; shorten it",
        )


def check_range(*, low_cost: bool, is_stop_sms: bool, argument: str = "is_stop_sms") -> None:
    """Check that the automatic STOP mention is asked for in the Premium range only."""
    if low_cost and is_stop_sms:
        raise InvalidArgumentError(
            argument, "works in the Premium range only; write the STOP mention (NoPub=STOP) into the message"
        )


def check_tag(tag: str) -> None:
    """Check a tag: 1 to 20 characters, no blank, lower case."""
    if not 1 <= len(tag) <= TAG_LENGTH or re.search(r"\s", tag) or tag != tag.lower():
        raise InvalidArgumentError(
            "tag",
            f"must be 1 to {TAG_LENGTH} characters without blanks and capital letters; shorten or rewrite it",
        )


def check_id(value: str, *, argument: str) -> None:
    """Check an id that goes into a query."""
    if not is_id(value):
        raise InvalidArgumentError(
            argument, "is not an id of this gateway; give the id from the answer to the send"
        )


def is_id(text: str) -> bool:
    """Say whether a text may be one of the gateway's ids: a number or a UUID, but neither zero nor negative."""
    return bool(_ID.fullmatch(text)) and text.strip("0.") != ""


def schedule_fields(send_at: datetime, *, now: datetime) -> dict[str, str | int]:
    """
    Write a date of sending as the gateway wants it: ``dd/MM/yyyy``, hour and minute, in Europe/Paris.

    The minute must be a multiple of 5 (documented) and is rounded *up*: never earlier than asked. The docs allow hours
    0 to 24; 24 is never used. That the gateway reads Paris time is inferred.

    :param send_at: aware and in the future.
    :param now: the present, aware.
    :returns: ``scheduledDeliveryDate``, ``time`` and ``minute``.
    :raises InvalidArgumentError: for a naive or a past date.
    """
    moment = require_future_slot(send_at, now, step=MINUTE_STEP)
    return {
        "scheduledDeliveryDate": f"{moment.day:02}/{moment.month:02}/{moment.year:04}",
        "time": moment.hour,
        "minute": moment.minute,
    }
