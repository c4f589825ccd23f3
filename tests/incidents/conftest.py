"""An empty store on each database, with a clock that stands still until a test advances it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.incidents.store import IncidentStore
from tests.support.escalations import Clock


@pytest.fixture
def clock() -> Clock:
    """Return the store's clock."""
    return Clock()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty store."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path}/incidents.db"


@pytest.fixture
def store(url: str, clock: Clock) -> Iterator[Store]:
    """Return an empty store."""
    opened = open_store(url, clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def incidents(store: Store) -> IncidentStore:
    """Return its incidents."""
    return IncidentStore(store)
