"""What a notifier reports to the store of incidents: which alerts are held back, and what they are about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from airflow_provider_voicepartner.incidents.keys import incident_key, read_dedup_key
from airflow_provider_voicepartner.incidents.model import Alert, Happened, Occurrence, Success
from airflow_provider_voicepartner.notifications.event import AlertEvent, What, began_at, read_event
from airflow_provider_voicepartner.notifications.grouping import Grouping
from airflow_provider_voicepartner.notifications.message import title_of, words_of

HAPPENED: Final = {
    What.TASK_FAILED: Happened.FAILURE,
    What.TASK_LOST: Happened.FAILURE,
    What.DAG_FAILED: Happened.FAILURE,
    What.TASK_RETRIED: Happened.RETRY,
    What.TASK_SKIPPED: Happened.SKIPPED,
    What.DEADLINE: Happened.DEADLINE,
}
"""What may be held back. All else is asked for by somebody who waits for it: questions, successes, other contexts."""


def alert_of(
    context: Any, *, kind: str, conn_id: str, to: Any, dedup_key: Any, grouping: Grouping
) -> Alert | None:
    """
    Return the alert of a callback's context; None for one that is never held back. Nothing here may raise.

    :param to: the rendered recipients.
    :param dedup_key: rendered; None for the fields of ``grouping``.
    """
    event = read_event(context, asks_for_tasks=False)
    happened, dedup_key = HAPPENED.get(event.what), read_dedup_key(dedup_key)
    if happened is None or not (event.dag_id or dedup_key):
        return None  # nobody could tell two of them apart
    occurrence = occurrence_of(event, happened)
    audience = audience_of(to)
    return Alert(
        occurrence=occurrence,
        key=incident_key(occurrence, dedup_key=dedup_key, group_by=grouping.group_by),
        at_most=grouping.at_most,
        route="\n".join((kind, conn_id, *audience)),
        audience=audience,
        title=title_of(event),
        words=words_of(event),
        link=event.link,
        run_began_at=event.run_began_at,
    )


def occurrence_of(event: AlertEvent, happened: Happened) -> Occurrence:
    """Return what happened where."""
    return Occurrence(
        dag_id=event.dag_id,
        run_id=event.run_id,
        task_id=event.task_id,
        map_index=event.map_index,
        try_number=event.tries if event.task_id else 0,
        what=happened,
        moment=event.moment,
    )


def success_of(context: Any) -> Success | None:
    """Return what succeeded; None where a callback's context says no such thing, or not of which DAG."""
    event = read_event(context, asks_for_tasks=False)
    if event.what not in (What.TASK_SUCCEEDED, What.DAG_SUCCEEDED) or not event.dag_id:
        return None
    return Success(
        dag_id=event.dag_id,
        run_id=event.run_id,
        task_id=event.task_id,
        map_index=event.map_index,
        began_at=began_at(context),
    )


def audience_of(to: Any) -> tuple[str, ...]:
    """Return recipients as they were given, sorted, each once; of anything but texts its form."""
    if isinstance(to, str):
        given: Sequence[Any] = to.replace(";", ",").replace("\n", ",").split(",")
    else:
        given = to if isinstance(to, list | tuple) else () if to is None else (to,)
    return tuple(sorted({" ".join(str(one).split()) for one in given} - {""}))
