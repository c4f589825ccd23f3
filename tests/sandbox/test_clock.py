from __future__ import annotations

import pytest

from airflow_provider_voicepartner.sandbox.clock import Clock, paris_text


class Wall:
    def __init__(self) -> None:
        self.time = 1_000_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def wall() -> Wall:
    return Wall()


def test_at_speed_one_both_hands_show_the_wall(wall: Wall) -> None:
    clock = Clock(wall=wall)
    wall.time += 90
    assert clock.now() == clock.calendar() == 1_000_090


def test_messages_live_faster_than_the_calendar(wall: Wall) -> None:
    clock = Clock(speed=60, wall=wall)
    wall.time += 10
    assert clock.now() == 1_000_600
    assert clock.calendar() == 1_000_010


def test_a_date_ten_minutes_ahead_comes_in_ten_seconds_at_speed_sixty(wall: Wall) -> None:
    clock = Clock(speed=60, wall=wall)
    wall.time += 1000
    moment = clock.moment_of(wall.time + 600)
    assert clock.wall_seconds_until(moment) == pytest.approx(10)


def test_advance_moves_both_hands(wall: Wall) -> None:
    clock = Clock(speed=60, wall=wall)
    clock.advance(3600)
    assert clock.now() == clock.calendar() == 1_003_600


def test_the_calendar_shows_past_moments_as_they_were_shown_then(wall: Wall) -> None:
    clock = Clock(speed=10, wall=wall)
    wall.time += 5
    before = clock.now()
    clock.advance(100)
    inside = clock.now() - 40
    wall.time += 7
    after = clock.now()
    clock.set_speed(2)
    wall.time += 3
    assert clock.calendar_of(before) == pytest.approx(1_000_005)
    assert clock.calendar_of(inside) == pytest.approx(1_000_065)
    assert clock.calendar_of(after) == pytest.approx(1_000_112)
    assert clock.calendar_of(clock.now()) == pytest.approx(clock.calendar())


def test_speed_zero_stands_still_until_advanced(wall: Wall) -> None:
    clock = Clock(speed=0, wall=wall)
    wall.time += 500
    assert clock.now() == clock.calendar() == 1_000_000
    assert clock.wall_seconds_until(clock.now() + 1) is None
    clock.advance(1)
    assert clock.now() == 1_000_001


def test_time_goes_on_while_the_sandbox_is_down(wall: Wall) -> None:
    clock = Clock(speed=2, wall=wall)
    clock.advance(1000)
    dumped = clock.dump()
    wall.time += 30
    later = Clock(speed=2, wall=wall)
    later.load(dumped)
    assert later.now() == 1_001_060
    assert later.calendar() == 1_001_030


def test_time_never_moves_back(wall: Wall) -> None:
    clock = Clock(wall=wall)
    with pytest.raises(ValueError, match="forward"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="0 or more"):
        clock.set_speed(-1)
    wall.time -= 50
    assert clock.now() == 1_000_000


def test_dates_without_a_zone_are_shown_in_paris() -> None:
    assert paris_text(1_935_836_171) == "2031-05-06 14:16:11"
