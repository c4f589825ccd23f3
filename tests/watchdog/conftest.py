"""Airflow's real REST API, once for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.airflow_api import RunningApi, running_api


@pytest.fixture(scope="session")
def airflow_api() -> Iterator[RunningApi]:
    """Return a server with one failed run."""
    with running_api() as running:
        yield running
