"""An Airflow that a test can break, as its API would tell of it, and a watchdog that watches it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_provider_voicepartner.watchdog.airflow_api import FailedRun, FailedTask, ImportProblem, Sign
from airflow_provider_voicepartner.watchdog.config import WatchdogConfig, read_config
from airflow_provider_voicepartner.watchdog.rest import ApiError

START = 1_790_000_000.0
LEAST = """
[airflow]
url = "https://airflow.example.org"
[tell]
conn_id = "smspartner"
to = "+33612345678"
"""


def configured(text: str = "") -> WatchdogConfig:
    """Return the least configuration, with what a test adds."""
    return read_config(LEAST + text, label="watchdog.toml")


@dataclass
class Clock:
    """Seconds, moved by hand."""

    now: float = START

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


@dataclass
class WatchedAirflow:
    """What the API tells; ``error`` is raised in place of any answer."""

    clock: Callable[[], float] = field(default_factory=Clock)
    runs: list[FailedRun] = field(default_factory=list)
    tasks: list[FailedTask] = field(default_factory=list)
    files: list[ImportProblem] = field(default_factory=list)
    dags: dict[str, list[str]] = field(default_factory=dict)
    ran: set[str] = field(default_factory=set)
    dead: dict[str, str] = field(default_factory=dict)
    none: set[str] = field(default_factory=set)
    error: ApiError | None = None
    version: str = "v2"

    def kill(self, part: str) -> None:
        """Let a part give no sign of life any more."""
        self.dead[part] = self._beat()

    def revive(self, part: str) -> None:
        """Let it live."""
        del self.dead[part]

    def fail_task(
        self, task_id: str = "load", *, run_id: str = "run1", dag_id: str = "etl", **more: Any
    ) -> FailedTask:
        """Let a task fail now."""
        task = FailedTask(
            dag_id=dag_id, run_id=run_id, task_id=task_id, ended_at=self.clock(), **{"try_number": 1, **more}
        )
        self.tasks.append(task)
        return task

    def fail_run(self, *, run_id: str = "run1", dag_id: str = "etl") -> FailedRun:
        """Let a run fail now."""
        run = FailedRun(
            dag_id=dag_id, run_id=run_id, began_at="2026-11-30T08:00:00.123456Z", ended_at=self.clock()
        )
        self.runs.append(run)
        return run

    def _beat(self) -> str:
        return f"beat {self.clock():.0f}"

    def _answer(self) -> None:
        if self.error is not None:
            raise self.error

    def health(self) -> Mapping[str, Sign]:
        """Return a sign of each part."""
        self._answer()
        signs = {"metadatabase": Sign(is_healthy="metadatabase" not in self.dead)}
        for part in ("scheduler", "triggerer", "dag_processor"):
            is_healthy = None if part in self.none else part not in self.dead
            signs[part] = Sign(is_healthy=is_healthy, heartbeat=self.dead.get(part, self._beat()))
        return signs

    def failed_runs(self, since: datetime) -> Sequence[FailedRun]:
        """Return the runs that failed since then."""
        self._answer()
        return [run for run in self.runs if run.ended_at >= since.timestamp()]

    def failed_tasks(self, since: datetime) -> Sequence[FailedTask]:
        """Return the tasks that failed since then."""
        self._answer()
        return [task for task in self.tasks if task.ended_at >= since.timestamp()]

    def failed_tasks_of(self, dag_id: str, run_id: str) -> Sequence[FailedTask]:
        """Return the failed tasks of a run."""
        self._answer()
        return [task for task in self.tasks if (task.dag_id, task.run_id) == (dag_id, run_id)]

    def import_errors(self) -> Sequence[ImportProblem]:
        """Return the broken files."""
        self._answer()
        return list(self.files)

    def dags_in(self, files: Collection[str]) -> Mapping[str, Collection[str]]:
        """Return the DAGs of files."""
        self._answer()
        return {file: dags for file, dags in self.dags.items() if file in files}

    def has_run(self, dag_id: str, since: datetime, *, has_succeeded: bool) -> bool:
        """Say whether there was a run."""
        self._answer()
        return dag_id in self.ran
