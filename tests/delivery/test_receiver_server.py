"""The process of a receiver of its own."""

from __future__ import annotations

import json
import subprocess
import sys

_PROGRAM = """
import gc, json
from airflow_provider_voicepartner.delivery.receiver_server import freeze_loaded_objects
gc.disable()
loaded = {str(place): [] for place in range(1_000)}
cycle = []
cycle.append(cycle)
del cycle
before = gc.get_count()[0]
freeze_loaded_objects()
print(json.dumps([gc.get_freeze_count(), before - gc.get_count()[0]]))
"""


def test_loaded_objects_are_excluded_from_garbage_collection() -> None:
    """In a process of its own: what is frozen here would stay so for all tests."""
    printed = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=120, check=True
    )
    frozen, no_longer_watched = json.loads(printed.stdout.splitlines()[-1])
    assert frozen > 10_000
    assert no_longer_watched >= 1_000
