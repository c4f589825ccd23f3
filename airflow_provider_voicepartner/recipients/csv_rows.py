"""CSV files of recipients, in chunks: plain blocks are taken apart at once, the others by Python's ``csv``."""

from __future__ import annotations

import csv
import io
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from airflow_provider_voicepartner.constants import HEADER_SEARCHED, LONGEST_LINE
from airflow_provider_voicepartner.gateways.placeholders import field_name
from airflow_provider_voicepartner.recipients.chunks import Chunk, ColumnRows
from airflow_provider_voicepartner.recipients.rows import (
    LIKE_A_NUMBER,
    NUMBER_FIELD,
    SecondNumber,
    UnreadableRow,
    find_column,
    what_there_is,
)
from airflow_provider_voicepartner.recipients.text_blocks import (
    EmptyTextError,
    TextBlock,
    UnreadableFileError,
)

_DELIMITERS: Final = (",", ";", "\t")
_UNFINISHED: Final = "unexpected end of data"


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvLayout:
    """
    What a CSV file's first line tells.

    :param delimiter: between columns.
    :param width: how many columns the first line has.
    :param names: of the columns, in order; empty where the file has no header.
    :param number_at: the number's column, from 0.
    """

    delimiter: str
    width: int
    names: tuple[str, ...]
    number_at: int

    @property
    def others(self) -> frozenset[str]:
        """The names of all columns but the number's."""
        return frozenset(name for at, name in enumerate(self.names) if name and at != self.number_at)

    def places(self, fields: frozenset[str] | None) -> dict[str, int]:
        """
        Return where the personal fields stand.

        :param fields: which ones; None means all.
        :raises UnreadableFileError: when one is missing or stands there twice.
        """
        wanted = sorted(self.others - {NUMBER_FIELD} if fields is None else fields)
        at = dict(zip(reversed(self.names), range(len(self.names) - 1, -1, -1), strict=True))
        times = Counter(self.names)
        for name in wanted:
            if name not in at:
                raise UnreadableFileError(
                    f"has no column {name!r}, which the text needs; add it, or take it out of the text"
                )
            if times[name] > 1:
                raise UnreadableFileError(f"has the column {name!r} twice; rename one")
        return {name: at[name] for name in wanted}


def csv_layout(
    blocks: Iterator[TextBlock], *, column: str | int, header: bool, delimiter: str | None = None
) -> tuple[CsvLayout, TextBlock]:
    """
    Read a file's first line.

    :param blocks: the first one is taken.
    :param column: the number's column: its name in the header, or its position from 0.
    :param header: whether the first line is a header.
    :param delimiter: None finds it in the first line.
    :returns: the layout, and what is left of the block.
    :raises UnreadableFileError: when there is no such column.
    """
    if isinstance(column, str):
        column = field_name(column)
    block = next(blocks)
    lines = io.StringIO(block.text, newline="")
    line, start = block.line, 0
    for first in iter(lines.readline, ""):
        if first.startswith("sep=") and len(first.strip()) == 5:  # Excel's own hint.
            delimiter = delimiter or first[4]
        elif first.strip():
            break
        line, start = line + 1, lines.tell()
    else:
        raise EmptyTextError
    known = [delimiter] if delimiter else sorted(_DELIMITERS, key=first.count, reverse=True)
    for candidate in known if isinstance(column, str) else known[:1]:
        lines.seek(start)
        reader = csv.reader(lines, delimiter=candidate)
        cells = _first_row(reader)
        at = column if isinstance(column, int) else find_column(column, cells)
        if at is None or at >= len(cells):
            continue
        layout = CsvLayout(
            delimiter=candidate, width=len(cells), names=tuple(cells) if header else (), number_at=at
        )
        if header:
            return layout, TextBlock(line + reader.line_num, lines.read())
        return layout, TextBlock(line, block.text[start:])
    if isinstance(column, int):
        raise UnreadableFileError(
            f"has no column {column} in its first line, which has {len(cells)}; the first column is 0"
        )
    raise UnreadableFileError(_no_column(column, first, known, text=block.text[start:], line=line))


def _no_column(column: str, first: str, known: Sequence[str], *, text: str, line: int) -> str:
    """Say what was read in place of a header, and what seems to be wrong."""
    for later, found in enumerate(itertools.islice(io.StringIO(text), HEADER_SEARCHED), line):
        for candidate in known:
            cells = [field_name(cell) for cell in found.rstrip("\r\n").replace('"', "").split(candidate)]
            if later > line and find_column(column, cells) is not None:
                return (
                    f"has no column {column!r} in line {line}, but in line {later}: take out what stands above "
                    "the header"
                )
    cells = _first_row(csv.reader([first], delimiter=known[0]))
    problem = f"has no column {column!r} in its first line; {what_there_is(cells)}"
    if len(cells) == 1 and "|" in first:
        problem += ". Is it separated by '|'? Write it with commas, semicolons or tabs"
    return problem


def _first_row(reader: Iterator[list[str]]) -> list[str]:
    try:
        return [field_name(cell) for cell in next(reader)]
    except csv.Error:
        pass
    raise UnreadableFileError("has a first line that is no CSV; is a quote missing?")


def csv_chunks(
    layout: CsvLayout,
    rest: TextBlock,
    blocks: Iterator[TextBlock],
    *,
    fields: frozenset[str] | None,
    region: str,
) -> Iterator[Chunk]:
    """
    Read the rows; rows in which nothing stands are passed over.

    :param layout: see :func:`csv_layout`.
    :param rest: what is left of the first block.
    :param blocks: the blocks after it.
    :param fields: the personal fields to keep; None keeps all.
    :param region: where numbers without a country code are from; without a header a row may hold one number only.
    :raises UnreadableFileError: for quotes that do not close.
    """
    rows = _BlockReader(layout, layout.places(fields), region)
    begun: TextBlock | None = None
    for block in itertools.chain([rest], blocks):
        whole = block if begun is None else TextBlock(begun.line, begun.text + block.text)
        chunk, begun = rows.read(whole)
        if chunk.items:
            yield chunk
        if begun and len(begun.text) > LONGEST_LINE:
            break
    if begun:
        raise UnreadableFileError("begins a value with a quote that is never closed", line=begun.line)


class _BlockReader:
    """Takes blocks of whole lines apart."""

    def __init__(self, layout: CsvLayout, places: dict[str, int], region: str) -> None:
        self._delimiter = layout.delimiter
        self._width = layout.width
        self._number_at = layout.number_at
        self._others = (
            () if layout.names else tuple(at for at in range(layout.width) if at != layout.number_at)
        )
        self._holds_another = SecondNumber(region)
        self._names = (NUMBER_FIELD, *places)
        self._places = (layout.number_at, *places.values())

    def read(self, block: TextBlock) -> tuple[Chunk, TextBlock | None]:
        """
        Read a block.

        :returns: its rows, and a last row that goes on in the next block.
        """
        chunk = self._read_plain(block) if '"' not in block.text else None
        return (chunk, None) if chunk else self._read_any(block)

    def _read_plain(self, block: TextBlock) -> Chunk | None:
        """Read a block without quotes by splitting it once; None when not all its rows are of the same shape."""
        text = block.text
        if "\r" in text:
            text = text.replace("\r\n", "\n")
            if "\r" in text:
                return None
        text = text.removesuffix("\n")
        # Between two rows stands a line end as a cell of its own, always at the same distance.
        cells = text.replace("\n", f"{self._delimiter}\n{self._delimiter}").split(self._delimiter)
        step, ends = self._width + 1, text.count("\n")
        if len(cells) != (ends + 1) * step - 1 or cells[self._width :: step].count("\n") != ends:
            return None
        numbers = cells[self._number_at :: step]
        stripped = list(map(str.strip, numbers))
        blank = -1
        for _ in range(stripped.count("")):
            blank = stripped.index("", blank + 1)
            if not any(map(str.strip, cells[blank * step : blank * step + self._width])):
                return None
        for at in self._others:
            if LIKE_A_NUMBER.search("\n".join(cells[at::step])):
                return None
        items: Sequence[object] = numbers
        if len(self._names) > 1:
            items = ColumnRows(
                {name: cells[at::step] for name, at in zip(self._names, self._places, strict=True)}
            )
        return Chunk(range(block.line, block.line + ends + 1), items)

    def _read_any(self, block: TextBlock) -> tuple[Chunk, TextBlock | None]:
        lines: list[int] = []
        items: list[object] = []
        reader = csv.reader(io.StringIO(block.text, newline=""), delimiter=self._delimiter, strict=True)
        read, problem = 0, ""
        try:
            for row in reader:
                item = self._item(row)
                if item is not None:
                    lines.append(block.line + read)
                    items.append(item)
                read = reader.line_num
        except csv.Error as error:
            problem = str(error)
        if not problem:
            return Chunk(lines, items), None
        if problem == _UNFINISHED:
            rest = itertools.islice(io.StringIO(block.text, newline=""), read, None)
            return Chunk(lines, items), TextBlock(block.line + read, "".join(rest))
        raise UnreadableFileError(f"is not CSV: {problem}", line=block.line + read)

    def _item(self, row: list[str]) -> object:
        """Return what a row holds; None where nothing stands in it."""
        if not any(map(str.strip, row)):
            return None
        if len(row) != self._width:
            number = row[self._number_at] if len(row) > self._number_at else ""
            return UnreadableRow(
                f"is in a row of {len(row)} columns, but the first line has {self._width}; correct the row (a value "
                f"with a {self._delimiter!r} in it needs quotes)",
                number,
            )
        if any(self._holds_another(row[at]) for at in self._others):
            return UnreadableRow(SecondNumber.REASON, row[self._number_at])
        if len(self._names) == 1:
            return row[self._number_at]
        return {name: row[at] for name, at in zip(self._names, self._places, strict=True)}
