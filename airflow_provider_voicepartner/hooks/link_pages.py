"""
What the pages behind signed links share: who may open one, how its form is read, and how it looks.

Programs that preview messages open every link, so to open one changes nothing: only a button's POST does.
"""

from __future__ import annotations

import asyncio
import html
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar, Final, Generic, TypeVar
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from airflow_provider_voicepartner.constants import BODY_TIMEOUT, LARGEST_ANSWER_FORM, LINK_ANSWER_TIMEOUT
from airflow_provider_voicepartner.contacts.languages import Language
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.delivery.receiver import Application, BodyError, read_body
from airflow_provider_voicepartner.incidents.links import PageLink, PageLinks

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

log = logging.getLogger(__name__)

Given = TypeVar("Given")
"""What a button says."""
Found = TypeVar("Found")
"""What is shown."""

_METHODS: Final = ("GET", "HEAD", "POST")
_HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex",
}
_STYLE: Final = (
    "body{font:1.2em sans-serif;margin:1em}button{font:inherit;padding:.8em;margin:.3em 0;width:100%}"
)
_TITLE: Final = "Airflow"
_LATE: Final[dict[Language, str]] = {
    "en": "That took too long. Nothing is certain; open the link again.",
    "fr": "C'était trop long. Rien n'est certain ; ouvrez à nouveau le lien.",
}


class LinkPages(ABC, Generic[Given, Found]):
    """
    The handler of the route of one kind of link.

    :param open_store: opens the store; called with the first request, and again as long as it fails.
    :param links: verifies tokens.
    :param clock: Unix seconds; injected by tests.
    """

    path: ClassVar[str]
    """Below the receiver's prefix."""

    def __init__(
        self, open_store: Callable[[], Store], links: PageLinks, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._open_store, self._links, self._clock = open_store, links, clock
        self._store: Store | None = None

    @abstractmethod
    def given_by(self, value: str) -> Given | None:
        """Read what a button says; None for what no button says."""

    @abstractmethod
    def look(self, store: Store, link: PageLink, given: Given | None) -> Found | None:
        """Do what a button says, if one was pressed; return what is to be shown, None where there is nothing."""

    @abstractmethod
    def shown(self, found: Found, language: Language) -> tuple[str, str]:
        """Return the title, and the body as HTML."""

    field: ClassVar[str]
    """The name of the buttons."""

    def routes(self, prefix: str) -> list[Route]:
        """Return the routes, for :func:`~airflow_provider_voicepartner.delivery.receiver.create_app`."""
        return [Route(f"{prefix}{self.path}/{{token}}", Application(self.answer))]

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Show what the link is about, or act on it; an address that is not ours gets an empty 404."""
        response = await self._response(scope, receive)
        await response(scope, receive, send)

    async def _response(self, scope: Scope, receive: Receive) -> Response:
        if scope["method"] not in _METHODS:
            return Response(status_code=405, headers={"allow": ", ".join(_METHODS)})
        link = self._links.read(scope["path_params"]["token"], now=self._clock())
        if link is None:
            return Response(status_code=404)
        language = language_of(Request(scope).headers.get("accept-language", ""))
        given: Given | None = None
        if scope["method"] == "POST":
            try:
                async with asyncio.timeout(BODY_TIMEOUT):
                    form = await read_body(dict(scope["headers"]), receive, limit=LARGEST_ANSWER_FORM)
            except BodyError as error:
                return Response(status_code=error.status, headers={"connection": "close"})
            except TimeoutError:
                return Response(status_code=408, headers={"connection": "close"})
            given = self.given_by(parse_qs(form.decode("latin-1")).get(self.field, [""])[0])
            if given is None:
                return Response(status_code=400)
        try:
            async with asyncio.timeout(LINK_ANSWER_TIMEOUT):
                found = await asyncio.to_thread(self._look, link, given)
        except Exception as error:  # the store, the contacts: whoever clicks must not see our insides
            log.error("An answer by a link failed: %s", type(error).__name__)
            return _page(_TITLE, f"<p><strong>{html.escape(_LATE[language])}</strong></p>", is_certain=False)
        return Response(status_code=404) if found is None else _page(*self.shown(found, language))

    def _look(self, link: PageLink, given: Given | None) -> Found | None:
        if self._store is None:
            self._store = self._open_store()
        return self.look(self._store, link, given)

    def button(self, value: object, label: str) -> str:
        """Return a button as HTML."""
        return f'<form method="post"><button name="{self.field}" value="{value}">{html.escape(label)}</button></form>'


def link_to_airflow(link: str) -> list[str]:
    """Return a link as HTML; nothing for what is none."""
    if not link.startswith(("https://", "http://")):
        return []
    return [f'<p><a href="{html.escape(link)}">Airflow</a></p>']


def language_of(accepted: str) -> Language:
    """Return the language of a browser that accepts these; English where it accepts neither."""
    languages = [part.split(";")[0].strip().lower()[:2] for part in accepted.split(",")]
    return "fr" if next((one for one in languages if one in ("fr", "en")), "en") == "fr" else "en"


def _page(title: str, body: str, *, is_certain: bool = True) -> Response:
    page = (
        '<!doctype html><html><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style><title>{html.escape(title)}</title></head><body>{body}</body></html>"
    )
    status = HTTPStatus.OK if is_certain else HTTPStatus.SERVICE_UNAVAILABLE
    return HTMLResponse(page, status_code=status, headers=dict(_HEADERS))
