"""
Reading answers and callbacks: tolerantly in their spelling, strictly in what they prove.

Numbers may come as text, a key under several names, money with a comma. An answer that says two things at once proves
nothing: what a send's answer names counts for more than what it claims.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from functools import wraps
from typing import Any

from airflow_provider_voicepartner.constants import (
    FEWEST_DIGITS_OF_A_NUMBER,
    LONGEST_GATEWAY_ID,
    LONGEST_QUOTE,
    MOST_DIGITS_OF_A_COUNT,
    MOST_DIGITS_OF_AN_AMOUNT,
)
from airflow_provider_voicepartner.gateways.bodies import loads, read_body, read_form
from airflow_provider_voicepartner.gateways.errors import (
    Codes,
    ErrorKind,
    GatewayError,
    InvalidCallbackError,
    RecipientProblem,
)
from airflow_provider_voicepartner.gateways.model import (
    Message,
    Receipt,
    Recipient,
    RefusedRecipient,
    phone_numbers_of,
)
from airflow_provider_voicepartner.gateways.phone_numbers import read_wire_number
from airflow_provider_voicepartner.gateways.wire import ApiResponse, CallbackRequest, scrub

_EUROS = frozenset({"euros", "euro", "eur", "€"})
_DIGIT = re.compile(r"\d")
_CODE = re.compile(r"[A-Za-z0-9_.\-]{1,40}")

log = logging.getLogger(__name__)


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
    if number is None or number.adjusted() > MOST_DIGITS_OF_A_COUNT or number != number.to_integral_value():
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
    if not text or len(text) > MOST_DIGITS_OF_AN_AMOUNT:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    # A finite number of 10**999999 would make the first sum that it enters raise.
    return number if number.is_finite() and abs(number.adjusted()) < MOST_DIGITS_OF_AN_AMOUNT else None


def as_price(value: Any) -> Decimal | None:
    """Read what a send cost; 0 and less are no price: nobody sends for nothing, and a budget must not believe it."""
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
    return " ".join(scrub(message or "", response.private).split())[:LONGEST_QUOTE]


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
    :param code: the gateway's code as text; shown if it is documented or :func:`is_presentable_code`.
    :param message: the gateway's words; scrubbed and cut to 200 characters.
    :param default: the kind when the code is missing or not documented.
    """
    kind = ErrorKind.RETRYABLE if response.status == 429 else codes.kind(code, default)
    said = presentable_words(message, response)
    meaning = codes.meaning(code)
    is_shown = code is not None and (
        code in codes.kinds or code in codes.meanings or is_presentable_code(code, response)
    )
    summary = "; ".join(part for part in (meaning, f"the gateway said {said!r}" if said else None) if part)
    return GatewayError(
        gateway,
        endpoint,
        kind,
        summary or "refused without a reason",
        code=code if is_shown else None,
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
    if number is None or len(_DIGIT.findall(number)) < FEWEST_DIGITS_OF_A_NUMBER:
        raise InvalidCallbackError("the callback names no phone number")
    return read_wire_number(number)


def read_opaque_id(value: Any) -> str | None:
    """Read an id whose form is not documented; blank, and zero however it is written, give None."""
    text = as_text(value)
    return text if text and text.strip("0.") else None


def names_id(
    response: ApiResponse, keys: Collection[str], read_id: Callable[[Any], str | None] = read_opaque_id
) -> bool:
    """
    Say whether an answer names an id anywhere, whatever else it says; also one that was cut off and is no JSON.

    :param keys: what the id is called.
    :param read_id: reads a value under such a key.
    """
    try:
        queue: list[Any] = [loads(response.body)]
    except ValueError:
        text = response.body.decode("utf-8", "replace")
        named = rf'"(?:{"|".join(map(re.escape, keys))})"\s*:\s*(?:"([^"]+)"|([0-9]+))'
        return any(read_id(quoted or bare) for quoted, bare in re.findall(named, text))
    while queue:
        value = queue.pop()
        if isinstance(value, dict):
            if any(read_id(value[key]) for key in keys if key in value):
                return True
            queue += value.values()
        elif isinstance(value, list):
            queue += value
    return False


def contradicted(error: GatewayError, *, is_named: bool) -> GatewayError:
    """
    Judge a refusal once more: one that names a message that was accepted proves nothing.

    :param is_named: the answer names one.
    :returns: the error, or one that leaves it in doubt.
    """
    if not is_named or error.kind in (ErrorKind.UNKNOWN, ErrorKind.DUPLICATE):
        return error
    problem = "the answer contradicts itself: it names a message that was accepted, and a failure too"
    return GatewayError(
        error.gateway, error.endpoint, ErrorKind.UNKNOWN, problem, code=error.code, status=error.status
    )


def flaw_of_receipt(receipt: Any, recipients: Sequence[Recipient]) -> str | None:
    """
    Say why a receipt cannot be that of a batch: the gateway may come from another distribution.

    :param receipt: as the gateway's ``parse_batch`` returned it.
    :param recipients: of the batch.
    :returns: what is wrong, without a number or an id; None where it may be believed.
    """
    if not isinstance(receipt, Receipt):
        return f"the gateway read it into a {type(receipt).__name__}, which is no receipt"
    counts = (receipt.accepted, receipt.in_doubt)
    if any(type(count) is not int or count < 0 for count in counts):
        return "the receipt has a count that is no whole number from 0"
    if sum(counts) + len(receipt.refused) > len(recipients):
        return "the receipt accounts for more recipients than were sent to"
    if any(
        not isinstance(refused, RefusedRecipient) or type(refused.opted_out) is not bool
        for refused in receipt.refused
    ):
        return "the receipt refuses what is no recipient"
    named = [refused.phone_number for refused in receipt.refused if refused.phone_number]
    if named and not set(named) <= set(phone_numbers_of(recipients)):
        return "the receipt is about somebody who was not sent to"
    if len(set(named)) < len(named):
        return "the receipt refuses somebody twice, and so leaves out somebody else"
    if receipt.gateway_id is None:
        is_nobody_accepted = len(receipt.refused) == len(recipients)
        return None if is_nobody_accepted else "the receipt has no id, and does not refuse everybody"
    if (
        not isinstance(receipt.gateway_id, str)
        or not 0 < len(receipt.gateway_id.strip()) <= LONGEST_GATEWAY_ID
    ):
        return f"the receipt's id is no text of 1 to {LONGEST_GATEWAY_ID} characters"
    return _flaw_of_price(receipt)


def _flaw_of_price(receipt: Receipt) -> str | None:
    cost, segments = receipt.cost, receipt.segments
    if cost is not None and not (isinstance(cost, Decimal) and cost.is_finite() and cost > 0):
        return "the receipt's cost is no Decimal above 0"
    if segments is not None and (type(segments) is not int or segments < 0):
        return "the receipt's segments are no whole number from 0"
    if receipt.currency is not None and not isinstance(receipt.currency, str):
        return "the receipt's currency is no text"
    return None


ParsesBatch = Callable[[ApiResponse, Message, Sequence[Recipient]], Receipt]


def in_doubt_if_named(names_a_send: Callable[[ApiResponse], bool]) -> Callable[[ParsesBatch], ParsesBatch]:
    """
    Make a gateway's ``parse_batch`` leave a batch in doubt whose answer refuses it, and names it as accepted.

    :param names_a_send: the gateway's own, which says whether an answer names a message that was accepted.
    """

    def decorate(parse: ParsesBatch) -> ParsesBatch:
        @wraps(parse)
        def parse_batch(response: ApiResponse, message: Message, recipients: Sequence[Recipient]) -> Receipt:
            try:
                return parse(response, message, recipients)
            except GatewayError as error:
                failure = error
            raise contradicted(failure, is_named=names_a_send(response))

        return parse_batch

    return decorate


def account_for_all(gateway: str, endpoint: str, receipt: Receipt, size: int) -> Receipt:
    """
    Count as in doubt whoever of a batch a receipt leaves out, so that nobody is lost in silence; log every doubt.

    The log has no number and no id.

    :param receipt: without a flaw, see :func:`flaw_of_receipt`.
    :param size: recipients in the batch.
    """
    if nameless := sum(not refused.phone_number for refused in receipt.refused):
        log.warning(
            "%s %s: %d recipients were left out, and the answer does not say which",
            gateway, endpoint, nameless,
        )  # fmt: skip
    if receipt.in_doubt:
        log.warning(
            "%s %s: the answer does not account for all recipients or contradicts itself: %d accepted, %d refused, "
            "%d in doubt",
            gateway, endpoint, receipt.accepted, len(receipt.refused), receipt.in_doubt,
        )  # fmt: skip
    missing = size - receipt.accepted - len(receipt.refused) - receipt.in_doubt
    if not missing:
        return receipt
    log.error(
        "%s %s: the gateway module's receipt leaves out %d of %d recipients (%d accepted, %d refused, %d in doubt); "
        "they count as in doubt",
        gateway, endpoint, missing, size, receipt.accepted, len(receipt.refused), receipt.in_doubt,
    )  # fmt: skip
    return replace(receipt, in_doubt=receipt.in_doubt + missing)
