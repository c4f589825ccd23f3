"""
Wait until a campaign is complete.

A wait ends as Airflow's own loop of pokes would end it, whichever Airflow resumes the sensor.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NoReturn

from airflow_provider_voicepartner.compat import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseSensorOperator,
    Context,
    Picklable,
    PokeReturnValue,
    conf,
)
from airflow_provider_voicepartner.constants import NOT_FOUND_GRACE, SENSOR_GRACE, UNLISTED_GRACE
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.exceptions import WaitGivenUpError
from airflow_provider_voicepartner.hooks.templates import StrictTemplates

if TYPE_CHECKING:
    from airflow_provider_voicepartner.hooks.completion import CompletionCheck
    from airflow_provider_voicepartner.sending.report import CampaignReport


FAIL_METHOD: Final = "__fail__"
"""What Airflow resumes instead of a method, when the triggerer failed or a deferral took too long."""


def ending(error: BaseException, *, soft_fail: bool, never_fail: bool) -> BaseException:
    """
    Return what a sensor raises for an error.

    Airflow's loop: a time-out is skipped for ``soft_fail`` only; what fails a task at once for both; any other error
    for ``never_fail`` only. A wait that was given up has no counterpart there, and is skipped for both.
    """
    if isinstance(error, AirflowSkipException):
        return error
    if isinstance(error, AirflowSensorTimeout):
        skips = soft_fail
    elif isinstance(error, AirflowFailException | AirflowTaskTimeout | WaitGivenUpError):
        skips = soft_fail or never_fail
    else:
        skips = never_fail
    if not skips:
        return error
    return AirflowSkipException(f"{'soft_fail' if soft_fail else 'never_fail'}: {type(error).__name__}")


def why_deferral_failed(
    next_kwargs: Mapping[str, Any] | None, *, timeout: float, execution_timeout: timedelta | None
) -> BaseException:
    """
    Return the error that a poke would have met where Airflow ends a deferral by itself.

    :param next_kwargs: as Airflow gives them with ``__fail__``: ``error`` and perhaps ``traceback``.
    :param timeout: of the sensor, in seconds.
    """
    said = str((next_kwargs or {}).get("error") or "unknown reason")
    if "timeout" not in said.lower():
        return WaitGivenUpError(f"the triggerer could not wait: {said}")
    if execution_timeout is not None and execution_timeout.total_seconds() <= timeout:
        return AirflowTaskTimeout(f"execution_timeout: the wait took longer than {execution_timeout}")
    return timed_out(timeout)


def timed_out(timeout: float, progress: object = None) -> Exception:
    """Return the error of a sensor whose ``timeout`` is over; Airflow never retries it."""
    far = "" if progress is None else f": {progress}"
    return AirflowSensorTimeout(f"timeout: the campaign is not complete after {timeout:g} s{far}")


class CampaignCompletionSensor(Picklable, StrictTemplates, BaseSensorOperator):
    """
    Wait until every recipient that the gateway accepted has a final delivery status.

    A gateway that can be polled is polled, and its callbacks count too. Others report results only by calling a URL,
    which the receiver serves; without a receiver the sensor fails at once and says so. Reports may take up to 48 hours;
    a ``poke_interval`` of 30 to 60 s suffices.

    :param campaign: the report of a sending operator; pass its ``output``.
    :param conn_id: a connection other than the report's; templated.
    :param min_delivery_rate: fail if less than this share (0 to 1) of the accepted recipients got it.
    :param fail_fast: fail as soon as ``min_delivery_rate`` can no longer be reached.
    :param report_path: path or URI of a CSV file, written once complete, one line per recipient:
        ``phone_number,status,gateway_status,at``. It contains numbers in clear: restrict who may read it.
    :param on_unconfirmed: what to do when a recipient's result was never reported: ``fail``, or ``succeed``.
    :param unconfirmed_after: seconds after sending (or the planned time) after which recipients without a report are
        unconfirmed, and no longer waited for; None is 72 hours for SMS, 24 for calls and voicemail.
    :param not_found_grace: seconds after sending during which the gateway may not know the campaign yet.
    :param unlisted_grace: seconds after sending after which accepted recipients whom the gateway does not list at all,
        while all that it lists are final, count as unconfirmed. An empty list is never complete.
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
        """Wait here; with ``deferrable``, check once and then wait in the triggerer."""
        if not self.deferrable:
            return super().execute(context)
        deadline = time.time() + self.timeout
        first = self._first_poke(context)
        if first:
            return first.xcom_value if isinstance(first, PokeReturnValue) else None
        return self._hand_over(deadline)

    def _hand_over(self, deadline: float) -> Any:
        """Wait in the triggerer up to a moment, in Unix seconds."""
        from airflow_provider_voicepartner.triggers.campaign import CampaignCompletionTrigger

        completion = self.completion_check(self.campaign_report())
        try:
            trigger = CampaignCompletionTrigger.of(
                completion, poke_interval=self.poke_interval, deadline=deadline
            )
        finally:
            completion.close()
        left = max(0.0, deadline - time.time()) + SENSOR_GRACE
        return self.defer(trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=left))

    def _first_poke(self, context: Context) -> bool | PokeReturnValue:
        """Poke as Airflow's own loop does, with its handling of errors."""
        try:
            return self.poke(context)
        except Exception as error:
            if self._goes_on_after(error):
                return False
            self._end(error)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> Any:
        """
        Judge what the trigger found, in the same way as a poke does.

        :raises AirflowSensorTimeout: the campaign is not complete after ``timeout``.
        :raises WaitGivenUpError: the trigger could not wait, or it is another event than the trigger's.
        """
        completion = self.completion_check(self.campaign_report())
        try:
            if isinstance(event, dict) and event.get("status") == "timeout":
                return self._final_check(completion)
            return completion.judge_event(event)
        except Exception as error:
            deadline = event.get("deadline") if isinstance(event, dict) else None
            if isinstance(deadline, int | float) and self._goes_on_after(error):
                return self._hand_over(deadline)
            self._end(error)
        finally:
            completion.close()

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after a deferral; not as Airflow does, whose versions make different things of ``soft_fail`` here."""
        if next_method == FAIL_METHOD:
            traceback = (next_kwargs or {}).get("traceback")
            if traceback:
                self.log.error("Trigger failed:\n%s", "\n".join(traceback))
            error = why_deferral_failed(
                next_kwargs, timeout=self.timeout, execution_timeout=self.execution_timeout
            )
            self._end(error)
        return getattr(self, next_method)(context, **(next_kwargs or {}))

    def _end(self, error: BaseException) -> NoReturn:
        """Raise an error, or the skip that replaces it."""
        never_fail = bool(getattr(self, "never_fail", False))
        end = ending(error, soft_fail=bool(self.soft_fail), never_fail=never_fail)
        if end is error:
            raise error
        raise end from error

    def _goes_on_after(self, error: Exception) -> bool:
        """Say whether ``silent_fail`` lets the sensor go on after an error, as Airflow's loop does."""
        final = AirflowFailException | AirflowSensorTimeout | AirflowSkipException | AirflowTaskTimeout
        if not getattr(self, "silent_fail", False) or isinstance(error, final):
            return False
        self.log.error("Sensor poke failed", exc_info=error)
        return True

    def _final_check(self, completion: CompletionCheck) -> dict[str, Any]:
        """Check once more before the time-out counts, as Airflow's loop does."""
        try:
            progress = completion.check()
        except StoreUnavailableError as error:
            raise timed_out(self.timeout, f"the store cannot be used: {error}") from error
        result = completion.judge(progress)
        if result is None:
            raise timed_out(self.timeout, progress)
        return result

    def poke(self, context: Context) -> bool | PokeReturnValue:
        """
        Check once.

        :returns: when complete, the counts by status with ``expected`` and ``delivery_rate``, as XCom.
        :raises DeliveryUnconfirmedError: the gateway reports only by callback and none can come; or a recipient is
            unconfirmed in the end, and ``on_unconfirmed`` is ``fail``.
        :raises DeliveryFailedError: when fewer got the message than ``min_delivery_rate`` requires.
        """
        from airflow_provider_voicepartner.delivery.completion import Progress

        report = self.campaign_report()
        completion = self.completion_check(report)
        if report.dry_run:
            self.log.info("A dry run sent nothing, so there is nothing to wait for")
            nothing = Progress.of_batches((), {})
            return PokeReturnValue(is_done=True, xcom_value=nothing.to_json())
        try:
            completion.validate()
            progress = completion.check()
            self.log.info("Campaign: %s", progress)
            result = completion.judge(progress)
        except StoreUnavailableError as error:
            self.log.warning("The store could not be read, will try again: %s", error)
            return False
        finally:
            completion.close()
        return False if result is None else PokeReturnValue(is_done=True, xcom_value=result)

    def campaign_report(self) -> CampaignReport:
        """Read ``campaign``, once it is rendered."""
        from airflow_provider_voicepartner.sending.report import read_report

        return read_report(self.campaign)

    def completion_check(self, report: CampaignReport) -> CompletionCheck:
        """Return what asks how far a campaign is, as this sensor's arguments say."""
        from airflow_provider_voicepartner.hooks.completion import CompletionCheck
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
        return CompletionCheck(report, options)
