"""The default text of an alert, built from the callback's context."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_OTHER_BRACKETS: Final = str.maketrans("{}", "()")

_WRITTEN_REPEAT: Final = {"en": "Possible repeat: ", "fr": "Doublon possible : "}
_SPOKEN_REPEAT: Final = {
    "en": "This may be a repeat. ",
    "fr": "Ce message est peut-être une répétition. ",
}


def as_repeat(text: str, language: str | None, *, is_spoken: bool = False) -> str:
    """
    Return a text that begins with a short sentence: the alert may have arrived before.

    :param language: ``fr`` or ``en``, or longer such as ``fr-FR``; English for all others.
    """
    sentences = _SPOKEN_REPEAT if is_spoken else _WRITTEN_REPEAT
    return sentences["fr" if (language or "")[:2].lower() == "fr" else "en"] + text


def without_braces(text: str) -> str:
    """Return a text with parentheses for its braces, which would name fields, and cost double in an SMS."""
    return text.translate(_OTHER_BRACKETS)


def default_text(context: Mapping[str, Any]) -> str:
    """
    Describe in one line what happened.

    Contexts differ: a task callback has ``ti`` and perhaps ``exception``; a Dag callback adds ``reason``; a deadline
    alert has only ``dag_run`` as a dict and ``deadline``; a run may have no logical date. Nothing here may raise.

    :param context: of a task callback, a Dag callback, a deadline alert, or nothing at all.
    """
    dag_run, ti = _look(context, "dag_run"), _ti(context)
    dag_id = _said(dag_run, "dag_id") or _said(_look(context, "dag"), "dag_id") or _said(ti, "dag_id") or ""
    run = _said(dag_run, "run_id") or _said(context, "run_id") or _said(ti, "run_id")
    what = _what_happened(context, dag_id)
    return " ".join(f"Airflow: {what}{f', run {run}' if run else ''}{_why(context)}".split())


def _what_happened(context: Mapping[str, Any], dag_id: str) -> str:
    deadline, ti = _look(context, "deadline"), _ti(context)
    if deadline is not None:
        due = _said(deadline, "deadline_time")
        return f"{dag_id or 'a DAG'} missed its deadline{f' of {due}' if due else ''}"
    has_error = _look(context, "exception") is not None
    if ti is None or (_said(context, "reason") and not has_error):
        return f"{f'DAG {dag_id}' if dag_id else 'a DAG'} {_state(_look(context, 'dag_run')) or 'needs attention'}"
    state = _state(ti)
    if has_error:
        state = "failed, will be retried" if state == "up for retry" else "failed"
    tries, mapped = _look(ti, "try_number"), _look(ti, "map_index")
    name = ".".join(part for part in (dag_id, _said(ti, "task_id") or "a task") if part)
    if type(mapped) is int and mapped >= 0:
        name += f"[{mapped}]"
    return (
        f"{name} {state or 'needs attention'}{f' (try {tries})' if type(tries) is int and tries > 1 else ''}"
    )


def _ti(context: Mapping[str, Any]) -> Any:
    ti = _look(context, "ti")
    return _look(context, "task_instance") if ti is None else ti


def _state(source: Any) -> str:
    state = _look(source, "state")
    value = _look(state, "value")
    return _text(state if value is None else value).replace("_", " ")


def _why(context: Mapping[str, Any]) -> str:
    error = _look(context, "exception")
    if error is None:
        reason = _said(context, "reason").replace("_", " ")
        return f": {reason}" if reason else ""
    said = _text(error)
    if not issubclass(type(error), BaseException):
        return f": {said}" if said else ""
    return f": {type(error).__name__}{f': {said}' if said else ''}"


def _said(source: Any, name: str) -> str:
    """Return a key or an attribute as text; empty where there is none."""
    return _text(_look(source, name))


def _text(value: Any) -> str:
    """Turn anything into text, without the secrets that Airflow knows; empty if that fails."""
    from airflow_provider_voicepartner.compat import redact

    try:
        return "" if value is None else str(redact(str(value)))
    except Exception:
        return ""


def _look(source: Any, name: str) -> Any:
    """Read a key or an attribute; None for whatever goes wrong, since contexts hold lazy and detached objects."""
    try:
        return source.get(name) if isinstance(source, Mapping) else getattr(source, name, None)
    except Exception:
        return None
