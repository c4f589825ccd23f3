"""What SQLite and PostgreSQL need to be the store: their URLs, files, engines and pragmas."""

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

    :raises StoreUrlError: it is none of SQLite or PostgreSQL, or no absolute path.
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
        raise StoreUrlError(f"{wrong} cannot be read; write for instance {_EXAMPLES}. Needed for {purpose}")
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
        f"{wrong} names {parsed.drivername!r}; SQLite and PostgreSQL can be used, such as {_EXAMPLES}. "
        f"Needed for {purpose}"
    )


def in_memory(url: URL) -> bool:
    """Say whether a store is gone with its process."""
    return url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")


def name_of(url: URL) -> str:
    """Name a store by place alone: a query can hold a password too."""
    if url.get_backend_name() == "sqlite":
        return f"sqlite:///{'' if in_memory(url) else url.database}"
    host = url.host or "localhost"
    return f"postgresql://{host}{f':{url.port}' if url.port else ''}/{url.database or ''}"


def secrets_of(url: URL) -> tuple[str, ...]:
    """Return what no error may show."""
    told = [None if url.password is None else str(url.password), url.query.get("password")]
    return tuple(text for text in told if isinstance(text, str) and text)


def make_file(url: URL, name: str, purpose: str) -> None:
    """Make the file for its owner only, as it comes to hold phone numbers."""
    if in_memory(url):
        return
    path = Path(str(url.database))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Never opened when it is there: closing any descriptor of a file drops all locks that this process has on it.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        if not path.exists():  # then it was a part of the folder's path
            raise unavailable(name, purpose, f"{path.parent} is not a folder") from None
        _shut_out_others(path, name, purpose)
    except OSError as error:
        raise unavailable(name, purpose, f"{error.strerror or error}") from None


def _shut_out_others(path: Path, name: str, purpose: str) -> None:
    """
    Take a file that everybody may read, and its log, away from strangers.

    Its group is left: several users of one machine may share the file on purpose.

    :raises StoreUrlError: it belongs to somebody else, and strangers may read it.
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
                f"the store {name} can be read by everybody on this machine, and it holds phone numbers. Its owner "
                f"must run: chmod o-rwx {file}. Needed for {purpose}"
            ) from None
        log.warning(
            "The store's file %s holds phone numbers and could be read by other users (mode %o); its mode is %o now",
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
        # FULL, not NORMAL: with WAL, NORMAL forgets the last commits when the power fails, and an opt-out or a delivery
        # report that is told only once is kept here too. It costs a reservation one fsync.
        raw.execute("PRAGMA synchronous=FULL")
        # What is deleted or replaced would else stay in the file until its room is needed: numbers and texts.
        raw.execute("PRAGMA secure_delete=ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # IMMEDIATE takes the write lock at once: a read that turns into a write later fails instead of waiting.
        write = connection.get_execution_options().get(WRITE)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def use_wal(engine: Engine, name: str, purpose: str) -> None:
    """Switch the file to write-ahead logging, once: readers and a writer then do not wait for each other."""
    deadline = time.monotonic() + STORE_LOCK_TIMEOUT
    while True:
        try:
            _switch_to_wal(engine, name, purpose)
            return
        except StoreUnavailableError as error:
            # Several processes that switch at once lock each other out, and SQLite does not wait here by itself.
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(WAL_RETRY_INTERVAL)


def _switch_to_wal(engine: Engine, name: str, purpose: str) -> None:
    if _outside_a_transaction(engine, name, purpose, "PRAGMA journal_mode") != ("wal",):
        _outside_a_transaction(engine, name, purpose, "PRAGMA journal_mode=WAL")


def empty_log(engine: Engine, name: str, purpose: str) -> bool:
    """Say whether nobody kept SQLite from emptying its log."""
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
    except Exception as error:  # the driver's own: a raw connection does not translate it
        reason = reason_of(error)
    raise unavailable(name, purpose, reason)


def postgres_engine(url: URL, name: str, purpose: str) -> Engine:
    """
    Return SQLAlchemy's engine for PostgreSQL, with whichever driver is installed.

    :raises StoreUrlError: none is.
    """
    from sqlalchemy import create_engine, event
    from sqlalchemy.exc import NoSuchModuleError

    wanted = url.drivername.partition("+")[2] or _POSTGRES_DRIVERS[0]
    for driver in sorted(_POSTGRES_DRIVERS, key=lambda known: known != wanted):
        arguments: dict[str, Any] = {}
        if "connect_timeout" not in url.query:
            arguments["connect_timeout"] = STORE_CONNECT_TIMEOUT
        if driver == "psycopg":
            arguments["prepare_threshold"] = None  # prepared statements and PgBouncer do not go together
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
            # Nobody waits for ever for a worker that froze in the middle, and such a worker loses its lock.
            connection.exec_driver_sql(
                f"SELECT set_config('lock_timeout', '{STORE_LOCK_TIMEOUT}s', true), "
                f"set_config('idle_in_transaction_session_timeout', '{STORE_LOCK_TIMEOUT}s', true)"
            )

    return engine
