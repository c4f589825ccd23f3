"""Connections to PostgreSQL are cut under load: what was answered with 200 is in the store, as a report."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from airflow_provider_voicepartner.db.engine import connect_store, open_store
from tests.delivery.test_receiver_kill import Load, assert_stored
from tests.support.receiver import ReceiverProcess, rows

SHORTEST, LONGEST = 0.005, 0.12
CUT = text(
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


class Cutter:
    """Cuts all connections to a database but its own, every 5 to 120 ms."""

    def __init__(self, url: str) -> None:
        self.cuts = 0
        self._store = connect_store(url)
        self._stopping = threading.Event()
        self._pauses = random.Random(11)
        self._thread = threading.Thread(target=self._work, daemon=True)

    @contextmanager
    def cutting(self) -> Iterator[None]:
        """Cut while a block lasts."""
        self._thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            self._thread.join(30)
            self._store.close()

    def _work(self) -> None:
        while not self._stopping.wait(self._pauses.uniform(SHORTEST, LONGEST)):
            with self._store.read() as connection:  # anew: within one transaction the server shows one moment
                self.cuts += connection.execute(CUT).scalar_one()


def cut_under_load(url: str, *, seconds: float) -> None:
    """Cut connections under load for a time, then compare the store with every answer."""
    open_store(url).close()
    load, cutter = Load(), Cutter(url)
    process = ReceiverProcess(url)
    try:
        load.aim(process)
        load.wait_for(20)
        with cutter.cutting():
            time.sleep(seconds)
        load.wait_for(20)  # and it goes on when nobody cuts any more
    finally:
        load.stop()
        process.stop()
    assert cutter.cuts > 5 * seconds
    assert len(load.answered) > 20 * seconds
    assert_stored(url, load.answered)
    store = open_store(url)
    assert rows(store, "dead_letter") == []
    store.close()


def test_no_report_is_lost_when_a_connection_is_cut(postgres_url: str) -> None:
    cut_under_load(postgres_url, seconds=3)


@pytest.mark.slow
def test_no_report_is_lost_in_20_seconds_of_cuts(postgres_url: str) -> None:
    cut_under_load(postgres_url, seconds=20)
