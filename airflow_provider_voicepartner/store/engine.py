"""
The store's door: one wrapper for SQLite (one machine) and PostgreSQL (several), on SQLAlchemy 1.4 and 2.

SQLAlchemy is imported by :func:`open_store`, not by this module, so that an operator may name the errors below.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_voicepartner.constants import (
    EMPTY_LOG_INTERVAL,
    EMPTY_LOG_TIMEOUT,
    STORE_CONNECT_TIMEOUT,
    STORE_LOCK_TIMEOUT,
    STORE_POOL,
    STORE_POOL_OVERFLOW,
    WAL_RETRY_INTERVAL,
)
from airflow_provider_voicepartner.store.clock import boot_id, machine_clock

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, Connection, Engine

log = logging.getLogger(__name__)

PURPOSE: Final = "keeping to the gateways' rate limits across workers"

_WRITE: Final = "voicepartner_write"
_IDENTITY: Final = "identity"
_VALUES: Final = re.compile(r"^(?:DETAIL|CONTEXT|LINE \d+|QUERY):", re.MULTILINE)
_POSTGRES_DRIVERS: Final = ("psycopg", "psycopg2")
_EXAMPLES: Final = (
    "'sqlite:////var/lib/airflow/voicepartner.db' or 'postgresql://user:password@host/database'"
)


class StoreUnavailableError(Exception):
    """
    The store cannot be reached, or cannot be used now. Nothing was reserved or recorded, as far as is known.

    Its text says what the store is needed for and where it is, and never holds the URL's password.
    """


class StoreDataError(StoreUnavailableError):
    """The store takes other values, and refused one of these: another try with the same values ends likewise."""


class StoreUrlError(StoreUnavailableError):
    """The store's URL, or what is installed, has to change before another try can succeed."""


class Store:
    """
    An open store; made by :func:`open_store`. May be used by many threads, and by the children of a fork.

    :param engine: SQLAlchemy's.
    :param name: where it is, without user, password and query.
    :param purpose: what it is needed for.
    :param clock: Unix seconds, for everything; None asks the database, which is the same for all hosts.
    """

    local_clock: Callable[[], float]
    """Seconds of this process's machine that only go forward, to measure with what a turn's moment is away."""

    def __init__(
        self, engine: Engine, *, name: str, purpose: str, clock: Callable[[], float] | None = None
    ) -> None:
        self.name = name
        self.is_postgres = engine.dialect.name == "postgresql"
        self._engine = engine
        self._writer = engine.execution_options(**{_WRITE: True})
        self._purpose = purpose
        # SQLite has no clock of its own: it is one machine's, and so is its clock.
        self._clock = clock or (None if self.is_postgres else time.time)
        self.local_clock = clock or machine_clock
        self._pace: Callable[[Connection], float] | None = None
        self._secrets = _secrets(engine.url)
        # In memory there is one connection, which holds one transaction at a time.
        self._turn: contextlib.AbstractContextManager[Any] = (
            threading.RLock() if _in_memory(engine.url) else contextlib.nullcontext()
        )
        self._process = os.getpid()
        self._held: Any = None

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """
        Run a block in one write transaction: all of it happens, or nothing. Keep it short.

        :raises StoreUnavailableError: when the database fails, or stays locked for half a minute.
        :raises StoreDataError: a value does not fit.
        """
        with self._transaction(self._writer) as connection:
            yield connection

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """
        Run a block that only reads; on SQLite it waits for no writer.

        :raises StoreUnavailableError: when the database fails.
        """
        with self._transaction(self._engine) as connection:
            yield connection

    def now(self, connection: Connection) -> float:
        """Return the store's time in Unix seconds, the same on every host."""
        if self._clock is not None:
            return self._clock()
        # Not now(), which is when the transaction began: before it waited for its lock.
        return float(connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())").scalar_one())

    @property
    def outlives_process(self) -> bool:
        """False for a store in memory."""
        return not _in_memory(self._engine.url)

    def pace_clock(self) -> Callable[[Connection], float]:
        """
        Return what tells the time in which turns are counted, within a transaction; see ``store.pace_clock``.

        Not to be asked for within one: what the first process after the machine's start finds out is written down.

        :raises StoreUnavailableError: when the database fails.
        """
        if self._pace is None:
            self._pace = self._pace_clock()
        return self._pace

    def _pace_clock(self) -> Callable[[Connection], float]:
        local, given = self.local_clock, self._clock
        if self.is_postgres or given is local:
            return self.now
        if _in_memory(self._engine.url):
            return lambda connection: local()
        boot = boot_id()
        if boot is None:
            return self.now
        from airflow_provider_voicepartner.store.pace_clock import anchor

        offset = anchor(self, boot, machine_clock=local, wall_clock=given or time.time)
        return lambda connection: local() + offset

    @cached_property
    def identity(self) -> str:
        """
        What tells this database from every other one: made once, at random, and kept in it.

        :raises StoreUnavailableError: when the database fails.
        """
        from sqlalchemy import text

        from airflow_provider_voicepartner.store.schema import sequence

        find = text(f"SELECT value FROM {sequence.name} WHERE name = '{_IDENTITY}'")
        with self.read() as connection:
            found = connection.execute(find).scalar()
        if found is None:
            with self.write() as connection:
                connection.execute(
                    text(
                        f"INSERT INTO {sequence.name} (name, value) VALUES ('{_IDENTITY}', :value) "
                        "ON CONFLICT (name) DO NOTHING"
                    ),
                    {"value": secrets.randbits(62)},
                )
                found = connection.execute(find).scalar_one()
        return f"{found:016x}"

    def hold(self) -> None:
        """
        Keep one idle connection to SQLite open until the store is closed; nothing to be done for others.

        Whenever the last connection of all processes is closed, SQLite writes its log back into the file and removes
        it, and a process that writes all the time would wait for that each time. Only for one that does not fork.
        """
        if not self.is_postgres and self._held is None:
            self._held = self._engine.raw_connection()
            # Without a look into the file, SQLite has not opened it yet.
            self._held.cursor().execute("PRAGMA user_version").fetchall()

    def leave_no_trace(self) -> bool:
        """
        Write SQLite's log back into the file and empty it, so that what was deleted is in neither.

        :returns: False where a reader kept that from happening for five seconds, which is logged as a warning: it
            happens when the log is written back next. True for PostgreSQL, which looks after that by itself.
        :raises StoreUnavailableError: when the database fails.
        """
        if self.is_postgres or not self.outlives_process:
            return True
        deadline = time.monotonic() + EMPTY_LOG_TIMEOUT
        while not _empty_log(self):
            if time.monotonic() > deadline:
                log.warning(
                    "Somebody reads the store %s for so long that its log (-wal) cannot be emptied: it still holds "
                    "what was deleted. Do the same again once that has ended",
                    self.name,
                )
                return False
            time.sleep(EMPTY_LOG_INTERVAL)
        return True

    def close(self) -> None:
        """Close idle connections. The store opens new ones if it is used again."""
        if self._held is not None:
            self._held.close()
            self._held = None
        self._engine.dispose()

    @contextlib.contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        from sqlalchemy.exc import DataError, DBAPIError, DisconnectionError, IntegrityError, ProgrammingError
        from sqlalchemy.exc import TimeoutError as PoolTimeoutError

        if self._process != os.getpid():
            # After a fork: two processes on one connection would read each other's answers.
            self._engine.dispose(close=False)
            self._process = os.getpid()
        kind = StoreUnavailableError
        try:
            with self._turn, engine.begin() as connection:
                yield connection
            return
        except (IntegrityError, ProgrammingError):
            raise  # a mistake of ours, or of whoever changed the tables
        except DataError as error:
            kind, reason = StoreDataError, _reason(error, self._secrets)
        except (DBAPIError, DisconnectionError, PoolTimeoutError) as error:
            reason = _reason(error, self._secrets)
        # Outside the except block: a chained driver's error would carry what it was given.
        raise _unavailable(self.name, self._purpose, reason, kind)


def open_store(
    url: str, *, purpose: str = PURPOSE, clock: Callable[[], float] | None = None, upgrade: bool = False
) -> Store:
    """
    Open the store, and create its file, folder and tables where they are missing.

    Tables of an older version are refused, unless ``upgrade`` is set: a database that several machines share is
    upgraded when its owner says so (``airflow voicepartner db upgrade``), a file of our own by itself.

    :param url: ``sqlite:////absolute/path``, ``sqlite://`` (in memory, one process) or
        ``postgresql://user:password@host/database``; PostgreSQL is reached with psycopg or psycopg2, whichever of them
        is installed and known to SQLAlchemy.
    :param purpose: what it is needed for, in a few words, for errors.
    :param clock: Unix seconds, injected by tests; None uses the database's.
    :param upgrade: True brings older tables up to date.
    :raises StoreUrlError: the URL or what is installed must change, or (``StoreVersionError``) the tables' version.
    :raises StoreUnavailableError: it cannot be reached now.
    """
    # Here, because that module imports this one for its errors.
    from airflow_provider_voicepartner.store.versions import bring_up_to_date

    store = connect_store(url, purpose=purpose, clock=clock)
    bring_up_to_date(store, upgrade=upgrade)
    return store


def connect_store(url: str, *, purpose: str = PURPOSE, clock: Callable[[], float] | None = None) -> Store:
    """Open the store as :func:`open_store` does, but leave its tables as they are, if there are any."""
    parsed = _parse(url, purpose)
    name = _name(parsed)
    if parsed.get_backend_name() == "sqlite":
        _make_file(parsed, name, purpose)
        engine = _sqlite(parsed)
    else:
        engine = _postgres(parsed, name, purpose)
    store = Store(engine, name=name, purpose=purpose, clock=clock)
    if parsed.get_backend_name() == "sqlite" and not _in_memory(parsed):
        _use_wal(store)
    return store


def _parse(url: str, purpose: str) -> URL:
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
        if path and not _in_memory(parsed) and (path.startswith("file:") or not Path(path).is_absolute()):
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


def _in_memory(url: URL) -> bool:
    return url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")


def _name(url: URL) -> str:
    """Name a store by place alone: a query can hold a password too."""
    if url.get_backend_name() == "sqlite":
        return f"sqlite:///{'' if _in_memory(url) else url.database}"
    host = url.host or "localhost"
    return f"postgresql://{host}{f':{url.port}' if url.port else ''}/{url.database or ''}"


def _secrets(url: URL) -> tuple[str, ...]:
    told = [None if url.password is None else str(url.password), url.query.get("password")]
    return tuple(text for text in told if isinstance(text, str) and text)


def _reason(error: BaseException, secrets: tuple[str, ...] = ()) -> str:
    """Say in one line what a driver complained about, without secrets."""
    inner = getattr(error, "orig", None) or error
    # What PostgreSQL says behind these words are the values, and those are numbers and texts.
    said = _VALUES.split(str(inner), maxsplit=1)[0]
    text = " ".join(said.split()) or type(inner).__name__
    for secret in secrets:
        text = text.replace(secret, "***")
    return text[:300]


def _unavailable(
    name: str, purpose: str, reason: str, kind: type[StoreUnavailableError] = StoreUnavailableError
) -> StoreUnavailableError:
    return kind(
        f"the store {name} cannot be used, and it is needed for {purpose}: {reason}. "
        "Check that it exists, runs and can be reached and written from here"
    )


def _make_file(url: URL, name: str, purpose: str) -> None:
    """Make the file for its owner only, as it comes to hold phone numbers."""
    if _in_memory(url):
        return
    path = Path(str(url.database))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Never opened when it is there: closing any descriptor of a file drops all locks that this process has on it.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        if not path.exists():  # then it was a part of the folder's path
            raise _unavailable(name, purpose, f"{path.parent} is not a folder") from None
        _shut_out_others(path, name, purpose)
    except OSError as error:
        raise _unavailable(name, purpose, f"{error.strerror or error}") from None


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


def _sqlite(url: URL) -> Engine:
    from sqlalchemy import create_engine, event
    from sqlalchemy.pool import NullPool, StaticPool

    if _in_memory(url):
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
        write = connection.get_execution_options().get(_WRITE)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _use_wal(store: Store) -> None:
    """Switch the file to write-ahead logging, once: readers and a writer then do not wait for each other."""
    deadline = time.monotonic() + STORE_LOCK_TIMEOUT
    while True:
        try:
            _switch_to_wal(store)
            return
        except StoreUnavailableError as error:
            # Several processes that switch at once lock each other out, and SQLite does not wait here by itself.
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(WAL_RETRY_INTERVAL)


def _switch_to_wal(store: Store) -> None:
    if _outside_a_transaction(store, "PRAGMA journal_mode") != ("wal",):
        _outside_a_transaction(store, "PRAGMA journal_mode=WAL")


def _empty_log(store: Store) -> bool:
    """Say whether nobody kept SQLite from emptying its log."""
    is_busy, *_ = _outside_a_transaction(store, "PRAGMA wal_checkpoint(TRUNCATE)")
    return not is_busy


def _outside_a_transaction(store: Store, pragma: str) -> tuple[Any, ...]:
    from sqlalchemy.exc import DBAPIError

    try:
        raw = store._engine.raw_connection()
        try:
            return tuple(raw.cursor().execute(pragma).fetchone())
        finally:
            raw.close()
    except DBAPIError as error:
        reason = _reason(error)
    except Exception as error:  # the driver's own: a raw connection does not translate it
        reason = _reason(error)
    raise _unavailable(store.name, store._purpose, reason)


def _postgres(url: URL, name: str, purpose: str) -> Engine:
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
        if connection.get_execution_options().get(_WRITE):
            # Nobody waits for ever for a worker that froze in the middle, and such a worker loses its lock.
            connection.exec_driver_sql(
                f"SELECT set_config('lock_timeout', '{STORE_LOCK_TIMEOUT}s', true), "
                f"set_config('idle_in_transaction_session_timeout', '{STORE_LOCK_TIMEOUT}s', true)"
            )

    return engine
