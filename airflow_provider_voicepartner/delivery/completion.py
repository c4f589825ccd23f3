"""When a campaign is complete, and what became of it: one place decides, from delivery reports and the number sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_voicepartner.gateways.model import DeliveryReport
from airflow_provider_voicepartner.gateways.status import DeliveryStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """
    How far a campaign came.

    :param expected: recipients that the gateway accepted; without any report a recipient is pending, never delivered.
    :param counts: recipients by status; they add up to ``expected``, or more when the gateway reports more people.
    """

    expected: int
    counts: Mapping[DeliveryStatus, int]

    @classmethod
    def of_reports(
        cls, reports: Iterable[DeliveryReport], *, expected: int, unconfirmed: int = 0
    ) -> Progress:
        """
        Count reports, one a recipient of a batch: a terminal one wins over a pending one, else the last.

        :param reports: polled or called back, in any order, with repeats.
        :param expected: recipients accepted.
        :param unconfirmed: recipients of whom nobody will ever tell (a batch without an id).
        """
        latest: dict[tuple[str | None, str], DeliveryStatus] = {}
        for report in reports:
            person = (report.campaign_id, report.phone_number)
            if not (person in latest and latest[person].is_terminal):
                latest[person] = report.status
        counts = Counter(latest.values())
        counts[DeliveryStatus.UNCONFIRMED] += unconfirmed
        counts[DeliveryStatus.PENDING] += max(0, expected - counts.total())
        return cls(expected=expected, counts={status: counts[status] for status in DeliveryStatus})

    @property
    def delivered(self) -> int:
        """People who got it."""
        return self.counts[DeliveryStatus.DELIVERED]

    @property
    def pending(self) -> int:
        """People of whom nothing final is known."""
        return self.counts[DeliveryStatus.PENDING]

    @property
    def is_complete(self) -> bool:
        """True when every accepted recipient has a final status. A campaign that nobody accepted is complete."""
        return self.pending == 0

    @property
    def delivery_rate(self) -> float:
        """Share of the accepted recipients who got it, 0 to 1; 0 when nobody was accepted."""
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
        """Tell the counts in one line, zeros left out."""
        told = ", ".join(f"{count} {status}" for status, count in self.counts.items() if count)
        return f"{told or 'nothing'} of {self.expected}"
