"""Numbers by the million: E.164 as integers, many texts at once; what is not read here is for ``NumberReader``."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from operator import add, itemgetter
from typing import Final, cast

from airflow_provider_voicepartner.constants import FEWEST_NUMBERS_AT_ONCE
from airflow_provider_voicepartner.gateways.numbering_plan import Block, Blocks, LineType
from airflow_provider_voicepartner.gateways.phone_numbers import SEPARATORS, NumberReader

UNREAD: Final = -1
"""Stands for a text that has to be read one by one: foreign, strangely written, of another line, or no number."""

_NOBODY: Final = float("-inf")
_ZERO: Final = ord("0")
_KNOWN: Final = b"0123456789+\n"
_HEAD: Final = itemgetter(slice(None, -6))
_NO_DIGITS: Final = re.compile(rb"(?m)^(?!\+?[0-9]{1,20}$).*$")


class _Heads(dict[bytes, float]):
    """
    What to add to a written number to get its E.164, by all of it but its last digits: ``0612`` -> 33000000000.

    Heads of three digits are few and all kept; of five, only those whose numbers are wanted, so that a file of
    nonsense fills no memory.

    :param tables: blocks by what stands before the nine digits of the plan.
    :param lines: the wanted kinds of line.
    :param digits: how many of the nine digits belong to the head, 3 or 5.
    """

    def __init__(self, tables: Mapping[bytes, Blocks], lines: Collection[LineType], digits: int) -> None:
        super().__init__()
        self._tables = tables
        self._lines = frozenset(lines)
        self._digits = digits

    def __missing__(self, head: bytes) -> float:
        """Find out about a head that is met for the first time; minus infinity where nobody has such a number."""
        before, digits = head[: -self._digits], head[-self._digits :]
        blocks = self._tables.get(before)
        if blocks is None or len(digits) < self._digits or not digits.isdigit() or digits[0] == _ZERO:
            return _NOBODY
        block: Block | None = blocks.hundred(digits) if self._digits == 3 else blocks[digits]
        offset = _NOBODY
        if block is not None and block.region and block.line_type in self._lines:
            offset = (int(block.before + digits.decode()) - int(head)) * 10 ** (9 - self._digits)
        if offset != _NOBODY or self._digits == 3:
            self[head] = offset
        return offset


class NumberKeys:
    """
    Reads many texts at once into integers: ``06 12 34 56 78`` is 33612345678.

    What it reads is what the reader reads, at a fifth of the cost. An integer is a number's whole E.164 spelling, since
    no country code begins with 0.

    :param reader: who decides.
    :param lines: the kinds of line that are wanted.
    """

    def __init__(self, reader: NumberReader, lines: Collection[LineType]) -> None:
        self._by_three = _Heads(reader.tables, lines, 3)
        self._by_five = _Heads(reader.tables, lines, 5)

    def read(self, texts: Sequence[str]) -> list[int]:
        """
        Read texts.

        :param texts: one number each.
        :returns: for each text its number, or ``UNREAD``.
        """
        if not texts:
            return []
        together = "\n".join(texts)
        if together.count("\n") >= len(texts):
            together = "\n".join([text.replace("\n", "?") for text in texts])
        written = _blank_strange(together.encode("latin-1", "replace").translate(None, SEPARATORS))
        try:
            return self._add_up(written.split(b"\n"))
        except (ValueError, OverflowError):  # A + in the wrong place, or hundreds of digits.
            return self._add_up(_NO_DIGITS.sub(b"0", written).split(b"\n"))

    def _add_up(self, written: list[bytes]) -> list[int]:
        offsets = map(self._by_three.__getitem__, map(_HEAD, written))
        numbers = list(map(add, offsets, map(int, written)))
        for at in [at for at, number in enumerate(numbers) if number < 0]:
            text = written[at]
            number = self._by_five[text[:-4]] + int(text)
            numbers[at] = number if number > 0 else UNREAD
        return cast("list[int]", numbers)


def _blank_strange(lines: bytes) -> bytes:
    """Put a 0, which is no number, in place of each line that is empty or holds anything but digits and ``+``."""
    lined = b"\n" + lines + b"\n"
    if b"\n\n" in lined:
        lined = lined.replace(b"\n\n", b"\n0\n").replace(b"\n\n", b"\n0\n")
    strange = lines.translate(None, _KNOWN)
    if len(strange) > FEWEST_NUMBERS_AT_ONCE:
        return _NO_DIGITS.sub(b"0", lines)
    for character in set(strange):
        at = lined.find(character)
        while at >= 0:
            start, end = lined.rfind(b"\n", 0, at), lined.find(b"\n", at)
            lined = lined[: start + 1] + b"0" + lined[end:]
            at = lined.find(character, start)
    return lined[1:-1]
