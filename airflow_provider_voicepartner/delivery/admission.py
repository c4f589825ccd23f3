"""
Admission: about whom a URL may report, and how many events it may leave.

The URL of a batch may report about the recipients of that batch, up to a number of events. Everything else becomes a
dead letter, which a person can look at and nothing acts on.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from airflow_provider_voicepartner.constants import BATCHES_REMEMBERED, EVENTS_A_URL
from airflow_provider_voicepartner.delivery.inbound import (
    CampaignKey,
    DeadLetter,
    InboundRecord,
    Item,
    dead_letter_of,
    fit_keys,
)
from airflow_provider_voicepartner.delivery.receiver_monitoring import RateLimitedLog
from airflow_provider_voicepartner.delivery.recipient_marks import LONG_MARK, split
from airflow_provider_voicepartner.delivery.statements import Statements, rows_as_json
from airflow_provider_voicepartner.gateways.model import CampaignDeliveryReport, DeliveryReport, OptOut

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

log = logging.getLogger(__name__)


STRANGER: Final = "the batch of this URL was not sent to this number"
TOO_MANY: Final = "the URL of this batch has told of too many events"
QUARANTINED: Final = frozenset({STRANGER, TOO_MANY})
"""Reasons of dead letters that could be read, and that only a replay by their id acts on."""


_Batch = tuple[str, str]


class Admission:
    """
    Decides about inbound records, within the transaction that stores them. Used by one writer at a time.

    :param statements: of the store.
    """

    def __init__(self, statements: Statements) -> None:
        self.quarantined = 0
        self._sql = statements
        self._log = RateLimitedLog(log)
        # Marks never change while anybody may call: they are stored before the batch's URL leaves.
        self._marks: dict[_Batch, frozenset[bytes]] = {}

    def admit(self, connection: Connection, items: Sequence[Item]) -> Sequence[Item]:
        """
        Return the items in their order, with a dead letter in place of each that its URL may not report.

        :returns: the same sequence where all of them are admitted.
        """
        from_urls = [
            item for item in items if isinstance(item, InboundRecord) and item.recipients is not None
        ]
        if not from_urls:
            return items
        self._load_marks(connection, from_urls)
        counts = self._count_events(connection, from_urls)
        judged = [self._judge(item, counts) if isinstance(item, InboundRecord) else item for item in items]
        changed = [new for new, old in zip(judged, items, strict=True) if new is not old]
        if quarantined := sum(isinstance(item, DeadLetter) for item in changed):
            self.quarantined += quarantined
            self._log.warning(
                "calls reported about numbers that are not in the batch of their URL, or too many events; they are "
                "stored as dead letters and not acted on"
            )
        return judged if changed else items

    def _judge(self, record: InboundRecord, counts: Counter[CampaignKey]) -> Item:
        event, recipients, key = record.event, record.recipients, record.key
        if recipients is None or key is None or isinstance(event, CampaignDeliveryReport):
            return record
        stored = self._marks.get((event.gateway, recipients.reference))
        if recipients.includes(event.phone_number, stored) is False:
            return dead_letter_of(record, STRANGER)
        if not _is_event(record):
            return record
        is_stop = isinstance(event, OptOut) or (isinstance(event, DeliveryReport) and event.opted_out)
        counts[key] += 1
        if counts[key] <= (2 * EVENTS_A_URL if is_stop else EVENTS_A_URL):
            return record
        if isinstance(event, DeliveryReport):
            # The delivery status is not an event, and has one row for each recipient.
            return replace(record, event=replace(event, pressed_keys=None, opted_out=False))
        return dead_letter_of(record, TOO_MANY)

    def _load_marks(self, connection: Connection, records: Iterable[InboundRecord]) -> None:
        wanted = {
            (record.event.gateway, record.recipients.reference)
            for record in records
            if record.recipients is not None and record.recipients.marks is None
        } - set(self._marks)
        if not wanted:
            return
        if len(self._marks) > BATCHES_REMEMBERED:
            self._marks.clear()
        found = connection.execute(self._sql.marks_of_batches, {"keys": rows_as_json(sorted(wanted))})
        self._marks |= {
            (gateway, reference): split(bytes(marks), LONG_MARK) for gateway, reference, marks in found
        }

    def _count_events(self, connection: Connection, records: Iterable[InboundRecord]) -> Counter[CampaignKey]:
        keys = fit_keys(record.key for record in records if record.key and _is_event(record))
        if not keys:
            return Counter()
        found = connection.execute(self._sql.count_events, {"keys": rows_as_json(keys)})
        return Counter({CampaignKey(gateway, campaign): count for gateway, campaign, count in found})


def _is_event(record: InboundRecord) -> bool:
    event = record.event
    if isinstance(event, DeliveryReport):
        return bool(event.pressed_keys) or event.opted_out
    return not isinstance(event, CampaignDeliveryReport)
