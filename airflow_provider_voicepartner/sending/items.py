"""Rows of a list as users have them: dicts with a number under any name, rows of a query, a data frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import Recipient
from airflow_provider_voicepartner.gateways.numbers import PhoneNumber
from airflow_provider_voicepartner.gateways.placeholders import shown_name
from airflow_provider_voicepartner.sending.columns import find_column, what_there_is
from airflow_provider_voicepartner.sending.rows import NUMBER_FIELD, SecondNumber, UnreadableRow
from airflow_provider_voicepartner.sending.text_blocks import UnreadableFileError

_FRAMES = ("pandas", "polars", "pyarrow")


def rows_of_frame(value: Any, *, argument: str = "to") -> Any:
    """
    Return the rows of a data frame as dicts, of a series as values; anything else as it is.

    :param value: perhaps a frame or series of pandas or polars, or a table of Arrow; none of them is imported here.
    :param argument: the name that errors give.
    :raises InvalidArgumentError: for two columns of the same name, of which a dict would silently hold one.
    """
    library = type(value).__module__.partition(".")[0]
    if library not in _FRAMES:
        return value
    names = list(getattr(value, "column_names" if library == "pyarrow" else "columns", ()))
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidArgumentError(
            argument, f"is a data frame with the column {shown_name(str(twice))} twice; rename one"
        )
    if library == "pandas" and hasattr(value, "notna"):
        # What is missing has several forms there; None is the one that everybody reads.
        value = value.astype(object).where(value.notna(), None)
    kind = type(value).__name__
    if kind == "DataFrame":
        return value.to_dict("records") if library == "pandas" else value.to_dicts()
    if kind == "Series":
        return value.tolist() if library == "pandas" else value.to_list()
    return value.to_pylist() if hasattr(value, "to_pylist") else value


def field_of(row: Mapping[Any, object], column: str) -> str | None:
    """
    Return the name under which a row has its number, which may differ in blanks, case and Unicode form; else None.

    Also None where two names differ in nothing else: nobody knows which is meant.
    """
    names = [name for name in row if isinstance(name, str)]
    try:
        at = find_column(column, names)
    except UnreadableFileError:
        return None
    return None if at is None else names[at]


def no_field(column: str | int, row: Mapping[Any, object]) -> str:
    """Say that a row has no such field, and which ones it has."""
    return f"has no field {column!r}; {what_there_is(row)}"


class ItemReader:
    """
    Puts the rows of a list into the one form that is read: a number, or a dict with a ``phone_number``.

    :param column: the number's field, by its name, or in rows of a query by its position from 0.
    :param region: where numbers without a country code are from; a row without names may hold one number only.
    """

    def __init__(self, column: str | int, region: str = "FR") -> None:
        self._column = column
        self._holds_another = SecondNumber(region)

    def read(self, item: object) -> object:
        """Return a row in that form, or what stands for one that has no number."""
        if isinstance(item, str):
            return item
        if isinstance(item, Mapping):
            return self._of_mapping(item)
        if isinstance(item, (Recipient, PhoneNumber)):
            return item
        named = _named(item)
        if named is not None and isinstance(self._column, str):
            return self._of_mapping(named)
        return self._of_sequence(item, is_named=named is not None) if _is_row(item) else item

    def _of_mapping(self, row: Mapping[Any, object]) -> object:
        if self._column == NUMBER_FIELD and NUMBER_FIELD in row:
            return row
        name = field_of(row, self._column) if isinstance(self._column, str) else None
        if name is None:
            return UnreadableRow(no_field(self._column, row))
        others = {key: value for key, value in row.items() if key not in (name, NUMBER_FIELD)}
        return {NUMBER_FIELD: row[name], **others}

    def _of_sequence(self, row: Any, *, is_named: bool) -> object:
        at = self._column
        if len(row) == 1 and not isinstance(at, int):
            at = 0
        if isinstance(at, int) and at < len(row):
            if not is_named and any(self._holds_another(cell) for cell in (*row[:at], *row[at + 1 :])):
                return UnreadableRow(SecondNumber.REASON, row[at] if isinstance(row[at], str) else "")
            return row[at]
        return UnreadableRow(f"is in a row of {len(row)} values, which has no column {at!r}")


def _named(item: object) -> Mapping[Any, object] | None:
    """Return the values of a row that knows its names, as those of SQLAlchemy and named tuples do."""
    found = getattr(item, "_mapping", None)
    if isinstance(found, Mapping):
        return found
    names = getattr(item, "_fields", None)
    if isinstance(item, tuple) and isinstance(names, tuple) and all(isinstance(name, str) for name in names):
        return dict(zip(names, item, strict=True))
    return None


def _is_row(item: object) -> bool:
    return isinstance(item, Sequence) and not isinstance(item, (str, bytes, bytearray, memoryview, range))


def check_rows_of_values(rows: Sequence[object], column: str | int, *, argument: str) -> None:
    """
    Refuse rows of several values of which nobody said where the number stands.

    :raises InvalidArgumentError: with both ways to say it.
    """
    if isinstance(column, int):
        return
    wide = next((row for row in rows if _is_row(row) and _named(row) is None and _width(row) > 1), None)
    if wide is not None and not isinstance(wide, (Recipient, PhoneNumber)):
        raise InvalidArgumentError(
            argument,
            f"has rows of {_width(wide)} values without names, as a query returns them; say where the number stands "
            "with column=0 (then there are no personal fields), or give dicts: names = ['phone_number', 'first_name']; "
            "[dict(zip(names, row)) for row in rows]",
        )


def _width(row: Any) -> int:
    return len(row)
