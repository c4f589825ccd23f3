"""An aware date is an instant, of whatever library it comes: in the hour that a clock skips or repeats above all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pendulum
import pytest
from dateutil import tz

from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.dates import as_instant, read_date, require_future
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.sending.arguments import read_send_at

NOW = datetime(2026, 12, 1, tzinfo=UTC)

ZONES: dict[str, Callable[[str], tzinfo]] = {
    "zoneinfo": ZoneInfo,
    "dateutil": lambda name: tz.gettz(name) or pytest.fail("no such zone"),
    "pendulum": pendulum.timezone,
}

# zone, its clock, fold -> the offset that the clock has then, and the instant in UTC
HOURS = [
    ("Europe/Paris", "2027-03-28 01:30", 0, 1, "2027-03-28 00:30"),
    ("Europe/Paris", "2027-03-28 02:30", 0, 1, "2027-03-28 01:30"),  # skipped
    ("Europe/Paris", "2027-03-28 02:30", 1, 2, "2027-03-28 00:30"),
    ("Europe/Paris", "2027-03-28 03:30", 0, 2, "2027-03-28 01:30"),
    ("Europe/Paris", "2027-10-31 01:30", 0, 2, "2027-10-30 23:30"),
    ("Europe/Paris", "2027-10-31 02:30", 0, 2, "2027-10-31 00:30"),  # repeated
    ("Europe/Paris", "2027-10-31 02:30", 1, 1, "2027-10-31 01:30"),
    ("Europe/Paris", "2027-10-31 03:30", 0, 1, "2027-10-31 02:30"),
    ("America/New_York", "2027-03-14 02:30", 0, -5, "2027-03-14 07:30"),  # skipped
    ("America/New_York", "2027-03-14 02:30", 1, -4, "2027-03-14 06:30"),
    ("America/New_York", "2027-11-07 01:30", 0, -4, "2027-11-07 05:30"),  # repeated
    ("America/New_York", "2027-11-07 01:30", 1, -5, "2027-11-07 06:30"),
    ("America/Cayenne", "2027-03-28 02:30", 0, -3, "2027-03-28 05:30"),
    ("America/Cayenne", "2027-03-28 02:30", 1, -3, "2027-03-28 05:30"),
    ("America/Cayenne", "2027-10-31 02:30", 0, -3, "2027-10-31 05:30"),
]

SKIPPED = {
    ("dateutil", "Europe/Paris", "2027-03-28 02:30"),
    ("dateutil", "America/New_York", "2027-03-14 02:30"),
}


def check(written: datetime, instant: str) -> None:
    """Hold a date against its instant, on each way by which one comes in."""
    expected = datetime.fromisoformat(instant).replace(tzinfo=UTC)
    paris = expected.astimezone(ZoneInfo("Europe/Paris")).isoformat()
    found = as_instant(written)
    assert (found.isoformat(), found.tzinfo) == (expected.isoformat(), UTC)
    assert require_future(written, NOW).isoformat() == paris
    read = read_send_at(written)
    assert read is not None
    assert read.isoformat() == expected.isoformat()
    assert require_future(read, NOW).isoformat() == paris
    told = read_date(written.isoformat())
    assert told is not None
    assert told.isoformat() == paris


@pytest.mark.parametrize("library", ZONES)
@pytest.mark.parametrize(("zone", "clock", "fold", "offset", "instant"), HOURS)
def test_a_date_of_any_library(
    library: str, zone: str, clock: str, fold: int, offset: int, instant: str
) -> None:
    naive = datetime.fromisoformat(clock)
    written = naive.replace(tzinfo=ZONES[library](zone), fold=fold)
    if (library, zone, clock) in SKIPPED:
        # An hour that does not exist is what the library says: dateutil 2 names it by the summer's offset.
        instant = str(naive - (written.utcoffset() or timedelta()))
    check(written, instant)


@pytest.mark.parametrize(("zone", "clock", "fold", "offset", "instant"), HOURS)
def test_a_date_with_a_fixed_offset(zone: str, clock: str, fold: int, offset: int, instant: str) -> None:
    check(datetime.fromisoformat(clock).replace(tzinfo=timezone(timedelta(hours=offset)), fold=fold), instant)


@pytest.mark.parametrize(("zone", "clock", "fold", "offset", "instant"), HOURS)
def test_a_date_of_pytz_which_airflow_2_brings(
    zone: str, clock: str, fold: int, offset: int, instant: str
) -> None:
    pytz = pytest.importorskip("pytz")
    zone_of_pytz = pytz.timezone(zone)
    winter = zone_of_pytz.localize(datetime(2027, 1, 1)).utcoffset()
    is_summer = timedelta(hours=offset) > winter
    written = zone_of_pytz.localize(datetime.fromisoformat(clock), is_dst=is_summer)
    assert written.utcoffset() == timedelta(hours=offset)
    check(written, instant)


@pytest.mark.parametrize(
    ("offset", "said"),
    [
        (timedelta(minutes=9), r"is \+9 minutes from UTC"),
        (-timedelta(hours=4, minutes=56), "is -296 minutes from UTC"),
    ],
)
def test_an_offset_of_the_nineteenth_century_is_a_slip_with_pytz(offset: timedelta, said: str) -> None:
    """``datetime(2027, 5, 6, 9, 0, tzinfo=pytz.timezone("Europe/Paris"))`` would call 51 minutes late."""
    written = datetime(2027, 5, 6, 9, 0, tzinfo=timezone(offset))
    with pytest.raises(InvalidArgumentError, match=rf"^send_at: {said}.*zone\.localize"):
        require_future(written, NOW)
    with pytest.raises(ConfigurationError, match=rf"^send_at: {said}"):
        read_send_at(written)
    for fine in (timedelta(hours=5, minutes=45), -timedelta(hours=9, minutes=30)):
        check(datetime(2027, 5, 6, 9, 0, tzinfo=timezone(fine)), str(datetime(2027, 5, 6, 9, 0) - fine))


@pytest.mark.parametrize(
    ("zone", "name", "offset"),
    [
        ("Europe/Paris", "LMT", 9), ("Europe/Madrid", "LMT", -15), ("America/Miquelon", "LMT", -225),
        ("Europe/Moscow", "LMT", 150), ("America/Iqaluit", "-00", 0),
    ],
)  # fmt: skip
def test_pytz_makes_that_slip(zone: str, name: str, offset: int) -> None:
    """Some zones had an offset in the 19th century that others have today: then the clock's name tells."""
    slip = timezone(timedelta(minutes=offset), name)
    try:
        import pytz
    except ImportError:
        pass
    else:
        written = datetime(2027, 5, 6, 9, 0, tzinfo=pytz.timezone(zone))
        assert (written.tzname(), written.utcoffset()) == (name, timedelta(minutes=offset))
        with pytest.raises(InvalidArgumentError, match=r"zone\.localize"):
            as_instant(written)
    with pytest.raises(InvalidArgumentError, match=r"zone\.localize"):
        as_instant(datetime(2027, 5, 6, 9, 0, tzinfo=slip))


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2027-03-28 01:59:59", "2027-03-28 00:59:59"),
        ("2027-03-28 02:30:00", "2027-03-28 01:30:00"),  # No such hour: it counts on from before.
        ("2027-03-28 03:00:00", "2027-03-28 01:00:00"),
        ("2027-10-31 02:30:00", "2027-10-31 00:30:00"),  # Twice: the first, see is_before.
        ("2027-10-31 03:00:00", "2027-10-31 02:00:00"),
    ],
)
def test_a_gateways_date_without_a_zone_is_paris_time(written: str, instant: str) -> None:
    read = read_date(written)
    assert read is not None
    assert read.astimezone(UTC).isoformat(sep=" ") == f"{instant}+00:00"


def test_two_spellings_of_one_instant_are_one_campaign() -> None:
    spellings = (
        datetime(2027, 3, 28, 2, 30, tzinfo=ZoneInfo("Europe/Paris")), "2027-03-28T03:30:00+02:00",
        "2027-03-28T01:30:00Z", pendulum.datetime(2027, 3, 28, 3, 30, tz="Europe/Paris"),
    )  # fmt: skip
    assert len({read_send_at(written) for written in spellings}) == 1
