"""How a database comes to have this version's tables: an empty one, an older one, a newer one; several at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from airflow_provider_voicepartner.db import versions
from airflow_provider_voicepartner.db.engine import connect_store, open_store
from airflow_provider_voicepartner.db.errors import StoreUnavailableError, StoreUrlError
from airflow_provider_voicepartner.db.schema import metadata
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.db.versions import REVISIONS, StoreVersionError, bring_up_to_date

PROJECT = Path(__file__).resolve().parents[2]

# As the version without revisions made them.
OLD_TABLES = {
    "sqlite": (
        "CREATE TABLE voicepartner_rate_limit (name VARCHAR(120) NOT NULL, blocked_until FLOAT NOT NULL, "
        "PRIMARY KEY (name))",
        "CREATE TABLE voicepartner_rate_slot (id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "
        "name VARCHAR(120) NOT NULL, at FLOAT NOT NULL)",
        "CREATE INDEX voicepartner_rate_slot_name_at ON voicepartner_rate_slot (name, at)",
    ),
    "postgres": (
        "CREATE TABLE voicepartner_rate_limit (name VARCHAR(120) NOT NULL, blocked_until FLOAT(53) NOT NULL, "
        "PRIMARY KEY (name))",
        "CREATE TABLE voicepartner_rate_slot (id BIGSERIAL NOT NULL, name VARCHAR(120) NOT NULL, "
        "at FLOAT(53) NOT NULL, PRIMARY KEY (id))",
        "CREATE INDEX voicepartner_rate_slot_name_at ON voicepartner_rate_slot (name, at)",
    ),
}


@pytest.fixture
def old_url(url: str) -> str:
    """Return a database as the version before revisions left it, with a reservation in it."""
    store = connect_store(url)
    with store.write() as connection:
        for statement in OLD_TABLES["postgres" if store.is_postgres else "sqlite"]:
            connection.exec_driver_sql(statement)
        connection.execute(text("INSERT INTO voicepartner_rate_slot (name, at) VALUES ('a', 4.5)"))
    store.close()
    return url


def tables(store: Store) -> set[str]:
    with store.read() as connection:
        return {name for name in inspect(connection).get_table_names() if name.startswith("voicepartner_")}


def set_revision(url: str, revision: str) -> None:
    store = open_store(url)
    with store.write() as connection:
        connection.execute(
            text(f"UPDATE {versions.VERSION_TABLE} SET version_num = :revision"), {"revision": revision}
        )
    store.close()


ALL = {*metadata.tables, versions.VERSION_TABLE}


def test_an_empty_database_gets_all_tables_by_itself(url: str) -> None:
    store = connect_store(url)
    assert tables(store) == set()
    assert bring_up_to_date(store, upgrade=False) == (None, REVISIONS[-1])
    assert tables(store) == ALL
    assert bring_up_to_date(store, upgrade=False) == (REVISIONS[-1], REVISIONS[-1])
    store.close()


def test_tables_from_before_revisions_are_refused_with_the_command_that_helps(old_url: str) -> None:
    with pytest.raises(StoreVersionError, match="airflow voicepartner db upgrade") as caught:
        open_store(old_url)
    assert isinstance(caught.value, StoreUrlError), "a retry cannot help"
    assert "python -m airflow_provider_voicepartner db upgrade" in str(caught.value)
    assert len(tables(connect_store(old_url))) == 2, "a refusal changed something"


def test_tables_from_before_revisions_are_upgraded_and_keep_their_rows(old_url: str) -> None:
    store = connect_store(old_url)
    assert bring_up_to_date(store, upgrade=True) == ("none", REVISIONS[-1])
    assert tables(store) == ALL
    with store.read() as connection:
        assert connection.execute(text("SELECT name, at FROM voicepartner_rate_slot")).all() == [("a", 4.5)]
    store.close()
    open_store(old_url).close()


def test_an_older_revision_is_refused_and_a_known_one_is_no_newer_one(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_store(url).close()
    monkeypatch.setattr(versions, "REVISIONS", (*REVISIONS, "9999"))
    with pytest.raises(StoreVersionError, match="older than this version"):
        open_store(url)


@pytest.mark.parametrize("upgrade", [True, False])
def test_tables_of_a_newer_version_are_refused_whatever_is_allowed(url: str, upgrade: bool) -> None:
    set_revision(url, "4711")
    with pytest.raises(
        StoreVersionError, match=r"newer version.*'4711'.*Upgrade airflow-provider-voicepartner"
    ):
        open_store(url, upgrade=upgrade)


def test_an_upgrade_that_fails_leaves_nothing_behind(old_url: str) -> None:
    store = connect_store(old_url)
    with store.write() as connection:  # the last table that the migration makes
        connection.exec_driver_sql("CREATE TABLE voicepartner_dead_letter (a INTEGER)")
    before = tables(store)
    with pytest.raises(StoreUnavailableError, match="already exists"):
        bring_up_to_date(store, upgrade=True)
    assert tables(store) == before
    store.close()


def test_many_processes_may_bring_one_database_up_to_date_at_once(old_url: str) -> None:
    script = f"""
import os, sys
import sqlalchemy, alembic.command
from airflow_provider_voicepartner.db.engine import open_store
wait, go = os.pipe()
children = []
for child in range(6):
    pid = os.fork()
    if not pid:
        try:
            os.close(go)
            os.read(wait, 1)
            open_store({old_url!r}, upgrade=True).close()
        except BaseException as error:
            print(repr(error), flush=True)
            os._exit(1)
        os._exit(0)
    children.append(pid)
os.close(go)
sys.exit(any([os.waitpid(pid, 0)[1] for pid in children]))
"""
    done = run(script)
    assert done.returncode == 0, done.stdout + done.stderr
    assert tables(open_store(old_url)) == ALL


def test_opening_imports_alembic_only_to_upgrade(tmp_path: Path) -> None:
    script = f"""
import sys
from airflow_provider_voicepartner.db.engine import open_store
for _ in range(2):
    open_store("sqlite:///{tmp_path}/store.db", upgrade=True).close()
sys.exit("alembic" in sys.modules)
"""
    assert run(script).returncode == 0


def test_what_a_user_without_rights_sees(empty_postgres_url: str) -> None:
    owner = connect_store(empty_postgres_url)
    with owner.write() as connection:
        connection.exec_driver_sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        connection.exec_driver_sql("DROP ROLE IF EXISTS guest")
        connection.exec_driver_sql("CREATE ROLE guest LOGIN")
    owner.close()
    with pytest.raises(StoreVersionError, match="permission denied") as caught:
        open_store(empty_postgres_url.replace("postgres@", "guest:p4ssword@"))
    assert "allowed to create tables" in str(caught.value)
    assert "p4ssword" not in str(caught.value)


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, timeout=120, capture_output=True, text=True, check=False
    )
