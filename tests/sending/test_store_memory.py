"""A ledger's rows in our store: they only go forward, and a claim of an attempt that was replaced fails."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.exceptions import (
    CampaignInterruptedError,
    ConfigurationError,
    RetryableNotSentError,
)
from airflow_provider_voicepartner.sending.records import Attempt, BatchRecord, Phase, Plan, Recollection
from airflow_provider_voicepartner.sending.store_memory import StoreMemory, TaskInstanceKey
from tests.support.tasks import CALM

TASK = TaskInstanceKey("dag", "run", "send")
PLAN = Plan(generation=1, fingerprint="f" * 64, salt="s" * 32, batches=9)
CLAIM = BatchRecord(phase=Phase.CLAIMED, reference="k3v9x0q2w7ha", size=3, attempt=1, step=1)
SENT = replace(CLAIM, phase=Phase.SENT, accepted=3, gateway_id="8123456", step=2)
REFUSED = replace(CLAIM, phase=Phase.REFUSED, step=2)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path}/ledger.db"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url)
    yield opened
    opened.close()


def memory_of(store: Store, try_number: int = 1, *, task: TaskInstanceKey = TASK, **more: Any) -> StoreMemory:
    """Return the memory of a new attempt."""
    memory = StoreMemory(store, task, **more)
    memory.register(Attempt(1, try_number))
    return memory


def kept(store: Store, task: TaskInstanceKey = TASK) -> Recollection:
    """Return what an attempt after this moment would find, which leaves no trace itself."""
    memory = StoreMemory(store, task)
    memory._number = 2**30
    return memory.recall()


def rows(store: Store, table: str) -> list[Any]:
    with store.read() as connection:
        return list(connection.execute(text(f"SELECT * FROM voicepartner_{table} ORDER BY 1, 2, 3")))


# What is written, and read back


def test_a_first_attempt_finds_nothing_and_a_later_one_what_it_wrote(store: Store) -> None:
    first = memory_of(store)
    assert first.recall() == Recollection()
    first.write({0: CLAIM, 1: CLAIM}, PLAN)
    first.write({0: SENT, 2: CLAIM}, PLAN)
    second = memory_of(store, 2).recall()
    assert second == Recollection(tries=frozenset({1}), plan=PLAN, records={0: SENT, 1: CLAIM, 2: CLAIM})
    assert [record.rank for record in second.records.values()] == [SENT.rank, CLAIM.rank, CLAIM.rank]


def test_attempts_are_counted_and_each_knows_the_tries_before_it(store: Store) -> None:
    numbers, tries = [], []
    for try_number in (0, 1, 1, 3):
        memory = StoreMemory(store, TASK)
        numbers.append(memory.register(Attempt(1, try_number)))
        tries.append(memory.recall().tries)
    assert numbers == [1, 2, 3, 4]
    assert tries == [set(), {0}, {0, 1}, {0, 1}]
    # Another memory counted further.
    assert StoreMemory(store, TASK).register(Attempt(9, 4)) == 9
    assert StoreMemory(store, TASK).register(Attempt(3, 5)) == 10
    assert kept(store).tries == {0, 1, 3, 4, 5}


@pytest.mark.parametrize(
    "other",
    [
        replace(TASK, dag_id="another"),
        replace(TASK, run_id="another"),
        replace(TASK, task_id="another"),
        replace(TASK, map_index=0),
    ],
    ids=["dag", "run", "task", "map index"],
)
def test_task_instances_know_nothing_of_each_other(store: Store, other: TaskInstanceKey) -> None:
    memory_of(store).write({0: SENT}, PLAN)
    assert memory_of(store, task=other).recall() == Recollection()


def test_a_task_instance_is_found_by_the_longest_names_that_airflow_allows(store: Store) -> None:
    long = TaskInstanceKey("d" * 250, "r" * 250, "t" * 250, 2**31 - 1)
    memory_of(store, task=long).write({0: SENT}, PLAN)
    assert kept(store, long).records == {0: SENT}


@pytest.mark.parametrize(
    "plan", [PLAN, replace(PLAN, send_again="0123456789abcdef", since=7, generation=3, batches=0)]
)
def test_a_plan_comes_back_as_it_was_written(store: Store, plan: Plan) -> None:
    memory_of(store).write({}, plan)
    assert kept(store).plan == plan


def test_as_many_records_as_another_memory_knows_are_one_transaction(store: Store) -> None:
    many = dict.fromkeys(range(2_500), SENT)
    memory_of(store).write(many, replace(PLAN, batches=2_500))
    assert kept(store).records == many


def test_a_table_holds_no_more_than_a_row_a_batch(store: Store) -> None:
    memory = memory_of(store)
    for step in range(1, 6):
        memory.write({0: replace(CLAIM, step=step), 1: replace(SENT, step=step)}, PLAN)
    assert len(rows(store, "batch")) == 2
    assert len(rows(store, "campaign")) == len(rows(store, "attempt")) == 1


# Rows only go forward


@pytest.mark.parametrize(
    ("first", "second", "counts"),
    [
        (CLAIM, SENT, "second"),
        (SENT, CLAIM, "first"),
        (replace(SENT, attempt=2), replace(REFUSED, attempt=1, step=9), "first"),
        (replace(SENT, attempt=1), replace(CLAIM, attempt=2), "second"),
        (replace(CLAIM, resent=1), SENT, "second"),
        (replace(CLAIM, step=5, resent=1), replace(CLAIM, step=6), "second"),
        (SENT, replace(REFUSED, step=SENT.step), "first"),
    ],
    ids=["sent", "a late claim", "an earlier attempt", "a later attempt", "after a repeat", "taken back", "the same"],
)  # fmt: skip
def test_of_two_records_the_further_one_stays(
    store: Store, first: BatchRecord, second: BatchRecord, counts: str
) -> None:
    memory = memory_of(store)
    memory.write({0: first}, PLAN)
    memory.write({0: second}, PLAN)
    assert kept(store).records == {0: first if counts == "first" else second}


@CALM
@given(
    st.permutations(range(8)),
    st.lists(st.tuples(st.integers(1, 3), st.integers(1, 5), st.sampled_from(Phase)), min_size=8, max_size=8),
)
def test_in_whatever_order_records_arrive_the_furthest_stays(order: list[int], given: list[Any]) -> None:
    """A late transaction is one that is executed after others."""
    store = open_store("sqlite://")
    memory = memory_of(store)
    records = [replace(CLAIM, phase=phase, attempt=attempt, step=step) for attempt, step, phase in given]
    for number in order:
        memory.write({0: records[number]}, PLAN)
    assert kept(store).records[0].rank == max(record.rank for record in records)
    store.close()


def test_a_new_generation_begins_with_no_rows_and_old_ones_do_not_come_back(store: Store) -> None:
    memory = memory_of(store)
    memory.write({0: SENT, 1: SENT}, PLAN)
    anew = replace(PLAN, generation=2, salt="t" * 32)
    memory.write({0: CLAIM}, anew)
    assert kept(store) == Recollection(tries=frozenset({1}), plan=anew, records={0: CLAIM})
    # What is late of the old one changes nothing, nor does its plan.
    zombie = StoreMemory(store, TASK)
    zombie._number, zombie._plan = 1, PLAN
    zombie.write({0: replace(SENT, step=99), 5: SENT}, PLAN)
    zombie._plan = None
    zombie.write({5: SENT}, PLAN)
    assert kept(store) == Recollection(tries=frozenset({1}), plan=anew, records={0: CLAIM})


# Two attempts at once


def test_a_claim_of_an_attempt_that_was_replaced_fails_and_its_records_are_still_taken(store: Store) -> None:
    first = memory_of(store)
    first.write({0: CLAIM, 1: CLAIM}, PLAN)
    second = memory_of(store, 2)
    assert second.recall().records == {0: CLAIM, 1: CLAIM}
    with pytest.raises(CampaignInterruptedError, match="a later attempt of this task has taken over"):
        first.write({0: SENT, 2: CLAIM}, PLAN)
    assert kept(store).records == {0: CLAIM, 1: CLAIM}  # all of it, or nothing
    first.write({0: SENT, 1: REFUSED}, PLAN)
    assert kept(store).records == {0: SENT, 1: REFUSED}
    second.write({2: CLAIM}, PLAN)
    assert kept(store).records[2] == CLAIM


def test_an_attempt_that_was_replaced_before_it_claimed_anything_leaves_no_plan(store: Store) -> None:
    first = memory_of(store)
    memory_of(store, 2)
    for records in ({0: CLAIM}, {0: SENT}, {}):
        with pytest.raises(CampaignInterruptedError):
            first.write(records, PLAN)
    assert kept(store).plan is None


def test_a_zombie_does_not_undo_what_the_attempt_after_it_wrote(store: Store) -> None:
    first = memory_of(store)
    first.write({0: CLAIM}, PLAN)
    second = memory_of(store, 2)
    second.write({0: replace(SENT, attempt=2, step=1)}, PLAN)
    first.write({0: replace(REFUSED, step=99)}, PLAN)
    assert kept(store).records[0].phase is Phase.SENT


def test_of_two_attempts_that_race_the_later_one_knows_every_claim_of_the_other(store: Store) -> None:
    """Either a claim is there when the later attempt reads, or it fails."""
    for slot in range(4):
        task = replace(TASK, map_index=slot)
        first = memory_of(store, task=task)
        first.write({}, PLAN)
        counted: set[int] = set()
        enough = threading.Event()

        def claim_all(
            first: StoreMemory = first, counted: set[int] = counted, enough: Any = enough, slot: int = slot
        ) -> None:
            for position in itertools.count():
                try:
                    first.write({position: CLAIM}, PLAN)
                except CampaignInterruptedError:
                    return
                counted.add(position)
                if len(counted) > slot:
                    enough.set()
                time.sleep(
                    0.001
                )  # SQLite lets nobody else in who does not happen to ask between two transactions

        zombie = threading.Thread(target=claim_all)
        zombie.start()
        assert enough.wait(60)
        known = set(memory_of(store, 2, task=task).recall().records)
        zombie.join(60)
        assert not zombie.is_alive()
        assert counted == known


def test_attempts_that_register_at_once_get_a_number_each(store: Store) -> None:
    numbers: list[int] = []
    together = threading.Barrier(6, timeout=60)

    def register() -> None:
        together.wait()
        numbers.append(StoreMemory(store, TASK).register(Attempt(1, 1)))

    threads = [threading.Thread(target=register) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(numbers) == [1, 2, 3, 4, 5, 6]


ZOMBIE = """
import itertools
import sys
import time

from airflow_provider_voicepartner.exceptions import CampaignInterruptedError
from airflow_provider_voicepartner.sending.records import Attempt, Plan
from airflow_provider_voicepartner.sending.records import BatchRecord, Phase
from airflow_provider_voicepartner.sending.store_memory import StoreMemory, TaskInstanceKey
from airflow_provider_voicepartner.db.engine import open_store

memory = StoreMemory(open_store(sys.argv[1]), TaskInstanceKey("dag", "run", "send"))
memory.register(Attempt(1, 1))
plan = Plan(generation=1, fingerprint="f", salt="s", batches=9999)
claim = BatchRecord(phase=Phase.CLAIMED, reference="r", size=1, attempt=1)
for position in itertools.count():
    try:
        memory.write({position: claim}, plan)
    except CampaignInterruptedError:
        break
    print(position, flush=True)
    time.sleep(0.001)
"""


def test_a_zombie_in_another_process_is_fenced_as_well(store: Store, url: str) -> None:
    with subprocess.Popen([sys.executable, "-c", ZOMBIE, url], stdout=subprocess.PIPE, text=True) as zombie:
        assert zombie.stdout is not None
        counted = [int(zombie.stdout.readline()) for _ in range(3)]
        known = set(memory_of(store, 2).recall().records)
        counted += [int(line) for line in zombie.stdout]
        assert zombie.wait(60) == 0
    assert set(counted) == known


# A transaction of which nobody knows whether it was committed


class LostCommits:
    """Says of so many transactions that they failed, after they were committed; runs them again."""

    def __init__(self, lost: int = 1) -> None:
        self.lost = lost

    def __call__(self, transaction: Callable[[], Any]) -> Any:
        while True:
            done = transaction()
            if not self.lost:
                return done
            self.lost -= 1


def test_a_write_that_is_repeated_after_its_commit_was_lost_says_the_same(store: Store) -> None:
    patiently = LostCommits(0)
    memory = memory_of(store, patiently=patiently)
    for records, plan in (
        ({0: CLAIM}, PLAN),
        ({0: SENT, 1: CLAIM}, PLAN),
        ({0: CLAIM}, replace(PLAN, generation=2)),
    ):
        patiently.lost = 2
        memory.write(records, plan)
        assert kept(store).records.items() >= records.items()
        assert kept(store).plan == plan
    assert len(rows(store, "campaign")) == len(rows(store, "attempt")) == 1


def test_a_registration_that_is_repeated_is_no_trace_of_another_attempt(store: Store) -> None:
    """A task that goes on after a wait looks for the trace of its own try, which it must not take itself for."""
    memory = memory_of(store, 2, patiently=LostCommits(2))
    assert len(rows(store, "attempt")) == 3
    assert memory.recall() == Recollection()
    memory.write({0: CLAIM}, PLAN)  # nor is it replaced by itself
    assert kept(store).tries == {2}


def test_a_store_that_cannot_be_reached_is_what_patience_is_for(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/ledger.db")
    asked: list[Any] = []

    def patiently(transaction: Callable[[], Any]) -> Any:
        asked.append(transaction)
        return transaction()

    memory = memory_of(store, patiently=patiently)
    memory.recall()
    memory.write({0: CLAIM}, PLAN)
    assert len(asked) == 3
    with store.write() as connection:
        connection.exec_driver_sql("ALTER TABLE voicepartner_batch RENAME TO gone")
    with pytest.raises(StoreUnavailableError):
        memory.write({1: CLAIM}, PLAN)
    store.close()


# A store that was emptied, and rows that somebody changed


def test_a_store_that_was_emptied_meanwhile_stops_the_attempt_with_an_error_of_ours(store: Store) -> None:
    memory = memory_of(store)
    memory.write({0: CLAIM}, PLAN)
    with store.write() as connection:
        connection.exec_driver_sql("DELETE FROM voicepartner_campaign")
    with pytest.raises(RetryableNotSentError, match="does not know this campaign any more"):
        memory.write({1: CLAIM}, PLAN)


def test_rows_that_a_purge_left_behind_belong_to_no_later_campaign(store: Store) -> None:
    memory_of(store).write({0: SENT}, PLAN)
    with store.write() as connection:
        connection.exec_driver_sql("DELETE FROM voicepartner_campaign")
    again = memory_of(store)
    assert again.recall() == Recollection()
    again.write({5: CLAIM}, PLAN)
    assert kept(store).records == {5: CLAIM}


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE voicepartner_batch SET record = 'no json'", "a batch record"),
        ("UPDATE voicepartner_batch SET record = '[]'", "a batch record"),
        ('UPDATE voicepartner_batch SET record = \'{"phase": "whatever"}\'', "a batch record"),
        ("UPDATE voicepartner_campaign SET fingerprint = NULL", "a plan"),
        ("UPDATE voicepartner_campaign SET batches = -1", "a plan"),
        ("UPDATE voicepartner_campaign SET salt = NULL", "a plan"),
        ("UPDATE voicepartner_campaign SET generation = -1", "a plan"),
    ],
)
def test_what_cannot_be_read_is_refused(store: Store, statement: str, what: str) -> None:
    memory_of(store).write({0: SENT}, PLAN)
    with store.write() as connection:
        connection.execute(text(statement))
    with pytest.raises(ConfigurationError, match=f"holds {what} that cannot be read.*voicepartner_campaign"):
        memory_of(store, 2).recall()


def test_records_without_their_plan_are_refused(store: Store) -> None:
    memory_of(store).write({0: SENT}, PLAN)
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE voicepartner_batch SET generation = 0")
        connection.exec_driver_sql("UPDATE voicepartner_campaign SET generation = 0")
    with pytest.raises(ConfigurationError, match="batch records without their plan"):
        memory_of(store, 2).recall()


def test_a_row_tells_no_number_no_text_and_no_key(store: Store) -> None:
    memory_of(store).write(
        {0: SENT}, Plan.of("of +33612345678", batches=1, generation=1, send_again=None, since=1)
    )
    told = repr([rows(store, table) for table in ("campaign", "attempt", "batch")])
    assert "3361234" not in told


def test_a_memory_names_the_store_that_it_writes_to(store: Store, tmp_path: Path) -> None:
    other = open_store(f"sqlite:///{tmp_path}/other.db")
    assert StoreMemory(store, TASK).identity == StoreMemory(store, TASK).identity == store.identity
    assert StoreMemory(store, TASK).identity != StoreMemory(other, TASK).identity
    other.close()
