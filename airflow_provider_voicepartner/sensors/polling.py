"""Ask a gateway what became of a campaign, tolerating what passes by itself."""

from __future__ import annotations

import logging
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
    campaign: CampaignReport, *, conn_id: str | None, not_found_grace: float
) -> tuple[Progress, list[DeliveryReport]]:
    """
    Ask once for all batches of a campaign.

    A scheduled campaign is not asked about before its time. A gateway that cannot be reached, or that does not know the
    campaign yet, leaves its recipients pending.

    :param campaign: the report of a send operator.
    :param conn_id: another connection than the report's.
    :param not_found_grace: seconds after sending during which "not found" is tolerated.
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
        reports: list[DeliveryReport] = []
        if since is None or now >= since:
            young = since is not None and (now - since).total_seconds() < not_found_grace
            for batch in campaign.batches:
                reports += _ask(hook, batch, tolerate_not_found=young)
    finally:
        hook.close()
    named = sum(batch.accepted for batch in campaign.batches if batch.gateway_id is not None)
    nameless = sum(batch.accepted for batch in campaign.batches if batch.gateway_id is None)
    return Progress.of_reports(reports, expected=named + nameless, unconfirmed=nameless), reports


def _latest(*texts: str | None) -> datetime | None:
    moments = [datetime.fromisoformat(text) for text in texts if text]
    return max(moments, default=None)


def _ask(hook: GatewayHook, batch: SentBatch, *, tolerate_not_found: bool) -> tuple[DeliveryReport, ...]:
    if batch.gateway_id is None:
        return ()
    try:
        return hook.poll_delivery(batch.gateway_id)
    except RetryableNotSentError as error:
        log.warning("Could not ask now, will ask again: %s", error)
        return ()
    except SendOutcomeUnknownError:
        # The hook's word for an answer that cannot be read. This was a question, so it may be asked again.
        log.warning("The answer about %s cannot be read, will ask again", batch.gateway_id)
        return ()
    except RejectedError as error:
        if error.kind is ErrorKind.NOT_FOUND and tolerate_not_found:
            log.info("The gateway does not know %s yet", batch.gateway_id)
            return ()
        raise
