"""The page behind the link of a question: its options, each with a button, and who decided."""

from __future__ import annotations

import html
import secrets
from collections.abc import Callable
from typing import ClassVar, Final

from starlette.routing import Route

from airflow_provider_voicepartner.contacts.languages import Language
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.hooks.link_pages import LinkPages, link_to_airflow
from airflow_provider_voicepartner.hooks.questions import QUESTION_PATH
from airflow_provider_voicepartner.incidents.acting import digest_of
from airflow_provider_voicepartner.incidents.answers import Channel
from airflow_provider_voicepartner.incidents.links import QUESTIONS, PageLink, PageLinks
from airflow_provider_voicepartner.incidents.question_answers import QuestionAnswers
from airflow_provider_voicepartner.incidents.question_model import Question, Stage
from airflow_provider_voicepartner.incidents.questions import QuestionStore
from airflow_provider_voicepartner.settings import callback_secrets

_WORDS: Final[dict[Language, dict[str, str]]] = {
    "en": {
        "open": "Nobody has decided yet.", "decided": "{0} decided: {1}", "somebody": "Somebody who was asked",
        "over": "It is over.",
    },
    "fr": {
        "open": "Personne n'a encore décidé.", "decided": "{0} a décidé : {1}", "somebody": "Une personne interrogée",
        "over": "C'est fini.",
    },
}  # fmt: skip


def question_routes(open_store: Callable[[], Store], prefix: str) -> list[Route]:
    """
    Return the routes at which people answer questions, of the configured secrets.

    :param open_store: opens the store.
    :param prefix: of the receiver's routes.
    """
    return QuestionPages(open_store, PageLinks(callback_secrets(), salt=QUESTIONS)).routes(prefix)


class QuestionPages(LinkPages[int, Question]):
    """The handler of the route at which people answer questions."""

    path: ClassVar[str] = QUESTION_PATH
    field: ClassVar[str] = "option"

    def given_by(self, value: str) -> int | None:
        """Read the number of an option."""
        return int(value) if value in set("123456789") else None

    def look(self, store: Store, link: PageLink, given: int | None) -> Question | None:
        """Answer the question, if a button was pressed, and return it."""
        questions = QuestionStore(store)
        question, found = questions.get(link.incident), questions.person_of(link.incident, link.number)
        if question is None or found is None or given is None or given > len(question.options):
            return question if found is not None else None
        done = QuestionAnswers(store).by_name(
            question.id,
            question.options[given - 1],
            found[0],
            Channel.LINK,
            digest=digest_of("link", secrets.token_hex()),
        )
        return question if done is None else done.question

    def shown(self, found: Question, language: Language) -> tuple[str, str]:
        """Return the question's name, who decided, and the options."""
        words = _WORDS[language]
        state, is_open = words["open"], found.state is Stage.OPEN
        if found.chosen:
            state = words["decided"].format(found.who or words["somebody"], ", ".join(found.chosen))
        elif not is_open:
            state = words["over"]
        parts = [
            f"<h1>{html.escape(found.name)}</h1>",
            f"<p><strong>{html.escape(state)}</strong></p>",
            *(self.button(number, option) for number, option in enumerate(found.options, 1) if is_open),
            *link_to_airflow(found.link),
        ]
        return found.name, "".join(parts)
