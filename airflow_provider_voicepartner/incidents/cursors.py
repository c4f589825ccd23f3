"""How far something was read, by name: a number that only grows."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_voicepartner.db.transactions import Store


class Cursors:
    """
    Cursors in a store.

    :param store: an open store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, name: str) -> int | None:
        """Return a cursor; None where there is none."""
        with self._store.read() as connection:
            found = connection.execute(_statements()[0], {"name": name}).scalar()
        return None if found is None else int(json.loads(found)["cursor"])

    def move(self, name: str, value: int) -> None:
        """Move a cursor forward; another process may have moved it further, which counts then."""
        read, add, put = _statements()
        with self._store.write() as connection:
            now = self._store.now(connection)
            values = {"name": name, "value": json.dumps({"cursor": value}), "at": now}
            if connection.execute(add, values).rowcount == 1:
                return
            known = connection.execute(read, {"name": name}).scalar_one()
            if int(json.loads(known)["cursor"]) < value:
                connection.execute(put, {**values, "known": known})


@cache
def _statements() -> tuple[Any, Any, Any]:
    from sqlalchemy import text

    from airflow_provider_voicepartner.db.schema import watch

    return (
        text(f"SELECT value FROM {watch.name} WHERE name = :name"),
        text(
            f"INSERT INTO {watch.name} (name, value, version, at) VALUES (:name, :value, 1, :at) "
            "ON CONFLICT (name) DO NOTHING"
        ),
        text(
            f"UPDATE {watch.name} SET value = :value, version = version + 1, at = :at "
            "WHERE name = :name AND value = :known"
        ),
    )
