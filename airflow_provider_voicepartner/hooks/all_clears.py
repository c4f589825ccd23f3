"""
Sends the all clears that people are owed: now, and later what could not be sent; any number of processes may.

Each message has a request of its own, since of several recipients some may be told and others not.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic

from airflow_provider_voicepartner.constants import ALERT_QUESTION_TIMEOUT, ALERT_TIMEOUT
from airflow_provider_voicepartner.contacts.directory import Directory
from airflow_provider_voicepartner.contacts.languages import VOICE_LANGUAGES, language_of
from airflow_provider_voicepartner.contacts.policy import By
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.exceptions import NotSentError, VoicePartnerProviderError
from airflow_provider_voicepartner.gateways.model import Message, SmsMessage, VoiceMessage
from airflow_provider_voicepartner.hooks.alert import NOT_SENT_ERRORS, AlertRelease, masked, send_alert
from airflow_provider_voicepartner.hooks.aside import Aside
from airflow_provider_voicepartner.hooks.contacts import KnownContacts, contacts_within
from airflow_provider_voicepartner.hooks.page_sending import MakeHook, hook_of_way
from airflow_provider_voicepartner.incidents.clearing import AllClearStore, ClaimedClear, ClearPhase

log = logging.getLogger(__name__)


class _ClearRelease(AlertRelease):
    """Releases an all clear once the store knows that it may have left."""

    def __init__(self, may_leave: Callable[[], bool]) -> None:
        super().__init__()
        self._may_leave = may_leave

    def leave(self) -> None:
        """Release it, in one request or several; errors as in the base class."""
        if not self.has_left and not self._may_leave():
            raise NotSentError("the same failed again, or another process sends it")
        super().leave()


class AllClears:
    """
    Sends the all clears of a store.

    :param store: of :attr:`~airflow_provider_voicepartner.incidents.store.IncidentStore.all_clears`.
    :param contacts: reads the contacts in bounded time; asked only for people by name.
    :param make_hook: makes the hook of a connection for a way of telling.
    """

    def __init__(
        self,
        store: AllClearStore,
        *,
        contacts: Callable[[], KnownContacts] = lambda: contacts_within(ALERT_QUESTION_TIMEOUT),
        make_hook: MakeHook = hook_of_way,
    ) -> None:
        self._store, self._contacts, self._make_hook = store, contacts, make_hook

    def send_due(self) -> bool | None:
        """
        Send what is owed and due, until 16 messages in a row cannot be sent: these take 20 s at most.

        What goes wrong with a message is logged, and it is sent again later if it certainly was not sent.

        :returns: False where the last ones reached nobody; None where nothing was due.
        :raises StoreUnavailableError: the store cannot be asked; whoever asks later sends them.
        """
        has_reached = None
        while has_reached is not False:
            due = self._store.claim_due()
            if due.late:
                log.error("All clears that could not be sent in time are given up: %d", due.late)
            if not due.claimed:
                break
            has_reached = self._send_together(due.claimed)
        return has_reached

    def _send_together(self, claimed: Sequence[ClaimedClear]) -> bool:
        """Send side by side; whoever is late is left behind, and may still leave while nobody else has claimed it."""
        known = self._contacts() if any(one.told.person for one in claimed) else KnownContacts(None)
        for problem in known.problems:
            log.error("%s", problem)
        end, became = monotonic() + ALERT_TIMEOUT, list[ClearPhase]()
        work = [Aside(partial(self._send, one, known.directory, became), name="all clear") for one in claimed]
        for one, aside in zip(claimed, work, strict=True):
            if not aside.is_over(max(0.0, end - monotonic())):
                log.error("%s has not been accepted within %g s", one.names, ALERT_TIMEOUT)
        return any(phase is not ClearPhase.NOT_SENT for phase in became)

    def _send(self, claimed: ClaimedClear, directory: Directory | None, became: list[ClearPhase]) -> None:
        """Send one, and store what became of it; never raises."""
        release = _ClearRelease(partial(self._store.leave, claimed))
        try:
            phase = self._sent(claimed, directory, release)
        except NOT_SENT_ERRORS as error:
            log.error("%s was not sent: %s", claimed.names, error)
            phase = ClearPhase.NOT_SENT
        except BaseException as error:  # whatever ends it is no success
            is_ours = isinstance(error, VoicePartnerProviderError | StoreUnavailableError)
            why = str(error) if is_ours else type(error).__name__
            phase = ClearPhase.IN_DOUBT if release.has_left else ClearPhase.NOT_SENT
            what = "may have arrived, and is not sent again" if release.has_left else "was not sent"
            log.error("%s %s: %s", claimed.names, what, why)
        became.append(phase)
        try:
            self._store.record(claimed, phase)
        except Exception as error:
            reason = str(error) if isinstance(error, StoreUnavailableError) else type(error).__name__
            log.error("The store does not know what became of %s (%s): %s", claimed.names, phase, reason)

    def _sent(self, claimed: ClaimedClear, directory: Directory | None, release: AlertRelease) -> ClearPhase:
        told, language = claimed.told, None
        by = By.SMS if told.kind == "sms" else By.CALL
        numbers: Sequence[str] = (told.phone_number,)
        if told.person:
            if directory is None:
                raise NotSentError("the contacts cannot be read now")
            person = directory.people.get(told.person)
            if person is None:
                # Not to the last resort, who was never told of it.
                log.warning("All clear: %s is not told: not among the contacts any more", told.person)
                return ClearPhase.DROPPED
            numbers, language = person.numbers(by.kind), person.language
            if not numbers:
                raise NotSentError(f"{told.person} has no number for this kind of message")
        hook = self._make_hook(told.conn_id, by)
        try:
            message = _message(claimed, by, claimed.text.language or language)
            sent = send_alert(hook, message, list(numbers), needs_mobile=by is By.SMS, release=release)
        finally:
            hook.close()
        log.info(
            "%s was accepted as %s, through %s: %s",
            claimed.names, sent.receipts[0].gateway_id, told.conn_id, masked(sent.reached),
        )  # fmt: skip
        return ClearPhase.TOLD


def _message(claimed: ClaimedClear, by: By, language: str | None) -> Message:
    text, code = claimed.text, language_of(language)
    if by is By.SMS:
        return SmsMessage(text=text.french if code == "fr" else text.english, purpose="alert")
    said = text.spoken_french if code == "fr" else text.spoken
    return VoiceMessage(text=said, language=VOICE_LANGUAGES[code], purpose="alert")
