"""
From the store to each trigger of an Airflow with shared streams (3.3 and later): a cursor for each of them.

A cursor moves only past events that Airflow has committed. Airflow's shared streams in ack mode (Airflow 3.3) report
when the asset event made of an event is committed, and only then does the cursor move past it. The cursor is stored in
the asset's state store.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer

from airflow_provider_voicepartner.constants import (
    BEFORE_FAILING,
    EVENT_STORE_WAIT,
    EVENT_WRITE_ATTEMPTS,
    EVENT_WRITE_PAUSE,
    EVENTS_UNDER_WAY,
)
from airflow_provider_voicepartner.delivery.events import (
    EventFilter,
    EventSummary,
    StorePosition,
    SummaryReader,
)
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.triggers.event_reader import EventReader

log = logging.getLogger(__name__)


class State(Protocol):
    """The part of Airflow's accessor of one asset's state store that is needed here."""

    async def aget(self, key: str, default: Any = None) -> Any:
        """Return a value."""

    async def aset(self, key: str, value: Any) -> None:
        """Store a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """
    The last event that Airflow is known to have committed.

    :param id: of the event; 0 before the first.
    :param seq: of its commit.
    :param received_at: of the event, in Unix seconds.
    """

    id: int
    seq: int
    received_at: float

    def to_json(self) -> dict[str, Any]:
        """Return it as it is stored."""
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
            raise ValueError("it is not a cursor of this provider") from None


class EventStream(SharedStreamProducer):
    """
    The stream of one trigger.

    :param reader: reads the store.
    :param states: the state stores of the trigger's assets.
    :param key: of the cursor in them.
    :param wanted: which events it yields.
    :param poll_interval: seconds between two reads of the store.
    :param from_oldest: without a cursor, True begins with the oldest event of the store, False with the next.
    :param now: Unix seconds, injected by tests.
    """

    def __init__(
        self,
        reader: EventReader,
        states: Sequence[State],
        *,
        key: str,
        wanted: EventFilter,
        poll_interval: float,
        from_oldest: bool,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._reader = reader
        self._states = states
        self._key = key
        self._wanted = wanted
        self._poll_interval = poll_interval
        self._from_oldest = from_oldest
        self._now = now
        self._room = asyncio.Semaphore(EVENTS_UNDER_WAY)
        self._is_broken = False
        self._opened_at = reader.clock()
        self._read_at = -math.inf

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
                page = await self._reader.after(cursor.id)
                for event in page or ():
                    if event in self._wanted:
                        # No faster than Airflow commits them: a full queue would fail the trigger.
                        await self._room.acquire()
                        yield event, event
                    cursor = _behind(event)
                if not page:
                    break

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """Move the cursor past what Airflow has committed, and never past an event that it has not."""
        committed: EventSummary | None = None
        for item in batch:
            self._room.release()
            self._is_broken = self._is_broken or not item.outcome.is_clean
            if not self._is_broken:
                committed = item.broker_payload
        if committed is not None:
            await self._save(_behind(committed))

    async def _next_head(self) -> StorePosition:
        while True:
            reading = await self._reader.read_position(since=self._read_at, every=self._poll_interval)
            self._read_at = reading.at
            if reading.head is not None:
                return reading.head
            failing_since = self._reader.failing_since
            if failing_since is not None and self._reader.last_error is not None:
                waited = self._reader.clock() - max(failing_since, self._opened_at)
                if waited > EVENT_STORE_WAIT:
                    raise self._reader.last_error

    async def _begin(self, head: StorePosition) -> Cursor:
        try:
            stored = [await state.aget(self._key) for state in self._states]
            known = [Cursor.from_json(value) for value in stored if value is not None]
        except ValueError as error:
            text = f"the asset's state {self._key!r} cannot be read: {error}. Delete it to begin with the next event"
            log.error("Events: %s", text)
            await self._reader.sleep(BEFORE_FAILING)
            raise ConfigurationError(text) from None
        if known:
            # An asset that was removed and added again has an old one.
            return max(known, key=lambda cursor: (cursor.received_at, cursor.id))
        if self._from_oldest:
            cursor = Cursor(id=0, seq=0, received_at=0.0)
        else:
            cursor = Cursor(id=head.event, seq=head.seq, received_at=self._now())
        await self._save(cursor)
        return cursor

    async def _find_again(self, cursor: Cursor) -> Cursor:
        """Go on in a store that is behind the cursor: it is another store, or was restored from a backup."""
        # Read again, because another trigger may have read the position before our last event was committed.
        head = await self._reader.ask(SummaryReader.head)
        if head is None or head.seq >= cursor.seq:
            return cursor
        place = await self._reader.ask(lambda reader: reader.last_received(cursor.received_at))
        if place is None:
            return cursor  # it cannot be read now; the next read tries again
        log.warning(
            "The store is not the one that events were last read from, or an older copy of it; "
            "going on with those that were received later than the last"
        )
        return Cursor(id=place, seq=head.seq, received_at=cursor.received_at)

    async def _save(self, cursor: Cursor) -> None:
        """Store the cursor. If that fails, the next one is stored; a kill before then repeats more events."""
        for attempt in range(1, EVENT_WRITE_ATTEMPTS + 1):
            try:
                for state in self._states:
                    await state.aset(self._key, cursor.to_json())
                return
            except Exception as error:
                if attempt == EVENT_WRITE_ATTEMPTS:
                    log.warning("The cursor of events could not be stored: %s", type(error).__name__)
                    return
            await self._reader.sleep(EVENT_WRITE_PAUSE * attempt)


def _behind(event: EventSummary) -> Cursor:
    return Cursor(id=event.id, seq=event.seq, received_at=event.received_at)
