"""
Summaries of events, without the phone number and the text.

Triggers that wait for events read these, so that numbers and texts never reach the triggerer.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import pendulum

from airflow_provider_voicepartner.constants import EVENTS_A_PAGE
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError

if TYPE_CHECKING:
    from airflow_provider_voicepartner.db.transactions import Store


class StorePosition(NamedTuple):
    """
    The position of a store.

    :param seq: number of the last commit; it never decreases in one database.
    :param event: ``id`` of the newest event; 0 when there is none, perhaps because they were purged.
    """

    seq: int
    event: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSummary:
    """
    Says that there is an event.

    :param id: of the event; ascending in the order in which events were stored.
    :param seq: number of the commit that brought it.
    :param kind: ``reply``, ``opt_out``, ``pressed_keys`` or ``completion``.
    :param campaign: ``ref:`` and our reference, or ``id:`` and the gateway's id; None where it is not known.
    :param at: when it happened, in Unix seconds, where reported.
    :param received_at: Unix seconds.
    """

    id: int
    seq: int
    kind: str
    gateway: str
    campaign: str | None
    at: float | None
    received_at: float

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON; times are ISO 8601, in UTC."""
        return {
            "id": self.id,
            "kind": self.kind,
            "gateway": self.gateway,
            "campaign": self.campaign,
            "at": None if self.at is None else iso_time(self.at),
            "received_at": iso_time(self.received_at),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """
    A filter of events.

    :param gateway: only events of this gateway; None for all.
    :param campaign: only events of this campaign, with its prefix; None for all.
    """

    kinds: Collection[str]
    gateway: str | None
    campaign: str | None

    def __contains__(self, summary: object) -> bool:
        """Say whether the filter lets an event through."""
        return (
            isinstance(summary, EventSummary)
            and summary.kind in self.kinds
            and self.gateway in (None, summary.gateway)
            and self.campaign in (None, summary.campaign)
        )


def iso_time(seconds: float) -> str:
    """Return Unix seconds as ISO 8601, in UTC."""
    return pendulum.from_timestamp(seconds).isoformat()


class SummaryReader:
    """
    Reads summaries from an open store. May be used by many threads.

    :param store: of :func:`~airflow_provider_voicepartner.db.engine.open_store`.
    """

    def __init__(self, store: Store) -> None:
        from sqlalchemy import text

        from airflow_provider_voicepartner.db.schema import event, sequence

        self._store = store
        self._head = text(
            f"SELECT (SELECT value FROM {sequence.name} WHERE name = 'delivery'), (SELECT max(id) FROM {event.name})"
        )
        self._after = text(
            f"SELECT id, seq, kind, gateway, campaign, at, received_at FROM {event.name} "
            "WHERE id > :since ORDER BY id LIMIT :limit"
        )
        self._until = text(f"SELECT max(id) FROM {event.name} WHERE received_at <= :until")

    def head(self) -> StorePosition:
        """Return the position of the store: one query of two rows, cheap enough for every few seconds."""
        with self._store.read() as connection:
            seq, event = connection.execute(self._head).one()
        return StorePosition(int(seq or 0), int(event or 0))

    def after(self, since: int, *, limit: int = EVENTS_A_PAGE) -> list[EventSummary]:
        """
        Return the summaries of the events after a cursor, of all kinds, in the order in which they were stored.

        :param since: the ``id`` of the last event that was read; 0 for all.
        :param limit: the most to return, from 1.
        """
        if limit < 1:
            raise InvalidArgumentError("limit", "must be above zero")
        with self._store.read() as connection:
            rows = connection.execute(self._after, {"since": since, "limit": limit}).mappings()
            return [EventSummary(**row) for row in rows]

    def ids(self, wanted: Collection[EventFilter], *, since: int, until: int) -> list[int]:
        """Return the ids of the wanted events after one ``id`` and up to another, in order."""
        found: list[int] = []
        while since < until and (page := self.after(since)):
            found += [
                summary.id
                for summary in page
                if summary.id <= until and any(summary in choice for choice in wanted)
            ]
            since = page[-1].id
        return found

    def last_received(self, until: float) -> int:
        """
        Return the ``id`` of the newest event that was received until a moment; 0 when there is none.

        :param until: Unix seconds.
        """
        with self._store.read() as connection:
            return int(connection.execute(self._until, {"until": until}).scalar() or 0)

    def close(self) -> None:
        """Close the store's connections."""
        self._store.close()
