"""What importing an operator adds to ``airflow.sdk``: milliseconds, and modules that a DAG's parsing must not need."""

from __future__ import annotations

import statistics
from importlib.util import find_spec
from typing import Any

from benchmarks.environment import Child

OURS = "airflow_provider_voicepartner.operators.sms"
OTHERS = (
    "airflow.providers.smtp.operators.smtp",
    "airflow.providers.standard.operators.bash",
    "airflow.providers.standard.operators.python",
    "airflow.providers.http.operators.http",
    "airflow.providers.slack.operators.slack",
    "airflow.providers.amazon.aws.operators.sns",
)
HEAVY = ("requests", "phonenumbers", "holidays", "sqlalchemy", "fastapi")


def measure(child: Child, rounds: int) -> dict[str, Any]:
    """Return the median milliseconds of each module, and the heavy modules that ours brings along."""
    names = [OURS, *(name for name in OTHERS if rounds > 1 and _is_installed(name))]
    took: dict[str, list[float]] = {name: [] for name in names}
    heavy: set[str] = set()
    for _ in range(rounds):
        for name in names:
            told = child.run("benchmarks.imports", name)
            took[name].append(told["milliseconds"])
            if name == OURS:
                heavy |= set(told["new"]).intersection(HEAVY)
    return {"medians": {name: statistics.median(all_) for name, all_ in took.items()}, "heavy": sorted(heavy)}


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ImportError:
        return False


def _one(name: str) -> dict[str, Any]:
    import sys
    import time
    from importlib import import_module

    import airflow.sdk  # noqa: F401

    before = set(sys.modules)
    started = time.perf_counter()
    import_module(name)
    took = time.perf_counter() - started
    new = {module.partition(".")[0] for module in set(sys.modules) - before}
    return {"milliseconds": took * 1000, "new": sorted(new)}


if __name__ == "__main__":
    import json
    import sys

    sys.stdout.write("\n" + json.dumps(_one(sys.argv[1])) + "\n")
