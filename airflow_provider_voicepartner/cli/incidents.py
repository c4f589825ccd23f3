"""``incident list`` and ``show``: what broke, and who knows."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing, contextmanager

from airflow_provider_voicepartner.cli.commands import CommandError, say
from airflow_provider_voicepartner.delivery.events import iso_time
from airflow_provider_voicepartner.gateways.wire import mask_number
from airflow_provider_voicepartner.incidents.model import Incident, State
from airflow_provider_voicepartner.incidents.store import IncidentStore
from airflow_provider_voicepartner.settings import open_store


def show_all(arguments: Namespace) -> None:
    """List incidents, each in one line, the newest first."""
    states = list(State) if arguments.closed else [State.OPEN, State.ACKNOWLEDGED]
    with _incidents() as incidents:
        found = incidents.find(states)
    for incident in found:
        say(_line(incident))
    if not found:
        say("There is no incident." if arguments.closed else "There is no open incident.")


def show(arguments: Namespace) -> None:
    """
    Show one incident.

    :raises CommandError: there is none with this id.
    """
    with _incidents() as incidents:
        incident, told = incidents.get(arguments.id), incidents.told_of(arguments.id)
    if incident is None:
        raise CommandError(f"ID: there is no incident {arguments.id}; see incident list")
    say(_line(incident))
    facts = {
        "key": incident.key,
        "changed": iso_time(incident.changed_at),
        "alerts that nobody was told of yet": str(incident.untold),
        "code": "" if incident.code is None else str(incident.code),
        "policy": incident.policy or "",
        "owner": incident.owner,
        "link": incident.link,
    }
    for name, value in facts.items():
        if value:
            say(f"  {name}: {value}")
    for one in told:
        who = one.person or mask_number(one.phone_number)
        say(f"  told: {who} by {one.kind} through {one.conn_id}")


@contextmanager
def _incidents() -> Iterator[IncidentStore]:
    with closing(open_store("incidents")) as store:
        yield IncidentStore(store)


def _line(incident: Incident) -> str:
    alerts = "1 alert" if incident.alerts == 1 else f"{incident.alerts} alerts"
    return f"{incident.id}  {incident.state}  {iso_time(incident.opened_at)}  {alerts}  {incident.title}"
