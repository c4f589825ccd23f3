"""
Group commit: one thread writes all that arrived while its last transaction ran, and then wakes the requests.

A transaction waits for the disk, so one for each report would limit the rate of a receiver. No request is answered 200
before the commit of its items has returned.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from airflow_provider_voicepartner.constants import (
    GROUP_PAUSES,
    GROUP_RETRY_WITHIN,
    LARGEST_GROUP,
    MOST_WAITING,
    WRITER_CLOSE_TIMEOUT,
)
from airflow_provider_voicepartner.db.errors import StoreDataError, StoreUnavailableError
from airflow_provider_voicepartner.delivery.receiver_monitoring import WriterCounts
from airflow_provider_voicepartner.delivery.store import DeliveryStore

if TYPE_CHECKING:
    from airflow_provider_voicepartner.db.transactions import Store
    from airflow_provider_voicepartner.delivery.inbound import DeadLetter, InboundRecord

    Item = InboundRecord | DeadLetter

_VALUE_ERRORS: Final = (ValueError, TypeError, ArithmeticError, LookupError, AttributeError, RecursionError)
_REFUSED: Final = (
    "the store accepts others but refused this one"  # not the driver's words: they may quote the values
)


class NotStoredError(Exception):
    """The items could not be made durable now; the text says why, without numbers and texts."""


class _Waiter(NamedTuple):
    items: Sequence[Item]
    done: asyncio.Future[bool]
    loop: asyncio.AbstractEventLoop


class _Outcome(NamedTuple):
    """The result of one request's items; the defaults are success."""

    problem: str | None = None
    is_replaced: bool = False


_STORED: Final = _Outcome()


class _Failure(NamedTuple):
    """
    Why a transaction failed.

    :param problem: in words that may be logged.
    :param is_about_values: the values to be written are wrong; else the store, or the way to it, failed.
    """

    problem: str
    is_about_values: bool


class GroupWriter:
    """
    Writes for any number of requests of one event loop. Its thread begins with the first of them.

    :param open_store: opens the store; called in the writer's thread, and again once it could not be written.
    :param on_refused: makes the replacement of an item that the store refuses even alone; None drops the item, and then
        its request fails.
    """

    def __init__(
        self,
        open_store: Callable[[], Store],
        *,
        on_refused: Callable[[Item], Item | None] = lambda item: None,
    ) -> None:
        self.counts = WriterCounts()
        self.largest_group = LARGEST_GROUP
        self._open_store = open_store
        self._on_refused = on_refused
        self._store: Store | None = None
        self._deliveries: DeliveryStore | None = None
        self._waiting: list[_Waiter] = []
        self._changed = threading.Condition(threading.Lock())
        self._thread: threading.Thread | None = None
        self._idle = True
        self._stopping = False

    @property
    def is_started(self) -> bool:
        """True once something was written: the thread that writes is started then."""
        return self._thread is not None

    @property
    def waiting(self) -> int:
        """How many requests wait for the next commit."""
        return len(self._waiting)

    async def write(self, items: Sequence[Item]) -> bool:
        """
        Return once the items are committed; an empty sequence checks whether the store can be written.

        :returns: True where the store refused them, and what ``on_refused`` made was committed in their place.
        :raises NotStoredError: they are not stored, or that is not known; writing them again does no harm.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bool] = loop.create_future()
        with self._changed:
            if self._stopping:
                raise NotStoredError("the receiver is being stopped")
            if not items:
                # A health check goes first, and is never refused because of the queue: a long queue is no failure.
                self._waiting.insert(0, _Waiter(items, done, loop))
            elif len(self._waiting) >= MOST_WAITING:
                raise NotStoredError(f"{MOST_WAITING} requests are waiting for the store already")
            else:
                self._waiting.append(_Waiter(items, done, loop))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="voicepartner-writer", daemon=True)
                self._thread.start()
            elif self._idle:
                self._changed.notify()
        return await done

    def close(self, timeout: float = WRITER_CLOSE_TIMEOUT) -> None:
        """Write what waits and end the thread; later writes are refused."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._idle = True
                while not self._waiting and not self._stopping:
                    self._changed.wait()
                self._idle = False
                group = self._waiting[: self.largest_group]
                del self._waiting[: self.largest_group]
            if not group:
                break
            _wake(group, self._write(group))
        self._close_store()

    def _write(self, group: Sequence[_Waiter]) -> dict[int, _Outcome]:
        """Write a group; return the outcomes of those that are not simply stored, by their places."""
        failure = self._commit_with_retries([item for waiter in group for item in waiter.items])
        if failure is None:
            return {}
        if not failure.is_about_values:
            return self._all_unavailable(failure, range(len(group)))
        # Something in the group cannot be stored, and must not fail the others.
        outcomes: dict[int, _Outcome] = {}
        for place, waiter in enumerate(group):
            outcome = self._write_alone(waiter.items)
            if isinstance(outcome, _Failure):
                return outcomes | self._all_unavailable(outcome, range(place, len(group)))
            outcomes[place] = outcome
        return outcomes

    def _all_unavailable(self, failure: _Failure, places: Iterable[int]) -> dict[int, _Outcome]:
        # The next group opens it again: its file may have been removed, and its tables with it.
        self._close_store()
        return dict.fromkeys(places, _Outcome(failure.problem))

    def _write_alone(self, items: Sequence[Item]) -> _Outcome | _Failure:
        """Write one request's items, or their replacements; a failure is the store's."""
        # Twice: an error about the values comes again, and one that only looked like it may not.
        for _ in range(2):
            failure = self._commit_with_retries(items)
            if failure is None:
                return _STORED
            if not failure.is_about_values:
                return failure
        replacements = [made for item in items if (made := self._replacement_of(item)) is not None]
        if not replacements or len(replacements) < len(items):
            return _Outcome(_REFUSED)
        failure = self._commit_with_retries(replacements)
        if failure is None:
            return _Outcome(is_replaced=True)
        return _Outcome(_REFUSED) if failure.is_about_values else failure

    def _replacement_of(self, item: Item) -> Item | None:
        try:
            return self._on_refused(item)
        except Exception:  # the item is not what it says it is; the thread serves all others too
            return None

    def _close_store(self) -> None:
        store, self._store, self._deliveries = self._store, None, None
        if store is not None:
            with contextlib.suppress(Exception):  # it may be as broken as its last transaction
                store.close()

    def _delivery_store(self) -> DeliveryStore:
        if self._deliveries is None:
            self._store = self._open_store()
            self._store.keep_open()
            self._deliveries = DeliveryStore(self._store)
        return self._deliveries

    def _commit_with_retries(self, items: Sequence[Item]) -> _Failure | None:
        """Write in one transaction, and again while the store fails: a lost connection is opened again."""
        began = time.monotonic()
        failure = self._commit(items)
        for pause in GROUP_PAUSES:
            if failure is None or failure.is_about_values or time.monotonic() - began > GROUP_RETRY_WITHIN:
                break
            time.sleep(pause)
            failure = self._commit(items)
        return failure

    def _commit(self, items: Sequence[Item]) -> _Failure | None:
        """Write in one transaction; return why that failed."""
        started = time.perf_counter()
        try:
            store = self._delivery_store()
            quarantined = store.quarantined
            store.write(items)
        except StoreUnavailableError as error:
            failure = _Failure(str(error), is_about_values(error))
        except Exception as error:  # a driver's own error shows what it was given
            failure = _Failure(f"the store failed with {type(error).__name__}", is_about_values(error))
        else:
            self.counts.commits += 1
            self.counts.written += len(items)
            self.counts.quarantined += store.quarantined - quarantined
            self.counts.seconds += time.perf_counter() - started
            return None
        self.counts.failed_commits += 1
        self.counts.last_error = failure.problem
        return failure


def is_about_values(error: Exception) -> bool:
    """
    Say whether an error is about the values to be written, so that the store accepts others.

    Any other error counts as the store's: a report must not be given up because a connection was lost.
    """
    from sqlalchemy.exc import IntegrityError

    return isinstance(error, (StoreDataError, *_VALUE_ERRORS, IntegrityError))


def _wake(group: Sequence[_Waiter], outcomes: dict[int, _Outcome]) -> None:
    """Wake each event loop once for all its requests."""
    loops: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[bool], _Outcome]]] = {}
    for place, waiter in enumerate(group):
        loops.setdefault(waiter.loop, []).append((waiter.done, outcomes.get(place, _STORED)))
    for loop, results in loops.items():
        try:
            loop.call_soon_threadsafe(_resolve, results)
        except RuntimeError:
            continue  # the loop has ended, and all its requests with it


def _resolve(results: Sequence[tuple[asyncio.Future[bool], _Outcome]]) -> None:
    for done, outcome in results:
        if done.done():  # the caller was cancelled
            continue
        if outcome.problem is None:
            done.set_result(outcome.is_replaced)
        else:
            done.set_exception(NotStoredError(outcome.problem))
