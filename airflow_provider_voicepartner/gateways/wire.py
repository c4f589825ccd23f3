"""What goes to a gateway and what comes back: requests, responses and callbacks as plain values."""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote, quote_plus, unquote

from airflow_provider_voicepartner.constants import (
    EXCERPT_LENGTH,
    FEWEST_LETTERS_OF_A_SECRET,
    LONGEST_SCRUBBED,
    MOST_ESCAPE_LAYERS,
)

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

_ESCAPE = re.compile(r"%[0-9A-F]{2}|\\u[0-9A-Fa-f]{4}")
_JSON_ESCAPE = re.compile(r'\\(?:u([0-9a-f]{4})|(["\\/nrt]))', re.IGNORECASE)
_LONG_DIGITS = re.compile(r"\+?\d(?:[\s.\-]?\d){7,}")


def mask_number(number: str) -> str:
    """
    Show a phone number so that a reader can distinguish two but cannot call either: ``+336•••••42``.

    :param number: the number in any form; fewer than 8 characters are hidden completely.
    """
    if len(number) < 8:
        return "•" * len(number)
    return f"{number[:4]}{'•' * (len(number) - 6)}{number[-2:]}"


def _spellings(secret: str) -> list[str]:
    """Return a text as it may stand in a URL, in JSON (with and without escapes) or in HTML, the longest first."""
    escaped = json.dumps(secret)[1:-1]
    plain = json.dumps(secret, ensure_ascii=False)[1:-1]
    spellings = {
        secret,
        escaped,
        plain,
        escaped.replace("/", "\\/"),
        plain.replace("/", "\\/"),
        html.escape(secret),
    }
    # A lone half of a character pair cannot be put in a URL, and must not make an error message fail.
    spellings |= {quote(secret, errors="replace"), quote(secret, safe="", errors="replace")}
    spellings.add(quote_plus(secret, errors="replace"))
    # Some write their escapes in lower case, some their apostrophes by number.
    spellings |= {_ESCAPE.sub(lambda found: found.group().lower(), spelling) for spelling in spellings}
    spellings |= {spelling.replace("&#x27;", "&#39;") for spelling in spellings}
    return sorted(spellings, key=len, reverse=True)


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """
    Take out of a text what must never be shown: known secrets, however they are written, and phone numbers.

    A gateway may quote a secret as URLs, JSON and HTML spell it, in capitals, under several layers of escapes, or
    without its accents and punctuation. Where only the last is recognised, nothing of the text is shown.

    :param text: any text, for instance the body of an error page.
    :param secrets: keys, logins and message texts; empty ones are ignored.
    """
    if not text:
        return text
    known = sorted({s for s in secrets if s}, key=len, reverse=True)
    for secret in known:
        for spelling in _spellings(secret):
            text = text.replace(spelling, "***")
    if known:
        text = _without_disguised(text, known)
    return _LONG_DIGITS.sub(lambda found: mask_number(found.group()), text)


def _without_disguised(text: str, secrets: Iterable[str]) -> str:
    """Return a text as it is, unless it holds a secret in disguise: then in plain small letters, without it."""
    plain = _plain(text)
    for secret in secrets:
        hidden = _plain(secret)
        if hidden and hidden in plain:
            text = plain = plain.replace(hidden, "***")
    letters = _letters(plain)
    for secret in secrets:
        hidden = _letters(secret)
        if len(hidden) >= FEWEST_LETTERS_OF_A_SECRET and hidden in letters:
            return "(not shown: it repeats what was sent)"
    return text


def _plain(text: str) -> str:
    """Return a text without escapes of URLs, JSON and HTML, in small letters, with single blanks."""
    text = unescaped(text)
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return " ".join(whole.replace("+", " ").casefold().split())


def unescaped(text: str) -> str:
    """Return a text without escapes of URLs, JSON and HTML, in several layers too."""
    for _ in range(MOST_ESCAPE_LAYERS):
        before, text = text, html.unescape(_JSON_ESCAPE.sub(_unescaped, unquote(text)))
        if text == before:
            break
    return text


def _unescaped(found: re.Match[str]) -> str:
    code, character = found.groups()
    return chr(int(code, 16)) if code else {"n": "\n", "t": "\t", "r": "\r"}.get(character.lower(), character)


def _letters(text: str) -> str:
    """Return the letters and digits of a text, without accents and in small letters."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if c.isalnum()).casefold()


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What proves to a gateway who we are; never shown."""

    api_key: str = field(repr=False)
    login: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """
    One request to a gateway, without its key: the gateway's ``authenticate`` adds that last.

    :param endpoint: the name that errors and logs use, such as ``campaign/send``; holds no secret.
    :param method: the HTTP method: ``GET``, ``POST``, ``PUT``, ``PATCH`` or ``DELETE``.
    :param path: below the base URL; ``{api_key}`` stands where a gateway wants its key in the path.
    :param safe_to_repeat: True where a second arrival does no harm (reads, and changes that only set a state).
        A send is never safe to repeat.
    :param params: the query, values as text.
    :param headers: extra headers.
    :param body: the JSON object or the form to send, as ``INFO.body`` says, or None for no body.
    :param private: texts that must not show up in an error (message texts).
    """

    endpoint: str
    method: Method
    path: str = field(repr=False)
    safe_to_repeat: bool
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    private: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiResponse:
    """
    What a gateway answered, unread.

    :param status: the HTTP status.
    :param body: the raw body.
    :param headers: with names in lower case.
    :param private: secrets, logins and texts to scrub from anything shown of the body.
    """

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    private: tuple[str, ...] = field(default=(), repr=False)

    def excerpt(self) -> str:
        """Return the first 200 characters of the body, scrubbed, on one line."""
        if len(self.body) > LONGEST_SCRUBBED:
            return f"({len(self.body)} bytes)"
        # The whole body is scrubbed before it is cut: a cut could leave half a key behind, which nothing recognises.
        text = scrub(self.body.decode("utf-8", "replace"), self.private)
        return " ".join(text.split())[:EXCERPT_LENGTH]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackRequest:
    """
    What a gateway sent to one of our callback URLs, unread.

    :param method: ``GET`` or ``POST``.
    :param query: the raw query string, without ``?``.
    :param body: the raw body.
    :param content_type: as sent; gateways lie about it or leave it out.
    """

    method: str
    query: str = field(default="", repr=False)
    body: bytes = field(default=b"", repr=False)
    content_type: str = ""
