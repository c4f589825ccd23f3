"""How limits are written, and the arithmetic of their windows."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.info import own_gateways
from airflow_provider_voicepartner.gateways.rate_limits import Window, Windows, parse_windows
from airflow_provider_voicepartner.sending.rate_limit import SlidingWindowLog
from airflow_provider_voicepartner.sending.reservations import (
    estimate,
    limit_name,
    margin_of,
)
from tests.support.examples import examples
from tests.support.rate_limits import CAMPAIGN, NAME, SMALL, Clock

SECONDS = st.floats(0.001, 86_400) | st.integers(1, 86_400)
WINDOWS = st.lists(st.builds(Window, st.integers(1, 100_000), SECONDS), min_size=1, max_size=4)


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
    with pytest.raises(InvalidArgumentError, match=r"^account_key: "):
        limit_name("octopush", "me", "")


# How far requests lie apart


@pytest.mark.parametrize(
    ("seconds", "margin", "added"),
    [(1, 0.5, 0.2), (5, 0.5, 0.2), (10, 0.5, 0.4), (12.5, 0.5, 0.5), (60, 0.5, 0.5), (3600, 0.5, 0.5),
     (5, 0.1, 0.1), (60, 0, 0), (60, 3, 2.4)],
)  # fmt: skip
def test_short_windows_get_less_of_a_margin(seconds: float, margin: float, added: float) -> None:
    assert margin_of(Window(5, seconds), margin) == pytest.approx(added)
    assert margin > 0.5 or seconds < 5 or seconds / (seconds + added) >= 0.95


@settings(max_examples=examples(60), deadline=None)
@given(SMALL, st.integers(0, 60))
def test_the_estimate_is_what_the_log_then_does(windows: list[Window], requests: int) -> None:
    window_log = SlidingWindowLog(open_store("sqlite://", clock=Clock()))
    waits = [window_log.reserve(NAME, windows).wait for _ in range(requests)]
    assert estimate(windows, requests) == pytest.approx(waits[-1] if waits else 0, abs=1e-4)


def test_a_campaign_of_a_million_voicemails_takes_hours() -> None:
    assert estimate(CAMPAIGN, 2000) == pytest.approx(399 * 60.1)
    assert estimate((), 2000) == 0
