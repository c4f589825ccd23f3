"""What an alert says when nobody wrote a text: built from whatever the callback's context holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def default_text(context: Mapping[str, Any]) -> str:
    """
    Describe in one line what happened.

    Contexts differ: a task callback has ``ti`` and perhaps ``exception``; a Dag callback adds ``reason``; a deadline
    alert has only ``dag_run`` as a dict and ``deadline``; a run may have no logical date. Nothing here may raise.

    :param context: of a task callback, a Dag callback, a deadline alert, or nothing at all.
    """
    dag_run = _look(context, "dag_run")
    dag_id = _first(
        _look(dag_run, "dag_id"),
        _look(_look(context, "dag"), "dag_id"),
        _look(_look(context, "ti"), "dag_id"),
        "unknown DAG",
    )
    run = _look(dag_run, "run_id") or _look(context, "run_id") or _look(_look(context, "ti"), "run_id")
    what = _what_happened(context, str(dag_id))
    return " ".join(f"Airflow: {what}{f', run {run}' if run else ''}{_why(context)}".split())


def _what_happened(context: Mapping[str, Any], dag_id: str) -> str:
    if _look(context, "deadline") is not None:
        due = _look(_look(context, "deadline"), "deadline_time")
        return f"{dag_id} missed its deadline{f' of {due}' if due else ''}"
    ti, reason = _look(context, "ti") or _look(context, "task_instance"), _look(context, "reason")
    if ti is None or (reason and not _look(context, "exception")):
        return f"DAG {dag_id} {_state(_look(_look(context, 'dag_run'), 'state')) or 'needs attention'}"
    state = "failed" if _look(context, "exception") else _state(_look(ti, "state")) or "needs attention"
    tries = _look(ti, "try_number")
    mapped = _look(ti, "map_index")
    name = f"{dag_id}.{_look(ti, 'task_id') or 'task'}"
    if isinstance(mapped, int) and mapped >= 0:
        name += f"[{mapped}]"
    return f"{name} {state}{f' (try {tries})' if isinstance(tries, int) and tries > 1 else ''}"


def _state(state: Any) -> str:
    return str(getattr(state, "value", state) or "").replace("_", " ")


def _why(context: Mapping[str, Any]) -> str:
    error, reason = _look(context, "exception"), _look(context, "reason")
    if isinstance(error, BaseException):
        said = _text(error)
        return f": {type(error).__name__}{f': {said}' if said else ''}"
    if error or reason:
        return f": {_text(error or reason)}"
    return ""


def _text(value: Any) -> str:
    """Turn anything into text, with the secrets that Airflow knows taken out."""
    from airflow.providers.common.compat.sdk import redact

    try:
        return str(redact(str(value)))
    except Exception:
        return ""


def _look(source: Any, name: str) -> Any:
    """Read a key or an attribute; None for whatever goes wrong, since contexts hold lazy and detached objects."""
    if source is None:
        return None
    try:
        return source.get(name) if isinstance(source, Mapping) else getattr(source, name, None)
    except Exception:
        return None


def _first(*values: Any) -> Any:
    return next(value for value in values if value)
