"""
GSM-7, the encoding that fits most characters into an SMS: its alphabet, spellings for what it lacks, and segments.

Segments are what is billed. One ``ç`` or ``’`` outside the alphabet can make a text cost three times as much.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from types import MappingProxyType
from typing import Literal
from unicodedata import category, normalize

from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The default alphabet of GSM 03.38, each character one unit. Its escape is no character."""

EXTENSION = frozenset("\f^{}\\[~]|€")
"""Its extension table, each character an escape and one more unit."""

_JOINER = "\u200d"

_GSM = BASIC | EXTENSION

# What decomposition does not give. é, è, ù, à, É and Ç are in GSM-7 and stay; ç, ê, È and À lose their mark by it.
_TABLE: Mapping[str, str] = MappingProxyType(
    {
        "œ": "oe", "Œ": "OE", "ẞ": "SS", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th",
        "Þ": "Th", "ħ": "h", "Ħ": "H", "ı": "i",
        "‘": "'", "’": "'", "‚": "'", "‛": "'", "′": "'", "`": "'", "´": "'", "ʼ": "'", "‹": "'", "›": "'",
        "“": '"', "”": '"', "„": '"', "‟": '"', "″": '"', "«": '"', "»": '"',
        "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "―": "-", "−": "-", "•": "-", "·": ".", "⁄": "/",
        "…": "...", "°": "o", "×": "x", "÷": "/", "©": "(C)", "®": "(R)", "™": "TM", "¢": "c", "¦": "|", "±": "+/-",
        "≤": "<=", "≥": ">=", "≠": "!=", "→": "->", "←": "<-", "μ": "u",
        "\t": " ", "\v": "\n", "\u2028": "\n", "\u2029": "\n", "\x85": "\n",
    }
)  # fmt: skip

__all__ = ["Encoding", "SegmentCount", "Transliterated", "count_segments", "cut_to_segments", "to_gsm7"]

Encoding = Literal["GSM-7", "UCS-2"]

_BASIC_ONLY = re.compile(f"[{re.escape(''.join(sorted(BASIC)))}]*")
_GSM_ONLY = re.compile(f"[{re.escape(''.join(sorted(BASIC | EXTENSION)))}]*")
_EXTENDED = re.compile(f"[{re.escape(''.join(sorted(EXTENSION)))}]")
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")

_LIMITS: dict[Encoding, tuple[int, int]] = {"GSM-7": (160, 153), "UCS-2": (70, 67)}


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
    """Say whether the character at ``position`` belongs to the cluster that began at ``start``."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Transliterated:
    """
    A text in GSM-7.

    :param text: nothing but GSM-7.
    :param replaced: what was written otherwise -> how; the empty text for what cannot be seen.
    :param lost: what there is no other way to write, each once; ``?`` stands for it.
    """

    text: str = field(repr=False)
    replaced: Mapping[str, str] = field(default_factory=dict)
    lost: tuple[str, ...] = ()


def to_gsm7(text: str) -> Transliterated:
    """
    Write a text in GSM-7; what already is, stays as it is.

    :param text: any text.
    :returns: the text, with what was replaced or lost.
    """
    text = normalize("NFC", text)
    if _GSM.issuperset(text):
        return Transliterated(text=text)
    written: list[str] = []
    replaced: dict[str, str] = {}
    lost: dict[str, None] = {}
    for cluster in clusters(text):
        if _GSM.issuperset(cluster):
            written.append(cluster)
            continue
        other = _rewrite(cluster)
        if other is None:
            lost[cluster] = None
            written.append("?")
        else:
            replaced[cluster] = other
            written.append(other)
    return Transliterated(text="".join(written), replaced=MappingProxyType(replaced), lost=tuple(lost))


def _rewrite(cluster: str) -> str | None:
    """Write one visible character otherwise; None when there is no way."""
    parts = [_rewrite_character(character) for character in cluster]
    return None if None in parts else "".join(part for part in parts if part is not None)


def _rewrite_character(character: str) -> str | None:
    if character in _GSM:
        return character
    if character in _TABLE:
        return _TABLE[character]
    if category(character) in ("Mn", "Mc", "Me", "Cc", "Cf"):
        return ""  # A mark that is left over, or nothing that can be seen.
    if category(character) == "Zs":
        return " "
    parts = normalize("NFKD", character)
    if parts == character:
        return None
    written = [_rewrite_character(part) for part in parts]
    return None if None in written else "".join(part for part in written if part is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentCount:
    """
    What a text takes.

    :param encoding: ``GSM-7``, or ``UCS-2`` as soon as one character is outside of it.
    :param units: septets, or 16-bit units.
    :param segments: messages that are billed; 0 for an empty text.
    :param remaining_in_last: units that the last segment still has room for, in this encoding.
    """

    encoding: Encoding
    units: int
    segments: int
    remaining_in_last: int


def count_segments(text: str) -> SegmentCount:
    """
    Count the segments of a text, composed first (NFC): ``e`` and an accent count as ``é``.

    One segment holds 160 GSM-7 units or 70 UCS-2 units, each of several 153 or 67. An escape pair or a surrogate pair
    is never split: where it would straddle two segments, the first one ends a unit early.

    :param text: any text.
    """
    text = normalize("NFC", text)
    if _BASIC_ONLY.fullmatch(text):
        return _count_narrow("GSM-7", len(text))
    if _GSM_ONLY.fullmatch(text):
        return _count_wide("GSM-7", text, _EXTENDED)
    if not _ASTRAL.search(text):
        return _count_narrow("UCS-2", len(text))
    return _count_wide("UCS-2", text, _ASTRAL)


def _count_narrow(encoding: Encoding, units: int) -> SegmentCount:
    """Count a text of single units."""
    single, part = _LIMITS[encoding]
    if units <= single:
        return SegmentCount(
            encoding=encoding, units=units, segments=min(units, 1), remaining_in_last=single - units
        )
    segments = -(-units // part)
    return SegmentCount(
        encoding=encoding, units=units, segments=segments, remaining_in_last=segments * part - units
    )


def _count_wide(encoding: Encoding, text: str, pairs: re.Pattern[str]) -> SegmentCount:
    """Count a text in which some characters take a pair of units."""
    single, part = _LIMITS[encoding]
    starts = [found.start() for found in pairs.finditer(text)]
    units = len(text) + len(starts)
    if units <= single:
        return _count_narrow(encoding, units)
    lost = 0
    for before, start in enumerate(starts):
        # The pair begins after all characters and earlier pairs, moved on by what straddling has cost so far.
        lost += (start + before + lost) % part == part - 1
    filled = units + lost
    segments = -(-filled // part)
    return SegmentCount(
        encoding=encoding, units=units, segments=segments, remaining_in_last=segments * part - filled
    )


def cut_to_segments(text: str, segments: int = 1, ellipsis: str = "...") -> str:
    """
    Shorten a text to a number of segments, at the end of a word where one is near.

    :param text: any text; comes back composed (NFC), and otherwise unchanged when it fits.
    :param segments: the most it may take, from 1.
    :param ellipsis: put where the text was cut.
    :raises InvalidArgumentError: when not even the ellipsis fits, or for fewer than 1 segment.
    """
    if segments < 1:
        raise InvalidArgumentError("segments", f"is {segments}; give 1 or more")
    text = normalize("NFC", text)
    if count_segments(text).segments <= segments:
        return text
    if count_segments(ellipsis).segments > segments:
        raise InvalidArgumentError("ellipsis", f"takes more than {segments} segments by itself; shorten it")
    # Nothing longer than this can fit, and the search need not look at it.
    ends = [0, *accumulate(map(len, clusters(text[: segments * 160 + 1])))]
    low, high = 0, len(ends) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if count_segments(text[: ends[middle]] + ellipsis).segments <= segments:
            low = middle
        else:
            high = middle - 1
    return _back_to_word(text, ends[low]) + ellipsis


def _back_to_word(text: str, end: int) -> str:
    """Go back to the end of a word, unless that would cost more than a third of the text."""
    head = text[:end]
    if not text[end : end + 1].isspace():
        shorter = next(_word_ends(head), 0)
        if shorter * 3 >= end * 2:
            head = head[:shorter]
    head = head.rstrip()
    return head.rstrip(",;:-").rstrip() or head


def _word_ends(head: str) -> Iterator[int]:
    return (position for position in range(len(head) - 1, 0, -1) if head[position].isspace())
