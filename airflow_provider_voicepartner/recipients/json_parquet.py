"""JSON lines and Parquet files of recipients, in chunks."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import IO, Any

from airflow_provider_voicepartner.constants import ROWS_A_CHUNK
from airflow_provider_voicepartner.gateways.placeholders import field_name
from airflow_provider_voicepartner.recipients.chunks import Chunk, ColumnRows
from airflow_provider_voicepartner.recipients.lists import field_of, no_field
from airflow_provider_voicepartner.recipients.rows import (
    NUMBER_FIELD,
    UnreadableRow,
    find_column,
    names_in,
    what_there_is,
)
from airflow_provider_voicepartner.recipients.text_blocks import TextBlock, UnreadableFileError


def json_chunks(
    blocks: Iterator[TextBlock], *, column: str, fields: frozenset[str] | None
) -> Iterator[Chunk]:
    """
    Read JSON lines: an object, or a number as text, on each line; blank lines are passed over.

    :param blocks: of the file.
    :param column: the number's name in an object.
    :param fields: the personal fields to keep; None keeps all.
    :raises UnreadableFileError: for a file that is one JSON array.
    """
    decode = json.JSONDecoder(parse_float=WrittenNumber, parse_int=WrittenNumber).decode
    begun = False
    for block in blocks:
        lines: list[int] = []
        items: list[object] = []
        for line, text in enumerate(io.StringIO(block.text, newline=""), block.line):
            if text.isspace():
                continue
            if not begun and text.lstrip().startswith("["):
                raise UnreadableFileError("is one JSON array; write one object on each line (JSON lines)")
            begun = True
            try:
                item = decode(text.strip())
            except (ValueError, RecursionError):
                item = UnreadableRow("is no JSON; write one object, or one number in quotes, on each line")
            lines.append(line)
            items.append(_pick(item, column, fields) if isinstance(item, dict) else _phone_number(item))
        if items:
            yield Chunk(lines, items)


class WrittenNumber(str):
    """A number of JSON as it is written there: ``12.50`` is sent as ``12.50``, not as ``12.5``."""

    __slots__ = ()


def _phone_number(written: object) -> object:
    """Return what stands for a phone number; a JSON number is one no more, since it loses leading zeros."""
    if not isinstance(written, WrittenNumber):
        return written
    try:
        return int(written)
    except ValueError:
        return float(written)


def _pick(row: Mapping[str, object], column: str, fields: frozenset[str] | None) -> object:
    if column not in row:
        found = field_of(row, column)
        if found is None:
            return UnreadableRow(no_field(column, row))
        column = found
    number = _phone_number(row[column])
    if fields is None:
        return {name: value for name, value in row.items() if name != column} | {NUMBER_FIELD: number}
    if not fields and isinstance(number, str):
        return number
    picked = {name: row[name] for name in fields if name in row}
    if len(picked) < len(fields):  # A name may be written in another form.
        picked = {name: value for name, value in row.items() if field_name(name) in fields}
    return picked | {NUMBER_FIELD: number}


def json_field_names(blocks: Iterator[TextBlock], *, column: str, wanted: frozenset[str]) -> frozenset[str]:
    """
    Return the names of the personal fields of all lines.

    :param wanted: stop reading when all of these were seen; empty stops at the first field.
    """
    items = (item for chunk in json_chunks(blocks, column=column, fields=None) for item in chunk.items)
    return names_in(items, wanted)


def open_parquet(handle: IO[bytes]) -> Any:
    """
    Open a Parquet file.

    :param handle: opened for bytes, seekable.
    :raises UnreadableFileError: without pyarrow, and for another kind of file.
    """
    try:
        parquet: Any = import_module("pyarrow.parquet")
    except ImportError:
        parquet = None
    if parquet is None:
        raise UnreadableFileError(
            "is a Parquet file, which needs pyarrow; install 'airflow-provider-voicepartner[parquet]', or give CSV"
        )
    try:
        return parquet.ParquetFile(handle)
    except _arrow_error():
        pass
    raise UnreadableFileError("is no Parquet file, or is damaged; was it written completely?")


def _arrow_error() -> type[Exception]:
    error: type[Exception] = import_module("pyarrow.lib").ArrowException
    return error


def parquet_field_names(file: Any, *, column: str) -> frozenset[str]:
    """Return the names of all columns but the number's."""
    names = list(file.schema_arrow.names)
    at = find_column(column, names)
    own = {field_name(names[at])} if at is not None else set()
    return frozenset(map(field_name, names)) - own - {NUMBER_FIELD}


def parquet_chunks(file: Any, *, column: str, fields: frozenset[str] | None) -> Iterator[Chunk]:
    """
    Read a Parquet file in batches of rows; a line is a row here.

    :param file: see :func:`open_parquet`.
    :param column: the number's column.
    :param fields: the personal fields to keep; None keeps all.
    :raises UnreadableFileError: when a column is missing or stands there twice.
    """
    names = file.schema_arrow.names
    at = find_column(column, names)
    if at is None:
        raise UnreadableFileError(f"has no column {column!r}; {what_there_is(names)}")
    column = names[at]
    columns = _parquet_fields(names, column, fields)
    row = 1
    batches = file.iter_batches(
        batch_size=ROWS_A_CHUNK, columns=list(dict.fromkeys((column, *columns.values()))), use_threads=False
    )
    while True:
        try:
            batch = next(batches, None)
        except _arrow_error():
            break
        except OSError as error:
            if type(error) is not OSError:  # Of the storage; Arrow's own for damaged pages has no kind.
                raise
            break
        if batch is None:
            return
        yield Chunk(range(row, row + batch.num_rows), _items(batch, column, columns))
        row += batch.num_rows
    raise UnreadableFileError(f"is damaged after row {row - 1}; was it written completely?")


def _parquet_fields(names: list[str], column: str, fields: frozenset[str] | None) -> dict[str, str]:
    """Return the columns to keep: as their names are compared -> as they are written."""
    known = [field_name(name) for name in names]
    wanted = sorted(set(known) - {field_name(column), NUMBER_FIELD} if fields is None else fields)
    times = Counter(known)
    for name in wanted:
        if name not in times:
            raise UnreadableFileError(
                f"has no column {name!r}, which the text needs; add it, or take it out of the text"
            )
        if times[name] > 1:
            raise UnreadableFileError(f"has the column {name!r} twice; rename one")
    return {name: names[known.index(name)] for name in wanted}


def _items(batch: Any, column: str, columns: dict[str, str]) -> Sequence[object]:
    numbers: list[object] = batch.column(column).to_pylist()
    if not columns and all(isinstance(number, str) for number in numbers):
        return numbers
    values = {name: _values(batch.column(written)) for name, written in columns.items()}
    return ColumnRows({NUMBER_FIELD: numbers, **values})


def _values(column: Any) -> list[object]:
    """Return a column's values; short floats by their shortest decimals: 0.1 of 32 bits is 0.10000000149 in 64."""
    if str(column.type) not in ("float", "halffloat"):
        values: list[object] = column.to_pylist()
        return values
    written = column.cast("float32").cast("string").to_pylist()
    return [None if text is None else float(text) for text in written]
