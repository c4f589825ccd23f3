"""Escalations beside the watchdog: they go on by themselves, and trouble is logged once."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.watchdog.escalating import EscalationRunner
from tests.support.escalations import POLICY, open_incident, page_rows, page_store
from tests.support.gateways import sent

CONTACTS = '[people.anne]\nphone = "0612345601"\n'


@pytest.fixture
def url(sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "contacts.toml").write_text(CONTACTS)
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CONTACTS", str(tmp_path / "contacts.toml"))
    return f"sqlite:///{tmp_path / 'store.db'}"


def test_it_pages_until_it_is_stopped(url: str, sandbox: Any) -> None:
    store = open_store(url)
    page_store(store).start(open_incident(store), POLICY)
    stop = threading.Event()
    thread = threading.Thread(
        target=EscalationRunner(lambda: open_store(url), interval=0.05).run, args=(stop,)
    )
    thread.start()
    while not page_rows(store) or page_rows(store)[0].phase == "claimed":
        assert thread.is_alive()
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
    store.close()
    assert sent(sandbox, "smspartner") == {"+33612345601": 1}


def test_a_store_that_is_away_is_logged_once_and_waited_for(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    problems = [StoreUnavailableError("the store is away")] * 3

    def open_or_fail() -> Store:
        if problems:
            raise problems.pop()
        return open_store(url)

    runner = EscalationRunner(open_or_fail)
    for _ in range(5):
        runner.look()
    said = [record.getMessage() for record in caplog.records if "scalations" in record.getMessage()]
    assert said == ["Escalations cannot be run now: the store is away", "Escalations are run again"]
