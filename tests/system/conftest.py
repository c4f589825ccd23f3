"""Whole DAGs under real Airflow: its database, its DAG folder, its task runner, all in this process."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import KEYS
from tests.support.standalone import free_port, running_airflow

PROJECT = Path(__file__).resolve().parent.parent.parent
CONTACTS = PROJECT / "example_dags" / "data" / "contacts.toml"

# What the whole Airflow is given.
NUMBERS = ("+33612345678", "+33612345679")
TEXT = "Le texte planté de Zoé"
SECRET = "a-planted-secret-of-32-characters"
PEOPLE = {
    name: f"+3361234{place}"
    for place, name in enumerate(
        (
            "anne",
            "bruno",
            "chloe",
            "david",
            "emma",
            "farid",
            "gina",
            "henri",
            "ines",
            "julie",
            "karim",
            "lola",
            "marie",
            "nora",
            "olga",
        ),
        7001,
    )
}
LITERAL = "+33612347099"
"""The number of somebody who is in no contacts."""


@pytest.fixture(scope="session")
def whole_airflow(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Run a whole Airflow for all tests that name the same metrics: ``dogstatsd`` or ``opentelemetry``."""
    home = tmp_path_factory.mktemp("airflow")
    folder = Path(__file__).parent / "standalone"
    contacts = {
        "people": {name: {"phone": number} for name, number in PEOPLE.items()},
        "policies": {
            "night": {
                "steps": [{"who": ["@marie", "@nora"], "by": "sms", "wait": "1h"}],
                "sms": "smspartner_default",
            }
        },
    }
    outside = home.with_name(f"{home.name} contacts.json")
    outside.write_text(json.dumps(contacts), encoding="utf-8")
    (home / "out").mkdir()
    url = "http://127.0.0.1:%s"
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(
            running_airflow(
                home,
                request.param,
                dags=[folder / "campaign.py", folder / "alerts.py"],
                env={
                    "AIRFLOW__VOICEPARTNER__CALLBACK_SECRET": SECRET,
                    "AIRFLOW__VOICEPARTNER__RECEIVER_ENABLED": "True",
                    "AIRFLOW__VOICEPARTNER__CONTACTS": str(outside),
                    "AIRFLOW__VOICEPARTNER__ALERT_TO": "@anne",
                    "AIRFLOW__VOICEPARTNER__ALERT_DAGS": "!mails",
                    "AIRFLOW__EMAIL__EMAIL_BACKEND": "airflow_provider_voicepartner.notifications.email.send_email",
                    "AIRFLOW_CONN_REFUSING": json.dumps(
                        {"conn_type": "smspartner", "password": KEYS["smspartner"], "host": url % free_port()}
                    ),
                    "AIRFLOW_VAR_STANDALONE_TO": ",".join(NUMBERS),
                    "AIRFLOW_VAR_STANDALONE_TEXT": TEXT,
                    "STANDALONE_OUT": str(home / "out"),
                    "STANDALONE_LITERAL": LITERAL,
                },
                speed=5,
            )
        )


@pytest.fixture(scope="session")
def dags(airflow_home: Path) -> Any:
    """Return the DAGs of ``example_dags``, ``tests/system/dags`` and README, loaded from a configured bundle folder."""
    from airflow.dag_processing.dagbag import DagBag
    from airflow.utils.db import initdb

    folder = airflow_home / "dags"
    shutil.copytree(PROJECT / "example_dags", folder / "example_dags", dirs_exist_ok=True)
    shutil.copytree(Path(__file__).parent / "dags", folder / "tests", dirs_exist_ok=True)
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    (folder / "readme.py").write_text(readme.split("```python\n", 1)[1].split("```", 1)[0], encoding="utf-8")
    initdb()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__VOICEPARTNER__CONTACTS", str(CONTACTS))
        bag = DagBag(dag_folder=str(folder), bundle_name="dags-folder")
    assert bag.import_errors == {}
    return bag.dags


@dataclass
class Run:
    """What became of one DAG run."""

    state: str
    tasks: dict[str, str]
    xcoms: dict[str, Any]
    log: str


@pytest.fixture
def run_dag(
    dags: Any,
    sandbox: Any,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Run]:
    """Run a DAG to its end against the sandbox; keywords are the run's params."""
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CONTACTS", str(CONTACTS))

    def run(dag_id: str, **conf: Any) -> Run:
        capfd.readouterr()
        # Airflow's own handlers are not always there, when other tests ran before in this process.
        caplog.set_level("INFO", logger="airflow_provider_voicepartner")
        dag_run = dags[dag_id].test(run_conf=conf or None)
        out, err = capfd.readouterr()
        tasks, xcoms = {}, {}
        for ti in dag_run.get_task_instances():
            name = ti.task_id if ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]"
            tasks[name] = str(ti.state)
            xcoms[name] = ti.xcom_pull(ti.task_id, map_indexes=ti.map_index)
        return Run(state=str(dag_run.state), tasks=tasks, xcoms=xcoms, log=out + err + caplog.text)

    return run


@pytest.fixture
def clear_and_run(dags: Any, capfd: pytest.CaptureFixture[str]) -> Callable[[str], Run]:
    """Clear every task of a DAG's last run, as a person does in the UI, and run them again."""

    def again(dag_id: str) -> Run:
        from airflow.models.dagbag import DBDagBag
        from airflow.models.dagrun import DagRun
        from airflow.models.taskinstance import TaskInstance, clear_task_instances
        from airflow.sdk.definitions.dag import _run_task
        from airflow.utils.session import create_session

        with create_session() as session:
            last = session.query(DagRun).filter_by(dag_id=dag_id).order_by(DagRun.id.desc()).first()
            run_id = last.run_id
            tis = session.query(TaskInstance).filter_by(dag_id=dag_id, run_id=run_id).all()
            clear_task_instances(tis, session)
        capfd.readouterr()
        tasks: dict[str, str] = {}
        xcoms: dict[str, Any] = {}
        for task in dags[dag_id].topological_sort():
            with create_session() as session:
                # As the scheduler does: a longer list has more instances than there were.
                run = session.query(DagRun).filter_by(dag_id=dag_id, run_id=run_id).one()
                run.dag = DBDagBag().get_dag_for_run(run, session=session)
                run.task_instance_scheduling_decisions(session=session)
                session.flush()
                query = session.query(TaskInstance).filter_by(
                    dag_id=dag_id, run_id=run_id, task_id=task.task_id, state=None
                )
                tis = query.order_by(TaskInstance.map_index).all()
                for ti in tis:
                    ti.try_number += 1
                session.flush()
                session.expunge_all()
            for ti in tis:
                _run_task(ti=ti, task=dags[dag_id].get_task(ti.task_id))
                name = ti.task_id if ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]"
                tasks[name] = str(getattr(ti.state, "value", ti.state))
                xcoms[name] = ti.xcom_pull(ti.task_id, map_indexes=ti.map_index)
        out, err = capfd.readouterr()
        return Run(state="", tasks=tasks, xcoms=xcoms, log=out + err)

    return again


@pytest.fixture
def variable(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Set an Airflow variable for one test, by the environment: it never reaches Airflow's database."""
    return lambda name, value: monkeypatch.setenv(f"AIRFLOW_VAR_{name.upper()}", value)


@pytest.fixture
def ticking(sandbox: Any) -> Iterator[Any]:
    """Return the sandbox with its clock running fast, so that campaigns complete while a sensor waits."""
    with sandbox.world.lock:
        sandbox.world.clock.set_speed(200.0)
    yield sandbox
    with sandbox.world.lock, contextlib.suppress(Exception):
        sandbox.world.clock.set_speed(0.0)


@pytest.fixture
def reached(sandbox: Any) -> Callable[[str], dict[str, int]]:
    """``reached("smspartner")``: how often each number was really sent a message, as the sandbox counts."""
    return lambda gateway: dict(sandbox.world.tallies[gateway].numbers)


@pytest.fixture
def airflow_files(airflow_home: Path, tmp_path: Path) -> Callable[[], dict[str, bytes]]:
    """
    Return every file that Airflow wrote, but for DAG files and the modules that it compiled from them.

    Another process copies them first: were this one to open and close the database's files besides SQLite, it would
    lose the locks on them, and the next process that uses the database could spoil it.
    """

    def read() -> dict[str, bytes]:
        copies = tmp_path / "what Airflow wrote"
        subprocess.run(["cp", "-R", f"{airflow_home}/.", str(copies)], check=True)
        return {
            str(path.relative_to(copies)): path.read_bytes()
            for path in copies.rglob("*")
            if path.is_file() and "dags" not in path.relative_to(copies).parts
        }

    return read
