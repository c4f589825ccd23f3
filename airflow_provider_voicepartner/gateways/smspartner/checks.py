"""The vendor's limits, checked before anything is sent. Errors name the argument and the fix, no number and no text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from ipaddress import ip_address
from urllib.parse import urlsplit

from airflow_provider_voicepartner.gateways.dates import require_future, round_up_to_minutes
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import MAX_RECIPIENTS_PER_BATCH
from airflow_provider_voicepartner.gateways.smspartner.length import (
    MAX_SEGMENTS,
    longest_text,
    segments,
    text_length,
)

TAG_LENGTH = 20
MINUTE_STEP = 5
URL_RULE = "must be an https:// URL (http:// only on this machine, such as http://127.0.0.1:8080/…)"

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_SENDER = re.compile(r"[A-Za-z0-9]{3,11}")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")


def check_numbers(numbers: Sequence[str], *, argument: str = "to") -> None:
    """
    Check the numbers of one request: 1 to 500 of them (documented), each in E.164 (which every endpoint takes).

    :raises InvalidArgumentError: with the position of a bad number, from 1.
    """
    check_count(len(numbers), argument=argument)
    for position, number in enumerate(numbers, start=1):
        check_number(number, argument=argument, position=position)


def check_count(count: int, *, argument: str) -> None:
    """Check how many numbers one request carries: 1 to 500."""
    if not 1 <= count <= MAX_RECIPIENTS_PER_BATCH:
        raise InvalidArgumentError(
            argument,
            f"holds {count} recipients, and one request takes 1 to {MAX_RECIPIENTS_PER_BATCH}; "
            + ("split it" if count else "give at least one"),
        )


def check_number(number: str, *, argument: str, position: int | None = None) -> None:
    """Check that a number is in E.164."""
    if not _E164.fullmatch(number):
        which = "the number" if position is None else f"recipient {position}"
        raise InvalidArgumentError(argument, f"{which} is not in E.164; write it such as +33612345678")


def check_sender(sender: str | None, *, argument: str = "sender") -> None:
    """Check a sender ID: 3 to 11 characters, none of them special (documented), hence letters and digits only."""
    if sender is not None and not _SENDER.fullmatch(sender):
        problem = (
            f"has {len(sender)} characters"
            if not 3 <= len(sender) <= 11
            else "has characters the gateway refuses"
        )
        raise InvalidArgumentError(
            argument,
            f"{problem}; give 3 to 11 letters (A-Z, a-z) or digits without blanks or accents, "
            "or leave it out to send from a short number",
        )


def check_text(
    text: str, *, is_unicode: bool = False, low_cost: bool = False, argument: str = "message"
) -> None:
    """
    Check a text: not empty, and at most 10 linked SMS (code 52), or a single one in the Low Cost range (code 42).

    :param is_unicode: counted 70 and 67 to an SMS.
    """
    if not text.strip():
        raise InvalidArgumentError(argument, "is empty; write what is to be said")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidArgumentError(
            argument,
            "holds half of a character pair, which no encoding can carry; decode its source properly",
        ) from None
    allowed = 1 if low_cost else MAX_SEGMENTS
    if segments(text, is_unicode=is_unicode) > allowed:
        limit = longest_text(is_unicode=is_unicode, segments=allowed)
        over = text_length(text, is_unicode=is_unicode) - limit
        reason = "a Low Cost SMS" if low_cost else f"{MAX_SEGMENTS} linked SMS"
        raise InvalidArgumentError(
            argument,
            f"is {over} characters too long: {reason} takes {limit} as the gateway counts them; shorten it",
        )


def check_range(*, low_cost: bool, is_stop_sms: bool, argument: str = "is_stop_sms") -> None:
    """Check that the automatic STOP mention is asked for in the Premium range only."""
    if low_cost and is_stop_sms:
        raise InvalidArgumentError(
            argument, "works in the Premium range only; write the STOP mention (NoPub=STOP) into the message"
        )


def check_tag(tag: str, *, argument: str = "tag") -> None:
    """Check a tag: 1 to 20 characters, no blank, lower case."""
    if not 1 <= len(tag) <= TAG_LENGTH or re.search(r"\s", tag) or tag != tag.lower():
        raise InvalidArgumentError(
            argument,
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


def is_callback_url(url: str) -> bool:
    """Say whether a URL may be given to the gateway: https, or http on loopback (for the sandbox)."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or re.search(r"[\s\x00-\x1f]", url):
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def check_url(url: str | None, *, argument: str) -> None:
    """Check a callback URL."""
    if url is not None and not is_callback_url(url):
        raise InvalidArgumentError(argument, URL_RULE)


def schedule_fields(send_at: datetime, *, now: datetime, argument: str = "send_at") -> dict[str, str | int]:
    """
    Write a date of sending as the gateway wants it: ``dd/MM/yyyy``, hour and minute, in Europe/Paris.

    The minute must be a multiple of 5 (documented) and is rounded *up*: never earlier than asked. The docs allow hours
    0 to 24; 24 is never used. That the gateway reads Paris time is inferred. The hour that the clock repeats on the
    last Sunday of October stands for two moments on the wire, and the gateway alone picks; such a date is refused
    only when the first of the two has passed.

    :param send_at: aware and in the future.
    :param now: the present, aware.
    :returns: ``scheduledDeliveryDate``, ``time`` and ``minute``.
    :raises InvalidArgumentError: for a naive or a past date.
    """
    asked = require_future(send_at, now, argument=argument)
    try:
        moment = round_up_to_minutes(asked, MINUTE_STEP)
    except (OverflowError, ValueError):
        raise InvalidArgumentError(argument, "is too far in the future; give an earlier date") from None
    if moment.replace(fold=0) <= now:
        raise InvalidArgumentError(
            argument,
            "lies in the hour that the clock repeats, and the gateway would take it for a time that has passed; "
            "choose a time from 03:00 on",
        )
    return {
        "scheduledDeliveryDate": f"{moment.day:02}/{moment.month:02}/{moment.year:04}",
        "time": moment.hour,
        "minute": moment.minute,
    }
