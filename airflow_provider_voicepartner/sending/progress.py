"""
How far a campaign is: what the log says on the way, and what an error says when a campaign ends early.

Of a short campaign every batch is logged, of a long one how far it is. An error says what was sent, what is in doubt
and what is left, and what a retry will do.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from airflow_provider_voicepartner.constants import EACH_BATCH_UP_TO, PROGRESS_INTERVAL
from airflow_provider_voicepartner.exceptions import (
    SendOutcomeUnknownError,
    VoicePartnerProviderError,
    ends_retries,
)
from airflow_provider_voicepartner.sending.ledger import Ledger, OnUnknown
from airflow_provider_voicepartner.sending.records import BatchRecord, Phase

log = logging.getLogger(__name__)


class ProgressLog:
    """
    Logs how far a campaign is; at level DEBUG, every batch.

    :param batches: of the whole campaign.
    :param clock: seconds that only go forward; injected by tests.
    """

    def __init__(self, batches: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._batches = batches
        self._level = logging.INFO if batches <= EACH_BATCH_UP_TO else logging.DEBUG
        self._clock = clock
        self._logged_at = clock()
        self._sent = self._known = self._recipients = 0

    def known(self, index: int, record: BatchRecord) -> None:
        """Log that an earlier attempt has sent a batch, or assumed it sent."""
        self._known += 1
        log.log(
            self._level, "Batch %d (%s) was %s by an earlier attempt%s; it is not sent again",
            index + 1, record.reference, record.phase.replace("_", " "), _why(record),
        )  # fmt: skip

    def sent(self, index: int, record: BatchRecord) -> None:
        """Log that a batch was sent now, or found to be sent."""
        self._log_known()
        self._sent += 1
        self._recipients += record.accepted
        log.log(
            self._level, "Batch %d (%s): %s%s",
            index + 1, record.reference, _outcome(record), _why(record),
        )  # fmt: skip
        if self._batches > EACH_BATCH_UP_TO and self._clock() - self._logged_at >= PROGRESS_INTERVAL:
            self._logged_at = self._clock()
            log.info(
                "%d of %d batches sent now, %d recipients accepted",
                self._sent, self._batches, self._recipients,
            )  # fmt: skip

    def _log_known(self) -> None:
        if self._known and self._batches > EACH_BATCH_UP_TO:
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


@dataclass(frozen=True, slots=True)
class Count:
    """So many batches, and the recipients in them."""

    batches: int = 0
    recipients: int = 0

    @classmethod
    def of(cls, records: Iterable[BatchRecord]) -> Count:
        """Count records."""
        sizes = [record.size for record in records]
        return cls(len(sizes), sum(sizes))

    def __str__(self) -> str:
        """As a part of a sentence."""
        return f"{self.batches} ({self.recipients} recipients)" if self.batches else "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """
    How much of a campaign was sent, is in doubt, and is left.

    :param refused: batches of which the gateway refused everybody by name.
    :param is_durable: a later attempt will know it.
    :param on_unknown: the user's choice, which decides what a retry does about batches in doubt.
    :param is_dry_run: nothing was sent: what counts as sent would have been.
    """

    whole: Count
    sent: Count
    in_doubt: Count
    refused: Count
    left: Count
    is_durable: bool
    on_unknown: OnUnknown = "fail"
    is_dry_run: bool = False

    @classmethod
    def of(
        cls,
        ledger: Ledger,
        recipients: int,
        batches: int,
        on_unknown: OnUnknown = "fail",
        *,
        is_dry_run: bool = False,
    ) -> Standing:
        """
        Count what a ledger knows.

        :param recipients: of the whole campaign.
        :param batches: of the whole campaign.
        :param on_unknown: the user's choice.
        :param is_dry_run: nothing was sent.
        """
        known = [record for _, record in ledger.known() if record.phase is not Phase.REFUSED]
        in_doubt = Count.of(record for record in known if record.phase.is_in_doubt)
        refused = Count.of(record for record in known if record.reached_nobody)
        done = Count.of(record for record in known if not (record.phase.is_in_doubt or record.reached_nobody))
        rest = Count(batches - len(known), recipients - sum(record.size for record in known))
        if ledger.is_blind:
            in_doubt, rest = (
                Count(in_doubt.batches + rest.batches, in_doubt.recipients + rest.recipients),
                Count(),
            )
        return cls(
            whole=Count(batches, recipients),
            sent=done,
            in_doubt=in_doubt,
            refused=refused,
            left=rest,
            is_durable=ledger.is_durable,
            on_unknown=on_unknown,
            is_dry_run=is_dry_run,
        )

    def __str__(self) -> str:
        """Say it in one sentence."""
        refused = f"refused by name {self.refused}, " if self.refused.batches else ""
        if self.is_dry_run:
            return (
                "This was a dry run: nothing was sent or recorded, and what was spent is simulated. Of "
                f"{self.whole.batches} batches ({self.whole.recipients} recipients) would have been sent "
                f"{self.sent}, {refused}left {self.left}"
            )
        return (
            f"Of {self.whole.batches} batches ({self.whole.recipients} recipients): sent {self.sent}, {refused}in "
            f"doubt {self.in_doubt}, left {self.left}"
        )

    def add_to(self, error: BaseException) -> None:
        """Let an error of ours say it, and what a retry will do; the log says it beside any other."""
        text = f"{self}." if self.is_dry_run else f"{self}. {self._what_next(error)}"
        if isinstance(error, VoicePartnerProviderError):
            error.args = (f"{str(error).rstrip('. ')}. {text}", *error.args[1:])
        else:
            log.error("%s", text)

    def _what_next(self, error: BaseException) -> str:
        if not self.left.batches and not self.in_doubt.batches:
            return "Nothing is left to send"
        if not self.is_durable:
            return "Nothing here can be read by a retry, so a retry would find in doubt whatever was sent"
        if isinstance(error, SendOutcomeUnknownError) and self.on_unknown == "fail":
            return (
                "Airflow does not retry this error. Clear the task without changing on_unknown to ask once more: it "
                "sends what is left, and nothing twice"
            )
        if ends_retries(error):
            return (
                "Airflow does not retry this error. Fix the cause and clear the task: it sends what is left, and "
                f"{self._what_of_unknown}"
            )
        return f"A retry, or clearing the task, sends what is left, and {self._what_of_unknown}"

    @property
    def _what_of_unknown(self) -> str:
        """Say who may be messaged twice by a retry, because of the user's choice."""
        if not self.in_doubt.batches or self.on_unknown in ("fail", "assume_sent"):
            return "nothing twice"
        where = "" if self.on_unknown == "resend" else "where the gateway does not list it "
        return (
            f"what is in doubt once more {where}(on_unknown={self.on_unknown!r}), so these recipients may get it "
            "twice"
        )
