"""The migrations lead to the tables that the code knows, from wherever a database is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import IntegrityError

from airflow_provider_voicepartner.db.engine import connect_store, open_store
from airflow_provider_voicepartner.db.schema import (
    attempt,
    batch,
    campaign,
    mapped_list,
    metadata,
    rate_limit,
    rate_slot,
    sequence,
)
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.db.versions import (
    REVISIONS,
    VERSION_TABLE,
    alembic_config,
    bring_up_to_date,
)
from airflow_provider_voicepartner.db.versions import _migrate as migrate
from airflow_provider_voicepartner.sending.records import Attempt, BatchRecord, Phase, Plan, Recollection
from airflow_provider_voicepartner.sending.store_memory import StoreMemory, TaskInstanceKey


@pytest.fixture
def another_url(url: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if url.startswith("postgres"):
        return str(request.getfixturevalue("postgres").new_database())
    return f"sqlite:///{tmp_path}/another.db"


def is_ours(name: str | None, kind: str, _: Any) -> bool:
    # SQLAlchemy 1.4 shows SQLite's own tables too.
    return kind != "table" or str(name).startswith("voicepartner_")


def differences(store: Store) -> list[Any]:
    """Return what Alembic would change to make the database look like the code."""
    with store.read() as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": True, "include_name": is_ours}
        return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)


def details(store: Store) -> dict[str, Any]:
    """Return what Alembic does not compare: keys, what SQLite alone knows of a table, and the rows that are there."""
    with store.read() as connection:
        found: dict[str, Any] = {
            name: inspect(connection).get_pk_constraint(name)["constrained_columns"]
            for name in metadata.tables
        }
        found["sequence"] = connection.execute(sequence.select()).all()
        if not store.is_postgres:
            sql = connection.execute(
                text(
                    "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name LIKE 'voicepartner_%'"
                )
            )
            # SQLite writes a column that was added behind a line's end.
            found |= {
                f"sql of {name}": " ".join(told.replace(",", " , ").replace(")", " ) ").split())
                for name, told in sql
            }
    return found


def test_all_revisions_have_a_file_and_stand_in_their_order() -> None:
    scripts = ScriptDirectory.from_config(alembic_config())
    assert tuple(script.revision for script in reversed(list(scripts.walk_revisions()))) == REVISIONS
    assert scripts.get_current_head() == REVISIONS[-1]


def test_a_database_made_at_once_is_what_the_code_knows(url: str) -> None:
    store = open_store(url)
    assert differences(store) == []
    store.close()


@pytest.mark.parametrize("state", ["empty", "old"])
def test_migrations_lead_to_what_the_code_knows(url: str, another_url: str, state: str) -> None:
    store = connect_store(url)
    with store.write() as connection:
        if state == "old":
            metadata.create_all(connection, tables=[rate_limit, rate_slot])
        migrate(connection)
    assert differences(store) == []
    at_once = connect_store(another_url)
    bring_up_to_date(at_once, upgrade=False)
    migrated, expected = details(store), details(at_once)
    assert migrated.pop("sequence") == expected.pop("sequence") == [("delivery", 0)]
    # Alembic writes its own table in its own way.
    assert (
        migrated.pop(f"sql of {VERSION_TABLE}", "").split()[:3]
        == expected.pop(f"sql of {VERSION_TABLE}", "").split()[:3]
    )
    assert migrated == expected
    at_once.close()
    store.close()


@pytest.mark.sampled(6)
@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_an_older_revision_is_upgraded_and_keeps_its_rows(url: str, revision: str) -> None:
    store = connect_store(url)
    with store.write() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.execute(rate_limit.insert(), {"name": "limit", "blocked_until": 4.5})
    assert bring_up_to_date(store, upgrade=True) == (revision, REVISIONS[-1])
    assert differences(store) == []
    with store.read() as connection:
        assert connection.execute(rate_limit.select()).all() == [("limit", 4.5)]
    store.close()


def test_an_upgrade_keeps_campaigns_and_gives_none_of_their_ids_again(url: str) -> None:
    store = connect_store(url)
    row = {
        "dag_id": "d", "task_id": "t", "map_index": -1, "attempts": 2, "generation": 1, "batches": 3,
        "fingerprint": "f" * 64, "salt": "s", "send_again": "0123456789abcdef", "account": "a", "since": 1, "at": 4.5,
    }  # fmt: skip
    with store.write() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")
        for run in ("first", "second", "purged"):
            connection.execute(campaign.insert(), {**row, "run_id": run})
        connection.execute(campaign.delete().where(campaign.c.run_id == "purged"))
    bring_up_to_date(store, upgrade=True)
    long = ",".join(["0123456789abcdef"] * 50)
    with store.write() as connection:
        found = connection.execute(select(campaign).order_by(campaign.c.id)).mappings().all()
        assert [dict(known) for known in found] == [
            {**row, "id": at, "run_id": run, "names": None} for at, run in ((1, "first"), (2, "second"))
        ]
        connection.execute(campaign.insert(), {**row, "run_id": "later", "send_again": long})
        later = connection.execute(select(campaign).where(campaign.c.run_id == "later")).one()
    assert (later.id, later.send_again) == (4, long)
    store.close()


def test_the_ledger_of_an_upgraded_database_begins_empty_and_beside_what_was_there(url: str) -> None:
    store = connect_store(url)
    taken = {
        "task": "t", "map_index": 1, "fingerprint": "f", "expansion": "0", "attempt": 2, "people": b"8 bytes.",
        "at": 4.5,
    }  # fmt: skip
    with store.write() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        connection.execute(mapped_list.insert(), taken)
    bring_up_to_date(store, upgrade=True)
    task = TaskInstanceKey("dag", "run", "send")
    memory = StoreMemory(store, task)
    assert memory.register(Attempt(1, 1)) == 1
    assert memory.recall() == Recollection()
    claim = BatchRecord(phase=Phase.CLAIMED, reference="r", size=1)
    plan = Plan(generation=1, fingerprint="f" * 64, salt="s" * 32, batches=1, account="a" * 64)
    memory.write({0: claim}, plan)
    again = StoreMemory(store, task)
    assert again.register(Attempt(1, 2)) == 2
    assert again.recall() == Recollection(tries=frozenset({1}), plan=plan, records={0: claim})
    with store.read() as connection:
        assert [row.map_index for row in connection.execute(mapped_list.select())] == [1]
    store.close()


@pytest.mark.parametrize(
    ("table", "key"),
    [
        (campaign, {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1}),
        (attempt, {"campaign": 1, "number": 1}),
        (batch, {"campaign": 1, "generation": 1, "position": 0}),
    ],
    ids=["task", "attempt", "batch"],
)
def test_no_task_attempt_or_batch_has_two_rows_in_a_migrated_database(
    url: str, table: Any, key: dict[str, Any]
) -> None:
    store = connect_store(url)
    with store.write() as connection:
        migrate(connection)
    more: dict[str, Any] = {
        "at": 4.5, "attempts": 1, "generation": 1, "try_number": 1, "rank": 7, "phase": "sent", "record": "{}"
    }  # fmt: skip
    row = {name: value for name, value in {**more, **key}.items() if name in table.c}
    with store.write() as connection:
        connection.execute(table.insert(), row)
    with pytest.raises(IntegrityError), store.write() as connection:
        connection.execute(table.insert(), row)
    store.close()


def test_a_difference_would_be_seen(url: str) -> None:
    store = open_store(url)
    with store.write() as connection:
        connection.exec_driver_sql("DROP INDEX voicepartner_event_digest")
        connection.exec_driver_sql("ALTER TABLE voicepartner_sequence ADD COLUMN more INTEGER")
    assert sorted(change[0] for change in differences(store)) == ["add_index", "remove_column"]
    store.close()
