"""Rendered arguments that Airflow's UI may not show: numbers and texts, replaced by a description of them."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from typing import Any


class Redacted:
    """
    A value that shows only what it is, never what it holds.

    Airflow stores the rendered template fields of every task instance and shows them in its UI. It takes ``str()`` of
    values that are not plain data, so a redacted value appears there as ``3 items (hidden)``.

    :param value: what to hide.
    :param shown: what may be seen in its place; None describes its kind and size.
    """

    __slots__ = ("_shown", "_value")

    def __init__(self, value: Any, shown: str | None = None) -> None:
        self._value = value
        self._shown = shown

    def __str__(self) -> str:
        """Describe the value by its kind and size."""
        value = self._value
        if self._shown is not None:
            return self._shown
        if isinstance(value, str):
            return f"{len(value)} characters (hidden)"
        if isinstance(value, Mapping):
            return f"{len(value)} fields (hidden)"
        if isinstance(value, Sized):
            return f"{len(value)} items (hidden)"
        return f"{type(value).__name__} (hidden)"

    __repr__ = __str__

    def __bool__(self) -> bool:
        """Have the truth of the hidden value."""
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        """Compare by the hidden values."""
        return bool(self._value == reveal(other))

    __hash__ = None  # type: ignore[assignment]


def redact(value: Any, shown: str | None = None) -> Any:
    """Hide a value, see ``Redacted``; None stays None, and a redacted one is not wrapped twice."""
    return value if value is None or isinstance(value, Redacted) else Redacted(value, shown)


def reveal(value: Any) -> Any:
    """Return the hidden value; anything else as it is (an operator that is run without Airflow renders nothing)."""
    return value._value if isinstance(value, Redacted) else value
