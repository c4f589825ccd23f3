"""The log in Airflow's task state: one entry a write, few reads, and nothing that cannot be read is passed over."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voicepartner.constants import MOST_STATE_RECORDS, STATE_REACH, SUMMARY_EVERY
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.sending.records import (
    Attempt,
    BatchRecord,
    Evidence,
    Phase,
    Plan,
    Recollection,
)
from airflow_provider_voicepartner.sending.task_state import TaskStateMemory, attempt_key, log_key
from tests.sending.test_records import JSON
from tests.support.ledgers import is_summary, recalled
from tests.support.tasks import CALM, FakeStore, assert_plain
from tests.support.transport import CountingStore

CLAIM = BatchRecord(phase=Phase.CLAIMED, reference="k3v9x0q2w7ha", size=3, attempt=1)
SENT = replace(CLAIM, phase=Phase.SENT, accepted=3, gateway_id="8123456")
PLAN = Plan(generation=1, fingerprint="f" * 64, salt="s" * 32, batches=2000)


def plan_of(generation: int) -> Plan:
    return replace(PLAN, generation=generation, salt=str(generation))


def memory_of(store: Any, *, try_number: int = 1, **more: Any) -> TaskStateMemory:
    """Return the memory of a new attempt."""
    memory = TaskStateMemory(store, **more)
    memory.register(Attempt(1, try_number))
    return memory


def logged(store: FakeStore) -> dict[int, Any]:
    """Return the entries of the log, by number."""
    entries = {key: value for key, value in store.values.items() if key.startswith(log_key(0)[:-1])}
    return {int(key.rpartition("/")[2]): value for key, value in entries.items()}


# What is written, and read back


def test_an_attempt_registers_and_writes_nothing_else_until_it_is_told() -> None:
    store = CountingStore()
    memory = memory_of(store)
    assert memory.recall() == Recollection()
    assert store.writes == [attempt_key(1)]
    memory.write({0: CLAIM}, PLAN)
    assert len(store.writes) == 2
    assert_plain(store.values)


def test_each_write_is_one_entry_and_the_first_one_has_the_plan() -> None:
    store = FakeStore()
    memory = memory_of(store)
    memory.write({0: CLAIM, 1: CLAIM}, PLAN)
    memory.write({0: SENT, 2: CLAIM}, PLAN)
    first, second = logged(store).values()
    assert first["plan"] == PLAN.to_json()
    assert "plan" not in second
    assert [list(entry["batches"]) for entry in (first, second)] == [["0", "1"], ["0", "2"]]
    again = memory_of(store, try_number=2).recall()
    assert (again.plan, again.records) == (PLAN, {0: SENT, 1: CLAIM, 2: CLAIM})
    assert again.tries == {1}


def test_a_later_attempt_counts_on_and_knows_those_before_it() -> None:
    store = FakeStore()
    numbers = [TaskStateMemory(store).register(Attempt(1, try_number, "a")) for try_number in (0, 1, 1, 4)]
    assert numbers == [1, 2, 3, 4]
    assert TaskStateMemory(store).register(Attempt(9, 5, "b")) == 9  # as another memory counts
    known = recalled(store)
    assert known.tries == {0, 1, 4, 5}
    assert known.stores == {"a", "b"}


def test_of_two_records_the_further_one_counts_in_whatever_order_they_are_written() -> None:
    store = FakeStore()
    memory = memory_of(store)
    memory.write({0: replace(SENT, attempt=3)}, PLAN)
    memory.write({0: replace(CLAIM, attempt=2), 1: SENT}, PLAN)  # as another memory knew it
    assert recalled(store).records == {0: SENT, 1: SENT}


def test_a_new_generation_forgets_the_records_of_the_old_one_and_needs_its_entries_no_more() -> None:
    store = FakeStore()
    memory = memory_of(store)
    for position in range(40):
        memory.write({position: SENT}, PLAN)
    memory.write({5: CLAIM}, plan_of(2))
    assert (recalled(store).plan, recalled(store).records) == (plan_of(2), {5: CLAIM})
    memory_of(store, try_number=2)
    assert len(store.values[attempt_key(2)]["needed"]) == 1


# Summaries, and how much is read


def test_every_so_often_an_entry_sums_up_those_before_it() -> None:
    store = FakeStore()
    memory = memory_of(store)
    for position in range(100):
        memory.write({position: SENT}, PLAN)
    entries = logged(store)
    summaries = {number: entry for number, entry in entries.items() if is_summary(entry)}
    assert list(summaries) == [number for number in entries if number % SUMMARY_EVERY == 0]
    assert sum(len(entry["batches"]) for entry in summaries.values()) == max(summaries) - STATE_REACH - len(
        summaries
    )
    assert all(entry["plan"] == PLAN.to_json() for entry in summaries.values())
    assert recalled(store).records == dict.fromkeys(range(100), SENT)


@pytest.mark.parametrize("batches", [0, 1, 15, 16, 17, 100, 1900, 2000])
def test_a_long_campaign_is_read_back_with_few_reads(batches: int) -> None:
    store = CountingStore()
    memory = memory_of(store)
    for position in range(batches):
        memory.write({position: CLAIM, **({position - 1: SENT} if position else {})}, PLAN)
    store.reads.clear()
    records = memory_of(store, try_number=2).recall().records
    assert len(records) == batches
    assert len(store.reads) <= batches / SUMMARY_EVERY + 35
    assert len(store.reads) <= 160


def test_attempts_that_each_do_little_are_summed_up_too() -> None:
    store = CountingStore()
    for number in range(1, 301):
        memory_of(store, try_number=number).write({number: replace(SENT, attempt=number)}, PLAN)
    store.reads.clear()
    assert len(memory_of(store).recall().records) == 300
    assert len(store.reads) <= 110
    assert len(store.values[attempt_key(301)]["needed"]) < 60


@pytest.mark.parametrize("attempts", [1, 2, 3, 7, 64, 100])
def test_the_last_of_many_attempts_is_found_with_few_reads(attempts: int) -> None:
    store = CountingStore()
    for number in range(attempts):
        memory_of(store, try_number=number)
    store.reads.clear()
    assert memory_of(store, try_number=attempts).recall().tries == frozenset(range(attempts))
    looked_for = [key for key in store.reads if key.startswith(attempt_key(0)[:-1])]
    assert len(looked_for) <= 2 * attempts.bit_length() + 2


LONG = replace(
    SENT, reference="k" * 12, size=500, accepted=499, opted_out=1, gateway_id="9" * 36, segments=5000,
    cost=Decimal("12345.678901"), currency="EUR", at="2031-05-06T12:00:00.123456+00:00", attempt=12, step=4321,
)  # fmt: skip
"""As long as a record gets that was answered."""
LONGEST = replace(
    LONG, tag="t" * 20, evidence=Evidence.REPEAT_ACCEPTED, resent=3, in_doubt=400,
    again_at="2031-05-06T12:00:00.123456+00:00",
)  # fmt: skip
"""And one that was in doubt."""


@pytest.mark.parametrize("record", [LONG, LONGEST], ids=["answered", "all in doubt once"])
@pytest.mark.parametrize("in_flight", [4, 16, 64])
def test_no_value_comes_near_the_size_that_airflow_warns_of(record: BatchRecord, in_flight: int) -> None:
    store = CountingStore()
    memory = memory_of(store)
    claim = replace(CLAIM, at=LONG.at, again_at=LONG.at, resent=3, tag="t" * 20)
    for start in range(0, 2000, in_flight):
        landed = dict.fromkeys(range(start - in_flight, start), record) if start else {}
        memory.write({**landed, **dict.fromkeys(range(start, start + in_flight), claim)}, PLAN)
    assert max(len(json.dumps(value)) for value in store.values.values()) < 65_535
    store.reads.clear()
    assert recalled(store).records[0] == record
    memory_of(store, try_number=2)
    assert len(store.reads) <= 200
    assert max(len(json.dumps(value)) for value in store.values.values()) < 65_535


def test_what_was_too_much_for_a_summary_is_read_by_every_later_attempt_beside_the_summaries() -> None:
    store = FakeStore()
    memory = memory_of(store)
    for start in range(0, 40 * MOST_STATE_RECORDS, MOST_STATE_RECORDS):
        memory.write(dict.fromkeys(range(start, start + MOST_STATE_RECORDS), LONGEST), PLAN)
    assert not any(map(is_summary, logged(store).values()))
    for position in range(40):
        memory.write({2000 + position: SENT}, PLAN)
    assert any(map(is_summary, logged(store).values()))
    for number in (2, 3, 4):
        memory = memory_of(store, try_number=number)
        assert len(memory.recall().records) == 2040
        memory.write({0: replace(SENT, attempt=number)}, PLAN)


def test_what_another_memory_knows_is_copied_in_parts() -> None:
    store = FakeStore()
    memory_of(store).write(dict.fromkeys(range(2000), LONGEST), PLAN)
    entries = [entry for entry in logged(store).values() if not is_summary(entry)]
    assert [len(entry["batches"]) for entry in entries] == [MOST_STATE_RECORDS] * (2000 // MOST_STATE_RECORDS)
    assert recalled(store).records == dict.fromkeys(range(2000), LONGEST)


def test_a_plan_may_be_written_without_records() -> None:
    store = FakeStore()
    memory_of(store).write({}, PLAN)
    assert (recalled(store).plan, recalled(store).records) == (PLAN, {})


# State of an earlier version, and state that somebody changed


def test_what_an_earlier_version_recorded_is_refused() -> None:
    store = FakeStore({"voicepartner/plan": {"fingerprint": "f", "batches": 2}})
    with pytest.raises(
        ConfigurationError, match=r"an earlier version of this provider.*Nothing was sent now"
    ):
        memory_of(store)
    assert list(store.values) == ["voicepartner/plan"]


def whole() -> FakeStore:
    """Return a log with entries of all kinds."""
    store = FakeStore()
    memory = memory_of(store)
    for position in range(20):
        memory.write({position: SENT}, PLAN)
    memory_of(store, try_number=2).write({20: CLAIM}, PLAN)
    return store


KEYS = [attempt_key(2), log_key(SUMMARY_EVERY), log_key(SUMMARY_EVERY + 2), log_key(28)]


def _changed(value: Any, changes: Any) -> Iterator[Any]:
    yield changes
    if isinstance(value, dict):
        for name in value:
            yield {**value, name: changes}


@CALM
@given(st.sampled_from(KEYS), JSON.filter(lambda value: value is not None))
def test_a_value_changed_by_hand_is_read_or_refused_and_nothing_else(key: str, value: Any) -> None:
    store = whole()
    assert key in store.values
    for changed in _changed(store.values[key], value):
        mine = FakeStore({**store.values, key: changed})
        told = ""
        try:
            known = memory_of(mine, try_number=3).recall()
        except ConfigurationError as error:
            told = str(error)
        if told:
            assert re.search(r"nobody knows what was sent.*voicepartner/\*", told)
        else:
            assert known.plan is not None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (attempt_key(2), [1]),
        (attempt_key(2), {"number": 1}),
        (attempt_key(2), {"number": 1, "tries": ["1"], "stores": [], "needed": [], "next": 1}),
        (attempt_key(2), {"number": 1, "tries": [1], "stores": [4], "needed": [], "next": 1}),
        (attempt_key(2), {"number": 1, "tries": [1], "stores": [], "needed": ["1"], "next": 1}),
        (attempt_key(2), {"number": True, "tries": [1], "stores": [], "needed": [], "next": 1}),
        (attempt_key(2), {"number": 1, "tries": [1], "stores": [], "needed": [], "next": -1}),
        (log_key(SUMMARY_EVERY), "text"),
        (log_key(SUMMARY_EVERY), {"generation": "1", "batches": {}}),
        (log_key(SUMMARY_EVERY), {"generation": 1, "plan": 3, "batches": {}}),
        (log_key(SUMMARY_EVERY + 2), {"generation": 1}),
        (log_key(SUMMARY_EVERY + 2), {"generation": 1, "batches": {"x": {}}}),
        (log_key(SUMMARY_EVERY + 2), {"generation": 1, "batches": {"²": {}}}),
        (log_key(SUMMARY_EVERY + 2), {"generation": 1, "batches": {"0": {"phase": "whatever"}}}),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(key: str, value: Any) -> None:
    store = whole()
    store.values[key] = value
    before = dict(store.values)
    with pytest.raises(ConfigurationError, match="nobody knows what was sent"):
        memory_of(store, try_number=3)
    assert store.values == before


@pytest.mark.parametrize("key", [log_key(SUMMARY_EVERY), log_key(SUMMARY_EVERY + 2)])
def test_a_log_that_lost_an_entry_is_refused(key: str) -> None:
    """A clean-up may drop some of the values, and then nobody knows what was in them."""
    store = whole()
    del store.values[key]
    with pytest.raises(ConfigurationError, match="a log without one of its entries"):
        memory_of(store, try_number=3)


def test_records_without_their_plan_are_refused() -> None:
    store = FakeStore()
    memory_of(store).write({0: SENT}, PLAN)
    [number] = logged(store)
    del store.values[log_key(number)]["plan"]
    with pytest.raises(ConfigurationError, match="batch records without their plan"):
        memory_of(store, try_number=2)
