"""The crash stage on Airflow 3: a worker is Airflow's own supervisor, which forks the task process as everywhere."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

from tests.support.crash_stage import (
    BUNDLE,
    HOME,
    AirflowStage,
    Errand,
    close_database,
    die_with_parent,
    report_of,
)

API_TIMEOUT = 2.5
"""Of the client, in seconds, where there is a server: half of the usual, as each trial waits for it."""


class Stage(AirflowStage):
    """Airflow 3; the API server runs in each worker, unless one is told to use that of :meth:`serve`."""

    def serve(self) -> dict[str, Any]:
        """Start Airflow's API server, as a process of its own; return its ``url``."""
        close_database()
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.crash_api"],
            stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent,
        )  # fmt: skip
        assert process.stdout is not None
        return {"url": process.stdout.readline().strip()}

    def load(self) -> None:
        """Create the database, and load everything that a worker would otherwise load itself."""
        from airflow.dag_processing.bundles.manager import DagBundlesManager
        from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
        from airflow.sdk.execution_time import supervisor, task_runner  # noqa: F401 - loaded before forks
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
        for name in ("a2wsgi", "jinja2.ext", "airflow.sdk.bases.hook", "airflow.sdk.execution_time.cache"):
            importlib.import_module(name)

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

    def start(self, dag_id: str, run_id: str, server: str | None = None, **errand: Any) -> dict[str, Any]:
        """
        Schedule and queue the task as the scheduler does, and start a worker on it.

        :param server: URL of the API server; None for one in the worker.
        """
        from airflow.executors import workloads
        from airflow.executors.local_executor import LocalExecutor
        from airflow.utils.session import create_session
        from airflow.utils.state import TaskInstanceState

        with create_session() as session:
            ti = self.task_of(session, dag_id, run_id)
            if not ti.dag_run.schedule_tis([ti], session=session):
                raise RuntimeError(f"a task that is {ti.state} cannot be scheduled")
            session.flush()
            session.expire_all()
            ti = self.task_of(session, dag_id, run_id)
            ti.state = TaskInstanceState.QUEUED
            session.flush()
            work = workloads.ExecuteTask.make(
                ti,
                dag_rel_path=Path(Path(self.dag_file).name),
                generator=LocalExecutor.jwt_generator.func(self) if server else None,
            )
        attempt = str(work.ti.id)
        task = Errand(trace=str(self.trace_of(attempt)), **errand)
        worker = self.fork(
            attempt, HOME / "logs" / str(work.log_path), lambda: _supervise(work, task, server)
        )
        return {"pid": worker.pid, "trace": str(worker.trace), "try_number": work.ti.try_number}

    def look(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Tell a task's state, its ledger and its report."""
        from airflow.models.task_state_store import TaskStateStoreModel
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            ti = self.task_of(session, dag_id, run_id)
            rows = session.scalars(
                select(TaskStateStoreModel).where(
                    TaskStateStoreModel.dag_id == dag_id, TaskStateStoreModel.run_id == run_id
                )
            )
            ledger = {row.key: json.loads(row.value) for row in rows}
            state = ti.state and str(ti.state)
            return {"state": state, "attempt": str(ti.id), "ledger": ledger, "report": report_of(ti)}

    def clear(self, dag_id: str, run_id: str, discard: bool = False) -> dict[str, Any]:
        """Clear the task, as a user does."""
        from airflow.models.task_state_store import TaskStateStoreModel
        from airflow.models.taskinstance import clear_task_instances
        from airflow.utils.session import create_session
        from sqlalchemy import delete

        with create_session() as session:
            clear_task_instances([self.task_of(session, dag_id, run_id)], session)
            if discard:
                session.execute(
                    delete(TaskStateStoreModel).where(
                        TaskStateStoreModel.dag_id == dag_id, TaskStateStoreModel.run_id == run_id
                    )
                )
        return self.look(dag_id, run_id)


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


class _LateClient:
    """The API client of a worker, made at its first use: making it starts a thread, and the task is forked before."""

    def __getattr__(self, name: str) -> Any:
        if "client" not in self.__dict__:
            from airflow.sdk.execution_time.supervisor import InProcessTestSupervisor

            self.__dict__["client"] = InProcessTestSupervisor._api_client()
        return getattr(self.__dict__["client"], name)


def _supervise(work: Any, task: Errand, server: str | None) -> int:
    """Run one task under Airflow's supervisor."""
    os.environ |= task.variables

    from airflow.sdk.api import client
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.supervisor import supervise_task

    main = task_runner.main

    def watched_main() -> None:
        task.set_points()
        main()

    task_runner.main = watched_main
    client.API_TIMEOUT = API_TIMEOUT
    return supervise_task(
        ti=work.ti,
        bundle_info=work.bundle_info,
        dag_rel_path=work.dag_rel_path,
        token=work.token,
        server=server and f"{server}/execution/",
        client=None if server else _LateClient(),
        log_path=work.log_path,
    )
