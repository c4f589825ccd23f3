"""What a process that only receives does with the interpreter."""

from __future__ import annotations

import json
import subprocess
import sys

_PROGRAM = """
import gc, json, sys
from airflow_provider_voicepartner.delivery.receiver_server import dedicate_process
gc.disable()
loaded = {str(place): [] for place in range(1_000)}
cycle = []
cycle.append(cycle)
del cycle
before = gc.get_count()[0]
dedicate_process()
print(json.dumps([gc.get_freeze_count(), before - gc.get_count()[0], gc.get_threshold(), sys.getswitchinterval()]))
"""


def test_what_is_loaded_is_not_looked_at_again() -> None:
    """In a process of its own: what is frozen here would stay so for all tests."""
    told = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=120, check=True
    )
    frozen, no_longer_watched, threshold, switch = json.loads(told.stdout.splitlines()[-1])
    assert frozen > 10_000
    assert no_longer_watched >= 1_000
    assert threshold[0] > 700
    assert switch < 0.005
