"""When requests may leave: every window kept, in the order asked, whatever comes in between."""

from __future__ import annotations

import dataclasses
import itertools
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.constants import LONGEST_PENALTY, SETTLED, SLOT_MARGIN
from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.rate_limits import Window, parse_windows
from airflow_provider_voicepartner.sending.rate_limit import SlidingWindowLog
from airflow_provider_voicepartner.sending.reservations import (
    Reservation,
    TooLongError,
)
from tests.support.rate_limits import CAMPAIGN, NAME, START, Clock, count_slots, shortest, take, waits


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
    url = store.engine.url.render_as_string(hide_password=False)
    others = [SlidingWindowLog(open_store(url, clock=clock)) for _ in range(3)]
    slots = itertools.islice(itertools.cycle(others), 9)
    told = [round(window_log.reserve(NAME, [Window(2, 10)]).wait, 1) for window_log in slots]
    assert told == [0, 0, 10.1, 10.1, 20.2, 20.2, 30.3, 30.3, 40.4]


@pytest.mark.parametrize("margin", [-1, float("nan"), "0.1", 1e9])
def test_a_margin_of_nonsense_is_refused(margin: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^margin: must be from 0 to \d+ seconds$"):
        SlidingWindowLog(open_store("sqlite://"), margin=margin)


@pytest.mark.parametrize("name", ["", "x" * 121])
def test_a_name_that_the_log_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgumentError):
        SlidingWindowLog(open_store("sqlite://")).reserve(name, CAMPAIGN)
