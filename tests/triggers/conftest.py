"""A store, gateways that write into it, and triggerers one after the other, for the tests of event triggers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.transactions import Store
from tests.support.triggerer import Gateways, Stage


@pytest.fixture
def store() -> Iterator[Store]:
    """Return a store in memory."""
    opened = open_store("sqlite://")
    yield opened
    opened.close()


@pytest.fixture
def gateways(store: Store) -> Gateways:
    """Return what writes events into it."""
    return Gateways(store)


@pytest.fixture
def stage(store: Store, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Return what starts triggerers that watch it."""
    return Stage(store, monkeypatch)
