"""Cancel the batches of a campaign, as many as can be."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_voicepartner.exceptions import (
    ConfigurationError,
    NotSentError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
    VoicePartnerProviderError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind

if TYPE_CHECKING:
    from airflow_provider_voicepartner.hooks.base import GatewayHook
    from airflow_provider_voicepartner.sending.report import CampaignReport


def cancel_batches(report: CampaignReport, hook: GatewayHook, *, ignore_too_late: bool) -> dict[str, Any]:
    """
    Cancel every batch; one that cannot be cancelled does not keep the others from it. Of a dry run there is none.

    :raises VoicePartnerProviderError: the first failure, after all batches were tried; one that a retry may mend first.
    :raises ConfigurationError: when a batch has no id, so that it cannot be named to the gateway.
    """
    counts = {"cancelled": 0, "already_cancelled": 0, "too_late": 0}
    if report.dry_run:
        return {**counts, "refunded": None}
    refunds: list[Decimal] = []
    failures: list[VoicePartnerProviderError] = []
    nameless = sum(batch.gateway_id is None for batch in report.batches)
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
        if answer.refunded is not None:
            refunds.append(answer.refunded)
    if failures:
        raise next((error for error in failures if isinstance(error, RetryableNotSentError)), failures[0])
    if nameless:
        raise ConfigurationError(
            f"campaign: {nameless} batches have no id of the gateway (their answers were lost); cancel them there"
        )
    return {**counts, "refunded": str(sum(refunds, Decimal(0))) if refunds else None}
