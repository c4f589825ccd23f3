"""Answers that say two things at once: what a send's answer names counts for more than what it claims."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection
from typing import Any

from airflow_provider_voicepartner.gateways.errors import ErrorKind, GatewayError
from airflow_provider_voicepartner.gateways.model import Receipt
from airflow_provider_voicepartner.gateways.reading import as_text, loads
from airflow_provider_voicepartner.gateways.wire import ApiResponse

log = logging.getLogger(__name__)

_OPAQUE = re.compile(r"[A-Za-z0-9][\w.:\-]{0,99}", re.ASCII)


def is_opaque_id(value: Any) -> bool:
    """Say whether a value may be an id of unknown form: one word, and not zero."""
    text = as_text(value)
    return text is not None and _OPAQUE.fullmatch(text) is not None and text.strip("0.") != ""


def names_id(response: ApiResponse, keys: Collection[str], is_id: Callable[[Any], bool]) -> bool:
    """
    Say whether an answer names an id anywhere, whatever else it says; also one that was cut off and is no JSON.

    :param keys: what the id is called.
    :param is_id: says whether a value under such a key is one.
    """
    try:
        queue: list[Any] = [loads(response.body)]
    except ValueError:
        text = response.body.decode("utf-8", "replace")
        named = rf'"(?:{"|".join(map(re.escape, keys))})"\s*:\s*(?:"([^"]+)"|([0-9]+))'
        return any(is_id(quoted or bare) for quoted, bare in re.findall(named, text))
    while queue:
        value = queue.pop()
        if isinstance(value, dict):
            if any(is_id(value[key]) for key in keys if key in value):
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
