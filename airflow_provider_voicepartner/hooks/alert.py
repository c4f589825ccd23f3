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
from airflow_provider_voicepartner.gateways.model import (
    Message,
    Receipt,
    Recipient,
    SmsMessage,
    VoiceMessage,
    phone_numbers_of,
)
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

    :param accepted: each accepted request's receipt, and the numbers for which it was accepted; at least one.
    :param plan: its recipients.
    :param failures: one for each other request: refused, or with an unknown outcome.
    """

    accepted: Sequence[tuple[Receipt, Sequence[str]]] = field(repr=False)
    plan: RecipientPlan
    failures: Sequence[VoicePartnerProviderError] = ()

    @property
    def receipts(self) -> Sequence[Receipt]:
        """One for each accepted request, at least one."""
        return [receipt for receipt, _ in self.accepted]

    @property
    def reached(self) -> Sequence[str]:
        """The numbers of those for whom it was accepted."""
        return [number for _, numbers in self.accepted for number in numbers]


def send_alert(
    hook: GatewayHook,
    message: Message | Callable[[str], Message],
    to: Any,
    *,
    needs_mobile: bool,
    release: AlertRelease,
    attempts: int = ALERT_ATTEMPTS,
    make_reference: Callable[[Sequence[str]], str] = lambda _: new_reference(),
) -> SentAlert:
    """
    Send a message to all valid recipients in ``to``, in as many requests as the gateway needs.

    :param message: of all of them; or what says which one a number gets. Those who get the same object share requests.
    :param release: passed right before the first request.
    :param attempts: for each request, where it certainly did not leave.
    :param make_reference: makes our own id of each request, from the numbers in it.
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
    # All of them are built before the first leaves.
    groups = _groups(hook, message if callable(message) else lambda _: message, plan.recipients)
    return _send(hook, groups, plan, release, make_reference)


def _groups(
    hook: GatewayHook, message_of: Callable[[str], Message], recipients: Sequence[Recipient]
) -> Sequence[tuple[Message, Sequence[Recipient]]]:
    """Return each message with its recipients."""
    found: dict[int, tuple[Message, list[Recipient]]] = {}
    for one in recipients:
        message = message_of(one.phone_number)
        found.setdefault(id(message), (message, []))[1].append(one)
    return [(in_plain_letters(hook, message), some) for message, some in found.values()]


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
    groups: Sequence[tuple[Message, Sequence[Recipient]]],
    plan: RecipientPlan,
    release: AlertRelease,
    make_reference: Callable[[Sequence[str]], str],
) -> SentAlert:
    """Send request by request; one that fails does not stop the others."""
    accepted: list[tuple[Receipt, Sequence[str]]] = []
    failures: list[VoicePartnerProviderError] = []
    most = hook.gateway.INFO.most_recipients
    requests = [
        (message, recipients[start : start + most])
        for message, recipients in groups
        for start in range(0, len(recipients), most)
    ]
    for message, batch in requests:
        numbers = phone_numbers_of(batch)
        try:
            release.leave()
            receipt = hook.send_batch(message, batch, reference=make_reference(numbers))
            refused = {one.phone_number for one in receipt.refused}
            accepted.append((receipt, [number for number in numbers if number not in refused]))
        except VoicePartnerProviderError as error:
            failures.append(error)
    if not accepted:
        # If one request may have arrived, the error must not say that none did.
        raise next((error for error in failures if not isinstance(error, NOT_SENT_ERRORS)), failures[0])
    return SentAlert(accepted, plan, failures)


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
