"""
Rows that cannot be sent to, and why: masked in logs, whole only in the user's own file.

People open these CSV files in a spreadsheet. It runs a cell that begins like a formula, whoever wrote it, so such a
cell is quoted.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import IO, Final, Protocol

from airflow_provider_voicepartner.constants import SHOWN_NUMBER, SHOWN_NUMBER_DIGITS
from airflow_provider_voicepartner.gateways.wire import mask_number

_PLAIN: Final = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?")
_FORMULA: Final = re.compile(r"[\s\ufeff]*[=+\-@\uff0b\uff0d\uff1d\uff20]|[\t\r\n]")
# Spreadsheets differ in what separates cells: behind each such character another cell may begin.
_AFTER_SEPARATOR: Final = re.compile(r"([;,|\t\r\n]\s*)(?=[=+\-@\uff0b\uff0d\uff1d\uff20])")

REJECTS_COLUMNS = "row", "number", "reason"
"""The first line of a file of invalid rows."""


class RowWriter(Protocol):
    """What writes rows, as those of Python's ``csv`` do."""

    def writerow(self, row: Iterable[object], /) -> object:
        """Write one row."""


def safe_cell(value: object) -> str:
    """
    Return a value as a cell that no spreadsheet runs: an apostrophe before it, unless all of it is a plain number.

    :param value: ``+33612345678`` and ``-12.5`` stay what they are; ``+1+cmd|…``, ``=…`` and ``@…`` do not. What cannot
        be written as UTF-8 is replaced.
    """
    text = str(value).encode("utf-8", "replace").decode()
    if _PLAIN.fullmatch(text):
        return text
    text = _AFTER_SEPARATOR.sub(r"\1'", text)
    return f"'{text}" if _FORMULA.match(text) else text


def write_row(writer: RowWriter, values: Iterable[object]) -> None:
    """Write one row of safe cells."""
    writer.writerow([safe_cell(value) for value in values])


def is_headed(first: bytes, columns: Sequence[str]) -> bool:
    """
    Say whether a file begins with the very line of names that one of ours begins with.

    :param first: its first bytes, not blank.
    :param columns: the names.
    """
    return first.splitlines()[0].decode("utf-8", "replace") == ",".join(columns)


def masked(number: str) -> str:
    """Show a number as a log may: ``+336•••••42``; what does not look like a number is hidden completely."""
    digits = sum(character.isdecimal() for character in number[:SHOWN_NUMBER])
    if len(number) > SHOWN_NUMBER or digits < SHOWN_NUMBER_DIGITS:
        return "•" * min(len(number), 8)
    return mask_number(number)


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedRow:
    """
    A row that cannot be sent to.

    :param row: position in the input, from 1.
    :param reason: what is wrong and the fix; holds no number.
    :param number: what stood in place of the number; only for the user's own file, never for a log.
    """

    row: int
    reason: str
    number: str = field(default="", repr=False)

    @property
    def masked(self) -> str:
        """The number as a log may show it."""
        return masked(self.number)


class RejectsWriter:
    """
    Writes rejected rows as CSV, as they come: row, number, reason. The file holds numbers in clear.

    :param file: opened for text with ``newline=""``; the header is written at once.
    """

    def __init__(self, file: IO[str]) -> None:
        self._writer = csv.writer(file, lineterminator="\n")
        self._writer.writerow(REJECTS_COLUMNS)

    def write(self, row: RejectedRow) -> None:
        """Write one row."""
        write_row(self._writer, (row.row, row.number, row.reason))
