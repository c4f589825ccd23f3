"""
Tells people without a running Airflow: connections are looked up once, and kept; contacts are read, and kept too.

Of several ways the first that reaches somebody is enough. An attempt ends after 20 seconds, whatever hangs.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_voicepartner.constants import (
    ALERT_QUESTION_TIMEOUT,
    ALERT_TIMEOUT,
    NAMED_IN_ALERT,
    WATCH_REFRESH,
)
from airflow_provider_voicepartner.contacts.directory import Directory
from airflow_provider_voicepartner.contacts.languages import VOICE_LANGUAGES, language_of
from airflow_provider_voicepartner.contacts.policy import By, Policy
from airflow_provider_voicepartner.contacts.targets import targets_of
from airflow_provider_voicepartner.exceptions import ConfigurationError, VoicePartnerProviderError
from airflow_provider_voicepartner.gateways.model import SmsMessage, VoiceMessage
from airflow_provider_voicepartner.hooks.alert import AlertRelease, left_out, masked, send_alert
from airflow_provider_voicepartner.hooks.aside import Aside
from airflow_provider_voicepartner.hooks.connection import look_up
from airflow_provider_voicepartner.hooks.contacts import KnownContacts, contacts_within, has_contacts
from airflow_provider_voicepartner.hooks.registry import hook_of
from airflow_provider_voicepartner.incidents.model import Told
from airflow_provider_voicepartner.notifications.audience import Audience, MessageFor
from airflow_provider_voicepartner.notifications.failure import AlertFailure
from airflow_provider_voicepartner.notifications.recipients import AlertRecipients
from airflow_provider_voicepartner.watchdog.config import Channel, Tell
from airflow_provider_voicepartner.watchdog.messages import Message, sms, spoken

if TYPE_CHECKING:
    from airflow_provider_voicepartner.hooks.base import GatewayHook

log = logging.getLogger(__name__)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Telling:
    """
    What became of a message.

    :param told: those for whom it was accepted, or may have been.
    :param is_in_doubt: nobody knows whether it arrived.
    """

    told: tuple[Told, ...] = field(default=(), repr=False)
    is_in_doubt: bool = False

    @property
    def has_reached(self) -> bool:
        """Whether somebody was told, or may have been."""
        return bool(self.told)


@dataclass(frozen=True, slots=True)
class WayProblem:
    """
    Why people cannot be told in one way.

    :param text: with its key of the file.
    :param is_final: waiting does not help.
    """

    text: str
    is_final: bool


class Connections:
    """
    Airflow's connections, as they were found last.

    :param find: looks one up; injected by tests.
    :param clock: seconds that only go forward.
    """

    def __init__(
        self, *, find: Callable[[str], Any] = look_up, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._find, self._clock = find, clock
        self._kept: dict[str, tuple[Any, float]] = {}
        self._lock = threading.Lock()

    def get(self, conn_id: str) -> Any:
        """
        Return a connection; one that was found before is looked up again now and then, and kept where that fails.

        :raises VoicePartnerProviderError: it was never found.
        """
        with self._lock:
            kept = self._kept.get(conn_id)
        if kept is not None and self._clock() - kept[1] < WATCH_REFRESH:
            return kept[0]
        try:
            found = within(ALERT_QUESTION_TIMEOUT, lambda: self._find(conn_id))
        except Exception as error:  # whatever a secrets backend raises
            if kept is None:
                if isinstance(error, VoicePartnerProviderError):
                    raise
                problem = type(error).__name__
            else:
                log.warning("Connection %s cannot be looked up (%s); the one from before is used",
                            conn_id, type(error).__name__)  # fmt: skip
                self._keep(conn_id, kept[0])
                return kept[0]
        else:
            self._keep(conn_id, found)
            return found
        raise ConfigurationError(f"connection {conn_id!r} cannot be looked up: {problem}")

    def _keep(self, conn_id: str, connection: Any) -> None:
        with self._lock:
            self._kept[conn_id] = (connection, self._clock())


class Teller:
    """
    Tells people.

    :param tell: whom, in which ways.
    :param connections: kept; an attempt may be left behind in its thread.
    """

    def __init__(self, tell: Tell, connections: Connections) -> None:
        self._tell, self._connections = tell, connections

    def prepare(self) -> list[WayProblem]:
        """
        Look up all connections, and read the contacts, while that is possible.

        :returns: what is wrong with the ways that cannot be used.
        """
        problems = []
        for place, channel in enumerate(self._tell.channels):
            try:
                self._hook(channel).close()
            except Exception as error:
                key = f"tell.fallback[{place}]" if place else "tell"
                why = AlertFailure.of(error, channel.conn_id, has_left=False).why
                problems.append(WayProblem(f"{key}: {why}", isinstance(error, ConfigurationError)))
        has_names = any(_has_names(channel.to) for channel in self._tell.channels)
        if self._tell.policy or has_names or has_contacts():
            contacts = contacts_within(ALERT_QUESTION_TIMEOUT)
            problems += [WayProblem(problem, False) for problem in contacts.problems]
            policies = {} if contacts.directory is None else contacts.directory.policies
            if contacts.directory is not None and self._tell.policy not in (None, *policies):
                problems.append(WayProblem("tell.policy: is no policy of the contacts; add it there", False))
            problems += self._prepare_pages(policies.values())
        return problems

    def _prepare_pages(self, policies: Iterable[Policy]) -> list[WayProblem]:
        """Look up the connections of policies: the watchdog does the steps of all escalations."""
        ways = {
            (conn_id, by): f"policies.{policy.name}.{by.value}"
            for policy in policies
            for by in By
            if (conn_id := policy.conn_id(by)) is not None
        }
        problems = []
        for (conn_id, by), where in ways.items():
            try:
                self.hook_of_way(conn_id, by).close()
            except Exception as error:
                why = AlertFailure.of(error, conn_id, has_left=False).why
                problems.append(WayProblem(f"{where}: {why}", False))
        return problems

    def hook_of_way(self, conn_id: str, by: By) -> GatewayHook:
        """
        Return the hook of a connection for a page, which needs no Airflow once it was found.

        :raises VoicePartnerProviderError: it was never found, or cannot send what it should.
        """
        return hook_of(self._connections.get(conn_id), kind=by.kind, who="an escalation")

    def tell(self, message: Message, *, may_be_repeat: bool = False) -> Telling:
        """Tell by the first way that reaches somebody. Nothing is raised."""
        in_doubt: tuple[Told, ...] = ()
        for channel in self._tell.channels:
            telling = self._attempt(channel, message, may_be_repeat=may_be_repeat or bool(in_doubt))
            if telling.has_reached and not telling.is_in_doubt:
                return Telling((*in_doubt, *telling.told))
            in_doubt += telling.told
        return Telling(in_doubt, is_in_doubt=bool(in_doubt))

    def tell_again(self, message: Message, told: Iterable[Told], *, may_be_repeat: bool = False) -> Telling:
        """Tell everybody who was told before, each in the same way; if that reaches nobody, tell by the usual ways."""
        groups: dict[tuple[str, str], list[str]] = {}
        for one in told:
            if one.kind in ("sms", "tts"):
                who = f"@{one.person}" if one.person else one.phone_number
                groups.setdefault((one.conn_id, one.kind), []).append(who)
        reached, is_in_doubt = tuple[Told, ...](), False
        for (conn_id, kind), to in groups.items():
            channel = Channel.model_validate({"conn_id": conn_id, "kind": kind, "to": to})
            telling = self._attempt(channel, message, may_be_repeat=may_be_repeat)
            reached, is_in_doubt = (*reached, *telling.told), is_in_doubt or telling.is_in_doubt
        if reached:
            return Telling(reached, is_in_doubt=is_in_doubt)
        return self.tell(message, may_be_repeat=may_be_repeat)

    def _hook(self, channel: Channel) -> GatewayHook:
        return hook_of(self._connections.get(channel.conn_id), kind=channel.kind, who="the watchdog")

    def _attempt(self, channel: Channel, message: Message, *, may_be_repeat: bool) -> Telling:
        """Run in a daemon thread: only leaving it behind bounds the sum of all waits."""
        release, found, aimed = AlertRelease(), list[Any](), list[Told]()

        def work() -> None:
            try:
                found.append(self._send(channel, message, release, aimed, may_be_repeat=may_be_repeat))
            except BaseException as error:  # ended by anything, it is no success
                found.append(error)

        Aside(work, name="watchdog message").is_over(ALERT_TIMEOUT)
        result = found[0] if found else None
        if isinstance(result, Telling):
            return result
        why = result if isinstance(result, BaseException) else f"no answer within {ALERT_TIMEOUT:g} s"
        has_left = release.has_left if found else not release.give_up()
        failure = AlertFailure.of(why, f"connection {channel.conn_id}", has_left=has_left)
        log.error("%s", failure)
        return Telling(tuple(aimed), is_in_doubt=True) if failure.in_doubt else Telling()

    def _send(
        self,
        channel: Channel,
        message: Message,
        release: AlertRelease,
        aimed: list[Told],
        *,
        may_be_repeat: bool,
    ) -> Telling:
        hook = self._hook(channel)
        try:
            contacts = contacts_within(ALERT_QUESTION_TIMEOUT) if _has_names(channel.to) else None
            recipients = AlertRecipients(
                lambda: contacts or contacts_within(ALERT_QUESTION_TIMEOUT), channel.kind, hook.sender.now()
            )
            numbers = recipients.of(channel.to)
            for problem in recipients.problems:
                log.error("connection %s: %s", channel.conn_id, problem)
            aimed += [_told(channel, number, contacts) for number in _each(numbers)]
            message_for = MessageFor(
                lambda audience: self._message(
                    channel, message, audience.language, may_be_repeat=may_be_repeat
                ),
                lambda number: recipients.audience_of.get(number) or Audience(),
            )
            sent = send_alert(hook, message_for, numbers, needs_mobile=channel.kind == "sms", release=release)
        finally:
            hook.close()
        for line in left_out(sent):
            log.error("connection %s: %s", channel.conn_id, line)
        log.info(
            "Told through %s as %s: %s",
            channel.conn_id,
            ", ".join(str(receipt.gateway_id) for receipt in sent.receipts[:NAMED_IN_ALERT]),
            masked(sent.reached),
        )
        told = (*sent.reached, *sent.in_doubt)
        return Telling(tuple(_told(channel, number, contacts) for number in told))

    def _message(
        self, channel: Channel, message: Message, of_people: str | None, *, may_be_repeat: bool
    ) -> SmsMessage | VoiceMessage:
        language = language_of(self._tell.language or of_people)
        if channel.kind == "sms":
            return SmsMessage(
                text=sms(message, language, is_repeat=may_be_repeat),
                sender=channel.sender,
                purpose="alert",
                options=channel.options,
            )
        return VoiceMessage(
            text=spoken(message, language, is_repeat=may_be_repeat),
            language=VOICE_LANGUAGES[language],
            sender=channel.sender,
            purpose="alert",
            options=channel.options,
        )


def within(seconds: float, call: Callable[[], Result]) -> Result:
    """
    Run a call in a daemon thread.

    :raises TimeoutError: it took longer, and is left behind.
    """
    found: list[tuple[Result | None, BaseException | None]] = []

    def work() -> None:
        try:
            found.append((call(), None))
        except BaseException as error:
            found.append((None, error))

    Aside(work, name="watchdog question").is_over(seconds)
    if not found:
        raise TimeoutError(f"no answer within {seconds:g} s")
    result, error = found[0]
    if error is not None:
        raise error
    return result  # type: ignore[return-value]


def audience_of(tell: Tell) -> tuple[str, ...]:
    """Return whom the first way tells, as it names them."""
    return tuple(sorted(_each(tell.to)))


def told_twice(tell: Tell, directory: Directory, at: datetime) -> str:
    """
    Say who gets both the message to ``to`` and the first page of the policy; empty for nobody.

    :param at: aware; when rotas are asked.
    """
    policy = directory.policies.get((tell.policy or "").strip().lower())
    if policy is None or not policy.steps:
        return ""
    first, names = policy.steps[0], [one[1:].lower() for one in _each(tell.to) if one.startswith("@")]
    told = {one.person for one in targets_of(directory, names, tell.kind, at).reached}
    both = [
        one.person
        for one in targets_of(directory, first.who, first.by.kind, at).reached
        if one.person in told
    ]
    if not both:
        return ""
    return (
        f"tell.to and the first step of the policy {policy.name} both reach {', '.join(both)} now, who gets two "
        "messages of each finding; name in tell.to whoever only has to know"
    )


def _has_names(to: str | list[str]) -> bool:
    return "@" in str(to)


def _each(to: Any) -> list[str]:
    """Return recipients one by one."""
    texts = to.split(",") if isinstance(to, str) else map(str, to)
    return [text.strip() for text in texts if text.strip()]


def _told(channel: Channel, number: str, contacts: KnownContacts | None) -> Told:
    people = {} if contacts is None or contacts.directory is None else contacts.directory.people
    person = next((name for name, one in people.items() if number in one.numbers(channel.kind)), "")
    return Told(
        conn_id=channel.conn_id, kind=channel.kind, person=person, phone_number="" if person else number
    )
