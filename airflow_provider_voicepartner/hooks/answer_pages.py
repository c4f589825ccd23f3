"""The page behind the link of a page: what broke and who has it, with a button."""

from __future__ import annotations

import html
import secrets
import threading
from collections.abc import Callable
from typing import ClassVar, Final

from starlette.routing import Route

from airflow_provider_voicepartner.contacts.languages import Language
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.hooks.link_pages import LinkPages, link_to_airflow
from airflow_provider_voicepartner.hooks.paging import LINK_PATH, Pager
from airflow_provider_voicepartner.incidents.acting import Answered, digest_of
from airflow_provider_voicepartner.incidents.answers import Channel
from airflow_provider_voicepartner.incidents.escalation import Action, Phase, Result
from airflow_provider_voicepartner.incidents.links import PageLink, PageLinks
from airflow_provider_voicepartner.incidents.pages import ShownIncident
from airflow_provider_voicepartner.incidents.titles import title_in
from airflow_provider_voicepartner.settings import callback_secrets

_WORDS: Final[dict[Language, dict[str, str]]] = {
    "en": {
        "open": "Nobody has it yet.", "owned": "{0} has it.", "closed": "It is closed.", "yours": "You have it.",
        "alerts": "{0} alerts", "acknowledge": "Take it", "escalate": "Pass it on", "close": "Close it",
        Result.ACKNOWLEDGED: "You have it now.", Result.ESCALATED: "Passed on.", Result.CLOSED: "Closed.",
        Result.ALREADY_OWNED: "{0} has it already.", Result.ALREADY_PASSED_ON: "You passed it on already.",
        Result.ALREADY_CLOSED: "It was closed already.",
    },
    "fr": {
        "open": "Personne ne s'en occupe encore.", "owned": "{0} s'en occupe.", "closed": "C'est clos.",
        "yours": "Vous vous en occupez.",
        "alerts": "{0} alertes", "acknowledge": "Prendre", "escalate": "Passer", "close": "Clore",
        Result.ACKNOWLEDGED: "C'est pour vous.", Result.ESCALATED: "Transmis.", Result.CLOSED: "Clos.",
        Result.ALREADY_OWNED: "{0} s'en occupe déjà.", Result.ALREADY_PASSED_ON: "Vous l'avez déjà transmis.",
        Result.ALREADY_CLOSED: "C'était déjà clos.",
    },
}  # fmt: skip


def answer_routes(open_store: Callable[[], Store], prefix: str) -> list[Route]:
    """
    Return the routes at which people answer pages, of the configured secrets.

    :param open_store: opens the store.
    :param prefix: of the receiver's routes.
    """
    return AnswerPages(open_store, PageLinks(callback_secrets())).routes(prefix)


class AnswerPages(LinkPages[Action, tuple[ShownIncident, Answered | None]]):
    """The handler of the route at which people answer pages."""

    path: ClassVar[str] = LINK_PATH
    field: ClassVar[str] = "action"

    def given_by(self, value: str) -> Action | None:
        """Read which button was pressed."""
        try:
            return Action(value)
        except ValueError:
            return None

    def look(
        self, store: Store, link: PageLink, given: Action | None
    ) -> tuple[ShownIncident, Answered | None] | None:
        """Act on the incident, if a button was pressed, and return it."""
        pager = Pager(store)
        shown = pager.pages.shown(link.incident, link.number)
        if shown is None or given is None:
            return None if shown is None else (shown, None)
        digest = digest_of("link", secrets.token_hex())
        done = pager.answers.by_name(
            link.incident, given, shown.person, Channel.LINK, pager.numbers, digest=digest
        )
        if done is not None and done.pages:
            # Whoever clicked need not wait until the others are told.
            threading.Thread(target=pager.send, args=(done.pages,), name="page", daemon=True).start()
        shown = pager.pages.shown(link.incident, link.number)
        return None if shown is None else (shown, done)

    def shown(self, found: tuple[ShownIncident, Answered | None], language: Language) -> tuple[str, str]:
        """Return what broke, what came of the answer, who has it, and the buttons."""
        (incident, done), words = found, _WORDS[language]
        title = title_in(language, incident.title, incident.words)
        said = "" if done is None else words.get(done.outcome, "").format(done.owner)
        state = {
            Phase.ACKNOWLEDGED: words["yours" if incident.owner == incident.person else "owned"],
            Phase.CLOSED: words["closed"],
        }.get(incident.phase, words["open"])
        alerts = f" ({words['alerts'].format(incident.alerts)})" if incident.alerts > 1 else ""
        offered = {Phase.CLOSED: (), Phase.ACKNOWLEDGED: (Action.ESCALATE, Action.CLOSE)}.get(
            incident.phase, tuple(Action)
        )
        parts = [
            f"<h1>{html.escape(title)}{html.escape(alerts)}</h1>",
            *([f"<p><strong>{html.escape(said)}</strong></p>"] if said else []),
            f"<p>{html.escape(state.format(incident.owner))}</p>",
            *(self.button(one, words[one]) for one in offered),
            *link_to_airflow(incident.link),
        ]
        return title, "".join(parts)
