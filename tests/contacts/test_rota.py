"""Who is on call: exactly one person at each instant, whatever the calendar and daylight saving do."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.contacts.rota import HandOver, OnCall, Override, Reason, Rota, Shift
from tests.support.examples import examples

PARIS = ZoneInfo("Europe/Paris")
ZONES = (
    "Europe/Paris", "UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Sao_Paulo",
    "Pacific/Apia", "Africa/Casablanca", "Asia/Beirut",
)  # fmt: skip
"""With daylight saving in either half of the year, of half an hour, at midnight, and with a day left out."""

MEMBERS = ("anne", "bruno", "chloe")
WEEKLY = HandOver(time(9), 0)
DAILY = HandOver(time(9))


def rota(
    members: tuple[str, ...] = MEMBERS,
    hand_over: HandOver = WEEKLY,
    start: date = date(2026, 1, 5),
    zone: ZoneInfo = PARIS,
    overrides: tuple[Override, ...] = (),
    holidays: dict[date, str] | None = None,
) -> Rota:
    return Rota(
        members=members,
        hand_over=hand_over,
        start=start,
        zone=zone,
        overrides=overrides,
        holidays=holidays or {},
    )


def paris(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, second, tzinfo=PARIS)


class TestHandingOver:
    def test_each_week_the_next_one_takes_over(self) -> None:
        weekly = rota()
        assert weekly.who(paris(2026, 1, 5, 9)) == "anne"
        assert weekly.who(paris(2026, 1, 12, 8, 59, 59)) == "anne"
        assert weekly.who(paris(2026, 1, 12, 9)) == "bruno"
        assert weekly.who(paris(2026, 1, 19, 9)) == "chloe"
        assert weekly.who(paris(2026, 1, 26, 9)) == "anne"

    def test_each_day_the_next_one_takes_over(self) -> None:
        daily = rota(hand_over=DAILY)
        days = [daily.who(paris(2026, 1, 5 + day, 12)) for day in range(5)]
        assert days == ["anne", "bruno", "chloe", "anne", "bruno"]

    def test_a_start_within_the_week_waits_for_the_first_hand_over(self) -> None:
        late = rota(start=date(2026, 1, 7))
        assert late.who(paris(2026, 1, 12, 9)) == "anne"
        assert late.who(paris(2026, 1, 19, 9)) == "bruno"

    def test_before_the_first_hand_over_the_first_one_is_on_call(self) -> None:
        assert rota().who(paris(2025, 6, 1)) == "anne"
        assert rota().who(paris(2026, 1, 5, 8, 59)) == "anne"

    def test_the_clock_on_the_wall_counts_in_summer_and_winter(self) -> None:
        weekly = rota()
        assert weekly.who(datetime(2026, 3, 23, 7, 59, 59, tzinfo=UTC)) == "bruno"
        assert weekly.who(datetime(2026, 3, 23, 8, tzinfo=UTC)) == "chloe"
        # Daylight saving began on the 29th: 9:00 is an hour earlier in UTC.
        assert weekly.who(datetime(2026, 3, 30, 6, 59, 59, tzinfo=UTC)) == "chloe"
        assert weekly.who(datetime(2026, 3, 30, 7, tzinfo=UTC)) == "anne"

    def test_who_asks_in_another_zone_gets_the_same_answer(self) -> None:
        tokyo = ZoneInfo("Asia/Tokyo")
        assert rota().who(paris(2026, 1, 12, 9).astimezone(tokyo)) == "bruno"


class TestOverridesAndHolidays:
    def test_an_override_goes_before_the_rota_and_ends(self) -> None:
        one = Override(paris(2026, 1, 6, 18), paris(2026, 1, 7, 9), "chloe")
        with_override = rota(overrides=(one,))
        assert with_override.who(paris(2026, 1, 6, 17, 59)) == "anne"
        assert with_override.who(paris(2026, 1, 6, 18)) == "chloe"
        assert with_override.who(paris(2026, 1, 7, 9)) == "anne"

    def test_of_two_overrides_the_later_in_the_list_counts(self) -> None:
        first = Override(paris(2026, 1, 6), paris(2026, 1, 8), "bruno")
        second = Override(paris(2026, 1, 7), paris(2026, 1, 9), "chloe")
        assert rota(overrides=(first, second)).who(paris(2026, 1, 7, 12)) == "chloe"
        assert rota(overrides=(second, first)).who(paris(2026, 1, 7, 12)) == "bruno"

    def test_a_holiday_lasts_from_midnight_to_midnight(self) -> None:
        off = rota(holidays={date(2026, 1, 8): "bruno"})
        assert off.who(paris(2026, 1, 7, 23, 59, 59)) == "anne"
        assert off.who(paris(2026, 1, 8)) == "bruno"
        assert off.who(paris(2026, 1, 9)) == "anne"

    def test_an_override_goes_before_a_holiday(self) -> None:
        one = Override(paris(2026, 1, 8, 12), paris(2026, 1, 8, 13), "chloe")
        off = rota(overrides=(one,), holidays={date(2026, 1, 8): "bruno"})
        assert off.who(paris(2026, 1, 8, 12)) == "chloe"
        assert off.who(paris(2026, 1, 8, 13)) == "bruno"


class TestWhatComesNext:
    def test_until_the_hand_over_and_then_the_next_member(self) -> None:
        found = rota().on_call(paris(2026, 1, 6))
        assert found == OnCall("anne", Reason.ROTA, paris(2026, 1, 12, 9).astimezone(UTC), "bruno")

    def test_an_override_comes_first(self) -> None:
        one = Override(paris(2026, 1, 7), paris(2026, 1, 8), "chloe")
        assert rota(overrides=(one,)).on_call(paris(2026, 1, 6)).then == "chloe"
        found = rota(overrides=(one,)).on_call(paris(2026, 1, 7, 1))
        assert found == OnCall("chloe", Reason.OVERRIDE, paris(2026, 1, 8).astimezone(UTC), "anne")

    def test_hand_overs_to_the_same_person_are_none(self) -> None:
        found = rota(members=("anne", "anne", "bruno")).on_call(paris(2026, 1, 6))
        assert found.until == paris(2026, 1, 19, 9).astimezone(UTC)

    def test_a_rota_of_one_person_has_no_end(self) -> None:
        assert rota(members=("anne",)).on_call(paris(2026, 1, 6)) == OnCall("anne", Reason.ROTA)

    def test_a_rota_of_one_person_ends_at_an_override(self) -> None:
        one = Override(paris(2027, 1, 7), paris(2027, 1, 8), "chloe")
        alone = rota(members=("anne",), overrides=(one,))
        assert alone.on_call(paris(2026, 1, 6)).until == one.begin
        assert alone.on_call(paris(2027, 1, 9)).until is None


class TestShifts:
    def test_one_for_each_hand_over_even_of_one_person(self) -> None:
        shifts = list(rota(members=("anne",)).shifts(paris(2026, 1, 5, 9), paris(2026, 1, 26, 9)))
        assert [(shift.begin, shift.end) for shift in shifts] == [
            (paris(2026, 1, day, 9), paris(2026, 1, day + 7, 9)) for day in (5, 12, 19)
        ]

    def test_an_override_is_one_shift_though_hand_overs_lie_within(self) -> None:
        one = Override(paris(2026, 1, 6), paris(2026, 1, 20), "chloe")
        shifts = list(rota(overrides=(one,)).shifts(paris(2026, 1, 5, 9), paris(2026, 1, 26, 9)))
        assert [(shift.who, shift.reason) for shift in shifts] == [
            ("anne", Reason.ROTA), ("chloe", Reason.OVERRIDE), ("chloe", Reason.ROTA),
        ]  # fmt: skip

    def test_nothing_within_no_time(self) -> None:
        assert list(rota().shifts(paris(2026, 1, 5), paris(2026, 1, 5))) == []


# For years on end, leap days and clock changes within.

moments = st.datetimes(datetime(2001, 1, 1), datetime(2039, 12, 31)).map(lambda at: at.replace(tzinfo=UTC))
hand_overs = st.builds(
    HandOver,
    st.times().map(lambda at: at.replace(second=0, microsecond=0, fold=0)),
    st.none() | st.integers(0, 6),
)
names = st.sampled_from(("anne", "bruno", "chloe", "dora"))


@st.composite
def overrides(draw: st.DrawFn) -> Override:
    begin = draw(moments)
    return Override(begin, begin + timedelta(minutes=draw(st.integers(1, 40_000))), draw(names))


rotas = st.builds(
    Rota,
    members=st.lists(names, min_size=1, max_size=6).map(tuple),
    hand_over=hand_overs,
    start=st.dates(date(2000, 1, 1), date(2039, 12, 31)),
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    overrides=st.lists(overrides(), max_size=4).map(tuple),
    holidays=st.dictionaries(st.dates(date(2001, 1, 1), date(2039, 12, 31)), names, max_size=4),
)


@settings(max_examples=examples(150), deadline=None)
@given(rotas, moments, st.integers(1, 400))
def test_shifts_leave_no_gap_and_never_overlap(one: Rota, begin: datetime, days: int) -> None:
    end = begin + timedelta(days=days)
    shifts = list(one.shifts(begin, end))
    assert shifts[0].begin == begin
    assert shifts[-1].end == end
    assert all(shift.begin < shift.end for shift in shifts)
    assert all(earlier.end == later.begin for earlier, later in pairwise(shifts))


@settings(max_examples=examples(150), deadline=None)
@given(rotas, moments, st.floats(0, 0.999))
def test_whoever_is_asked_for_is_who_has_the_shift(one: Rota, begin: datetime, part: float) -> None:
    for shift in list(one.shifts(begin, begin + timedelta(days=60)))[:20]:
        inside = shift.begin + (shift.end - shift.begin) * part
        assert {one.who(shift.begin), one.who(inside), one.who(shift.end - timedelta(microseconds=1))} == {
            shift.who
        }


@settings(max_examples=examples(150), deadline=None)
@given(rotas, moments)
def test_an_override_decides_then_a_holiday_then_the_turn(one: Rota, at: datetime) -> None:
    covering = [override.who for override in one.overrides if override.begin <= at < override.end]
    holiday = one.holidays.get(at.astimezone(one.zone).date())
    expected = {covering[-1]} if covering else {holiday} if holiday else set(one.members)
    assert one.who(at) in expected


@settings(max_examples=examples(40), deadline=None)
@given(hand_overs, st.dates(date(2000, 1, 1), date(2035, 1, 1)), st.sampled_from(ZONES).map(ZoneInfo))
def test_turns_are_even_and_begin_at_the_clock_on_the_wall(
    hand_over: HandOver, start: date, zone: ZoneInfo
) -> None:
    plain = rota(hand_over=hand_over, start=start, zone=zone)
    first = datetime.combine(hand_over.first_day(start), hand_over.at, tzinfo=zone).astimezone(UTC)
    shifts = list(plain.shifts(first, first + timedelta(days=9 * 366)))
    whole = [shift for shift in shifts[1:-1] if not is_cut(shift, zone)]
    assert len(whole) > 9 * 45
    for shift in whole:
        local = shift.begin.astimezone(zone)
        assert (local.hour, local.minute) == (hand_over.at.hour, hand_over.at.minute)
        assert hand_over.weekday in (None, local.weekday())
    turns = [shift.who for shift in shifts[:-1]]
    skipped = 1 if zone.key == "Pacific/Apia" else 0  # the day that Samoa left out has no shift
    assert max(Counter(turns).values()) - min(Counter(turns).values()) <= 1 + skipped
    changes = [MEMBERS.index(later) - MEMBERS.index(earlier) for earlier, later in pairwise(turns)]
    assert sum(change % len(MEMBERS) != 1 for change in changes) <= skipped


def is_cut(shift: Shift, zone: ZoneInfo) -> bool:
    """Say whether a shift begins at a time that the clock left out that day."""
    local = shift.begin.astimezone(zone)
    before = (shift.begin - timedelta(hours=26)).astimezone(zone)
    return local.utcoffset() != before.utcoffset()


@pytest.mark.parametrize("hand_over", [HandOver(time(2, 30)), HandOver(time(2, 30), 6)])
def test_a_time_that_is_left_out_or_comes_twice_hands_over_once(hand_over: HandOver) -> None:
    at_night = rota(hand_over=hand_over, start=date(2026, 1, 4))
    for begin, hours in (((2026, 3, 29), 23), ((2026, 10, 25), 25)):
        day = paris(*begin)
        shifts = list(at_night.shifts(day, day.astimezone(UTC) + timedelta(hours=hours)))
        assert len(shifts) == 2
        assert shifts[0].who != shifts[1].who
