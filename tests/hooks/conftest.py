"""Fixtures that several tests of hooks need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.completions import Completions
from tests.support.rate_limiters import Shop


@pytest.fixture
def completions(sandbox: Any) -> Iterator[Completions]:
    """Return what makes completions, with connections to the sandbox."""
    made = Completions()
    yield made
    made.close()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """Return what opens rate limiters on one store, and closes them at the end."""
    made = Shop(f"sqlite:///{tmp_path / 'store.db'}")
    yield made
    for rate_limiter in made.opened:
        rate_limiter.close()
