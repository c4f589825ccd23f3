"""Requests leave in their moment however long the store takes, whatever workers do, and for long."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.constants import CONFIRM_AHEAD, SLOT_MARGIN
from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.gateways.rate_limits import Window
from airflow_provider_voicepartner.sending.rate_limit import SlidingWindowLog
from airflow_provider_voicepartner.sending.reservations import Reservation
from tests.support.examples import examples
from tests.support.rate_limits import NAME, SMALL, Clock, count_slots, shortest, take


@pytest.fixture
def clock() -> Clock:
    return Clock()


# A store that takes long


class SlowStore:
    """
    A store whose writes take their time: for the lock before they look at the clock, and for the commit after it.

    ``waits`` are the seconds for the lock, one a write; then 0.

    :param commits: seconds for the commit, one a write; the last one goes on.
    """

    def __init__(
        self, clock: Clock, monkeypatch: pytest.MonkeyPatch, *, commits: Sequence[float] = (0.0,)
    ) -> None:
        self.store = open_store("sqlite://", clock=clock)
        self.clock, self.waits, self.commits = clock, list[float](), list(commits)
        self.writes = 0
        self._write = self.store.write
        monkeypatch.setattr(self.store, "write", self.write)

    def log(self) -> SlidingWindowLog:
        """Return a log in this store, as another worker has it."""
        return SlidingWindowLog(self.store)

    @contextmanager
    def write(self) -> Iterator[Any]:
        self.writes += 1
        self.clock.now += self.waits.pop(0) if self.waits else 0.0
        with self._write() as connection:
            yield connection
        self.clock.now += self.commits.pop(0) if len(self.commits) > 1 else self.commits[0]


def test_a_slot_that_was_gone_when_its_write_was_done_is_not_used(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SlowStore(clock, monkeypatch, commits=[0.4, 0.0])
    reserved = store.log().reserve(NAME, [Window(1, 10)])
    assert not store.log().is_open(reserved)


@pytest.mark.parametrize("commit", [0.0, 0.01, 0.4, 1.5])
@pytest.mark.parametrize("lock", [0.0, 0.5, 3.0, 20.0])
def test_however_long_a_store_takes_requests_leave_in_their_moment(
    commit: float, lock: float, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = [Window(2, 10), Window(5, 60)]
    store = SlowStore(clock, monkeypatch, commits=[commit])
    window_logs = [store.log() for _ in range(3)]
    left: list[float] = []
    for window_log in itertools.islice(itertools.cycle(window_logs), 12):
        store.waits = [lock, lock / 2, lock / 3, lock]
        reserved = take(window_log, NAME, windows, sleep=clock.sleep)
        assert window_log.is_open(reserved)
        left.append(clock.now)
    for window in windows:
        assert shortest(left, window.requests + 1) >= window.seconds + SLOT_MARGIN / 2
    # Not more than three for each: one to reserve, one to find it gone, one more when the commit was slower than known.
    assert store.writes <= 12 * 3


def test_a_store_that_is_known_to_be_slow_is_asked_sooner_and_gives_later_places(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SlowStore(clock, monkeypatch, commits=[0.4])
    window_log = store.log()
    assert window_log.ahead == CONFIRM_AHEAD
    take(window_log, NAME, [Window(1, 10)], sleep=clock.sleep)
    assert window_log.ahead == pytest.approx(0.5)
    store.writes = 0
    take(window_log, NAME, [Window(1, 10)], sleep=clock.sleep)
    assert store.writes == 2
    clock.now += 60
    before = clock.now
    assert window_log.reserve(NAME, [Window(1, 10)]).at == pytest.approx(before + 0.5)
    store.commits = [0.0]
    for _ in range(8):  # it is quick again
        clock.now += 60
        window_log.reserve(NAME, [Window(1, 10)])
    assert window_log.ahead == CONFIRM_AHEAD


def test_a_worker_that_froze_while_it_looked_at_the_clocks_is_not_too_early() -> None:
    """Between its own clock and the store's: its moment seems further away by that, or nearer."""
    local, frozen = Clock(), Clock()
    store = open_store("sqlite://", clock=frozen)
    store.local_clock = local
    window_log = SlidingWindowLog(store)
    window_log.reserve(NAME, [Window(1, 10)])

    def freeze(_: Any) -> float:
        local.now += 15
        frozen.now += 15
        now = frozen.now
        local.now += 15
        frozen.now += 15
        return now

    store._slot_clock = freeze
    reserved = window_log.reserve(NAME, [Window(1, 1)])
    # Its moment, by the store's clock, came 15 s before all this ended, so it is gone.
    assert reserved.opens > reserved.closes
    assert not window_log.is_open(reserved)


# Properties

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "reserve", "reserve", "confirm", "confirm", "go", "go", "give_back", "block_for"]),
        st.integers(0, 9),
        st.sampled_from([0.0, 0.0, 0.01, 0.04, 0.06, 0.3, 1.0, 5.0]),
    ),
    max_size=60,
)  # fmt: skip


@settings(max_examples=examples(150), deadline=None)
@given(SMALL, STEPS)
def test_whatever_workers_do_no_window_is_ever_passed(
    windows: list[Window], steps: list[tuple[str, int, float]]
) -> None:
    """Workers wake early or late, release, are refused: what leaves keeps all windows and most of the margin."""
    clock = Clock()
    window_log = SlidingWindowLog(open_store("sqlite://", clock=clock))
    waiting: list[Reservation] = []
    left: list[float] = []

    def settle(reservation: Reservation) -> None:
        if window_log.is_open(reservation):
            left.append(clock.now)
        else:
            waiting.append(reservation)

    for step, which, passed in steps:
        clock.now += passed
        if step == "reserve":
            settle(window_log.reserve(NAME, windows))
        elif step == "block_for":
            window_log.block_for(NAME, passed * 2)
        elif waiting:
            reservation = waiting.pop(which % len(waiting))
            if step == "give_back":
                window_log.release(reservation)
            elif step == "go" and reservation.is_settled:
                # It sleeps, and leaves without another look, as late as it may.
                clock.now = max(clock.now, reservation.opens + passed % 0.024)
                settle(reservation)
            else:
                settle(window_log.confirm(reservation, windows))
    waiting.sort(key=lambda reservation: reservation.at)
    while waiting:
        reservation = waiting.pop(0)
        clock.now = max(clock.now, reservation.at)
        settle(window_log.confirm(reservation, windows))
    for window in windows:
        assert shortest(left, window.requests + 1) >= window.seconds + SLOT_MARGIN * 3 / 4 - 1e-6


@settings(max_examples=examples(60), deadline=None)
@given(SMALL, st.lists(st.floats(0, 3), min_size=1, max_size=40))
def test_places_are_given_in_order_as_early_as_the_windows_allow(
    windows: list[Window], gaps: list[float]
) -> None:
    clock = Clock()
    window_log = SlidingWindowLog(open_store("sqlite://", clock=clock))
    given_out: list[float] = []
    for gap in gaps:
        clock.now += gap
        at = window_log.reserve(NAME, windows).at
        assert at >= max(given_out, default=0)
        blamed = [
            given_out[-window.requests] + window.seconds + SLOT_MARGIN
            for window in windows
            if len(given_out) >= window.requests
        ]
        assert at == pytest.approx(max([clock.now, *blamed]), abs=1e-5)
        given_out.append(at)


# For long


def test_the_log_stays_short_and_the_windows_are_kept_while_it_is_pruned(clock: Clock) -> None:
    store = open_store("sqlite://", clock=clock)
    window_log = SlidingWindowLog(store)
    window_log.reserve("a name that nobody uses again", [Window(1, 1)])
    left, longest, windows = [], 0, [Window(2, 10), Window(100, 900)]
    for number in range(4000):
        reservation = take(window_log, NAME, windows, sleep=clock.sleep)
        left.append(reservation.at)
        if number % 100 == 0:
            longest = max(longest, count_slots(store))
    assert longest < 2 * 3600 / 9 + 300
    assert shortest(left, 3) >= 10
    assert shortest(left, 101) >= 900
    clock.now += 7 * 86_400
    for _ in range(256):
        window_log.reserve("another", [Window(1000, 1)])
    assert count_slots(store) <= 256


def test_a_failure_to_prune_does_not_lose_the_reservation(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store("sqlite://", clock=clock)
    window_log = SlidingWindowLog(store)

    for _ in range(127):
        window_log.reserve(NAME, [Window(1000, 60)])
    write, transactions = store.write, itertools.count()

    def fail_the_second_time() -> AbstractContextManager[Any]:
        if next(transactions) == 1:
            raise StoreUnavailableError("gone")
        return write()

    monkeypatch.setattr(store, "write", fail_the_second_time)
    assert window_log.reserve(NAME, [Window(1000, 60)]).slot == 128
    assert next(transactions) == 2


def test_without_a_retry_of_its_own_a_store_that_is_gone_is_told_at_once(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store("sqlite://", clock=clock)
    window_log, calls = SlidingWindowLog(store), itertools.count()

    def fail() -> AbstractContextManager[Any]:
        next(calls)
        raise StoreUnavailableError("gone")

    monkeypatch.setattr(store, "write", fail)
    with pytest.raises(StoreUnavailableError):
        window_log.reserve(NAME, [Window(10, 60)])
    assert next(calls) == 1
