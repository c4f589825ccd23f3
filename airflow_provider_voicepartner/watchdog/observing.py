"""One look at Airflow: what its API tells now of all that the checks need, and what it did not tell."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from airflow_provider_voicepartner.constants import WATCH_MEMORY, WATCH_OVERLAP, WATCH_QUESTIONS
from airflow_provider_voicepartner.watchdog.airflow_api import (
    AirflowApi,
    FailedRun,
    FailedTask,
    ImportProblem,
    Sign,
)
from airflow_provider_voicepartner.watchdog.config import Expectation, WatchdogConfig
from airflow_provider_voicepartner.watchdog.rest import ApiError, ApiRefusedError
from airflow_provider_voicepartner.watchdog.state import WatchState

RunKey = tuple[str, str]
"""DAG and run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueRun:
    """
    A run that is due, or that did not come when it was.

    :param due_at: Unix seconds.
    :param counts_from: Unix seconds; runs that started before do not count.
    """

    expectation: Expectation
    due_at: float
    counts_from: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """
    What one look found; what is None was not answered.

    :param at: when it began, Unix seconds.
    :param problem: why Airflow could not be asked; empty where it could.
    :param is_refused: it answers, but not to this watchdog.
    :param version: of the API.
    :param runs: those that failed, and ``tasks`` those that failed, since the last look and some time before.
    :param tasks_of: the failed tasks of failed runs.
    :param files: that cannot be imported; ``dags_of`` says which DAGs Airflow knows from those that are new.
    :param has_run: whether there was a run, by the keys of expectations.
    """

    at: float
    problem: str = ""
    is_refused: bool = False
    version: str = "v2"
    signs: Mapping[str, Sign] | None = None
    runs: Sequence[FailedRun] | None = None
    tasks: Sequence[FailedTask] | None = None
    tasks_of: Mapping[RunKey, Sequence[FailedTask]] = field(default_factory=dict)
    files: Sequence[ImportProblem] | None = None
    dags_of: Mapping[str, Collection[str]] = field(default_factory=dict)
    has_run: Mapping[str, bool] = field(default_factory=dict)


def due_runs(config: WatchdogConfig, state: WatchState, now: float) -> list[DueRun]:
    """Return the runs that are due since the last look, and those that did not come so far."""
    found = []
    for one in config.expect:
        missing = state.missing.get(one.key)
        after = state.expected.get(one.key, now)
        due = one.due_between(_moment(after), _moment(now))
        if due is not None:
            found.append(DueRun(expectation=one, due_at=due[0].timestamp(), counts_from=due[1].timestamp()))
        elif missing is not None:
            found.append(
                DueRun(expectation=one, due_at=state.expected.get(one.key, now), counts_from=missing.since)
            )
    return found


def observe(api: AirflowApi, config: WatchdogConfig, state: WatchState, now: float) -> Observation:
    """
    Ask Airflow everything. Nothing is raised: what is not answered is None.

    :param now: Unix seconds.
    """
    told: dict[str, object] = {}
    try:
        told |= {"signs": api.health(), "version": api.version}
        since = _moment(_cursor(state, now)) - timedelta(seconds=WATCH_OVERLAP)
        runs, tasks = api.failed_runs(since), api.failed_tasks(since)
        told["tasks_of"] = _tasks_of(api, config, state, runs, tasks)
        told |= {"runs": runs, "tasks": tasks}
        files = api.import_errors()
        new = {one.file for one in files if one.file not in state.files or not state.files[one.file].mark}
        told["dags_of"] = api.dags_in(new) if new and state.looked_at is not None else {}
        told["files"] = files
        told["has_run"] = {
            due.expectation.key: api.has_run(
                due.expectation.dag_id,
                _moment(due.counts_from),
                has_succeeded=due.expectation.needs == "success",
            )
            for due in due_runs(config, state, now)
        }
    except ApiError as error:
        told |= {"problem": str(error), "is_refused": isinstance(error, ApiRefusedError)}
    return Observation(at=now, **told)  # type: ignore[arg-type]


def _cursor(state: WatchState, now: float) -> float:
    """Return since when failures count; what is older than a day is no news to be woken for."""
    return now if state.looked_at is None else max(state.looked_at, now - WATCH_MEMORY)


def _tasks_of(
    api: AirflowApi,
    config: WatchdogConfig,
    state: WatchState,
    runs: Sequence[FailedRun],
    tasks: Sequence[FailedTask],
) -> dict[RunKey, Sequence[FailedTask]]:
    """Return the failed tasks of new failed runs; those that failed long before their run have to be asked for."""
    listed = {(task.dag_id, task.run_id) for task in tasks}
    new = [
        (run.dag_id, run.run_id)
        for run in runs
        if state.looked_at is not None
        and config.dags.covers(run.dag_id)
        and mark_of_run(run) not in state.done
        and (run.dag_id, run.run_id) not in listed
    ]
    return {run: api.failed_tasks_of(*run) for run in new[:WATCH_QUESTIONS]}


def mark_of_run(run: FailedRun) -> str:
    """Return what tells a failed run apart, from itself after a clearing too."""
    return f"{run.dag_id} {run.run_id} {run.began_at}"


def mark_of_task(task: FailedTask) -> str:
    """Return what tells a failed task apart, its mapped instances together."""
    return f"{task.dag_id} {task.run_id} {task.task_id} {task.try_number}"


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
