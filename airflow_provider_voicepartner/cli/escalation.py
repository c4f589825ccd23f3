"""``incident ack``, ``incident escalate`` and ``incident close``: what a page asks for, from a shell."""

from __future__ import annotations

import getpass
import secrets
from argparse import Namespace
from typing import Final

from airflow_provider_voicepartner.cli.commands import CommandError, say
from airflow_provider_voicepartner.constants import LONGEST_CONTACT_NAME
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.hooks.paging import Pager
from airflow_provider_voicepartner.incidents.acting import digest_of
from airflow_provider_voicepartner.incidents.answers import Channel
from airflow_provider_voicepartner.incidents.escalation import Action, Result
from airflow_provider_voicepartner.incidents.store import IncidentStore
from airflow_provider_voicepartner.settings import open_configured_store

_SAID: Final = {
    Result.ACKNOWLEDGED: "incident {0}: {1} has it",
    Result.ESCALATED: "incident {0}: passed on",
    Result.CLOSED: "incident {0}: closed",
    Result.ALREADY_OWNED: "incident {0}: {1} has it already",
    Result.ALREADY_PASSED_ON: "incident {0}: passed on already",
    Result.ALREADY_CLOSED: "incident {0}: closed already",
}


def acknowledge(arguments: Namespace) -> None:
    """Acknowledge an incident, which stops its pages."""
    _act(arguments, Action.ACKNOWLEDGE)


def escalate(arguments: Namespace) -> None:
    """Go on to the next step at once."""
    _act(arguments, Action.ESCALATE)


def close(arguments: Namespace) -> None:
    """Close an incident."""
    _act(arguments, Action.CLOSE)


def _close_plain(store: Store, incident: int) -> None:
    """Close an incident that pages nobody."""
    is_closed = IncidentStore(store).close_by_hand(incident)
    if is_closed is None:
        raise CommandError(f"there is no incident {incident}")
    say(_SAID[Result.CLOSED if is_closed else Result.ALREADY_CLOSED].format(incident))


def _act(arguments: Namespace, action: Action) -> None:
    who = (arguments.who or getpass.getuser()).strip()
    if not who or len(who) > LONGEST_CONTACT_NAME or not who.isprintable():
        raise CommandError(f"--as: give a name of 1 to {LONGEST_CONTACT_NAME} printable characters")
    store = open_configured_store("incidents")
    try:
        pager = Pager(store)
        done = pager.act(
            arguments.incident, action, who, Channel.CLI, digest=digest_of("cli", secrets.token_hex())
        )
        if done is None and action is Action.CLOSE:
            _close_plain(store, arguments.incident)
            return
        if done is None:
            raise CommandError(f"there is no incident {arguments.incident} that pages people")
        if action is Action.ESCALATE:
            pager.run_due(incident=arguments.incident)
        say(_SAID[Result(done.outcome)].format(done.incident, done.owner or "nobody"))
    finally:
        store.close()
