"""The command line of whatever Airflow is installed, in a home of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parent.parent / "example_dags"
Airflow = Callable[..., str]


@pytest.fixture(scope="session")
def _airflow(airflow_home: Path) -> Airflow:
    """Return ``airflow`` of this environment, with its database made and DAGs in its folder."""
    shutil.copytree(HERE / "dags", airflow_home / "dags" / "versions", dirs_exist_ok=True)
    shutil.copytree(EXAMPLES, airflow_home / "dags" / "examples", dirs_exist_ok=True)

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            capture_output=True, text=True, timeout=240, check=False,
            env={"AIRFLOW__VOICEPARTNER__CONTACTS": str(EXAMPLES / "data" / "contacts.toml"), **os.environ},
        )  # fmt: skip
        return f"{done.stdout}\n{done.stderr}\nexit {done.returncode}"

    migrated = run("db", "migrate")
    assert migrated.endswith("exit 0"), migrated
    return run


@pytest.fixture
def airflow(_airflow: Airflow) -> Airflow:
    """``airflow("dags", "test", "smoke")`` runs the command and returns what it said, its exit code at the end."""
    return _airflow
