"""A whole Airflow, once: a task sends, its wait is deferred, gateways call the API server, and the end starts a DAG."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import KEYS
from tests.support.standalone import LIMIT, Airflow, Running, held, until, written_by
from tests.system.conftest import NUMBERS, SECRET, TEXT

pytestmark = [pytest.mark.airflow3, pytest.mark.slow]

TASKS = ("call", "wait", "call_and_wait", "send_and_wait")


def noted(home: Path) -> list[dict[str, Any]]:
    """Return what the DAG noted that events start."""
    files = sorted((home / "out").glob("*.json"))
    return [json.loads(line) for path in files for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("whole_airflow", ["dogstatsd"], indirect=True)
def test_send_defer_call_back_resume_and_start_a_dag(whole_airflow: Running) -> None:
    airflow, home = whole_airflow.airflow, whole_airflow.home
    _register_octopush(whole_airflow.env)
    states: dict[str, str] = {}

    def have(state: str, *others: str) -> bool:
        states.update(airflow.states("send_and_wait", run))
        return len(states) == len(TASKS) and set(states.values()) <= {state, *others}

    # However long Airflow takes to bring them there: no message arrives before all are waited for.
    with held(whole_airflow.sandbox):
        run = _trigger(airflow)
        until(lambda: have("deferred", "success"), LIMIT, f"the campaigns are not waited for: {states}")
        assert states == {task: "deferred" if "wait" in task else "success" for task in TASKS}
    until(lambda: have("success", "failed"), LIMIT, f"the campaigns did not end: {states}")
    assert states == dict.fromkeys(TASKS, "success")
    _assert_delivered(airflow, run)
    until(lambda: len(noted(home)) >= 3, LIMIT, "the end of the campaigns started no DAG")
    time.sleep(5)  # a third one would come soon
    for gateway in KEYS:
        numbers = whole_airflow.sandbox.world.tallies[gateway].numbers
        assert [numbers[number] for number in NUMBERS] == [1, 1]
    assert sorted(event["gateway"] for event in noted(home)) == sorted(KEYS)
    assert all(event["counts"]["delivered"] == 2 for event in noted(home))
    _assert_nothing_planted(home)
    logs = list((home / "logs" / "dag_id=send_and_wait").rglob("*.trigger.*.log"))
    assert len(logs) == 3
    lines = [json.loads(line) for path in logs for line in path.read_text(encoding="utf-8").splitlines()]
    assert not [line["event"] for line in lines if line["level"] in ("warning", "error", "critical")]


def _register_octopush(env: Mapping[str, str]) -> None:
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
    for name, text in written_by(home, but_for=["voicepartner.db"]):
        for secret in planted:
            assert secret.encode() not in text, f"{name} holds {secret!r}"
