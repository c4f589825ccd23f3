"""
What the watchdog remembers from one look to the next, and how it is written as JSON.

A text that is none of ours is read as nothing remembered: the watchdog must go on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Seen:
    """
    Something that goes on.

    :param mark: what tells it apart: of a part of Airflow its last heartbeat, of a broken file when it broke.
    :param since: Unix seconds, by the watchdog's clock: since when ``mark`` is the same.
    :param is_told: whether people were told, so that they are told when it is over.
    """

    mark: str
    since: float
    is_told: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchState:
    """
    All of it; times are Unix seconds by the watchdog's clock.

    :param looked_at: the last time when everything that failed was read; None before the first time.
    :param waiting: failures whose own callback may still tell, and since when; by their marks.
    :param done: failures that somebody told, and when they were seen last; by their marks.
    :param parts: Airflow's parts, ``api`` too, ``store``, and ``pages`` that are late.
    :param files: broken files; one without a mark is given some time to be mended.
    :param expected: until when each expectation was looked at.
    :param missing: runs that did not come, and since when they count; by the keys of expectations.
    :param peers: other watchdogs.
    """

    looked_at: float | None = None
    waiting: Mapping[str, float] = field(default_factory=dict)
    done: Mapping[str, float] = field(default_factory=dict)
    parts: Mapping[str, Seen] = field(default_factory=dict)
    files: Mapping[str, Seen] = field(default_factory=dict)
    expected: Mapping[str, float] = field(default_factory=dict)
    missing: Mapping[str, Seen] = field(default_factory=dict)
    peers: Mapping[str, Seen] = field(default_factory=dict)

    def to_json(self) -> str:
        """Write it."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what :meth:`to_json` wrote; what cannot be read is left out."""
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            data = None
        data = data if isinstance(data, dict) else {}
        return cls(
            looked_at=_times({"looked_at": data.get("looked_at")}).get("looked_at"),
            waiting=_times(data.get("waiting")),
            done=_times(data.get("done")),
            expected=_times(data.get("expected")),
            **{name: _seen(data.get(name)) for name in ("parts", "files", "missing", "peers")},
        )


def _times(data: Any) -> dict[str, float]:
    found = data if isinstance(data, dict) else {}
    return {name: float(value) for name, value in found.items() if _is_time(value)}


def _seen(data: Any) -> dict[str, Seen]:
    found = data if isinstance(data, dict) else {}
    return {
        name: Seen(str(one.get("mark", "")), float(one["since"]), one.get("is_told") is True)
        for name, one in found.items()
        if isinstance(one, dict) and _is_time(one.get("since"))
    }


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12
