"""CSV that people open in a spreadsheet: a cell that begins like a formula is run there, whoever wrote it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

_PLAIN: Final = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?")
_FORMULA: Final = re.compile(r"[\s\ufeff]*[=+\-@\uff0b\uff0d\uff1d\uff20]|[\t\r\n]")
# Spreadsheets differ in what separates cells: behind each such character another cell may begin.
_AFTER_SEPARATOR: Final = re.compile(r"([;,|\t\r\n]\s*)(?=[=+\-@\uff0b\uff0d\uff1d\uff20])")


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
