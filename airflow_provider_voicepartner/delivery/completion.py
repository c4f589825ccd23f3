"""When a campaign is complete, and its counts by status: decided here alone, from the reports and the number sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_voicepartner.delivery.inbound import CampaignKey, of_gateway_id, of_reference
from airflow_provider_voicepartner.delivery.store import KnownCampaign
from airflow_provider_voicepartner.gateways.status import DeliveryStatus

NOTHING_KNOWN = KnownCampaign()


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitedBatch:
    """
    A batch whose recipients are waited for.

    :param gateway: the connection type.
    :param reference: our own id of it.
    :param gateway_id: the gateway's, None where its answer was lost.
    :param accepted: recipients that the gateway accepted.
    """

    gateway: str
    reference: str
    gateway_id: str | None
    accepted: int

    @property
    def keys(self) -> tuple[CampaignKey, ...]:
        """Keys of its reports in the store: our reference where each batch has its URL, else the gateway's id."""
        keys = [of_reference(self.gateway, self.reference)] if self.reference else []
        return (*keys, *([of_gateway_id(self.gateway, self.gateway_id)] if self.gateway_id else []))

    def count(
        self, known: Mapping[CampaignKey, KnownCampaign], *, is_over: bool = False
    ) -> Counter[DeliveryStatus]:
        """
        Count its recipients by status.

        :param known: what is known of each campaign.
        :param is_over: no more reports will come: whoever has none is unconfirmed, never delivered.
        :returns: counts that add up to ``accepted``, or more where a gateway reports about more recipients.
        """
        counts: Counter[DeliveryStatus] = Counter()
        for key in self.keys:
            campaign = known.get(key, NOTHING_KNOWN)
            counts.update(campaign.counts)
            if campaign.report is not None:
                total = min(campaign.report.total, self.accepted)
                delivered = max(0, min(campaign.report.delivered, total))
                counts[DeliveryStatus.DELIVERED] += delivered
                # Of the rest, the call says only that the campaign ended without them.
                counts[DeliveryStatus.FAILED] += self.accepted - delivered
        was_cancelled = counts.pop(DeliveryStatus.CANCELLED, 0) > 0
        del counts[DeliveryStatus.PENDING]
        left = max(0, self.accepted - counts.total())
        if was_cancelled:
            # A campaign is cancelled as a whole, and one report says so.
            counts[DeliveryStatus.CANCELLED] += left
        else:
            counts[DeliveryStatus.UNCONFIRMED if is_over else DeliveryStatus.PENDING] += left
        return counts

    def is_complete(self, known: Mapping[CampaignKey, KnownCampaign]) -> bool:
        """Say whether everybody in it has a final status."""
        return not self.count(known)[DeliveryStatus.PENDING]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """
    How far a campaign came.

    :param expected: recipients that the gateway accepted; without any report a recipient is pending, never delivered.
    :param counts: recipients by status; they add up to ``expected``, or more when the gateway reports about more.
    """

    expected: int
    counts: Mapping[DeliveryStatus, int]

    @classmethod
    def of_batches(
        cls,
        batches: Iterable[AwaitedBatch],
        known: Mapping[CampaignKey, KnownCampaign],
        *,
        over: Collection[int] = (),
    ) -> Progress:
        """
        Count the recipients of all batches.

        :param batches: of the campaign.
        :param known: what is known of each, from the store.
        :param over: places of batches, from 0, of which no more reports will come.
        """
        counts: Counter[DeliveryStatus] = Counter()
        expected = 0
        for place, batch in enumerate(batches):
            counts.update(batch.count(known, is_over=place in over))
            expected += batch.accepted
        return cls(expected=expected, counts={status: counts[status] for status in DeliveryStatus})

    @classmethod
    def from_json(cls, data: Any) -> Progress:
        """
        Read :meth:`to_json` back.

        :raises ValueError: for anything else.
        """
        try:
            counts = {status: int(data[status.value]) for status in DeliveryStatus}
            return cls(expected=int(data["expected"]), counts=counts)
        except (KeyError, TypeError, ValueError):
            raise ValueError("not the counts of a campaign") from None

    @property
    def delivered(self) -> int:
        """Recipients who got it."""
        return self.counts[DeliveryStatus.DELIVERED]

    @property
    def unconfirmed(self) -> int:
        """Recipients without a final report, of whom none will come."""
        return self.counts[DeliveryStatus.UNCONFIRMED]

    @property
    def pending(self) -> int:
        """Recipients without a final report."""
        return self.counts[DeliveryStatus.PENDING]

    @property
    def is_complete(self) -> bool:
        """True when every accepted recipient has a final status. A campaign without accepted recipients is complete."""
        return self.pending == 0

    @property
    def delivery_rate(self) -> float:
        """Share of the accepted recipients who got it, 0 to 1; 0 if none was accepted."""
        return min(1.0, self.delivered / self.expected) if self.expected else 0.0

    @property
    def best_possible_rate(self) -> float:
        """The rate if everybody who is pending gets it."""
        return min(1.0, (self.delivered + self.pending) / self.expected) if self.expected else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return counts by status with ``expected`` and ``delivery_rate``, as plain JSON."""
        return {
            "expected": self.expected,
            **{status.value: count for status, count in self.counts.items()},
            "delivery_rate": round(self.delivery_rate, 6),
        }

    def __str__(self) -> str:
        """Return the counts in one line, zeros left out."""
        shown = ", ".join(f"{count} {status}" for status, count in self.counts.items() if count)
        return f"{shown or 'nothing'} of {self.expected}"
