"""Rows of a file kept as columns, so that what is the same for all is done for all: no dict for each row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar, overload

Item = TypeVar("Item")


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
    kept: list[Item] = []
    start = 0
    for place in places:
        kept += items[start:place]
        start = place + 1
    kept += items[start:]
    return kept
