"""
One alert from a failure callback in a fresh process, against a bare ``requests.post`` in another one.

Both have imported before the clock starts what the process of a task has: Airflow's SDK and its supervisor. It stops
when the gateway has read the request. ``python -m benchmarks.alert ours|bare URL NUMBER`` is one such process.
"""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from airflow_provider_voicepartner.db.engine import open_store
from benchmarks.environment import STORE, Child
from benchmarks.gateway import Gateway

GOAL_MS = 400.0
STORM_GOAL_MS = 1000.0
PROCESSES = 8
NUMBER = "+33612345678"


def measure(child: Child, gateway: Gateway, rounds: int) -> dict[str, float]:
    """Return the 95th percentile of each way in milliseconds; the two take turns."""
    url = f"sqlite:///{child.home / 'alert.db'}"
    open_store(url).close()  # as in any process but the very first
    took: dict[str, list[float]] = {"bare": [], "ours": []}
    for number in range(rounds):
        for way, found in took.items():
            gateway.reset()
            told = child.run("benchmarks.alert", way, gateway.url, number, env={STORE: url})
            found.append((gateway.stats()["first"] - told["started"]) * 1000)
    return {way: _p95(found) for way, found in took.items()}


def measure_storm(child: Child, gateway: Gateway, folder: Path, failures: int) -> dict[str, float]:
    """Return the 99th percentile and the median of a callback in milliseconds, and how many messages went out."""
    url = f"sqlite:///{folder / 'storm.db'}"
    open_store(url).close()  # the tables are there when a storm comes
    gateway.reset()
    took = sorted(child.run("tests.support.storm", PROCESSES, failures, env={STORE: url}))
    return {
        "p99": took[int(len(took) * 0.99)] * 1000,
        "median": took[len(took) // 2] * 1000,
        "messages": float(gateway.stats()["sends"]),
    }


def _p95(values: list[float]) -> float:
    return sorted(values)[math.ceil(len(values) * 0.95) - 1]


def ours(number: int) -> float:
    """Call a notifier as Airflow calls it, for a DAG that did not fail before; return when that began."""
    from airflow_provider_voicepartner.notifications.sms import SmsNotifier

    callback = SmsNotifier(to=NUMBER)
    ti: Any = SimpleNamespace(
        dag_id=f"sales_{number}", task_id="load", run_id="r1", try_number=1, map_index=-1, state="failed"
    )
    dag = SimpleNamespace(dag_id=ti.dag_id, get_template_env=_no_template_env)
    started = time.monotonic()
    callback({"ti": ti, "run_id": "r1", "dag": dag, "exception": ValueError("no rows")})  # type: ignore[typeddict-item]
    return started


def _no_template_env(**_: Any) -> Any:
    from jinja2 import Environment

    return Environment(autoescape=False)  # a text for a phone


def bare(url: str) -> float:
    """Post a body; return when that began."""
    started = time.monotonic()
    import requests

    body = {"apiKey": "a-key-of-a-benchmark", "phoneNumbers": NUMBER, "message": "load failed"}
    requests.post(f"{url}/v1/send", json=body, timeout=30).raise_for_status()
    return started


if __name__ == "__main__":
    import airflow.sdk
    import airflow.sdk.execution_time.supervisor  # noqa: F401  # a task's process is a fork of it

    began = ours(int(sys.argv[3])) if sys.argv[1] == "ours" else bare(sys.argv[2])
    sys.stdout.write("\n" + json.dumps({"started": began}) + "\n")
