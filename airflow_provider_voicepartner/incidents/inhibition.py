"""Inhibition: a DAG's failure silences its tasks', and a failure its run's deadline, for people who were told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_voicepartner.incidents.marks import covers
from airflow_provider_voicepartner.incidents.model import Alert, Happened, Outcome
from airflow_provider_voicepartner.incidents.routes import read_times
from airflow_provider_voicepartner.incidents.rows import occurrence_columns, put_route, read_route
from airflow_provider_voicepartner.incidents.statements import statements

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


def inhibitor_of(connection: Connection, alert: Alert, audience: str) -> str:
    """
    Return the alert that says more than this one, in words that may be logged; empty where there is none.

    It is of the same run, all of this alert's recipients were told of its incident, and it still holds: the incident is
    open, and it came after the run began. One that is still being sent may reach nobody, and so holds nothing back.

    :param audience: the marks of this alert's recipients.
    """
    happened = alert.occurrence
    is_deadline = happened.what == Happened.DEADLINE
    if not (happened.dag_id and happened.run_id and audience) or not (is_deadline or happened.task_id):
        return ""
    columns = occurrence_columns(happened)
    place = {**columns, "since": alert.run_began_at or 0.0}
    for row in connection.execute(statements().inhibitors, place).mappings():
        if row["task_id"] and not is_deadline:
            continue
        if row["outcome"] == Outcome.COUNTED and not read_times(row["told_at"]):
            continue  # it waits for a message that is still being sent
        if covers(row["audience"], audience):
            name = f"the failure of task {row['task_id']}" if row["task_id"] else "the DAG's failure"
            return f"{name} (incident {row['incident']})"
    return ""


def inhibit_counted(connection: Connection, claim: str, audience: str, now: float) -> None:
    """
    Once people know that a DAG failed, forget the alerts about its tasks that were counted and that nobody was told of.

    :param claim: of the alert that they were told; nothing happens unless it was about a DAG's failure.
    :param audience: marks of those who were told.
    """
    sql = statements()
    run = connection.execute(sql.failed_dag, {"claim": claim}).mappings().one_or_none()
    if run is None or not run["run_id"]:
        return
    # In the order of their ids, as everybody locks incidents who locks several.
    for row in connection.execute(sql.inhibited, dict(run)).mappings().all():
        place = {"incident": row["incident"], "route": row["route"]}
        if connection.execute(sql.lock, place).one_or_none() is None:
            continue
        route, others = read_route(connection, row["incident"], row["route"])
        if not covers(audience, others):
            continue
        dropped = connection.execute(sql.inhibit, {**run, **place}).rowcount
        if dropped:
            rest = route.without_untold(dropped)
            put_route(connection, row["incident"], row["route"], rest, audience=others, now=now)
