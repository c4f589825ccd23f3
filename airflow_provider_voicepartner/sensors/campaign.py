"""Wait until a campaign is complete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseSensorOperator, PokeReturnValue

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_voicepartner.delivery.completion import Progress
    from airflow_provider_voicepartner.gateways.model import DeliveryReport

NOT_FOUND_GRACE = 300.0
UNLISTED_GRACE = 3600.0


class CampaignCompletionSensor(BaseSensorOperator):
    """
    Wait until every recipient that the gateway accepted has a final delivery status.

    Works by polling, in ``poke`` and ``reschedule`` mode, for SMS Partner. Voice Partner and Octopush tell results only
    by calling a URL; for those the sensor fails at once and says so. Reports may take up to 48 hours; a
    ``poke_interval`` of 30 to 60 s is kind to the gateway.

    :param campaign: the report that a send operator returned; pass its ``output``.
    :param conn_id: another connection than the report's; templated.
    :param min_delivery_rate: fail when a smaller share than this (0 to 1) of the accepted recipients got it.
    :param fail_fast: fail as soon as ``min_delivery_rate`` can no longer be reached.
    :param report_path: path or URI of a CSV file to write one line a recipient to, once complete:
        ``phone_number,status,gateway_status,at``. It holds numbers: keep it where only those may read who should.
    :param not_found_grace: seconds after sending during which the gateway may not know the campaign yet.
    :param unlisted_grace: seconds after sending from which accepted recipients whom the gateway does not list at all,
        while all that it does list are final, count as unconfirmed; until then they are waited for. An empty list is
        never complete.
    """

    template_fields: Sequence[str] = (
        "campaign", "conn_id", "min_delivery_rate", "report_path",
    )  # fmt: skip
    ui_color = "#e4e8f7"

    def __init__(
        self,
        *,
        campaign: Any,
        conn_id: str | None = None,
        min_delivery_rate: float | str | None = None,
        fail_fast: bool = False,
        report_path: str | None = None,
        not_found_grace: float = NOT_FOUND_GRACE,
        unlisted_grace: float = UNLISTED_GRACE,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.campaign = campaign
        self.conn_id = conn_id
        self.min_delivery_rate = min_delivery_rate
        self.fail_fast = fail_fast
        self.report_path = report_path
        self.not_found_grace = not_found_grace
        self.unlisted_grace = unlisted_grace

    def poke(self, context: Context) -> bool | PokeReturnValue:
        """
        Ask the gateway once.

        :returns: when complete, the counts by status with ``expected`` and ``delivery_rate``, as XCom.
        :raises DeliveryUnconfirmedError: when the gateway tells results only by callback.
        :raises DeliveryFailedError: when fewer got it than ``min_delivery_rate`` demands.
        """
        from airflow_provider_voicepartner.delivery.completion import Progress
        from airflow_provider_voicepartner.sending.report import read_report
        from airflow_provider_voicepartner.sensors.polling import poll

        rate, campaign = self._demanded_rate(), read_report(self.campaign)
        if campaign.dry_run:
            self.log.info("A dry run: nothing was sent, so there is nothing to wait for")
            return PokeReturnValue(is_done=True, xcom_value=Progress.of_reports((), expected=0).to_json())
        progress, reports = poll(
            campaign,
            conn_id=self.conn_id,
            not_found_grace=self.not_found_grace,
            unlisted_grace=self.unlisted_grace,
        )
        self.log.info("Campaign: %s", progress)
        if not progress.is_complete:
            if self.fail_fast and rate is not None and progress.best_possible_rate < rate:
                self._fail(progress, rate)
            return False
        self._write(reports)
        if rate is not None and progress.delivery_rate < rate:
            self._fail(progress, rate)
        return PokeReturnValue(is_done=True, xcom_value=progress.to_json())

    def _demanded_rate(self) -> float | None:
        from airflow_provider_voicepartner.exceptions import ConfigurationError

        if self.min_delivery_rate in (None, "", "None"):
            return None
        try:
            rate = float(self.min_delivery_rate)
        except (TypeError, ValueError):
            rate = -1.0
        if not 0 <= rate <= 1:
            raise ConfigurationError(
                f"min_delivery_rate: {self.min_delivery_rate!r} is not a share from 0 to 1, such as 0.95"
            )
        return rate

    def _fail(self, progress: Progress, rate: float) -> None:
        from airflow_provider_voicepartner.exceptions import DeliveryFailedError

        raise DeliveryFailedError(
            f"min_delivery_rate: {rate:.2%} demanded, {progress.delivery_rate:.2%} reached: {progress}"
        )

    def _write(self, reports: Sequence[DeliveryReport]) -> None:
        if self.report_path:
            from airflow_provider_voicepartner.hooks.storage import write_delivery_reports

            write_delivery_reports(self.report_path, reports)
