"""Cancel a scheduled campaign."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_voicepartner.compat import BaseOperator
from airflow_provider_voicepartner.hooks.picklable import Picklable
from airflow_provider_voicepartner.hooks.rendering import StrictTemplates

if TYPE_CHECKING:
    from airflow_provider_voicepartner.compat import Context


class CancelCampaignOperator(Picklable, StrictTemplates, BaseOperator):
    """
    Cancel every batch of a scheduled campaign.

    SMS Partner cancels until 5 minutes before the planned time. Octopush cancels campaigns of fewer than 3 recipients,
    until 10 minutes before, at most 1,000 times a month. Voice Partner refunds the credit.

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
        """
        from airflow_provider_voicepartner.hooks.registry import hook_for
        from airflow_provider_voicepartner.operators.cancelling import cancel_batches
        from airflow_provider_voicepartner.sending.arguments import is_left_out, read_choice
        from airflow_provider_voicepartner.sending.report import read_report

        report = read_report(self.campaign)
        on_too_late = read_choice("on_too_late", self.on_too_late, ("fail", "ignore"))
        conn_id = report.conn_id if self.conn_id is None or is_left_out(self.conn_id) else self.conn_id
        hook = hook_for(conn_id, kind=report.kind, who=type(self).__name__)
        try:
            report.check_gateway(hook.conn_type)
            result = cancel_batches(report, hook, ignore_too_late=on_too_late == "ignore")
        finally:
            hook.close()
        self.log.info("Cancelled: %s", result)
        return result
