"""From an operator's rendered arguments to a sent campaign: the steps that ``execute`` names."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_voicepartner.constants import NAMED_SKIPS, NETWORK_MARGIN
from airflow_provider_voicepartner.exceptions import ConfigurationError, checked
from airflow_provider_voicepartner.gateways.compiled_message import CompiledMessage
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.gsm import count_segments
from airflow_provider_voicepartner.gateways.model import Recipient, SmsMessage, Voicemail
from airflow_provider_voicepartner.gateways.placeholders import TextTemplate, read_template
from airflow_provider_voicepartner.hooks.dry_run import DryRun
from airflow_provider_voicepartner.hooks.rate_limiter import StoreRateLimiter
from airflow_provider_voicepartner.hooks.storage import (
    check_no_path,
    check_rejects_path,
    file_source,
    is_file,
    is_same_file,
    writing,
)
from airflow_provider_voicepartner.operators.ledger import asking_others, without_stored_batches
from airflow_provider_voicepartner.operators.sending_arguments import SendingArguments
from airflow_provider_voicepartner.operators.waiting import REPORT_KEY
from airflow_provider_voicepartner.recipients.lists import OnInvalid, rows_of_frame
from airflow_provider_voicepartner.recipients.rows import is_blank
from airflow_provider_voicepartner.recipients.source import ListSource, Source, shown_path
from airflow_provider_voicepartner.sending.arguments import (
    is_left_out,
    literals,
    read_choice,
    read_count,
    read_flag,
    read_money,
    read_recipients,
    read_send_again,
    read_send_at,
    read_text,
)
from airflow_provider_voicepartner.sending.batch import check_claim
from airflow_provider_voicepartner.sending.campaign import CampaignSender
from airflow_provider_voicepartner.sending.campaign_spec import Campaign, OnLate
from airflow_provider_voicepartner.sending.fingerprint import CampaignFingerprint
from airflow_provider_voicepartner.sending.ledger import Ledger, OnUnknown, Try
from airflow_provider_voicepartner.sending.plan import CampaignPlan
from airflow_provider_voicepartner.sending.planning import CountSegments, plan_campaign
from airflow_provider_voicepartner.sending.records import BatchRecord, Phase
from airflow_provider_voicepartner.sending.report import CampaignReport, DryRunEnd
from airflow_provider_voicepartner.sending.reservations import estimate
from airflow_provider_voicepartner.sending.transport import CancellationToken

if TYPE_CHECKING:
    from airflow_provider_voicepartner.compat import Context
    from airflow_provider_voicepartner.db.transactions import Store
    from airflow_provider_voicepartner.gateways.model import Message
    from airflow_provider_voicepartner.hooks.base import GatewayHook
    from airflow_provider_voicepartner.recipients.chunks import RecipientCheck

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


def plan_of(arguments: SendingArguments, hook: GatewayHook, message: Message) -> CampaignPlan | None:
    """
    Check everybody in ``to``, before anything is sent; who is left out is written to ``rejects_path``.

    :returns: the plan, without recipients when all rows are invalid and both ``on_invalid`` and ``on_empty`` are
        ``skip``; None when there are no rows and ``on_empty`` is ``skip``.
    :raises InvalidRecipientError: naming the rows, when one is invalid and ``on_invalid`` is ``fail``.
    :raises ConfigurationError: for an empty list, a file that cannot be read, or a message that the gateway refuses.
    """
    on_invalid = read_choice("on_invalid", arguments.on_invalid, literals(OnInvalid))
    on_empty = read_choice("on_empty", arguments.on_empty, ("fail", "skip"))
    to = _read_to(arguments)
    if on_empty == "skip" and _is_empty(to):
        return None
    _check_paths(arguments, to)
    problem: InvalidArgumentError
    try:
        source = _source_of(arguments, to)
        names = frozenset(_template_of(message).names)
        hook.gateway.check_message(message, bool(names))
        compiled = _compiled(hook, message) if names else None
        with ExitStack() as stack:
            path = _rejects_path(arguments)
            plan = plan_campaign(
                source,
                batch_size=hook.gateway.INFO.most_recipients,
                line="mobile" if arguments.needs_mobile else "any",
                on_invalid=on_invalid,
                region=arguments.region,
                fields=names,
                check=_check_of(hook, message) if names else None,
                places_to_check=None if compiled is None else compiled.doubtful,
                count_segments=_segment_counter(hook, message, compiled),
                rejects=stack.enter_context(writing(path, "rejects_path")) if path else None,
                fingerprint=CampaignFingerprint(
                    hook.conn_type, hook.credentials, message, read_send_at(arguments.send_at)
                ),
            )
    except InvalidArgumentError as error:
        problem = error
    else:
        return _checked(plan, on_empty)
    raise ConfigurationError(str(problem))


def _read_to(arguments: SendingArguments) -> Any:
    return checked(lambda: rows_of_frame(read_recipients(arguments.to)))


def _rejects_path(arguments: SendingArguments) -> str | None:
    return None if is_left_out(arguments.rejects_path) else arguments.rejects_path


def _check_paths(arguments: SendingArguments, to: Any) -> None:
    """Refuse to write over the file of recipients, or one of our files over the other."""
    taken = {"to": to} if is_file(to) else {}
    rejects = _rejects_path(arguments)
    for name, path in (("rejects_path", rejects), ("completion: report_path", arguments.report_path)):
        if is_left_out(path):
            continue
        for other, given in taken.items():
            if is_same_file(path, given):
                raise ConfigurationError(
                    f"{name}: is the same file as {other}, and would overwrite it; give another path. "
                    "Nothing was read, written or sent"
                )
        taken[name] = path
    if rejects:
        check_rejects_path(rejects)


def _source_of(arguments: SendingArguments, to: Any) -> Source:
    column = arguments.column
    if isinstance(column, str) and column.isdecimal():
        column = int(column)
    if not is_file(to):
        check_no_path(to)
        return ListSource(to, column=column, region=arguments.region)
    log.info("Recipients are read from the file %r", shown_path(str(to)))
    return file_source(
        to,
        column=column,
        header=None if is_left_out(arguments.header) else read_flag("header", arguments.header),
        encoding=read_text("encoding", arguments.encoding, needed=False),
        region=arguments.region,
    )


def _is_empty(to: Any) -> bool:
    if isinstance(to, str):
        return not to.strip(" \t\r\n,;")
    return to is None or (isinstance(to, Sequence) and all(map(is_blank, to)))


def _template_of(message: Message) -> TextTemplate:
    """Return what is said, taken apart; of an audio file nothing."""
    text = None if isinstance(message, Voicemail) else message.text
    return read_template(text or "", "message" if isinstance(message, SmsMessage) else "text")


def _check_of(hook: GatewayHook, message: Message) -> RecipientCheck:
    """Check each person as the gateway would: a name may be longer than a field, or an SMS, has room for."""

    def check(recipient: Recipient) -> str | None:
        try:
            hook.gateway.check_recipient(message, recipient)
        except InvalidArgumentError as error:
            return error.problem
        return None

    return check


def _compiled(hook: GatewayHook, message: Message) -> CompiledMessage:
    """Return a text with placeholders, ready for many recipients; where the gateway has no rule, each is looked at."""
    return hook.gateway.compile_message(message) or CompiledMessage(
        _template_of(message), rule=None, count=lambda own: _segments_of(hook, message, own)
    )


def _segment_counter(
    hook: GatewayHook, message: Message, compiled: CompiledMessage | None
) -> CountSegments | None:
    """Return what counts the SMS segments of people's own texts; None for calls, which count as one."""
    if not isinstance(message, SmsMessage):
        return None
    if compiled is not None:
        return compiled.segments
    plain = _template_of(message).plain
    return lambda columns: _segments_of(hook, message, plain)


def _segments_of(hook: GatewayHook, message: Message, own: str) -> Sequence[int]:
    return hook.gateway.segments_of(message, own) or (max(1, count_segments(own).segments),)


def _checked(plan: CampaignPlan, on_empty: str) -> CampaignPlan:
    if plan.recipients or on_empty == "skip":
        return plan
    raise ConfigurationError(
        f"to: nobody is left to send to, of {plan.rows} rows {plan.invalid} are invalid "
        "(see on_invalid and rejects_path); use on_empty='skip' if that may happen"
    )


def why_nobody(plan: CampaignPlan | None) -> str:
    """
    Say why a task is skipped: nobody was given, or everybody was left out, which is quite another thing.

    :param plan: without recipients; None where there are no rows.
    """
    if plan is None or not plan.invalid:
        return "nobody is left to send to: there are no recipients, and on_empty is 'skip'"
    return (
        f"nobody is left to send to: all of {plan.rows} rows are invalid, and on_invalid and on_empty are 'skip'. "
        + ". ".join(plan.describe_rejected()[:NAMED_SKIPS])
    )


def campaign_of(
    arguments: SendingArguments,
    message: Message,
    plan: CampaignPlan,
    *,
    longest_wait: float | None,
    account: bytes = b"",
    shortest_lead: timedelta = timedelta(0),
) -> Campaign:
    """
    Put an operator's arguments together.

    :param arguments: of the operator.

    :param longest_wait: seconds to wait for a slot before the campaign is handed back; None always waits.
    :param account: see :func:`~airflow_provider_voicepartner.sending.fingerprint.account_key`.
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
    :param store: ours; keeps the rate limit.
    :param stop: raised when the task is killed, and by a campaign that fails: no request leaves after that.
    :param dry_run: go the whole way and send nothing; the ledger is then a forgetful one.
    """
    rate_limiter = StoreRateLimiter(store, hook)
    hook.sender.watch = rate_limiter.watch

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
    with nullcontext() if dry_run else asking_others(ledger, context, store, plan, hook):
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
    """Leave the report so far where a person finds it; whatever keeps that from happening, the failure matters more."""
    if not ledger.is_open:
        return  # Refused as it is: what the ledger knows is of something else, or of nothing.
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
    limit: float | None,
    send_at: datetime | None,
) -> None:
    """
    Say at planning when the rate limit alone makes a campaign longer than it may take.

    :param limit: ``execution_timeout`` in seconds, None for none.
    :param send_at: when it is to reach people; all batches must have left before.
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
            "of %s, and %.0f s are allowed. It goes on with each retry; raise execution_timeout, or leave it out",
            plan.batch_count, seconds, endpoint, limit,
        )  # fmt: skip
    latest = None if send_at is None else send_at - hook.gateway.INFO.shortest_lead
    if latest is not None and hook.sender.now() + timedelta(seconds=seconds) >= latest > hook.sender.now():
        log.warning(
            "This campaign cannot be handed over before send_at: %d batches take at least %.0f s at the rate limit of "
            "%s. Start it earlier, or set on_late='send_now' to send the rest at once when send_at has passed",
            plan.batch_count, seconds, endpoint,
        )  # fmt: skip
