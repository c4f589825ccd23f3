"""The receiver is killed under load, started again, and killed again: what it answered with 200 is in the store."""

from __future__ import annotations

import http.client
import json
import threading
import time
from pathlib import Path

import pytest

from airflow_provider_voicepartner.db.engine import open_store
from tests.support.postgres import PostgresServer
from tests.support.receiver import Calls, ReceiverProcess, rows

CLIENTS = 8


class Load:
    """Clients that report one number after the other, each once, and note what was answered with 200."""

    def __init__(self) -> None:
        self.answered: set[str] = set()
        self.failed = 0
        self._next = 0
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._target: Calls | None = None
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def aim(self, target: Calls) -> None:
        """Report to a receiver from now on."""
        self._target = target

    def wait_for(self, count: int) -> None:
        """Wait until so many more are answered."""
        wanted, deadline = len(self.answered) + count, time.monotonic() + 60
        while len(self.answered) < wanted:
            assert time.monotonic() < deadline, "the receiver does not answer"
            time.sleep(0.005)

    def stop(self) -> None:
        """End the clients."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(60)

    def _work(self) -> None:
        while not self._stopping.is_set():
            target = self._target
            if target is None:
                time.sleep(0.01)
                continue
            connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=10)
            try:
                while not self._stopping.is_set() and target is self._target:
                    self._report(connection, target)
            except (OSError, http.client.HTTPException):
                self.failed += 1
                time.sleep(0.02)
            finally:
                connection.close()

    def _report(self, connection: http.client.HTTPConnection, target: Calls) -> None:
        with self._lock:
            self._next += 1
            number = f"+336{self._next:08d}"
        report = {"campaignId": "1", "status": "delivered", "phoneNumber": number}
        connection.request("POST", target.batch_path("voicepartner"), json.dumps(report))
        response = connection.getresponse()
        response.read()
        if response.status == 200:
            with self._lock:
                self.answered.add(number)


def kill_and_restart(url: str, *, kills: int) -> None:
    """Kill a receiver several times under load, and compare the store with the answers each time."""
    load, processes = Load(), []
    try:
        for turn in range(kills + 1):
            processes.append(ReceiverProcess(url))
            load.aim(processes[-1])
            load.wait_for(150)
            if turn < kills:
                processes[-1].kill()
                assert_stored(url, set(load.answered))
    finally:
        load.stop()
        for process in processes:
            process.stop()
    assert load.failed > 0  # the kills were under load
    assert_stored(url, load.answered)


def assert_stored(url: str, numbers: set[str]) -> None:
    """Look for the numbers in the store, as another process would find them."""
    store = open_store(url)
    try:
        found = {row["phone_number"] for row in rows(store, "delivery_report")}
    finally:
        store.close()
    assert numbers - found == set()


@pytest.mark.slow
def test_nothing_that_was_answered_is_lost_on_sqlite(tmp_path: Path) -> None:
    kill_and_restart(f"sqlite:///{tmp_path / 'store.db'}", kills=5)


@pytest.mark.slow
def test_nothing_that_was_answered_is_lost_on_postgresql(postgres: PostgresServer) -> None:
    kill_and_restart(postgres.new_database(), kills=5)


def test_one_kill_loses_nothing(tmp_path: Path) -> None:
    kill_and_restart(f"sqlite:///{tmp_path / 'store.db'}", kills=1)


def test_a_receiver_that_is_told_to_end_finishes_what_it_began(tmp_path: Path) -> None:
    url, load = f"sqlite:///{tmp_path / 'store.db'}", Load()
    process = ReceiverProcess(url)
    load.aim(process)
    load.wait_for(50)
    process.stop()
    load.stop()
    assert_stored(url, load.answered)
