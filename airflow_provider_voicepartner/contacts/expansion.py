"""``@names`` in a list of recipients, replaced by the numbers of the people they mean; everybody once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow_provider_voicepartner.contacts.names import MARK, is_reference
from airflow_provider_voicepartner.recipients.lists import field_of, named_values, split_rows
from airflow_provider_voicepartner.recipients.rows import NUMBER_FIELD

PeopleOf = Callable[[str], Sequence[str]]
"""Whom a reference such as ``@anne`` means: names of people."""
NumbersOf = Callable[[str], Sequence[str]]
"""The numbers of a person, in E.164."""


def names_anybody(to: Any, *, column: str | int = NUMBER_FIELD) -> bool:
    """Say whether there is a name among recipients."""
    if isinstance(to, str):
        return MARK in to and any(map(is_reference, _rows_of(to)))
    return any(_reference_in(row, column) is not None for row in _rows_of(to) if _may_name(row))


def expand(to: Any, people_of: PeopleOf, numbers_of: NumbersOf, *, column: str | int = NUMBER_FIELD) -> Any:
    """
    Replace names by numbers.

    :param to: recipients, as :func:`~airflow_provider_voicepartner.recipients.lists.split_rows` takes them.
    :param people_of: whom a reference means.
    :param numbers_of: a person's numbers.
    :param column: what holds the number in dicts, by name; in rows of a query also its position from 0.
    :returns: ``to`` itself where no name is in it; else a list of rows, each person in it once.
    :raises Exception: whatever the two functions raise.
    """
    if not names_anybody(to, column=column):
        return to
    seen = set[str]()
    rows = list[Any]()
    for row in _rows_of(to):
        reference = _reference_in(row, column) if _may_name(row) else None
        if reference is None:
            rows.append(row)
            continue
        for person in people_of(reference):
            if person not in seen:
                seen.add(person)
                rows += [_with_number(row, column, number) for number in numbers_of(person)]
    return rows


def _rows_of(to: Any) -> Sequence[Any]:
    if isinstance(to, str):
        return split_rows(to) if to.strip(" \t\r\n,;") else ()
    if isinstance(to, Mapping):
        return (to,)
    return (
        to if isinstance(to, Sequence) and not isinstance(to, bytes | bytearray | memoryview | range) else ()
    )


def _may_name(row: object) -> bool:
    """Say quickly whether a name may be in a row; a list may have millions."""
    if isinstance(row, str):
        return MARK in row
    if isinstance(row, Mapping):
        return any(isinstance(value, str) and MARK in value for value in row.values())
    return isinstance(row, Sequence) and any(isinstance(value, str) and MARK in value for value in row)


def _reference_in(row: Any, column: str | int) -> str | None:
    """Return what stands in place of a row's number, where that is a name."""
    if isinstance(row, str):
        found: Any = row
    else:
        key = _key_of(row, column)
        found = None if key is None else _as_mapping(row)[key] if isinstance(key, str) else row[key]
    return found if is_reference(found) else None


def _as_mapping(row: Any) -> Mapping[Any, Any]:
    named = row if isinstance(row, Mapping) else named_values(row)
    return {} if named is None else named


def _key_of(row: Any, column: str | int) -> str | int | None:
    """Return under which name, or at which position, a row has its number."""
    named = _as_mapping(row)
    if named and isinstance(column, str):
        return column if column in named else field_of(named, column)
    if isinstance(row, Mapping):
        return None
    at = column if isinstance(column, int) else 0 if len(row) == 1 else None
    return at if at is not None and at < len(row) else None


def _with_number(row: Any, column: str | int, number: str) -> Any:
    """Return a row with a number in place of the name; all else stays."""
    if isinstance(row, str):
        return number
    key = _key_of(row, column)
    if isinstance(key, str):
        return {**_as_mapping(row), key: number}
    return [*row[:key], number, *row[key + 1 :]] if key is not None else row
