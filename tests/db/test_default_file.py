"""What a sender finds after an upgrade: its own file is brought up to date, a shared database is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_voicepartner import settings
from airflow_provider_voicepartner.db.engine import connect_store
from airflow_provider_voicepartner.db.schema import metadata, rate_limit, rate_slot
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.sending.rate_limit import SlidingWindowLog


@pytest.fixture
def old_url(tmp_path: Path) -> str:
    """Return a file with the tables of the version before revisions."""
    (tmp_path / "store.db").unlink()  # which has its tables already
    url = f"sqlite:///{tmp_path / 'store.db'}"
    store = connect_store(url)
    with store.write() as connection:
        metadata.create_all(connection, tables=[rate_limit, rate_slot])
    store.close()
    return url


def test_the_default_file_is_upgraded_by_itself(old_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_URL", "")
    monkeypatch.setattr(settings, "default_store_url", lambda: old_url)
    store = settings.open_sending_store()
    assert store.name == old_url, "limits are kept within this process only"
    assert SlidingWindowLog(store).reserve("limit", ()).wait == 0


def test_a_configured_database_is_left_to_its_owner(old_url: str) -> None:
    with pytest.raises(ConfigurationError, match="airflow voicepartner db upgrade"):
        settings.open_sending_store()
