"""From an operator's rendered arguments to a plan: all recipients are read and checked before anything is sent."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_voicepartner.constants import NAMED_SKIPS
from airflow_provider_voicepartner.exceptions import ConfigurationError, checked
from airflow_provider_voicepartner.gateways.compiled_message import CompiledMessage
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.gsm import count_segments
from airflow_provider_voicepartner.gateways.model import Recipient, SmsMessage, Voicemail
from airflow_provider_voicepartner.gateways.placeholders import TextTemplate, read_template
from airflow_provider_voicepartner.hooks.storage import (
    check_no_path,
    check_rejects_path,
    file_source,
    is_file,
    is_same_file,
    writing,
)
from airflow_provider_voicepartner.recipients.lists import OnInvalid, rows_of_frame
from airflow_provider_voicepartner.recipients.rows import is_blank
from airflow_provider_voicepartner.recipients.source import ListSource, Source, shown_path
from airflow_provider_voicepartner.sending.arguments import (
    is_left_out,
    literals,
    read_choice,
    read_flag,
    read_recipients,
    read_send_at,
    read_text,
)
from airflow_provider_voicepartner.sending.fingerprint import CampaignFingerprint
from airflow_provider_voicepartner.sending.plan import CampaignPlan
from airflow_provider_voicepartner.sending.planning import CountSegments, plan_campaign

if TYPE_CHECKING:
    from airflow_provider_voicepartner.gateways.model import Kind, Message
    from airflow_provider_voicepartner.hooks.base import GatewayHook
    from airflow_provider_voicepartner.recipients.chunks import RecipientCheck

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingArguments:
    """
    Rendered arguments, unchecked.

    All but three are described at :class:`~airflow_provider_voicepartner.operators.base.SendingOperator`.

    :param kind: of the messages.
    :param needs_mobile: whether only mobile numbers can be reached.
    :param report_path: of ``completion``: where a report of who got the message is written to.
    """

    to: Any = field(repr=False)
    column: Any
    header: Any
    encoding: Any
    region: str
    kind: Kind
    needs_mobile: bool
    on_invalid: Any
    on_empty: Any
    rejects_path: Any
    report_path: Any
    send_at: Any
    on_late: Any
    on_unknown: Any
    send_again: Any
    max_cost: Any
    unit_price: Any
    max_in_flight: Any


def plan_of(arguments: SendingArguments, hook: GatewayHook, message: Message) -> CampaignPlan | None:
    """
    Check all recipients before anything is sent, and write the invalid ones to ``rejects_path``.

    :returns: the plan, without recipients when all rows are invalid and both ``on_invalid`` and ``on_empty`` are
        ``skip``; None when there are no rows and ``on_empty`` is ``skip``.
    :raises InvalidRecipientError: naming the rows, when one is invalid and ``on_invalid`` is ``fail``.
    :raises ConfigurationError: for an empty list, a file that cannot be read, or a message that the gateway refuses.
    """
    on_invalid = read_choice("on_invalid", arguments.on_invalid, literals(OnInvalid))
    on_empty = read_choice("on_empty", arguments.on_empty, ("fail", "skip"))
    to = read_to(arguments)
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


def read_to(arguments: SendingArguments) -> Any:
    """
    Return recipients as they were rendered: rows of a data frame, and lists that a template made text.

    :raises ConfigurationError: they cannot be read.
    """
    return checked(lambda: rows_of_frame(read_recipients(arguments.to)))


def _rejects_path(arguments: SendingArguments) -> str | None:
    return None if is_left_out(arguments.rejects_path) else arguments.rejects_path


def _check_paths(arguments: SendingArguments, to: Any) -> None:
    """Refuse to write over the file of recipients, or one of our files over the other."""
    used = {"to": to} if is_file(to) else {}
    rejects = _rejects_path(arguments)
    for name, path in (("rejects_path", rejects), ("completion: report_path", arguments.report_path)):
        if is_left_out(path):
            continue
        for other, given in used.items():
            if is_same_file(path, given):
                raise ConfigurationError(
                    f"{name}: is the same file as {other}, and would overwrite it; give another path. "
                    "Nothing was read, written or sent"
                )
        used[name] = path
    if rejects:
        check_rejects_path(rejects)


def column_of(arguments: SendingArguments) -> str | int:
    """Return what holds the number: a column's name, or its position from 0, also where a template made it text."""
    column: str | int = arguments.column
    return int(column) if isinstance(column, str) and column.isdecimal() else column


def _source_of(arguments: SendingArguments, to: Any) -> Source:
    column = column_of(arguments)
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
    """Return the message's text as a template; empty for an audio file."""
    text = None if isinstance(message, Voicemail) else message.text
    return read_template(text or "", "message" if isinstance(message, SmsMessage) else "text")


def _check_of(hook: GatewayHook, message: Message) -> RecipientCheck:
    """Return the gateway's check of one recipient: a name may be too long for its field, or for the SMS."""

    def check(recipient: Recipient) -> str | None:
        try:
            hook.gateway.check_recipient(message, recipient)
        except InvalidArgumentError as error:
            return error.problem
        return None

    return check


def _compiled(hook: GatewayHook, message: Message) -> CompiledMessage:
    """Return a text with placeholders, compiled for many recipients; without a rule of the gateway, each is counted."""
    return hook.gateway.compile_message(message) or CompiledMessage(
        _template_of(message), rule=None, count=lambda own: _segments_of(hook, message, own)
    )


def _segment_counter(
    hook: GatewayHook, message: Message, compiled: CompiledMessage | None
) -> CountSegments | None:
    """Return the counter of SMS segments of personal texts; None for calls, which count as one."""
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
        f"to: no recipients are left: {plan.invalid} of {plan.rows} rows are invalid "
        "(see on_invalid and rejects_path); use on_empty='skip' if that may happen"
    )


def why_skipped(plan: CampaignPlan | None) -> str:
    """
    Say why a task is skipped: the list was empty, or all of its rows were invalid.

    :param plan: without recipients; None where there are no rows.
    """
    if plan is None or not plan.invalid:
        return "no recipients are left: the list is empty, and on_empty is 'skip'"
    return (
        f"no recipients are left: all of {plan.rows} rows are invalid, and on_invalid and on_empty are 'skip'. "
        + ". ".join(plan.describe_rejected()[:NAMED_SKIPS])
    )
