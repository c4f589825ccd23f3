"""
From the store to each trigger: one read an interval for all triggers of a process, and a cursor for each of them.

Reading happens in a thread. A store that cannot be read is no failure here: events wait in it, and so do the triggers.
A cursor moves only behind what Airflow has kept. Airflow's shared streams in ack mode carry it (Airflow 3.3): Airflow
says of each event when the asset event that it became is committed, and only then is the cursor moved past it. The
cursor lies in the asset's state store.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar
from weakref import WeakKeyDictionary

from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer

from airflow_provider_voicepartner.constants import (
    BEFORE_FAILING,
    EVENT_STORE_WAIT,
    EVENT_WRITE_ATTEMPTS,
    EVENT_WRITE_PAUSE,
    EVENTS_UNDER_WAY,
    MOST_EVENT_PAGES,
    STORE_LOG_INTERVAL,
)
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.delivery.events import EventSummary, StorePosition, SummaryReader, Wanted
from airflow_provider_voicepartner.exceptions import ConfigurationError, VoicePartnerProviderError

log = logging.getLogger(__name__)

T = TypeVar("T")


class Look(NamedTuple):
    """
    What one look at the store found.

    :param at: when, on the feed's clock.
    :param head: how far the store has come; None when it could not be read.
    """

    at: float
    head: StorePosition | None


class EventReader:
    """
    Reads the store for all who wait in one event loop.

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
        self._looking: asyncio.Future[None] | None = None
        self._last = Look(-math.inf, None)
        self._pages: dict[int, asyncio.Task[list[EventSummary] | None]] = {}
        self._logged_at = -math.inf

    async def look(self, *, since: float, every: float) -> Look:
        """
        Return a look that is newer than one that was had before: another's, or one's own when nobody else looked.

        :param since: ``at`` of the last look, ``-inf`` before the first.
        :param every: seconds to wait for another's.
        """
        while self._last.at <= since:
            wait = since + every - self.clock()
            if wait > 0:
                await self.sleep(wait)
                continue
            if self._looking is None:
                self._looking = asyncio.ensure_future(self._look())
            # Shielded, because the trigger that is cancelled is not the only one that waits for it.
            await asyncio.shield(self._looking)
        return self._last

    async def _look(self) -> None:
        head = await self.ask(SummaryReader.head)
        if head is not None and head != self._last.head:
            self._pages.clear()
        self._last = Look(self.clock(), head)
        self._looking = None

    async def after(self, cursor: int) -> list[EventSummary] | None:
        """Return the next notices after a cursor; all who ask for the same share one query. None: not readable."""
        task = self._pages.get(cursor)
        if task is None:
            task = asyncio.ensure_future(self.ask(lambda reader: reader.after(cursor)))
            self._pages[cursor] = task
            if len(self._pages) > MOST_EVENT_PAGES:
                # The oldest; whoever waits for it has it all the same.
                del self._pages[next(iter(self._pages))]
        page = await asyncio.shield(task)
        if page is None:
            self._pages.pop(cursor, None)
        return page

    async def ask(self, question: Callable[[SummaryReader], T]) -> T | None:
        """Ask the store in a thread; None when it cannot be read, which the log tells now and then."""
        try:
            answer = await asyncio.to_thread(self._ask, question)
        except Exception as error:
            self._note(error)
            return None
        if self.failing_since is not None:
            log.info("The store can be read again")
            self.failing_since = self.last_error = None
        return answer

    def _ask(self, question: Callable[[SummaryReader], T]) -> T:
        reader = self._reader or self._open_reader()
        self._reader = None
        try:
            answer = question(reader)
        except BaseException:
            # Opened anew by the next question: whoever replaced the file also took its tables away.
            reader.close()
            raise
        self._reader = reader
        return answer

    def _note(self, error: Exception) -> None:
        now = self.clock()
        # A driver's error, unlike our own, may say anything; its name must do.
        is_ours = isinstance(error, (StoreUnavailableError, VoicePartnerProviderError))
        told = str(error) if is_ours else f"it failed with {type(error).__qualname__}"
        if self.failing_since is None:
            self.failing_since = now
        self.last_error = error
        if now - self._logged_at >= STORE_LOG_INTERVAL:
            self._logged_at = now
            log.warning("The store cannot be read for events, which wait in it meanwhile: %s", told)


_READERS: WeakKeyDictionary[asyncio.AbstractEventLoop, EventReader] = WeakKeyDictionary()


def shared_reader() -> EventReader:
    """Return the feed of the event loop that runs, on the configured store; a triggerer has one loop."""
    loop = asyncio.get_running_loop()
    feed = _READERS.get(loop)
    if feed is None:
        feed = _READERS[loop] = EventReader(_open_reader)
    return feed


def _open_reader() -> SummaryReader:
    from airflow_provider_voicepartner.settings import READING, open_configured_store

    return SummaryReader(open_configured_store(READING))


class State(Protocol):
    """The part of Airflow's accessor of one asset's state store that is needed here."""

    async def aget(self, key: str, default: Any = None) -> Any:
        """Return a value."""

    async def aset(self, key: str, value: Any) -> None:
        """Keep a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """
    The last event that is known to be kept by Airflow.

    :param id: of the event; 0 before the first.
    :param seq: of its commit.
    :param received_at: of the event, in Unix seconds.
    """

    id: int
    seq: int
    received_at: float

    def to_json(self) -> dict[str, Any]:
        """Return it as it is kept."""
        return {"id": self.id, "seq": self.seq, "received_at": self.received_at}

    @classmethod
    def from_json(cls, value: Any) -> Cursor:
        """
        Read what :meth:`to_json` made.

        :raises ValueError: it did not.
        """
        try:
            return cls(id=int(value["id"]), seq=int(value["seq"]), received_at=float(value["received_at"]))
        except (TypeError, KeyError, ValueError, OverflowError):
            raise ValueError("it is no cursor of ours") from None


class EventStream(SharedStreamProducer):
    """
    The stream of one trigger.

    :param feed: reads the store.
    :param states: the state stores of the trigger's assets.
    :param key: of the cursor in them.
    :param wanted: which events it tells.
    :param poll_interval: seconds between two looks at the store.
    :param from_oldest: without a cursor, True begins with the oldest event of the store, False with the next.
    :param now: Unix seconds, injected by tests.
    """

    def __init__(
        self,
        feed: EventReader,
        states: Sequence[State],
        *,
        key: str,
        wanted: Wanted,
        poll_interval: float,
        from_oldest: bool,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._feed = feed
        self._states = states
        self._key = key
        self._wanted = wanted
        self._poll_interval = poll_interval
        self._from_oldest = from_oldest
        self._now = now
        self._room = asyncio.Semaphore(EVENTS_UNDER_WAY)
        self._is_broken = False
        self._opened_at = feed.clock()
        self._looked_at = -math.inf

    async def open_stream(self) -> AsyncIterator[tuple[EventSummary, EventSummary]]:
        """Yield every event that is wanted, after the cursor, in order; for ever."""
        cursor: Cursor | None = None
        while True:
            head = await self._next_head()
            if cursor is None:
                cursor = await self._begin(head)
            if head.seq < cursor.seq:
                cursor = await self._find_again(cursor)
            while head.event > cursor.id:
                page = await self._feed.after(cursor.id)
                for notice in page or ():
                    if notice in self._wanted:
                        # Not more than Airflow keeps up with: a full queue would fail the trigger.
                        await self._room.acquire()
                        yield notice, notice
                    cursor = _behind(notice)
                if not page:
                    break

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """Move the cursor behind what Airflow has kept, and never past an event that it has not."""
        kept: EventSummary | None = None
        for item in batch:
            self._room.release()
            self._is_broken = self._is_broken or not item.outcome.is_clean
            if not self._is_broken:
                kept = item.broker_payload
        if kept is not None:
            await self._save(_behind(kept))

    async def _next_head(self) -> StorePosition:
        while True:
            look = await self._feed.look(since=self._looked_at, every=self._poll_interval)
            self._looked_at = look.at
            if look.head is not None:
                return look.head
            failing_since = self._feed.failing_since
            if failing_since is not None and self._feed.last_error is not None:
                waited = self._feed.clock() - max(failing_since, self._opened_at)
                if waited > EVENT_STORE_WAIT:
                    raise self._feed.last_error

    async def _begin(self, head: StorePosition) -> Cursor:
        try:
            stored = [await state.aget(self._key) for state in self._states]
            known = [Cursor.from_json(value) for value in stored if value is not None]
        except ValueError as error:
            text = f"the asset's state {self._key!r} cannot be read: {error}. Delete it to begin with the next event"
            log.error("Events: %s", text)
            await self._feed.sleep(BEFORE_FAILING)
            raise ConfigurationError(text) from None
        if known:
            # An asset that was taken off and put back has an old one.
            return max(known, key=lambda cursor: (cursor.received_at, cursor.id))
        if self._from_oldest:
            cursor = Cursor(id=0, seq=0, received_at=0.0)
        else:
            cursor = Cursor(id=head.event, seq=head.seq, received_at=self._now())
        await self._save(cursor)
        return cursor

    async def _find_again(self, cursor: Cursor) -> Cursor:
        """Go on in a store that is behind the cursor: it is another one, or was put back from a copy."""
        # Anew, because another trigger may have had the last look before our last event was committed.
        head = await self._feed.ask(SummaryReader.head)
        if head is None or head.seq >= cursor.seq:
            return cursor
        place = await self._feed.ask(lambda reader: reader.last_received(cursor.received_at))
        if place is None:
            return cursor  # it cannot be read now; the next look asks again
        log.warning(
            "The store is not the one that events were last read from, or an older copy of it; "
            "going on with those that were received later than the last"
        )
        return Cursor(id=place, seq=head.seq, received_at=cursor.received_at)

    async def _save(self, cursor: Cursor) -> None:
        """Keep the cursor. If that fails the next one is kept, and a kill before it repeats more."""
        for attempt in range(1, EVENT_WRITE_ATTEMPTS + 1):
            try:
                for state in self._states:
                    await state.aset(self._key, cursor.to_json())
                return
            except Exception as error:
                if attempt == EVENT_WRITE_ATTEMPTS:
                    log.warning("The cursor of events could not be kept: %s", type(error).__name__)
                    return
            await self._feed.sleep(EVENT_WRITE_PAUSE * attempt)


def _behind(notice: EventSummary) -> Cursor:
    return Cursor(id=notice.id, seq=notice.seq, received_at=notice.received_at)
