"""How many SMS segments a text takes, which is what is billed, and how to make it fit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal
from unicodedata import normalize

from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.gsm import BASIC, EXTENSION, Transliterated, clusters, to_gsm7

__all__ = ["Encoding", "SegmentCount", "Transliterated", "count_segments", "cut_to_segments", "to_gsm7"]

Encoding = Literal["GSM-7", "UCS-2"]

_BASIC_ONLY = re.compile(f"[{re.escape(''.join(sorted(BASIC)))}]*")
_GSM_ONLY = re.compile(f"[{re.escape(''.join(sorted(BASIC | EXTENSION)))}]*")
_EXTENDED = re.compile(f"[{re.escape(''.join(sorted(EXTENSION)))}]")
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")

_LIMITS: dict[Encoding, tuple[int, int]] = {"GSM-7": (160, 153), "UCS-2": (70, 67)}


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
