"""Answers that say two things at once: what a send's answer names counts for more than what it claims."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection
from typing import Any

from airflow_provider_voicepartner.gateways.bodies import loads
from airflow_provider_voicepartner.gateways.errors import ErrorKind, GatewayError
from airflow_provider_voicepartner.gateways.model import Receipt
from airflow_provider_voicepartner.gateways.reading import as_text
from airflow_provider_voicepartner.gateways.wire import ApiResponse

log = logging.getLogger(__name__)


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
