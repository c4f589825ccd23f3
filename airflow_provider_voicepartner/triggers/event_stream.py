"""
From the store to each trigger of an Airflow with shared streams (3.3 and later): a cursor for each of them.

A cursor moves only behind what Airflow has kept. Airflow's shared streams in ack mode carry it (Airflow 3.3): Airflow
says of each event when the asset event that it became is committed, and only then is the cursor moved past it. The
cursor lies in the asset's state store.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

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

T = TypeVar("T")


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
            raise ValueError("it is not a cursor of this provider") from None


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
        wanted: EventFilter,
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
                    log.warning("The cursor of events could not be stored: %s", type(error).__name__)
                    return
            await self._feed.sleep(EVENT_WRITE_PAUSE * attempt)


def _behind(notice: EventSummary) -> Cursor:
    return Cursor(id=notice.id, seq=notice.seq, received_at=notice.received_at)
