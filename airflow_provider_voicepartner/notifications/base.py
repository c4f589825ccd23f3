"""
What both notifiers share: an alert is sent within 20 seconds or an error is logged.

A callback of a task or a DAG never fails. A deadline callback fails when nobody was told, since Airflow shows that.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_voicepartner.constants import (
    ALERT_LEASE_MARGIN,
    ALERT_QUESTION_TIMEOUT,
    ALERT_TIMEOUT,
    LEAST_ALERT_WAIT,
    NAMED_IN_ALERT,
)
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.info import Kind
from airflow_provider_voicepartner.hooks.aside import Aside
from airflow_provider_voicepartner.hooks.contacts import (
    KnownContacts,
    check_contact_names,
    contacts_within,
    known_contacts,
    late_contacts,
)
from airflow_provider_voicepartner.notifications.audience import Audience, MessageFor
from airflow_provider_voicepartner.notifications.checks import check_names, check_settings
from airflow_provider_voicepartner.notifications.failure import AlertFailure, nobody_told
from airflow_provider_voicepartner.notifications.fallback import NOTIFIER, read_fallback
from airflow_provider_voicepartner.notifications.grouping import DEFAULT_AT_MOST, read_grouping
from airflow_provider_voicepartner.notifications.rendering import RenderedNotifier

if TYPE_CHECKING:
    from typing import Self

    from airflow_provider_voicepartner.compat import Context
    from airflow_provider_voicepartner.gateways.model import Message
    from airflow_provider_voicepartner.hooks.alert import AlertRelease, SentAlert
    from airflow_provider_voicepartner.hooks.base import GatewayHook
    from airflow_provider_voicepartner.hooks.incidents import AskedAlert
    from airflow_provider_voicepartner.incidents.model import Decision, Told


class GatewayNotifier(RenderedNotifier):
    """
    Base of the notifiers.

    :param conn_id: the Airflow connection.
    :param to: the recipients: a number, an ``@name`` of the contacts, a comma-separated text or a list of these; an
        invalid one is left out and logged. A name that leads to nobody falls to the contacts' last resort.
    :param sender: sender ID or caller ID.
    :param options: gateway-specific settings.
    :param fallback: other notifiers of this provider, without a fallback of their own: tried in this order, each for
        up to 20 s, when nobody was reached or that is unknown; then the text says that it may be a repeat.
    :param dedup_key: alerts with the same one belong to one incident, templated; None takes ``group_by``.
    :param group_by: names of fields that tell incidents apart; None takes DAG and task.
    :param at_most: how often people are told of one incident, such as ``1/15m`` or ``3/1h``; None tells of every alert.
    """

    kind: ClassVar[Kind]
    text_field: ClassVar[str]
    needs_mobile: ClassVar[bool] = False
    total_seconds: ClassVar[float] = ALERT_TIMEOUT

    template_fields: Sequence[str] = ("conn_id", "to", "sender", "options", "dedup_key")

    def __new__(cls, *_: Any, **arguments: Any) -> Self:
        """Remember the arguments, for :meth:`as_arguments`."""
        notifier = super().__new__(cls)
        notifier._given = arguments
        return notifier

    _given: Mapping[str, Any]

    def __init__(
        self,
        *,
        conn_id: str,
        to: Any,
        sender: str | None = None,
        options: dict[str, Any] | None = None,
        fallback: Sequence[Any] = (),
        dedup_key: str | None = None,
        group_by: Sequence[str] | str | None = None,
        at_most: str | None = DEFAULT_AT_MOST,
        **kwargs: Any,
    ) -> None:
        if kwargs.keys() - {"context"}:
            check_names(kwargs, self._arguments(), who=type(self).__name__)
        check_settings(options, self.kind)
        if "context" not in kwargs:
            # With a context the alert is due: then it must reach somebody, whatever is wrong in the contacts.
            check_contact_names(to)
        # Airflow 3.1 and later pass a context for deadline alerts; before, the base class takes no argument.
        super().__init__(**kwargs)
        self.conn_id = conn_id
        self.to = to
        self.sender = sender
        self.options = options
        on_problem = self.log.error if "context" in kwargs else None
        self.fallback = read_fallback(fallback, GatewayNotifier, on_problem=on_problem)
        self.dedup_key = dedup_key
        self.group_by = group_by
        self.at_most = at_most
        self._grouping = read_grouping(dedup_key, group_by, at_most, on_problem=on_problem)
        self.may_be_repeat = False
        """True while nobody knows whether an earlier one arrived: of this alert, or of a sender that died."""
        self.more = 0
        """Alerts that were counted since people were told, apart from this one."""
        self.told: Sequence[Told] = ()
        """Those who were told, or may have been, by the last attempt."""
        self.audience = Audience()
        """For whom a message is being written."""
        self._person_of: Mapping[str, str] = {}
        self._audience_of: Mapping[str, Audience] = {}

    @classmethod
    def _arguments(cls) -> set[str]:
        """Return the names of all arguments, for an error about another."""
        signatures = (inspect.signature(each.__init__) for each in (GatewayNotifier, cls))
        return {name for signature in signatures for name in signature.parameters} - {"self", "kwargs"} | {
            "context"
        }

    @classmethod
    def checked(cls, **arguments: Any) -> dict[str, Any]:
        """
        Return the arguments, once a notifier could be made of them.

        For callbacks that Airflow only makes where they run: ``AsyncCallback(SmsNotifier,
        kwargs=SmsNotifier.checked(to=...))`` fails when the DAG is parsed, and not when the alert is due. Notifiers in
        ``fallback`` become dicts, which Airflow can store.

        :raises TypeError: for an argument that does not exist.
        :raises ConfigurationError: for a setting that no gateway has.
        """
        notifier = cls(**arguments)
        if not notifier.fallback:
            return arguments
        return {**arguments, "fallback": [one.as_arguments() for one in notifier.fallback]}

    def as_arguments(self) -> dict[str, Any]:
        """Return a dict that stands for this notifier in ``fallback`` where Airflow stores the arguments as JSON."""
        return {NOTIFIER: f"{type(self).__module__}.{type(self).__qualname__}", **self._given}

    def message_to_send(self, context: Context) -> Message:
        """Build the message from rendered arguments; each notifier its own."""
        raise NotImplementedError

    def before_sending(self, hook: GatewayHook, context: Context, numbers: Any) -> None:
        """
        Do what has to be done before the message is built.

        :param numbers: of the recipients, as they were given.
        """

    def audience_of(self, phone_number: str) -> Audience:
        """Say for whom the message of a number is written: each person in their own language."""
        return self._audience_of.get(phone_number) or Audience()

    def _message_for(self, audience: Audience, context: Context) -> Message:
        self.audience = audience
        return self.message_to_send(context)

    def make_reference(self, numbers: Sequence[str]) -> str:
        """
        Return our own id of a request.

        :param numbers: of its recipients, in E.164.
        """
        from airflow_provider_voicepartner.sending.fingerprint import new_reference

        return new_reference()

    def after_sending(self, hook: GatewayHook, sent: SentAlert) -> None:
        """Do what has to be done once the gateway has accepted it."""

    def own_text(self, rendered: Any) -> str | None:
        """
        Return the user's text after rendering, which may give any type; None where there is nothing to say.

        Its braces are replaced: what a template renders may hold any, and an alert must not fail because of them.
        """
        from airflow_provider_voicepartner.gateways.placeholders import without_braces
        from airflow_provider_voicepartner.hooks.templates import check_is_no_path
        from airflow_provider_voicepartner.sending.arguments import read_text

        try:
            text = read_text(self.text_field, None if rendered is None else str(rendered), needed=False)
            check_is_no_path(self.text_field, text)
        except ConfigurationError as error:
            self.log.error("%s: %s. The default text is sent", type(self).__name__, error)
            return None
        return text and without_braces(text)

    def given_sender(self) -> str | None:
        """Return the sender; None for one that rendered to nothing."""
        from airflow_provider_voicepartner.sending.arguments import read_text

        return read_text("sender", self.sender, needed=False)

    def given_options(self) -> Mapping[str, Any]:
        """Return the gateway-specific settings."""
        from airflow_provider_voicepartner.sending.arguments import read_options

        return read_options(self.options)

    def notify(self, context: Context) -> None:
        """
        Send the alert within 20 s in total, and else each fallback. What goes wrong is logged as an error.

        :raises VoicePartnerProviderError: in a deadline callback: nobody was told, or that is unknown.
        """
        asked = self._ask(context)
        if asked.is_held:
            return
        failures: list[AlertFailure] = []
        for notifier in self._in_order(context, failures, asked.decision):
            failure = notifier._attempt(context)
            if failure is None:
                break
            failures.append(failure)
        else:
            self._was_not_told(asked, failures)
            if "deadline" in context:
                raise nobody_told(failures)
            return
        asked.told(notifier.told)

    async def async_notify(self, context: Context) -> None:
        """
        Do the same in the triggerer: the event loop never waits for the gateway.

        :raises VoicePartnerProviderError: nobody was told, or it is unknown whether somebody was; only deadline
            callbacks run in the triggerer.
        """
        asked = await asyncio.to_thread(self._ask, context)
        if asked.is_held:
            return
        failures: list[AlertFailure] = []
        for notifier in self._in_order(context, failures, asked.decision):
            failure = await notifier._attempt_in_triggerer(context)
            if failure is None:
                break
            failures.append(failure)
        else:
            await asyncio.to_thread(self._was_not_told, asked, failures)
            raise nobody_told(failures)
        await asyncio.to_thread(asked.told, notifier.told)

    def _ask(self, context: Context) -> AskedAlert:
        """Ask the store whether people are to be told; what goes wrong there is no reason to tell nobody."""
        from airflow_provider_voicepartner.hooks.incidents import AskedAlert
        from airflow_provider_voicepartner.notifications.incident import alert_of

        alert = None
        try:
            alert = alert_of(
                context,
                kind=self.kind,
                conn_id=str(self.conn_id),
                to=self.to,
                dedup_key=self.dedup_key,
                grouping=self._grouping,
            )
        except Exception as error:
            self.log.error("%s: the incident is not known (%s)", self._who(), type(error).__name__)
        lease = self.total_seconds * (1 + len(self.fallback)) + ALERT_LEASE_MARGIN
        asked = AskedAlert(alert, lease=lease)
        if asked.is_held:
            decision = asked.decision
            self.log.info(
                "%s: nobody is told now, it is %s: %s (incident %d)",
                self._who(),
                decision.outcome.value,
                decision.by,
                decision.incident,
            )
        return asked

    def _was_not_told(self, asked: AskedAlert, failures: Sequence[AlertFailure]) -> None:
        """Say what became of an alert that nobody is known to have got; whoever may have got it counts as told."""
        if any(failure.in_doubt for failure in failures):
            asked.told([one for notifier in (self, *self.fallback) for one in notifier.told])
        else:
            asked.not_told()

    def _in_order(
        self, context: Context, failures: list[AlertFailure], decision: Decision
    ) -> Iterator[GatewayNotifier]:
        """Give this notifier, which is rendered, then each fallback, rendered when it is due."""
        for notifier in (self, *self.fallback):
            notifier.may_be_repeat, notifier.more, notifier.told = decision.may_be_repeat, decision.more, ()
        yield self
        for place, notifier in enumerate(self.fallback, 1):
            notifier.may_be_repeat = decision.may_be_repeat or any(failure.in_doubt for failure in failures)
            try:
                notifier._update_context(context)
                notifier.render_template_fields(context)
            except Exception as error:
                failures.append(notifier._failed(error, has_left=False))
                continue
            self.log.warning(
                "%s: nobody is known to be told; fallback %d of %d is tried: %s",
                self._who(), place, len(self.fallback), notifier._who(),
            )  # fmt: skip
            yield notifier

    def _attempt(self, context: Context) -> AlertFailure | None:
        """Send the alert; return why nobody was told, None where somebody was. Nothing is raised."""
        from airflow_provider_voicepartner.hooks.registry import hook_for

        return self._in_time(lambda: hook_for(self.conn_id, kind=self.kind, who=type(self).__name__), context)

    async def _attempt_in_triggerer(self, context: Context) -> AlertFailure | None:
        from airflow_provider_voicepartner.compat import get_async_connection
        from airflow_provider_voicepartner.hooks.registry import hook_of

        begun = time.monotonic()
        try:
            connection = await asyncio.wait_for(get_async_connection(self.conn_id), self.total_seconds)
            contacts = await self._contacts_in_advance()
        except Exception as error:
            return self._failed(error, has_left=False)
        left = max(LEAST_ALERT_WAIT, self.total_seconds - (time.monotonic() - begun))
        return await asyncio.to_thread(
            self._in_time,
            lambda: hook_of(connection, kind=self.kind, who=type(self).__name__),
            context,
            left,
            contacts,
        )

    async def _contacts_in_advance(self) -> KnownContacts | None:
        """Read the contacts, where they may be needed: other threads may not ask Airflow in a triggerer."""
        from asgiref.sync import sync_to_async

        from airflow_provider_voicepartner.notifications.recipients import may_need_contacts

        if not may_need_contacts(self.to):
            return None
        try:
            return await asyncio.wait_for(sync_to_async(known_contacts)(), ALERT_QUESTION_TIMEOUT)
        except TimeoutError:
            return late_contacts(ALERT_QUESTION_TIMEOUT)

    def _in_time(
        self,
        make_hook: Callable[[], GatewayHook],
        context: Context,
        seconds: float | None = None,
        contacts: KnownContacts | None = None,
    ) -> AlertFailure | None:
        """Run in a daemon thread: a socket timeout bounds each wait, only leaving the thread behind bounds the sum."""
        from airflow_provider_voicepartner.hooks.alert import AlertRelease

        failures: list[BaseException] = []
        limit = self.total_seconds if seconds is None else seconds
        release = AlertRelease(limit)

        def work() -> None:
            try:
                self._send(make_hook(), context, release, contacts)
            except BaseException as error:  # ended by anything, it is no success
                failures.append(error)

        # Asked first: a thread that ends in between has left its failure behind.
        late = not Aside(work, name=type(self).__name__).is_over(limit)
        if failures:
            return self._failed(failures[0], has_left=release.has_left)
        if late:
            return self._failed(f"no answer within {self.total_seconds:g} s", has_left=not release.give_up())
        return None

    def _numbers(self, hook: GatewayHook, contacts: KnownContacts | None) -> Any:
        """Return the recipients with numbers in place of names; what is wrong with names is logged."""
        from airflow_provider_voicepartner.notifications.recipients import AlertRecipients
        from airflow_provider_voicepartner.sending.arguments import read_recipients

        recipients = AlertRecipients(
            lambda: contacts or contacts_within(ALERT_QUESTION_TIMEOUT), self.kind, hook.sender.now()
        )
        try:
            found = recipients.of(read_recipients(self.to))
            self._audience_of = recipients.audience_of
            self._person_of = recipients.person_of
            return found
        finally:
            for problem in recipients.problems:
                self.log.error("%s: %s", type(self).__name__, problem)

    def _as_told(self, numbers: Sequence[str]) -> Sequence[Told]:
        from airflow_provider_voicepartner.notifications.recipients import as_told

        return as_told(numbers, self._person_of, conn_id=str(self.conn_id), kind=self.kind)

    def _failed(self, why: BaseException | str, *, has_left: bool) -> AlertFailure:
        """Log why nobody was told, as an error."""
        failure = AlertFailure.of(why, self._who(), has_left=has_left)
        self.log.error("%s", failure)
        return failure

    def _who(self) -> str:
        return f"{type(self).__name__} (connection {self.conn_id})"

    def _send(
        self, hook: GatewayHook, context: Context, release: AlertRelease, contacts: KnownContacts | None
    ) -> None:
        from airflow_provider_voicepartner.hooks.alert import left_out, masked, send_alert, valid_numbers

        try:
            # First, since each text is in somebody's language.
            numbers = self._numbers(hook, contacts)
            self.told = self._as_told(valid_numbers(numbers, needs_mobile=self.needs_mobile))
            self.before_sending(hook, context, numbers)
            sent = send_alert(
                hook,
                MessageFor(partial(self._message_for, context=context), self.audience_of),
                numbers,
                needs_mobile=self.needs_mobile,
                release=release,
                make_reference=self.make_reference,
            )
            self.after_sending(hook, sent)
        finally:
            hook.close()
        self.told = self._as_told([*sent.reached, *sent.in_doubt])
        for line in left_out(sent):
            self.log.error("%s: %s", type(self).__name__, line)
        self.log.info(
            "%s: accepted for %d recipients as %s, through %s: %s",
            type(self).__name__,
            sum(receipt.accepted for receipt in sent.receipts),
            ", ".join(str(receipt.gateway_id) for receipt in sent.receipts[:NAMED_IN_ALERT]),
            self.conn_id,
            masked(sent.reached),
        )
