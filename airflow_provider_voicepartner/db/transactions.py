"""
The store as everybody uses it: transactions and their retries, its clock and its identity, on SQLite and PostgreSQL.

SQLAlchemy (1.4 or 2) is imported when the store is opened, not by this module.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar

from airflow_provider_voicepartner.constants import (
    EMPTY_LOG_INTERVAL,
    EMPTY_LOG_TIMEOUT,
    FIRST_STORE_PAUSE,
    LONGEST_STORE_PAUSE,
    STORE_TURN_INTERVAL,
    STORE_TURN_WAIT,
    STORE_WAIT,
)
from airflow_provider_voicepartner.db.clock import boot_id, machine_clock, slot_clock_offset
from airflow_provider_voicepartner.db.databases import WRITE, empty_log, in_memory, secrets_of
from airflow_provider_voicepartner.db.errors import (
    StoreDataError,
    StoreUnavailableError,
    StoreUrlError,
    reason_of,
    unavailable,
)

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

log = logging.getLogger(__name__)

_IDENTITY: Final = "identity"

Result = TypeVar("Result")


class Store:
    """
    An open store, made by :func:`~airflow_provider_voicepartner.db.engine.open_store`.

    May be used by many threads, and by the children of a fork.

    :param engine: SQLAlchemy's.
    :param name: its URL without user, password and query.
    :param purpose: what it is needed for.
    :param clock: Unix seconds, for everything; None uses the database's clock, which is the same for all hosts.
    """

    local_clock: Callable[[], float]
    """The machine's clock, which only goes forward; it measures how far away a slot is."""

    def __init__(
        self, engine: Engine, *, name: str, purpose: str, clock: Callable[[], float] | None = None
    ) -> None:
        self.name = name
        self.is_postgres = engine.dialect.name == "postgresql"
        self.engine = engine
        self._writer = engine.execution_options(**{WRITE: True})
        self._purpose = purpose
        # SQLite has no clock: it belongs to one machine, whose clock is used.
        self._clock = clock or (None if self.is_postgres else time.time)
        self.local_clock = clock or machine_clock
        self._slot_clock: Callable[[Connection], float] | None = None
        self._secrets = secrets_of(engine.url)
        # A store in memory has one connection, and so one transaction at a time.
        self._memory_lock: contextlib.AbstractContextManager[Any] = (
            threading.RLock() if in_memory(engine.url) else contextlib.nullcontext()
        )
        self._process = os.getpid()
        self._open_connection: Any = None

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """
        Run a block in one write transaction: all of it happens, or nothing. Keep it short.

        :raises StoreUnavailableError: when the database fails, or stays locked for half a minute.
        :raises StoreDataError: the database refuses a value.
        """
        with self._transaction(self._writer) as connection:
            yield connection

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """
        Run a block that only reads; on SQLite it waits for no writer.

        :raises StoreUnavailableError: when the database fails.
        """
        with self._transaction(self.engine) as connection:
            yield connection

    @contextlib.contextmanager
    def in_turn(self) -> Iterator[None]:
        """
        Let processes that are about to write pass one after the other; after a second, or on PostgreSQL, all pass.

        SQLite itself asks again with growing pauses, so in a crowd some wait for seconds. Nothing depends on this:
        where the file cannot be locked, everybody passes.
        """
        if self.is_postgres or not self.outlives_process:
            yield
            return
        file, waiting = -1, None
        try:
            # Whoever waits keeps the file open: SQLite tidies up each time when the last connection is closed.
            waiting = self.engine.raw_connection()
            waiting.cursor().execute("PRAGMA user_version").fetchall()
            file = os.open(f"{self.engine.url.database}-turn", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            _wait_for_turn(file)
        except Exception as error:
            log.debug("Not in turn: %s", type(error).__name__)
        try:
            yield
        finally:
            if file >= 0:
                os.close(file)
            if waiting is not None:
                waiting.close()

    def now(self, connection: Connection) -> float:
        """Return the store's time in Unix seconds, the same on every host."""
        if self._clock is not None:
            return self._clock()
        # Not now(), which is the transaction's start: before it waited for its lock.
        return float(connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())").scalar_one())

    @property
    def outlives_process(self) -> bool:
        """False for a store in memory."""
        return not in_memory(self.engine.url)

    def slot_clock(self) -> Callable[[Connection], float]:
        """
        Return the clock in which slots are counted, to be called within a transaction; see ``db.clock``.

        Call this method outside of one: the first process after the machine's start writes to the store.

        :raises StoreUnavailableError: when the database fails.
        """
        if self._slot_clock is None:
            self._slot_clock = self._new_slot_clock()
        return self._slot_clock

    def _new_slot_clock(self) -> Callable[[Connection], float]:
        local, given = self.local_clock, self._clock
        if self.is_postgres or given is local:
            return self.now
        if in_memory(self.engine.url):
            return lambda connection: local()
        boot = boot_id()
        if boot is None:
            return self.now
        offset = slot_clock_offset(self, boot, machine_clock=local, wall_clock=given or time.time)
        return lambda connection: local() + offset

    @cached_property
    def identity(self) -> str:
        """
        The random id of this database, made once and stored in it.

        :raises StoreUnavailableError: when the database fails.
        """
        from sqlalchemy import text

        from airflow_provider_voicepartner.db.schema import sequence

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

    def keep_open(self) -> None:
        """
        Keep one idle connection to SQLite open until the store is closed; does nothing for PostgreSQL.

        Whenever the last connection of all processes is closed, SQLite writes its log back into the file and removes
        it, and a process that writes all the time would wait for that each time. Only for a process that does not fork.
        """
        if not self.is_postgres and self._open_connection is None:
            self._open_connection = self.engine.raw_connection()
            # SQLite opens the file only when it reads from it.
            self._open_connection.cursor().execute("PRAGMA user_version").fetchall()

    def erase_log(self) -> bool:
        """
        Write SQLite's log back into the file and empty it, so that deleted data is in neither.

        :returns: False if a reader prevented that for five seconds, which is logged as a warning: the log is then
            written back next time. True for PostgreSQL, which does this by itself.
        :raises StoreUnavailableError: when the database fails.
        """
        if self.is_postgres or not self.outlives_process:
            return True
        deadline = time.monotonic() + EMPTY_LOG_TIMEOUT
        while not empty_log(self.engine, self.name, self._purpose):
            if time.monotonic() > deadline:
                log.warning(
                    "A long read of the store %s prevents its log (-wal) from being emptied, so it still holds deleted "
                    "data. Run the same command again after that read has ended",
                    self.name,
                )
                return False
            time.sleep(EMPTY_LOG_INTERVAL)
        return True

    def close(self) -> None:
        """Close idle connections. The store opens new ones if it is used again."""
        if self._open_connection is not None:
            self._open_connection.close()
            self._open_connection = None
        self.engine.dispose()

    @contextlib.contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        from sqlalchemy.exc import DataError, DBAPIError, DisconnectionError, IntegrityError, ProgrammingError
        from sqlalchemy.exc import TimeoutError as PoolTimeoutError

        if self._process != os.getpid():
            # After a fork: two processes on one connection would read each other's results.
            self.engine.dispose(close=False)
            self._process = os.getpid()
        kind = StoreUnavailableError
        try:
            with self._memory_lock, engine.begin() as connection:
                yield connection
            return
        except (IntegrityError, ProgrammingError):
            raise  # a bug of ours, or tables that somebody changed
        except DataError as error:
            kind, reason = StoreDataError, reason_of(error, self._secrets)
        except (DBAPIError, DisconnectionError, PoolTimeoutError) as error:
            reason = reason_of(error, self._secrets)
        # Outside the except block: a chained driver's error would hold the values.
        raise unavailable(self.name, self._purpose, reason, kind)


def _wait_for_turn(file: int) -> None:
    deadline = time.monotonic() + STORE_TURN_WAIT
    while time.monotonic() < deadline:
        try:
            # Not flock, which a child of a fork would hold on to.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(STORE_TURN_INTERVAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRetry:
    """
    Repeats transactions while the store cannot be reached, for a limited time.

    :param seconds: from the first failure; 0 repeats nothing.
    :param sleep: waits; an exception from it ends the wait.
    :param clock: seconds that only go forward; injected by tests.
    """

    seconds: float = STORE_WAIT
    sleep: Callable[[float], object] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def run(self, call: Callable[[], Result]) -> Result:
        """
        Run a call that uses the store.

        :param call: must be idempotent: it may run again after a commit whose answer was lost.
        :returns: its result.
        :raises StoreUnavailableError: the store could not be reached in that time.
        :raises StoreUrlError: at once, since waiting would not help.
        """
        end: float | None = None
        pause = FIRST_STORE_PAUSE
        while True:
            try:
                return call()
            except StoreUrlError:
                raise
            except StoreUnavailableError as error:
                now = self.clock()
                if end is None:
                    end = now + self.seconds
                    if self.seconds > 0:
                        log.warning("%s. Will try again for %.0f s at most", error, self.seconds)
                left = end - now
                if left <= 0:
                    raise
            # The last try is when the time is over, not a pause earlier.
            self.sleep(min(pause, left))
            pause = min(2 * pause, LONGEST_STORE_PAUSE)
