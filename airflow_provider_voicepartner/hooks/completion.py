"""
Whether a campaign is complete: poll the gateway where it can be polled, read the store, and judge the result.

The sensor, the operators that wait and the trigger all use it, so that all mean the same by "complete".
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from math import inf
from typing import Any

from airflow_provider_voicepartner.constants import LAST_POLL_WITHIN
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.delivery.completion import Progress
from airflow_provider_voicepartner.delivery.inbound import CampaignKey, Completion
from airflow_provider_voicepartner.delivery.store import KnownCampaign
from airflow_provider_voicepartner.exceptions import (
    DeliveryFailedError,
    DeliveryUnconfirmedError,
    RejectedError,
    WaitGivenUpError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.hooks.completion_options import (
    check_options,
    check_reports_can_come,
)
from airflow_provider_voicepartner.hooks.polling import CampaignPoller
from airflow_provider_voicepartner.hooks.registry import reports_by_batch
from airflow_provider_voicepartner.hooks.storage import write_delivery_reports
from airflow_provider_voicepartner.sending.report import CampaignReport

log = logging.getLogger(__name__)


class CompletionCheck(CampaignPoller):
    """Polls one campaign, and says how far it is and what that means. Used by one thread at a time."""

    @property
    def report_to_hand_over(self) -> CampaignReport:
        """The report for another process, with the batches where that may not reach a file of this machine's."""
        try:
            if self.report.stored and not self._opened.is_postgres:
                return replace(self.report, batches=self.sent, stored=())
        except StoreUnavailableError as error:
            log.warning("The batches of the campaign could not be read: %s", error)
        return self.report

    def validate(self) -> None:
        """
        Make sure that delivery reports can ever come.

        :raises ConfigurationError: the connection is of another gateway, or something else is at ``report_path``.
        :raises DeliveryUnconfirmedError: the gateway only calls a URL, and there is none.
        """
        self.report.check_gateway(self.hook.conn_type)
        check_reports_can_come(type(self.hook))
        check_options(self.options)

    def check(self) -> Progress:
        """
        Poll the gateway once, where it can be polled, and say how far the campaign is.

        A scheduled campaign is not polled before its time. A gateway that cannot be reached, or does not know the
        campaign yet, leaves its recipients pending.

        :raises RejectedError: the gateway refuses to answer.
        :raises StoreUnavailableError: the store cannot be used.
        """
        self.poll()
        as_of = self.now()
        return self.progress(self.known(), as_of)

    def progress(self, known: Mapping[CampaignKey, KnownCampaign], as_of: float) -> Progress:
        """
        Decide from what is known how far it is.

        :param known: of its keys, from the store.
        :param as_of: when that was read, in Unix seconds. Silence up to then may be final, and no later silence.
        """
        over = {place for place in range(len(self.batches)) if self._is_over(place, as_of)}
        return Progress.of_batches(self.batches, known, over=over)

    def _is_over(self, place: int, as_of: float) -> bool:
        """Say whether no more reports are expected about a batch than were known at a moment."""
        if place in self._nameless or self._over_since.get(place, inf) <= as_of:
            return True
        if as_of < self.unconfirmed_at:
            return False
        if not self.can_poll or as_of >= self.unconfirmed_at + LAST_POLL_WITHIN:
            return True
        return self.unconfirmed_at <= self._polled_at.get(place, -inf) <= as_of

    @cached_property
    def _nameless(self) -> frozenset[int]:
        """Batches that neither a poll nor a callback can name: the answer with the gateway's id was lost."""
        if self.can_poll or reports_by_batch(self.report.gateway):
            return frozenset()
        return frozenset(place for place, batch in enumerate(self.batches) if batch.gateway_id is None)

    def is_rate_unreachable(self, progress: Progress) -> bool:
        """Say whether ``min_delivery_rate`` can no longer be reached, with ``fail_fast``."""
        rate = self.options.min_delivery_rate
        return self.options.fail_fast and rate is not None and progress.best_possible_rate < rate

    def judge(self, progress: Progress) -> dict[str, Any] | None:
        """
        Judge how far the campaign is.

        :returns: the counts by status with ``expected`` and ``delivery_rate``; None while it is not complete.
        :raises DeliveryFailedError: fewer recipients got the message than ``min_delivery_rate`` requires.
        :raises DeliveryUnconfirmedError: a recipient is unconfirmed, and ``on_unconfirmed`` is ``fail``.
        """
        rate = self.options.min_delivery_rate
        if not progress.is_complete:
            if rate is not None and self.is_rate_unreachable(progress):
                self._fail(progress, rate)
            return None
        self._write_file()
        self._record_completion(progress)
        if rate is not None and progress.delivery_rate < rate:
            self._fail(progress, rate)
        if progress.unconfirmed and self.options.on_unconfirmed == "fail":
            raise DeliveryUnconfirmedError(
                f"on_unconfirmed: no report came about {progress.unconfirmed} recipients: {progress}; use "
                "on_unconfirmed='succeed' to accept that"
            )
        return progress.to_json()

    def judge_event(self, event: Any) -> dict[str, Any]:
        """
        Say what an event of :class:`~airflow_provider_voicepartner.triggers.campaign.CampaignCompletionTrigger` means.

        :returns: as :meth:`judge` does.
        :raises RejectedError: the gateway refused to answer.
        :raises WaitGivenUpError: the wait had to be given up, or it is no event of that trigger.
        """
        status = event.get("status") if isinstance(event, Mapping) else None
        # "hopeless" is what a trigger of an earlier version says.
        if status in ("complete", "unreachable", "hopeless"):
            progress = read_progress(event)
            log.info("Campaign: %s", progress)  # as a sensor that does not defer logs it
            if self.can_poll and self.options.report_path and progress.is_complete:
                self.poll()  # The triggerer's store may be another machine's file.
            result = self.judge(progress)
            if result is not None:
                return result
        elif status == "rejected":
            said = event.get("message") or "the gateway refuses to report what became of the campaign"
            raise RejectedError(str(said), code=event.get("code"), kind=_read_kind(event.get("kind")))
        elif status == "error":
            raise WaitGivenUpError(
                f"the wait was given up: {event.get('message') or 'the trigger gave no reason'}"
            )
        raise WaitGivenUpError(f"unexpected trigger event with status {status!r}")

    @staticmethod
    def _fail(progress: Progress, rate: float) -> None:
        raise DeliveryFailedError(
            f"min_delivery_rate: {rate:.2%} required, {progress.delivery_rate:.2%} reached: {progress}"
        )

    def _write_file(self) -> None:
        if self.options.report_path:
            # A report without a number says that a whole batch was cancelled.
            reports = [report for report in self.store.reports(self.keys) if report.phone_number]
            write_delivery_reports(self.options.report_path, reports)

    def _record_completion(self, progress: Progress) -> None:
        """Store an event for whoever waits for campaigns to end. If that fails, the result of this check stands."""
        counts = {status.value: count for status, count in progress.counts.items()}
        try:
            self.store.write(
                [Completion(key=self.keys[0], at=time.time(), counts=counts)] if self.keys else []
            )
        except StoreUnavailableError as error:
            log.warning("The event that the campaign is complete could not be stored: %s", error)


def read_progress(event: Mapping[str, Any]) -> Progress:
    """
    Read how far a campaign is from an event.

    :raises WaitGivenUpError: it does not say.
    """
    try:
        return Progress.from_json(event.get("progress"))
    except ValueError as error:
        raise WaitGivenUpError(f"unexpected trigger event: {error}") from error


def _read_kind(value: Any) -> ErrorKind:
    return next((kind for kind in ErrorKind if kind.value == value), ErrorKind.REJECTED)
