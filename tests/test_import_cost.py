"""What a DAG file costs when it is parsed: our classes bring along none of the libraries that their work needs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent

PARSED = (
    "airflow_provider_voicepartner.exceptions",
    "airflow_provider_voicepartner.operators.sms",
    "airflow_provider_voicepartner.operators.voice",
    "airflow_provider_voicepartner.operators.campaign",
    "airflow_provider_voicepartner.sensors.campaign",
    "airflow_provider_voicepartner.notifications.sms",
    "airflow_provider_voicepartner.notifications.voice",
    "airflow_provider_voicepartner.notifications.all_dags",
    "airflow_provider_voicepartner.notifications.email",
    "airflow_provider_voicepartner.triggers.events",
    "airflow_provider_voicepartner.hooks.delivery",
)
"""What DAG files import, or Airflow in every process."""

A_HOOK = "airflow_provider_voicepartner.hooks.smspartner"

HEAVY = frozenset(
    {
        "fastapi", "holidays", "numpy", "pandas", "phonenumbers", "psycopg", "pyarrow", "requests", "sqlalchemy",
        "starlette", "urllib3", "uvicorn",
    }
)  # fmt: skip

# Airflow has imported some of them itself; they are forgotten first, else ours could import them unseen.
BRING_ALONG = """
import importlib, json, sys
import airflow.sdk
heavy, names = json.loads(sys.argv[1])
for module in list(sys.modules):
    if module.partition(".")[0] in heavy:
        del sys.modules[module]
found = {}
for name in names:
    before = set(sys.modules)
    importlib.import_module(name)
    found[name] = sorted({module.partition(".")[0] for module in set(sys.modules) - before})
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def brought_along() -> dict[str, set[str]]:
    """Import each module behind ``airflow.sdk`` in a fresh process; return the top-level names that came with it."""
    done = subprocess.run(
        [sys.executable, "-c", BRING_ALONG, json.dumps([sorted(HEAVY), [*PARSED, A_HOOK]])],
        capture_output=True, text=True, cwd=PROJECT, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {name: set(new) for name, new in json.loads(done.stdout.splitlines()[-1]).items()}


@pytest.mark.airflow3
@pytest.mark.parametrize("name", PARSED)
def test_parsing_a_dag_imports_nothing_heavy(name: str, brought_along: dict[str, set[str]]) -> None:
    assert brought_along[name] & HEAVY == set()


@pytest.mark.airflow3
def test_a_hook_is_seen_to_import_what_it_needs(brought_along: dict[str, set[str]]) -> None:
    # Else the test above would pass whatever is imported.
    assert "requests" in brought_along[A_HOOK]
