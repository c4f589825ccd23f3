"""All clear: what a success clears, and which incidents are over with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_voicepartner.incidents.keys import fit
from airflow_provider_voicepartner.incidents.model import Resolved, Success
from airflow_provider_voicepartner.incidents.rows import incident_of, told_of
from airflow_provider_voicepartner.incidents.statements import statements

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


def resolve(connection: Connection, success: Success, now: float) -> list[Resolved]:
    """
    Clear what failed before a success, and close the incidents of which nothing is left.

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
    return closed


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
