"""
Sends one alert quickly: short timeouts, few repeats, and invalid recipients do not stop the others.

An alert is either released to the gateway or given up, never both: the first thread decides.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_voicepartner.constants import (
    ALERT_ATTEMPTS,
    ALERT_CONNECT_TIMEOUT,
    ALERT_READ_TIMEOUT,
    ALERT_RECORD_TIMEOUT,
    ALERT_REPEAT_WAIT,
    ALERT_REQUESTS_SHARE,
    ALERT_TIMEOUT,
    LONGEST_ALERT,
    NAMED_IN_ALERT,
    PAGES_AT_ONCE,
)
from airflow_provider_voicepartner.exceptions import (
    ConfigurationError,
    NotSentError,
    SendOutcomeUnknownError,
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
from airflow_provider_voicepartner.hooks.aside import Aside
from airflow_provider_voicepartner.recipients.lists import RecipientPlan, name_rejected, plan_recipients
from airflow_provider_voicepartner.sending.arguments import read_recipients
from airflow_provider_voicepartner.sending.fingerprint import new_reference

if TYPE_CHECKING:
    from airflow_provider_voicepartner.hooks.base import GatewayHook


NOT_SENT_ERRORS: Final = (NotSentError, ConfigurationError)
"""Errors which prove that nothing was sent."""


class AlertRelease:
    """
    Releases an alert to the gateway, or gives it up: one of the two, never both.

    :param seconds: after which it is given up.
    """

    def __init__(self, seconds: float = ALERT_TIMEOUT) -> None:
        # An alert that is late already still has most of its time for its requests.
        self._end = monotonic() + max(seconds - ALERT_RECORD_TIMEOUT, seconds * ALERT_REQUESTS_SHARE)
        self._lock = threading.Lock()
        self._left = self._given_up = False

    @property
    def has_left(self) -> bool:
        """True from the moment when a request may have reached the gateway."""
        return self._left

    @property
    def seconds_left(self) -> float:
        """The time until it is given up, without what it takes to store what became of it."""
        return max(0.0, self._end - monotonic())

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
    :param in_doubt: the numbers of those whose request has an unknown outcome.
    """

    accepted: Sequence[tuple[Receipt, Sequence[str]]] = field(repr=False)
    plan: RecipientPlan
    failures: Sequence[VoicePartnerProviderError] = ()
    in_doubt: Sequence[str] = field(default=(), repr=False)

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
    """Send all requests; one that fails or hangs does not stop the others."""
    most = hook.gateway.INFO.most_recipients
    batches = [
        (message, recipients[start : start + most])
        for message, recipients in groups
        for start in range(0, len(recipients), most)
    ]
    references = [make_reference(phone_numbers_of(batch)) for _, batch in batches]

    def send(place: int) -> Receipt:
        return hook.send_batch(*batches[place], reference=references[place])

    requests = _Requests(send, len(batches), release)
    requests.run()
    accepted: list[tuple[Receipt, Sequence[str]]] = []
    failures: list[VoicePartnerProviderError] = []
    in_doubt: list[str] = []
    for result, (_, batch) in zip(requests.results(), batches, strict=True):
        numbers = phone_numbers_of(batch)
        if isinstance(result, VoicePartnerProviderError):
            failures.append(result)
            in_doubt += () if isinstance(result, NOT_SENT_ERRORS) else numbers
        else:
            refused = {one.phone_number for one in result.refused}
            accepted.append((result, [number for number in numbers if number not in refused]))
    if not accepted:
        # If one request may have arrived, the error must not say that none did.
        raise next((error for error in failures if not isinstance(error, NOT_SENT_ERRORS)), failures[0])
    return SentAlert(accepted, plan, failures, in_doubt)


class _Requests:
    """
    The requests of an alert, side by side: a language whose request hangs leaves the others all of the time.

    :param send: sends one, by its place.
    :param count: how many there are.
    """

    def __init__(self, send: Callable[[int], Receipt], count: int, release: AlertRelease) -> None:
        self._send, self._count, self._release = send, count, release
        self._waiting = deque(range(count))
        self._taking = threading.Lock()
        self._results: dict[int, Receipt | VoicePartnerProviderError] = {}

    def run(self) -> None:
        """Send them; several only as long as there is time."""
        if self._count == 1:
            self._work()
            return
        threads = [Aside(self._work, name="alert") for _ in range(min(self._count, PAGES_AT_ONCE))]
        for thread in threads:
            thread.is_over(self._release.seconds_left)
        with self._taking:  # none is begun any more
            for place in self._waiting:
                self._results[place] = NotSentError("no time was left for it")
            self._waiting.clear()

    def results(self) -> Sequence[Receipt | VoicePartnerProviderError]:
        """Return what became of each, in their order."""
        late = SendOutcomeUnknownError("no answer in time")
        return [self._results.get(place, late) for place in range(self._count)]

    def _work(self) -> None:
        while True:
            with self._taking:
                if not self._waiting:
                    return
                place = self._waiting.popleft()
                try:
                    self._release.leave()
                except VoicePartnerProviderError as error:
                    self._results[place] = error
                    continue
            try:
                self._results[place] = self._send(place)
            except VoicePartnerProviderError as error:
                self._results[place] = error
            except BaseException as error:
                if self._count == 1:
                    raise
                # Of an error of others only the kind, since its text may hold anything.
                self._results[place] = SendOutcomeUnknownError(type(error).__name__)


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
