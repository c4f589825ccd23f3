"""
The version of a database's tables, and their creation and upgrade.

An empty database gets all tables at once. An older one is upgraded by Alembic, which takes longer to import than
anything else here, and so is imported only then.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from airflow_provider_voicepartner.constants import LONGEST_QUOTE
from airflow_provider_voicepartner.db.errors import StoreUrlError

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy.engine import Connection

    from airflow_provider_voicepartner.db.transactions import Store

REVISIONS: Final = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010")
"""All revisions, the oldest first. The last one is that of the module ``schema``."""

VERSION_TABLE: Final = "voicepartner_alembic_version"
UPGRADE: Final = "'airflow voicepartner db upgrade'"
UPGRADE_BEFORE_3_2: Final = "'python -m airflow_provider_voicepartner db upgrade'"

UNVERSIONED: Final = "none"
_LOCK: Final = 4_863_107_221_904_511_377

# Alembic keeps its state in global variables, so only one thread at a time may use it.
_one_at_a_time: Final = threading.Lock()


class StoreVersionError(StoreUrlError):
    """The database's tables are of another version than the code: one of the two has to be upgraded."""


class Upgrade(NamedTuple):
    """
    The result of an upgrade.

    :param before: its revision; ``none`` for tables without one, from before there were any; None when it was empty.
    :param after: its revision now.
    """

    before: str | None
    after: str


def bring_up_to_date(store: Store, *, upgrade: bool) -> Upgrade:
    """
    Make sure that a database has our tables; an empty one gets them. Several processes may do this at once.

    :param upgrade: True also upgrades older tables; False refuses them.
    :raises StoreVersionError: the tables are older and may not be upgraded, or newer, or cannot be made.
    """
    from sqlalchemy.exc import ProgrammingError

    with store.read() as connection:
        found = _written_revision(connection)
    if found == REVISIONS[-1]:
        return Upgrade(found, found)
    try:
        with _one_at_a_time, store.write() as connection:
            _lock(connection)
            # Read again with the lock: another process may have been first.
            found = _written_revision(connection) or _unwritten_revision(connection)
            _check(store, found, upgrade=upgrade)
            if found is None:
                _create(connection)
            elif found != REVISIONS[-1]:
                _migrate(connection)
        return Upgrade(found, REVISIONS[-1])
    except ProgrammingError as error:
        reason = " ".join(str(error.orig).split("DETAIL:")[0].split())[:LONGEST_QUOTE]
    # Outside the except block: SQLAlchemy's error holds the statement.
    raise StoreVersionError(
        f"the tables of the store {store.name} cannot be made: {reason}. "
        "The user in its URL must be allowed to create tables"
    )


def _written_revision(connection: Connection) -> str | None:
    """Return the revision that a database records; None if it records none."""
    from sqlalchemy import inspect, text

    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    return None if found is None else str(found)


def _unwritten_revision(connection: Connection) -> str | None:
    """Return ``none`` if there are tables of ours without a revision, None if there are no tables."""
    from sqlalchemy import inspect

    from airflow_provider_voicepartner.db.schema import metadata

    inspector = inspect(connection)
    return UNVERSIONED if any(inspector.has_table(name) for name in metadata.tables) else None


def _check(store: Store, found: str | None, *, upgrade: bool) -> None:
    if found is not None and found not in (UNVERSIONED, *REVISIONS):
        raise StoreVersionError(
            f"the store {store.name} was upgraded by a newer version of this provider (its tables are of revision "
            f"{found[:32]!r}, and this version knows them up to {REVISIONS[-1]!r}). Upgrade "
            "airflow-provider-voicepartner here too"
        )
    if found not in (None, REVISIONS[-1]) and not upgrade:
        raise StoreVersionError(
            f"the tables of the store {store.name} are older than this version of the provider needs. "
            f"Run {UPGRADE} (before Airflow 3.2: {UPGRADE_BEFORE_3_2}) once, then try again"
        )


def _lock(connection: Connection) -> None:
    """Lock out other processes that do the same; on SQLite a write transaction already does."""
    from sqlalchemy import text

    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def _create(connection: Connection) -> None:
    """Create all tables in their present form, without Alembic; a test compares them with the migrations' result."""
    from sqlalchemy import text

    from airflow_provider_voicepartner.db.schema import metadata, sequence

    metadata.create_all(connection, checkfirst=False)
    connection.execute(
        text(f"CREATE TABLE IF NOT EXISTS {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
    )
    connection.execute(sequence.insert(), {"name": "delivery", "value": 0})
    connection.execute(
        text(f"INSERT INTO {VERSION_TABLE} (version_num) VALUES (:revision)"), {"revision": REVISIONS[-1]}
    )


def _migrate(connection: Connection) -> None:
    from alembic import command

    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def alembic_config() -> Config:
    """Return Alembic's configuration: where the migrations are, without a file and without a URL."""
    from alembic.config import Config

    config = Config()
    # Alembic reads a percent sign in an option as the beginning of another option's name.
    folder = str(Path(__file__).with_name("migrations")).replace("%", "%%")
    config.set_main_option("script_location", folder)
    return config
