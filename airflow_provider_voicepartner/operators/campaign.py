"""Cancel a scheduled campaign: all of its batches that can be cancelled."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_voicepartner.compat import BaseOperator, Context, Picklable
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.exceptions import (
    ConfigurationError,
    NotSentError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
    VoicePartnerProviderError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.hooks.templates import StrictTemplates

if TYPE_CHECKING:
    from airflow_provider_voicepartner.hooks.base import GatewayHook
    from airflow_provider_voicepartner.sending.report import CampaignReport, SentBatch


log = logging.getLogger(__name__)


class CancelCampaignOperator(Picklable, StrictTemplates, BaseOperator):
    """
    Cancel every batch of a scheduled campaign.

    Until when a campaign can be cancelled, how large it may be, and whether credit comes back depends on the gateway:
    see docs/gateways.md.

    :param campaign: the report of a sending operator; pass its ``output``.
    :param conn_id: a connection other than the report's; templated.
    :param on_too_late: ``fail`` if a batch can no longer be cancelled, or ``ignore``, which counts it in the result.
        The other batches are cancelled either way.
    """

    template_fields: Sequence[str] = ("campaign", "conn_id", "on_too_late")
    ui_color = "#f6e3d3"

    def __init__(
        self,
        *,
        campaign: Any,
        conn_id: str | None = None,
        on_too_late: str = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.campaign = campaign
        self.conn_id = conn_id
        self.on_too_late = on_too_late

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Cancel batch by batch.

        :returns: ``{"cancelled": n, "already_cancelled": n, "too_late": n, "refunded": "1.8" or None}``.
        :raises RejectedError: when a batch cannot be cancelled; those that can were cancelled.
        :raises StoreUnavailableError: the batches of a large campaign cannot be read now; nothing was cancelled.
        """
        from airflow_provider_voicepartner.hooks.delivery import with_stored_batches
        from airflow_provider_voicepartner.hooks.registry import hook_for
        from airflow_provider_voicepartner.sending.arguments import is_left_out, read_choice
        from airflow_provider_voicepartner.sending.report import read_report

        report = read_report(self.campaign)
        on_too_late = read_choice("on_too_late", self.on_too_late, ("fail", "ignore"))
        conn_id = report.conn_id if self.conn_id is None or is_left_out(self.conn_id) else self.conn_id
        hook = hook_for(conn_id, kind=report.kind, who=type(self).__name__)
        try:
            report.check_gateway(hook.conn_type)
            result = cancel_batches(
                with_stored_batches(report), hook, ignore_too_late=on_too_late == "ignore"
            )
        finally:
            hook.close()
        self.log.info("Cancelled: %s", result)
        return result


def cancel_batches(report: CampaignReport, hook: GatewayHook, *, ignore_too_late: bool) -> dict[str, Any]:
    """
    Cancel every batch; one that cannot be cancelled does not stop the others. A dry run has none.

    :raises VoicePartnerProviderError: the first failure, after all batches were tried; retryable ones first.
    :raises ConfigurationError: when a batch has no id, so that it cannot be named to the gateway.
    """
    counts = {"cancelled": 0, "already_cancelled": 0, "too_late": 0}
    if report.dry_run:
        return {**counts, "refunded": None}
    refunds: list[Decimal] = []
    failures: list[VoicePartnerProviderError] = []
    cancelled_batches: list[SentBatch] = []
    # A batch whose recipients were all refused has no id either, and nothing to cancel.
    nameless = sum(batch.gateway_id is None and batch.accepted > 0 for batch in report.batches)
    for batch in report.batches:
        if batch.gateway_id is None:
            continue
        try:
            answer = hook.cancel_campaign(batch.gateway_id, kind=report.kind)
        except (NotSentError, SendOutcomeUnknownError) as error:
            if ignore_too_late and getattr(error, "kind", None) is ErrorKind.TOO_LATE:
                counts["too_late"] += 1
            else:
                failures.append(error)
            continue
        counts["already_cancelled" if answer.already else "cancelled"] += 1
        cancelled_batches.append(batch)
        if answer.refunded is not None:
            refunds.append(answer.refunded)
    _store_cancellations(report.gateway, cancelled_batches)
    if failures:
        raise next((error for error in failures if isinstance(error, RetryableNotSentError)), failures[0])
    if nameless:
        raise ConfigurationError(
            f"campaign: {nameless} batches have no id of the gateway (their answers were lost); cancel them there"
        )
    return {**counts, "refunded": str(sum(refunds, Decimal(0))) if refunds else None}


def _store_cancellations(gateway: str, batches: Sequence[SentBatch]) -> None:
    """Store that batches were cancelled: gateways do not report it, and somebody may wait for the outcome."""
    from airflow_provider_voicepartner.delivery.inbound import cancelled, of_gateway_id, of_reference
    from airflow_provider_voicepartner.settings import open_delivery_store

    now = time.time()
    keys = [
        of_reference(gateway, batch.reference)
        if batch.reference
        else of_gateway_id(gateway, str(batch.gateway_id))
        for batch in batches
    ]
    if not keys:
        return
    try:
        store = open_delivery_store()
        try:
            store.write([cancelled(key, received_at=now) for key in keys])
        finally:
            store.close()
    except (ConfigurationError, StoreUnavailableError) as error:
        log.warning(
            "The cancellation could not be stored, so a sensor that waits for the campaign will not see it: %s",
            error,
        )
