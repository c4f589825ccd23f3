"""Dates as the gateway wants them: Paris time, minutes rounded up to a multiple of 5, across hours, years, DST."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pendulum
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.smspartner.options import schedule_fields
from tests.support.examples import examples

LONG_AGO = pendulum.datetime(2030, 1, 1)
PARIS = pendulum.timezone("Europe/Paris")


def fields(send_at: datetime, now: datetime = LONG_AGO) -> tuple[str, int, int]:
    written = schedule_fields(send_at, now=now)
    assert list(written) == ["scheduledDeliveryDate", "time", "minute"]
    return written["scheduledDeliveryDate"], written["time"], written["minute"]


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ("2031-05-06T14:15:00+02:00", ("06/05/2031", 14, 15)),
        ("2031-05-06T14:15:01+02:00", ("06/05/2031", 14, 20)),
        ("2031-05-06T14:11:00+02:00", ("06/05/2031", 14, 15)),
        ("2031-05-06T14:00:00+02:00", ("06/05/2031", 14, 0)),
        ("2031-05-06T14:56:00+02:00", ("06/05/2031", 15, 0)),
        ("2031-05-06T23:55:00+02:00", ("06/05/2031", 23, 55)),
        ("2031-05-06T23:55:30+02:00", ("07/05/2031", 0, 0)),
        ("2031-12-31T23:58:00+01:00", ("01/01/2032", 0, 0)),
        ("2032-02-28T23:58:00+01:00", ("29/02/2032", 0, 0)),
        ("2031-05-06T12:11:00+00:00", ("06/05/2031", 14, 15)),
        ("2031-01-06T12:11:00+00:00", ("06/01/2031", 13, 15)),
        ("2031-05-06T23:58:00-04:00", ("07/05/2031", 6, 0)),
    ],
)
def test_dates(asked, written):
    assert fields(datetime.fromisoformat(asked)) == written


def test_the_hour_that_does_not_exist_is_jumped_over():
    # On 30 March 2031 the clock goes from 02:00 to 03:00.
    assert fields(datetime(2031, 3, 30, 0, 58, tzinfo=UTC)) == ("30/03/2031", 3, 0)
    assert fields(datetime(2031, 3, 30, 1, 1, tzinfo=UTC)) == ("30/03/2031", 3, 5)


def test_the_hour_that_comes_twice_is_written_as_the_clock_shows_it():
    # On 26 October 2031 the clock goes from 03:00 back to 02:00.
    assert fields(datetime(2031, 10, 26, 0, 31, tzinfo=UTC)) == ("26/10/2031", 2, 35)
    assert fields(datetime(2031, 10, 26, 1, 31, tzinfo=UTC)) == ("26/10/2031", 2, 35)
    assert fields(datetime(2031, 10, 26, 0, 58, tzinfo=UTC)) == ("26/10/2031", 2, 0)
    assert fields(datetime(2031, 10, 26, 1, 58, tzinfo=UTC)) == ("26/10/2031", 3, 0)


def test_a_date_in_the_second_hour_is_refused_while_the_gateway_would_take_it_for_the_past():
    with pytest.raises(InvalidArgumentError, match="repeats"):
        fields(datetime(2031, 10, 26, 1, 10, tzinfo=UTC), now=datetime(2031, 10, 26, 0, 50, tzinfo=UTC))
    with pytest.raises(InvalidArgumentError, match="repeats"):
        # 02:58 in summer time becomes 02:00 in winter time, which reads as an hour ago.
        fields(datetime(2031, 10, 26, 0, 58, tzinfo=UTC), now=datetime(2031, 10, 26, 0, 50, tzinfo=UTC))
    assert fields(
        datetime(2031, 10, 26, 1, 58, tzinfo=UTC), now=datetime(2031, 10, 26, 0, 50, tzinfo=UTC)
    ) == ("26/10/2031", 3, 0)


def test_a_moment_ahead_is_enough():
    now = datetime(2031, 5, 6, 12, 14, 59, tzinfo=UTC)
    assert fields(now + timedelta(seconds=1), now=now) == ("06/05/2031", 14, 15)
    assert fields(now + timedelta(seconds=2), now=now) == ("06/05/2031", 14, 20)


@pytest.mark.parametrize("send_at", [datetime(2031, 5, 6), datetime(2029, 5, 6, tzinfo=UTC), LONG_AGO])
def test_naive_and_past_dates_are_refused(send_at):
    with pytest.raises(InvalidArgumentError) as caught:
        fields(send_at)
    assert caught.value.argument == "send_at"


def test_the_end_of_time_is_refused():
    for last in (
        datetime(9999, 12, 31, 23, 59, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 58, tzinfo=timezone(timedelta(hours=1))),
    ):
        with pytest.raises(InvalidArgumentError, match="too far"):
            fields(last)


@settings(deadline=None, max_examples=examples(75))
@given(
    st.datetimes(min_value=datetime(2030, 1, 2), max_value=datetime(2060, 1, 1)),
    st.sampled_from(
        [UTC, PARIS, pendulum.timezone("America/New_York"), timezone(timedelta(hours=5, minutes=45))]
    ),
)
def test_what_is_written_is_never_earlier_and_at_most_5_minutes_later(moment, zone):
    asked = moment.replace(tzinfo=zone)
    paris = pendulum.instance(asked).in_timezone(PARIS)
    assume(paris.month != 10 or paris.day < 25)
    date, hour, minute = fields(asked)
    assert 0 <= hour <= 23
    assert minute % 5 == 0
    day, month, year = (int(part) for part in date.split("/"))
    written = pendulum.datetime(year, month, day, hour, minute, tz=PARIS)
    assert timedelta(0) <= written - paris < timedelta(minutes=5)
