"""
Sends one alert quickly: short timeouts, few repeats, and invalid recipients do not stop the others.

An alert is either released to the gateway or given up, never both: the first thread decides.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_voicepartner.constants import (
    ALERT_ATTEMPTS,
    ALERT_CONNECT_TIMEOUT,
    ALERT_READ_TIMEOUT,
    ALERT_REPEAT_WAIT,
    LONGEST_ALERT,
    NAMED_IN_ALERT,
)
from airflow_provider_voicepartner.exceptions import (
    ConfigurationError,
    NotSentError,
    VoicePartnerProviderError,
    checked,
)
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.gsm import to_gsm7
from airflow_provider_voicepartner.gateways.model import Message, Receipt, SmsMessage, VoiceMessage
from airflow_provider_voicepartner.gateways.placeholders import without_braces
from airflow_provider_voicepartner.gateways.wire import mask_number
from airflow_provider_voicepartner.recipients.lists import RecipientPlan, name_rejected, plan_recipients
from airflow_provider_voicepartner.sending.arguments import read_recipients
from airflow_provider_voicepartner.sending.fingerprint import new_reference

if TYPE_CHECKING:
    from airflow_provider_voicepartner.hooks.base import GatewayHook


NOT_SENT_ERRORS: Final = (NotSentError, ConfigurationError)
"""Errors which prove that nothing was sent."""


class AlertRelease:
    """Releases an alert to the gateway, or gives it up: one of the two, never both."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left = self._given_up = False

    @property
    def has_left(self) -> bool:
        """True from the moment when a request may have reached the gateway."""
        return self._left

    def leave(self) -> None:
        """
        Release the request.

        :raises NotSentError: the alert was given up before.
        """
        with self._lock:
            if self._given_up:
                raise NotSentError("the alert was given up before it left")
            self._left = True

    def give_up(self) -> bool:
        """Stop waiting; return True where it has not left, and now never will."""
        with self._lock:
            self._given_up = True
            return not self._left


@dataclass(frozen=True, slots=True)
class SentAlert:
    """
    The result of an alert that was accepted for at least one recipient.

    :param receipts: one for each accepted request, at least one.
    :param plan: its recipients.
    :param failures: one for each other request: refused, or with an unknown outcome.
    :param reached: the numbers of those for whom it was accepted.
    """

    receipts: Sequence[Receipt]
    plan: RecipientPlan
    failures: Sequence[VoicePartnerProviderError] = ()
    reached: Sequence[str] = field(default=(), repr=False)


def send_alert(
    hook: GatewayHook,
    message: Message,
    to: Any,
    *,
    needs_mobile: bool,
    release: AlertRelease,
    attempts: int = ALERT_ATTEMPTS,
    make_reference: Callable[[], str] = new_reference,
) -> SentAlert:
    """
    Send a message to all valid recipients in ``to``, in as many requests as the gateway needs.

    :param release: passed right before the first request.
    :param attempts: for each request, where it certainly did not leave.
    :param make_reference: makes our own id of each request.
    :raises ConfigurationError: when no recipient is valid.
    :raises VoicePartnerProviderError: when it was not sent, or the outcome is unknown.
    """
    sender = hook.sender
    sender.connect_timeout = min(sender.connect_timeout, ALERT_CONNECT_TIMEOUT)
    sender.read_timeout = min(sender.read_timeout, ALERT_READ_TIMEOUT)
    sender.retry = replace(sender.retry, attempts=attempts, longest_wait=ALERT_REPEAT_WAIT)
    plan = checked(
        lambda: plan_recipients(
            read_recipients(to), line="mobile" if needs_mobile else "any", on_invalid="skip"
        )
    )
    if not plan.recipients:
        raise ConfigurationError(
            f"to: all {plan.invalid} recipients are invalid: {name_rejected(plan.rejected)}"
        )
    return _send(hook, in_plain_letters(hook, message), plan, release, make_reference)


def valid_numbers(to: Any, *, needs_mobile: bool) -> Sequence[str]:
    """Return whom :func:`send_alert` sends to, in E.164; nobody where that cannot be read."""
    try:
        plan = plan_recipients(
            read_recipients(to), line="mobile" if needs_mobile else "any", on_invalid="skip"
        )
    except (InvalidArgumentError, VoicePartnerProviderError):
        return ()
    return [one.phone_number for one in plan.recipients]


def _send(
    hook: GatewayHook,
    message: Message,
    plan: RecipientPlan,
    release: AlertRelease,
    make_reference: Callable[[], str],
) -> SentAlert:
    """Send request by request; one that fails does not stop the others."""
    receipts: list[Receipt] = []
    failures: list[VoicePartnerProviderError] = []
    reached: list[str] = []
    most = hook.gateway.INFO.most_recipients
    for start in range(0, len(plan.recipients), most):
        try:
            release.leave()
            batch = plan.recipients[start : start + most]
            receipt = hook.send_batch(message, batch, reference=make_reference())
            receipts.append(receipt)
            refused = {one.phone_number for one in receipt.refused}
            reached += [one.phone_number for one in batch if one.phone_number not in refused]
        except VoicePartnerProviderError as error:
            failures.append(error)
    if not receipts:
        # If one request may have arrived, the error must not say that none did.
        raise next((error for error in failures if not isinstance(error, NOT_SENT_ERRORS)), failures[0])
    return SentAlert(receipts, plan, failures, reached)


def in_plain_letters(hook: GatewayHook, message: Message) -> Message:
    """
    Return an alert as its gateway accepts it.

    A text that is refused as it is, such as one with an emoji in a call, is written in plain letters: an
    alert in other words beats none.
    """
    try:
        hook.gateway.check_message(hook.with_defaults(message), False)
        return message
    except InvalidArgumentError as error:
        is_the_text = error.argument in ("message", "text")
    if not is_the_text or not isinstance(message, SmsMessage | VoiceMessage) or not message.text:
        return message
    return replace(message, text=without_braces(to_gsm7(message.text).text)[:LONGEST_ALERT])


def masked(numbers: Sequence[str]) -> str:
    """Return the first few numbers, masked."""
    more = len(numbers) - NAMED_IN_ALERT
    shown = [mask_number(number) for number in numbers[:NAMED_IN_ALERT]]
    return ", ".join([*shown, *([f"and {more} more"] if more > 0 else [])])


def left_out(sent: SentAlert) -> list[str]:
    """Describe the recipients who do not get the alert, numbers masked, and why."""
    lines = []
    if sent.plan.rejected:
        lines.append(
            f"{sent.plan.invalid} recipients are invalid and were skipped: {name_rejected(sent.plan.rejected)}"
        )
    refused = [one for receipt in sent.receipts for one in receipt.refused]
    if refused:
        shown = [
            f"{mask_number(one.phone_number) or 'a recipient'} {one.reason}".strip()
            for one in refused[:NAMED_IN_ALERT]
        ]
        more = len(refused) - len(shown)
        shown += [f"and {more} more"] if more else []
        lines.append(f"the gateway refused {len(refused)} recipients: {'. '.join(shown)}")
    for error in sent.failures[:NAMED_IN_ALERT]:
        known = (
            "one request was not accepted"
            if isinstance(error, NOT_SENT_ERRORS)
            else ("it is unknown whether one request was accepted")
        )
        lines.append(f"{known}: {error}")
    return lines
