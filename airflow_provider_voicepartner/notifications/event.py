"""
What happened, read from the context of a callback.

Contexts differ: of a task, a DAG, a deadline, a question to people; with lazy and detached objects in them. Nothing
here may raise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any, Final
from urllib.parse import quote, urlsplit

from airflow_provider_voicepartner.compat import conf, redact
from airflow_provider_voicepartner.constants import ALERT_QUESTION_TIMEOUT, NAMED_IN_ALERT
from airflow_provider_voicepartner.hooks.aside import Aside
from airflow_provider_voicepartner.incidents.keys import moment_of

_LOCAL: Final = ("localhost", "127.0.0.1", "0.0.0.0", "::1")
_FAILED: Final = ("failed", "TaskInstanceState.FAILED")
_WHEN: Final = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(?::\d\d(?:\.\d+)?)?(Z|\+00:00)?")


class What(Enum):
    """What an alert is about."""

    TASK_FAILED = "task failed"
    TASK_RETRIED = "task failed, will be retried"
    TASK_LOST = "task failed without an error"
    TASK_SKIPPED = "task skipped"
    TASK_SUCCEEDED = "task succeeded"
    TASK_OTHER = "task in any other state"
    DAG_FAILED = "DAG failed"
    DAG_SUCCEEDED = "DAG succeeded"
    DAG_OTHER = "DAG in any other state"
    DEADLINE = "deadline missed"
    QUESTION = "people are asked"


DAG_EVENTS: Final = (What.DAG_FAILED, What.DAG_SUCCEEDED, What.DAG_OTHER)
"""What is about a whole run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEvent:
    """
    What happened; every text may be empty.

    :param state: in Airflow's words.
    :param map_index: -1 for a task that is not mapped.
    :param tries: the number of this try, 0 where that is unknown.
    :param of_tries: how many there are in all, 0 where that is unknown.
    :param failed_tasks: those that made a DAG fail.
    :param error: the first line.
    :param due: the deadline that was missed.
    :param due_at: the same in Unix seconds; None where that is unknown.
    :param seconds: from the run's start to that deadline, 0 where that is unknown.
    :param link: to the log, the run or the question.
    :param subject: of the question.
    :param options: to choose from.
    :param moment: of a missed deadline the deadline, of a DAG when its run began, in UTC; empty for a task.
    :param run_began_at: in Unix seconds; None where that is unknown.
    """

    what: What
    dag_id: str = ""
    task_id: str = ""
    run_id: str = ""
    state: str = ""
    map_index: int = -1
    tries: int = 0
    of_tries: int = 0
    failed_tasks: Sequence[str] = ()
    error: str = ""
    due: str = ""
    due_at: float | None = None
    seconds: int = 0
    link: str = ""
    subject: str = ""
    options: Sequence[str] = ()
    moment: str = ""
    run_began_at: float | None = None


def read_event(context: Any, *, asks_for_tasks: bool = True) -> AlertEvent:
    """
    Read what happened.

    :param context: of a task callback, a DAG callback, a deadline alert, a HITL operator, or nothing at all.
    :param asks_for_tasks: whether Airflow is asked which tasks of a DAG failed.
    """
    began = _look(_look(context, "dag_run"), "start_date")
    event = _event_of(context, asks_for_tasks=asks_for_tasks)
    if event.what is What.DEADLINE:
        moment = moment_of(_said(_look(context, "deadline"), "deadline_time")) or event.due
    else:
        moment = moment_of(_text(began)) if event.what in DAG_EVENTS else ""
    return replace(event, moment=moment, run_began_at=_moment(_text(began)) or None)


def began_at(context: Any) -> float | None:
    """Return when the task of a callback began, or the run of a DAG's, in Unix seconds; None where that is unknown."""
    event = read_event(context, asks_for_tasks=False)
    began = _moment(_said(_ti(context), "start_date")) if event.task_id else None
    return began or event.run_began_at


def _event_of(context: Any, *, asks_for_tasks: bool) -> AlertEvent:
    ti = _ti(context)
    dag_id, run_id = _ids(context)
    if _look(context, "deadline") is not None:
        return _of_deadline(context, dag_id, run_id)
    error, reason = _look(context, "exception"), _said(context, "reason")
    if ti is None or (reason and error is None):
        return _of_dag(context, dag_id, run_id, reason, asks_for_tasks=asks_for_tasks)
    return _of_task(context, dag_id, run_id, ti)


def _of_deadline(context: Any, dag_id: str, run_id: str) -> AlertEvent:
    dag_run, due = _look(context, "dag_run"), _said(_look(context, "deadline"), "deadline_time")
    started, end = _said(dag_run, "start_date"), _moment(due)
    if started and 0 < end < _moment(started):
        started = ""  # it still waited when the deadline passed
    begun = _moment(started or _said(dag_run, "queued_at"))
    return AlertEvent(
        what=What.DEADLINE,
        dag_id=dag_id,
        run_id=run_id,
        # A run that has not started waits, whatever its state.
        state=_state(dag_run) if started else "queued",
        due=_minute(due),
        due_at=end or None,
        seconds=max(1, round(end - begun)) if 0 < begun < end else 0,
        link=_run_link(dag_id, run_id),
    )


def _moment(when: str) -> float:
    """Return a time in Unix seconds; 0 for what is none, or has no time zone."""
    try:
        moment = datetime.fromisoformat(when)
        return moment.timestamp() if moment.tzinfo else 0.0
    except (ValueError, OverflowError, OSError):
        return 0.0


def _ids(context: Any) -> tuple[str, str]:
    """Return the ids of DAG and run."""
    dag_run, ti = _look(context, "dag_run"), _ti(context)
    dag_id = _said(dag_run, "dag_id") or _said(_look(context, "dag"), "dag_id") or _said(ti, "dag_id")
    # In the context of a deadline the run is a dict of Airflow's REST API, which has another name for its id.
    run_id = _said(dag_run, "run_id") or _said(dag_run, "dag_run_id") or _said(context, "run_id")
    return dag_id, run_id or _said(ti, "run_id")


def _of_dag(context: Any, dag_id: str, run_id: str, reason: str, *, asks_for_tasks: bool) -> AlertEvent:
    state = _state(_look(context, "dag_run"))
    what = What.DAG_OTHER
    if reason == "success" or (not reason and state == "success"):
        what = What.DAG_SUCCEEDED
    elif reason or state == "failed":
        what = What.DAG_FAILED
    failed = _named(failed_tasks(context)) if what is What.DAG_FAILED and asks_for_tasks else ()
    said = "" if what is What.DAG_SUCCEEDED or (failed and reason == "task_failure") else reason
    run, mark, _ = _said(_ti(context), "log_url").partition("/tasks/")
    return AlertEvent(
        what=what,
        dag_id=dag_id,
        run_id=run_id,
        state=state,
        failed_tasks=failed,
        error=_line(said.replace("_", " ")) or _error(_look(context, "exception")),
        link=_for_phones(run if mark else "") or _run_link(dag_id, run_id),
    )


def _of_task(context: Any, dag_id: str, run_id: str, ti: Any) -> AlertEvent:
    state, error = _state(ti), _look(context, "exception")
    tries, most, mapped = _look(ti, "try_number"), _look(ti, "max_tries"), _look(ti, "map_index")
    tries = tries if type(tries) is int and tries > 0 else 0
    of_tries = most + 1 if type(most) is int and 0 < tries <= most + 1 else 0
    task = _look(context, "task")
    subject, options = _question(task)
    what = _what_of_task(ti, state, has_error=error is not None)
    if options and what is What.TASK_OTHER:
        what = What.QUESTION
    # The log's page opens with the latest try, so its number only makes the link longer.
    link = re.sub(r"\?try_number=\d+$", "", _said(ti, "log_url"))
    if what is What.QUESTION:
        link = _question_link(context, task, link)
    return AlertEvent(
        what=what,
        dag_id=dag_id,
        task_id=_line(_said(ti, "task_id")),
        run_id=run_id,
        state=state,
        map_index=mapped if type(mapped) is int else -1,
        tries=tries,
        of_tries=of_tries,
        error=_error(error) or _line(_said(context, "reason").replace("_", " ")),
        link=_for_phones(link),
        subject=subject,
        options=options,
    )


def _what_of_task(ti: Any, state: str, *, has_error: bool) -> What:
    if state == "up for retry":
        return What.TASK_RETRIED
    if has_error or state == "failed":
        return What.TASK_FAILED
    if state == "success":
        return What.TASK_SUCCEEDED
    if state == "skipped":
        return What.TASK_SKIPPED
    # Airflow 3 calls back for a task that ended without its process being able to, and then gives no state.
    is_lost = (
        not state and type(_look(ti, "state")) is type(None) and type(ti).__name__ == "RuntimeTaskInstance"
    )
    return What.TASK_LOST if is_lost else What.TASK_OTHER


def failed_tasks(context: Any) -> Sequence[str]:
    """
    Return the tasks of a run that failed, as Airflow says; in place of an answer the one that the context holds.

    :param context: of a callback of a DAG.
    :returns: names, that of a mapped instance with its index after ``_``.
    """
    found, ti = list(answered_failures(context)), _ti(context)
    if not found and ti is not None and _said(context, "reason") == "task_failure":
        found += [_line(_said(ti, "task_id"))] if _state(ti) in ("", "failed") else []
    return [name for name in found if name]


def answered_failures(context: Any) -> Sequence[str]:
    """Return the tasks of a run that failed, as Airflow says within 5 s: all of them, or none without an answer."""
    dag_id, run_id = _ids(context)
    found: list[str] = []
    if _said(context, "reason") in ("", "task_failure"):
        asked = Aside(lambda: found.extend(_ask(context, dag_id, run_id)), name="failed tasks")
        asked.is_over(ALERT_QUESTION_TIMEOUT)
    return [_line(name) for name in dict.fromkeys(found) if name]


def _named(tasks: Sequence[str]) -> Sequence[str]:
    more = len(tasks) - NAMED_IN_ALERT
    return [*tasks[:NAMED_IN_ALERT], *([f"+{more}"] if more > 0 else [])]


def _ask(context: Any, dag_id: str, run_id: str) -> list[str]:
    try:
        ti, dag_run = _ti(context), _look(context, "dag_run")
        # The DAG processor leaves the task out of a context where it does not know the one that made the run fail.
        ask = _look(_task_instance() if ti is None and dag_run is None else ti, "get_task_states")
        if callable(ask):
            states = ask(dag_id=dag_id, run_ids=[run_id]).get(run_id, {})
            return sorted(name for name, state in states.items() if _text(state) in _FAILED)
        ask = _look(dag_run, "get_task_instances")
        if callable(ask):
            return sorted(_said(one, "task_id") for one in ask(state=["failed"]))
    except Exception:
        return []
    return []


def _task_instance() -> Any:
    """Return the class of Airflow 3 that asks for states; None before it."""
    try:
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
    except ImportError:
        return None
    return RuntimeTaskInstance


def _question(task: Any) -> tuple[str, Sequence[str]]:
    """Return subject and options of a HITL operator; nothing of any other."""
    options = _look(task, "options")
    is_asking = any(base.__name__ == "HITLOperator" for base in type(task).__mro__)
    if not is_asking or not isinstance(options, list | tuple):
        return "", ()
    return _line(_said(task, "subject")), [_line(_text(option)) for option in options]


def _question_link(context: Any, task: Any, log_url: str) -> str:
    """Return the address of the page with the question; the first HITL operators could not say it."""
    build = _look(task, "generate_link_to_ui_from_context")
    try:
        link = _text(build(context=context)) if callable(build) else f"{log_url}/required_actions"
    except Exception:
        return ""
    return re.sub(r"\?map_index=-1$", "", link)


def _run_link(dag_id: str, run_id: str) -> str:
    """Return the address of a run, where Airflow's own address is set."""
    if not dag_id or not run_id:
        return ""
    try:
        base = str(conf.get("api", "base_url", fallback="") or "").rstrip("/")
    except Exception:
        return ""
    return _for_phones(f"{base}/dags/{quote(dag_id)}/runs/{quote(run_id)}") if base else ""


def _for_phones(link: str) -> str:
    """Return a link that a phone can open; empty for one to the machine itself."""
    try:
        host = urlsplit(link).hostname
    except ValueError:
        return ""
    return "" if host in (None, *_LOCAL) or link.split() != [link] else link


def _minute(when: str) -> str:
    """Shorten a time to its minute."""
    found = _WHEN.fullmatch(when)
    return f"{found[1]} {found[2]}{' UTC' if found[3] else ''}" if found else _line(when)


def _ti(context: Any) -> Any:
    ti = _look(context, "ti")
    return _look(context, "task_instance") if ti is None else ti


def _state(source: Any) -> str:
    state = _look(source, "state")
    value = _look(state, "value")
    return _line(_text(state if value is None else value).replace("_", " "))


def _error(error: Any) -> str:
    said = _line(_text(error))
    if error is None or not issubclass(type(error), BaseException):
        return said
    return f"{type(error).__name__}{f': {said}' if said else ''}"


def _line(text: str) -> str:
    """Return the first line that says something, with single blanks."""
    return next((" ".join(line.split()) for line in text.splitlines() if line.strip()), "")


def _said(source: Any, name: str) -> str:
    """Return a key or an attribute as text; empty where there is none."""
    return _text(_look(source, name))


def _text(value: Any) -> str:
    """Turn anything into text, without the secrets that Airflow knows; empty if that fails."""
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
