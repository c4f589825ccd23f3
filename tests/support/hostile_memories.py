"""Memories whose writes fail, come late or come twice: a task state and a store, and crashes between two steps."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import event

from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.db.transactions import Store
from tests.support.servers import FakeTime
from tests.support.tasks import FakeStore

CLIENT_TIMEOUT = 5.0


class CrashError(BaseException):
    """A worker that dies: nothing may catch this."""


@dataclass
class Crashes:
    """
    Kills an attempt when it passes a point for the n-th time; the dead do nothing more, in any of their threads.

    :param points: which passings are deadly, counted from 0 over all points.
    """

    points: frozenset[int] = frozenset()
    passed: int = 0
    is_dead: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def point(self) -> None:
        """Pass a point, or die there."""
        with self.lock:
            self.is_dead = self.is_dead or self.passed in self.points
            self.passed += 1
            if self.is_dead:
                raise CrashError


class Wrong(StrEnum):
    """How a write goes wrong."""

    LATE_AND_REPEATED = "late, and its repeat in time"
    """The client gives up after 5 s and repeats it with success; the first copy is executed later."""
    LATE = "late"
    """The client gives up and reports it; the only copy is executed later."""
    TWICE = "twice"
    """It is executed twice, one right after the other."""
    LOST = "lost after it was stored"
    """It is executed, and the client is told of an error."""
    REFUSED = "refused"
    """It never begins."""
    BROKEN = "answered with 500"
    """It is rolled back at its end, and the client is told of an error."""


@dataclass(frozen=True)
class Fault:
    """
    What goes wrong.

    :param memory: ``state`` or ``store``.
    :param position: which write to it, from 0.
    :param wrong: in which way.
    :param later: where it is late: after how many more writes to this memory the first copy is executed; after the
        last one where there are not so many.
    """

    memory: str
    position: int
    wrong: Wrong
    later: int = 1

    def __str__(self) -> str:
        """Name it in a failed assertion."""
        late = f" ({self.later} writes)" if "late" in self.wrong else ""
        return f"write {self.position} to the {self.memory} {self.wrong}{late}"


class HostileError(Exception):
    """What Airflow's client raises when it has given up, or was told of an error."""


@dataclass
class Transport:
    """
    Between the ledger and its memories: counts their writes, and lets one go wrong.

    :param fault: None for nothing.
    :param kill_after: how many points after the fault the attempt dies; None for never.
    """

    fault: Fault | None
    kill_after: int | None
    time: FakeTime
    crashes: Crashes
    writes: dict[str, int] = field(default_factory=lambda: {"state": 0, "store": 0})
    ghosts: list[tuple[str, int, Callable[[], None]]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def begin(self, memory: str) -> Wrong | None:
        """Count a write that begins, and return how it goes wrong."""
        self.crashes.point()
        self.deliver(memory, 0)
        number, self.writes[memory] = self.writes[memory], self.writes[memory] + 1
        fault = self.fault
        if fault is None or (fault.memory, fault.position) != (memory, number):
            return None
        if self.kill_after is not None:
            self.crashes.points |= {self.crashes.passed + self.kill_after}
        if fault.wrong in (Wrong.LATE, Wrong.LATE_AND_REPEATED):
            self.time.moment += CLIENT_TIMEOUT
        return fault.wrong

    def hold(self, memory: str, again: Callable[[], None], *, at_once: bool = False) -> None:
        """Keep a copy that is on its way; it may arrive ``at_once``, before the next write begins."""
        assert self.fault is not None
        self.ghosts.append((memory, 0 if at_once else self.writes[memory] + self.fault.later, again))

    def end(self, memory: str) -> None:
        """Execute the copies whose moment has come, after a write has ended."""
        if self.ghosts and self.ghosts[0][1]:
            self.deliver(memory, self.writes[memory])
        self.crashes.point()

    def deliver(self, memory: str | None = None, until: int | None = None) -> None:
        """Execute copies that are on their way; all, unless it is said which."""
        for ghost in list(self.ghosts):
            if (memory is None or ghost[0] == memory) and (until is None or ghost[1] <= until):
                self.ghosts.remove(ghost)
                ghost[2]()


@dataclass
class HostileState:
    """Airflow's task state store behind the transport."""

    values: FakeStore
    transport: Transport

    def get(self, key: str, default: Any = None) -> Any:
        """Read."""
        return self.values.get(key, default)

    def set(self, key: str, value: Any, **more: Any) -> None:
        """Write, if the transport lets it."""
        with self.transport.lock:
            wrong = self.transport.begin("state")
            copy = json.loads(json.dumps(value))
            if wrong in (Wrong.LATE, Wrong.LATE_AND_REPEATED):
                self.transport.hold("state", lambda: self.values.set(key, copy))
            if wrong not in (Wrong.LATE, Wrong.REFUSED, Wrong.BROKEN):
                self.values.set(key, value)
            if wrong is Wrong.TWICE:
                self.values.set(key, value)
            self.transport.end("state")
        if wrong not in (None, Wrong.TWICE, Wrong.LATE_AND_REPEATED):
            raise HostileError(str(wrong))


class _RollBackError(Exception):
    """Takes back what a block wrote."""


class HostileStore:
    """
    Our store behind the transport. A write that is late is executed later statement by statement, as it was.

    One that registers an attempt holds a lock until it is committed or not; it is late by no more than the next write.
    """

    def __init__(self, store: Store, transport: Transport) -> None:
        self._store = store
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        """Be the store in everything else."""
        return getattr(self._store, name)

    @contextlib.contextmanager
    def write(self) -> Iterator[Any]:
        """Run a block in one write transaction, if the transport lets it."""
        transport, wrong = self._transport, None
        with transport.lock:
            wrong = transport.begin("store")
            if wrong is Wrong.REFUSED:
                transport.end("store")
                raise StoreUnavailableError(str(wrong))
            with (
                contextlib.suppress(_RollBackError),
                _statements(self._store) as done,
                self._store.write() as one,
            ):
                yield one
                if wrong in (Wrong.LATE, Wrong.BROKEN):
                    raise _RollBackError
            if wrong is Wrong.TWICE:
                self._again(done)
            if wrong in (Wrong.LATE, Wrong.LATE_AND_REPEATED):
                locks = any("SET attempts" in statement for statement, _ in done)
                transport.hold("store", lambda: self._again(done), at_once=locks)
            transport.end("store")
        if wrong not in (None, Wrong.TWICE, Wrong.LATE_AND_REPEATED):
            raise StoreUnavailableError(str(wrong))

    def _again(self, done: list[tuple[str, Any]]) -> None:
        """Execute what a block executed; what the database refuses now is refused."""
        from sqlalchemy.exc import IntegrityError

        with contextlib.suppress(IntegrityError, StoreUnavailableError), self._store.write() as connection:
            for statement, values in done:
                connection.exec_driver_sql(statement, values)


@contextlib.contextmanager
def _statements(store: Store) -> Iterator[list[tuple[str, Any]]]:
    """Collect the statements that write."""
    done: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, values: Any, context: Any, many: bool) -> None:
        if statement.lstrip()[:6].upper() in ("INSERT", "UPDATE", "DELETE"):
            done.append((statement, list(values) if many else values))

    event.listen(store.engine, "before_cursor_execute", note)
    try:
        yield done
    finally:
        event.remove(store.engine, "before_cursor_execute", note)
