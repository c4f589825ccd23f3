"""Whatever is wrong with the store, a page goes out, and within the time that a callback has."""

from __future__ import annotations

import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.notifications.page import PageNotifier
from tests.notifications import test_page
from tests.notifications.test_page import ANNE, failed
from tests.support.gateways import sent
from tests.support.postgres import PostgresServer
from tests.support.tasks import Logs

contacts = test_page.contacts

STORE_URL = "AIRFLOW__VOICEPARTNER__STORE_URL"


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Set the store's URL."""
    return lambda url: monkeypatch.setenv(STORE_URL, url)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold SQLite's write lock, as a writer does that hangs."""
    open_store(f"sqlite:///{path}").close()
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def silent_server() -> Iterator[int]:
    """Accept connections and never answer, as a firewall or a frozen database does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture(params=["locked", "silent", "no rights", "no table", "no file", "no url"])
def broken_store(
    request: pytest.FixtureRequest, use: Callable[[str], None], tmp_path: Path, postgres: PostgresServer
) -> Iterator[str]:
    """Break the store in one way."""
    kind = request.param
    if kind == "locked":
        use(f"sqlite:///{tmp_path / 'held.db'}")
        with locked(tmp_path / "held.db"):
            yield kind
        return
    if kind == "silent":
        with silent_server() as port:
            use(f"postgresql://somebody:planted-pw@127.0.0.1:{port}/store")
            yield kind
        return
    if kind in ("no rights", "no table"):
        url = postgres.new_database()
        with closing(open_store(url)) as store, store.write() as connection:
            table = "voicepartner_incident_route"
            if kind == "no table":
                connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO other")
            else:
                connection.exec_driver_sql(
                    "DO $$ BEGIN CREATE ROLE guest LOGIN; EXCEPTION WHEN duplicate_object THEN END $$"
                )
                connection.exec_driver_sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO guest")
        use(url.replace("postgres@", "guest@") if kind == "no rights" else url)
    elif kind == "no file":
        (tmp_path / "held.db").write_text("this is no database" * 100)
        use(f"sqlite:///{tmp_path / 'held.db'}")
    else:
        use("mysql://somebody:planted-pw@127.0.0.1/store")
    yield kind


def test_a_page_goes_out_in_time(
    broken_store: str, sandbox: Any, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_voicepartner.hooks.incidents.BUSY_STORE_TIMEOUT", 1.5)
    monkeypatch.setattr("airflow_provider_voicepartner.notifications.page.PAGE_STORE_TIMEOUT", 1.0)
    begun = time.monotonic()
    PageNotifier(policy="night")(failed())
    assert time.monotonic() - begun < 10
    assert sent(sandbox, "smspartner") == {ANNE: 1}
    assert "no answer is heard" in logs.text
    assert "planted-pw" not in logs.text
