"""Transactions are repeated while the store cannot be reached, for a limited time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_voicepartner.constants import STORE_WAIT
from airflow_provider_voicepartner.db.errors import StoreUnavailableError, StoreUrlError
from airflow_provider_voicepartner.db.transactions import StoreRetry
from tests.support.servers import FakeTime


def gone_until(time: FakeTime, moment: float) -> Callable[[], str]:
    def call() -> str:
        if time.moment < moment:
            raise StoreUnavailableError("gone")
        return "done"

    return call


@pytest.mark.parametrize(
    ("gone", "seconds", "waited"),
    [
        (0, 60, []),
        (0.05, 60, [0.1]),
        (1, 60, [0.1, 0.2, 0.4, 0.8]),
        (10, 60, [0.1, 0.2, 0.4, 0.8, 1.6, 2, 2, 2, 2]),
        (3, 3, [0.1, 0.2, 0.4, 0.8, 1.5]),  # the last look is when the time is over
    ],
)
def test_a_store_that_comes_back_is_waited_for(gone: float, seconds: float, waited: list[float]) -> None:
    time = FakeTime(0.0)
    retry = StoreRetry(seconds=seconds, sleep=time.sleep, clock=lambda: time.moment)
    assert retry.run(gone_until(time, gone)) == "done"
    assert time.slept == pytest.approx(waited)


@pytest.mark.parametrize("seconds", [0, 0.05, 5, 60])
def test_a_store_that_stays_unreachable_is_an_error_after_that_time(seconds: float) -> None:
    time = FakeTime(0.0)
    retry = StoreRetry(seconds=seconds, sleep=time.sleep, clock=lambda: time.moment)
    for _ in range(2):  # each time anew
        time.moment = 0.0
        with pytest.raises(StoreUnavailableError, match="gone"):
            retry.run(gone_until(time, 1e9))
        assert time.moment == pytest.approx(seconds)


@pytest.mark.parametrize("error", [StoreUrlError("mend it"), ValueError("a bug"), KeyboardInterrupt()])
def test_an_error_that_waiting_cannot_fix_is_raised_at_once(error: BaseException) -> None:
    def call() -> None:
        raise error

    time = FakeTime(0.0)
    with pytest.raises(type(error)):
        StoreRetry(sleep=time.sleep).run(call)
    assert time.slept == []


def test_a_wait_that_is_stopped_ends() -> None:
    def stopped(seconds: float) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        StoreRetry(sleep=stopped).run(gone_until(FakeTime(0.0), 1e9))


def test_a_minute_is_waited_by_default() -> None:
    assert StoreRetry().seconds == STORE_WAIT == 60


def test_what_takes_long_by_itself_counts() -> None:
    """A store that answers nothing until a time-out of 10 s is over is asked seven times in a minute, not thirty."""
    time, asked = FakeTime(0.0), []

    def call() -> None:
        asked.append(time.moment)
        time.moment += 10
        raise StoreUnavailableError("gone")

    with pytest.raises(StoreUnavailableError):
        StoreRetry(sleep=time.sleep, clock=lambda: time.moment).run(call)
    assert len(asked) <= 8
    assert time.moment <= 60 + 10 + 10
