"""A running receiver and its store, on SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.transactions import Store
from tests.support.receiver import RunningReceiver, running_receiver


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[RunningReceiver]:
    """Return a receiver that listens on loopback, with an empty store."""
    with running_receiver(f"sqlite:///{tmp_path / 'received.db'}") as running:
        yield running


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Return an empty store on each database."""
    url = (
        request.getfixturevalue("postgres_url")
        if request.param == "postgres"
        else f"sqlite:///{tmp_path}/store.db"
    )
    opened = open_store(url)
    yield opened
    opened.close()
