"""SQLite and PostgreSQL as the store: their URLs, files, engines and pragmas."""

from __future__ import annotations

import logging
import os
import stat
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_voicepartner.constants import (
    STORE_CONNECT_TIMEOUT,
    STORE_LOCK_TIMEOUT,
    STORE_POOL,
    STORE_POOL_OVERFLOW,
    WAL_RETRY_INTERVAL,
)
from airflow_provider_voicepartner.db.errors import (
    StoreUnavailableError,
    StoreUrlError,
    reason_of,
    unavailable,
)

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, Connection, Engine

log = logging.getLogger(__name__)

WRITE: Final = "voicepartner_write"
"""The execution option of connections that write."""
_POSTGRES_DRIVERS: Final = ("psycopg", "psycopg2")
_EXAMPLES: Final = (
    "'sqlite:////var/lib/airflow/voicepartner.db' or 'postgresql://user:password@host/database'"
)


def parse_url(url: str, purpose: str) -> URL:
    """
    Read the store's URL.

    :raises StoreUrlError: it is not of SQLite or PostgreSQL, or its path is not absolute.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    wrong = "the store's URL"
    try:
        parsed = make_url(url.strip().replace("postgres://", "postgresql://", 1))
    except (ArgumentError, ValueError, AttributeError):
        parsed = None
    # Outside the except block, because SQLAlchemy's error quotes the URL.
    if parsed is None:
        raise StoreUrlError(f"{wrong} cannot be parsed; write for instance {_EXAMPLES}. Needed for {purpose}")
    backend, driver = parsed.get_backend_name(), parsed.drivername.partition("+")[2]
    if backend == "sqlite" and driver in ("", "pysqlite"):
        path = parsed.database
        if path and not in_memory(parsed) and (path.startswith("file:") or not Path(path).is_absolute()):
            raise StoreUrlError(
                f"{wrong} must hold an absolute path, the same for every process: sqlite:// and four slashes in all, "
                f"such as {_EXAMPLES}. Needed for {purpose}"
            )
        return parsed
    if backend == "postgresql" and driver in ("", *_POSTGRES_DRIVERS):
        return parsed
    raise StoreUrlError(
        f"{wrong} names {parsed.drivername!r}; only SQLite and PostgreSQL can be used, such as {_EXAMPLES}. "
        f"Needed for {purpose}"
    )


def in_memory(url: URL) -> bool:
    """Say whether a store is in memory, and lost when its process ends."""
    return url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")


def name_of(url: URL) -> str:
    """Return a store's URL without user, password and query, which can hold a password too."""
    if url.get_backend_name() == "sqlite":
        return f"sqlite:///{'' if in_memory(url) else url.database}"
    host = url.host or "localhost"
    return f"postgresql://{host}{f':{url.port}' if url.port else ''}/{url.database or ''}"


def secrets_of(url: URL) -> tuple[str, ...]:
    """Return the secrets of a URL, which no error may show."""
    passwords = [None if url.password is None else str(url.password), url.query.get("password")]
    return tuple(text for text in passwords if isinstance(text, str) and text)


def make_file(url: URL, name: str, purpose: str) -> None:
    """Create the file, readable by its owner only: it will hold phone numbers."""
    if in_memory(url):
        return
    path = Path(str(url.database))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # An existing file is never opened: closing any descriptor of a file drops all locks of this process on it.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        if not path.exists():  # a part of the folder's path exists, and is a file
            raise unavailable(name, purpose, f"{path.parent} is not a folder") from None
        _remove_access_of_others(path, name, purpose)
    except OSError as error:
        raise unavailable(name, purpose, f"{error.strerror or error}") from None


def _remove_access_of_others(path: Path, name: str, purpose: str) -> None:
    """
    Remove the access of other users to the file and its log.

    The access of its group stays: several users of one machine may share the file on purpose.

    :raises StoreUrlError: the file is readable by everybody, and belongs to another user.
    """
    for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        try:
            mode = stat.S_IMODE(file.stat().st_mode)
        except OSError:
            continue
        allowed = mode & ~stat.S_IRWXO
        if allowed == mode:
            continue
        try:
            file.chmod(allowed)
        except OSError:
            raise StoreUrlError(
                f"the store {name} is readable by everybody on this machine, and it holds phone numbers. Its owner "
                f"must run: chmod o-rwx {file}. Needed for {purpose}"
            ) from None
        log.warning(
            "The store's file %s holds phone numbers and was readable by other users (mode %o); its mode is %o now",
            file, mode, allowed,
        )  # fmt: skip


def sqlite_engine(url: URL) -> Engine:
    """Return SQLAlchemy's engine for a SQLite file or memory."""
    from sqlalchemy import create_engine, event
    from sqlalchemy.pool import NullPool, StaticPool

    if in_memory(url):
        engine = create_engine(
            url,
            future=True,
            hide_parameters=True,
            poolclass=StaticPool,
            connect_args={"check_same_thread": False},
        )
    else:
        # No connection outlives its transaction: SQLite's locks do not survive a fork, and Airflow forks.
        engine = create_engine(url, future=True, hide_parameters=True, poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def connect(raw: Any, _: Any) -> None:
        raw.isolation_level = None  # the driver would begin transactions late, and never with IMMEDIATE
        raw.execute(f"PRAGMA busy_timeout={STORE_LOCK_TIMEOUT * 1000}")
        # FULL, not NORMAL: with WAL, NORMAL loses the last commits in a power failure, and a gateway reports an opt-out
        # or a delivery only once. It costs a reservation one fsync.
        raw.execute("PRAGMA synchronous=FULL")
        # Else deleted or replaced numbers and texts would stay in the file until their space is reused.
        raw.execute("PRAGMA secure_delete=ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # IMMEDIATE takes the write lock at once: a read that turns into a write later fails instead of waiting.
        write = connection.get_execution_options().get(WRITE)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def use_wal(engine: Engine, name: str, purpose: str) -> None:
    """Switch the file to write-ahead logging, once: readers and a writer then do not block each other."""
    deadline = time.monotonic() + STORE_LOCK_TIMEOUT
    while True:
        try:
            _switch_to_wal(engine, name, purpose)
            return
        except StoreUnavailableError as error:
            # Several processes that switch at once lock each other out, and SQLite itself does not wait here.
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(WAL_RETRY_INTERVAL)


def _switch_to_wal(engine: Engine, name: str, purpose: str) -> None:
    if _outside_a_transaction(engine, name, purpose, "PRAGMA journal_mode") != ("wal",):
        _outside_a_transaction(engine, name, purpose, "PRAGMA journal_mode=WAL")


def empty_log(engine: Engine, name: str, purpose: str) -> bool:
    """Empty SQLite's log; return False if a reader prevented it."""
    is_busy, *_ = _outside_a_transaction(engine, name, purpose, "PRAGMA wal_checkpoint(TRUNCATE)")
    return not is_busy


def _outside_a_transaction(engine: Engine, name: str, purpose: str, pragma: str) -> tuple[Any, ...]:
    from sqlalchemy.exc import DBAPIError

    try:
        raw = engine.raw_connection()
        try:
            return tuple(raw.cursor().execute(pragma).fetchone())
        finally:
            raw.close()
    except DBAPIError as error:
        reason = reason_of(error)
    except Exception as error:  # the driver's error: a raw connection does not wrap it
        reason = reason_of(error)
    raise unavailable(name, purpose, reason)


def postgres_engine(url: URL, name: str, purpose: str) -> Engine:
    """
    Return SQLAlchemy's engine for PostgreSQL, with a driver that is installed.

    :raises StoreUrlError: no driver is installed.
    """
    from sqlalchemy import create_engine, event
    from sqlalchemy.exc import NoSuchModuleError

    wanted = url.drivername.partition("+")[2] or _POSTGRES_DRIVERS[0]
    for driver in sorted(_POSTGRES_DRIVERS, key=lambda known: known != wanted):
        arguments: dict[str, Any] = {}
        if "connect_timeout" not in url.query:
            arguments["connect_timeout"] = STORE_CONNECT_TIMEOUT
        if driver == "psycopg":
            arguments["prepare_threshold"] = None  # PgBouncer does not support prepared statements
        try:
            engine = create_engine(
                url.set(drivername=f"postgresql+{driver}"),
                future=True,
                hide_parameters=True,  # they are numbers and texts, and no error may show them
                # At any other level the statement after the lock would not see what the lock's last holder wrote.
                isolation_level="READ COMMITTED",
                pool_size=STORE_POOL,
                max_overflow=STORE_POOL_OVERFLOW,
                pool_pre_ping=True,
                connect_args=arguments,
            )
            break
        except (ImportError, NoSuchModuleError):  # not installed; SQLAlchemy 1.4 does not know psycopg 3
            continue
    else:
        raise StoreUrlError(
            f"the store {name} needs a PostgreSQL driver: pip install 'psycopg[binary]' (with SQLAlchemy 1.4, that is "
            f"with Airflow 2: psycopg2-binary). Python is {sys.executable}. Needed for {purpose}"
        )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get(WRITE):
            # A worker that freezes within a transaction loses its lock, and no other waits for it forever.
            connection.exec_driver_sql(
                f"SELECT set_config('lock_timeout', '{STORE_LOCK_TIMEOUT}s', true), "
                f"set_config('idle_in_transaction_session_timeout', '{STORE_LOCK_TIMEOUT}s', true)"
            )

    return engine
