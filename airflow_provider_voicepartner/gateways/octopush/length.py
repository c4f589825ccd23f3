"""
How many SMS a text takes at Octopush, in each way to read what the vendor documents.

Its page on special characters says: a GSM-7 character counts 1, twelve count 2, many accented letters are replaced by
themselves (``auto_optimize_text``), and one character beyond that turns the whole text into unicode, 70 to an SMS and
63 to each part of more. That line ends and tabs count 2 is inferred. Not clear is how much a part of a long GSM-7 text
holds (137 on an old page, 153 inferred from the longest text), and whether other characters than accented letters,
such as curly quotes, are replaced.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import product
from math import ceil
from typing import Final
from unicodedata import decomposition

from airflow_provider_voicepartner.gateways.compiled_message import STANDS_ALONE, CharacterSet
from airflow_provider_voicepartner.gateways.gsm import BASIC, EXTENSION, to_gsm7

STOP_MENTION_LENGTH: Final = 14
"""What is appended to a marketing SMS without its mention, on an old page (documented)."""

_SINGLE, _PARTS = 160, (153, 137)
_UNICODE_SINGLE, _UNICODE_PART = 70, 63
_STOP_MENTIONS: Final = ("STOP au XXXXX", "STOP au 30101")

# The last two are GSM-7's own escaped characters, which the page does not list.
_DOUBLE: Final = frozenset("{}[]~^|€&$@¨\n\r\t\\\f")
_KNOWN: Final = BASIC | EXTENSION | _DOUBLE
_PLAIN_ONLY: Final = re.compile(f"[{re.escape(''.join(sorted(BASIC - _DOUBLE)))}]*")
_KNOWN_ONLY: Final = re.compile(f"[{re.escape(''.join(sorted(_KNOWN)))}]*")
_DOUBLED: Final = re.compile(f"[{re.escape(''.join(sorted(_DOUBLE)))}]")
_UNKNOWN: Final = re.compile(f"[^{re.escape(''.join(sorted(_KNOWN)))}]+")


def _without_accent(character: str) -> str:
    """Return the letter under its accents; the character itself where there is none that GSM-7 has."""
    parts = decomposition(character).split()
    if len(parts) != 2 or "<" in parts[0]:
        return character
    letter = _without_accent(chr(int(parts[0], 16)))
    return letter if letter in BASIC else character


_ACCENTED: Final = {
    code: _without_accent(chr(code))
    for code in (*range(0xC0, 0x250), *range(0x1E00, 0x1F00))
    if chr(code) not in BASIC
}


def readings(text: str, *, optimizes: bool, needs_stop: bool) -> tuple[int, ...]:
    """
    Count the SMS that a text takes, in four ways; each SMS is charged.

    :param text: in NFC, with nothing left to fill in.
    :param optimizes: the vendor replaces letters, its default.
    :param needs_stop: a marketing SMS, which gets the opt-out mention where it has none.
    :returns: the likeliest first: everything that can be is replaced, and a part holds 153.
    """
    extra = STOP_MENTION_LENGTH if needs_stop and needs_mention(text) else 0
    if _PLAIN_ONLY.fullmatch(text):
        return readings_of_length(len(text) + extra)
    spellings = (_all_replaced(text), text.translate(_ACCENTED)) if optimizes else (text, text)
    return tuple(_count(spelling, extra, part) for spelling, part in product(spellings, _PARTS))


@lru_cache(maxsize=2)
def plain_characters(*, optimizes: bool) -> CharacterSet:
    """
    Return the characters that count one in every reading wherever they stand, and that every voice speaks.

    :param optimizes: the vendor replaces letters with accents.
    """
    accented = [
        chr(code)
        for code, letter in _ACCENTED.items()
        if optimizes and letter in BASIC and letter not in _DOUBLE and _all_replaced(chr(code)) == letter
    ]
    return CharacterSet((*(BASIC - _DOUBLE), *accented)) & STANDS_ALONE


def fixed_length(text: str, *, optimizes: bool) -> int | None:
    """Return what a part of a text counts in every reading; None where readings differ, or it is unicode."""
    if not plain_characters(optimizes=optimizes).holds_all_of("".join(c for c in text if c not in _KNOWN)):
        return None
    return len(text) + len(_DOUBLED.findall(text))


def readings_of_length(length: int) -> tuple[int, ...]:
    """Count the SMS that a text of so many characters takes, all of which count the same in every reading."""
    counts = [_linked(length, part) for part in _PARTS]
    return (*counts, *counts)


def needs_mention(text: str) -> bool:
    """Tell whether a marketing SMS gets the opt-out mention appended."""
    return not any(said in text for said in _STOP_MENTIONS)


def is_unicode(text: str) -> bool:
    """Tell whether a text holds what the vendor calls unicode even after everything that can be was replaced."""
    return not _KNOWN_ONLY.fullmatch(_all_replaced(text))


def _all_replaced(text: str) -> str:
    """Write a text in known characters; it comes back as it is when one cannot be written otherwise."""
    lost = False

    def known(found: re.Match[str]) -> str:
        nonlocal lost
        written = to_gsm7(found.group())
        lost = lost or bool(written.lost)
        return written.text

    replaced = _UNKNOWN.sub(known, text)
    return text if lost else replaced


def _count(text: str, extra: int, part: int) -> int:
    if _KNOWN_ONLY.fullmatch(text):
        return _linked(len(text) + len(_DOUBLED.findall(text)) + extra, part)
    units = len(text.encode("utf-16-le", "surrogatepass")) // 2 + extra
    return 1 if units <= _UNICODE_SINGLE else ceil(units / _UNICODE_PART)


def _linked(units: int, part: int) -> int:
    return 1 if units <= _SINGLE else ceil(units / part)
