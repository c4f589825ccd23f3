"""
What a URL may say: of whom, and how often.

The URL of a batch speaks of the people whom the batch was sent to, and leaves a bounded number of events. What goes
beyond that is kept apart, among the dead letters, where a person may look at it and nothing acts on it.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from airflow_provider_voicepartner.constants import BATCHES_REMEMBERED, EVENTS_A_URL
from airflow_provider_voicepartner.delivery.arrivals import (
    CampaignKey,
    DeadLetter,
    InboundRecord,
    Item,
    fit_keys,
    letter_of,
)
from airflow_provider_voicepartner.delivery.receiver_log import CountedLog
from airflow_provider_voicepartner.delivery.recipient_marks import LONG_MARK, split
from airflow_provider_voicepartner.delivery.statements import Statements, rows_as_json
from airflow_provider_voicepartner.gateways.model import CampaignDeliveryReport, DeliveryReport, OptOut

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

log = logging.getLogger(__name__)


STRANGER: Final = "the batch of this URL was not sent to this number"
TOO_MANY: Final = "the URL of this batch has told of too many events"
KEPT_APART: Final = frozenset({STRANGER, TOO_MANY})
"""Why a dead letter could be read, and is not acted on unless a person says so."""


_Batch = tuple[str, str]


class Admission:
    """
    Decides about arrivals, within the transaction that stores them. Used by one writer at a time.

    :param statements: of the store.
    """

    def __init__(self, statements: Statements) -> None:
        self.kept_apart = 0
        self._sql = statements
        self._log = CountedLog(log)
        # They never change while anybody may call: a batch has its people before its URL leaves.
        self._people: dict[_Batch, frozenset[bytes]] = {}

    def admit(self, connection: Connection, items: Sequence[Item]) -> Sequence[Item]:
        """
        Return the items in their order, a dead letter in place of each that its URL may not say.

        :returns: the same sequence where nothing is wrong with any of them.
        """
        from_urls = [item for item in items if isinstance(item, InboundRecord) and item.people is not None]
        if not from_urls:
            return items
        self._learn_people(connection, from_urls)
        told = self._count_events(connection, from_urls)
        judged = [self._judge(item, told) if isinstance(item, InboundRecord) else item for item in items]
        apart = sum(
            isinstance(new, DeadLetter) and new is not old for new, old in zip(judged, items, strict=True)
        )
        if apart:
            self.kept_apart += apart
            self._log.warning(
                "calls spoke of people to whom the batch of their URL was not sent, or too often; they are kept as "
                "dead letters and not acted on"
            )
        is_changed = any(new is not old for new, old in zip(judged, items, strict=True))
        return judged if is_changed else items

    def _judge(self, arrival: InboundRecord, told: Counter[CampaignKey]) -> Item:
        event, people, key = arrival.event, arrival.people, arrival.key
        if people is None or key is None or isinstance(event, CampaignDeliveryReport):
            return arrival
        is_known = people.includes(event.phone_number, self._people.get((event.gateway, people.reference)))
        if is_known is False:
            return letter_of(arrival, STRANGER)
        if not _is_event(arrival):
            return arrival
        is_stop = isinstance(event, OptOut) or (isinstance(event, DeliveryReport) and event.opted_out)
        told[key] += 1
        if told[key] <= (2 * EVENTS_A_URL if is_stop else EVENTS_A_URL):
            return arrival
        if isinstance(event, DeliveryReport):
            # What became of the message is no event, and there is one row of it a person.
            return replace(arrival, event=replace(event, pressed_keys=None, opted_out=False))
        return letter_of(arrival, TOO_MANY)

    def _learn_people(self, connection: Connection, arrivals: Iterable[InboundRecord]) -> None:
        wanted = {
            (arrival.event.gateway, arrival.people.reference)
            for arrival in arrivals
            if arrival.people is not None and arrival.people.marks is None
        } - set(self._people)
        if not wanted:
            return
        if len(self._people) > BATCHES_REMEMBERED:
            self._people.clear()
        found = connection.execute(self._sql.people_of_batches, {"keys": rows_as_json(sorted(wanted))})
        self._people |= {
            (gateway, reference): split(bytes(marks), LONG_MARK) for gateway, reference, marks in found
        }

    def _count_events(
        self, connection: Connection, arrivals: Iterable[InboundRecord]
    ) -> Counter[CampaignKey]:
        keys = fit_keys(arrival.key for arrival in arrivals if arrival.key and _is_event(arrival))
        if not keys:
            return Counter()
        found = connection.execute(self._sql.count_events, {"keys": rows_as_json(keys)})
        return Counter({CampaignKey(gateway, campaign): count for gateway, campaign, count in found})


def _is_event(arrival: InboundRecord) -> bool:
    event = arrival.event
    if isinstance(event, DeliveryReport):
        return bool(event.pressed_keys) or event.opted_out
    return not isinstance(event, CampaignDeliveryReport)
