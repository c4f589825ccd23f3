"""The crash stage on Airflow 2: a worker is ``airflow tasks run --local``, which forks the task as everywhere."""

from __future__ import annotations

import os
import shutil
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.support.crash_stage import HOME, AirflowStage, Errand, report_of


@dataclass
class Stage(AirflowStage):
    """Airflow 2.11; workers have the database, and attempts no id of their own: the last of each run is kept here."""

    last: dict[str, str] = field(default_factory=dict)

    def load(self) -> None:
        """Create the database, and load the DAGs."""
        from airflow.cli.cli_parser import get_parser
        from airflow.jobs import local_task_job_runner  # noqa: F401 - loaded before forks
        from airflow.models import DagBag
        from airflow.task.task_runner import standard_task_runner  # noqa: F401 - as above
        from airflow.utils.db import initdb

        initdb()
        target = HOME / "dags" / Path(self.dag_file).name
        shutil.copy(self.dag_file, target)
        bag = DagBag(dag_folder=str(target), include_examples=False)
        if bag.import_errors:
            raise RuntimeError(str(bag.import_errors))
        bag.sync_to_db()
        self.dags.update(bag.dags)
        # What a worker begins with.
        get_parser().parse_args(["tasks", "run", "dag", "task", "run", "--local"])

    def new_run(self, dag_id: str) -> dict[str, Any]:
        """Create a DAG run."""
        from airflow.utils import timezone
        from airflow.utils.session import create_session
        from airflow.utils.state import DagRunState
        from airflow.utils.types import DagRunType

        run_id, now = uuid.uuid4().hex, timezone.utcnow()
        with create_session() as session:
            self.dags[dag_id].create_dagrun(
                run_id=run_id,
                execution_date=now,
                data_interval=(now - timedelta(days=1), now),
                run_type=DagRunType.MANUAL,
                state=DagRunState.RUNNING,
                session=session,
            )
        return {"run_id": run_id}

    def start(self, dag_id: str, run_id: str, by_hand: bool = False, **errand: Any) -> dict[str, Any]:
        """
        Start a worker on the task.

        :param by_hand: as by ``airflow tasks run`` on the command line, which leaves the number of the try as it is.
        """
        from airflow.utils.session import create_session
        from airflow.utils.state import TaskInstanceState

        with create_session() as session:
            ti = self.task_of(session, dag_id, run_id)
            if not by_hand:
                if not ti.dag_run.schedule_tis([ti], session=session):
                    raise RuntimeError(f"a task that is {ti.state} cannot be scheduled")
                session.flush()
                session.expire_all()
                ti = self.task_of(session, dag_id, run_id)
                ti.state = TaskInstanceState.QUEUED
            session.flush()
            try_number, task_id = ti.try_number, ti.task_id
            log = HOME / "logs" / f"dag_id={dag_id}" / f"run_id={run_id}" / f"task_id={task_id}"
        attempt = uuid.uuid4().hex
        self.last[run_id] = attempt
        # Numbers repeat, and so would the log's name.
        log = log / f"attempt={try_number}.log"
        log.unlink(missing_ok=True)
        task = Errand(trace=str(self.trace_of(attempt)), **errand)
        dag = self.dags[dag_id]
        worker = self.fork(attempt, log, lambda: _run_locally(dag, task_id, run_id, task))
        return {"pid": worker.pid, "trace": str(worker.trace), "try_number": try_number}

    def look(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Tell a task's state and its report; there is no task state."""
        from airflow.utils.session import create_session

        with create_session() as session:
            ti = self.task_of(session, dag_id, run_id)
            state = ti.state and str(ti.state)
            return {
                "state": state,
                "attempt": self.last.get(run_id, ""),
                "ledger": {},
                "report": report_of(ti),
            }

    def clear(self, dag_id: str, run_id: str, discard: bool = False) -> dict[str, Any]:
        """Clear the task, as a user does; there is no task state to be discarded."""
        from airflow.models.taskinstance import clear_task_instances
        from airflow.utils.session import create_session

        with create_session() as session:
            clear_task_instances([self.task_of(session, dag_id, run_id)], session, dag=self.dags[dag_id])
        return self.look(dag_id, run_id)


def _run_locally(dag: Any, task_id: str, run_id: str, task: Errand) -> int:
    """Run one task as the local executor does."""
    os.environ |= task.variables

    from airflow.cli.cli_parser import get_parser
    from airflow.task.task_runner import standard_task_runner

    in_the_task = standard_task_runner.set_new_process_group

    def begin() -> None:
        in_the_task()
        task.set_points()

    standard_task_runner.set_new_process_group = begin
    args = get_parser().parse_args(["tasks", "run", dag.dag_id, task_id, run_id, "--local"])
    args.shut_down_logging = False
    args.func(args, dag=dag)
    return 0
