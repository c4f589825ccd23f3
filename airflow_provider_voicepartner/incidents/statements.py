"""The incident store's SQL, for SQLite and PostgreSQL."""

from __future__ import annotations

from functools import cache
from typing import Any

ALERT_KEY = ("dag_id", "run_id", "task_id", "map_index", "try_number", "what", "moment", "route")
"""The key of an alert."""


@cache
def statements() -> Statements:
    """Return the statements, built once; SQLAlchemy is imported then."""
    return Statements()


class Statements:
    """All of them. Where an incident's row is locked, its routes and alerts are written by nobody else."""

    def __init__(self) -> None:
        from sqlalchemy import and_, bindparam, func, select, text

        from airflow_provider_voicepartner.db import schema

        incident, route = schema.incident, schema.incident_route
        alert, told, page = schema.incident_alert, schema.incident_told, schema.page
        row = incident.c
        mine: Any = bindparam("incident")
        untold = (
            select(func.coalesce(func.max(route.c.untold), 0))
            .where(route.c.incident == row.id)
            .scalar_subquery()
        )

        # Both unique columns may be taken meanwhile: the key by another alert, the code by another incident.
        self.open = text(
            f"INSERT INTO {incident.name} (key, open_key, dag_id, task_id, what, title, link, state, opened_at, "
            "changed_at, alerts, code, policy, words, urgency, version) VALUES (:key, :key, :dag_id, :task_id, :what, "
            ":title, :link, 'open', :now, :now, 0, :code, :policy, :words, :urgency, 1) ON CONFLICT DO NOTHING"
        )
        # FOR UPDATE is for PostgreSQL; on SQLite a write transaction is alone in the database.
        self.lock_open = (
            select(
                row.id,
                row.state,
                row.code,
                row.alerts,
                row.opened_at,
                row.changed_at,
                row.due_at,
                row.policy,
                row.urgency,
            )
            .where(row.open_key == bindparam("key"))
            .with_for_update()
        )
        self.open_id = select(row.id).where(row.open_key == bindparam("key"))
        self.adopt = text(
            f"UPDATE {incident.name} SET policy = :policy, urgency = :urgency, code = coalesce(code, :code), "
            "version = version + 1 WHERE id = :incident AND policy IS NULL AND state = 'open'"
        )
        self.lock = select(row.id, row.state, row.code).where(row.id == mine).with_for_update()
        self.count = text(
            f"UPDATE {incident.name} SET alerts = alerts + 1, changed_at = :now, version = version + 1 "
            "WHERE id = :incident"
        )
        self.touch = text(
            f"UPDATE {incident.name} SET changed_at = :now, version = version + 1 WHERE id = :incident"
        )
        self.close = text(
            f"UPDATE {incident.name} SET state = 'closed', open_key = NULL, code = NULL, due_at = NULL, "
            "changed_at = :now, version = version + 1 WHERE id = :incident AND state <> 'closed'"
        )
        self.incident = select(incident, untold.label("untold")).where(row.id == mine)
        self.incidents = (
            select(incident, untold.label("untold"))
            .where(row.state.in_(bindparam("states", expanding=True)))
            .order_by(row.id.desc())
            .limit(bindparam("most"))
        )

        self.route = select(route).where(and_(route.c.incident == mine, route.c.route == bindparam("route")))
        self.put_route = text(
            f"INSERT INTO {route.name} (incident, route, audience, at_most, told_at, claims, untold, untold_since, "
            "next_message_at) VALUES (:incident, :route, :audience, :at_most, :told_at, :claims, :untold, "
            ":untold_since, :next_message_at) ON CONFLICT (incident, route) DO UPDATE SET "
            "audience = excluded.audience, at_most = excluded.at_most, told_at = excluded.told_at, "
            "claims = excluded.claims, untold = excluded.untold, untold_since = excluded.untold_since, "
            "next_message_at = excluded.next_message_at"
        )
        self.due = (
            select(route, row.state)
            .join(incident, row.id == route.c.incident)
            .where(and_(route.c.next_message_at <= bindparam("now"), row.state != "closed"))
            .order_by(route.c.next_message_at)
            .limit(bindparam("most"))
        )
        self.drop_due = text(
            f"UPDATE {route.name} SET untold = 0, untold_since = NULL, next_message_at = NULL "
            "WHERE incident = :incident"
        )

        same = and_(*(alert.c[name] == bindparam(name) for name in ALERT_KEY))
        self.alert = select(alert.c.incident, alert.c.outcome, alert.c.claim, alert.c.at).where(same)
        columns = (*ALERT_KEY, "incident", "outcome", "claim", "at")
        insert = (
            f"INSERT INTO {alert.name} ({', '.join(columns)}) VALUES ({', '.join(f':{c}' for c in columns)})"
        )
        changed = ("incident", "outcome", "claim", "at")
        self.put_alert = text(
            f"{insert} ON CONFLICT ({', '.join(ALERT_KEY)}) DO UPDATE SET "
            f"{', '.join(f'{name} = excluded.{name}' for name in changed)}, cleared_at = NULL"
        )
        self.add_alert = text(f"{insert} ON CONFLICT ({', '.join(ALERT_KEY)}) DO NOTHING")
        self.end_claim = text(
            f"UPDATE {alert.name} SET outcome = :outcome WHERE claim = :claim AND outcome = 'claimed'"
        )
        self.take_over = text(
            f"UPDATE {alert.name} SET outcome = 'counted' WHERE incident = :incident AND route = :route "
            "AND outcome = 'lost'"
        )
        self.take_claim_over = text(
            f"UPDATE {alert.name} SET outcome = 'counted' WHERE claim = :claim AND outcome = 'claimed'"
        )
        self.known = select(
            alert.c.run_id,
            alert.c.task_id,
            alert.c.map_index,
            alert.c.try_number,
            alert.c.what,
            alert.c.moment,
        ).where(
            and_(
                alert.c.dag_id == bindparam("dag_id"),
                alert.c.run_id.in_(bindparam("runs", expanding=True)),
            )
        )
        self.of_tasks = select(alert.c.task_id, alert.c.map_index, alert.c.outcome).where(
            and_(
                alert.c.dag_id == bindparam("dag_id"),
                alert.c.run_id == bindparam("run_id"),
                alert.c.what == "failure",
                alert.c.task_id != "",
                alert.c.at >= bindparam("since"),
            )
        )
        of_run = and_(alert.c.dag_id == bindparam("dag_id"), alert.c.run_id == bindparam("run_id"))
        with_route = (
            select(
                alert.c.incident, alert.c.task_id, alert.c.outcome, route.c.audience, route.c.told_at,
            )
            .join(incident, row.id == alert.c.incident)
            .join(route, and_(route.c.incident == alert.c.incident, route.c.route == alert.c.route))
        )  # fmt: skip
        self.failed_dag = select(alert.c.dag_id, alert.c.run_id).where(
            and_(alert.c.claim == bindparam("claim"), alert.c.what == "failure", alert.c.task_id == "")
        )
        self.inhibitors = with_route.where(
            and_(
                of_run,
                alert.c.what == "failure",
                alert.c.at >= bindparam("since"),
                row.state != "closed",
                alert.c.outcome.in_(("told", "counted")),
            )
        )
        self.inhibited = (
            select(alert.c.incident, alert.c.route, func.count().label("alerts"))
            .where(and_(of_run, alert.c.task_id != "", alert.c.outcome == "counted", alert.c.incident != 0))
            .group_by(alert.c.incident, alert.c.route)
            .order_by(alert.c.incident, alert.c.route)
        )
        self.inhibit = text(
            f"UPDATE {alert.name} SET outcome = 'inhibited' WHERE dag_id = :dag_id AND run_id = :run_id "
            "AND incident = :incident AND route = :route AND task_id <> '' AND outcome = 'counted'"
        )

        open_of_dag = (
            select(alert.c.incident)
            .join(incident, row.id == alert.c.incident)
            .where(
                and_(
                    alert.c.dag_id == bindparam("dag_id"),
                    alert.c.cleared_at.is_(None),
                    row.state != "closed",
                )
            )
            .distinct()
            .order_by(alert.c.incident)
        )
        self.open_of_dag = open_of_dag
        self.open_of_task = open_of_dag.where(alert.c.task_id == bindparam("task_id"))
        clear = (
            f"UPDATE {alert.name} SET cleared_at = :now WHERE incident = :incident AND dag_id = :dag_id "
            "AND cleared_at IS NULL AND (run_id = :run_id OR at <= :began_at)"
        )
        self.clear_dag = text(clear)
        self.clear_task = text(f"{clear} AND task_id = :task_id AND map_index = :map_index")
        self.uncleared = select(func.count()).where(
            and_(alert.c.incident == mine, alert.c.cleared_at.is_(None))
        )

        self.last_alert = select(func.max(alert.c.at)).where(alert.c.incident == mine)
        self.told_of = select(told).where(told.c.incident == mine).order_by(told.c.at)
        # One that is being sent, or whose sender died over it, may have arrived.
        self.paged = (
            select(page.c.conn_id, page.c.kind, page.c.person)
            .where(and_(page.c.incident == mine, page.c.purpose == "page", page.c.phase != "not_sent"))
            .order_by(page.c.number)
        )
        self.put_told = text(
            f"INSERT INTO {told.name} (incident, route, conn_id, kind, person, phone_number, at) VALUES "
            "(:incident, :route, :conn_id, :kind, :person, :phone_number, :at) ON CONFLICT "
            "(incident, route, conn_id, kind, person, phone_number) DO UPDATE SET at = excluded.at"
        )
