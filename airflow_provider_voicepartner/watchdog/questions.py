"""
Takes people's answers to questions, gives them to Airflow, and tells those who answered what is so.

Any number of processes may do this: an answer decides once, Airflow takes it once, and each is answered once at most.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import tzinfo
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from airflow_provider_voicepartner.constants import (
    ALERT_QUESTION_TIMEOUT,
    ANSWERS_INTERVAL,
    ANSWERS_LOG_INTERVAL,
    QUESTION_CHECK,
    REPLY_TIMEOUT,
)
from airflow_provider_voicepartner.contacts.languages import language_of
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.delivery.events import SummaryReader
from airflow_provider_voicepartner.delivery.inbound import PRESSED_KEYS, REPLY
from airflow_provider_voicepartner.delivery.store import DeliveryStore, StoredEvent
from airflow_provider_voicepartner.exceptions import VoicePartnerProviderError
from airflow_provider_voicepartner.gateways.model import SmsMessage
from airflow_provider_voicepartner.gateways.wire import mask_number
from airflow_provider_voicepartner.hooks.alert import NOT_SENT_ERRORS, AlertRelease, send_alert
from airflow_provider_voicepartner.hooks.clocks import airflows_clock
from airflow_provider_voicepartner.hooks.contacts import contacts_within, has_contacts
from airflow_provider_voicepartner.hooks.registry import hook_of
from airflow_provider_voicepartner.incidents.acting import digest_of
from airflow_provider_voicepartner.incidents.answers import Channel
from airflow_provider_voicepartner.incidents.cursors import Cursors
from airflow_provider_voicepartner.incidents.question_answers import QuestionAnswers
from airflow_provider_voicepartner.incidents.question_model import (
    DueReply,
    Ending,
    PhoneReply,
    Question,
)
from airflow_provider_voicepartner.incidents.questions import QuestionStore
from airflow_provider_voicepartner.watchdog.hitl import AirflowQuestion, QuestionApi, note_of
from airflow_provider_voicepartner.watchdog.question_texts import reply_text
from airflow_provider_voicepartner.watchdog.rest import ApiError, ApiRefusedError
from airflow_provider_voicepartner.watchdog.telling import Connections, within

if TYPE_CHECKING:
    from airflow_provider_voicepartner.db.transactions import Store

log = logging.getLogger(__name__)

_CURSOR: Final = "answers to questions, read until"
_REFUSED: Final = frozenset(
    (HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)
)


class QuestionRunner:
    """
    Runs the questions of a store. May be used by one thread at a time.

    :param store: of ``[voicepartner] store_url``.
    :param api: Airflow's.
    :param connections: for messages to those who answered.
    :param clock: the time zone in which times are told; None takes Airflow's.
    """

    def __init__(
        self, store: Store, api: QuestionApi, connections: Connections, *, clock: tzinfo | None = None
    ) -> None:
        self.questions, self.answers = QuestionStore(store), QuestionAnswers(store)
        self._api, self._connections = api, connections
        self._clock = clock or airflows_clock()
        self._events, self._delivery = SummaryReader(store), DeliveryStore(store)
        self._cursors = Cursors(store)

    def run(self) -> None:
        """
        Look once.

        :raises StoreUnavailableError: look again later; nothing is lost.
        """
        self.questions.note_reader()
        self.take_answers()
        for question in self.questions.to_check(QUESTION_CHECK):
            self._check(question)
        for question in self.questions.to_deliver():
            self._deliver(question)
        for reply in self.questions.claim_replies():
            self._say(reply)

    # Answers

    def take_answers(self) -> None:
        """Take in replies and pressed keys that came since the last look."""
        head = self._events.head().event
        first = self.questions.first_asked()
        if first is None:
            # Asked first: an answer to a question that is opened meanwhile comes behind this.
            if (self._cursors.get(_CURSOR) or 0) < head:
                self._cursors.move(_CURSOR, head)
            return
        since = self._cursors.get(_CURSOR)
        if since is None:
            since = self._events.last_received(first)
        while page := self._events.after(since):
            for event in self._delivery.events_by_id(
                [one.id for one in page if one.kind in (REPLY, PRESSED_KEYS)]
            ):
                self._take(event)
            since = page[-1].id
            # Behind the answers: what a death leaves unread is read again, and its digest is known.
            self._cursors.move(_CURSOR, since)

    def _take(self, event: StoredEvent) -> None:
        if not event.phone_number or event.part > 1:
            return
        campaign = "" if event.key is None else event.key.campaign
        kind, _, name = campaign.partition(":")
        reply = PhoneReply(
            digest=digest_of("question", event.id, event.received_at),
            channel=Channel.CALL if event.kind == PRESSED_KEYS else Channel.SMS,
            phone_number=event.phone_number,
            # A text in several parts is longer than an answer.
            text=event.text if event.parts <= 1 else "",
            gateway=event.gateway,
            reference=name if kind == "ref" else None,
            gateway_id=name if kind == "id" else None,
            received_at=event.received_at,
        )
        answered = self.answers.by_phone(reply)
        if answered is not None:
            log.info(
                "Question %d (%s): %s answered by %s: %s",
                answered.question.id,
                answered.question.name,
                answered.person or mask_number(event.phone_number),
                reply.channel.value,
                answered.heard.value,
            )

    # Airflow

    def _check(self, question: Question) -> None:
        """Look whether somebody answered in Airflow, or the task does not wait any more."""
        try:
            self._settle(question, self._api.find(question))
        except ApiError as error:
            log.warning("Question %d (%s) cannot be looked at: %s", question.id, question.name, error)

    def _settle(self, question: Question, found: AirflowQuestion | None) -> bool:
        """Note what Airflow knows; return whether the question is over."""
        if found is None:
            return self._end(question, Ending.TASK_OVER)
        if found.ti_id and found.ti_id != question.ti_id:
            return self._end(question, Ending.ASKED_AGAIN)
        if found.is_answered:
            if question.chosen and dict(found.note) == note_of(question):
                self.questions.delivered(question)
                return True
            self.questions.end(question, Ending.IN_AIRFLOW, chosen=found.chosen, who=found.who, at=found.at)
            log.info("Question %d (%s) was answered in Airflow", question.id, question.name)
            return True
        if not found.is_parked and not found.is_on_the_way:
            return self._end(question, Ending.TASK_OVER)
        return False

    def _end(self, question: Question, ending: Ending) -> bool:
        log.info("Question %d (%s) is over: %s", question.id, question.name, ending.value)
        self.questions.end(question, ending)
        return True

    def _deliver(self, question: Question) -> None:
        """Give an answer to Airflow, once its task waits and has done so for a while."""
        if not self.questions.claim(question):
            return
        try:
            found = self._api.find(question)
            if self._settle(question, found):
                return
            is_parked = found is not None and found.is_parked
            if not is_parked or question.seen == "running":
                # Airflow may fail a task that is answered as soon as it waits.
                self.questions.postpone(question, "parked" if is_parked else "running")
                return
            self._answer(question)
        except ApiError as error:
            log.error(
                "Question %d (%s): the answer is not in Airflow yet, and is given again: %s",
                question.id, question.name, error,
            )  # fmt: skip

    def _answer(self, question: Question) -> None:
        try:
            self._api.answer(question)
        except ApiRefusedError as error:
            if error.status == HTTPStatus.CONFLICT and self._settle(question, self._api.find(question)):
                return
            if error.status not in _REFUSED:
                raise
            log.error("Question %d (%s): Airflow refuses the answer: %s", question.id, question.name, error)
            self.questions.end(question, Ending.REFUSED)
            return
        self.questions.delivered(question)
        log.info(
            "Question %d (%s): the answer of %s is in Airflow",
            question.id,
            question.name,
            question.who or "a number without a name",
        )

    # People

    def _say(self, reply: DueReply) -> None:
        """Tell somebody who answered what is so, once at most. Nothing is raised."""
        release, problem, is_sure = AlertRelease(), "", False
        who = reply.person or mask_number(reply.phone_number)
        try:
            within(REPLY_TIMEOUT, lambda: self._send(reply, release))
        except TimeoutError:
            problem, is_sure = f"no answer within {REPLY_TIMEOUT:g} s", release.give_up()
        except VoicePartnerProviderError as error:
            problem, is_sure = str(error), isinstance(error, NOT_SENT_ERRORS)
        except Exception as error:
            problem, is_sure = type(error).__name__, not release.has_left
        number = reply.question.id
        if not problem:
            log.info("Question %d: %s was told what came of the answer", number, who)
        elif is_sure:
            log.error("Question %d: %s was not told what came of the answer: %s", number, who, problem)
        else:
            log.error("Question %d: it is not known whether %s was told: %s", number, who, problem)

    def _clock_of(self, person: str) -> tzinfo:
        """Return the time zone that somebody has in the contacts, else that in which all times are told."""
        directory = contacts_within(ALERT_QUESTION_TIMEOUT).directory if person and has_contacts() else None
        known = None if directory is None else directory.people.get(person)
        return self._clock if known is None or known.time_zone is None else ZoneInfo(known.time_zone)

    def _send(self, reply: DueReply, release: AlertRelease) -> None:
        hook = hook_of(self._connections.get(reply.conn_id), kind="sms", who="an answer to a question")
        try:
            text = reply_text(reply, language_of(reply.language), self._clock_of(reply.person))
            message = SmsMessage(text=text, purpose="alert")
            send_alert(hook, message, [reply.phone_number], needs_mobile=True, release=release)
        finally:
            hook.close()


def run_questions(
    stop: threading.Event,
    *,
    open_store: Callable[[], Store],
    make_api: Callable[[], QuestionApi],
    connections: Connections,
) -> None:
    """
    Look again and again until ``stop`` is set, whatever is down.

    :param open_store: opens the store; called until it succeeds.
    :param make_api: connects to Airflow.
    """
    runner: QuestionRunner | None = None
    store: Store | None = None
    last: tuple[str, float] = ("", 0.0)
    while not stop.is_set():
        problem = ""
        try:
            if runner is None:
                store = open_store()
                runner = QuestionRunner(store, make_api(), connections)
            runner.run()
        except StoreUnavailableError as error:
            problem = str(error)
        except Exception as error:  # not its text: a driver's may hold values
            problem = type(error).__name__
        if problem and (problem != last[0] or time.monotonic() - last[1] > ANSWERS_LOG_INTERVAL):
            log.error("Answers to questions cannot be read: %s", problem)
            last = (problem, time.monotonic())
        stop.wait(ANSWERS_INTERVAL)
    if store is not None:
        store.close()
