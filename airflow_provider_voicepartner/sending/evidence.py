"""What settles a batch of which nobody knew whether it was sent."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from airflow_provider_voicepartner.gateways.dates import is_before
from airflow_provider_voicepartner.gateways.model import DeliveryReport

CLOCK_TOLERANCE: Final = timedelta(minutes=10)
"""
How far before its claim a report may be dated and still be about that batch: the gateway's clock and ours differ, and
some of its dates are cut to the minute.
"""


class Evidence(StrEnum):
    """Why a batch that was in doubt is taken for what it is; a batch that was simply answered has none."""

    LOOK_UP = "look_up"
    """The gateway knew our reference: it was sent."""
    CALLED_BACK = "called_back"
    """The gateway called back about it: it was sent."""
    REPEAT_REFUSED = "repeat_refused"
    """The gateway refused the same request as one that it had: it was sent."""
    REPEAT_ACCEPTED = "repeat_accepted"
    """The gateway, which refuses repeats, took the same request: it had not been sent, and now it was."""
    SENT_AGAIN = "sent_again"
    """Nothing proved anything, and the user chose ``resend`` or ``resend_unlisted``: perhaps it was sent twice."""
    ASSUMED = "assumed"
    """Nothing proved anything, and the user chose ``assume_sent``: perhaps it was not sent at all."""


@dataclass(frozen=True, slots=True)
class Proof:
    """
    What a look-up found about a batch.

    :param evidence: ``LOOK_UP`` or ``CALLED_BACK``.
    :param accepted: how many recipients of the batch it shows as taken; 0 where something is listed and nothing of it
        counts.
    """

    evidence: Evidence
    accepted: int


def taken_numbers(
    reports: Iterable[DeliveryReport], numbers: Collection[str], *, since: datetime | None = None
) -> set[str]:
    """
    Say who of a batch is reported on, each once; others' numbers and what is older than the batch do not count.

    :param reports: each of which shows that its number was taken, whatever became of it.
    :param numbers: of the batch, in E.164.
    :param since: when the batch was claimed, aware; None lets any date pass. A report without a date counts: it is
        found by a reference that nothing else has.
    """
    before = None if since is None else since - CLOCK_TOLERANCE
    wanted = frozenset(numbers)
    return {
        report.phone_number
        for report in reports
        if report.phone_number in wanted
        and (before is None or report.at is None or not is_before(report.at, before))
    }
