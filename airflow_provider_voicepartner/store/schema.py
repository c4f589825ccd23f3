"""The store's tables, and how they come into being."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    text,
)
from sqlalchemy.engine import Connection

metadata: Final = MetaData()

# A float of 53 bits is a double everywhere: Unix seconds to a fraction of a microsecond. Not a timestamp column, which
# means another instant for a session in another time zone.
_Seconds = Float(53)

rate_limit: Final = Table(
    "voicepartner_rate_limit",
    metadata,
    Column("name", String(120), primary_key=True),
    Column("blocked_until", _Seconds, nullable=False),
)
"""One row a limit: it is what reservations of that limit lock, and holds the penalty after a refusal."""

rate_slot: Final = Table(
    "voicepartner_rate_slot",
    metadata,
    # SQLite numbers rows by itself only where the key's type is INTEGER.
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("name", String(120), nullable=False),
    Column("at", _Seconds, nullable=False),
    Index("voicepartner_rate_slot_name_at", "name", "at"),
    # A number is never given twice, so that whoever releases a reservation twice cannot release another worker's.
    sqlite_autoincrement=True,
)
"""One row a reserved request: when it may leave, in Unix seconds."""

_CREATION_LOCK: Final = 4_863_107_221_904_511_377


def create_tables(connection: Connection) -> None:
    """
    Create what is missing.

    :param connection: in a write transaction. On SQLite that is already the lock; on PostgreSQL an advisory lock keeps
        another process from creating the same table between our look and our act, which ``IF NOT EXISTS`` does not.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _CREATION_LOCK})
    metadata.create_all(connection, checkfirst=True)
