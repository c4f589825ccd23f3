"""
The watchdog's rows in the store: what it remembers, updated only by who read it last, and heartbeats.

A row's text is JSON, and holds no number and no message.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from airflow_provider_voicepartner.db.transactions import Store

_STATE: Final = "state:"
_BEAT: Final = "heartbeat:"


@dataclass(frozen=True, slots=True)
class Beat:
    """
    A heartbeat.

    :param mark: what changes with each.
    :param at: the store's time, Unix seconds.
    :param age: seconds since then.
    :param told: what the watchdog says of itself: which DAGs it watches.
    """

    mark: str
    at: float
    age: float
    told: dict[str, Any]


class WatchMemory:
    """
    Rows of the table of watchdogs.

    :param store: that is open.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def load(self, name: str) -> tuple[str, int]:
        """
        Return what a watchdog remembered, and the version to save with; an empty text and 0 where there is nothing.

        :param name: of the watchdog.
        :raises StoreUnavailableError: the store cannot be asked.
        """
        from sqlalchemy import select

        from airflow_provider_voicepartner.db.schema import watch

        with self._store.read() as connection:
            query = select(watch.c.value, watch.c.version).where(watch.c.name == f"{_STATE}{name}")
            found = connection.execute(query).one_or_none()
        return ("", 0) if found is None else (str(found.value), int(found.version))

    def save(self, name: str, value: str, version: int) -> bool:
        """
        Replace what was loaded.

        :param version: of what was loaded; what is written has the next one.
        :returns: False where another process of this name has written meanwhile; nothing is written then.
        :raises StoreUnavailableError: the store cannot be asked.
        """
        from sqlalchemy import text

        from airflow_provider_voicepartner.db.schema import watch

        with self._store.write() as connection:
            row = {
                "name": f"{_STATE}{name}",
                "value": value,
                "version": version,
                "at": self._store.now(connection),
            }
            if version == 0:
                added = connection.execute(
                    text(
                        f"INSERT INTO {watch.name} (name, value, version, at) VALUES (:name, :value, 1, :at) "
                        "ON CONFLICT (name) DO NOTHING"
                    ),
                    row,
                )
                return bool(added.rowcount > 0)
            changed = connection.execute(
                text(
                    f"UPDATE {watch.name} SET value = :value, version = version + 1, at = :at "
                    "WHERE name = :name AND version = :version"
                ),
                row,
            )
            return bool(changed.rowcount > 0)

    def beat(self, name: str, told: dict[str, Any]) -> None:
        """
        Leave a heartbeat.

        :param told: what the watchdog says of itself.
        :raises StoreUnavailableError: the store cannot be asked.
        """
        from sqlalchemy import text

        from airflow_provider_voicepartner.db.schema import watch

        with self._store.write() as connection:
            connection.execute(
                text(
                    f"INSERT INTO {watch.name} (name, value, version, at) VALUES (:name, :value, 1, :at) "
                    "ON CONFLICT (name) DO UPDATE SET value = excluded.value, at = excluded.at, "
                    f"version = {watch.name}.version + 1"
                ),
                {"name": f"{_BEAT}{name}", "value": json.dumps(told), "at": self._store.now(connection)},
            )

    def beats(self, names: Collection[str] | None = None) -> dict[str, Beat]:
        """
        Return the last heartbeats.

        :param names: of watchdogs; None for all of them.
        :raises StoreUnavailableError: the store cannot be asked.
        """
        from sqlalchemy import select

        from airflow_provider_voicepartner.db.schema import watch

        with self._store.read() as connection:
            now = self._store.now(connection)
            query = select(watch).where(watch.c.name.like(f"{_BEAT}%"))
            rows = connection.execute(query).all()
        found = {row.name.removeprefix(_BEAT): row for row in rows}
        return {
            name: Beat(mark=f"{row.version} {row.at}", at=row.at, age=now - row.at, told=_read(row.value))
            for name, row in found.items()
            if names is None or name in names
        }


def _read(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
