"""Airflow's real REST API, once for all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.airflow_api import RunningApi, running_api
from tests.watchdog.places import Place


@pytest.fixture(scope="session")
def airflow_api() -> Iterator[RunningApi]:
    """Return a server with one failed run."""
    with running_api() as running:
        yield running


@pytest.fixture
def place(sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    for gateway in ("smspartner", "octopush"):
        # as the sandbox fixture defines them, by the names of the file
        monkeypatch.setenv(
            f"AIRFLOW_CONN_{gateway.upper()}", os.environ[f"AIRFLOW_CONN_{gateway.upper()}_DEFAULT"]
        )
    return Place(sandbox, f"sqlite:///{tmp_path / 'incidents.db'}")
