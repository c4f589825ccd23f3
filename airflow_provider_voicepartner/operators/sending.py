"""From a plan to a sent campaign and its report: the steps that ``execute`` names."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_voicepartner.constants import NETWORK_MARGIN
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.model import Recipient
from airflow_provider_voicepartner.hooks.dry_run import DryRun
from airflow_provider_voicepartner.hooks.rate_limiter import StoreRateLimiter
from airflow_provider_voicepartner.operators.ledger import comparing_lists, without_stored_batches
from airflow_provider_voicepartner.operators.planning import SendingArguments
from airflow_provider_voicepartner.operators.waiting import REPORT_KEY
from airflow_provider_voicepartner.sending.arguments import (
    literals,
    read_choice,
    read_count,
    read_money,
    read_send_again,
    read_send_at,
)
from airflow_provider_voicepartner.sending.batch import check_claim
from airflow_provider_voicepartner.sending.campaign import CampaignSender
from airflow_provider_voicepartner.sending.campaign_spec import Campaign, OnLate
from airflow_provider_voicepartner.sending.cancellation import CancellationToken
from airflow_provider_voicepartner.sending.ledger import Ledger, OnUnknown, Try
from airflow_provider_voicepartner.sending.plan import CampaignPlan
from airflow_provider_voicepartner.sending.records import BatchRecord, Phase
from airflow_provider_voicepartner.sending.report import CampaignReport, DryRunEnd
from airflow_provider_voicepartner.sending.reservations import estimate

if TYPE_CHECKING:
    from airflow_provider_voicepartner.compat import Context
    from airflow_provider_voicepartner.db.transactions import Store
    from airflow_provider_voicepartner.gateways.model import Message
    from airflow_provider_voicepartner.hooks.base import GatewayHook

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PlannedBatches:
    """The batches of a plan, as the loop reads them: the source is read again, and checked to be what was planned."""

    plan: CampaignPlan

    def __len__(self) -> int:
        """How many batches."""
        return self.plan.batch_count

    def __iter__(self) -> Iterator[Sequence[Recipient]]:
        """Batch by batch, from the first."""
        return (batch.recipients for batch in self.plan.batches())


def campaign_of(
    arguments: SendingArguments,
    message: Message,
    plan: CampaignPlan,
    *,
    longest_wait: float | None,
    account: bytes = b"",
    names: Mapping[str, Sequence[str]] | None = None,
    shortest_lead: timedelta = timedelta(0),
) -> Campaign:
    """
    Put an operator's arguments together.

    :param arguments: of the operator.
    :param longest_wait: seconds to wait for a slot before the campaign is handed back; None always waits.
    :param account: see :func:`~airflow_provider_voicepartner.sending.fingerprint.account_key`.
    :param names: whom the names of groups and rotas mean.
    :param shortest_lead: of the gateway.
    :raises ConfigurationError: naming the argument and the fix.
    """
    max_cost = read_money("max_cost", arguments.max_cost)
    if max_cost == 0:
        raise ConfigurationError(
            "max_cost: 0 allows nothing to be sent; give the most it may cost, or leave it out"
        )
    unit_price = read_money("unit_price", arguments.unit_price)
    if unit_price == 0:
        raise ConfigurationError(
            "unit_price: 0 would let max_cost allow everything; give the price of one SMS segment or of one call, or "
            "leave it out"
        )
    return Campaign(
        message=message,
        batches=PlannedBatches(plan),
        recipients=plan.recipients,
        fingerprint=plan.fingerprint,
        account=account,
        names=names or {},
        send_at=read_send_at(arguments.send_at),
        on_late=read_choice("on_late", arguments.on_late, literals(OnLate)),
        max_cost=max_cost,
        unit_price=unit_price,
        size_of=plan.size_of,
        segments_per_batch=plan.segments_of,
        on_unknown=read_choice("on_unknown", arguments.on_unknown, literals(OnUnknown)),
        send_again=read_send_again(arguments.send_again),
        max_in_flight=read_count("max_in_flight", arguments.max_in_flight),
        longest_wait=longest_wait,
        shortest_lead=shortest_lead,
    )


def send_campaign(
    campaign: Campaign,
    plan: CampaignPlan,
    hook: GatewayHook,
    context: Context,
    *,
    ledger: Ledger,
    store: Store,
    stop: CancellationToken,
    dry_run: bool,
) -> CampaignReport:
    """
    Send what the ledger of this task does not know as sent.

    Whatever ends it early, the report so far is pushed to XCom before that is raised.

    :param campaign: what to send.
    :param plan: where its recipients come from.
    :param hook: the gateway.
    :param context: Airflow's.
    :param ledger: of the task, registered.
    :param store: the provider's; holds the rate limit.
    :param stop: cancelled when the task is killed, and by a campaign that fails: no request leaves after that.
    :param dry_run: do everything but send, with a ledger in memory.
    """
    rate_limiter = StoreRateLimiter(store, hook)
    hook.sender.on_response = rate_limiter.on_response

    def may_leave() -> None:
        stop.check()
        check_claim()

    hook.sender.may_leave = may_leave
    sleep = hook.sender.sleep
    hook.sender.sleep = stop.sleeper(sleep)
    hook.sender.gate = rate_limiter.waiting(
        hook.sender.sleep, campaign.longest_wait, brief={hook.gateway.build_balance().endpoint}
    )
    sender = CampaignSender(
        transport=DryRun(hook) if dry_run else hook,
        ledger=Ledger((), Try(1)) if dry_run else ledger,
        rate_limiter=rate_limiter,
        now=hook.sender.now,
        sleep=sleep,
        stop=stop,
        is_dry_run=dry_run,
    )
    reporting = _Reporting(campaign, plan, hook, dry_run=_end_of(hook) if dry_run else None)
    with nullcontext() if dry_run else comparing_lists(ledger, plan, context=context, store=store, hook=hook):
        try:
            return without_stored_batches(reporting.of(sender.send(campaign)), context, store)
        except BaseException:
            if not dry_run:
                _push_what_was_sent(context, reporting, ledger, store)
            raise


@dataclass(frozen=True)
class _Reporting:
    """Makes reports of one campaign."""

    campaign: Campaign
    plan: CampaignPlan
    hook: GatewayHook
    dry_run: DryRunEnd | None

    def of(self, records: Sequence[BatchRecord], left: int = 0) -> CampaignReport:
        return CampaignReport.of_records(
            records,
            gateway=self.hook.conn_type,
            conn_id=self.hook.conn_id,
            kind=self.campaign.message.kind,
            invalid=self.plan.invalid,
            duplicate=self.plan.duplicates,
            scheduled_for=self.campaign.send_at.isoformat() if self.campaign.send_at else None,
            dry_run=self.dry_run,
            left=left,
        )


def _push_what_was_sent(context: Context, reporting: _Reporting, ledger: Ledger, store: Store) -> None:
    """Push the report so far to XCom; if that fails, the campaign's own error is raised all the same."""
    if not ledger.is_open:
        return  # The campaign was refused: the ledger has records of another one, or none.
    plan = reporting.plan
    known = (ledger.find(index, plan.size_of(index)) for index in range(plan.batch_count))
    records = [record for record in known if record and record.phase is not Phase.REFUSED]
    left = reporting.campaign.recipients - sum(record.size for record in records)
    try:
        report = without_stored_batches(reporting.of(records, left), context, store)
        context["ti"].xcom_push(key=REPORT_KEY, value=report.to_json())
    except Exception as error:
        log.warning("The report so far could not be pushed to XCom: %s", type(error).__name__)


def _end_of(hook: GatewayHook) -> DryRunEnd:
    return "simulated" if hook.simulates else "would_send"


def warn_of_a_long_campaign(
    plan: CampaignPlan,
    hook: GatewayHook,
    message: Message,
    *,
    limit: float | None,
    send_at: datetime | None,
) -> None:
    """
    Warn before sending when the rate limit alone makes a campaign take longer than it may.

    :param limit: ``execution_timeout`` in seconds, None for none.
    :param send_at: the planned time; all batches must have left before.
    """
    endpoint = hook.send_endpoints[message.kind]
    seconds = estimate(hook.rate_limits(endpoint), plan.batch_count, margin=NETWORK_MARGIN)
    if seconds >= 60:
        log.info(
            "%d batches take at least %.0f min at the rate limit of %s",
            plan.batch_count,
            seconds / 60,
            endpoint,
        )
    if limit is not None and seconds > limit:
        log.warning(
            "This campaign cannot finish within execution_timeout: %d batches take at least %.0f s at the rate limit "
            "of %s, and %.0f s are allowed. Each retry resumes it; raise execution_timeout, or remove it",
            plan.batch_count, seconds, endpoint, limit,
        )  # fmt: skip
    latest = None if send_at is None else send_at - hook.gateway.INFO.shortest_lead
    if latest is not None and hook.sender.now() + timedelta(seconds=seconds) >= latest > hook.sender.now():
        log.warning(
            "This campaign cannot be handed over before send_at: %d batches take at least %.0f s at the rate limit of "
            "%s. Start it earlier, or set on_late='send_now' to send the rest at once when send_at has passed",
            plan.batch_count, seconds, endpoint,
        )  # fmt: skip
