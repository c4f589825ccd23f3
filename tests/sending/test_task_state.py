"""The log in Airflow's task state: what was acknowledged is read by whoever comes next, whatever is late or lost."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.exceptions import (
    CampaignInterruptedError,
    ConfigurationError,
    RetryableNotSentError,
)
from airflow_provider_voicepartner.sending.evidence import Evidence
from airflow_provider_voicepartner.sending.memory import Attempt, Plan, Recollection
from airflow_provider_voicepartner.sending.records import BatchRecord, Phase
from airflow_provider_voicepartner.sending.task_state import (
    MOST_LOST,
    MOST_RECORDS,
    REACH,
    SLOW_SECONDS,
    SUMMARY_EVERY,
    TaskStateMemory,
    attempt_key,
    log_key,
)
from tests.sending.test_records import JSON
from tests.support.ledgers import is_summary, recalled
from tests.support.messenger import CountingStore
from tests.support.servers import FakeTime
from tests.support.tasks import CALM, FakeStore, assert_plain

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


def test_a_new_generation_that_was_not_written_leaves_the_old_one_whole() -> None:
    """Also where its first entry would stand behind a summary, which is then one of the old generation."""
    for entries in range(1, 2 * SUMMARY_EVERY):
        store = HostileState()
        memory = memory_of(store)
        for position in range(entries):
            memory.write({position: SENT}, PLAN)
        # A summary that may be due is written, and what comes after it is lost.
        store.fates = deque(["ok", "lost"] if memory._next % SUMMARY_EVERY == 0 else ["lost"])
        with pytest.raises(ConnectionError):
            memory.write({0: CLAIM}, plan_of(2))
        known = recalled(store)
        assert (known.plan, known.records) == (PLAN, dict.fromkeys(range(entries), SENT))


# Summaries, and how much is read


def test_every_so_often_an_entry_sums_up_those_before_it() -> None:
    store = FakeStore()
    memory = memory_of(store)
    for position in range(100):
        memory.write({position: SENT}, PLAN)
    entries = logged(store)
    summaries = {number: entry for number, entry in entries.items() if is_summary(entry)}
    assert list(summaries) == [number for number in entries if number % SUMMARY_EVERY == 0]
    assert sum(len(entry["batches"]) for entry in summaries.values()) == max(summaries) - REACH - len(
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
    for start in range(0, 40 * MOST_RECORDS, MOST_RECORDS):
        memory.write(dict.fromkeys(range(start, start + MOST_RECORDS), LONGEST), PLAN)
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
    assert [len(entry["batches"]) for entry in entries] == [MOST_RECORDS] * (2000 // MOST_RECORDS)
    assert recalled(store).records == dict.fromkeys(range(2000), LONGEST)


def test_a_plan_may_be_written_without_records() -> None:
    store = FakeStore()
    memory_of(store).write({}, PLAN)
    assert (recalled(store).plan, recalled(store).records) == (PLAN, {})


# Writes that are late, lost or doubled


@dataclass
class HostileState(FakeStore):
    """
    A state store whose writes meet a fate, in order; without one, they go well.

    ``lost`` is not executed and fails; ``late`` fails, and is executed whenever a ghost is let in; ``stored`` is
    executed and fails all the same; ``doubled`` goes well, and is executed once more when a ghost is let in.
    """

    fates: deque[str] = field(default_factory=deque)
    ghosts: list[tuple[str, Any]] = field(default_factory=list)
    contents: dict[str, set[str]] = field(default_factory=dict)

    def set(self, key: str, value: Any, **more: Any) -> None:
        self.contents.setdefault(key, set()).add(json.dumps(value, sort_keys=True))
        fate = self.fates.popleft() if self.fates else "ok"
        if fate in ("late", "doubled"):
            self.ghosts.append((key, json.loads(json.dumps(value))))
        if fate in ("ok", "stored", "doubled"):
            super().set(key, value, **more)
        if fate in ("lost", "late", "stored"):
            raise ConnectionError(fate)

    def let_in(self, ghost: int) -> None:
        """Execute one of the writes that are still on their way, whatever came after it."""
        if self.ghosts:
            key, value = self.ghosts.pop(ghost % len(self.ghosts))
            super().set(key, value)


FATES = st.sampled_from(["ok", "ok", "ok", "lost", "late", "stored", "doubled"])
STEPS = st.one_of(
    st.tuples(st.just("attempt"), FATES),
    st.tuples(st.just("ghost"), st.integers(0, 9)),
    st.tuples(st.just("anew"), st.just(None)),
    st.tuples(st.just("many"), st.integers(1, 20)),
    st.tuples(
        st.just("write"), st.tuples(st.sets(st.integers(0, 5), min_size=1), st.lists(FATES, max_size=3))
    ),
)


class Model:
    """What was acknowledged, and so must be read."""

    def __init__(self) -> None:
        self.state = HostileState()
        self.generation = 0
        self.acknowledged: dict[int, BatchRecord] = {}
        self.written: set[tuple[int, int, int]] = set()
        self.memory: TaskStateMemory | None = None
        self.number = self.step = 0
        self.plan = PLAN

    def attempt(self, fate: str) -> None:
        """Begin a new attempt, which may fail to register; whatever the one before had under way is lost to it."""
        self.state.fates = deque([fate])
        memory = TaskStateMemory(self.state)
        try:
            number = memory.register(Attempt(1, self.number + 1))
        except ConnectionError:
            self.memory = None
            return
        finally:
            self.state.fates.clear()
        known = memory.recall()
        self.check(known)
        self.memory = memory
        self.number = max([number, *(record.attempt + 1 for record in known.records.values())])
        self.plan = known.plan or PLAN

    def check(self, known: Recollection) -> None:
        generation = known.plan.generation if known.plan else 0
        assert generation >= self.generation
        if generation == self.generation:
            for position, record in self.acknowledged.items():
                assert known.records[position].rank >= record.rank
        for position, record in known.records.items():
            assert (generation, position, record.rank) in self.written

    def write(self, positions: set[int], fates: list[str]) -> None:
        """Write records, as a ledger does; the attempt goes on after a failure, to tell what it has sent."""
        if self.memory is None:
            return
        self.step += 1
        record = replace(SENT, attempt=self.number, step=self.step)
        self.written |= {(self.plan.generation, position, record.rank) for position in positions}
        self.state.fates = deque(fates)
        try:
            self.memory.write(dict.fromkeys(positions, record), self.plan)
        except (ConnectionError, RetryableNotSentError):
            return
        finally:
            self.state.fates.clear()
        if self.plan.generation > self.generation:
            self.generation, self.acknowledged = self.plan.generation, {}
        self.acknowledged |= dict.fromkeys(positions, record)

    def run(self, steps: list[Any]) -> None:
        for what, how in steps:
            if what == "attempt":
                self.attempt(how)
            elif what == "ghost":
                self.state.let_in(how)
            elif what == "anew":
                self.plan = plan_of(self.plan.generation + 1)
            elif what == "many":
                for count in range(how):
                    self.write({10 + count}, [])
            else:
                self.write(*how)


@settings(CALM, max_examples=600)
@given(st.lists(STEPS, max_size=60))
def test_whatever_is_late_what_was_acknowledged_is_read_and_no_entry_has_two_contents(
    steps: list[Any],
) -> None:
    model = Model()
    model.run([("attempt", "ok"), *steps, ("attempt", "ok"), ("ghost", 0), ("ghost", 0), ("attempt", "ok")])
    twice = {key for key, contents in model.state.contents.items() if len(contents) > 1}
    assert not {key for key in twice if key.startswith(log_key(0)[:-1])}


@pytest.mark.parametrize("late", range(1, 3 * SUMMARY_EVERY))
def test_an_entry_that_arrives_whenever_takes_nothing_away(late: int) -> None:
    """Each write of a campaign in turn fails, and arrives after each of those that come after it, or after a kill."""
    for arrives in (0, 1, 2, 5, SUMMARY_EVERY, None):
        model = Model()
        model.attempt("ok")
        for count in range(3 * SUMMARY_EVERY):
            model.write({count}, ["late"] if count == late else [])
            if arrives is not None and count == late + arrives:
                model.state.let_in(0)
        model.attempt("ok")
        model.state.let_in(0)
        model.write({0}, [])
        model.attempt("ok")


@pytest.mark.parametrize("more", [1, 20])
@pytest.mark.parametrize("entries", range(0, SUMMARY_EVERY + 2))
def test_a_registration_that_arrives_over_that_of_a_later_attempt_loses_nothing(
    entries: int, more: int
) -> None:
    for before in ([], ["late"], ["late", "late"], ["stored"]):
        for after in ([], ["lost"], ["lost", "lost"]):
            model = Model()
            model.attempt("ok")
            model.write({0}, [])
            for count in range(entries):
                model.write({count}, [])
            for fate in before:
                model.write({1}, [fate])
            model.attempt("late")
            registration = model.state.ghosts.pop()
            while model.state.ghosts:  # what was under way arrives between two attempts
                model.state.let_in(0)
            model.attempt("ok")
            for fate in after:
                model.write({2}, [fate])
            for count in range(more):
                model.write({count}, [])
            model.state.ghosts.append(registration)
            model.state.let_in(0)
            model.attempt("ok")


def test_writes_that_fail_one_after_the_other_end_the_attempt_before_a_reader_could_miss_the_next() -> None:
    store = HostileState()
    memory = memory_of(store)
    memory.write({0: SENT}, PLAN)
    store.fates = deque(["lost"] * MOST_LOST)
    for _ in range(MOST_LOST):
        with pytest.raises(ConnectionError):
            memory.write({1: SENT}, PLAN)
    with pytest.raises(
        RetryableNotSentError, match=r"failed 2 times, one after the other; nothing more is sent"
    ):
        memory.write({1: SENT}, PLAN)
    assert len(logged(store)) == 1


def test_a_summary_that_is_not_written_loses_nothing() -> None:
    for fate in ("lost", "late", "stored"):
        store = HostileState()
        memory = memory_of(store)
        while memory._next % SUMMARY_EVERY:
            memory.write({memory._next: SENT}, PLAN)
        store.fates = deque([fate])
        memory.write({99: SENT}, PLAN)
        expected = {**dict.fromkeys(range(REACH + 1, SUMMARY_EVERY), SENT), 99: SENT}
        assert recalled(store).records == expected
        store.let_in(0)
        assert recalled(store).records == expected


# Two attempts at once


class Meeting(FakeStore):
    """Lets something happen just before or just after the next write is executed."""

    before: Any = None
    after: Any = None

    def set(self, key: str, value: Any, **more: Any) -> None:
        before, self.before = self.before, None
        if before:
            before()
        super().set(key, value, **more)
        after, self.after = self.after, None
        if after:
            after()


@pytest.mark.parametrize("entries", range(0, SUMMARY_EVERY + 1))
def test_a_claim_that_airflow_let_pass_before_another_attempt_began_is_found_by_that_one(
    entries: int,
) -> None:
    """It is executed when the other attempt has read the log, and before it has registered."""
    store = Meeting()
    zombie = memory_of(store)
    for count in range(entries):
        zombie.write({count: SENT}, PLAN)
    store.before = lambda: zombie.write({77: CLAIM}, PLAN)
    second = memory_of(store, try_number=2)
    assert second.recall().records[77] == CLAIM
    assert second.recall().plan == PLAN
    second.write({78: CLAIM}, PLAN)
    # And by whoever comes later.
    third = memory_of(store, try_number=3).recall()
    assert (third.plan, set(third.records)) == (PLAN, {*range(entries), 77, 78})


def test_a_slow_claim_that_is_executed_after_another_attempt_began_does_not_count() -> None:
    store, time = Meeting(), FakeTime()
    zombie = memory_of(store, clock=lambda: time.moment)
    zombie.write({0: SENT}, PLAN)

    def begin() -> None:
        time.sleep(SLOW_SECONDS)
        assert memory_of(store, try_number=2).recall().records == {0: SENT}

    store.before = begin
    with pytest.raises(CampaignInterruptedError, match="a later attempt of this task has taken over"):
        zombie.write({1: CLAIM}, PLAN)


def test_a_slow_claim_counts_when_nobody_else_has_begun_and_a_quick_one_asks_nothing() -> None:
    store, time = CountingStore(), FakeTime()

    class Slow(Meeting):
        get = store.get

    slow = Slow(store.values)
    memory = memory_of(slow, clock=lambda: time.moment)
    store.reads.clear()
    memory.write({0: CLAIM}, PLAN)
    assert store.reads == []
    slow.before = lambda: time.sleep(SLOW_SECONDS)
    memory.write({1: CLAIM}, PLAN)
    assert store.reads == [attempt_key(2)]


def test_an_attempt_that_airflow_gave_up_is_told() -> None:
    store = FakeStore()
    memory = memory_of(store)
    store.fenced = True
    with pytest.raises(PermissionError):
        memory.write({0: CLAIM}, PLAN)


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
