"""The URL of an empty store, on each database."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty store."""
    if request.param == "postgres":
        return str(request.getfixturevalue("empty_postgres_url"))
    (tmp_path / "store.db").unlink()  # which has its tables already
    return f"sqlite:///{tmp_path}/store.db"
