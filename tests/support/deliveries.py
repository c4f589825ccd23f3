"""What a store of reports holds, read as the waiting tasks and the asset events read it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from airflow_provider_voicepartner.delivery.inbound import CampaignKey
from airflow_provider_voicepartner.delivery.store import FROM_NOW, DeliveryStore, StoredEvent
from airflow_provider_voicepartner.gateways.status import DeliveryStatus

_MOST = 5_000


def counts(
    delivery: DeliveryStore, keys: Collection[CampaignKey]
) -> dict[CampaignKey, Mapping[DeliveryStatus, int]]:
    """Return the recipients of campaigns by status; only campaigns of which a report is known."""
    known = delivery.changes(since=FROM_NOW, also=keys).campaigns
    return {key: campaign.counts for key, campaign in known.items() if campaign.counts}


def events(delivery: DeliveryStore, *, since: int = 0) -> list[StoredEvent]:
    """Return the events after the one with an id, in their order."""
    return delivery.events_by_id(range(since + 1, since + _MOST))


def last_event(delivery: DeliveryStore) -> int:
    """Return the id of the newest event; 0 when there is none."""
    return max((event.id for event in events(delivery)), default=0)
