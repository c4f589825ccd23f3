"""Operators that can be pickled whenever one likes, also after they have logged."""

from __future__ import annotations

from typing import Any


class Picklable:
    """Mixed into operators: Airflow 3 keeps a logger on them that cannot be pickled once a line was written to it."""

    def __getstate__(self) -> dict[str, Any]:
        """Leave the logger out; it is made again when it is asked for."""
        state: dict[str, Any] = super().__getstate__()  # type: ignore[assignment]  # an operator's is a dict
        state.pop("_cached_logger", None)
        return state
