"""
A small Airflow whose tasks may be killed: scheduler in this process, each attempt of a task in a real worker process.

Run with ``python -m tests.support.crash_stage DAG_FILE``; takes orders as JSON lines, answers each with one. It is a
process of its own because it forks: it has no threads and, whenever it does, no open database. What differs between
Airflow 2 and 3 is in ``crash_airflow2`` and ``crash_airflow3``.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BUNDLE = "dags-folder"
HOME = Path(os.environ.get("AIRFLOW_HOME", "."))


@dataclass
class Worker:
    """A worker process, and the attempt that it runs."""

    pid: int
    attempt: str
    trace: Path
    log: Path


@dataclass(frozen=True)
class Errand:
    """
    What a worker is started with.

    :param trace: file for the points that its task passes.
    :param orders: see :class:`~tests.support.crash_points.Points`.
    :param variables: of its environment.
    :param hide_task_state: the task sees none, as before Airflow 3.3.
    :param clearing_discards: the task takes this Airflow for one whose clearing discards task state, as 3.4 does.
    """

    trace: str
    orders: dict[str, str]
    variables: dict[str, str]
    hide_task_state: bool = False
    clearing_discards: bool = False

    def set_points(self) -> None:
        """Put the points into this process, which is the task's."""
        from tests.support.crash_points import Points, pretend_airflow_3_4

        die_with_parent()
        if self.clearing_discards:
            pretend_airflow_3_4()
        Points(self.trace, self.orders, hide_task_state=self.hide_task_state).set()


@dataclass
class AirflowStage(ABC):
    """Airflow's database, its scheduler's part in a task's life, and the workers that it started."""

    dag_file: str
    dags: dict[str, Any] = field(default_factory=dict)
    workers: dict[int, Worker] = field(default_factory=dict)

    @abstractmethod
    def load(self) -> None:
        """Create the database, and load the DAGs and everything else that a worker would otherwise load itself."""

    @abstractmethod
    def new_run(self, dag_id: str) -> dict[str, Any]:
        """Create a DAG run; return its ``run_id``."""

    @abstractmethod
    def start(self, dag_id: str, run_id: str, **errand: Any) -> dict[str, Any]:
        """
        Schedule and queue the task as the scheduler does, and start a worker on it.

        :returns: ``pid`` of the worker, ``trace`` and ``try_number``.
        """

    @abstractmethod
    def look(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Tell a task's state, the ``attempt`` that this is about, the ledger in its task state, and its report."""

    @abstractmethod
    def clear(self, dag_id: str, run_id: str, discard: bool = False) -> dict[str, Any]:
        """Clear the task, as a user does; ``discard`` its state with it, as Airflow 3.4 does."""

    def task_of(self, session: Any, dag_id: str, run_id: str) -> Any:
        """Return the instance of the only task of a run."""
        from airflow.models.taskinstance import TaskInstance
        from sqlalchemy import select

        found = select(TaskInstance).where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
        ti = session.scalars(found).one()
        ti.refresh_from_task(self.dags[dag_id].get_task(ti.task_id))
        return ti

    def prepare(self) -> None:
        """Make everything ready for workers to be forked."""
        self.load()
        _import_everything()
        _make_campaigns_small()
        close_database()
        gc.collect()
        gc.freeze()
        if threading.active_count() > 1:
            raise RuntimeError("a process with threads must not fork")

    def fork(self, attempt: str, log: Path, work: Callable[[], int]) -> Worker:
        """Start a worker that does ``work``."""
        close_database()
        pid = os.fork()
        if pid == 0:
            _work(work)
        worker = self.workers[pid] = Worker(pid=pid, attempt=attempt, trace=self.trace_of(attempt), log=log)
        return worker

    @staticmethod
    def trace_of(attempt: str) -> Path:
        """Return the file for an attempt's points."""
        trace = HOME / "traces" / attempt
        trace.parent.mkdir(exist_ok=True)
        return trace

    def wait(self, pid: int, dag_id: str, run_id: str, seconds: float = 60) -> dict[str, Any]:
        """
        Wait until a worker has ended; tell its exit status, the task's state and log.

        An attempt that ended without a word is given up.
        """
        worker, until = self.workers[pid], time.monotonic() + seconds
        while (ended := os.waitpid(pid, os.WNOHANG))[0] == 0:
            if time.monotonic() > until:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                raise RuntimeError(f"the worker hangs: {_text(worker.trace)}\n{_text(worker.log)[-3000:]}")
            time.sleep(0.005)
        del self.workers[pid]
        left = self.look(dag_id, run_id)
        if left["state"] == "running" and left["attempt"] == worker.attempt:
            left = self.give_up(dag_id, run_id)
        return {"exit": ended[1], "log": _text(worker.log), "trace": _text(worker.trace), **left}

    def give_up(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Do what the scheduler does for a task without a heartbeat: fail the attempt, and retry if any is left."""
        from airflow.utils.session import create_session

        with create_session() as session:
            self.task_of(session, dag_id, run_id).handle_failure(error="heartbeat timeout", session=session)
        return self.look(dag_id, run_id)


def report_of(ti: Any) -> Any:
    """Return the report that a task returned, or else what it pushed before it failed."""
    from airflow_provider_voicepartner.operators.waiting import REPORT_KEY

    returned = ti.xcom_pull(task_ids=ti.task_id)
    return returned if returned is not None else ti.xcom_pull(task_ids=ti.task_id, key=REPORT_KEY)


def die_with_parent() -> None:
    """Leave nobody behind, however the tests end: Linux kills this process when its parent ends."""
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def close_database() -> None:
    """Close what this process has open of Airflow's database: a fork must not share it."""
    from airflow import settings

    settings.Session.remove()
    settings.engine.dispose()


def _start_sandbox() -> str:
    """Start the sandbox as a process of its own; return its URL."""
    command = [sys.executable, "-m", "airflow_provider_voicepartner.sandbox"]
    process = subprocess.Popen(
        [*command, "--port", "0", "--speed", "0", "--quiet"],
        stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent,
    )  # fmt: skip
    assert process.stdout is not None
    return process.stdout.readline().split(" on ")[1].split()[0]


def _import_everything() -> None:
    """Import what workers and tasks import when they need it: a fork then has it for nothing."""
    import phonenumbers

    import airflow_provider_voicepartner as provider

    for module in pkgutil.walk_packages(provider.__path__, f"{provider.__name__}."):
        if any(part in module.name for part in ("sandbox", "migrations", "__main__", "plugins")):
            continue
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            if not str(error.name).startswith("airflow."):  # then it is for Airflow 3 alone
                raise
    phonenumbers.is_valid_number(phonenumbers.parse("+33612345601"))


def _make_campaigns_small() -> None:
    """Cut batches of two, and do not wait between look-ups."""
    from airflow_provider_voicepartner.hooks.http import HttpSender
    from airflow_provider_voicepartner.sending import reconcile
    from tests.support.batches import cut_batches
    from tests.support.crash_points import BATCH_SIZE

    cut_batches(BATCH_SIZE)
    reconcile.LOOK_UP_AFTER = (0.0,) * len(reconcile.LOOK_UP_AFTER)
    HttpSender.__init__.__kwdefaults__["sleep"] = lambda seconds: None


def _work(work: Callable[[], int]) -> None:
    """Be a worker, with its output in a file; never returns."""
    code = 70
    try:
        die_with_parent()
        out = os.open(HOME / "workers.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for stream in (1, 2):
            os.dup2(out, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        code = work()
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code if 0 <= code < 256 else 71)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _stage_of(dag_file: str) -> AirflowStage:
    from airflow import __version__

    kind = importlib.import_module(f"tests.support.crash_airflow{__version__.partition('.')[0]}")
    stage: AirflowStage = kind.Stage(dag_file)
    return stage


def main() -> None:
    """Obey orders until there are no more."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    url = _start_sandbox()
    stage = _stage_of(sys.argv[1])
    stage.prepare()
    answers.write(json.dumps({"sandbox": url}) + "\n")
    for line in sys.stdin:
        order = json.loads(line)
        act: Callable[..., dict[str, Any]] = getattr(stage, order.pop("do"))
        try:
            answer = act(**order)
        except Exception as error:
            import traceback

            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
