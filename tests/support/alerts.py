"""Alerts of a DAG ``etl``, as notifiers report them."""

from __future__ import annotations

from typing import Any

from airflow_provider_voicepartner.incidents.keys import incident_key, parse_at_most
from airflow_provider_voicepartner.incidents.model import Alert, Happened, Occurrence, Told

ANNE = Told(conn_id="smspartner_default", kind="sms", person="anne")
PLAIN = Told(conn_id="smspartner_default", kind="sms", phone_number="+33612345678")


def failure(task: str = "load", *, run: str = "run1", index: int = -1, tries: int = 1, **more: Any) -> Alert:
    """Return the alert of a failed task of ``etl``; of the whole DAG for an empty task."""
    return alert(
        Occurrence(
            dag_id="etl", run_id=run, task_id=task, map_index=index, try_number=tries, what=Happened.FAILURE
        ),
        **more,
    )


def alert(
    occurrence: Occurrence,
    *,
    at_most: str | None = "1/15m",
    to: str = "@oncall",
    route: str = "sms",
    dedup_key: str | None = None,
    **more: Any,
) -> Alert:
    """Return an alert to ``to``."""
    more.setdefault("key", incident_key(occurrence, dedup_key=dedup_key))
    return Alert(
        occurrence=occurrence,
        at_most=parse_at_most(at_most),
        route=f"{route} {to}",
        audience=(to,),
        title=f"{occurrence.dag_id}.{occurrence.task_id} {occurrence.what}",
        **more,
    )
