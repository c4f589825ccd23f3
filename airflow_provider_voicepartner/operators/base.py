"""What the sending operators share: one way from rendered arguments to a campaign, and from its records to a report."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow_provider_voicepartner.compat import AirflowSkipException, BaseOperator, Picklable, conf
from airflow_provider_voicepartner.constants import DEFER_FROM, LONGEST_SLEEP, MAX_IN_FLIGHT
from airflow_provider_voicepartner.contacts.names import references_in
from airflow_provider_voicepartner.exceptions import (
    CampaignInterruptedError,
    OutcomePendingError,
    RetryableNotSentError,
)
from airflow_provider_voicepartner.operators.redacted import PrivateFields
from airflow_provider_voicepartner.sending.cancellation import CancellationToken

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_voicepartner.compat import Context
    from airflow_provider_voicepartner.db.transactions import Store
    from airflow_provider_voicepartner.gateways.model import Kind, Message, Purpose
    from airflow_provider_voicepartner.hooks.base import GatewayHook
    from airflow_provider_voicepartner.operators.planning import SendingArguments
    from airflow_provider_voicepartner.operators.waiting import TimeLimit
    from airflow_provider_voicepartner.sending.ledger import Ledger, OnUnknown
    from airflow_provider_voicepartner.sending.plan import CampaignPlan
    from airflow_provider_voicepartner.sending.report import CampaignReport

OnInvalid = Literal["fail", "skip"]
OnEmpty = Literal["fail", "skip"]
OnLate = Literal["fail", "send_now"]

WAIT_IS_OVER = {"status": "due"}
"""The event of a trigger that waited for the rate limit."""


class SendingOperator(PrivateFields, Picklable, BaseOperator):
    """
    Base of the operators that send.

    :param conn_id: the Airflow connection; its type picks the gateway.
    :param to: recipients: a number, an ``@name`` of the contacts, a comma-separated text or a list of these, a list of
        dicts with ``phone_number`` and personal fields, a data frame, or the path or URI of a CSV, JSON lines, Parquet
        or Excel file with such columns. Any number of recipients, sent in batches of up to 500.
    :param column: the column, or field of dicts, with the phone number: by name, or by zero-based index for CSV, Excel
        and rows of a query.
    :param header: for CSV and Excel files: whether the first row holds column names; None means yes when ``column`` is
        a name.
    :param encoding: encoding of CSV and JSON lines; None is UTF-8. A French Excel writes ``cp1252``.
    :param sender: sender ID or caller ID, if the gateway allows one.
    :param send_at: when to send: an aware datetime, or ISO 8601 text with an offset. None sends at once.
    :param on_late: what to do with batches that are not sent when ``send_at`` passes: ``fail``, or ``send_now``, which
        sends them at once.
    :param purpose: ``alert`` (transactional) or ``marketing``.
    :param options: gateway-specific settings under snake_case names; see the documentation of each gateway.
    :param on_invalid: ``fail`` refuses the whole list if one recipient is invalid; ``skip`` leaves invalid ones out and
        counts them.
    :param rejects_path: path or URI of a CSV file for the invalid rows.
    :param on_empty: what to do when no recipient is left: ``fail``, or ``skip`` the task.
    :param on_unknown: what to do with a batch whose outcome is unknown, once the rest is sent:
        ``fail``, ``assume_sent`` (never twice, perhaps not at all), ``resend`` (perhaps twice) or ``resend_unlisted``
        (sent again when a gateway that lists sends by an id of ours, asked long enough afterwards, does not list it;
        twice if it lists late. As ``fail`` where the gateway's own check of repeats resolves the outcome).
    :param send_again: any text. A text that this run never had sends everything again, once, whatever earlier attempts
        sent. With the same text, an older one or None, an attempt resumes.
    :param max_cost: stop before the batch that would exceed it, in the account's currency.
    :param unit_price: price per recipient: of one call, or of a one-segment SMS (each segment of a longer one counts).
        For gateways that report no price before sending; if one does, its price is used.
    :param dry_run: do everything but send: planning, rate limiter, budget. It ends with the gateway's
        simulation if there is one; the report's ``dry_run`` says which.
    :param max_in_flight: most batches in flight at once, from 1.
    :param deferrable: wait in the triggerer, without holding a worker, if the rate limiter asks for 30 s or
        more, or while the gateway may still find out about a batch in doubt; default
        ``[operators] default_deferrable``.
    :param region: country of numbers without a country code, as ISO 3166 code.
    :param wait_for_completion: after sending, wait until every recipient has a final status, and add the counts to the
        report as ``delivery``; in the triggerer with ``deferrable``.
    :param completion: options of that wait, as the sensor's arguments of the same names: ``min_delivery_rate``,
        ``fail_fast``, ``report_path``, ``on_unconfirmed``, ``unconfirmed_after``, ``not_found_grace``,
        ``unlisted_grace``, ``poke_interval``.
    """

    kind: ClassVar[Kind]
    needs_mobile: ClassVar[bool] = False

    template_fields: Sequence[str] = (
        "conn_id", "to", "column", "header", "encoding", "sender", "send_at", "on_late", "purpose", "options",
        "on_invalid", "rejects_path", "on_empty", "on_unknown", "send_again",
        "max_cost", "unit_price", "is_dry_run", "max_in_flight", "region", "wait_for_completion",
        "completion",
    )  # fmt: skip
    ui_color = "#d8f0ea"

    def __init__(
        self,
        *,
        conn_id: str,
        to: Any,
        column: str | int = "phone_number",
        header: bool | str | None = None,
        encoding: str | None = None,
        sender: str | None = None,
        send_at: datetime | str | None = None,
        on_late: OnLate = "fail",
        purpose: Purpose = "alert",
        options: dict[str, Any] | None = None,
        on_invalid: OnInvalid = "fail",
        rejects_path: str | None = None,
        on_empty: OnEmpty = "fail",
        on_unknown: OnUnknown = "fail",
        send_again: str | None = None,
        max_cost: Any = None,
        unit_price: Any = None,
        dry_run: bool | str = False,
        max_in_flight: int | str = MAX_IN_FLIGHT,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        region: str = "FR",
        wait_for_completion: bool | str = False,
        completion: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if any(references_in(to, column)):
            # Inside, because most lists name nobody, and settings and contacts take as long to import as all the rest.
            from airflow_provider_voicepartner.hooks.contacts import check_contact_names

            check_contact_names(to, column)
        self.conn_id = conn_id
        self.to = to
        self.column = column
        self.header = header
        self.encoding = encoding
        self.sender = sender
        self.send_at = send_at
        self.on_late = on_late
        self.purpose = purpose
        self.options = options
        self.on_invalid = on_invalid
        self.rejects_path = rejects_path
        self.on_empty = on_empty
        self.on_unknown = on_unknown
        self.send_again = send_again
        self.max_cost = max_cost
        self.unit_price = unit_price
        self.is_dry_run = dry_run  # Airflow's own operators have a method dry_run
        self.max_in_flight = max_in_flight
        self.deferrable = deferrable
        self.region = region
        self.wait_for_completion = wait_for_completion
        self.completion = completion
        self._stop: CancellationToken | None = None
        self._is_resumed = False

    def _text_folders(self) -> list[str]:
        """Return the folders in which Airflow finds templates: a text may be meant as the path of one."""
        dag = self.get_dag()
        if dag is None:
            return []
        searched = dag.template_searchpath or []
        return [dag.folder, *([searched] if isinstance(searched, str) else searched)]

    def sending_arguments(self) -> SendingArguments:
        """Return what the rendered arguments say about whom to send to, when, and at what price."""
        from airflow_provider_voicepartner.operators.planning import SendingArguments

        return SendingArguments(
            to=self.given("to"),
            column=self.column,
            header=self.header,
            encoding=self.encoding,
            region=self.region,
            kind=self.kind,
            needs_mobile=self.needs_mobile,
            on_invalid=self.on_invalid,
            on_empty=self.on_empty,
            rejects_path=self.rejects_path,
            report_path=self.completion.get("report_path") if isinstance(self.completion, Mapping) else None,
            send_at=self.send_at,
            on_late=self.on_late,
            on_unknown=self.on_unknown,
            send_again=self.send_again,
            max_cost=self.max_cost,
            unit_price=self.unit_price,
            max_in_flight=self.max_in_flight,
        )

    def message_to_send(self) -> Message:
        """Build the message from rendered arguments; each operator its own."""
        raise NotImplementedError

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Send the campaign, or what an earlier attempt left of it; wait for its end where that is asked for.

        :returns: the report, see :class:`~airflow_provider_voicepartner.sending.report.CampaignReport`.
        """
        # One for each attempt: Airflow copies operators, and a cancelled token stays cancelled.
        self._stop = CancellationToken()
        report = self._send(context)
        if self._waits and not report.dry_run:
            return self._wait(report, context)
        if self._is_resumed:
            # Replaces what was pushed before the wait; Airflow drops the XCom of an attempt that is tried again.
            self._push(report, context)
        return report.to_json()

    def _push(self, report: CampaignReport, context: Context) -> None:
        from airflow_provider_voicepartner.operators.waiting import REPORT_KEY

        context["ti"].xcom_push(key=REPORT_KEY, value=report.to_json())

    @property
    def _waits(self) -> bool:
        from airflow_provider_voicepartner.sending.arguments import read_flag

        return read_flag("wait_for_completion", self.wait_for_completion)

    def _send(self, context: Context) -> CampaignReport:
        from airflow_provider_voicepartner.db.transactions import StoreRetry
        from airflow_provider_voicepartner.operators.ledger import repeated_transactions, task_ledger
        from airflow_provider_voicepartner.operators.waiting import TimeLimit
        from airflow_provider_voicepartner.settings import open_sending_store, store_wait

        # Airflow restarts the time limit after each wait; ours keeps running, also while a store is away.
        time_limit = TimeLimit.of(self.execution_timeout if self._is_resumed else None, context)
        sleep = CancellationToken(lambda: self._is_stopped or time_limit.is_over).sleeper(time.sleep)
        try:
            # First of all: an attempt that fails before it has planned is then known to have sent nothing. One that
            # cannot register leaves the next one blind, before Airflow 3.3.
            with closing(open_sending_store(StoreRetry(seconds=store_wait(), sleep=sleep))) as store:
                ledger = task_ledger(
                    context, store, is_resumed=self._is_resumed, patiently=repeated_transactions(sleep)
                )
                if self._may_wait_in_triggerer(ledger):
                    # Where a try is never cut into parts, Airflow's own clock is right.
                    time_limit = TimeLimit.of(self.execution_timeout, context)
                time_limit.check()
                try:
                    return self._send_the_rest(context, store, ledger, time_limit)
                except (RetryableNotSentError, OutcomePendingError) as error:
                    self._wait_in_triggerer(error, ledger, time_limit)
                    raise
        except CampaignInterruptedError:
            time_limit.check()
            raise

    def _send_the_rest(
        self, context: Context, store: Store, ledger: Ledger, time_limit: TimeLimit
    ) -> CampaignReport:
        """Plan the campaign, and send what the ledger does not know as sent."""
        from airflow_provider_voicepartner.hooks.dry_run import warn_of_a_trial
        from airflow_provider_voicepartner.operators.contacts import with_numbers
        from airflow_provider_voicepartner.operators.ledger import refuse_unshared_lists
        from airflow_provider_voicepartner.operators.planning import plan_of, why_skipped
        from airflow_provider_voicepartner.operators.sending import (
            campaign_of,
            send_campaign,
            warn_of_a_long_campaign,
        )
        from airflow_provider_voicepartner.operators.waiting import check_that_results_can_come
        from airflow_provider_voicepartner.sending.arguments import read_flag, read_send_again
        from airflow_provider_voicepartner.sending.fingerprint import account_key

        dry_run = read_flag("dry_run", self.is_dry_run)
        if not dry_run:
            refuse_unshared_lists(context, ledger)
        longest_wait = LONGEST_SLEEP if self._may_wait_in_triggerer(ledger) else None
        with closing(self._hook()) as hook:
            hook.check_connection()
            if not dry_run:
                warn_of_a_trial(hook)
            if self._waits:
                check_that_results_can_come(hook, self.completion)
            if longest_wait is not None:
                hook.sender.retry = replace(hook.sender.retry, longest_wait=longest_wait)
            elif not ledger.is_durable:
                # A retry would not know what was sent, so any wait that the gateway asks for happens here.
                hook.sender.retry = replace(hook.sender.retry, longest_wait=math.inf)
            message = hook.with_defaults(self.message_to_send())
            arguments, names = with_numbers(self.sending_arguments(), hook, ledger)
            plan = plan_of(arguments, hook, message)
            if plan is not None:
                self._log_left_out(plan)
            if plan is None or not plan.recipients:
                if not dry_run:
                    # An empty list is changed input like any other, where a longer one was begun before.
                    ledger.open("", 0, send_again=read_send_again(self.send_again))
                raise AirflowSkipException(why_skipped(plan))
            account = account_key(hook.conn_type, hook.credentials)
            campaign = campaign_of(
                arguments,
                message,
                plan,
                longest_wait=longest_wait,
                account=account,
                names=names,
                shortest_lead=hook.gateway.INFO.shortest_lead,
            )
            limit = self.execution_timeout.total_seconds() if self.execution_timeout else None
            warn_of_a_long_campaign(plan, hook, message, limit=limit, send_at=campaign.send_at)
            # A campaign that fails cancels its token for good, so it has one of its own.
            stop = CancellationToken(lambda: self._is_stopped or time_limit.is_over)
            report = send_campaign(
                campaign, plan, hook, context, ledger=ledger, store=store, stop=stop, dry_run=dry_run
            )
            self._log_report(report, hook.gateway.INFO.label)
            return report

    @property
    def _is_stopped(self) -> bool:
        return self._stop is not None and self._stop.is_cancelled

    def _wait(self, report: CampaignReport, context: Context) -> dict[str, Any]:
        """Wait until the campaign is complete; before that, push the report, where a person finds the ids."""
        from airflow_provider_voicepartner.hooks.completion import CompletionCheck
        from airflow_provider_voicepartner.operators.waiting import read_completion, wait_here, with_delivery

        options, interval = read_completion(self.completion)
        self._push(report, context)
        completion = CompletionCheck(report, options)
        try:
            if self.deferrable:
                from airflow_provider_voicepartner.triggers.campaign import CampaignCompletionTrigger

                trigger = CampaignCompletionTrigger.of(completion, poke_interval=interval)
                return self.defer(trigger=trigger, method_name="execute_complete")
            return with_delivery(report, wait_here(completion, interval, self._stop or CancellationToken()))
        finally:
            completion.close()

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """
        Go on after the triggerer: send the rest once a wait for the rate limit is over, or judge what became of all.

        :raises WaitGivenUpError: the trigger could not wait, or it is another event than the triggers'.
        """
        return self.resume(context, event) if event == WAIT_IS_OVER else self.complete(context, event)

    def complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """
        Judge what the trigger found out about the campaign that was sent before.

        Tasks that an earlier version deferred are resumed by this name.

        :raises WaitGivenUpError: the trigger could not wait, or it is another event than the trigger's.
        """
        from airflow_provider_voicepartner.hooks.completion import CompletionCheck
        from airflow_provider_voicepartner.operators.waiting import (
            pushed_report,
            read_completion,
            with_delivery,
        )

        report = pushed_report(context["ti"])
        completion = CompletionCheck(report, read_completion(self.completion)[0])
        try:
            return with_delivery(report, completion.judge_event(event))
        finally:
            completion.close()

    def on_kill(self) -> None:
        """Claim nothing more; requests in flight are recorded if they are answered in time."""
        if self._stop is not None:
            self._stop.cancel()

    def resume(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """
        Go on after a wait in the triggerer; the ledger knows what was sent before it.

        Tasks that an earlier version deferred are resumed by this name.

        :raises ValueError: for any event but that the wait is over.
        """
        if event != WAIT_IS_OVER:
            raise ValueError(f"unexpected trigger event {event!r}")
        self._is_resumed = True
        try:
            return self.execute(context)
        finally:
            # ``dag.test`` goes on with this very operator when it tries again.
            self._is_resumed = False

    def _wait_in_triggerer(
        self, error: RetryableNotSentError | OutcomePendingError, ledger: Ledger, time_limit: TimeLimit
    ) -> None:
        """
        Hand a long wait to the triggerer; return where that is not wanted or would lose what was sent.

        :raises AirflowTaskTimeout: nothing is left of ``execution_timeout``; what is left also ends the wait.
        """
        wait = error.retry_after
        if wait is None or wait < DEFER_FROM or not self._may_wait_in_triggerer(ledger):
            return
        time_limit.check()
        from airflow_provider_voicepartner.triggers.pacing import WaitUntilTrigger

        self.log.info("Waiting %.0f s in the triggerer: %s", wait, error)
        trigger = WaitUntilTrigger(time.time() + wait)
        self.defer(trigger=trigger, method_name="execute_complete", timeout=time_limit.left)

    def _may_wait_in_triggerer(self, ledger: Ledger) -> bool:
        """
        Say whether a wait may be handed over: without a memory the resumed task would not know what it sent.

        A dry run records nothing, so it would start over after each wait.
        """
        from airflow_provider_voicepartner.sending.arguments import read_flag

        return self.deferrable and ledger.is_durable and not read_flag("dry_run", self.is_dry_run)

    def _hook(self) -> GatewayHook:
        from airflow_provider_voicepartner.hooks.registry import hook_for

        return hook_for(self.conn_id, kind=self.kind, who=type(self).__name__)

    def _log_left_out(self, plan: CampaignPlan) -> None:
        if plan.invalid or plan.duplicates:
            self.log.warning("Skipped %d invalid and %d duplicate recipients", plan.invalid, plan.duplicates)
        for row in plan.describe_rejected():
            self.log.warning("%s", row)

    def _log_report(self, report: CampaignReport, gateway: str) -> None:
        how = f" (dry run, {report.dry_run}: nothing was sent)" if report.dry_run else ""
        twice = (
            f"; {report.perhaps_twice} recipients were sent to again while in doubt, perhaps for the second time"
            if report.perhaps_twice
            else ""
        )
        cost = "not known" if report.cost is None else f"{report.cost} {report.currency}"
        self.log.info("%s%s: %s; cost %s%s", gateway, how, dict(report.counts), cost, twice)
