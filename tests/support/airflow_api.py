"""
Airflow's own REST API over a real database, as a process: v2 on Airflow 3, v1 on Airflow 2.

``python -m tests.support.airflow_api`` makes a home, runs a DAG of which one task fails, and serves until killed. It
writes one line of JSON: the address, and what it made.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent.parent
USER, PASSWORD = "watcher", "planted-password-of-the-api"
DAG = """
from datetime import datetime

try:
    from airflow.sdk import dag, task
except ImportError:
    from airflow.decorators import dag, task


@dag(schedule=None, start_date=datetime(2026, 1, 1), catchup=False)
def etl():
    @task
    def works():
        return [1, 2]

    @task
    def breaks(number):
        raise ValueError("no such table")

    breaks.expand(number=works())


@dag(schedule=None, start_date=datetime(2026, 1, 1), catchup=False)
def fine():
    @task
    def works():
        return 1

    works()


etl()
fine()
"""


@dataclass(frozen=True)
class RunningApi:
    """
    A server.

    :param run_id: of the failed run of ``etl``; a run of ``fine`` succeeded.
    :param file: of both DAGs, as import errors name it; there is one of it, and one of a file without any DAG.
    """

    url: str
    run_id: str
    file: str
    pid: int


@contextlib.contextmanager
def running_api() -> Iterator[RunningApi]:
    """Start it, and end it."""
    with tempfile.TemporaryDirectory(prefix="voicepartner-api-") as home:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        (Path(home) / "dags").mkdir()
        (Path(home) / "dags" / "etl.py").write_text(DAG, encoding="utf-8")
        (Path(home) / "passwords.json").write_text(json.dumps({USER: PASSWORD}), encoding="utf-8")
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.airflow_api"],
            cwd=PROJECT, env=clean | _settings(Path(home)), stdout=subprocess.PIPE, text=True,
            stderr=(Path(home) / "log").open("w"), start_new_session=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, (Path(home) / "log").read_text(encoding="utf-8")[-3000:]
            yield RunningApi(pid=process.pid, **json.loads(line))
        finally:
            process.kill()
            process.wait(20)


def _settings(home: Path) -> dict[str, str]:
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__API__AUTH_BACKENDS": "airflow.api.auth.backend.basic_auth",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "NO_PROXY": "127.0.0.1,localhost",
        "PYTHONPATH": str(PROJECT),
    }


def main() -> None:
    """Make the database, and serve until killed."""
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from airflow import __version__

    is_new = not __version__.startswith("2.")
    run_id, file = _fill(is_new)
    server = socket.create_server(("127.0.0.1", 0))
    made = {"url": f"http://127.0.0.1:{server.getsockname()[1]}", "run_id": run_id, "file": file}
    serve = _serve_v2 if is_new else _serve_v1
    serve(server, lambda: print(json.dumps(made), file=told, flush=True))


def _fill(is_new: bool) -> tuple[str, str]:
    from airflow.utils.db import initdb
    from airflow.utils.session import create_session

    initdb()
    dags = Path(os.environ["AIRFLOW_HOME"]) / "dags"
    if is_new:
        from airflow.dag_processing.bundles.manager import DagBundlesManager
        from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

        DagBundlesManager().sync_bundles_to_db()
        bag: Any = DagBag(dag_folder=str(dags), bundle_path=dags, bundle_name="dags-folder")
        sync_bag_to_db(bag, "dags-folder", None)
    else:
        from airflow.models import DagBag as OldBag

        bag = OldBag(dag_folder=str(dags), include_examples=False)
        bag.sync_to_db()
    failed = bag.dags["etl"].test()
    bag.dags["fine"].test()
    from airflow.models.errors import ParseImportError

    names = ["etl.py", "new.py"] if is_new else [str(dags / "etl.py"), str(dags / "new.py")]
    with create_session() as session:
        from datetime import UTC, datetime

        for name in names:
            row = ParseImportError(
                filename=name,
                timestamp=datetime.now(UTC),
                stacktrace="Traceback:\n  x\nImportError: no pandas\n",
            )
            if is_new:
                row.bundle_name = "dags-folder"
            session.add(row)
    return str(failed.run_id), f"dags-folder:{names[0]}" if is_new else names[0]


def _serve_v2(server: socket.socket, ready: Any) -> None:
    import uvicorn
    from airflow.api_fastapi.app import create_app

    app = create_app(apps="core")
    ready()
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[server])


def _serve_v1(server: socket.socket, ready: Any) -> None:
    from airflow.www.app import create_app
    from werkzeug.serving import make_server

    app = create_app(testing=False)
    with app.app_context():
        manager = app.appbuilder.sm
        manager.add_user(USER, "W", "W", "w@example.org", manager.find_role("Admin"), PASSWORD)
    host, port = server.getsockname()
    ready()
    make_server(host, port, app, threaded=True, fd=server.fileno()).serve_forever()


if __name__ == "__main__":
    main()
