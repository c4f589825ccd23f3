"""Excel workbooks (XLSX) of recipients, read row by row; the reader is openpyxl, of the extra ``[excel]``."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, time
from importlib import import_module
from typing import IO, Any, Final
from zipfile import BadZipFile

from airflow_provider_voicepartner.gateways.placeholders import field_name
from airflow_provider_voicepartner.sending.columns import find_column, what_there_is
from airflow_provider_voicepartner.sending.csv_rows import CsvLayout
from airflow_provider_voicepartner.sending.rows import NUMBER_FIELD, Chunk, UnreadableRow
from airflow_provider_voicepartner.sending.text_blocks import EmptyTextError, UnreadableFileError

_ROWS: Final = 2_000
_ERRORS: Final = frozenset(
    ("#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A", "#GETTING_DATA", "#SPILL!")
)
"""What a cell shows whose formula failed."""

Numbered = Iterator[tuple[int, Sequence[object]]]


def open_excel(handle: IO[bytes]) -> Callable[[], Numbered]:
    """
    Open a workbook.

    :param handle: opened for bytes, seekable.
    :returns: what reads the rows of its one sheet in which anything stands, with their numbers from 1. Sheets that are
        hidden do not count; hidden rows do.
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
    return lambda: _guarded(sheets[0])


def _guarded(sheet: Any) -> Numbered:
    row = 0
    try:
        for row, values in _full_rows(sheet):
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
    # What a sheet says of its size is often wrong, in files of other programs above all.
    sheet.reset_dimensions()
    for number, row in enumerate(sheet.iter_rows(values_only=True), 1):
        values = [_plain(value) for value in row]
        while values and values[-1] == "":
            values.pop()
        if values:
            yield number, values


def _plain(value: object) -> object:
    """Return a cell's value: of an empty cell nothing, of a day without an hour the day."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return ""
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


def excel_chunks(layout: CsvLayout, rows: Numbered, fields: frozenset[str] | None) -> Iterator[Chunk]:
    """
    Read the rows.

    :param layout: see :func:`excel_layout`.
    :param rows: those after the header; without one, all.
    :param fields: the personal fields to keep; None keeps all.
    """
    places = {NUMBER_FIELD: layout.number_at, **layout.places(fields)}
    while batch := list(itertools.islice(rows, _ROWS)):
        yield Chunk([number for number, _ in batch], [_item(row, places, layout) for _, row in batch])


def _item(row: Sequence[object], places: dict[str, int], layout: CsvLayout) -> object:
    if len(row) > layout.width:
        return UnreadableRow(
            f"is in a row of {len(row)} columns, but the first row has {layout.width}; correct the row or the first"
        )
    values = {name: row[at] if at < len(row) else "" for name, at in places.items()}
    failed = next((value for value in values.values() if isinstance(value, str) and value in _ERRORS), None)
    if failed is not None:
        return UnreadableRow(f"is in a row with a formula that failed ({failed}); correct it")
    return values if len(values) > 1 or not isinstance(values[NUMBER_FIELD], str) else values[NUMBER_FIELD]
