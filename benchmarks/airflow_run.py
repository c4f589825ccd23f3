"""
One DAG run under real Airflow, in a process of its own: ``dag.test()``, or a second attempt of a task that was killed.

Its orders are its arguments; what it measured is the JSON in the last line that it prints.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.environment import IN_MEMORY, ORDER, PROJECT

RUN = "benchmark_campaign"


def load() -> dict[str, Any]:
    """Make the database and the DAG folder ready, and return the DAGs."""
    from airflow.dag_processing.dagbag import DagBag
    from airflow.utils.db import initdb

    folder = Path(os.environ["AIRFLOW_HOME"])
    if not (folder / "airflow.db").exists():
        initdb()
    shutil.copy(PROJECT / "benchmarks" / "dags" / "benchmark.py", folder / "dags")
    bag = DagBag(dag_folder=str(folder / "dags"), bundle_name="dags-folder")
    if bag.import_errors:
        raise RuntimeError(str(bag.import_errors))
    return dict(bag.dags)


def order(store: str | None) -> Path:
    """Tell the operator its store, None for the usual one; return the file in which it tells how long it took."""
    home = Path(os.environ["AIRFLOW_HOME"])
    told = home / "ended.json"
    told.unlink(missing_ok=True)
    os.environ[ORDER] = json.dumps({"store": store, "began": str(home / "began.json"), "ended": str(told)})
    return told


def run_dag(dags: dict[str, Any], name: str, to: str) -> dict[str, Any]:
    """Run a DAG to its end; return its seconds, from outside and, for a campaign, in the operator."""
    told = order(IN_MEMORY if name == "none" else None)
    dag = dags["benchmark_mapped" if name == "mapped" else RUN]
    started = time.monotonic()
    run = dag.test(run_conf={"to": to})
    whole = time.monotonic() - started
    if str(run.state) != "success":
        raise RuntimeError(f"{name} ended as {run.state}")
    inside = json.loads(told.read_text(encoding="utf-8")) if told.exists() else {}
    return {"whole": whole, **inside}


def second_attempt(dags: dict[str, Any]) -> dict[str, Any]:
    """Do what the scheduler does for a task whose process was killed: run its next attempt."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.sdk.definitions.dag import _run_task
    from airflow.utils.session import create_session
    from airflow.utils.state import TaskInstanceState
    from sqlalchemy import select

    told = order(None)
    task = dags[RUN].get_task("send")
    with create_session() as session:
        latest = select(TaskInstance).where(TaskInstance.state == TaskInstanceState.RUNNING)
        ti = session.scalars(latest).one()
        ti.refresh_from_task(task)
        ti.try_number += 1
        ti.state = TaskInstanceState.SCHEDULED
        session.commit()
        _run_task(ti=ti, task=task)
    return dict(json.loads(told.read_text(encoding="utf-8")))


def main() -> None:
    """Run what is asked for, one after another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", help="both=FILE, none=FILE, mapped=, again=")
    given = parser.parse_args()
    found = []
    with contextlib.redirect_stdout(sys.stderr):
        dags = load()
        for run in given.runs:
            name, _, to = run.partition("=")
            found.append(second_attempt(dags) if name == "again" else run_dag(dags, name, to))
    sys.stdout.write("\n" + json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
