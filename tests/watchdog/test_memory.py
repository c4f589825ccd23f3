"""The watchdog's rows, on each database: one process of a name writes, and heartbeats are seen by all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.incidents.model import Outcome
from airflow_provider_voicepartner.incidents.store import IncidentStore
from airflow_provider_voicepartner.watchdog.airflow_api import FailedRun, ImportProblem
from airflow_provider_voicepartner.watchdog.findings import (
    Links,
    broken_file,
    failed_dag,
    silent_peer,
    store_down,
)
from airflow_provider_voicepartner.watchdog.memory import WatchMemory
from tests.support.watched import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path}/watch.db"
    if request.param == "postgres":
        url = str(request.getfixturevalue("postgres_url"))
    opened = open_store(url, clock=clock)
    yield opened
    opened.close()


def test_what_is_saved_is_loaded_and_who_read_an_older_version_writes_nothing(store: Store) -> None:
    one, two = WatchMemory(store), WatchMemory(store)
    assert one.load("paris") == ("", 0)
    assert one.save("paris", "first", 0)
    assert not two.save("paris", "other", 0)
    assert one.load("paris") == ("first", 1)
    assert one.save("paris", "second", 1)
    assert not two.save("paris", "other", 1)
    assert two.load("paris") == ("second", 2)
    assert two.load("lyon") == ("", 0)


def test_a_heartbeat_changes_its_mark_each_time_and_has_an_age(store: Store, clock: Clock) -> None:
    memory = WatchMemory(store)
    memory.beat("paris", {"interval": 10})
    first = memory.beats()["paris"]
    memory.beat("paris", {"interval": 20})
    clock.advance(30)
    second = memory.beats(["paris", "lyon"])
    assert set(second) == {"paris"}
    assert second["paris"].mark != first.mark
    assert (second["paris"].age, second["paris"].told) == (30, {"interval": 20})
    assert memory.beats(["lyon"]) == {}
    memory.save("paris", "x", 0)
    assert set(memory.beats()) == {"paris"}


def test_every_finding_fits_into_the_store_whatever_its_names_hold(store: Store) -> None:
    incidents, links = IncidentStore(store), Links("https://airflow.example.org", "v2")
    for odd in ("x" * 3_000, "é\x00\ud800'\"%; --", "🐘" * 200):
        findings = [
            failed_dag(FailedRun(dag_id=odd, run_id=odd, began_at=odd), [odd], links),
            broken_file(ImportProblem(file=odd, since=odd, error=odd), [odd], odd, links),
            silent_peer(odd, odd),
            store_down(odd),
        ]
        for alert in (alert for finding in findings for alert in finding.alerts):
            assert incidents.report(alert).outcome in (Outcome.CLAIMED, Outcome.COUNTED)
            assert incidents.known([alert.occurrence]) == {alert.occurrence}
