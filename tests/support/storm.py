"""
A storm of failures: some processes, each of which calls a notifier many times, as Airflow calls callbacks.

``python -m tests.support.storm PROCESSES FAILURES`` imports Airflow once and forks, as Airflow's supervisors do; it
prints how long each callback took, in seconds, as one JSON list.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from types import SimpleNamespace
from typing import Any

NUMBER = "+33612345678"


def context(index: int) -> dict[str, Any]:
    """Return the context of a mapped instance that failed."""
    ti = SimpleNamespace(
        dag_id="etl", task_id="load", run_id="r1", try_number=1, map_index=index, state="failed"
    )
    return {"ti": ti, "run_id": "r1", "exception": ValueError("no rows")}


def fail(indexes: range) -> list[float]:
    """Call the callback of each instance; return how long each took."""
    from airflow_provider_voicepartner.notifications.sms import SmsNotifier

    took = []
    for index in indexes:
        begun = time.monotonic()
        SmsNotifier(to=NUMBER)(context(index))  # type: ignore[arg-type]
        took.append(time.monotonic() - begun)
    return took


def main(processes: int, failures: int) -> list[float]:
    """Fork, wait for all, and return what they say."""
    import airflow_provider_voicepartner.hooks.incidents
    import airflow_provider_voicepartner.hooks.smspartner
    import airflow_provider_voicepartner.notifications.sms  # noqa: F401

    pipes, children = [], []
    for number in range(processes):
        ours, theirs = os.pipe()
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                os.write(theirs, json.dumps(fail(range(number, failures, processes))).encode())
            os._exit(0)
        os.close(theirs)
        pipes.append(ours)
        children.append(child)
    took: list[float] = []
    for pipe, child in zip(pipes, children, strict=True):
        with os.fdopen(pipe) as said:
            took += json.loads(said.read() or "[]")
        os.waitpid(child, 0)
    return took


if __name__ == "__main__":
    found = main(int(sys.argv[1]), int(sys.argv[2]))
    sys.stdout.write(f"\n{json.dumps(found)}\n")
