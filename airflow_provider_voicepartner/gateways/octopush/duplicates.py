"""
Whether a refusal says that our ``request_id`` was used before, which proves that the batch was taken.

The code and the words of that refusal are not published. It is recognised by the number that the vendor's previous API
used, or by words that say it of the request id itself: in a field of its name, or in one clause that names it. What is
said of another field proves nothing, however near it stands: to take such a refusal for a repeat would count people as
messaged who were not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from airflow_provider_voicepartner.gateways.octopush.codes import DUPLICATE_CODE
from airflow_provider_voicepartner.gateways.reading import as_text

_DEEPEST: Final = 6
_MOST: Final = 50

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


def names_duplicate(data: Mapping[str, Any]) -> bool:
    """
    Say whether a refusal says that our request id was used before.

    :param data: the whole answer.
    """
    return any(_walk(data, None, 0))


def _walk(value: Any, field: str | None, depth: int) -> Iterator[bool]:
    """
    Judge each text and code of an answer.

    :param field: the field that it is said of: empty when that is one of ours but not known which.
    """
    if depth > _DEEPEST:
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
            yield from _walk(inner, field if is_words else name, depth + 1)
    elif isinstance(value, list):
        for inner in value[:_MOST]:
            yield from _walk(inner, field, depth + 1)
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
