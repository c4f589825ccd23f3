"""Opening the store: the file, its owner and its tables; several processes at once; and what a failure says."""

from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.errors import StoreDataError, StoreUnavailableError, StoreUrlError
from airflow_provider_voicepartner.db.transactions import Store
from tests.support.postgres import PostgresServer

PROJECT = Path(__file__).resolve().parents[2]
TABLES = {"voicepartner_rate_limit", "voicepartner_rate_slot"}
SECRET = "p4ss:w/rd"
QUOTED = "p4ss%3Aw%2Frd"


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        return str(request.getfixturevalue("empty_postgres_url"))
    return "sqlite://" if request.param == "memory" else f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = open_store(store_url)
    yield opened
    opened.close()


def insert(store: Store, name: str) -> None:
    with store.write() as connection:
        connection.execute(text("INSERT INTO voicepartner_rate_limit VALUES (:name, 0)"), {"name": name})


def run(script: str) -> subprocess.CompletedProcess[str]:
    """Run a program of its own."""
    return subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, timeout=120, capture_output=True, text=True, check=False
    )


def names(store: Store) -> list[str]:
    with store.read() as connection:
        return sorted(connection.execute(text("SELECT name FROM voicepartner_rate_limit")).scalars())


def test_what_one_store_writes_the_next_one_reads_and_tables_come_once(store: Store, store_url: str) -> None:
    insert(store, "a")
    with store.read() as connection:
        assert set(inspect(connection).get_table_names()) >= TABLES
    again = open_store(store_url)
    assert names(again) == ([] if store_url == "sqlite://" else ["a"])
    again.close()


def test_a_block_that_fails_leaves_nothing_behind(store: Store) -> None:
    def fail() -> None:
        with store.write() as connection:
            connection.execute(text("INSERT INTO voicepartner_rate_limit VALUES ('a', 0)"))
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert names(store) == []
    insert(store, "b")
    assert names(store) == ["b"]


def test_writers_take_turns_and_lose_no_update(store: Store) -> None:
    insert(store, "sum")

    def add() -> None:
        for _ in range(10):
            with store.write() as connection:
                old = connection.execute(
                    text("SELECT blocked_until FROM voicepartner_rate_limit WHERE name = 'sum'"
                         + (" FOR UPDATE" if store.is_postgres else ""))
                ).scalar_one()  # fmt: skip
                connection.execute(
                    text("UPDATE voicepartner_rate_limit SET blocked_until = :new"), {"new": old + 1}
                )

    threads = [threading.Thread(target=add) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as connection:
        assert (
            connection.execute(text("SELECT blocked_until FROM voicepartner_rate_limit")).scalar_one() == 60
        )


def test_the_stores_time_is_unix_time_unless_a_clock_is_given(store: Store, store_url: str) -> None:
    with store.read() as connection:
        assert store.now(connection) == pytest.approx(time.time(), abs=5)
    fixed = open_store(store_url, clock=lambda: 12.5)
    with fixed.read() as connection:
        assert fixed.now(connection) == 12.5
    fixed.close()


def test_a_database_has_an_identity_for_good_and_no_other_has_it(store: Store, store_url: str) -> None:
    identity = store.identity
    assert re.fullmatch(r"[0-9a-f]{16}", identity)
    assert store.identity == identity
    again = open_store(store_url)
    assert (again.identity == identity) is (store_url != "sqlite://")
    again.close()
    assert open_store("sqlite://").identity != identity


def test_simultaneous_readers_get_the_same_identity(store_url: str, tmp_path: Path) -> None:
    if store_url == "sqlite://":
        pytest.skip("memory belongs to one store")
    stores = [open_store(store_url) for _ in range(6)]
    told: list[str] = []
    together = threading.Barrier(6)

    def ask(store: Store) -> None:
        together.wait(10)
        told.append(store.identity)

    threads = [threading.Thread(target=ask, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(told) == 6
    assert len(set(told)) == 1


def test_the_time_goes_on_within_a_transaction(store: Store) -> None:
    with store.write() as connection:
        first = store.now(connection)
        assert any(store.now(connection) > first for _ in range(10_000))


def test_postgres_time_does_not_depend_on_a_sessions_time_zone(empty_postgres_url: str) -> None:
    def now(zone: str) -> float:
        store = open_store(f"{empty_postgres_url}&options=-ctimezone%3D{zone}")
        with store.read() as connection:
            assert connection.execute(text("SHOW timezone")).scalar_one() == zone
            told = store.now(connection)
        store.close()
        return told

    assert now("Asia/Tokyo") == pytest.approx(now("America/New_York"), abs=5)


def test_a_new_file_and_its_companions_are_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "store.db"
    before = os.umask(0)
    try:
        store = open_store(f"sqlite:///{path}")
        insert(store, "a")
        with store.write():
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("store.db", "store.db-wal", "store.db-shm"), 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("mode", "mended"),
    [
        (0o644, 0o640),
        (0o604, 0o600),
        (0o666, 0o660),
        (0o777, 0o770),
        (0o602, 0o600),
        (0o660, None),
        (0o600, None),
    ],
)
def test_a_file_that_everybody_may_read_loses_the_access_of_others(
    mode: int, mended: int | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "store.db"
    store = open_store(f"sqlite:///{path}")
    store.keep_open()  # so that there is a log beside it
    insert(store, "a")
    files = [path, path.with_name("store.db-wal"), path.with_name("store.db-shm")]
    for file in files:
        file.chmod(mode)
    assert names(open_store(f"sqlite:///{path}")) == ["a"]
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [mended or mode] * 3
    assert caplog.text.count("holds phone numbers and was readable by other users") == (3 if mended else 0)
    store.close()


def test_a_file_of_another_user_that_everybody_may_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.db"
    open_store(f"sqlite:///{path}").close()
    path.chmod(0o644)

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)
    with pytest.raises(StoreUrlError, match=f"chmod o-rwx {path}"):
        open_store(f"sqlite:///{path}")


def test_a_value_that_the_database_does_not_take_is_told_from_a_database_that_fails(
    empty_postgres_url: str,
) -> None:
    store = open_store(empty_postgres_url)
    with pytest.raises(StoreDataError), store.write() as connection:
        connection.execute(text("INSERT INTO voicepartner_rate_limit VALUES (:name, 0)"), {"name": "x" * 500})
    with pytest.raises(StoreDataError), store.write() as connection:
        connection.execute(text("SELECT CAST(:it AS json) ->> 0"), {"it": '["\\u0000"]'})
    with pytest.raises(StoreUnavailableError) as caught, store.write() as connection:
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    assert not isinstance(caught.value, StoreDataError)
    store.close()


def test_a_file_that_was_there_keeps_its_mode_and_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    insert(open_store(f"sqlite:///{path}"), "a")
    path.chmod(0o640)
    assert names(open_store(f"sqlite:///{path}")) == ["a"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_sqlite_is_set_to_lose_nothing_and_to_wait(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    with store.read() as connection:
        told = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout")
        ]
    assert told == ["wal", 2, 30_000]


def test_a_reader_waits_for_no_writer(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    with store.write() as connection:
        connection.execute(text("INSERT INTO voicepartner_rate_limit VALUES ('a', 0)"))
        assert names(store) == []
    assert names(store) == ["a"]


def test_a_store_opened_before_a_fork_works_in_parent_and_child(store: Store, store_url: str) -> None:
    if store_url == "sqlite://":
        pytest.skip("memory is not shared with a child")
    insert(store, "parent")
    script = f"""
import os, sys
from airflow_provider_voicepartner.db.engine import open_store
from sqlalchemy import text
store = open_store({store_url!r})
def insert(name):
    with store.write() as connection:
        connection.execute(text("INSERT INTO voicepartner_rate_limit VALUES (:name, 0)"), {{"name": name}})
insert("before")
children = []
for child in range(3):
    pid = os.fork()
    if not pid:
        try:
            for n in range(5): insert(f"child {{child}} {{n}}")
        except BaseException as error:
            print(error, flush=True)
            os._exit(1)
        os._exit(0)
    children.append(pid)
for n in range(5): insert(f"after {{n}}")
sys.exit(any([os.waitpid(pid, 0)[1] for pid in children]))
"""
    done = run(script)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(names(store)) == 2 + 3 * 5 + 5


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_many_processes_may_open_a_new_store_at_the_same_time(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = (
        f"sqlite:///{tmp_path}/a/store.db"
        if kind == "sqlite"
        else request.getfixturevalue("empty_postgres_url")
    )
    script = f"""
import os, sys
import sqlalchemy
from airflow_provider_voicepartner.db.engine import open_store
wait, go = os.pipe()
children = []
for child in range(8):
    pid = os.fork()
    if not pid:
        try:
            os.close(go)
            os.read(wait, 1)
            for _ in range(3): open_store({url!r}).close()
        except BaseException as error:
            print(repr(error), flush=True)
            os._exit(1)
        os._exit(0)
    children.append(pid)
os.close(go)
sys.exit(any([os.waitpid(pid, 0)[1] for pid in children]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, timeout=60, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert names(open_store(url)) == []


def shown(url: str) -> str:
    """Open a store that cannot be opened, and return what the error says; no password is in it, chained or not."""
    with pytest.raises(StoreUnavailableError) as caught:
        open_store(url)
    error: BaseException | None = caught.value
    assert error is not None
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__
    message = str(error)
    assert "rate limits" in message, "what it is needed for is not said"
    assert SECRET not in message
    assert QUOTED not in message
    return message


def test_an_unreachable_server_is_named_without_its_password() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        message = shown(f"postgresql://user:{QUOTED}@127.0.0.1:{port}/paced?sslpassword={QUOTED}")
    assert f"postgresql://127.0.0.1:{port}/paced" in message
    assert "refused" in message


def test_a_database_that_is_not_there_is_named(postgres: PostgresServer) -> None:
    assert "nowhere" in shown(postgres.url("nowhere"))


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", "cannot be parsed"),
        ("nonsense", "cannot be parsed"),
        (f"postgresql://user:{SECRET}@host:port/base", "cannot be parsed"),
        (f"mysql://user:{QUOTED}@host/base", "SQLite and PostgreSQL"),
        (f"postgresql+asyncpg://user:{QUOTED}@host/base", "SQLite and PostgreSQL"),
        ("sqlite:///relative.db", "absolute path"),
        ("sqlite:///file:x.db?uri=true", "absolute path"),
    ],
)
def test_a_wrong_url_is_refused_with_an_example_and_without_the_password(url: str, told: str) -> None:
    with pytest.raises(StoreUrlError):
        open_store(url)
    message = shown(url)
    assert told in message
    assert "'sqlite:////var/lib/airflow/voicepartner.db'" in message


def test_paths_where_no_file_can_be_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert "file" in shown(f"sqlite:///{tmp_path}/file/store.db")
    assert "unable to open" in shown(f"sqlite:///{tmp_path}")


def test_a_file_that_is_not_a_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"not a database, but long enough to be looked at" * 100)
    assert "not a database" in shown(f"sqlite:///{tmp_path}/store.db")


def test_the_old_name_of_postgresql_and_both_drivers_are_understood(empty_postgres_url: str) -> None:
    rest = empty_postgres_url.removeprefix("postgresql")
    for scheme in ("postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"):
        open_store(scheme + rest).close()


def test_a_missing_driver_is_an_error_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("psycopg", "psycopg2"):
        monkeypatch.setitem(sys.modules, name, None)
    message = shown(f"postgresql://user:{QUOTED}@127.0.0.1/base")
    assert "psycopg[binary]" in message


def test_a_server_that_goes_away_and_comes_back_is_an_error_and_then_none(
    empty_postgres_url: str,
    postgres: PostgresServer,
) -> None:
    store = open_store(empty_postgres_url)
    everyone = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test%'"

    def lose_it() -> None:
        with store.write() as connection:
            postgres.psql(everyone)
            connection.execute(text("INSERT INTO voicepartner_rate_limit VALUES ('a', 0)"))

    with pytest.raises(StoreUnavailableError, match="cannot be used"):
        lose_it()
    insert(store, "b")
    assert names(store) == ["b"]
    postgres.psql(everyone)  # while it is idle: nobody notices
    insert(store, "c")
    assert names(store) == ["b", "c"]
    store.close()


def test_naming_an_error_does_not_import_sqlalchemy() -> None:
    script = (
        "import sys, airflow_provider_voicepartner.sending.rate_limit, airflow_provider_voicepartner.db.engine;"
        "sys.exit('sqlalchemy' in sys.modules or 'airflow' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", script], cwd=PROJECT, timeout=60, check=False).returncode == 0
    )
