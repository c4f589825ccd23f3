"""Answers that say two things at once: what a send's answer names counts for more than what it claims."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import wraps
from typing import Any, Final

from airflow_provider_voicepartner.gateways.bodies import loads
from airflow_provider_voicepartner.gateways.errors import ErrorKind, GatewayError
from airflow_provider_voicepartner.gateways.model import (
    Message,
    Receipt,
    Recipient,
    RefusedRecipient,
    phone_numbers_of,
)
from airflow_provider_voicepartner.gateways.reading import as_text
from airflow_provider_voicepartner.gateways.wire import ApiResponse

log = logging.getLogger(__name__)

_LONGEST_ID: Final = 255


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
    Judge a refusal once more: one that names a message that was taken proves nothing.

    :param is_named: the answer names one.
    :returns: the error, or one that leaves it in doubt.
    """
    if not is_named or error.kind in (ErrorKind.UNKNOWN, ErrorKind.DUPLICATE):
        return error
    problem = "the answer contradicts itself: it names a message that was taken, and a failure too"
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
    if receipt.gateway_id is None:
        is_nobody_taken = len(receipt.refused) == len(recipients)
        return None if is_nobody_taken else "the receipt has no id, and does not refuse everybody"
    if not isinstance(receipt.gateway_id, str) or not 0 < len(receipt.gateway_id.strip()) <= _LONGEST_ID:
        return f"the receipt's id is no text of 1 to {_LONGEST_ID} characters"
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
    Make a gateway's ``parse_batch`` leave a batch in doubt whose answer refuses it, and names it as taken.

    :param names_a_send: the gateway's own, which says whether an answer names a message that was taken.
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
    Count as in doubt whoever of a batch a receipt leaves out, so that nobody is lost in silence.

    :param receipt: without a flaw, see :func:`flaw_of_receipt`.
    :param size: recipients in the batch.
    """
    missing = size - receipt.accepted - len(receipt.refused) - receipt.in_doubt
    if not missing:
        return receipt
    log.error(
        "%s %s: the gateway module's receipt leaves out %d of %d recipients (%d accepted, %d refused, %d in doubt); "
        "they count as in doubt",
        gateway, endpoint, missing, size, receipt.accepted, len(receipt.refused), receipt.in_doubt,
    )  # fmt: skip
    return replace(receipt, in_doubt=receipt.in_doubt + missing)


def warn_of_counts(gateway: str, endpoint: str, receipt: Receipt) -> None:
    """Log that an answer does not account for everybody, or names nobody whom it left out; no number, no id."""
    nameless = sum(not refused.phone_number for refused in receipt.refused)
    if nameless:
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
