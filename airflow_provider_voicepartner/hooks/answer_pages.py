"""
The page behind the link of a page: what broke and who has it, with a button.

Programs that preview messages open every link, so to open it changes nothing: only the button's POST does.
"""

from __future__ import annotations

import asyncio
import html
import logging
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from airflow_provider_voicepartner.constants import BODY_TIMEOUT, LARGEST_ANSWER_FORM, LINK_ANSWER_TIMEOUT
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.delivery.receiver import BodyError, read_body
from airflow_provider_voicepartner.hooks.paging import LINK_PATH, Pager
from airflow_provider_voicepartner.incidents.acting import digest_of
from airflow_provider_voicepartner.incidents.answers import Channel
from airflow_provider_voicepartner.incidents.escalation import Action, Phase, Result
from airflow_provider_voicepartner.incidents.links import PageLink, PageLinks
from airflow_provider_voicepartner.incidents.pages import ShownIncident
from airflow_provider_voicepartner.settings import callback_secrets

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

log = logging.getLogger(__name__)

PAGE_HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex",
}
PAGE_STYLE: Final = (
    "body{font:1.2em sans-serif;margin:1em}button{font:inherit;padding:.8em;margin:.3em 0;width:100%}"
)
_METHODS: Final = ("GET", "HEAD", "POST")

_WORDS: Final[dict[str, dict[str, str]]] = {
    "en": {
        "open": "Nobody has it yet.", "owned": "{0} has it.", "closed": "It is closed.", "yours": "You have it.",
        "alerts": "{0} alerts", "acknowledge": "Take it", "escalate": "Pass it on", "close": "Close it",
        Result.ACKNOWLEDGED: "You have it now.", Result.ESCALATED: "Passed on.", Result.CLOSED: "Closed.",
        Result.ALREADY_OWNED: "{0} has it already.", Result.ALREADY_PASSED_ON: "You passed it on already.",
        Result.ALREADY_CLOSED: "It was closed already.",
        "late": "That took too long. Nothing is certain; open the link again.",
    },
    "fr": {
        "open": "Personne ne s'en occupe encore.", "owned": "{0} s'en occupe.", "closed": "C'est clos.",
        "yours": "Vous vous en occupez.",
        "alerts": "{0} alertes", "acknowledge": "Prendre", "escalate": "Passer", "close": "Clore",
        Result.ACKNOWLEDGED: "C'est pour vous.", Result.ESCALATED: "Transmis.", Result.CLOSED: "Clos.",
        Result.ALREADY_OWNED: "{0} s'en occupe déjà.", Result.ALREADY_PASSED_ON: "Vous l'avez déjà transmis.",
        Result.ALREADY_CLOSED: "C'était déjà clos.",
        "late": "C'était trop long. Rien n'est certain ; ouvrez à nouveau le lien.",
    },
}  # fmt: skip


def answer_routes(open_store: Callable[[], Store], prefix: str) -> list[Route]:
    """
    Return the routes at which people answer pages, of the configured secrets.

    :param open_store: opens the store.
    :param prefix: of the receiver's routes.
    """
    return AnswerPages(open_store, PageLinks(callback_secrets())).routes(prefix)


class AnswerPages:
    """
    The handlers of the routes at which people answer pages.

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
        return [Route(f"{prefix}{LINK_PATH}/{{token}}", Application(self.answer))]

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Show an incident, or act on it; an address that is not ours gets an empty 404."""
        response = await self._response(scope, receive)
        await response(scope, receive, send)

    async def _response(self, scope: Scope, receive: Receive) -> Response:
        if scope["method"] not in _METHODS:
            return Response(status_code=405, headers={"allow": ", ".join(_METHODS)})
        link = self._links.read(scope["path_params"]["token"], now=self._clock())
        if link is None:
            return Response(status_code=404)
        request = Request(scope)
        words = _WORDS["fr" if prefers_french(request.headers.get("accept-language", "")) else "en"]
        action: Action | None = None
        if scope["method"] == "POST":
            try:
                async with asyncio.timeout(BODY_TIMEOUT):
                    body = await read_body(dict(scope["headers"]), receive, limit=LARGEST_ANSWER_FORM)
            except BodyError as error:
                return Response(status_code=error.status, headers={"connection": "close"})
            except TimeoutError:
                return Response(status_code=408, headers={"connection": "close"})
            action = _action_in(body)
            if action is None:
                return Response(status_code=400)
        try:
            async with asyncio.timeout(LINK_ANSWER_TIMEOUT):
                shown, said = await asyncio.to_thread(self._work, link, action, words)
        except TimeoutError:
            return _html(words, None, words["late"], is_certain=False)
        except Exception as error:  # the store, the contacts: whoever clicks must not see our insides
            log.error("An answer by a link failed: %s", type(error).__name__)
            return _html(words, None, words["late"], is_certain=False)
        if shown is None:
            return Response(status_code=404)
        return _html(words, shown, said)

    def _work(
        self, link: PageLink, action: Action | None, words: Mapping[str, str]
    ) -> tuple[ShownIncident | None, str]:
        if self._store is None:
            self._store = self._open_store()
        pager = Pager(self._store)
        shown = pager.pages.shown(link.incident, link.number)
        if shown is None or action is None:
            return shown, ""
        digest = digest_of("link", secrets.token_hex())
        done = pager.answers.by_name(
            link.incident, action, shown.person, Channel.LINK, pager.numbers, digest=digest
        )
        said = "" if done is None else words.get(done.outcome, "").format(done.owner)
        if done is not None and done.pages:
            # Whoever clicked need not wait until the others are told.
            threading.Thread(target=pager.send, args=(done.pages,), name="page", daemon=True).start()
        return pager.pages.shown(link.incident, link.number), said


class Application:
    """An instance, not a function: Starlette then calls it as an ASGI application, with every method."""

    def __init__(self, call: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._call = call

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._call(scope, receive, send)


def prefers_french(accepted: str) -> bool:
    """Say whether a browser that accepts these languages prefers French to English."""
    languages = [part.split(";")[0].strip().lower()[:2] for part in accepted.split(",")]
    return next((one for one in languages if one in ("fr", "en")), "en") == "fr"


def _action_in(body: bytes) -> Action | None:
    fields = parse_qs(body.decode("latin-1"))
    try:
        return Action(fields.get("action", [""])[0])
    except ValueError:
        return None


def _html(
    words: Mapping[str, str], shown: ShownIncident | None, said: str, *, is_certain: bool = True
) -> Response:
    parts = [f"<p><strong>{html.escape(said)}</strong></p>"] if said else []
    title = "Voice Partner"
    if shown is not None:
        title = shown.title
        state = {
            Phase.ACKNOWLEDGED: words["yours" if shown.owner == shown.person else "owned"],
            Phase.CLOSED: words["closed"],
        }.get(shown.phase, words["open"])
        alerts = f" ({words['alerts'].format(shown.alerts)})" if shown.alerts > 1 else ""
        parts.insert(0, f"<h1>{html.escape(shown.title)}{html.escape(alerts)}</h1>")
        parts.append(f"<p>{html.escape(state.format(shown.owner))}</p>")
        offered = {Phase.CLOSED: (), Phase.ACKNOWLEDGED: (Action.ESCALATE, Action.CLOSE)}.get(
            shown.phase, tuple(Action)
        )
        parts += [
            f'<form method="post"><button name="action" value="{one}">{html.escape(words[one])}</button></form>'
            for one in offered
        ]
        if shown.link.startswith(("https://", "http://")):
            parts.append(f'<p><a href="{html.escape(shown.link)}">Airflow</a></p>')
    page = (
        '<!doctype html><html><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{PAGE_STYLE}</style>"
        f"<title>{html.escape(title)}</title></head><body>{''.join(parts)}</body></html>"
    )
    return HTMLResponse(
        page,
        status_code=HTTPStatus.OK if is_certain else HTTPStatus.SERVICE_UNAVAILABLE,
        headers=dict(PAGE_HEADERS),
    )
