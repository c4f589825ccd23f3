"""Excel workbooks (XLSX) of recipients, read row by row; the reader is openpyxl, of the extra ``[excel]``."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, time
from importlib import import_module
from typing import IO, Any, Final
from zipfile import BadZipFile, ZipFile

from airflow_provider_voicepartner.constants import ROWS_A_CHUNK
from airflow_provider_voicepartner.gateways.placeholders import field_name
from airflow_provider_voicepartner.recipients.chunks import Chunk
from airflow_provider_voicepartner.recipients.csv_rows import CsvLayout
from airflow_provider_voicepartner.recipients.rows import (
    FAILED_FORMULAS,
    NUMBER_FIELD,
    SecondNumber,
    UnreadableRow,
    find_column,
    formula_failed,
    what_there_is,
)
from airflow_provider_voicepartner.recipients.text_blocks import EmptyTextError, UnreadableFileError

_DIGITS: Final = 15
"""So many of a number Excel shows: what is 3.3 on the screen may be 3.3000000000000003 in the file."""
_TO_BE_COMPUTED: Final = re.compile(rb"""\bfullCalcOnLoad\s*=\s*["'](?:1|true)["']""")
_ESCAPED: Final = re.compile(r"_x00(0[9ADad])_")
"""A line end or tab in a text, as Excel writes some of them."""


class _NotComputed(str):
    """In place of the result of a formula that no program has computed yet."""

    __slots__ = ()


Numbered = Iterator[tuple[int, Sequence[object]]]


def open_excel(handle: IO[bytes]) -> Callable[[], Numbered]:
    """
    Open a workbook.

    :param handle: opened for bytes, seekable.
    :returns: what reads the rows of its one sheet in which anything stands, with their numbers from 1. Sheets that are
        hidden do not count; hidden rows do. In a workbook that says that its formulas are still to be computed, as
        libraries write them, one without a result is told from an empty cell.
    :raises UnreadableFileError: without openpyxl, for another kind of file, and for several sheets with rows.
    """
    try:
        openpyxl: Any = import_module("openpyxl")
    except ImportError:
        openpyxl = None
    if openpyxl is None:
        raise UnreadableFileError(
            "is an Excel file, which needs openpyxl; install 'airflow-provider-voicepartner[excel]', or give CSV"
        )
    try:
        book = openpyxl.load_workbook(handle, read_only=True, data_only=True, keep_links=False)
        sheets = [
            sheet for sheet in book.worksheets if sheet.sheet_state == "visible" and any(_full_rows(sheet))
        ]
    except _problems():
        sheets = None
    if sheets is None:
        raise UnreadableFileError("is no Excel file (.xlsx), or is damaged; was it written completely?")
    if not sheets:
        raise EmptyTextError
    if len(sheets) > 1:
        raise UnreadableFileError(
            f"has {len(sheets)} sheets with rows, and one is read; keep one, or hide the others"
        )
    formulas = None
    if _is_to_be_computed(handle):
        formulas = openpyxl.load_workbook(handle, read_only=True, keep_links=False)[sheets[0].title]
    return lambda: _guarded(sheets[0], formulas)


def _is_to_be_computed(handle: IO[bytes]) -> bool:
    """Say whether a workbook asks for its formulas to be computed once it is opened; when Excel saves, they are."""
    with ZipFile(handle) as archive:  # openpyxl says so of each workbook that is silent about it.
        try:
            return _TO_BE_COMPUTED.search(archive.read("xl/workbook.xml")) is not None
        except KeyError:
            return False


def _guarded(sheet: Any, formulas: Any = None) -> Numbered:
    row = 0
    try:
        for row, values in _full_rows(sheet) if formulas is None else _computed_rows(sheet, formulas):
            yield row, values
        return
    except _problems():
        pass
    raise UnreadableFileError(f"is damaged after row {row}; was it written completely?")


def _problems() -> tuple[type[Exception], ...]:
    """Return what openpyxl raises for a file that is none of its own."""
    from xml.etree.ElementTree import ParseError

    invalid: type[Exception] = import_module("openpyxl.utils.exceptions").InvalidFileException
    return (invalid, BadZipFile, ParseError, KeyError, ValueError, TypeError, AttributeError, IndexError)


def _full_rows(sheet: Any) -> Numbered:
    return _without_empty(_rows_of(sheet))


def _rows_of(sheet: Any) -> Iterator[Sequence[object]]:
    # What a sheet says of its size is often wrong, in files of other programs above all.
    sheet.reset_dimensions()
    rows: Iterator[Sequence[object]] = sheet.iter_rows(values_only=True)
    return rows


def _computed_rows(sheet: Any, formulas: Any) -> Numbered:
    """Read the rows; a formula that has no result, or the 0 that stands for none, is marked."""
    both = zip(_rows_of(sheet), _cells_of(formulas), strict=True)
    return _without_empty(
        [
            _NotComputed("=") if cell.data_type == "f" and value in (None, "", 0) else value
            for value, cell in zip(values, cells, strict=True)
        ]
        for values, cells in both
    )


def _cells_of(sheet: Any) -> Iterator[Sequence[Any]]:
    sheet.reset_dimensions()
    cells: Iterator[Sequence[Any]] = sheet.iter_rows()
    return cells


def _without_empty(rows: Iterable[Sequence[object]]) -> Numbered:
    for number, row in enumerate(rows, 1):
        values = [_plain(value) for value in row]
        while values and values[-1] == "":
            values.pop()
        if values:
            yield number, values


def _plain(value: object) -> object:
    """Return a cell's value as people see it: of an empty cell nothing, of a day without an hour the day."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return ""
    if isinstance(value, str):
        return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), value) if "_x00" in value else value
    if isinstance(value, float):
        return float(format(value, f".{_DIGITS}g"))
    if isinstance(value, datetime) and value.time() == time(0):
        return value.date()
    return value


def excel_layout(rows: Numbered, *, column: str | int, header: bool) -> CsvLayout:
    """
    Read the first row in which anything stands.

    :param rows: of the workbook; the first is taken.
    :param column: the number's column: its name in the header, or its position from 0.
    :param header: whether the first row holds names.
    :raises UnreadableFileError: when there is no such column.
    """
    number, first = next(rows)
    cells = [field_name(str(value)) for value in first]
    if isinstance(column, int):
        if column >= len(cells):
            raise UnreadableFileError(
                f"has no column {column} in its first row, which has {len(cells)}; the first column is 0"
            )
        return CsvLayout(
            delimiter="", width=len(cells), names=tuple(cells) if header else (), number_at=column
        )
    at = find_column(column, cells)
    if at is not None:
        return CsvLayout(delimiter="", width=len(cells), names=tuple(cells), number_at=at)
    for later, row in itertools.islice(rows, 10):
        if find_column(column, [field_name(str(value)) for value in row]) is not None:
            raise UnreadableFileError(
                f"has no column {column!r} in row {number}, but in row {later}: take out what stands above the header"
            )
    raise UnreadableFileError(f"has no column {column!r} in its first row; {what_there_is(cells)}")


def excel_chunks(
    layout: CsvLayout, rows: Numbered, fields: frozenset[str] | None, region: str
) -> Iterator[Chunk]:
    """
    Read the rows.

    :param layout: see :func:`excel_layout`.
    :param rows: those after the header; without one, all.
    :param fields: the personal fields to keep; None keeps all.
    :param region: where numbers without a country code are from; without a header a row may hold one number only.
    """
    places = {NUMBER_FIELD: layout.number_at, **layout.places(fields)}
    holds_another = None if layout.names else SecondNumber(region)
    while batch := list(itertools.islice(rows, ROWS_A_CHUNK)):
        yield Chunk(
            [number for number, _ in batch], [_item(row, places, layout, holds_another) for _, row in batch]
        )


def _item(
    row: Sequence[object], places: dict[str, int], layout: CsvLayout, holds_another: SecondNumber | None
) -> object:
    if len(row) > layout.width:
        return UnreadableRow(
            f"is in a row of {len(row)} columns, but the first row has {layout.width}; correct the row or the first"
        )
    values = {name: row[at] if at < len(row) else "" for name, at in places.items()}
    for value in values.values():
        if isinstance(value, _NotComputed):
            return UnreadableRow(
                "is in a row with a formula that was never computed; open the file in Excel and save it"
            )
        if isinstance(value, str) and value in FAILED_FORMULAS:
            return UnreadableRow(formula_failed(value))
    if holds_another and any(holds_another(cell) for at, cell in enumerate(row) if at != layout.number_at):
        number = values[NUMBER_FIELD]
        return UnreadableRow(SecondNumber.REASON, number if isinstance(number, str) else "")
    return values if len(values) > 1 or not isinstance(values[NUMBER_FIELD], str) else values[NUMBER_FIELD]
