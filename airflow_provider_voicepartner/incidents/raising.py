"""An urgent alert makes the incident urgent that it joins, in its transaction: its sender may die right after it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_voicepartner.incidents.model import LOW, Alert

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


def is_raised_by(incident: Any, alert: Alert) -> bool:
    """Say whether an incident of low urgency is joined by an urgent alert of its policy."""
    if incident.urgency != LOW or alert.urgency == LOW or not alert.policy:
        return False
    return bool(alert.policy.strip().lower() == str(incident.policy).strip().lower())


def raise_urgency(connection: Connection, incident: int, now: float) -> None:
    """Make an incident urgent whose row is locked; an escalation that waits for the end of quiet hours is due."""
    # Here, since hardly any alert needs it.
    from airflow_provider_voicepartner.incidents.escalation import urge
    from airflow_provider_voicepartner.incidents.page_statements import page_statements
    from airflow_provider_voicepartner.incidents.pages import lock, save

    connection.execute(page_statements().make_urgent, {"id": incident})
    # One that cannot be read is no reason to lose the alert.
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        locked = lock(connection, incident)
        if locked is not None and locked.state is not None and not locked.state.is_urgent:
            save(connection, locked, urge(locked.state, now), now)
