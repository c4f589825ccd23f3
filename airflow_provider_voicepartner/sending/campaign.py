"""What one task sends, and who sends it: a retry goes on where the last attempt stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from airflow_provider_voicepartner.constants import MAX_IN_FLIGHT
from airflow_provider_voicepartner.exceptions import (
    ConfigurationError,
)
from airflow_provider_voicepartner.gateways.model import Message, Recipient
from airflow_provider_voicepartner.sending.batch import Lanes
from airflow_provider_voicepartner.sending.campaign_run import CampaignRun
from airflow_provider_voicepartner.sending.fingerprint import new_reference
from airflow_provider_voicepartner.sending.ledger import Ledger, OnUnknown
from airflow_provider_voicepartner.sending.progress import Standing
from airflow_provider_voicepartner.sending.records import BatchRecord
from airflow_provider_voicepartner.sending.schedule import OnLate
from airflow_provider_voicepartner.sending.transport import (
    Messenger,
    NoLimit,
    StopSign,
    Turnstile,
)


class Batches(Protocol):
    """The recipients of a campaign in batches, always cut in the same way."""

    def __len__(self) -> int:
        """How many batches."""

    def __iter__(self) -> Iterator[Sequence[Recipient]]:
        """Batch by batch, from the first."""


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """
    What one task sends.

    :param message: what is said.
    :param batches: 1 to 500 recipients each, all different.
    :param fingerprint: of all that; a retry that would send something else is told by it.
    :param account: its own key for hashes, see :func:`~airflow_provider_voicepartner.sending.fingerprint.account_key`.
    :param recipients: how many there are in all batches together.
    :param send_at: aware; None sends at once.
    :param on_late: what to do with batches that have not left when ``send_at`` passes: ``fail``, or ``send_now``.
    :param max_cost: stop before this price is passed; None has no limit.
    :param unit_price: price of one SMS segment or one call, for gateways that cannot tell before sending.
    :param size_of: returns a batch's recipients, from its index; None where that is known only of those that are read.
    :param weigh: returns a batch's SMS segments, which it is priced by, from its index: in each way to count them, the
        likeliest first. None prices each recipient as one.
    :param on_unknown: what to do with a batch that is in doubt.
    :param send_again: any text; everything is sent again, once, if it is none that the ledger knows.
    :param max_in_flight: batches under way at once.
    :param longest_wait: seconds to wait for the rate limit; beyond it the campaign is handed back. None always waits.
    :param shortest_lead: how long before ``send_at`` a batch must reach the gateway; one that cannot is late.
    """

    message: Message
    batches: Batches
    recipients: int
    fingerprint: str
    account: bytes = field(default=b"", repr=False)
    send_at: datetime | None = None
    on_late: OnLate = "fail"
    max_cost: Decimal | None = None
    unit_price: Decimal | None = None
    size_of: Callable[[int], int] | None = None
    weigh: Callable[[int], Sequence[int]] | None = None
    on_unknown: OnUnknown = "fail"
    send_again: str | None = None
    max_in_flight: int = MAX_IN_FLIGHT
    longest_wait: float | None = None
    shortest_lead: timedelta = timedelta(0)


@dataclass(kw_only=True)
class CampaignSender:
    """
    Sends one campaign, once.

    One thread reads batches, asks for budget and turn, and writes the ledger; others only send. The record of a batch
    that has landed and the claim of the next travel in one write, and nothing is claimed that is not about to leave.
    A batch in doubt keeps no other one here: the rest is sent, then the doubts are settled, and what is still in doubt
    fails the campaign at its end.

    :param messenger: the hook; must bear several threads.
    :param ledger: registered before the campaign was planned; opened by :meth:`send`.
    :param turnstile: the gateway's rate limit.
    :param now: the present, aware; injected by tests.
    :param reference: makes the id of a batch; injected by tests.
    :param sleep: waits; injected by tests.
    :param clock: seconds that only go forward; injected by tests.
    :param stop: raised by anybody to stop, and by a campaign that fails; what sends must heed it.
    :param is_dry_run: the messenger sends nothing, which an error says.
    """

    messenger: Messenger
    ledger: Ledger
    now: Callable[[], datetime]
    turnstile: Turnstile = field(default_factory=NoLimit)
    reference: Callable[[], str] = new_reference
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    stop: StopSign = field(default_factory=StopSign)
    is_dry_run: bool = False

    def send(self, campaign: Campaign) -> list[BatchRecord]:
        """
        Send every batch that the ledger does not know as sent.

        An error of ours says where the campaign stands and what a retry will do.

        :returns: one record a batch, all of them sent or assumed sent.
        :raises ConfigurationError: bad input, or input that changed since an earlier attempt; nothing was sent.
        :raises BudgetExceededError: the next batch would pass ``max_cost``.
        :raises NotSentError: a batch was refused, or must wait; or everybody was refused by name.
        :raises OutcomePendingError: a batch is in doubt, and the gateway may still come to know it.
        :raises SendOutcomeUnknownError: a batch is in doubt, and nothing decides what becomes of it.
        :raises CampaignInterruptedError: ``stop`` was raised; what was sent is recorded.
        """
        self._check_choice(campaign)
        self.ledger.open(
            campaign.fingerprint,
            len(campaign.batches),
            send_again=campaign.send_again,
            account=campaign.account,
        )
        with closing(Lanes()) as lanes:
            run = CampaignRun(sender=self, campaign=campaign, lanes=lanes)
            try:
                return run.to_the_end()
            except BaseException as error:
                # A time-out, a kill, a bug: nothing more leaves; let land what is on the wire, then go on falling.
                self.stop.raise_()
                run.land_all()
                standing = Standing.of(
                    self.ledger,
                    campaign.recipients,
                    len(campaign.batches),
                    campaign.on_unknown,
                    is_dry_run=self.is_dry_run,
                )
                standing.add_to(error)
                raise

    def _check_choice(self, campaign: Campaign) -> None:
        """Refuse a choice that this gateway has no way to follow."""
        can = self.messenger.can_disprove(campaign.message) or self.messenger.repeats_safely(timedelta(0))
        if campaign.on_unknown == "resend_unlisted" and not can:
            raise ConfigurationError(
                "on_unknown: 'resend_unlisted' needs a gateway that can be asked what it took, and this one cannot: an "
                "empty answer would prove nothing. Nothing was sent; use 'fail', 'assume_sent' or 'resend'"
            )
