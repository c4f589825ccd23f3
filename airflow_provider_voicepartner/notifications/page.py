"""Page people until somebody has it: opens an incident, and begins its escalation policy."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from airflow_provider_voicepartner.compat import Context
from airflow_provider_voicepartner.constants import (
    ALERT_QUESTION_TIMEOUT,
    ALERT_TIMEOUT,
    LEAST_ALERT_WAIT,
    PAGE_STORE_TIMEOUT,
)
from airflow_provider_voicepartner.contacts.policy import By, Policy
from airflow_provider_voicepartner.exceptions import (
    ConfigurationError,
    NotSentError,
    SendOutcomeUnknownError,
    VoicePartnerProviderError,
)
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.hooks.aside import Aside
from airflow_provider_voicepartner.hooks.contacts import (
    KnownContacts,
    check_policy_name,
    contacts_within,
    known_contacts,
    late_contacts,
    policy_of,
)
from airflow_provider_voicepartner.incidents.keys import fit, incident_key, read_dedup_key, read_group_by
from airflow_provider_voicepartner.incidents.model import LOW, Alert, AtMost, Happened
from airflow_provider_voicepartner.incidents.titles import Words
from airflow_provider_voicepartner.notifications.checks import check_names
from airflow_provider_voicepartner.notifications.event import read_event
from airflow_provider_voicepartner.notifications.incident import HAPPENED, occurrence_of
from airflow_provider_voicepartner.notifications.message import title_of, words_of
from airflow_provider_voicepartner.notifications.rendering import RenderedNotifier

if TYPE_CHECKING:
    from airflow_provider_voicepartner.hooks.base import GatewayHook
    from airflow_provider_voicepartner.hooks.incidents import AskedAlert
    from airflow_provider_voicepartner.hooks.paging import Pager

Urgency = Literal["high", "low"]

_ARGUMENTS: Final = {"policy", "urgency", "dedup_key", "group_by", "context"}


@dataclass(frozen=True, slots=True)
class _Known:
    """What is looked up before the work begins, where other threads may not ask Airflow."""

    contacts: KnownContacts | None = None
    make_hook: Callable[[str, By], GatewayHook] | None = None


class PageNotifier(RenderedNotifier):
    """
    Page people until somebody has it, from a callback: ``on_failure_callback``, a deadline alert.

    It opens an incident, or joins the one that is open, and does the first step of the policy itself. Later steps and
    answers are taken by the watchdog, or by a ``PageOperator``.

    :param policy: the name of an escalation policy in the contacts.
    :param urgency: ``low`` waits for the end of the policy's quiet hours.
    :param dedup_key: templated; alerts with the same one are one incident. Unless given, those of one task in one DAG
        are.
    :param group_by: the fields that tell incidents apart, in place of ``dedup_key``.
    """

    total_seconds: ClassVar[float] = ALERT_TIMEOUT

    template_fields: Sequence[str] = ("dedup_key",)

    def __init__(
        self,
        *,
        policy: str,
        urgency: Urgency = "high",
        dedup_key: str | None = None,
        group_by: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        if kwargs.keys() - {"context"}:
            check_names(kwargs, _ARGUMENTS, who=type(self).__name__)
        if "context" not in kwargs:
            # With a context the alert is due, and must reach somebody.
            _check(policy, urgency, dedup_key, group_by)
            check_policy_name(policy)
        super().__init__(**kwargs)
        self.policy = policy
        self.urgency = urgency
        self.dedup_key = dedup_key
        self.group_by = group_by

    @classmethod
    def checked(cls, **arguments: Any) -> dict[str, Any]:
        """
        Return the arguments, once a notifier could be made of them, for a deadline alert.

        :raises TypeError: for an argument that does not exist.
        :raises ConfigurationError: for one that cannot be, or a policy that is not in the file of contacts.
        """
        cls(**arguments)
        return arguments

    def notify(self, context: Context) -> None:
        """
        Page within 20 s. What goes wrong is logged as an error.

        :raises VoicePartnerProviderError: in a deadline callback: nobody was paged, and no runner will.
        """
        failure = self._in_time(context, _Known())
        if failure is not None and "deadline" in context:
            raise failure

    async def async_notify(self, context: Context) -> None:
        """
        Do the same in the triggerer: the event loop never waits for a gateway.

        :raises VoicePartnerProviderError: nobody was paged, and no runner will.
        """
        begun = time.monotonic()
        known = await self._known_in_advance()
        left = max(LEAST_ALERT_WAIT, self.total_seconds - (time.monotonic() - begun))
        failure = await asyncio.to_thread(self._in_time, context, known, left)
        if failure is not None:
            raise failure

    async def _known_in_advance(self) -> _Known:
        """Read contacts and connections: other threads may not ask Airflow in a triggerer."""
        from asgiref.sync import sync_to_async

        from airflow_provider_voicepartner.compat import get_async_connection
        from airflow_provider_voicepartner.hooks.registry import hook_of

        try:
            contacts = await asyncio.wait_for(sync_to_async(known_contacts)(), ALERT_QUESTION_TIMEOUT)
        except TimeoutError:
            contacts = late_contacts(ALERT_QUESTION_TIMEOUT)
        found: dict[str, Any] = {}
        policy = self._policy_in(contacts)
        for conn_id in (policy.sms, policy.call) if policy is not None else ():
            if conn_id is not None:
                try:
                    found[conn_id] = await asyncio.wait_for(
                        get_async_connection(conn_id), ALERT_QUESTION_TIMEOUT
                    )
                except Exception as error:
                    self.log.error("the connection %s cannot be read: %s", conn_id, type(error).__name__)

        def make_hook(conn_id: str, by: By) -> GatewayHook:
            if conn_id not in found:
                raise ConfigurationError(f"conn_id: {conn_id!r} could not be read")
            return hook_of(found[conn_id], kind=by.kind, who="an escalation")

        return _Known(contacts, make_hook)

    def _in_time(
        self, context: Context, known: _Known, seconds: float | None = None
    ) -> VoicePartnerProviderError | None:
        """Work in a daemon thread, which is left behind when the time is over; return why nobody is paged."""
        problems: list[VoicePartnerProviderError | None] = []

        def work() -> None:
            try:
                self._work(context, known)
                problems.append(None)
            except VoicePartnerProviderError as error:
                problems.append(error)
            except BaseException as error:  # ended by anything, it is no success
                problems.append(NotSentError(f"paging failed with {type(error).__name__}"))

        aside = Aside(work, name=type(self).__name__)
        aside.is_over(self.total_seconds if seconds is None else seconds)
        problem = problems[0] if problems else NotSentError(f"no answer within {self.total_seconds:g} s")
        if problem is not None:
            self.log.error("PageNotifier (policy %s): %s", self.policy, problem)
        return problem

    def _work(self, context: Context, known: _Known) -> None:
        from airflow_provider_voicepartner.db.errors import StoreUnavailableError
        from airflow_provider_voicepartner.hooks.incidents import AskedAlert

        alert = self._alert_or_none(context)
        # Each process may page once, where no store counts for all of them.
        asked = AskedAlert(alert, at_most=AtMost(), patience=PAGE_STORE_TIMEOUT)
        decision, problem = asked.decision, ""
        if asked.is_held:
            self.log.info(
                "Incident %d: nobody is paged by this alert: %s (%s)",
                decision.incident, decision.outcome, decision.by,
            )  # fmt: skip
            return
        if not asked.is_of_store:
            self.log.error(
                "The store cannot be used, so only the first step is paged, and no answer is heard"
            )
            self._page_without_store(alert, known, asked)
            return
        # Whom the escalation tells is written with its pages; the alert itself told nobody.
        asked.told(())
        try:
            self._page(decision.incident, known)
            return
        except StoreUnavailableError as error:
            problem = str(error)
        # Not without the store now: somebody may have been paged already.
        raise SendOutcomeUnknownError(
            f"the store of incident {decision.incident} failed amid its first step, and a runner goes on: {problem}"
        )

    def _alert_or_none(self, context: Context) -> Alert | None:
        try:
            return self.alert_of(context)
        except Exception as error:
            self.log.error("PageNotifier: the incident is not known (%s)", type(error).__name__)
            return None

    def _page(self, incident: int, known: _Known) -> None:
        from airflow_provider_voicepartner.hooks.page_sending import hook_of_way
        from airflow_provider_voicepartner.hooks.paging import Pager
        from airflow_provider_voicepartner.settings import ALERTING, open_store

        contacts = known.contacts
        with closing(open_store(ALERTING)) as store:
            pager: Pager = Pager(
                store,
                contacts=(
                    (lambda: contacts)
                    if contacts is not None
                    else partial(contacts_within, ALERT_QUESTION_TIMEOUT)
                ),
                make_hook=known.make_hook or hook_of_way,
            )
            policy = pager.policy(self.policy)
            if policy is None:
                raise NotSentError(
                    f"policy: {self.policy!r} cannot be read from the contacts now; a runner begins the escalation "
                    f"of incident {incident} when it can"
                )
            pager.pages.start(incident, policy, is_urgent=self.urgency != LOW)
            run = pager.run_due(incident=incident)
        self.log.info("Incident %d: pages sent: %d", incident, run.pages)

    def _page_without_store(self, alert: Alert | None, known: _Known, asked: AskedAlert) -> None:
        """Page the first step alone; nobody can be kept from being paged by another process too."""
        from airflow_provider_voicepartner.hooks.page_sending import hook_of_way
        from airflow_provider_voicepartner.hooks.paging import page_once

        contacts = known.contacts or contacts_within(ALERT_QUESTION_TIMEOUT)
        policy, sent = self._policy_in(contacts), 0
        if policy is not None and contacts.directory is not None:
            make_hook = known.make_hook or hook_of_way
            title, words = ("", Words()) if alert is None else (alert.title, alert.words)
            sent = page_once(policy, contacts.directory, title, words=words, make_hook=make_hook)
        if sent:
            asked.told(())
            return
        asked.not_told()
        raise NotSentError("nobody was paged")

    def _policy_in(self, contacts: KnownContacts) -> Policy | None:
        return None if contacts.directory is None else policy_of(contacts.directory, self.policy)[0]

    def alert_of(self, context: Context) -> Alert:
        """Return what is reported to the store of incidents."""
        event = read_event(context)
        occurrence = occurrence_of(event, HAPPENED.get(event.what, Happened.OTHER))
        try:
            group_by = read_group_by(self.group_by)
        except InvalidArgumentError:
            group_by = read_group_by(None)
        key = incident_key(occurrence, dedup_key=read_dedup_key(self.dedup_key), group_by=group_by)
        return Alert(
            occurrence=occurrence,
            # Another policy has an incident of its own: who answers for one team does not answer for another.
            key=fit(f"page {self.policy.strip().lower()} {key}"),
            at_most=None,
            route=f"page\n{self.policy}",
            audience=(f"policy {self.policy}",),
            title=title_of(event),
            words=words_of(event),
            link=event.link,
            policy=self.policy,
            urgency=LOW if self.urgency == LOW else None,
            run_began_at=event.run_began_at,
        )


def _check(policy: Any, urgency: Any, dedup_key: Any, group_by: Any) -> None:
    if not isinstance(policy, str) or not policy.strip():
        raise ConfigurationError("policy: is no name; give that of a policy in the contacts")
    if urgency not in ("high", "low"):
        raise ConfigurationError(f"urgency: is {urgency!r}; give 'high' or 'low'")
    if dedup_key is not None and not isinstance(dedup_key, str):
        raise ConfigurationError("dedup_key: is no text; give one, or leave it out")
    problem = ""
    try:
        read_group_by(group_by)
    except InvalidArgumentError as error:
        problem = str(error)
    if problem:
        raise ConfigurationError(problem)
