"""Tolerant reading of gateways' answers: numbers as text, several spellings of a key, money as exact decimals."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from airflow_provider_voicepartner.gateways.bodies import loads, read_body, read_form
from airflow_provider_voicepartner.gateways.errors import (
    Codes,
    ErrorKind,
    GatewayError,
    InvalidCallbackError,
    RecipientProblem,
)
from airflow_provider_voicepartner.gateways.numbers import read_wire_number
from airflow_provider_voicepartner.gateways.wire import ApiResponse, CallbackRequest, scrub

_MAX_DIGITS = 40
_FEWEST_DIGITS_OF_A_NUMBER = 6
_LONGEST_WORDS = 200
_EUROS = frozenset({"euros", "euro", "eur", "€"})
_DIGIT = re.compile(r"\d")
_CODE = re.compile(r"[A-Za-z0-9_.\-]{1,40}")


def pick(data: Mapping[str, Any], *names: str) -> Any:
    """Return the first of several spellings of a key that is present and not null, or None."""
    for name in names:
        value = data.get(name)
        if value is not None:
            return value
    return None


def as_text(value: Any) -> str | None:
    """Read an id or a word: text, or a number as its text; blank and anything else give None."""
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        return None
    return str(value).strip() or None


def as_int(value: Any) -> int | None:
    """Read a whole number that may come as text; anything else gives None."""
    number = as_decimal(value)
    if number is None or number.adjusted() > 18 or number != number.to_integral_value():
        return None
    return int(number)


def as_count(value: Any) -> int | None:
    """Read a number of things or of seconds; one below zero is none and gives None, like anything else."""
    count = as_int(value)
    return count if count is not None and count >= 0 else None


def as_decimal(value: Any) -> Decimal | None:
    """Read money or a duration from a number or its text, with a decimal comma too; anything else gives None."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        return None
    text = str(value).strip().replace(",", ".")
    if not text or len(text) > _MAX_DIGITS:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    # A finite number of 10**999999 would make the first sum that it enters raise.
    return number if number.is_finite() and abs(number.adjusted()) < _MAX_DIGITS else None


def as_price(value: Any) -> Decimal | None:
    """Read what a send cost; 0 and less are not told: nobody sends for nothing, and a budget must not believe it."""
    price = as_decimal(value)
    return price if price is not None and price > 0 else None


def as_bool(value: Any) -> bool | None:
    """Read a flag that may come as true/false, 0/1 or their texts; anything else gives None."""
    if isinstance(value, bool):
        return value
    if not isinstance(value, (str, int, Decimal)):
        return None
    return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}.get(
        str(value).strip().casefold()
    )


def as_verdict(value: Any) -> bool | None:
    """Read a success flag: like :func:`as_bool`, but a blank one is neither yes nor no."""
    return None if isinstance(value, str) and not value.strip() else as_bool(value)


def as_currency(value: Any) -> str | None:
    """Read a currency or another unit as the gateway names it; the euro, however it is written, gives ``EUR``."""
    unit = as_text(value)
    return "EUR" if unit is not None and unit.casefold() in _EUROS else unit


def as_object(value: Any) -> Mapping[str, Any]:
    """Return a JSON object, or an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def as_objects(value: Any) -> list[Mapping[str, Any]]:
    """Return the JSON objects of a list, leaving out anything else in it."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def transport_kind(status: int, *, safe_to_repeat: bool) -> ErrorKind:
    """
    Say what an HTTP status alone proves, when the body says nothing that can be understood.

    429 is refused before it is processed; other 4xx are the caller's fault. 408 (the server gave up waiting),
    2xx with an unreadable body, 302 and 303 (the usual answer *after* a form was processed) and 5xx prove nothing.

    :param status: the HTTP status.
    :param safe_to_repeat: reads have no effect, so nothing about them can be in doubt.
    """
    if status == 429:
        return ErrorKind.RETRYABLE
    if status in (401, 403):
        return ErrorKind.CONFIGURATION
    if status in (301, 307, 308):
        return ErrorKind.CONFIGURATION
    if status == 404 and safe_to_repeat:
        return ErrorKind.NOT_FOUND
    if 400 <= status < 500 and status != 408:
        return ErrorKind.REJECTED
    return ErrorKind.RETRYABLE if safe_to_repeat else ErrorKind.UNKNOWN


def decode(gateway: str, endpoint: str, response: ApiResponse, *, safe_to_repeat: bool) -> dict[str, Any]:
    """
    Decode an answer that must be a JSON object.

    :raises GatewayError: for HTML, truncated JSON, an empty body or JSON that is no object, with the status and the
        first 200 characters, scrubbed. Its kind is what the HTTP status alone proves.
    """
    problem = "the answer is empty"
    if response.body.strip():
        try:
            data = loads(response.body)
        except ValueError:
            problem = f"the answer is not JSON: {response.excerpt()!r}"
        else:
            if isinstance(data, dict):
                return data
            problem = f"the answer is JSON but not an object: {response.excerpt()!r}"
    if 300 <= response.status < 400:
        problem = "the answer is a redirect, which is not followed; check the connection's host"
    kind = transport_kind(response.status, safe_to_repeat=safe_to_repeat)
    raise GatewayError(gateway, endpoint, kind, problem, status=response.status)


def is_presentable_code(code: str, response: ApiResponse) -> bool:
    """Say whether a text may be shown as a code: a short word that gives away no number, text or key."""
    return _CODE.fullmatch(code) is not None and scrub(code, response.private) == code


def presentable_words(message: str | None, response: ApiResponse) -> str:
    """Return a gateway's words as they may be shown: scrubbed, on one line, at most 200 characters."""
    return " ".join(scrub(message or "", response.private).split())[:_LONGEST_WORDS]


def refusal(
    gateway: str,
    endpoint: str,
    response: ApiResponse,
    codes: Codes,
    *,
    code: str | None,
    message: str | None,
    default: ErrorKind,
    recipients: tuple[RecipientProblem, ...] = (),
) -> GatewayError:
    """
    Build the error for an answer that says no.

    :param codes: what this endpoint's codes mean.
    :param code: the gateway's code as text.
    :param message: the gateway's words; scrubbed and cut to 200 characters.
    :param default: the kind when the code is missing or not documented.
    """
    kind = ErrorKind.RETRYABLE if response.status == 429 else codes.kind(code, default)
    said = presentable_words(message, response)
    meaning = codes.meaning(code)
    summary = "; ".join(part for part in (meaning, f"the gateway said {said!r}" if said else None) if part)
    return GatewayError(
        gateway,
        endpoint,
        kind,
        summary or "refused without a reason",
        code=code,
        status=response.status,
        recipients=recipients,
    )


def read_callback(callback: CallbackRequest) -> dict[str, Any]:
    """
    Decode a callback's fields from wherever they are: JSON body, form body or query string.

    The body is tried as JSON first and as a form next, whatever the content type says, since gateways were seen to send
    either without saying so. Query parameters fill in what the body does not name.

    :raises InvalidCallbackError: when there is nothing to read.
    """
    fields = read_body(callback.body, callback.content_type) if callback.body.strip() else {}
    for name, value in read_form(_bytes_of(callback.query), None).items():
        fields.setdefault(name, value)
    if not fields:
        raise InvalidCallbackError("the callback is empty")
    return fields


def _bytes_of(query: str) -> bytes:
    """Return a query as it came: each byte a character, or a text that somebody wrote."""
    try:
        return query.encode("latin-1")
    except UnicodeEncodeError:
        return query.encode("utf-8", "replace")


def read_callback_number(value: Any) -> str:
    """
    Read the number that a callback is about.

    :returns: E.164, where it can be read.
    :raises InvalidCallbackError: for what has fewer than 6 digits, and so reaches nobody.
    """
    number = as_text(value)
    if number is None or len(_DIGIT.findall(number)) < _FEWEST_DIGITS_OF_A_NUMBER:
        raise InvalidCallbackError("the callback names no phone number")
    return read_wire_number(number)
