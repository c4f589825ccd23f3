"""Wait until a campaign is complete."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_voicepartner.hooks.picklable import Picklable
from airflow_provider_voicepartner.hooks.rendering import StrictTemplates

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_voicepartner.hooks.completion import CampaignWatch
    from airflow_provider_voicepartner.sending.report import CampaignReport

NOT_FOUND_GRACE = 300.0
UNLISTED_GRACE = 3600.0


class CampaignCompletionSensor(Picklable, StrictTemplates, BaseSensorOperator):
    """
    Wait until every recipient that the gateway accepted has a final delivery status.

    SMS Partner is asked, and may call back too: whichever tells first. Voice Partner and Octopush tell results only by
    calling a URL, which the receiver serves; where none is configured the sensor fails at once and says so. Reports may
    take up to 48 hours; a ``poke_interval`` of 30 to 60 s is kind to the gateway.

    :param campaign: the report that a send operator returned; pass its ``output``.
    :param conn_id: another connection than the report's; templated.
    :param min_delivery_rate: fail when a smaller share than this (0 to 1) of the accepted recipients got it.
    :param fail_fast: fail as soon as ``min_delivery_rate`` can no longer be reached.
    :param report_path: path or URI of a CSV file to write one line a recipient to, once complete:
        ``phone_number,status,gateway_status,at``. It holds numbers: keep it where only those may read who should.
    :param on_unconfirmed: what to do when nobody told what became of somebody: ``fail``, or ``succeed``.
    :param unconfirmed_after: seconds after sending (or the planned time) from which those of whom nothing was told are
        unconfirmed, and no longer waited for; None is 72 hours for SMS, 24 for calls and voicemail.
    :param not_found_grace: seconds after sending during which the gateway may not know the campaign yet.
    :param unlisted_grace: seconds after sending from which accepted recipients whom the gateway does not list at all,
        while all that it does list are final, count as unconfirmed; until then they are waited for. An empty list is
        never complete.
    :param deferrable: wait in the triggerer, without holding a worker; default ``[operators] default_deferrable``.
    """

    template_fields: Sequence[str] = (
        "campaign", "conn_id", "min_delivery_rate", "report_path", "on_unconfirmed",
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
        on_unconfirmed: str = "fail",
        unconfirmed_after: float | None = None,
        not_found_grace: float = NOT_FOUND_GRACE,
        unlisted_grace: float = UNLISTED_GRACE,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.campaign = campaign
        self.conn_id = conn_id
        self.min_delivery_rate = min_delivery_rate
        self.fail_fast = fail_fast
        self.report_path = report_path
        self.on_unconfirmed = on_unconfirmed
        self.unconfirmed_after = unconfirmed_after
        self.not_found_grace = not_found_grace
        self.unlisted_grace = unlisted_grace
        self.deferrable = deferrable

    def execute(self, context: Context) -> Any:
        """Wait: here, or after a first look in the triggerer."""
        if not self.deferrable:
            return super().execute(context)
        first = self._first_look(context)
        if first:
            return first.xcom_value if isinstance(first, PokeReturnValue) else None
        from airflow_provider_voicepartner.triggers.campaign import CampaignCompletionTrigger

        watch = self._watch(self._report())
        try:
            trigger = CampaignCompletionTrigger.of_watch(watch, poke_interval=self.poke_interval)
        finally:
            watch.close()
        return self.defer(
            trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=self.timeout)
        )

    def _first_look(self, context: Context) -> bool | PokeReturnValue:
        """Poke as Airflow's own loop does, which turns errors into what the sensor was told to make of them."""
        try:
            return self.poke(context)
        except AirflowSkipException:
            raise
        except Exception as error:
            if getattr(self, "silent_fail", False) and not isinstance(error, AirflowFailException):
                self.log.exception("Sensor poke failed")
                return False
            if self.soft_fail or getattr(self, "never_fail", False):
                raise AirflowSkipException("Skipping, as soft_fail or never_fail says") from error
            raise

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> Any:
        """
        Judge what the trigger found, in the same way as a poke does.

        :raises ValueError: for any other event than the trigger's.
        """
        watch = self._watch(self._report())
        try:
            return watch.judge_event(event)
        finally:
            watch.close()

    def poke(self, context: Context) -> bool | PokeReturnValue:
        """
        Look once.

        :returns: when complete, the counts by status with ``expected`` and ``delivery_rate``, as XCom.
        :raises DeliveryUnconfirmedError: the gateway tells results only by callback and none can come; or somebody is
            unconfirmed in the end, and ``on_unconfirmed`` is ``fail``.
        :raises DeliveryFailedError: when fewer got it than ``min_delivery_rate`` demands.
        """
        from airflow_provider_voicepartner.delivery.completion import Progress
        from airflow_provider_voicepartner.store.engine import StoreUnavailableError

        report = self._report()
        watch = self._watch(report)
        if report.dry_run:
            self.log.info("A dry run: nothing was sent, so there is nothing to wait for")
            nothing = Progress.of_batches((), {})
            return PokeReturnValue(is_done=True, xcom_value=nothing.to_json())
        try:
            watch.check()
            progress = watch.look()
            self.log.info("Campaign: %s", progress)
            result = watch.judge(progress)
        except StoreUnavailableError as error:
            self.log.warning("Could not look now, will look again: %s", error)
            return False
        finally:
            watch.close()
        return False if result is None else PokeReturnValue(is_done=True, xcom_value=result)

    def _report(self) -> CampaignReport:
        from airflow_provider_voicepartner.sending.report import read_report

        return read_report(self.campaign)

    def _watch(self, report: CampaignReport) -> CampaignWatch:
        from airflow_provider_voicepartner.hooks.completion import CampaignWatch
        from airflow_provider_voicepartner.hooks.completion_options import CompletionOptions

        options = CompletionOptions.read(
            conn_id=self.conn_id,
            min_delivery_rate=self.min_delivery_rate,
            fail_fast=self.fail_fast,
            report_path=self.report_path,
            on_unconfirmed=self.on_unconfirmed,
            unconfirmed_after=self.unconfirmed_after,
            not_found_grace=self.not_found_grace,
            unlisted_grace=self.unlisted_grace,
        )
        return CampaignWatch(report, options)
