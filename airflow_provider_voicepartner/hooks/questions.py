"""
Opens a question to people in the store, within seconds; where that fails it is answered in Airflow.

The store is asked in a thread that is left behind: no time-out of a database bounds the sum of what may hang there.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from airflow_provider_voicepartner.constants import LINK_LIFETIME, QUESTION_STORE_TIMEOUT
from airflow_provider_voicepartner.db.errors import StoreUnavailableError, StoreUrlError
from airflow_provider_voicepartner.delivery.tokens import PREFIX
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.hooks.aside import Aside
from airflow_provider_voicepartner.hooks.callbacks import CallbackConfig, callback_config
from airflow_provider_voicepartner.incidents.links import QUESTIONS, PageLink, PageLinks
from airflow_provider_voicepartner.incidents.question_model import Asked, Asking, Question, Stage
from airflow_provider_voicepartner.incidents.questions import QuestionStore
from airflow_provider_voicepartner.settings import ASKING, callback_secrets, open_store

if TYPE_CHECKING:
    from airflow_provider_voicepartner.hooks.alert import SentAlert

log = logging.getLogger(__name__)

QUESTION_PATH: Final = "/q"
"""Of the pages at which people answer questions, below the receiver's own path."""

_NO_READER: Final = (
    "no watchdog has read answers lately; run airflow voicepartner watchdog, with the same store_url"
)
_NO_RECEIVER: Final = "gateways report answers only with [voicepartner] public_url and callback_secret"


class AskedQuestion:
    """
    A question in the store, on its way to people.

    :param asking: what is asked.
    :param people: who is asked.
    """

    def __init__(self, asking: Asking, people: Sequence[Asked]) -> None:
        self._asking, self._people = asking, people
        self._references = {one.phone_number: one.reference for one in people}
        self._links: dict[str, str] = {}
        self._store: QuestionStore | None = None
        self._lock, self._is_given_up = threading.Lock(), False
        self.question: Question | None = None
        """As it was opened; None where it was not."""
        self.problem = self._within(self._open)
        """Why it cannot be answered by phone; empty where it can."""
        with self._lock:
            self._is_given_up = self.question is None
            self.problem = "" if self.question is not None else self.problem or "it was not opened"

    def _open(self) -> str:
        config = callback_config()
        if config is None:
            return _NO_RECEIVER
        store = QuestionStore(open_store(ASKING))
        if not store.has_reader():
            return _NO_READER
        question = store.open(self._asking)
        if question.state is not Stage.OPEN:
            return "somebody has answered it already"
        store.ask(question.id, self._people)
        for one in self._people:
            self._links[one.phone_number] = self._link(store, question, config, one)
        with self._lock:
            if not self._is_given_up:
                self._store, self.question = store, question
                return ""
        # Too late: the message says nothing of an answer by phone, so none may count.
        for kind in {one.kind for one in self._people}:
            store.was_not_asked(question.id, [one.phone_number for one in self._people], kind)
        return "too late"

    def _link(self, store: QuestionStore, question: Question, config: CallbackConfig, one: Asked) -> str:
        # A text that several get holds no link, since it would be the same for all of them.
        shared = [other for other in self._people if other.reference == one.reference]
        if len(shared) != 1 or one.kind != "sms":
            return ""
        number = store.number_of(question.id, one.phone_number, one.kind)
        if number is None:
            return ""
        expires = question.ends_at or question.asked_at + LINK_LIFETIME
        token = PageLinks(callback_secrets(), salt=QUESTIONS).make(
            PageLink(question.id, number), expires=min(expires, question.asked_at + LINK_LIFETIME)
        )
        return f"{config.public_url}{PREFIX}{QUESTION_PATH}/{token}"

    def link_of(self, phone_number: str) -> str:
        """Return where somebody can answer; empty for those who get the same text as others, and for calls."""
        return self._links.get(phone_number, "")

    def take_reference(self, numbers: Sequence[str]) -> str:
        """Return the reference of a request to these numbers, each one once; then an empty text."""
        mine = self._references.get(numbers[0], "")
        if mine:
            self._references = {
                number: reference for number, reference in self._references.items() if reference != mine
            }
        return mine

    def was_sent(self, sent: SentAlert, gateway: str, kind: str) -> None:
        """Store by which batch people were asked, and take back those whom the gateway refused. Never raises."""
        store, question = self._store, self.question
        if store is None or question is None:
            return
        left = [one.phone_number for one in self._people if one.phone_number not in set(sent.reached)]
        is_sure = not sent.failures

        def work() -> str:
            for receipt, reached in sent.accepted:
                store.was_asked(question.id, reached, kind, gateway=gateway, gateway_id=receipt.gateway_id)
            if is_sure:
                store.was_not_asked(question.id, left, kind)
            return ""

        self._note(work)

    def was_not_sent(self, kind: str) -> None:
        """Take everybody back: certainly nobody was asked. Never raises."""
        store, question = self._store, self.question
        if store is None or question is None:
            return
        numbers = [one.phone_number for one in self._people]

        def work() -> str:
            store.was_not_asked(question.id, numbers, kind)
            return ""

        self._note(work)

    def _note(self, work: Callable[[], str]) -> None:
        problem = self._within(work)
        if problem:
            log.warning("The store does not know what became of a question's message: %s", problem)

    @staticmethod
    def _within(work: Callable[[], str]) -> str:
        """Do something in bounded time; return what went wrong."""
        found: list[str] = []

        def run() -> None:
            try:
                found.append(work())
            except (StoreUnavailableError, StoreUrlError, ConfigurationError) as error:
                found.append(str(error))
            except BaseException as error:  # a driver's text may hold values
                found.append(type(error).__name__)

        Aside(run, name="question").is_over(QUESTION_STORE_TIMEOUT)
        return found[0] if found else f"no answer of the store within {QUESTION_STORE_TIMEOUT:g} s"
