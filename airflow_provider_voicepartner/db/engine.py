"""
Opens the store: SQLite (one machine) or PostgreSQL (several), on SQLAlchemy 1.4 and 2, with its tables.

SQLAlchemy is imported by :func:`open_store`, not by this module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from airflow_provider_voicepartner.db.databases import (
    in_memory,
    make_file,
    name_of,
    parse_url,
    postgres_engine,
    sqlite_engine,
    use_wal,
)
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.db.versions import bring_up_to_date

PURPOSE: Final = "sharing the gateways' rate limits between workers"


def open_store(
    url: str, *, purpose: str = PURPOSE, clock: Callable[[], float] | None = None, upgrade: bool = False
) -> Store:
    """
    Open the store; its file, folder and tables are created if they are missing.

    Tables of an older version are refused, unless ``upgrade`` is set: a database that several machines share is
    upgraded by its owner (``airflow voicepartner db upgrade``), a default file automatically.

    :param url: ``sqlite:////absolute/path``, ``sqlite://`` (in memory, one process) or
        ``postgresql://user:password@host/database``; PostgreSQL is reached with psycopg or psycopg2, whichever of them
        is installed and known to SQLAlchemy.
    :param purpose: what the store is needed for, in a few words, for errors.
    :param clock: Unix seconds, injected by tests; None uses the database's.
    :param upgrade: True brings older tables up to date.
    :raises StoreUrlError: the URL or what is installed must change, or (``StoreVersionError``) the tables' version.
    :raises StoreUnavailableError: it cannot be reached now.
    """
    store = connect_store(url, purpose=purpose, clock=clock)
    bring_up_to_date(store, upgrade=upgrade)
    return store


def load_driver(url: str, *, purpose: str = PURPOSE) -> None:
    """
    Import what a store needs, and connect to nothing: that takes longer than to connect, and hangs for no database.

    :raises StoreUrlError: as of :func:`open_store`.
    """
    from airflow_provider_voicepartner.db import schema  # noqa: F401

    parsed = parse_url(url, purpose)
    if parsed.get_backend_name() == "postgresql":
        postgres_engine(parsed, name_of(parsed), purpose).dispose()


def connect_store(url: str, *, purpose: str = PURPOSE, clock: Callable[[], float] | None = None) -> Store:
    """Open the store as :func:`open_store` does, but leave its tables as they are, if there are any."""
    parsed = parse_url(url, purpose)
    name = name_of(parsed)
    if parsed.get_backend_name() == "sqlite":
        make_file(parsed, name, purpose)
        engine = sqlite_engine(parsed)
        if not in_memory(parsed):
            use_wal(engine, name, purpose)
    else:
        engine = postgres_engine(parsed, name, purpose)
    return Store(engine, name=name, purpose=purpose, clock=clock)
