"""
Chunks of rows: kept as rows or as columns, and read into numbers and fields by the same rules in both passes.

Work that is the same for all rows of a file is done column by column, without a dict for each row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar, cast, overload

from airflow_provider_voicepartner.gateways.bulk_phone_numbers import UNREAD, NumberKeys
from airflow_provider_voicepartner.gateways.compiled_message import Columns
from airflow_provider_voicepartner.gateways.model import Recipient
from airflow_provider_voicepartner.gateways.phone_numbers import InvalidNumberError
from airflow_provider_voicepartner.recipients.rows import (
    KEPT_AS_IT_IS,
    NUMBER_FIELD,
    WANTED_LINES,
    InvalidRowError,
    Line,
    RowReader,
)

Item = TypeVar("Item")

RecipientCheck = Callable[[Recipient], str | None]
"""Looks at one recipient with its fields: None, or what is wrong and the fix, to be read after the number."""


PlacesToCheck = Callable[[Columns], Sequence[int]]
"""Looks at the fields of many recipients at once, and returns the places, from 0, of those to check one by one."""

WHOLE_ROWS: Final = ""
"""The one column, of mappings, where each row may have other fields; no field has that name."""


class Chunk(NamedTuple):
    """
    Some rows of a list or a file, in order.

    :param lines: for each row the line where it starts (in a file), or its position; from 1.
    :param items: for each row what ``RowReader`` reads.
    """

    lines: Sequence[int]
    items: Sequence[object]


class ColumnRows(Sequence[Mapping[str, object]]):
    """
    Rows with the same columns; one becomes a dict when it is looked at.

    :param columns: a column's name -> its values, one for each row; at least one column, all of the same length.
    """

    __slots__ = ("_columns",)

    def __init__(self, columns: Mapping[str, Sequence[object]]) -> None:
        self._columns = columns

    def column(self, name: str) -> Sequence[object]:
        """Return a column's values."""
        return self._columns[name]

    def has(self, names: Sequence[str]) -> bool:
        """Say whether there are all of these columns."""
        return all(name in self._columns for name in names)

    def without(self, places: Sequence[int]) -> ColumnRows:
        """Return the rows but for those at some places, in order."""
        return ColumnRows({name: without(column, places) for name, column in self._columns.items()})

    def __len__(self) -> int:
        """How many rows."""
        return len(next(iter(self._columns.values())))

    @overload
    def __getitem__(self, at: int) -> Mapping[str, object]: ...

    @overload
    def __getitem__(self, at: slice) -> ColumnRows: ...

    def __getitem__(self, at: int | slice) -> Mapping[str, object] | ColumnRows:
        """Return one of them, or some."""
        if isinstance(at, slice):
            return ColumnRows({name: column[at] for name, column in self._columns.items()})
        return {name: column[at] for name, column in self._columns.items()}

    def __iter__(self) -> Iterator[Mapping[str, object]]:
        """Row by row."""
        names = tuple(self._columns)
        return (dict(zip(names, row, strict=True)) for row in zip(*self._columns.values(), strict=True))


def without(items: Sequence[Item], places: Sequence[int]) -> list[Item]:
    """Return the items but for those at some places, in order."""
    rest: list[Item] = []
    start = 0
    for place in places:
        rest += items[start:place]
        start = place + 1
    rest += items[start:]
    return rest


class ReadChunk(NamedTuple):
    """
    What stands in a chunk.

    :param numbers: of each row, E.164 as an integer; ``UNREAD`` where the row is bad.
    :param columns: the fields of all rows, by name; none where no fields are kept, and ``WHOLE_ROWS`` where all are.
    :param bad: the place of each bad row in the chunk, from 0, and what is wrong with it.
    """

    numbers: list[int]
    columns: dict[str, list[Any]]
    bad: list[tuple[int, str]]


class ChunkReader:
    """
    Reads chunks.

    :param line: ``mobile`` takes what can receive an SMS, ``any`` what can be called.
    :param region: where numbers without a country code are from.
    :param fields: the personal fields to keep, without which a row is bad; None keeps all, and needs none.
    :param check: a further check of each row that is good so far.
    :param places_to_check: which rows need that check; None for all of them.
    """

    def __init__(
        self,
        *,
        line: Line,
        region: str,
        fields: frozenset[str] | None,
        check: RecipientCheck | None = None,
        places_to_check: PlacesToCheck | None = None,
    ) -> None:
        self._rows = RowReader(line=line, region=region, fields=fields)
        self._numbers = NumberKeys(self._rows.numbers, WANTED_LINES[line])
        self._names = (WHOLE_ROWS,) if fields is None else tuple(sorted(fields))
        self._check = check
        self._places_to_check = places_to_check

    def read(self, items: Sequence[object]) -> ReadChunk:
        """Read the rows of a chunk."""
        if isinstance(items, ColumnRows) and self._names and items.has(self._names):
            chunk = self._read_columns(items)
        else:
            chunk = self._read_rows(items)
        if self._check is not None:
            self._check_rows(self._check, chunk)
        return chunk

    def _read_columns(self, rows: ColumnRows) -> ReadChunk:
        """Read fields column by column; a row with anything that is not kept as it is, by itself."""
        numbers = self._read_numbers(rows.column(NUMBER_FIELD))
        columns = {name: list(cast(Sequence[Any], rows.column(name))) for name in self._names}
        by_row = set(_places_of(UNREAD, numbers))
        for column in columns.values():
            by_row |= _to_be_read(column)
        bad: list[tuple[int, str]] = []
        for at in sorted(by_row):
            self._read_fields(at, rows[at], numbers, columns, bad)
        return ReadChunk(numbers, columns, bad)

    def _read_rows(self, items: Sequence[object]) -> ReadChunk:
        bad: list[tuple[int, str]] = []
        numbers = self._read_numbers(items)
        columns: dict[str, list[Any]] = {name: [""] * len(items) for name in self._names}
        by_row = range(len(items)) if self._names else _places_of(UNREAD, numbers)
        for at in by_row:
            self._read_fields(at, items[at], numbers, columns, bad)
        return ReadChunk(numbers, columns, bad)

    def _read_numbers(self, texts: Sequence[object]) -> list[int]:
        try:
            return self._numbers.read(cast(Sequence[str], texts))
        except TypeError:  # Not all of them are texts.
            return self._numbers.read([_text(text) for text in texts])

    def _read_fields(
        self,
        at: int,
        item: object,
        numbers: list[int],
        columns: dict[str, list[Any]],
        bad: list[tuple[int, str]],
    ) -> None:
        """Read one row into its place."""
        try:
            if numbers[at] == UNREAD:
                numbers[at] = int(self._rows.read(item).phone_number[1:])
            values = self._values_of(item) if columns else {}
        except InvalidNumberError as error:
            bad.append((at, error.reason))
            numbers[at] = UNREAD
            values = dict.fromkeys(self._names, "")
        for name, column in columns.items():
            column[at] = values if name == WHOLE_ROWS else values[name]

    def _values_of(self, item: object) -> Mapping[str, str]:
        values = self._rows.fields_of(item)
        for name in self._names:
            if name not in values and name != WHOLE_ROWS:
                raise InvalidRowError(f"has no field {name!r}, which the text needs; add it")
        if values and not _is_encodable("".join(values.values())):
            raise InvalidRowError("has a field with half of a character pair; decode its source properly")
        return values

    def _check_rows(self, check: RecipientCheck, chunk: ReadChunk) -> None:
        """Check the rows of which the gateway may refuse one; the bad ones stay in order."""
        numbers, columns, bad = chunk
        places: Iterable[int] = range(len(numbers))
        if self._places_to_check is not None and numbers and columns:
            places = self._places_to_check(columns)
        before = len(bad)
        for at in places:
            if numbers[at] == UNREAD:
                continue
            values = {name: column[at] for name, column in columns.items()}
            problem = check(Recipient(f"+{numbers[at]}", values.get(WHOLE_ROWS, values)))
            if problem:
                bad.append((at, problem))
                numbers[at] = UNREAD
        if len(bad) > before:
            bad.sort()


def _to_be_read(column: Sequence[object]) -> set[int]:
    """Return the places of values that are not text, or not kept as they are."""
    try:
        return KEPT_AS_IT_IS.places_of_others(cast(Sequence[str], column))
    except TypeError:
        return {
            at
            for at, value in enumerate(column)
            if not isinstance(value, str) or not KEPT_AS_IT_IS.holds_all_of(value)
        }


def _places_of(wanted: int, numbers: list[int]) -> Iterator[int]:
    at = -1
    for _ in range(numbers.count(wanted)):
        at = numbers.index(wanted, at + 1)
        yield at


def _text(item: object) -> str:
    """Return a row's number as it is written; an empty text where it has to be read by itself."""
    if isinstance(item, dict):
        item = item.get(NUMBER_FIELD)
    elif isinstance(item, Recipient):
        item = item.phone_number
    return item if isinstance(item, str) else ""


def _is_encodable(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
