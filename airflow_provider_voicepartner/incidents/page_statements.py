"""The SQL of pages, made once; SQLAlchemy is imported when it is first needed."""

from __future__ import annotations

from functools import cache
from typing import Final

from airflow_provider_voicepartner.constants import DUE_ESCALATIONS
from airflow_provider_voicepartner.incidents.escalation import Became, Purpose
from airflow_provider_voicepartner.incidents.model import State

CLAIMED: Final = "claimed"
"""The phase of a page that its sender has not reported on; the others are those of ``Became``."""


@cache
def page_statements() -> PageStatements:
    """Return the statements."""
    return PageStatements()


class PageStatements:
    """The SQL of pages, made once."""

    def __init__(self) -> None:
        from sqlalchemy import and_, bindparam, func, insert, select, text

        from airflow_provider_voicepartner.db.schema import incident, page

        row, mine = incident.c, page.c
        is_there = row.state != State.CLOSED.value
        # FOR UPDATE is for PostgreSQL; on SQLite a write transaction is alone in the database.
        self.lock = select(incident).where(row.id == bindparam("id")).with_for_update()
        self.state = select(row.state).where(row.id == bindparam("id"))
        self.escalation = select(row.escalation, row.due_at).where(row.id == bindparam("id"))
        self.make_urgent = text(
            f"UPDATE {incident.name} SET urgency = NULL, version = version + 1 WHERE id = :id"
        )
        self.unstarted = (
            select(row.id, row.policy, row.urgency)
            .where(and_(row.policy.is_not(None), row.escalation.is_(None), row.state == State.OPEN.value))
            .order_by(row.id)
            .limit(DUE_ESCALATIONS)
        )
        self.due = (
            select(row.id)
            .where(and_(row.due_at <= bindparam("now"), row.escalation.is_not(None), is_there))
            .order_by(row.due_at)
            .limit(DUE_ESCALATIONS)
        )
        self.under_way = (
            select(row.id, row.due_at)
            .where(and_(row.due_at.is_not(None), row.escalation.is_not(None), is_there))
            .order_by(row.due_at)
            .limit(DUE_ESCALATIONS)
        )
        # An incident that no escalation has begun for is due since its last alert.
        self.waiting_since = (
            select(func.min(row.due_at)).where(and_(row.escalation.is_not(None), is_there)),
            select(func.min(row.changed_at)).where(
                and_(row.policy.is_not(None), row.escalation.is_(None), row.state == State.OPEN.value)
            ),
        )
        self.next_due = select(func.min(row.due_at)).where(and_(row.escalation.is_not(None), is_there))
        self.count_open = select(func.count()).where(
            and_(is_there, row.code.is_not(None), row.id != bindparam("id"))
        )
        values = "state = :state, escalation = :escalation, due_at = :due_at, owner = :owner, "
        values += "acknowledged_at = :acknowledged_at, changed_at = :now, version = version + 1"
        where = "WHERE id = :number AND version = :version"
        self.save = text(f"UPDATE {incident.name} SET {values} {where}")
        self.close = text(f"UPDATE {incident.name} SET open_key = NULL, code = NULL, {values} {where}")
        self.add_page = insert(page)
        phases = f"('{CLAIMED}', '{Became.IN_DOUBT.value}')"
        self.end_page = text(
            f"UPDATE {page.name} SET phase = :phase, gateway = :gateway, gateway_id = :gateway_id, at = :at "
            f"WHERE incident = :incident AND number = :number AND claim = :claim AND phase IN {phases}"
        )
        self.shown = (
            select(
                mine.person, row.title, row.link, row.state, row.owner, row.alerts, row.escalation, row.words,
            )
            .join(incident, row.id == mine.incident)
            .where(
                and_(
                    mine.incident == bindparam("incident"),
                    mine.number == bindparam("number"),
                    mine.purpose == Purpose.PAGE.value,
                    mine.person != "",  # else it went to somebody who was forgotten
                )
            )
        )  # fmt: skip
        self.stale = (
            select(mine.incident, mine.number, mine.person)
            .where(and_(mine.phase == CLAIMED, mine.claimed_at < bindparam("before")))
            .order_by(mine.incident, mine.number)
        )
        self.expire = text(
            f"UPDATE {page.name} SET phase = '{Became.IN_DOUBT.value}' "
            f"WHERE incident = :incident AND number = :number AND phase = '{CLAIMED}'"
        )
