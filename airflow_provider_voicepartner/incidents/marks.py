"""Keyed hashes of recipients and of the ways in which they are told: the store compares them, and cannot read them."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

_NAME: Final = "incident_route"
_AUDIENCE_SIZE: Final = 8
_ROUTE_SIZE: Final = 16


class Marks:
    """
    The hashes of one store, with a key of its own, made once at random.

    Used within the store's write transactions.
    """

    def __init__(self) -> None:
        self._key: bytes | None = None

    def route(self, connection: Connection, route: str) -> str:
        """Return the mark of a route, 32 hexadecimal digits."""
        return self._mark(connection, f"route {route}", _ROUTE_SIZE)

    def audience(self, connection: Connection, audience: Iterable[str]) -> str:
        """Return the marks of recipients, sorted, with blanks between them."""
        return " ".join(
            sorted({self._mark(connection, f"recipient {one}", _AUDIENCE_SIZE) for one in audience})
        )

    def _mark(self, connection: Connection, text: str, size: int) -> str:
        data = text.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(data, digest_size=size, key=self._secret(connection)).hexdigest()

    def _secret(self, connection: Connection) -> bytes:
        if self._key is None:
            from sqlalchemy import text

            from airflow_provider_voicepartner.db.schema import own_key

            connection.execute(
                text(
                    f"INSERT INTO {own_key.name} (name, value) VALUES (:name, :value) "
                    "ON CONFLICT (name) DO NOTHING"
                ),
                {"name": _NAME, "value": secrets.token_hex(32)},
            )
            found = connection.execute(
                text(f"SELECT value FROM {own_key.name} WHERE name = :name"), {"name": _NAME}
            )
            self._key = bytes.fromhex(found.scalar_one())
        return self._key


def covers(audience: str, other: str) -> bool:
    """Say whether all recipients of the other alert are among those of this one; nobody is among none."""
    return bool(other) and set(other.split()) <= set(audience.split())
