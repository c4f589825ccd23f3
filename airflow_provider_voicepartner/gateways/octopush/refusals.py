"""
Why Octopush said no, found in whatever shape its answer has.

The HTTP status is read first. Then come ``code`` and ``message`` at the top, and a nested list of ``{code,
message}`` whose name is not published, so it is looked for under any name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from airflow_provider_voicepartner.gateways.errors import Codes, ErrorKind, GatewayError
from airflow_provider_voicepartner.gateways.octopush import INFO
from airflow_provider_voicepartner.gateways.octopush.duplicates import names_duplicate
from airflow_provider_voicepartner.gateways.reading import (
    as_text,
    decode,
    is_presentable_code,
    refusal,
    transport_kind,
)
from airflow_provider_voicepartner.gateways.wire import ApiResponse

_DEEPEST = 4
_MOST_REASONS = 50
_SUCCESS_CODES: Final = frozenset({"200", "201"})
# Statuses whose meaning no code in the body may change.
_DECIDED_BY_STATUS: Final = frozenset({401, 402, 403, 408, 429})


def decode_answer(endpoint: str, response: ApiResponse, *, safe_to_repeat: bool) -> dict[str, Any]:
    """
    Decode an answer that must be a JSON object.

    :raises GatewayError: for anything else; 402 is about credit even without a body that says so.
    """
    try:
        return decode(INFO.name, endpoint, response, safe_to_repeat=safe_to_repeat)
    except GatewayError as error:
        if response.status != 402:
            raise
        summary = error.summary
    raise GatewayError(INFO.name, endpoint, ErrorKind.CREDIT, summary, status=response.status)


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason of a refusal: a code, words, or both."""

    code: str | None
    words: str


def find_reasons(data: Mapping[str, Any]) -> tuple[Reason, ...]:
    """Return all reasons that an answer gives: the nested ones first, since they are the telling ones."""
    nested = [reason for name, value in data.items() for reason in _walk(value, name, 1)]
    code, words = as_text(data.get("code")), as_text(data.get("message"))
    top = [Reason(code, words or "")] if code or words else []
    return (*nested[:_MOST_REASONS], *top)


def _walk(value: Any, name: str, depth: int) -> Iterator[Reason]:
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        code, message = as_text(value.get("code")), as_text(value.get("message"))
        leaves = [
            f"{key} {leaf}" for key, leaf in value.items() if isinstance(leaf, str) and key != "message"
        ]
        if code or message or leaves:
            yield Reason(code, "; ".join(part for part in (message, *leaves[:_MOST_REASONS]) if part))
        for key, inner in value.items():
            yield from _walk(inner, key, depth + 1)
    elif isinstance(value, list):
        for item in value[:_MOST_REASONS]:
            if isinstance(item, str):
                yield Reason(None, f"{name} {item}")
            else:
                yield from _walk(item, name, depth + 1)


def build_refusal(
    endpoint: str,
    response: ApiResponse,
    codes: Codes,
    data: Mapping[str, Any],
    *,
    safe_to_repeat: bool,
    problem: str,
    ticket: str | None = None,
    may_be_duplicate: bool = False,
) -> GatewayError:
    """
    Build the error for an answer that is JSON but no success.

    :param codes: what this endpoint's codes mean; they refine a 4xx, and for reads anything.
    :param problem: what to say when the answer gives no words of its own.
    :param ticket: the id that the answer names all the same; a failure with an id is in doubt.
    :param may_be_duplicate: True for sends, which carry a ``request_id``.
    """
    reasons = find_reasons(data)
    code = _choose_code(reasons, codes, response)
    if _is_refused(response.status) and may_be_duplicate and names_duplicate(data):
        kind = ErrorKind.DUPLICATE
    elif _is_refused(response.status) and may_be_duplicate and code in _SUCCESS_CODES:
        problem = "the answer contradicts itself: its status is a refusal, and its code is that of a success"
        return GatewayError(
            INFO.name, endpoint, ErrorKind.UNKNOWN, problem, code=code, status=response.status
        )
    elif ticket is not None:
        problem = "the answer contradicts itself: it names a ticket, and a failure too"
        return GatewayError(
            INFO.name, endpoint, ErrorKind.UNKNOWN, problem, code=code, status=response.status
        )
    else:
        kind = _judge(response.status, code, codes, safe_to_repeat=safe_to_repeat)
    words = "; ".join(dict.fromkeys(reason.words for reason in reasons if reason.words))
    meaning = codes.meaning(code) or codes.meaning(str(response.status))
    if not words and (code is None or meaning is None):
        return GatewayError(INFO.name, endpoint, kind, meaning or problem, code=code, status=response.status)
    meanings = Codes({}, {code: meaning} if code and meaning else {})
    return refusal(INFO.name, endpoint, response, meanings, code=code, message=words, default=kind)


def _is_refused(status: int) -> bool:
    """Say whether a status proves a refusal whose reason the body may tell."""
    return 400 <= status < 500 and status not in _DECIDED_BY_STATUS


def _judge(status: int, code: str | None, codes: Codes, *, safe_to_repeat: bool) -> ErrorKind:
    """Say what an answer proves: its status first, then the code, where the status leaves room for one."""
    by_status = ErrorKind.CREDIT if status == 402 else transport_kind(status, safe_to_repeat=safe_to_repeat)
    readable = safe_to_repeat and status < 500 and status not in _DECIDED_BY_STATUS
    if not _is_refused(status) and not readable:
        return by_status
    by_status = codes.kind(str(status), by_status)
    by_code = codes.kind(code, by_status)
    # Without a request id there is nothing to be a duplicate of.
    return by_status if by_code is ErrorKind.DUPLICATE else by_code


def _choose_code(reasons: tuple[Reason, ...], codes: Codes, response: ApiResponse) -> str | None:
    """Return the most telling code: a documented one that does not merely repeat the HTTP status, if there is one."""
    found = [
        reason.code
        for reason in reasons
        if reason.code and (reason.code in codes.kinds or is_presentable_code(reason.code, response))
    ]
    repeated = str(response.status)
    documented = [code for code in found if code in codes.kinds and code != repeated]
    own = [code for code in found if code != repeated]
    return next(iter(documented or own or found), None)
