"""A running receiver and its store, on SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.receiver import RunningReceiver, running_receiver


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[RunningReceiver]:
    """Return a receiver that listens on loopback, with an empty store."""
    with running_receiver(f"sqlite:///{tmp_path / 'received.db'}") as running:
        yield running
