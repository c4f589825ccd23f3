"""The commands as people start them: processes that ask Airflow's real API, and tell through the sandbox."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.watchdog.memory import WatchMemory
from tests.support.airflow_api import PASSWORD, USER, RunningApi

PROJECT = Path(__file__).resolve().parents[2]
ANNE = "+33612345678"
COMMAND = [sys.executable, "-m", "airflow_provider_voicepartner"]
LIMIT = 120.0

Start = Callable[..., contextlib.AbstractContextManager[subprocess.Popen[str]]]


def until(what: Callable[[], Any]) -> Any:
    end = time.monotonic() + LIMIT
    while not (found := what()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return found


@pytest.fixture
def config(tmp_path: Path, airflow_api: RunningApi) -> Path:
    path = tmp_path / "watchdog.toml"
    path.write_text(
        f"""
        [airflow]
        url = "{airflow_api.url}"
        user = "{USER}"
        password_env = "WATCHDOG_PASSWORD"
        [tell]
        conn_id = "smspartner_default"
        to = "{ANNE}"
        [times]
        interval = 1
        grace = 0
        # there is no scheduler
        silent_after = 3600
        """,
        encoding="utf-8",
    )
    return path


@pytest.fixture
def environment(sandbox: Any, tmp_path: Path) -> dict[str, str]:
    return os.environ | {
        "WATCHDOG_PASSWORD": PASSWORD,
        "AIRFLOW__VOICEPARTNER__STORE_URL": f"sqlite:///{tmp_path / 'incidents.db'}",
        "AIRFLOW__VOICEPARTNER__CALLBACK_SECRET": "a-planted-secret-of-32-characters",
        "PYTHONPATH": str(PROJECT),
    }


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Start:
    @contextlib.contextmanager
    def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
        with (tmp_path / "log").open("w") as log:
            process = subprocess.Popen(
                [*COMMAND, *arguments], env=environment, stdout=subprocess.PIPE, stderr=log, text=True
            )
            try:
                yield process
            finally:
                process.kill()
                process.wait(20)

    return running


def memory(environment: dict[str, str]) -> WatchMemory:
    return WatchMemory(open_store(environment["AIRFLOW__VOICEPARTNER__STORE_URL"], purpose="tests"))


def has_looked(environment: dict[str, str]) -> bool:
    with contextlib.suppress(Exception):
        return '"looked_at":1' in memory(environment).load("watchdog")[0]
    return False


def fail_a_run(api: RunningApi) -> None:
    """Start a run, and mark it as failed, as a person does in the UI."""
    session = requests.Session()
    who = {"username": USER, "password": PASSWORD}
    answer = session.post(f"{api.url}/auth/token", json=who, timeout=20)
    version = "v2" if answer.ok else "v1"
    if answer.ok:
        session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    else:
        session.auth = (USER, PASSWORD)
    runs = f"{api.url}/api/{version}/dags/fine/dagRuns"
    run = session.post(runs, json={"logical_date": None} if version == "v2" else {}, timeout=20).json()
    answer = session.patch(f"{runs}/{run['dag_run_id']}", json={"state": "failed"}, timeout=20)
    answer.raise_for_status()


@pytest.mark.parametrize("command", ["watchdog", "receiver"])
def test_a_failure_is_told_and_the_process_ends_when_it_is_asked_to(
    command: str,
    start: Start,
    config: Path,
    environment: dict[str, str],
    airflow_api: RunningApi,
    sandbox: Any,
    tmp_path: Path,
) -> None:
    arguments = {
        "watchdog": ("watchdog", "--config", str(config)),
        "receiver": ("receiver", "--port", "0", "--watchdog", str(config)),
    }[command]
    with start(*arguments) as process:
        until(lambda: has_looked(environment))
        sent = sandbox.world.tallies["smspartner"].numbers
        assert dict(sent) == {}
        fail_a_run(airflow_api)
        until(lambda: dict(sent))
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        said = process.stdout.read() if process.stdout else ""
    assert dict(sent) == {ANNE: 1}
    (campaign,) = sandbox.world.campaigns["smspartner"].values()
    assert campaign.text.startswith("Airflow (watchdog): DAG fine failed")
    log = (tmp_path / "log").read_text(encoding="utf-8")
    assert "Found: DAG fine failed" in said + log
    assert json.loads(memory(environment).load("watchdog")[0])["done"]
    assert memory(environment).beats()["watchdog"].told["airflow"] == airflow_api.url
    for secret in (PASSWORD, ANNE[3:]):
        assert secret not in said + log


@pytest.mark.slow
def test_check_says_whether_it_could(
    config: Path, environment: dict[str, str], sandbox: Any, airflow_api: RunningApi
) -> None:
    def check(**more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, "watchdog", "--config", str(config), "--check"],
            env=environment | more, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    done = check()
    assert done.returncode == 0, done.stderr
    assert "scheduler: not healthy" in done.stdout
    assert f"watchdog can watch {airflow_api.url} and tell people in 1 ways." in done.stdout
    done = check(WATCHDOG_PASSWORD="planted", AIRFLOW_CONN_SMSPARTNER_DEFAULT='{"conn_type": "http"}')
    assert done.returncode == 1
    assert "tell: conn_id: connection 'smspartner_default' has the type 'http'" in done.stderr
    assert "check user and password" in done.stderr
    assert dict(sandbox.world.tallies["smspartner"].numbers) == {}


def test_a_watchdog_that_can_tell_nobody_does_not_start(
    config: Path, environment: dict[str, str], sandbox: Any
) -> None:
    done = subprocess.run(
        [*COMMAND, "watchdog", "--config", str(config)],
        env=environment | {"AIRFLOW_CONN_SMSPARTNER_DEFAULT": '{"conn_type": "http"}'},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: tell: conn_id: connection 'smspartner_default'")
