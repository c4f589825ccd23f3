"""When requests may leave: every window kept, in the order asked, whatever comes in between."""

from __future__ import annotations

import dataclasses
import itertools
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from airflow_provider_voicepartner.constants import CONFIRM_AHEAD, LONGEST_PENALTY, SETTLED, SLOT_MARGIN
from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.info import own_gateways
from airflow_provider_voicepartner.gateways.limits import Window, Windows, parse_windows
from airflow_provider_voicepartner.sending.rate_limit import (
    Reservation,
    SlidingWindowLog,
    TooLongError,
    estimate,
    limit_name,
    margin_of,
)

NAME = "voicepartner:campaign/send:test"
CAMPAIGN = (Window(5, 60), Window(2000, 3600))
START = 1_900_000_000.0

SECONDS = st.floats(0.001, 86_400) | st.integers(1, 86_400)
WINDOWS = st.lists(st.builds(Window, st.integers(1, 100_000), SECONDS), min_size=1, max_size=4)


@dataclass
class Clock:
    """Time that passes when it is told to."""

    now: float = START

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def take(
    window_log: SlidingWindowLog, name: str, windows: Sequence[Window], *, sleep: Callable[[float], object]
) -> Reservation:
    """Reserve and come to it, as a rate limiter does."""
    return window_log.wait_for_slot(window_log.reserve(name, windows), windows, sleep=sleep)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Store]:
    url = {"memory": "sqlite://", "sqlite": f"sqlite:///{tmp_path}/store.db"}.get(request.param)
    opened = open_store(url or request.getfixturevalue("postgres_url"), clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def window_log(store: Store) -> SlidingWindowLog:
    return SlidingWindowLog(store)


def waits(window_log: SlidingWindowLog, windows: Sequence[Window], count: int) -> list[float]:
    return [round(window_log.reserve(NAME, windows).wait, 3) for _ in range(count)]


def count_slots(store: Store) -> int:
    with store.read() as connection:
        return int(connection.execute(text("SELECT count(*) FROM voicepartner_rate_slot")).scalar_one())


def shortest(times: Sequence[float], requests: int) -> float:
    """Return the shortest time that so many requests took."""
    ordered = sorted(times)
    return min(
        (last - first for first, last in zip(ordered, ordered[requests - 1 :], strict=False)), default=1e9
    )


# How limits are written


@given(WINDOWS)
def test_what_is_written_is_read_back(windows: list[Window]) -> None:
    windows = [Window(window.requests, round(window.seconds, 9)) for window in windows]
    unique = list({window.seconds: window for window in windows}.values())
    assert parse_windows(", ".join(map(str, unique))) == tuple(unique)


@given(st.text(max_size=30) | st.text("0123456789/., ne", max_size=12))
def test_any_text_is_read_or_refused_with_the_arguments_name(written: str) -> None:
    try:
        windows = parse_windows(written, argument="rate_limits")
    except InvalidArgumentError as refused:
        error = refused
    else:
        assert windows or written.strip().casefold() == "none"
        return
    assert error.argument == "rate_limits"
    assert len(str(error)) < 300


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("", "'5/60, 2000/3600'"), ("5", "'5' is not"), ("5/60,", "''"), ("5/60 2000/3600", "is not"),
        ("-5/60", "is not"), ("0/60", "requests"), ("100001/60", "requests"), ("5/0", "seconds"),
        ("5/86401", "seconds"), ("5/inf", "is not"), ("5/1e3", "is not"), ("٥/60", "is not"),
        ("5/60, 6/60", "two limits"), (5, "must be a text"), (None, "must be a text"),
        ("5/" + "9" * 5000, "is not"),
    ],
)  # fmt: skip
def test_a_limit_that_makes_no_sense_is_told_with_the_way_to_write_it(written: object, told: str) -> None:
    with pytest.raises(InvalidArgumentError, match="rate_limits: ") as caught:
        parse_windows(written)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("requests", "seconds"),
    [
        (0, 1),
        (True, 1),
        (1.0, 1),
        ("1", 1),
        (1, 0),
        (1, float("nan")),
        (1, float("inf")),
        (1, True),
        (1, "1"),
    ],
)
def test_a_window_takes_no_nonsense(requests: Any, seconds: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        Window(requests, seconds)


def limits_of(gateway: str, endpoint: str) -> Windows:
    return own_gateways()[gateway].limits_of(endpoint)


def test_the_documented_limits_are_there_and_cannot_be_changed() -> None:
    assert limits_of("voicepartner", "campaign/send") == parse_windows("5/60, 2000/3600")
    assert limits_of("voicepartner", "tts/send") == parse_windows("2000/3600")
    for gateway, endpoint in [("smspartner", "send"), ("octopush", "sms-campaign/send"), ("octopush", "x")]:
        assert limits_of(gateway, endpoint) == parse_windows(" None ")
    with pytest.raises(TypeError):
        own_gateways()["voicepartner"].endpoints["me"] = ""


def test_a_limits_name_tells_the_account_apart_and_does_not_tell_the_key() -> None:
    names = {
        limit_name(gateway, endpoint, key)
        for gateway in ("voicepartner", "octopush")
        for endpoint in ("tts/send", "me")
        for key in ("planted-key-1", "planted-key-2")
    }
    assert len(names) == 8
    assert limit_name("octopush", "me", "planted-key-1") in names
    assert not any("planted" in name for name in names)
    with pytest.raises(InvalidArgumentError):
        limit_name("octopush", "me", "")


# Reserving


def test_requests_go_at_once_until_the_limit_and_then_when_the_window_has_passed(
    window_log: SlidingWindowLog, clock: Clock
) -> None:
    assert waits(window_log, [Window(3, 10)], 7) == [0, 0, 0, 10.1, 10.1, 10.1, 20.2]
    clock.now += 25
    assert waits(window_log, [Window(3, 10)], 3) == [0, 0, 5.3]


def test_several_windows_hold_at_once(window_log: SlidingWindowLog) -> None:
    assert waits(window_log, [Window(2, 3), Window(5, 30)], 8) == [0, 0, 3.1, 3.1, 6.2, 30.1, 30.1, 33.2]


def test_limits_of_different_names_do_not_touch_each_other(window_log: SlidingWindowLog) -> None:
    assert waits(window_log, [Window(1, 60)], 2) == [0, 60.1]
    assert window_log.reserve("octopush:other", [Window(1, 60)]).wait == 0


def test_a_wait_that_is_too_long_is_told_and_reserves_nothing(
    window_log: SlidingWindowLog, clock: Clock, store: Store
) -> None:
    window_log.reserve(NAME, [Window(1, 60)])
    with pytest.raises(TooLongError, match=r"60\.1 s") as caught:
        window_log.reserve(NAME, [Window(1, 60)], max_delay=30)
    assert (caught.value.at, caught.value.wait) == pytest.approx((START + 60.1, 60.1))
    assert count_slots(store) == 1
    assert window_log.reserve(NAME, [Window(1, 60)], max_delay=61).at == pytest.approx(START + 60.1)


def test_a_reservation_outlives_its_worker_as_json(window_log: SlidingWindowLog, clock: Clock) -> None:
    """A deferred task keeps its place: others that ask meanwhile come behind it."""
    window_log.reserve(NAME, [Window(1, 60)])
    kept = json.loads(json.dumps(dataclasses.asdict(window_log.reserve(NAME, [Window(1, 60)]))))
    assert window_log.reserve(NAME, [Window(1, 60)]).wait == pytest.approx(120.2)
    clock.now += 55
    early = window_log.confirm(Reservation(**kept), [Window(1, 60)])
    assert early.wait == pytest.approx(5.1)
    clock.sleep(early.wait)
    assert window_log.confirm(early, [Window(1, 60)]).wait == 0


def test_what_never_left_can_be_given_back(window_log: SlidingWindowLog, store: Store) -> None:
    kept, unused = (window_log.reserve(NAME, [Window(1, 60)]) for _ in range(2))
    window_log.release(unused)
    again = window_log.reserve(NAME, [Window(1, 60)])
    assert again.at == unused.at
    window_log.release(unused)  # twice, and the number is not given anew: the other worker's stays
    assert count_slots(store) == 2
    assert again.slot not in (kept.slot, unused.slot)


def test_take_sleeps_until_it_may_leave(window_log: SlidingWindowLog, clock: Clock) -> None:
    left = []
    for _ in range(3):
        take(window_log, NAME, [Window(1, 10)], sleep=clock.sleep)
        left.append(round(clock.now - START, 3))
    assert left == [0, 10.1, 20.2]


def test_an_interrupted_wait_gives_its_place_back(window_log: SlidingWindowLog, store: Store) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    window_log.reserve(NAME, [Window(1, 10)])
    with pytest.raises(KeyboardInterrupt):
        take(window_log, NAME, [Window(1, 10)], sleep=interrupted)
    assert count_slots(store) == 1


# Coming late


def test_a_worker_that_wakes_a_little_late_may_go(window_log: SlidingWindowLog, clock: Clock) -> None:
    window_log.reserve(NAME, [Window(1, 10)])
    second = window_log.reserve(NAME, [Window(1, 10)])
    clock.now = second.at + SLOT_MARGIN / 4 - 0.001
    settled = window_log.confirm(second, [Window(1, 10)])
    assert (settled.at, settled.wait) == (second.at, 0)
    assert window_log.is_open(settled)


@pytest.mark.parametrize(
    ("windows", "margin", "latest"),
    [
        ("5/60, 2000/3600", 0.5, 0.125), ("10/5", 0.5, 0.05), ("10/10", 0.5, 0.1), ("10/5, 100/60", 0.5, 0.05),
        ("2/1", 0.5, 0.05), ("5/60", 0.1, 0.025), ("5/60", 0, 0),
    ],
)  # fmt: skip
def test_a_quarter_of_the_margin_is_how_late_a_request_may_leave(
    windows: str, margin: float, latest: float
) -> None:
    clock = Clock()
    window_log = SlidingWindowLog(open_store("sqlite://", clock=clock), margin=margin)
    reserved = window_log.reserve(NAME, parse_windows(windows))
    assert reserved.closes - reserved.opens == pytest.approx(latest, abs=1e-6)
    assert window_log.is_open(reserved)
    clock.now += latest + 0.001
    assert not window_log.is_open(reserved)


@pytest.mark.parametrize(
    ("seconds", "margin", "added"),
    [(1, 0.5, 0.2), (5, 0.5, 0.2), (10, 0.5, 0.4), (12.5, 0.5, 0.5), (60, 0.5, 0.5), (3600, 0.5, 0.5),
     (5, 0.1, 0.1), (60, 0, 0), (60, 3, 2.4)],
)  # fmt: skip
def test_short_windows_get_less_of_a_margin(seconds: float, margin: float, added: float) -> None:
    assert margin_of(Window(5, seconds), margin) == pytest.approx(added)
    assert margin > 0.5 or seconds < 5 or seconds / (seconds + added) >= 0.95


def test_a_worker_that_wakes_late_goes_first_and_the_others_make_room(
    window_log: SlidingWindowLog, clock: Clock
) -> None:
    window = [Window(1, 10)]
    _, second, third, fourth = (window_log.reserve(NAME, window) for _ in range(4))
    clock.now = second.at + 4
    late = window_log.confirm(second, window)
    assert (late.wait, late.at) == (0, clock.now)
    moved = [window_log.confirm(reservation, window).at - late.at for reservation in (third, fourth)]
    assert moved == pytest.approx([10.1, 20.2])


def test_nobody_makes_room_who_may_leave_without_another_look(
    window_log: SlidingWindowLog, clock: Clock
) -> None:
    """Who asked shortly before its moment sleeps until it, and would not learn that it moved."""
    window = [Window(1, 10)]
    _, late, settled, other = (window_log.reserve(NAME, window) for _ in range(4))
    clock.now = settled.at - SETTLED
    settled = window_log.confirm(settled, window)
    assert settled.is_settled
    assert settled.wait == pytest.approx(SETTLED)
    moved = window_log.confirm(late, window)
    assert moved.at == pytest.approx(settled.at + 10.1)
    assert window_log.confirm(settled, window).at == settled.at
    assert window_log.confirm(other, window).at == pytest.approx(settled.at + 20.2)


def test_who_has_to_wait_longer_looks_again(window_log: SlidingWindowLog, clock: Clock) -> None:
    window = [Window(1, 10)]
    first, second = (window_log.reserve(NAME, window) for _ in range(2))
    assert first.is_settled
    assert not second.is_settled
    clock.now = second.at - SETTLED - 0.001
    assert not window_log.confirm(second, window).is_settled


def test_a_worker_that_slept_through_the_next_ones_turn_goes_behind_them(
    window_log: SlidingWindowLog, clock: Clock
) -> None:
    window = [Window(2, 10)]
    _, _, late, second, third = (window_log.reserve(NAME, window) for _ in range(5))
    clock.now = third.at
    assert window_log.confirm(third, window).wait == 0
    assert (
        window_log.confirm(second, window).wait == 0
    )  # its slot was before, and there is room beside the third
    assert window_log.confirm(late, window).wait == pytest.approx(10.1)


def test_many_that_froze_together_delay_the_others_once(window_log: SlidingWindowLog, clock: Clock) -> None:
    window = [Window(4, 10)]
    reservations = [window_log.reserve(NAME, window) for _ in range(12)]
    clock.now = reservations[4].at + 1
    assert [window_log.confirm(reservation, window).wait for reservation in reservations[4:8]] == [0] * 4
    behind = [window_log.confirm(reservation, window).wait for reservation in reservations[8:]]
    assert behind == pytest.approx([10.1] * 4)


def test_a_place_that_was_cleared_away_meanwhile_is_asked_for_anew(
    window_log: SlidingWindowLog, clock: Clock
) -> None:
    window_log.reserve(NAME, [Window(1, 10)])
    second = window_log.reserve(NAME, [Window(1, 10)])
    window_log.release(second)
    anew = window_log.confirm(second, [Window(1, 10)])
    assert anew.at == second.at
    assert anew.slot != second.slot


# A store that takes long


class SlowStore:
    """
    A store whose writes take their time: for the lock before they look at the clock, and for the commit after it.

    :param waits: seconds for the lock, one a write; then 0.
    :param commits: seconds for the commit, one a write; the last one goes on.
    """

    def __init__(
        self, clock: Clock, *, waits: Sequence[float] = (), commits: Sequence[float] = (0.0,)
    ) -> None:
        self.store = open_store("sqlite://", clock=clock)
        self.clock, self.waits, self.commits = clock, list(waits), list(commits)
        self.writes = 0

    @contextmanager
    def write(self) -> Iterator[Any]:
        self.writes += 1
        self.clock.now += self.waits.pop(0) if self.waits else 0.0
        with self.store.write() as connection:
            yield connection
        self.clock.now += self.commits.pop(0) if len(self.commits) > 1 else self.commits[0]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


def test_a_turn_that_was_gone_when_its_write_was_done_is_not_used(clock: Clock) -> None:
    store = SlowStore(clock, commits=[0.4, 0.0])
    reserved = SlidingWindowLog(store).reserve(NAME, [Window(1, 10)])  # type: ignore[arg-type]
    assert not SlidingWindowLog(store).is_open(reserved)  # type: ignore[arg-type]


@pytest.mark.parametrize("commit", [0.0, 0.01, 0.4, 1.5])
@pytest.mark.parametrize("lock", [0.0, 0.5, 3.0, 20.0])
def test_however_long_a_store_takes_requests_leave_in_their_moment(
    commit: float, lock: float, clock: Clock
) -> None:
    windows = [Window(2, 10), Window(5, 60)]
    store = SlowStore(clock, commits=[commit])
    window_logs = [SlidingWindowLog(store) for _ in range(3)]  # type: ignore[arg-type]
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


def test_a_store_that_is_known_to_be_slow_is_asked_sooner_and_gives_later_places(clock: Clock) -> None:
    store = SlowStore(clock, commits=[0.4])
    window_log = SlidingWindowLog(store)  # type: ignore[arg-type]
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

    store._pace = freeze
    reserved = window_log.reserve(NAME, [Window(1, 1)])
    # Its moment, by the store's clock, came 15 s before all this ended, so it is gone.
    assert reserved.opens > reserved.closes
    assert not window_log.is_open(reserved)


# Penalties


def test_after_a_refusal_everybody_waits_and_keeps_the_order(
    window_log: SlidingWindowLog, clock: Clock
) -> None:
    window = [Window(2, 10)]
    reservations = [window_log.reserve(NAME, window) for _ in range(5)]
    assert window_log.block_for(NAME, 60) == START + 60
    waits = [window_log.confirm(reservation, window).wait for reservation in reservations[2:]]
    assert waits == pytest.approx([60, 60, 70.1])
    assert window_log.reserve(NAME, window).wait == pytest.approx(70.1)
    assert window_log.block_for(NAME, 5) == START + 60, "a shorter penalty does not shorten a longer one"


def test_a_penalty_holds_back_who_was_just_about_to_go(window_log: SlidingWindowLog, clock: Clock) -> None:
    window = [Window(2, 10)]
    reservations = [window_log.reserve(NAME, window) for _ in range(5)]
    clock.now = reservations[2].at
    window_log.block_for(NAME, 60)
    waits = [window_log.confirm(reservation, window).wait for reservation in reservations[2:]]
    assert waits == pytest.approx([60, 60, 70.1])


def test_a_penalty_of_a_quiet_or_unlimited_endpoint_counts_too(
    window_log: SlidingWindowLog, clock: Clock
) -> None:
    window_log.block_for(NAME, 7)
    assert window_log.reserve(NAME, [Window(5, 60)]).wait == 7
    unlimited = window_log.reserve(NAME, [])
    assert (unlimited.wait, unlimited.slot) == (7, None)
    with pytest.raises(TooLongError):
        window_log.reserve(NAME, [], max_delay=6)
    clock.now += 5
    assert window_log.confirm(unlimited, []).wait == 2
    clock.now += 5
    assert window_log.confirm(unlimited, []).wait == 0
    window_log.release(unlimited)


def test_an_unlimited_endpoint_leaves_nothing_in_the_log(window_log: SlidingWindowLog, store: Store) -> None:
    assert waits(window_log, [], 20) == [0] * 20
    assert count_slots(store) == 0


@pytest.mark.parametrize(
    ("remaining", "reset_in", "wait"),
    [
        (0, 20.0, 20), (-1, 20.0, 20), (1, 20.0, 0), (None, 20.0, 0),
        (0, None, 0), (0, 0.0, 0), (0, -5.0, 0), (0, 1e9, LONGEST_PENALTY),
    ],
)  # fmt: skip
def test_rate_limit_headers_teach_all_workers(
    clock: Clock, remaining: int | None, reset_in: float | None, wait: float
) -> None:
    window_log = SlidingWindowLog(open_store("sqlite://", clock=clock))
    window_log.observe(NAME, remaining, reset_in)
    assert window_log.reserve(NAME, [Window(5, 60)]).wait == wait


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_a_penalty_of_nonsense_is_refused(seconds: float) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^seconds: must be 0 or more$"):
        SlidingWindowLog(open_store("sqlite://")).block_for(NAME, seconds)


# Properties

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "reserve", "reserve", "confirm", "confirm", "go", "go", "give_back", "block_for"]),
        st.integers(0, 9),
        st.sampled_from([0.0, 0.0, 0.01, 0.04, 0.06, 0.3, 1.0, 5.0]),
    ),
    max_size=60,
)  # fmt: skip
SMALL = st.lists(
    st.builds(Window, st.integers(1, 6), st.sampled_from([0.5, 1.0, 3.0, 10.0])),
    min_size=1, max_size=3, unique_by=lambda window: window.seconds,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
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


@settings(max_examples=60, deadline=None)
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


@settings(max_examples=60, deadline=None)
@given(SMALL, st.integers(0, 60))
def test_the_estimate_is_what_the_pacer_then_does(windows: list[Window], requests: int) -> None:
    window_log = SlidingWindowLog(open_store("sqlite://", clock=Clock()))
    waits = [window_log.reserve(NAME, windows).wait for _ in range(requests)]
    assert estimate(windows, requests) == pytest.approx(waits[-1] if waits else 0, abs=1e-4)


def test_a_campaign_of_a_million_voicemails_takes_hours() -> None:
    assert estimate(CAMPAIGN, 2000) == pytest.approx(399 * 60.1)
    assert estimate((), 2000) == 0


# Many at once, and for long


def test_threads_share_one_window_log(window_log: SlidingWindowLog, store: Store) -> None:
    window = [Window(3, 10)]
    given_out: list[Reservation] = []
    errors: list[BaseException] = []

    def reserve() -> None:
        try:
            for _ in range(6):
                given_out.append(window_log.reserve(NAME, window))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=reserve) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len({reservation.slot for reservation in given_out}) == 36
    assert shortest([reservation.at for reservation in given_out], 4) >= 10


def test_workers_with_their_own_connections_agree(
    store: Store, clock: Clock, request: pytest.FixtureRequest
) -> None:
    if "memory" in request.node.name:
        pytest.skip("memory belongs to one store")
    url = store._engine.url.render_as_string(hide_password=False)
    others = [SlidingWindowLog(open_store(url, clock=clock)) for _ in range(3)]
    slots = itertools.islice(itertools.cycle(others), 9)
    told = [round(window_log.reserve(NAME, [Window(2, 10)]).wait, 1) for window_log in slots]
    assert told == [0, 0, 10.1, 10.1, 20.2, 20.2, 30.3, 30.3, 40.4]


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


@pytest.mark.parametrize("margin", [-1, float("nan"), "0.1", 1e9])
def test_a_margin_of_nonsense_is_refused(margin: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^margin: must be from 0 to \d+ seconds$"):
        SlidingWindowLog(open_store("sqlite://"), margin=margin)


@pytest.mark.parametrize("name", ["", "x" * 121])
def test_a_name_that_the_log_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgumentError):
        SlidingWindowLog(open_store("sqlite://")).reserve(name, CAMPAIGN)
