"""
Why Octopush said no, found in whatever shape its answer has, and whether it said no to a repeat.

The HTTP status is read first. Then come ``code`` and ``message`` at the top, and a nested list of ``{code,
message}`` whose name is not published, so it is looked for under any name.

The code and the words for a ``request_id`` that was used before, which proves that the batch was accepted, are not
published either. Such a refusal is recognised by the number that the vendor's previous API used, or by words that say
it of the request id itself: in a field of its name, or in one clause that names it. What is said of another field
proves nothing, however near it stands: to take such a refusal for a repeat would count recipients as messaged who were
not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from airflow_provider_voicepartner.constants import DEEPEST_REASON, DEEPEST_REPEAT_NOTICE, MOST_REASONS
from airflow_provider_voicepartner.gateways.errors import Codes, ErrorKind, GatewayError
from airflow_provider_voicepartner.gateways.octopush import INFO
from airflow_provider_voicepartner.gateways.octopush.codes import DUPLICATE_CODE
from airflow_provider_voicepartner.gateways.parsing import (
    as_text,
    decode,
    is_presentable_code,
    names_id,
    refusal,
    transport_kind,
)
from airflow_provider_voicepartner.gateways.wire import ApiResponse

# The vendor's pages and clients disagree on the key; drafts, parameters and calls say ticket_number.
TICKET_KEYS: Final = ("ticket_number", "sms_ticket", "voice_ticket", "vocal_ticket")
_SUCCESS_CODES: Final = frozenset({"200", "201"})
# Statuses whose meaning no code in the body may change.
_DECIDED_BY_STATUS: Final = frozenset({401, 402, 403, 408, 429})


_REQUEST_ID: Final = re.compile(r"request ?id", re.IGNORECASE)
_TAKEN_BEFORE: Final = re.compile(
    r"\balready(?: \w+){0,3} (?:used?|taken|exists?|known|seen|received|accepted|processed|handled|registered|sent"
    r"|submitted|reserved)\b"
    r"|\b(?:used|taken|exists|known|seen|received|accepted|processed|sent) already\b"
    r"|(?<!have )\b(?:was|been|previously|recently) used\b|\bused (?:before|twice|recently|previously)\b"
    r"|\bused (?:with)?in (?:the )?last\b"
    r"|\bdéjà(?: \w+){0,2} (?:utilis|pris|exist|trait|envoy|reçu|enregistr|connu)|\bexiste déjà\b"
    r"|\bduplicate|\bdoublon\b",
    re.IGNORECASE,
)
# Where one of these stands in the same clause, it says that it was not, or that it might have been, or somebody else's.
_PROVES_NOTHING: Final = re.compile(
    r"(?:\b(?:not|never|no|pas|jamais|non)|n['’]t)(?: \w+){0,2} (?:already|duplicate|used|taken|known|déjà)\b"
    r"|\b(?:if|unless|whether|when|must|should|may|might|could|perhaps|possibly|or|si|doit|peut|ou)\b"
    r"|\bduplicate (?:field|key|parameter|property|attribute)|\banother (?:account|user|customer|client)\b",
    re.IGNORECASE,
)
# The other fields of a send, and what else may be "already used".
_OTHER_FIELD: Final = re.compile(
    r"\b(?:sender|recipients?|contacts?|phone|numbers?|text|purpose|send at|voice gender|voice language|language|type"
    r"|with replies|list name|simulation mode|login|api key|credit)\b",
    re.IGNORECASE,
)
_CLAUSE: Final = re.compile(r"[.;,!?|\n]+|\b(?:and|but|while|et|mais)\b", re.IGNORECASE)

_WORDS: Final = frozenset(
    {"message", "messages", "msg", "detail", "details", "description", "reason", "title", "error", "errors"}
)
"""Names of what is said, which are no names of fields."""
_PLACES: Final = frozenset(
    {
        "field",
        "property",
        "propertypath",
        "property path",
        "path",
        "name",
        "param",
        "parameter",
        "attribute",
        "pointer",
    }
)
"""Under such a name, an entry says which field it is about."""


def names_a_send(response: ApiResponse) -> bool:
    """Say whether the answer to a send names a ticket, whatever its status and whatever else it says."""
    return names_id(response, (*TICKET_KEYS, "ticket"))


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
    nested = [reason for name, value in data.items() for reason in _find_nested(value, name, 1)]
    code, words = as_text(data.get("code")), as_text(data.get("message"))
    top = [Reason(code, words or "")] if code or words else []
    return (*nested[:MOST_REASONS], *top)


def _find_nested(value: Any, name: str, depth: int) -> Iterator[Reason]:
    if depth > DEEPEST_REASON:
        return
    if isinstance(value, dict):
        code, message = as_text(value.get("code")), as_text(value.get("message"))
        leaves = [
            f"{key} {leaf}" for key, leaf in value.items() if isinstance(leaf, str) and key != "message"
        ]
        if code or message or leaves:
            yield Reason(code, "; ".join(part for part in (message, *leaves[:MOST_REASONS]) if part))
        for key, inner in value.items():
            yield from _find_nested(inner, key, depth + 1)
    elif isinstance(value, list):
        for item in value[:MOST_REASONS]:
            if isinstance(item, str):
                yield Reason(None, f"{name} {item}")
            else:
                yield from _find_nested(item, name, depth + 1)


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
    """Say whether a status proves a refusal whose reason the body may give."""
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


def names_duplicate(data: Mapping[str, Any]) -> bool:
    """
    Say whether a refusal says that our request id was used before.

    :param data: the whole answer.
    """
    return any(_find_repeats(data, None, 0))


def _find_repeats(value: Any, field: str | None, depth: int) -> Iterator[bool]:
    """
    Judge each text and code of an answer.

    :param field: the field that it is said of: empty when that is one of ours but not known which.
    """
    if depth > DEEPEST_REPEAT_NOTICE:
        return
    if isinstance(value, dict):
        named = (as_text(value[key]) for key in value if _plain(key).casefold() in _PLACES)
        place = next(filter(None, named), None)
        field = field if place is None else _plain(place)
        if as_text(value.get("code")) == DUPLICATE_CODE:
            said = " ".join(text for key in _WORDS if (text := as_text(value.get(key))))
            yield _may_be_it(field) and _may_be_it(_plain(said))
        for key, inner in value.items():
            name = _plain(key)
            is_words = name.casefold() in _WORDS | _PLACES | {"code"} or name.isdigit()
            yield from _find_repeats(inner, field if is_words else name, depth + 1)
    elif isinstance(value, list):
        for inner in value[:MOST_REASONS]:
            yield from _find_repeats(inner, field, depth + 1)
    elif isinstance(value, str):
        yield any(_says_it(clause, field) for clause in _CLAUSE.split(_plain(value)))


def _plain(text: str) -> str:
    """Write names as words: ``request_id``, ``REQUEST-ID`` and ``requestId`` are all about the request id."""
    return " ".join(re.sub(r"[_\-\s]+", " ", text).split())


def _may_be_it(field: str | None) -> bool:
    """Say whether a field, or a text, does not speak of another field than the request id."""
    return not field or _REQUEST_ID.search(field) is not None or _OTHER_FIELD.search(field) is None


def _says_it(clause: str, field: str | None) -> bool:
    """Say whether a clause says of the request id, and of nothing else, that it was used before."""
    is_named = field is not None and _REQUEST_ID.search(field) is not None and not _OTHER_FIELD.search(field)
    if not is_named and _REQUEST_ID.search(clause) is None:
        return False
    about_another = field is not None and not is_named and _OTHER_FIELD.search(field) is not None
    return (
        not about_another
        and _TAKEN_BEFORE.search(clause) is not None
        and _PROVES_NOTHING.search(clause) is None
        and _OTHER_FIELD.search(clause) is None
    )
