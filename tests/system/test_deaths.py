"""Six deaths in a whole Airflow, five times each: of each one a watchdog tells within a minute, once."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.watchdog.memory import WatchMemory
from tests.conftest import KEYS, LOGIN
from tests.support.standalone import (
    LIMIT,
    PARTS,
    Airflow,
    Parts,
    environment,
    free_port,
    running_parts,
    until,
)

pytestmark = [pytest.mark.airflow3, pytest.mark.slow]

ROUNDS = 5
WITHIN = 60.0
ANNE = "+33612345678"
CONFIG = """
[airflow]
url = "{url}"
[tell]
conn_id = "smspartner_default"
to = "+33612345678"
[times]
interval = 2
grace = 5
silent_after = 20
"""


@dataclass
class Place:
    """An Airflow with its watchdog and its gateway."""

    parts: Parts
    airflow: Airflow
    sandbox: Any
    out: Path

    def texts(self) -> list[str]:
        """Return what was sent, the oldest first."""
        return [campaign.text for campaign in self.sandbox.world.campaigns["smspartner"].values()]

    def told(self, what: str) -> Callable[[], bool]:
        """Say whether a text with these words was sent."""
        return lambda: any(what in text for text in self.texts())

    def pids(self, dag_id: str) -> list[int]:
        """Start a run, and return the process of its task, and that of the worker."""
        self.airflow.run(dag_id)
        path = self.out / dag_id
        text = until(
            lambda: path.exists() and path.read_text(encoding="utf-8"), LIMIT, "the task did not start"
        )
        return [int(pid) for pid in text.split()]


def has_looked(env: Mapping[str, str]) -> bool:
    """Say whether the watchdog's first look is over."""
    with contextlib.closing(open_store(env["AIRFLOW__VOICEPARTNER__STORE_URL"])) as store:
        remembered, _ = WatchMemory(store).load("watchdog")
    return bool(remembered) and bool(json.loads(remembered).get("looked_at"))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    from airflow_provider_voicepartner.sandbox import running_sandbox

    home, out = tmp_path / "home", tmp_path / "out"
    (home / "dags").mkdir(parents=True)
    out.mkdir()
    shutil.copy(Path(__file__).parent / "standalone" / "deaths.py", home / "dags")
    port = free_port()
    keys = {name: {"api_key": key} for name, key in KEYS.items()}
    keys["octopush"]["api_login"] = LOGIN
    with running_sandbox(port=0, seed=1, settings=keys) as sandbox:
        url = f"http://127.0.0.1:{port}"
        refusing = {"conn_type": "smspartner", "password": "k", "host": f"http://127.0.0.1:{free_port()}"}
        env = environment(home, port, sandbox) | {
            "DEATHS_OUT": str(out),
            "AIRFLOW_CONN_REFUSING": json.dumps(refusing),
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "20",
        }
        (home / "watchdog.toml").write_text(CONFIG.format(url=url), encoding="utf-8")
        with running_parts(home, port, env) as (parts, airflow):
            command = [sys.executable, "-m", "airflow_provider_voicepartner", "watchdog", "--config"]
            parts.start("watchdog", *command, str(home / "watchdog.toml"))
            log = home / "watchdog.log"
            until(lambda: b"Watching" in log.read_bytes(), LIMIT, "the watchdog did not start")
            # What fails before its first look is no news.
            until(lambda: has_looked(env), LIMIT, "the watchdog does not look")
            yield Place(parts, airflow, sandbox, out)


def kill_task(place: Place, number: int) -> str:
    os.kill(place.pids(f"killed_{number}")[0], signal.SIGKILL)
    return f"killed_{number}"


def lose_worker(place: Place, number: int) -> str:
    for pid in reversed(place.pids(f"lost_{number}")):
        os.kill(pid, signal.SIGKILL)
    return f"lost_{number}"


def lose_gateway(place: Place, number: int) -> str:
    place.airflow.run(f"unheard_{number}")
    return f"unheard_{number}"


def kill_part(name: str) -> Callable[[Place, int], str]:
    def kill(place: Place, number: int) -> str:
        place.parts.kill(name)
        return f"silent: {name.replace('-', ' ').replace('dag', 'DAG')}"

    return kill


DEATHS: dict[str, Callable[[Place, int], str]] = {
    "task": kill_task,
    "worker": lose_worker,
    "gateway": lose_gateway,
    "triggerer": kill_part("triggerer"),
    "dag-processor": kill_part("dag-processor"),
    "scheduler": kill_part("scheduler"),
}


@pytest.mark.timeout(3_600)
def test_six_deaths_five_times(place: Place) -> None:
    took: dict[str, list[float]] = {name: [] for name in DEATHS}
    for number in range(ROUNDS):
        for name, die in DEATHS.items():
            before = len(place.texts())
            said = die(place, number)
            begun = time.monotonic()

            def is_told(before: int = before, said: str = said) -> bool:
                return any(said in text for text in place.texts()[before:])

            until(is_told, LIMIT, f"nobody was told of {name}: {place.texts()[before:]}")
            took[name].append(round(time.monotonic() - begun, 1))
            if name in PARTS:
                place.parts.start(name)
                until(
                    lambda before=before: any("alive again" in text for text in place.texts()[before:]),
                    LIMIT,
                    f"nobody was told that {name} is back",
                )
            assert len(place.texts()) == before + (2 if name in PARTS else 1), place.texts()[before:]
    print(took)
    assert max(seconds for each in took.values() for seconds in each) <= WITHIN, took
