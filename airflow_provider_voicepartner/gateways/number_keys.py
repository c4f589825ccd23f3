"""Numbers by the million: E.164 as integers, many texts at once; what is not read here is for ``NumberReader``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from airflow_provider_voicepartner.gateways.french_plan import Block, Blocks
from airflow_provider_voicepartner.gateways.line_type import LineType
from airflow_provider_voicepartner.gateways.numbers import SEPARATORS, NumberReader

UNREAD = -1
"""Stands for a text that has to be read one by one: foreign, strangely written, of another line, or no number."""

_NOBODY = -(10**18)
_ZERO = ord("0")


class _Heads(dict[bytes, int]):
    """
    What to add to a number's last digits, by all that is written before them: ``0612`` -> 33612000000.

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

    def __missing__(self, head: bytes) -> int:
        """Find out about a head that is met for the first time."""
        before, digits = head[: -self._digits], head[-self._digits :]
        blocks = self._tables.get(before)
        if blocks is None or len(digits) < self._digits or not digits.isdigit() or digits[0] == _ZERO:
            return _NOBODY
        block: Block | None = blocks.hundred(digits) if self._digits == 3 else blocks[digits]
        base = _NOBODY
        if block is not None and block.region and block.line_type in self._lines:
            base = int(block.country_code + digits.decode()) * 10 ** (9 - self._digits)
        if base > 0 or self._digits == 3:
            self[head] = base
        return base


class NumberKeys:
    """
    Reads many texts at once into integers: ``06 12 34 56 78`` is 33612345678.

    What it reads is what the reader reads, a tenth of the work for it. An integer is a number's whole E.164 spelling,
    since no country code begins with 0.

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
        packed = together.encode("latin-1", "replace").translate(None, SEPARATORS).split(b"\n")
        heads = self._by_three
        keys = [heads[text[:-6]] + int(tail) if (tail := text[-6:]).isdigit() else _NOBODY for text in packed]
        for at in [at for at, key in enumerate(keys) if key < 0]:
            keys[at] = self._closer(packed[at])
        return keys

    def _closer(self, text: bytes) -> int:
        """Read a number of which three digits do not tell enough."""
        tail = text[-4:]
        base = self._by_five[text[:-4]] if tail.isdigit() else _NOBODY
        return base + int(tail) if base > 0 else UNREAD
