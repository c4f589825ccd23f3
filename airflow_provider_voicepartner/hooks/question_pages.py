"""
The page behind the link of a question: its options, each with a button, and who decided.

Programs that preview messages open every link, so to open it changes nothing: only a button's POST does.
"""

from __future__ import annotations

import asyncio
import html
import logging
import secrets
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from airflow_provider_voicepartner.constants import BODY_TIMEOUT, LARGEST_ANSWER_FORM, LINK_ANSWER_TIMEOUT
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.delivery.receiver import BodyError, read_body
from airflow_provider_voicepartner.hooks.answer_pages import (
    PAGE_HEADERS,
    PAGE_STYLE,
    Application,
    prefers_french,
)
from airflow_provider_voicepartner.hooks.questions import QUESTION_PATH
from airflow_provider_voicepartner.incidents.acting import digest_of
from airflow_provider_voicepartner.incidents.answers import Channel
from airflow_provider_voicepartner.incidents.links import QUESTIONS, PageLink, PageLinks
from airflow_provider_voicepartner.incidents.question_answers import QuestionAnswers
from airflow_provider_voicepartner.incidents.question_model import Question, Stage
from airflow_provider_voicepartner.incidents.questions import QuestionStore
from airflow_provider_voicepartner.settings import callback_secrets

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

log = logging.getLogger(__name__)

_METHODS: Final = ("GET", "HEAD", "POST")
_WORDS: Final = {
    "en": {
        "open": "Nobody has decided yet.", "decided": "{0} decided: {1}", "somebody": "Somebody who was asked",
        "over": "It is over.", "late": "That took too long. Nothing is certain; open the link again.",
    },
    "fr": {
        "open": "Personne n'a encore décidé.", "decided": "{0} a décidé : {1}", "somebody": "Une personne interrogée",
        "over": "C'est fini.", "late": "C'était trop long. Rien n'est certain ; ouvrez à nouveau le lien.",
    },
}  # fmt: skip


def question_routes(open_store: Callable[[], Store], prefix: str) -> list[Route]:
    """
    Return the routes at which people answer questions, of the configured secrets.

    :param open_store: opens the store.
    :param prefix: of the receiver's routes.
    """
    return QuestionPages(open_store, PageLinks(callback_secrets(), salt=QUESTIONS)).routes(prefix)


class QuestionPages:
    """
    The handlers of the routes at which people answer questions.

    :param open_store: opens the store; called with the first request, and again as long as it fails.
    :param links: verifies tokens.
    :param clock: Unix seconds; injected by tests.
    """

    def __init__(
        self, open_store: Callable[[], Store], links: PageLinks, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._open_store, self._links, self._clock = open_store, links, clock
        self._store: Store | None = None

    def routes(self, prefix: str) -> list[Route]:
        """Return the routes, for :func:`~airflow_provider_voicepartner.delivery.receiver.create_app`."""
        return [Route(f"{prefix}{QUESTION_PATH}/{{token}}", Application(self.answer))]

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Show a question, or answer it; an address that is not ours gets an empty 404."""
        response = await self._response(scope, receive)
        await response(scope, receive, send)

    async def _response(self, scope: Scope, receive: Receive) -> Response:
        if scope["method"] not in _METHODS:
            return Response(status_code=405, headers={"allow": ", ".join(_METHODS)})
        link = self._links.read(scope["path_params"]["token"], now=self._clock())
        if link is None:
            return Response(status_code=404)
        language = "fr" if prefers_french(Request(scope).headers.get("accept-language", "")) else "en"
        number: int | None = None
        if scope["method"] == "POST":
            try:
                async with asyncio.timeout(BODY_TIMEOUT):
                    body = await read_body(dict(scope["headers"]), receive, limit=LARGEST_ANSWER_FORM)
            except BodyError as error:
                return Response(status_code=error.status, headers={"connection": "close"})
            except TimeoutError:
                return Response(status_code=408, headers={"connection": "close"})
            number = _number_in(body)
            if number is None:
                return Response(status_code=400)
        try:
            async with asyncio.timeout(LINK_ANSWER_TIMEOUT):
                question = await asyncio.to_thread(self._work, link, number)
        except Exception as error:  # the store: whoever clicks must not see our insides
            log.error("An answer to a question by a link failed: %s", type(error).__name__)
            return _html(f"<p>{html.escape(_WORDS[language]['late'])}</p>", is_certain=False)
        return Response(status_code=404) if question is None else _html(_body(question, language))

    def _work(self, link: PageLink, number: int | None) -> Question | None:
        if self._store is None:
            self._store = self._open_store()
        questions = QuestionStore(self._store)
        question, found = questions.get(link.incident), questions.person_of(link.incident, link.number)
        if question is None or found is None or number is None or number > len(question.options):
            return question if found is not None else None
        done = QuestionAnswers(self._store).by_name(
            question.id,
            question.options[number - 1],
            found[0],
            Channel.LINK,
            digest=digest_of("link", secrets.token_hex()),
        )
        return question if done is None else done.question


def _number_in(body: bytes) -> int | None:
    text = parse_qs(body.decode("latin-1")).get("option", [""])[0]
    return int(text) if text in set("123456789") else None


def _body(question: Question, language: str) -> str:
    words = _WORDS[language]
    state = words["open"]
    if question.chosen:
        state = words["decided"].format(question.who or words["somebody"], ", ".join(question.chosen))
    elif question.state is not Stage.OPEN:
        state = words["over"]
    parts = [f"<h1>{html.escape(question.name)}</h1>", f"<p><strong>{html.escape(state)}</strong></p>"]
    if question.state is Stage.OPEN:
        parts += [
            f'<form method="post"><button name="option" value="{number}">{html.escape(option)}</button></form>'
            for number, option in enumerate(question.options, 1)
        ]
    if question.link.startswith(("https://", "http://")):
        parts.append(f'<p><a href="{html.escape(question.link)}">Airflow</a></p>')
    return "".join(parts)


def _html(body: str, *, is_certain: bool = True) -> Response:
    page = (
        '<!doctype html><html><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{PAGE_STYLE}</style><title>Airflow</title></head><body>{body}</body></html>"
    )
    status = HTTPStatus.OK if is_certain else HTTPStatus.SERVICE_UNAVAILABLE
    return HTMLResponse(page, status_code=status, headers=dict(PAGE_HEADERS))
