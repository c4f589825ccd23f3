"""When incidents are over: by a success that clears what failed, or because nothing was heard of them for long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_voicepartner.constants import INCIDENT_ENDS_AFTER
from airflow_provider_voicepartner.incidents.clearing import TextOf, owe
from airflow_provider_voicepartner.incidents.keys import fit
from airflow_provider_voicepartner.incidents.model import Resolved, State, Success
from airflow_provider_voicepartner.incidents.rows import incident_of, told_of
from airflow_provider_voicepartner.incidents.statements import statements

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


def resolve(
    connection: Connection, success: Success, now: float, text_of: TextOf | None = None
) -> list[Resolved]:
    """
    Clear what failed before a success, and close the incidents of which nothing is left.

    :param text_of: what people are told; None owes nobody an all clear.
    :returns: those that were closed.
    """
    sql, closed = statements(), []
    values = {
        "dag_id": fit(success.dag_id),
        "task_id": fit(success.task_id),
        "run_id": fit(success.run_id),
        "map_index": success.map_index,
        "began_at": now if success.began_at is None else success.began_at,
        "now": now,
    }
    which, clear = (sql.open_of_task, sql.clear_task) if success.task_id else (sql.open_of_dag, sql.clear_dag)
    # In the order of their ids, as everybody locks incidents who locks several.
    for incident in connection.execute(which, values).scalars().all():
        place = {"incident": incident}
        connection.execute(sql.lock, place)
        if not connection.execute(clear, {**values, **place}).rowcount:
            continue
        if connection.execute(sql.uncleared, place).scalar_one():
            continue
        found = close(connection, incident, now)
        if found is not None:
            closed.append(found)
    if text_of is not None:
        owe(connection, closed, text_of, now)
    return closed


def close_keys(
    connection: Connection, keys: Sequence[str], now: float, text_of: TextOf | None = None
) -> list[Resolved]:
    """Close the open incidents with keys; parameters and result as of :func:`resolve`."""
    closed = []
    # In the order of their ids, as everybody locks incidents who locks several.
    found = [connection.execute(statements().open_id, {"key": fit(key)}).scalar() for key in keys]
    for incident in sorted({int(one) for one in found if one is not None}):
        connection.execute(statements().lock, {"incident": incident})
        one = close(connection, incident, now)
        if one is not None:
            closed.append(one)
    if text_of is not None:
        owe(connection, closed, text_of, now)
    return closed


def lock_open(connection: Connection, key: str, now: float) -> Any | None:
    """
    Return the locked row of the open incident with a key; one that ended unheard of is closed, and no more the one.

    :returns: None where none is open.
    """
    found = connection.execute(statements().lock_open, {"key": fit(key)}).one_or_none()
    if found is None or not _has_ended(connection, found, now):
        return found
    close(connection, found.id, now)
    return None


def _has_ended(connection: Connection, incident: Any, now: float) -> bool:
    """Say whether no alert came for long; not while an escalation goes on, or somebody has just taken it."""
    before = now - INCIDENT_ENDS_AFTER
    # What has been due for as long has no runner.
    if incident.opened_at > before or (incident.due_at is not None and incident.due_at > before):
        return False
    if incident.changed_at <= before:
        return True
    if incident.state == State.ACKNOWLEDGED:
        return False
    # Looked for only here: messages change an incident too.
    last = connection.execute(statements().last_alert, {"incident": incident.id}).scalar()
    return last is None or float(last) <= before


def close(connection: Connection, incident: int, now: float) -> Resolved | None:
    """
    Close an incident whose row is locked.

    :returns: None where it is closed already.
    """
    sql, place = statements(), {"incident": incident}
    if not connection.execute(sql.close, {**place, "now": now}).rowcount:
        return None
    connection.execute(sql.drop_due, place)
    row = connection.execute(sql.incident, place).mappings().one()
    return Resolved(incident=incident_of(row), told=told_of(connection, incident))
