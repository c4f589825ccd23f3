"""
Reads the store for all triggers of a process: one query an interval, however many of them wait.

Reading happens in a thread. A store that cannot be read is no failure here: events stay in it, and triggers wait.
This module needs nothing of Airflow, and so works on every version.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from airflow_provider_voicepartner.constants import MOST_EVENT_PAGES, STORE_LOG_INTERVAL
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.delivery.events import EventSummary, StorePosition, SummaryReader
from airflow_provider_voicepartner.exceptions import VoicePartnerProviderError

log = logging.getLogger(__name__)

T = TypeVar("T")


class PositionReading(NamedTuple):
    """
    The result of reading the store's position once.

    :param at: when, on the reader's clock.
    :param head: the position; None when the store could not be read.
    """

    at: float
    head: StorePosition | None


class EventReader:
    """
    Reads the store for all triggers of one event loop.

    :param open_reader: opens the store, in a thread; called again after each failure.
    :param clock: seconds that never go back, injected by tests, as is ``sleep``.
    """

    def __init__(
        self,
        open_reader: Callable[[], SummaryReader],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.failing_since: float | None = None
        self.last_error: Exception | None = None
        self.clock = clock
        self.sleep = sleep
        self._open_reader = open_reader
        self._reader: SummaryReader | None = None
        self._reading: asyncio.Future[None] | None = None
        self._last = PositionReading(-math.inf, None)
        self._pages: dict[int, asyncio.Task[list[EventSummary] | None]] = {}
        self._logged_at = -math.inf

    async def read_position(self, *, since: float, every: float) -> PositionReading:
        """
        Return a position read after a moment: another trigger's, or a new one when no other trigger read it.

        :param since: ``at`` of the last one, ``-inf`` before the first.
        :param every: seconds to wait for another trigger's.
        """
        while self._last.at <= since:
            wait = since + every - self.clock()
            if wait > 0:
                await self.sleep(wait)
                continue
            if self._reading is None:
                self._reading = asyncio.ensure_future(self._read_position())
            # Shielded, because other triggers wait for it when this one is cancelled.
            await asyncio.shield(self._reading)
        return self._last

    async def _read_position(self) -> None:
        head = await self.ask(SummaryReader.head)
        if head is not None and head != self._last.head:
            self._pages.clear()
        self._last = PositionReading(self.clock(), head)
        self._reading = None

    async def after(self, cursor: int) -> list[EventSummary] | None:
        """Return the next events after a cursor, by one query for all that ask for the same; None: not readable."""
        task = self._pages.get(cursor)
        if task is None:
            task = asyncio.ensure_future(self.ask(lambda reader: reader.after(cursor)))
            self._pages[cursor] = task
            if len(self._pages) > MOST_EVENT_PAGES:
                # The oldest; triggers that wait for it still get it.
                del self._pages[next(iter(self._pages))]
        page = await asyncio.shield(task)
        if page is None:
            self._pages.pop(cursor, None)
        return page

    async def ask(self, question: Callable[[SummaryReader], T]) -> T | None:
        """Query the store in a thread; None when it cannot be read, which is logged now and then."""
        try:
            answer = await asyncio.to_thread(self._ask, question)
        except Exception as error:
            self._note(error)
            return None
        if self.failing_since is not None:
            log.info("The store is readable again")
            self.failing_since = self.last_error = None
        return answer

    def _ask(self, question: Callable[[SummaryReader], T]) -> T:
        reader = self._reader or self._open_reader()
        self._reader = None
        try:
            answer = question(reader)
        except BaseException:
            # Opened anew by the next query: a file that was replaced has no tables.
            reader.close()
            raise
        self._reader = reader
        return answer

    def _note(self, error: Exception) -> None:
        now = self.clock()
        # A driver's error, unlike our own, may quote anything, so only its name is logged.
        is_ours = isinstance(error, (StoreUnavailableError, VoicePartnerProviderError))
        reason = str(error) if is_ours else f"it failed with {type(error).__qualname__}"
        if self.failing_since is None:
            self.failing_since = now
        self.last_error = error
        if now - self._logged_at >= STORE_LOG_INTERVAL:
            self._logged_at = now
            log.warning("The store cannot be read now; events stay in it until it can: %s", reason)


_READERS: WeakKeyDictionary[asyncio.AbstractEventLoop, EventReader] = WeakKeyDictionary()


def shared_reader() -> EventReader:
    """Return the reader of the running event loop, on the configured store; a triggerer has one loop."""
    loop = asyncio.get_running_loop()
    reader = _READERS.get(loop)
    if reader is None:
        reader = _READERS[loop] = EventReader(_open_reader)
    return reader


def _open_reader() -> SummaryReader:
    from airflow_provider_voicepartner.settings import READING, open_configured_store

    return SummaryReader(open_configured_store(READING))
