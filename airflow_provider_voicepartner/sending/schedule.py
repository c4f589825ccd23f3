"""A planned time that passes while a campaign is on its way: what becomes of the batches that have not left yet."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.sending.campaign_spec import Campaign
from airflow_provider_voicepartner.sending.ledger import Ledger

log = logging.getLogger(__name__)


class Schedule:
    """
    Says for when a batch is to be sent.

    The planned time is a part of what is sent, so it stays what it was: a retry with another one would be refused.

    :param campaign: with its planned time, and what to do once it has passed.
    :param ledger: knows how much was sent for that time.
    :param now: the present, aware.
    """

    def __init__(self, campaign: Campaign, ledger: Ledger, now: Callable[[], datetime]) -> None:
        self._campaign = campaign
        self._ledger = ledger
        self._now = now
        self._is_told = False

    def for_repeats(self) -> datetime | None:
        """Return the planned time; None where it has passed and what is left may leave at once."""
        return None if self.is_late and self._campaign.on_late == "send_now" else self._campaign.send_at

    @property
    def is_late(self) -> bool:
        """True where the gateway would no longer take a batch for the planned time."""
        planned = self._campaign.send_at
        return planned is not None and planned - self._campaign.shortest_lead <= self._now()

    def for_next(self) -> datetime | None:
        """
        Return for when the next batch is to be sent, None for at once.

        :raises ConfigurationError: the planned time has passed, and ``on_late`` is ``fail``.
        """
        if self.is_late and self._campaign.on_late == "fail":
            raise ConfigurationError(self._refusal())
        if self.is_late and not self._is_told:
            self._is_told = True
            log.warning(
                "send_at %s; what is left is sent at once, as on_late says", self._how_late("has passed")
            )
        return self.for_repeats()

    def _refusal(self) -> str:
        batches, planned = len(self._campaign.batches), self._campaign.send_at
        when = planned.isoformat() if planned else ""
        gone = sum(not record.reached_nobody for _, record in self._ledger.known())
        if not gone:
            return (
                f"send_at: {when} {self._how_late('is in the past')}, and nothing was sent; give a later date, or "
                "leave it out (or set on_late='send_now') to send at once"
            )
        return (
            f"send_at: {when} {self._how_late('has passed')}, and {batches - gone} of {batches} batches had not "
            "left. To send them at once set on_late='send_now' and clear the task. Leave send_at as it is: with "
            "another one nothing more is sent"
        )

    def _how_late(self, passed: str) -> str:
        planned, lead = self._campaign.send_at, self._campaign.shortest_lead
        if planned is None or planned <= self._now():
            return passed
        return (
            f"is less than {lead.total_seconds() / 60:g} minutes ahead, and the gateway takes no earlier date"
        )
