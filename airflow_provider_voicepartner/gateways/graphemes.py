"""Where a text may be cut without taking a visible character apart."""

from __future__ import annotations

from collections.abc import Iterator
from unicodedata import category

_JOINER = "\u200d"


def clusters(text: str) -> Iterator[str]:
    """
    Take a text apart into what a reader sees as single characters: accents, emoji sequences and flags stay whole.

    Simpler than Unicode's own rules, and never finer than one code point.

    :param text: any text; joined, the parts are the text again.
    """
    start = 0
    for position in range(1, len(text)):
        if not _belongs(text, start, position):
            yield text[start:position]
            start = position
    if text:
        yield text[start:]


def _belongs(text: str, start: int, position: int) -> bool:
    """Tell whether the character at ``position`` belongs to the cluster that began at ``start``."""
    character, before = text[position], text[position - 1]
    if character.isascii():
        return character == "\n" and before == "\r"
    if character == _JOINER or before == _JOINER or category(character) in ("Mn", "Mc", "Me"):
        return True
    if "\U0001f3fb" <= character <= "\U0001f3ff" or "\U000e0020" <= character <= "\U000e007f":
        return True  # Skin tones, and the tags of regional flags.
    both_flags = _is_flag_letter(character) and _is_flag_letter(before)
    return both_flags and (position - start) % 2 == 1


def _is_flag_letter(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"
