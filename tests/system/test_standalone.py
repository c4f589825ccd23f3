"""A whole Airflow, once: a task sends, its wait is deferred, gateways call the API server, and the end starts a DAG."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import KEYS, LOGIN

pytestmark = [pytest.mark.airflow3, pytest.mark.slow]

DAGS = Path(__file__).parent / "standalone"
PROJECT = Path(__file__).resolve().parent.parent.parent
NUMBERS = ("+33612345678", "+33612345679")
TEXT = "Le texte planté de Zoé"
SECRET = "a-planted-secret-of-32-characters"
LIMIT = 240.0
TASKS = ("call", "wait", "call_and_wait", "send_and_wait")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


class Airflow:
    """A running Airflow, by its REST API."""

    def __init__(self, url: str, home: Path) -> None:
        self.url, self.home = url, home
        self._session = requests.Session()
        self._session.trust_env = False

    def log_in(self) -> None:
        token = self._session.get(f"{self.url}/auth/token", timeout=10).json()["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"

    def is_healthy(self) -> bool:
        try:
            told = self._session.get(f"{self.url}/api/v2/monitor/health", timeout=5).json()
        except (requests.RequestException, ValueError):
            return False
        parts = ("metadatabase", "scheduler", "triggerer", "dag_processor")
        return all((told.get(part) or {}).get("status") == "healthy" for part in parts)

    def get(self, path: str) -> Any:
        answer = self._session.get(f"{self.url}/api/v2/{path}", timeout=20)
        return answer.json() if answer.ok else {}

    def post(self, path: str, body: Any) -> Any:
        answer = self._session.post(f"{self.url}/api/v2/{path}", json=body, timeout=20)
        answer.raise_for_status()
        return answer.json()

    def states(self, dag: str, run: str) -> dict[str, str]:
        told = self.get(f"dags/{dag}/dagRuns/{run}/taskInstances").get("task_instances", [])
        return {ti["task_id"]: ti["state"] for ti in told}


def until(what: Callable[[], Any], seconds: float, why: str) -> Any:
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, why
        time.sleep(0.5)
    return found


def noted(home: Path) -> list[dict[str, Any]]:
    """Return what the DAG noted that events start."""
    files = sorted((home / "out").glob("*.json"))
    return [json.loads(line) for path in files for line in path.read_text(encoding="utf-8").splitlines()]


@contextlib.contextmanager
def standalone(home: Path, env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Start Airflow in a session of its own, and end that whole session."""
    with (home / "standalone.log").open("wb") as log:
        process = subprocess.Popen(
            [str(Path(sys.executable).parent / "airflow"), "standalone"],
            cwd=home, env=env, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(20)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "dags").mkdir()
    (tmp_path / "out").mkdir()
    shutil.copy(DAGS / "campaign.py", tmp_path / "dags")
    return tmp_path


def environment(home: Path, port: int, sandbox: Any) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    url = f"http://127.0.0.1:{port}"
    connections = {
        name: {"conn_type": name, "password": key, "login": LOGIN, "host": sandbox.gateway_url(name)}
        for name, key in KEYS.items()
    }
    return clean | {
        # It starts its parts by name.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        "AIRFLOW__VOICEPARTNER__STORE_URL": f"sqlite:///{home / 'voicepartner.db'}",
        "AIRFLOW__VOICEPARTNER__PUBLIC_URL": url,
        "AIRFLOW__VOICEPARTNER__CALLBACK_SECRET": SECRET,
        "AIRFLOW__VOICEPARTNER__RECEIVER_ENABLED": "True",
        **{f"AIRFLOW_CONN_{name.upper()}_DEFAULT": json.dumps(value) for name, value in connections.items()},
        "NO_PROXY": "127.0.0.1,localhost",
        "PYTHONPATH": str(PROJECT),
        "AIRFLOW_VAR_STANDALONE_TO": ",".join(NUMBERS),
        "AIRFLOW_VAR_STANDALONE_TEXT": TEXT,
        "STANDALONE_OUT": str(home / "out"),
    }


def test_send_defer_call_back_resume_and_start_a_dag(home: Path) -> None:
    from airflow_provider_voicepartner.sandbox import running_sandbox

    settings = {name: {"api_key": key} for name, key in KEYS.items()}
    settings["octopush"]["api_login"] = LOGIN
    port = free_port()
    with running_sandbox(port=0, seed=1, speed=5, settings=settings) as sandbox:
        env = environment(home, port, sandbox)
        with standalone(home, env):
            airflow = Airflow(f"http://127.0.0.1:{port}", home)
            until(airflow.is_healthy, LIMIT, "Airflow did not become healthy")
            airflow.log_in()
            _register_octopush(env)
            run = _trigger(airflow)
            seen: set[tuple[str, str]] = set()

            def is_over() -> bool:
                states = airflow.states("send_and_wait", run)
                seen.update(states.items())
                return len(states) == len(TASKS) and all(
                    state in ("success", "failed") for state in states.values()
                )

            until(is_over, LIMIT, f"the campaigns did not end: {seen}")
            assert {(task, "success") for task in TASKS} <= seen
            assert {(task, "deferred") for task in TASKS if "wait" in task} <= seen
            _assert_delivered(airflow, run)
            until(lambda: len(noted(home)) >= 3, LIMIT, "the end of the campaigns started no DAG")
            time.sleep(5)  # a third one would come soon
        for gateway in KEYS:
            assert sorted(sandbox.world.tallies[gateway].numbers.values()) == [1, 1]
    assert sorted(event["gateway"] for event in noted(home)) == sorted(KEYS)
    assert all(event["counts"]["delivered"] == 2 for event in noted(home))
    _assert_nothing_planted(home)
    logs = list((home / "logs").rglob("*.trigger.*.log"))
    assert len(logs) == 3
    lines = [json.loads(line) for path in logs for line in path.read_text(encoding="utf-8").splitlines()]
    assert not [line["event"] for line in lines if line["level"] in ("warning", "error", "critical")]


def _register_octopush(env: dict[str, str]) -> None:
    """Give Octopush's account our address, by the command that a person uses."""
    subprocess.run(
        [str(Path(sys.executable).parent / "airflow"), "voicepartner", "callbacks", "register", "--conn-id",
         "octopush_default"],
        env=env, check=True, capture_output=True, timeout=120,
    )  # fmt: skip


def _trigger(airflow: Airflow) -> str:
    until(lambda: airflow.get("dags/on_completion").get("dag_id"), LIMIT, "the DAGs were not found")
    until(lambda: airflow.get("dags/send_and_wait").get("dag_id"), LIMIT, "the DAGs were not found")
    time.sleep(5)  # the triggerer takes the watcher's trigger, which begins with what comes from then on
    run: str = airflow.post("dags/send_and_wait/dagRuns", {"logical_date": None})["dag_run_id"]
    return run


def _assert_delivered(airflow: Airflow, run: str) -> None:
    where = f"dags/send_and_wait/dagRuns/{run}/taskInstances"
    waited = airflow.get(f"{where}/wait/xcomEntries/return_value")["value"]
    waited = json.loads(waited) if isinstance(waited, str) else waited
    assert waited["delivered"] == 2
    for task in ("call_and_wait", "send_and_wait"):
        both = airflow.get(f"{where}/{task}/xcomEntries/return_value")["value"]
        both = json.loads(both) if isinstance(both, str) else both
        assert both["delivery"]["delivered"] == 2


def _assert_nothing_planted(home: Path) -> None:
    """Look through everything that Airflow wrote, but for our own store, which is where numbers belong."""
    planted = [*KEYS.values(), SECRET, TEXT, "plant\\u00e9", *(number[3:] for number in NUMBERS)]
    for path in home.rglob("*"):
        ours = path.name.startswith("voicepartner.db") or path.parent == home / "dags"
        if path.is_file() and not ours:
            text = path.read_bytes()
            for secret in planted:
                assert secret.encode() not in text, f"{path.relative_to(home)} holds {secret!r}"
