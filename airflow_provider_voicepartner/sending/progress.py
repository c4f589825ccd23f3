"""What the log says of a campaign on its way: of a short one every batch, of a long one how far it is."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from airflow_provider_voicepartner.sending.records import BatchRecord, Phase

log = logging.getLogger(__name__)

EACH_UP_TO: Final = 20
"""Batches of a campaign whose every batch is worth a line. A line costs a third of what a request does."""
SECONDS_BETWEEN: Final = 10.0


class ProgressLog:
    """
    Tells how far a campaign is. With the level DEBUG, it tells of every batch.

    :param batches: of the whole campaign.
    :param clock: seconds that only go forward; injected by tests.
    """

    def __init__(self, batches: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._batches = batches
        self._level = logging.INFO if batches <= EACH_UP_TO else logging.DEBUG
        self._clock = clock
        self._told_at = clock()
        self._sent = self._known = self._recipients = 0

    def known(self, index: int, record: BatchRecord) -> None:
        """Tell that an earlier attempt has sent a batch, or assumed it sent."""
        self._known += 1
        log.log(
            self._level, "Batch %d (%s) was %s by an earlier attempt%s; it is not sent again",
            index + 1, record.reference, record.phase.replace("_", " "), _why(record),
        )  # fmt: skip

    def sent(self, index: int, record: BatchRecord) -> None:
        """Tell that a batch was sent now, or found to be sent."""
        self._tell_known()
        self._sent += 1
        self._recipients += record.accepted
        log.log(
            self._level, "Batch %d (%s): %s%s",
            index + 1, record.reference, _outcome(record), _why(record),
        )  # fmt: skip
        if self._batches > EACH_UP_TO and self._clock() - self._told_at >= SECONDS_BETWEEN:
            self._told_at = self._clock()
            log.info(
                "%d of %d batches sent now, %d recipients accepted",
                self._sent, self._batches, self._recipients,
            )  # fmt: skip

    def _tell_known(self) -> None:
        if self._known and self._batches > EACH_UP_TO:
            log.info(
                "%d of %d batches were sent by earlier attempts; they are not sent again",
                self._known,
                self._batches,
            )
        self._known = 0


def _outcome(record: BatchRecord) -> str:
    if record.phase is Phase.ASSUMED_SENT:
        return f"{record.size} recipients are assumed to have been reached"
    name = f" as {record.gateway_id}" if record.gateway_id else ""
    return f"{record.accepted} of {record.size} recipients accepted{name}"


def _why(record: BatchRecord) -> str:
    """Say what settled a batch that was in doubt."""
    return f" (it was in doubt; evidence: {record.evidence})" if record.evidence else ""
