"""
Routes at which whoever is logged in to Airflow acknowledges, passes on or closes an incident (Airflow 3).

Only the API server has them: Airflow says who it is, and whether they may see the DAG. A page of another site cannot
use somebody's login, since a browser sends JSON across sites only if the server agreed to it before.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from collections.abc import Callable
from typing import Any, Final

from fastapi import Depends
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from airflow_provider_voicepartner.constants import LINK_ANSWER_TIMEOUT, LONGEST_CONTACT_NAME
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.hooks.paging import Pager
from airflow_provider_voicepartner.incidents.acting import Answered, digest_of
from airflow_provider_voicepartner.incidents.answers import Channel
from airflow_provider_voicepartner.incidents.escalation import Action
from airflow_provider_voicepartner.incidents.store import IncidentStore

log = logging.getLogger(__name__)

INCIDENT_PATH: Final = "/incidents/{incident}/{action}"
"""Below the path where the receiver is mounted."""

_SAME_SITE: Final = ("same-origin", "none")


def logged_in_routes(open_store: Callable[[], Store]) -> list[Route]:
    """
    Return the route of actions, for the application that the API server mounts; none where Airflow has no logins of 3.

    :param open_store: opens the store.
    """
    try:
        from airflow.api_fastapi.app import get_auth_manager
        from airflow.api_fastapi.auth.managers.models.resource_details import DagDetails
        from airflow.api_fastapi.core_api.security import get_user
    except ImportError:
        log.warning("This Airflow does not tell who is logged in: incidents cannot be acted on by a login")
        return []

    def may_see(user: Any, dag_id: str) -> bool:
        details = DagDetails(id=dag_id) if dag_id else None
        return bool(get_auth_manager().is_authorized_dag(method="GET", details=details, user=user))

    actions = IncidentActions(open_store, may_see)
    who = Depends(get_user)

    async def act(request: Request, incident: str, action: str, user: Any = who) -> Response:
        return await actions.answer(request.headers, incident, action, user)

    return [APIRoute(INCIDENT_PATH, act, methods=["POST"], response_model=None)]


class IncidentActions:
    """
    Applies what a logged-in user asks for.

    :param open_store: opens the store; called with the first request, and again as long as it fails.
    :param may_see: says whether a user may see a DAG, by its id; empty for an incident of no DAG.
    """

    def __init__(self, open_store: Callable[[], Store], may_see: Callable[[Any, str], bool]) -> None:
        self._open_store, self._may_see = open_store, may_see
        self._store: Store | None = None

    async def answer(self, headers: Any, incident: str, action: str, user: Any) -> Response:
        """Act, and tell what is so as JSON: ``incident``, ``outcome`` and ``owner``."""
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return _refusal(415, "send the content type application/json")
        if headers.get("sec-fetch-site", "none").lower() not in _SAME_SITE:
            return _refusal(403, "a page of another site may not act")
        known = incident.isascii() and incident.isdigit() and len(incident) <= 10
        if not known or action not in set(Action):
            return _refusal(404, "there is no such incident or action")
        who = _name_of(user)
        if not who:
            return _refusal(403, "the user has no name")
        try:
            async with asyncio.timeout(LINK_ANSWER_TIMEOUT):
                done = await asyncio.to_thread(self._work, int(incident), Action(action), who, user)
        except Exception as error:  # the store, the contacts: whoever asks must not see our insides
            log.error("An action on incident %s failed: %s", incident, type(error).__name__)
            return _refusal(503, "nothing is certain; look at the incident, and ask again")
        if done is None:
            return _refusal(404, "there is no such incident or action")
        return JSONResponse(
            {"incident": done.incident, "outcome": done.outcome, "owner": done.owner},
            headers={"cache-control": "no-store"},
        )

    def _work(self, incident: int, action: Action, who: str, user: Any) -> Answered | None:
        if self._store is None:
            self._store = self._open_store()
        found = IncidentStore(self._store).get(incident)
        if found is None or not self._may_see(user, found.dag_id):
            return None
        pager = Pager(self._store)
        digest = digest_of("airflow", secrets.token_hex())
        done = pager.answers.by_name(incident, action, who, Channel.AIRFLOW, pager.numbers, digest=digest)
        if done is not None:
            log.info("incident %d: %s answered in Airflow: %s", incident, who, done.outcome)
            if done.pages:
                # Whoever asked need not wait until the others are told.
                threading.Thread(target=pager.send, args=(done.pages,), name="page", daemon=True).start()
        return done


def _name_of(user: Any) -> str:
    """Return the name of a user as it may be shown in texts and logs; empty for none."""
    name = "".join(letter for letter in str(user.get_name() or "") if letter.isprintable())
    return name.strip()[:LONGEST_CONTACT_NAME]


def _refusal(status: int, why: str) -> Response:
    return JSONResponse({"detail": why}, status_code=status, headers={"cache-control": "no-store"})
