"""Sends what one task is to send: a retry continues where the last attempt stopped."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta

from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.sending.batch import WorkerPool
from airflow_provider_voicepartner.sending.campaign_run import CampaignRun
from airflow_provider_voicepartner.sending.campaign_spec import Campaign, SendingTools
from airflow_provider_voicepartner.sending.progress import Standing
from airflow_provider_voicepartner.sending.records import BatchRecord


@dataclass(kw_only=True)
class CampaignSender(SendingTools):
    """
    Sends one campaign, once.

    One thread reads batches, asks for budget and slot, and writes the ledger; others only send. The record of a batch
    that has ended and the claim of the next travel in one write, and only what is about to leave is claimed. A batch
    in doubt does not stop the others: the rest is sent, then unknown outcomes are reconciled, and what is still in
    doubt fails the campaign at its end.
    """

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
        :raises CampaignInterruptedError: ``stop`` was cancelled; what was sent is recorded.
        """
        self._check_choice(campaign)
        self.ledger.open(
            campaign.fingerprint,
            len(campaign.batches),
            send_again=campaign.send_again,
            account=campaign.account,
            names=campaign.names,
        )
        with closing(WorkerPool()) as pool:
            run = CampaignRun(sender=self, campaign=campaign, pool=pool)
            try:
                return run.to_the_end()
            except BaseException as error:
                # A time-out, a kill, a bug: nothing more leaves; drain requests in flight, then re-raise.
                self.stop.cancel()
                run.drain()
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
        can = self.transport.can_disprove(campaign.message) or self.transport.repeats_safely(timedelta(0))
        if campaign.on_unknown == "resend_unlisted" and not can:
            raise ConfigurationError(
                "on_unknown: 'resend_unlisted' needs a gateway that lists what it accepted, and this one does not. "
                "Nothing was sent; use 'fail', 'assume_sent' or 'resend'"
            )
