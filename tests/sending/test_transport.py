"""A campaign that is told to stop notices it in every wait, and waits as long as it was asked otherwise."""

from __future__ import annotations

import pytest

from airflow_provider_voicepartner.exceptions import CampaignInterruptedError
from airflow_provider_voicepartner.sending.cancellation import CancellationToken


@pytest.mark.parametrize(
    ("seconds", "slept"),
    [(0.0, []), (-1.0, []), (0.25, [0.25]), (0.5, [0.5]), (0.75, [0.5, 0.25]), (2.0, [0.5] * 4)],
)
def test_a_wait_is_as_long_as_it_was_asked_and_looks_up_twice_a_second(
    seconds: float, slept: list[float]
) -> None:
    """One that ends early would let a request leave before its slot."""
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        assert len(naps) < 10, "it does not end"

    CancellationToken().sleeper(nap)(seconds)
    assert naps == slept


@pytest.mark.parametrize("naps", [0, 1, 3])
def test_a_wait_ends_at_the_next_look_once_somebody_asked_to_stop(naps: int) -> None:
    stop, slept = CancellationToken(), list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == naps:
            stop.cancel()

    if not naps:
        stop.cancel()
    with pytest.raises(CampaignInterruptedError, match="stopped as asked; what was sent is recorded"):
        stop.sleeper(sleep)(60.0)
    assert len(slept) == naps


def test_a_stop_that_comes_with_the_end_of_a_wait_counts() -> None:
    stop = CancellationToken()
    with pytest.raises(CampaignInterruptedError):
        stop.sleeper(lambda seconds: stop.cancel())(0.5)


def test_a_sign_is_up_when_it_was_raised_or_something_above_it_is_over() -> None:
    above, is_over = CancellationToken(), False
    sign = CancellationToken(lambda: above.is_cancelled or is_over)
    assert not sign.is_cancelled
    sign.check()
    is_over = True
    assert sign.is_cancelled
    is_over = False
    assert not sign.is_cancelled
    above.cancel()
    assert sign.is_cancelled
    assert not CancellationToken().is_cancelled
