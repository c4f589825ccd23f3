"""Dates: aware and ahead before they go out, and read in every form in which they come back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pendulum
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.gateways.dates import (
    PARIS,
    is_before,
    read_date,
    require_future,
    require_future_second,
    require_future_slot,
    round_up_to_minutes,
)
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from tests.support.examples import examples

NOW = datetime(2031, 5, 6, 12, 0, tzinfo=UTC)
AT = pendulum.datetime(2031, 5, 6, 14, 16, 11, tz="Europe/Paris")


class TestRequireFuture:
    def test_returns_the_same_instant_in_paris(self):
        asked = datetime(2031, 5, 6, 20, 0, tzinfo=timezone(timedelta(hours=5)))
        moment = require_future(asked, NOW)
        assert moment == asked
        assert (moment.hour, moment.timezone_name) == (17, "Europe/Paris")

    def test_both_hours_of_a_clock_change_stay_apart(self):
        first, second = (require_future(datetime(2031, 10, 26, hour, 30, tzinfo=UTC), NOW) for hour in (0, 1))
        assert (first.hour, second.hour) == (2, 2)
        assert second.timestamp() - first.timestamp() == 3600

    @pytest.mark.parametrize("asked", [datetime(2032, 1, 1), datetime(2000, 1, 1)])
    def test_a_naive_date_is_ambiguous(self, asked):
        with pytest.raises(InvalidArgumentError, match=r"send_at: .* has no time zone.*; add one"):
            require_future(asked, NOW)

    @pytest.mark.parametrize("asked", [NOW, NOW - timedelta(seconds=1)])
    def test_the_past_and_the_present_are_refused(self, asked):
        with pytest.raises(InvalidArgumentError, match=r"send_at: .* is in the past; give a later date"):
            require_future(asked, NOW)

    def test_the_past_is_judged_across_zones(self):
        with pytest.raises(InvalidArgumentError):
            require_future(datetime(2031, 5, 6, 13, 0, tzinfo=timezone(timedelta(hours=2))), NOW)

    def test_the_end_of_time_is_refused_too(self):
        with pytest.raises(InvalidArgumentError, match="too far"):
            require_future(datetime(9999, 12, 31, 23, 59, tzinfo=UTC), NOW)


class TestIsBefore:
    @pytest.mark.parametrize(
        ("written", "other", "before"),
        [
            ("2031-05-06 14:16:11", datetime(2031, 5, 6, 12, 16, 12, tzinfo=UTC), True),
            ("2031-05-06 14:16:11", datetime(2031, 5, 6, 12, 16, 11, tzinfo=UTC), False),
            # The clock repeats this hour; 02:30 may mean 00:30 or 01:30.
            ("2031-10-26 02:30:00", datetime(2031, 10, 26, 1, 0, tzinfo=UTC), False),
            ("2031-10-26 02:30:00", datetime(2031, 10, 26, 1, 31, tzinfo=UTC), True),
            ("2031-10-26 03:30:00", datetime(2031, 10, 26, 2, 31, tzinfo=UTC), True),
            ("0", datetime(2031, 5, 6, tzinfo=UTC), False),
            ("-5", datetime(2031, 5, 6, tzinfo=UTC), False),
            ("1", datetime(2031, 5, 6, tzinfo=UTC), True),
        ],
    )
    def test_only_what_is_certainly_before(self, written, other, before):
        assert is_before(read_date(written), other) is before


class TestRoundUp:
    @pytest.mark.parametrize(
        ("asked", "step", "rounded"),
        [
            ("14:15:00", 5, "14:15:00"),
            ("14:15:00.000001", 5, "14:20:00"),
            ("14:15:01", 5, "14:20:00"),
            ("14:16:00", 5, "14:20:00"),
            ("14:59:59", 5, "15:00:00"),
            ("14:15:00", 1, "14:15:00"),
            ("14:15:01", 1, "14:16:00"),
            ("14:16:00", 60, "15:00:00"),
        ],
    )
    def test_up_to_the_next_multiple(self, asked, step, rounded):
        day = "2031-05-06T{}+02:00"
        moment = pendulum.instance(datetime.fromisoformat(day.format(asked))).in_timezone(PARIS)
        assert round_up_to_minutes(moment, step) == datetime.fromisoformat(day.format(rounded))

    @settings(deadline=None, max_examples=examples(75))
    @given(st.datetimes(datetime(2031, 1, 1), datetime(2032, 1, 1)), st.sampled_from([1, 5, 10, 15, 30, 60]))
    def test_never_back_never_a_step_too_far_also_when_the_clock_changes(self, moment, step):
        moment = pendulum.instance(moment.replace(tzinfo=UTC)).in_timezone(PARIS)
        rounded = round_up_to_minutes(moment, step)
        assert 0 <= rounded.timestamp() - moment.timestamp() < step * 60
        assert (rounded.minute % step, rounded.second, rounded.microsecond) == (0, 0, 0)


class TestReadDate:
    @pytest.mark.parametrize(
        "written",
        [
            int(AT.timestamp()),
            str(int(AT.timestamp())),
            f" {int(AT.timestamp())} ",
            float(AT.timestamp()),
            Decimal(int(AT.timestamp())),
            f"{int(AT.timestamp())}.0",
            int(AT.timestamp()) * 1000,
            f"{int(AT.timestamp())}000",
            "2031-05-06 14:16:11",
            "2031-05-06T14:16:11",
            "2031-05-06T12:16:11Z",
            "2031-05-06T12:16:11.000+0000",
            "2031-05-06T14:16:11+02:00",
        ],
    )
    def test_forms(self, written):
        read = read_date(written)
        assert read == AT
        assert read.timezone_name == "Europe/Paris"

    def test_a_date_without_a_zone_is_paris_time_in_winter_too(self):
        assert read_date("2031-01-06 14:00:00") == datetime(2031, 1, 6, 13, 0, tzinfo=UTC)

    @pytest.mark.parametrize(
        "written",
        [
            None, "", " ", "soon", "0000-00-00 00:00:00", True, False, [], {}, "2031-13-01", "9" * 400, 1e300, "²",
            "20310506141611", 20310506141611, "203105061416", "99999999999999",
            "9999-12-31T23:59:59-10:00", "0001-01-01T00:00:00+14:00", "1.2.3", "--5", Decimal("1e30"), float("nan"),
        ],
    )  # fmt: skip
    def test_what_is_no_date_is_none(self, written):
        assert read_date(written) is None

    @settings(deadline=None, max_examples=examples(75))
    @given(
        st.text() | st.integers() | st.floats() | st.decimals() | st.none() | st.datetimes().map(str)
        | st.datetimes(timezones=st.timezones()).map(datetime.isoformat) | st.lists(st.integers())
    )  # fmt: skip
    def test_reading_never_fails(self, written):
        read = read_date(written)
        assert read is None or read.utcoffset() is not None


class TestRequireFutureSlot:
    def test_is_moved_up_to_a_minute_that_the_gateway_takes(self):
        slot = require_future_slot(datetime(2031, 5, 6, 13, 1, 30, tzinfo=UTC), NOW, step=5)
        assert slot.isoformat() == "2031-05-06T15:05:00+02:00"

    @pytest.mark.parametrize("step", [1, 5])
    def test_the_second_of_two_equal_hours_only_when_the_first_is_ahead_too(self, step):
        # On 26 October 2031 the clock goes from 03:00 back to 02:00, at 01:00 UTC.
        second = datetime(2031, 10, 26, 1, 30, tzinfo=UTC)
        assert require_future_slot(second, NOW, step=step).timestamp() == second.timestamp()
        with pytest.raises(InvalidArgumentError, match="send_at: lies in the hour that the clock repeats"):
            require_future_slot(second, second - timedelta(minutes=40), step=step)

    def test_the_end_of_time_is_refused(self):
        for last in (
            datetime(9999, 12, 31, 23, 59, tzinfo=UTC),
            datetime(9999, 12, 31, 23, 58, tzinfo=timezone(timedelta(hours=1))),
        ):
            with pytest.raises(InvalidArgumentError, match="too far"):
                require_future_slot(last, NOW, step=5)


class TestRequireFutureSecond:
    @pytest.mark.parametrize(("microsecond", "second"), [(0, 30), (1, 31), (999_999, 31)])
    def test_is_moved_up_to_a_whole_second(self, microsecond, second):
        asked = datetime(2031, 5, 6, 13, 0, 30, microsecond, tzinfo=UTC)
        assert require_future_second(asked, NOW) == datetime(2031, 5, 6, 13, 0, second, tzinfo=UTC)

    def test_the_end_of_time_is_refused(self):
        last = datetime(9999, 12, 31, 23, 59, 59, 1, tzinfo=timezone(timedelta(hours=1)))
        with pytest.raises(InvalidArgumentError, match="too far"):
            require_future_second(last, NOW)
