"""
A small Airflow whose tasks may be killed: scheduler in this process, each attempt of a task in a real worker process.

Run with ``python -m tests.support.crash_stage DAG_FILE``; takes orders as JSON lines, answers each with one. It is a
process of its own because it forks: it has no threads and, whenever it does, no open database. A worker is Airflow's
own supervisor (``supervise_task``), which forks the task process as everywhere; its API server runs in the worker.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BUNDLE = "dags-folder"
HOME = Path(os.environ.get("AIRFLOW_HOME", "."))


@dataclass
class _Worker:
    pid: int
    ti_id: str
    trace: Path
    log: Path


@dataclass
class Stage:
    """Airflow's database, its scheduler's part in a task's life, and the workers that it started."""

    dag_file: str
    dags: dict[str, Any] = field(default_factory=dict)
    workers: dict[int, _Worker] = field(default_factory=dict)

    def prepare(self) -> None:
        """Create the database and load everything that a worker would otherwise load itself."""
        from airflow.dag_processing.bundles.manager import DagBundlesManager
        from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
        from airflow.sdk.execution_time import supervisor, task_runner  # noqa: F401
        from airflow.serialization.serialized_objects import DagSerialization
        from airflow.utils.db import initdb

        initdb()
        target = HOME / "dags" / Path(self.dag_file).name
        shutil.copy(self.dag_file, target)
        DagBundlesManager().sync_bundles_to_db()
        bag = DagBag(dag_folder=str(target), bundle_path=target.parent, bundle_name=BUNDLE)
        if bag.import_errors:
            raise RuntimeError(str(bag.import_errors))
        sync_bag_to_db(bag, BUNDLE, None)
        for dag_id, dag in bag.dags.items():
            self.dags[dag_id] = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
        # A supervisor may sleep so long after its task has ended.
        supervisor.MIN_HEARTBEAT_INTERVAL = 0.25
        _warm(supervisor.in_process_api_server().app)
        _import_everything()
        _make_campaigns_small()
        _close_database()
        gc.collect()
        gc.freeze()
        if threading.active_count() > 1:
            raise RuntimeError("a process with threads must not fork")

    def new_run(self, dag_id: str) -> dict[str, Any]:
        """Create a DAG run."""
        from airflow.sdk import timezone
        from airflow.utils.session import create_session
        from airflow.utils.state import DagRunState
        from airflow.utils.types import DagRunTriggeredByType, DagRunType

        run_id, now = uuid.uuid4().hex, timezone.utcnow()
        with create_session() as session:
            self.dags[dag_id].create_dagrun(
                run_id=run_id,
                logical_date=None,
                data_interval=None,
                run_after=now,
                run_type=DagRunType.MANUAL,
                state=DagRunState.RUNNING,
                triggered_by=DagRunTriggeredByType.TEST,
                session=session,
            )
        return {"run_id": run_id}

    def _ti(self, session: Any, dag_id: str, run_id: str) -> Any:
        from airflow.models.taskinstance import TaskInstance
        from sqlalchemy import select

        found = select(TaskInstance).where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
        ti = session.scalars(found).one()
        ti.refresh_from_task(self.dags[dag_id].get_task(ti.task_id))
        return ti

    def start(
        self, dag_id: str, run_id: str, orders: dict[str, str], variables: dict[str, str]
    ) -> dict[str, Any]:
        """Schedule and queue the task as the scheduler does, and start a worker on it."""
        from airflow.executors import workloads
        from airflow.utils.session import create_session
        from airflow.utils.state import TaskInstanceState

        with create_session() as session:
            ti = self._ti(session, dag_id, run_id)
            if not ti.dag_run.schedule_tis([ti], session=session):
                raise RuntimeError(f"a task that is {ti.state} cannot be scheduled")
            session.flush()
            session.expire_all()
            ti = self._ti(session, dag_id, run_id)
            ti.state = TaskInstanceState.QUEUED
            session.flush()
            work = workloads.ExecuteTask.make(ti, dag_rel_path=Path(Path(self.dag_file).name))
        _close_database()
        trace = HOME / "traces" / f"{work.ti.id}"
        trace.parent.mkdir(exist_ok=True)
        pid = os.fork()
        if pid == 0:
            _work(work, str(trace), orders, variables)
        worker = _Worker(pid=pid, ti_id=str(work.ti.id), trace=trace, log=HOME / "logs" / str(work.log_path))
        self.workers[pid] = worker
        return {"pid": pid, "trace": str(trace), "try_number": work.ti.try_number}

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
                raise RuntimeError(
                    f"the worker hangs: {worker.trace.read_text()}\n{_text(worker.log)[-3000:]}"
                )
            time.sleep(0.005)
        del self.workers[pid]
        left = self.look(dag_id, run_id)
        if left["state"] == "running" and left["ti_id"] == worker.ti_id:
            left = self.give_up(dag_id, run_id)
        return {"exit": ended[1], "log": _text(worker.log), "trace": _text(worker.trace), **left}

    def look(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Tell a task's state, its ledger and its report."""
        from airflow.models.task_state_store import TaskStateStoreModel
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            ti = self._ti(session, dag_id, run_id)
            rows = session.scalars(
                select(TaskStateStoreModel).where(
                    TaskStateStoreModel.dag_id == dag_id, TaskStateStoreModel.run_id == run_id
                )
            )
            ledger = {row.key: json.loads(row.value) for row in rows}
            report = ti.xcom_pull(task_ids=ti.task_id)
            state = ti.state and str(ti.state)
            return {"state": state, "ti_id": str(ti.id), "ledger": ledger, "report": report}

    def give_up(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Do what the scheduler does for a task without a heartbeat: fail the attempt, and retry if any is left."""
        from airflow.utils.session import create_session

        with create_session() as session:
            self._ti(session, dag_id, run_id).handle_failure(error="heartbeat timeout", session=session)
        return self.look(dag_id, run_id)

    def clear(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Clear the task, as a user does."""
        from airflow.models.taskinstance import clear_task_instances
        from airflow.utils.session import create_session

        with create_session() as session:
            clear_task_instances([self._ti(session, dag_id, run_id)], session)
        return self.look(dag_id, run_id)


def _die_with_parent() -> None:
    """Leave nobody behind, however the tests end: Linux kills this process when its parent ends."""
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def _start_sandbox() -> str:
    """Start the sandbox as a process of its own; return its URL."""
    command = [sys.executable, "-m", "airflow_provider_voicepartner.sandbox"]
    process = subprocess.Popen(
        [*command, "--port", "0", "--speed", "0", "--quiet"],
        stdout=subprocess.PIPE, text=True, preexec_fn=_die_with_parent,
    )  # fmt: skip
    assert process.stdout is not None
    return process.stdout.readline().split(" on ")[1].split()[0]


def _import_everything() -> None:
    """Import what workers and tasks import when they need it: a fork then has it for nothing."""
    import phonenumbers

    import airflow_provider_voicepartner as provider

    for name in ("a2wsgi", "jinja2.ext", "airflow.sdk.bases.hook", "airflow.sdk.execution_time.cache"):
        importlib.import_module(name)
    for module in pkgutil.walk_packages(provider.__path__, f"{provider.__name__}."):
        if not any(part in module.name for part in ("sandbox", "migrations", "__main__")):
            importlib.import_module(module.name)
    phonenumbers.is_valid_number(phonenumbers.parse("+33612345601"))


def _warm(app: Any) -> None:
    """Let the API server do once what takes it seconds at its first request; its threads end with the loop."""
    import httpx

    async def ask() -> None:
        transport = httpx.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://warm.invalid") as client,
        ):
            ti = f"/task-instances/{uuid.uuid4()}"
            body = {
                "state": "running",
                "hostname": "",
                "unixname": "",
                "pid": 1,
                "start_date": "2026-01-01T00:00:00Z",
            }
            answers = [
                await client.patch(f"{ti}/run", json=body),
                await client.put(f"{ti}/heartbeat", json={"hostname": "", "pid": 1}),
                await client.get(f"/store/ti/{uuid.uuid4()}/key"),
            ]
            print([answer.status_code for answer in answers])

    asyncio.run(ask())


def _make_campaigns_small() -> None:
    """Cut batches of two, and do not wait between look-ups."""
    from airflow_provider_voicepartner.hooks.http import HttpSender
    from airflow_provider_voicepartner.sending import campaign, doubt, planning
    from tests.support.crash_points import BATCH_SIZE

    campaign.MAX_RECIPIENTS_PER_BATCH = BATCH_SIZE
    planning.plan_campaign.__kwdefaults__["batch_size"] = BATCH_SIZE
    doubt.LOOK_UP_AFTER = (0.0,) * len(doubt.LOOK_UP_AFTER)
    HttpSender.__init__.__kwdefaults__["sleep"] = lambda seconds: None


def _close_database() -> None:
    from airflow import settings

    settings.Session.remove()
    settings.engine.dispose()


class _LateClient:
    """The API client of a worker, made at its first use: making it starts a thread, and the task is forked before."""

    def __getattr__(self, name: str) -> Any:
        if "client" not in self.__dict__:
            from airflow.sdk.execution_time.supervisor import InProcessTestSupervisor

            self.__dict__["client"] = InProcessTestSupervisor._api_client()
        return getattr(self.__dict__["client"], name)


def _work(work: Any, trace: str, orders: dict[str, str], variables: dict[str, str]) -> None:
    """Be a worker: run one task under Airflow's supervisor; never returns."""
    code = 70
    try:
        _die_with_parent()
        out = os.open(HOME / "workers.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for stream in (1, 2):
            os.dup2(out, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ |= variables

        from airflow.sdk.execution_time import task_runner
        from airflow.sdk.execution_time.supervisor import supervise_task

        from tests.support.crash_points import Points

        main = task_runner.main

        def watched_main() -> None:
            _die_with_parent()
            Points(trace, orders).set()
            main()

        task_runner.main = watched_main
        code = supervise_task(
            ti=work.ti,
            bundle_info=work.bundle_info,
            dag_rel_path=work.dag_rel_path,
            token=work.token,
            client=_LateClient(),
            log_path=work.log_path,
        )
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code if 0 <= code < 256 else 71)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def main() -> None:
    """Obey orders until there are no more."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    url = _start_sandbox()
    stage = Stage(sys.argv[1])
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
