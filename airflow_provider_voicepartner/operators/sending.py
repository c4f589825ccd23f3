"""From an operator's rendered arguments to a sent campaign: the steps that ``execute`` names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.hooks.storage import is_file, read_rows, write_text
from airflow_provider_voicepartner.hooks.turnstile import StoreTurnstile, open_shared_store
from airflow_provider_voicepartner.sending.arguments import (
    literals,
    read_choice,
    read_count,
    read_money,
    read_recipients,
    read_send_at,
)
from airflow_provider_voicepartner.sending.campaign import Campaign, CampaignSender, in_batches
from airflow_provider_voicepartner.sending.fingerprint import fingerprint
from airflow_provider_voicepartner.sending.ledger import Ledger, OnUnknown, StateStore
from airflow_provider_voicepartner.sending.recipients import OnInvalid, RecipientPlan, plan_recipients
from airflow_provider_voicepartner.sending.rejects import write_rejects
from airflow_provider_voicepartner.sending.report import CampaignReport
from airflow_provider_voicepartner.sending.rows import is_blank
from airflow_provider_voicepartner.sending.stop import StopSign

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_voicepartner.gateways.model import Message
    from airflow_provider_voicepartner.hooks.base import GatewayHook
    from airflow_provider_voicepartner.operators.base import SendingOperator


def recipients_of(operator: SendingOperator) -> RecipientPlan:
    """
    Check an operator's recipients; the rejected ones are written to ``rejects_path``.

    :returns: the plan; without recipients only when ``on_empty`` is ``skip``.
    :raises InvalidRecipientError: naming the rows, when one is invalid and ``on_invalid`` is ``fail``.
    :raises ConfigurationError: for an empty list, or one that is too long.
    """
    on_invalid = read_choice("on_invalid", operator.on_invalid, literals(OnInvalid))
    on_empty = read_choice("on_empty", operator.on_empty, ("fail", "skip"))
    to = read_recipients(operator.given("to"))
    rows = read_rows(to) if is_file(to) else to
    if on_empty == "skip" and _is_empty(rows):
        return RecipientPlan(recipients=())
    problem: InvalidArgumentError
    try:
        plan = plan_recipients(
            rows,
            line="mobile" if operator.needs_mobile else "any",
            on_invalid=on_invalid,
            region=operator.region,
        )
    except InvalidArgumentError as error:
        problem = error
    else:
        if operator.rejects_path and plan.rejected:
            write_text(operator.rejects_path, partial(write_rejects, plan.rejected))
        if not plan.recipients and on_empty == "fail":
            raise ConfigurationError(
                f"to: nobody is left to send to, all {plan.invalid} recipients are invalid "
                "(see on_invalid and rejects_path); use on_empty='skip' if that may happen"
            )
        return plan
    raise ConfigurationError(str(problem))


def _is_empty(rows: Any) -> bool:
    if isinstance(rows, str):
        return not rows.strip(" \t\r\n,;")
    return rows is None or (isinstance(rows, Sequence) and all(map(is_blank, rows)))


def campaign_of(
    operator: SendingOperator, message: Message, plan: RecipientPlan, *, longest_wait: float | None
) -> Campaign:
    """
    Put an operator's arguments together.

    :param longest_wait: seconds to wait for a turn before the campaign is handed back; None always waits.
    :raises ConfigurationError: naming the argument and the fix.
    """
    return Campaign(
        message=message,
        batches=in_batches(plan.recipients),
        send_at=read_send_at(operator.send_at),
        max_cost=read_money("max_cost", operator.max_cost),
        unit_price=read_money("unit_price", operator.unit_price),
        on_unknown=read_choice("on_unknown", operator.on_unknown, literals(OnUnknown)),
        max_in_flight=read_count("max_in_flight", operator.max_in_flight),
        longest_wait=longest_wait,
    )


def send_campaign(
    campaign: Campaign, plan: RecipientPlan, hook: GatewayHook, context: Context, *, stop: StopSign
) -> CampaignReport:
    """
    Send what the ledger of this task does not know as sent.

    :param campaign: what to send.
    :param plan: where its recipients came from, for the counts.
    :param hook: the gateway.
    :param context: Airflow's; holds the task's state store on Airflow 3.3 and later.
    :param stop: raised when the task is killed.
    """
    campaign = replace(campaign, message=hook.with_defaults(campaign.message))
    mark = fingerprint(hook.conn_type, hook.credentials, campaign.message, plan.recipients, campaign.send_at)
    # Airflow has the store since 3.3; the context is read as a plain mapping, whose type knows no keys.
    store: StateStore | None = cast(Mapping[str, Any], context).get("task_state_store")
    ledger = Ledger(store, fingerprint=mark, try_number=context["ti"].try_number)
    turnstile = StoreTurnstile(open_shared_store(), hook)
    hook.sender.watch = turnstile.watch
    sender = CampaignSender(
        messenger=hook,
        ledger=ledger,
        turnstile=turnstile,
        now=hook.sender.now,
        sleep=hook.sender.sleep,
        stop=stop,
    )
    try:
        records = sender.send(campaign)
    finally:
        turnstile.close()
    return CampaignReport.of_records(
        records,
        gateway=hook.conn_type,
        conn_id=hook.conn_id,
        kind=campaign.message.kind,
        invalid=plan.invalid,
        duplicate=plan.duplicates,
        scheduled_for=campaign.send_at.isoformat() if campaign.send_at else None,
    )
