"""Ask a gateway what became of a campaign, tolerating what passes by itself."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_provider_voicepartner.delivery.completion import Progress
from airflow_provider_voicepartner.exceptions import (
    DeliveryUnconfirmedError,
    RejectedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.hooks.registry import hook_for

if TYPE_CHECKING:
    from airflow_provider_voicepartner.gateways.model import DeliveryReport
    from airflow_provider_voicepartner.hooks.base import GatewayHook
    from airflow_provider_voicepartner.sending.report import CampaignReport, SentBatch

log = logging.getLogger(__name__)


def poll(
    campaign: CampaignReport, *, conn_id: str | None, not_found_grace: float, unlisted_grace: float
) -> tuple[Progress, list[DeliveryReport]]:
    """
    Ask once for all batches of a campaign.

    A scheduled campaign is not asked about before its time. A gateway that cannot be reached, or that does not know the
    campaign yet, leaves its recipients pending.

    :param campaign: the report of a send operator.
    :param conn_id: another connection than the report's.
    :param not_found_grace: seconds after sending during which "not found" is tolerated.
    :param unlisted_grace: seconds after sending from which recipients whom the gateway does not list, while all that it
        lists are final, count as unconfirmed.
    :raises DeliveryUnconfirmedError: when the gateway tells results only by callback.
    :raises RejectedError: when the gateway refuses to tell.
    """
    hook = hook_for(conn_id or campaign.conn_id, kind=campaign.kind, who="CampaignCompletionSensor")
    try:
        campaign.check_gateway(hook.conn_type)
        if not hook.polls_delivery:
            raise DeliveryUnconfirmedError(
                f"campaign: {hook.gateway.LABEL} tells delivery results only by calling a URL, so they cannot be "
                "polled; what is known is that it accepted the campaign"
            )
        now = hook.sender.now()
        since = _latest(campaign.sent_at, campaign.scheduled_for)
        age = (now - since).total_seconds() if since else float("inf")
        reports: list[DeliveryReport] = []
        unconfirmed = 0
        if age >= 0:
            for batch in campaign.batches:
                told = _ask(hook, batch, tolerate_not_found=age < not_found_grace)
                if told is None:
                    unconfirmed += batch.accepted
                    continue
                reports += told
                unconfirmed += _unlisted(batch, told) if age >= unlisted_grace else 0
    finally:
        hook.close()
    expected = sum(batch.accepted for batch in campaign.batches)
    return Progress.of_reports(reports, expected=expected, unconfirmed=unconfirmed), reports


def _unlisted(batch: SentBatch, told: Sequence[DeliveryReport]) -> int:
    """Count whom the gateway will not tell of: SMS Partner leaves out people on its STOP list without a word."""
    if not told or not all(report.status.is_terminal for report in told):
        return 0
    return max(0, batch.accepted - len({report.phone_number for report in told}))


def _latest(*texts: str | None) -> datetime | None:
    moments = [datetime.fromisoformat(text) for text in texts if text]
    return max(moments, default=None)


def _ask(
    hook: GatewayHook, batch: SentBatch, *, tolerate_not_found: bool
) -> tuple[DeliveryReport, ...] | None:
    """Ask about one batch; None when nobody will ever tell about it."""
    try:
        if batch.gateway_id is not None:
            return hook.poll_delivery(batch.gateway_id)
        return hook.poll_by_tag(batch.tag) if batch.tag is not None else None
    except RetryableNotSentError as error:
        log.warning("Could not ask now, will ask again: %s", error)
        return ()
    except SendOutcomeUnknownError:
        # The hook's word for an answer that cannot be read. This was a question, so it may be asked again.
        log.warning("The answer about %s cannot be read, will ask again", batch.gateway_id or batch.tag)
        return ()
    except RejectedError as error:
        if error.kind is not ErrorKind.NOT_FOUND:
            raise
        if tolerate_not_found:
            log.info("The gateway does not know %s yet", batch.gateway_id or batch.tag)
            return ()
        if batch.state == "assumed_sent":
            log.warning("The gateway does not know %s, which was only assumed sent", batch.tag)
            return None
        raise
