"""Requests under a rate limit: a clock that tests move, and what is measured of the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hypothesis import strategies as st
from sqlalchemy import text

from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.gateways.rate_limits import Window
from airflow_provider_voicepartner.sending.rate_limit import SlidingWindowLog
from airflow_provider_voicepartner.sending.reservations import Reservation

NAME = "voicepartner:campaign/send:test"
CAMPAIGN = (Window(5, 60), Window(2000, 3600))
START = 1_900_000_000.0
SMALL = st.lists(
    st.builds(Window, st.integers(1, 6), st.sampled_from([0.5, 1.0, 3.0, 10.0])),
    min_size=1, max_size=3, unique_by=lambda window: window.seconds,
)  # fmt: skip


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
