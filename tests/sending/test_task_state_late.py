"""The log in Airflow's task state: what was acknowledged is read by whoever comes next, whatever is late or lost."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.constants import MOST_LOST_WRITES, SLOW_CLAIM, STATE_REACH, SUMMARY_EVERY
from airflow_provider_voicepartner.exceptions import (
    CampaignInterruptedError,
    RetryableNotSentError,
)
from airflow_provider_voicepartner.sending.records import Attempt, BatchRecord, Recollection
from airflow_provider_voicepartner.sending.task_state import TaskStateMemory, attempt_key, log_key
from tests.sending.test_task_state import CLAIM, PLAN, SENT, logged, memory_of, plan_of
from tests.support.examples import examples
from tests.support.ledgers import recalled
from tests.support.servers import FakeTime
from tests.support.tasks import CALM, FakeStore
from tests.support.transport import CountingStore

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


@settings(CALM, max_examples=examples(600))
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
    """Each write of a campaign in slot fails, and arrives after each of those that come after it, or after a kill."""
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
    store.fates = deque(["lost"] * MOST_LOST_WRITES)
    for _ in range(MOST_LOST_WRITES):
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
        expected = {**dict.fromkeys(range(STATE_REACH + 1, SUMMARY_EVERY), SENT), 99: SENT}
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
        time.sleep(SLOW_CLAIM)
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
    slow.before = lambda: time.sleep(SLOW_CLAIM)
    memory.write({1: CLAIM}, PLAN)
    assert store.reads == [attempt_key(2)]


def test_an_attempt_that_airflow_gave_up_is_told() -> None:
    store = FakeStore()
    memory = memory_of(store)
    store.fenced = True
    with pytest.raises(PermissionError):
        memory.write({0: CLAIM}, PLAN)


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


@pytest.mark.parametrize("idle", range(2 * SUMMARY_EVERY))
def test_a_summary_that_begins_behind_others_does_not_stand_for_them(idle: int) -> None:
    """A tail that grew long over several attempts is summed up in the middle, and the next summary begins there."""
    for before in (8, 15, 31):
        model = Model()
        for _ in range(idle):
            model.attempt("ok")
        for count in (15, before, 15, 40):
            model.attempt("ok")
            model.run([("many", count)])
        model.attempt("ok")
