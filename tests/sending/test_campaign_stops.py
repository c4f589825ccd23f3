"""A campaign that is told to stop, or is interrupted: what is under way lands, and nothing more leaves."""

from __future__ import annotations

import threading
import time
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_voicepartner.exceptions import (
    CampaignInterruptedError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.sending import campaign_run
from airflow_provider_voicepartner.sending.batch import Job, WorkerPool
from airflow_provider_voicepartner.sending.cancellation import CancellationToken
from airflow_provider_voicepartner.sending.records import Phase
from tests.support.campaigns import (
    SIZE,
    attempt,
    campaign,
    first_of,
    stopping,
)
from tests.support.ledgers import phases
from tests.support.servers import FakeTime
from tests.support.tasks import FakeStore
from tests.support.transport import (
    CountingStore,
    CrashError,
    FakeRateLimiter,
    FakeTransport,
)

# Somebody says stop


@pytest.mark.parametrize("workers", [1, 3])
def test_a_stop_sign_lets_land_what_is_under_way_and_claims_nothing_more(workers: int) -> None:
    store, stop = CountingStore(), CancellationToken()
    transport = FakeTransport(check=stopping(stop, 2))
    with pytest.raises(
        CampaignInterruptedError,
        match=r"stopped as asked\. Of 9 batches .*: sent [3-5] \(\d+ recipients\), in doubt none",
    ):
        attempt(transport, store, campaign(9, max_in_flight=workers), stop=stop)
    left = phases(store)
    assert set(left.values()) == {"sent"}
    assert len(left) <= 2 + workers
    assert len(transport.messaged) == SIZE * len(left)
    transport.check = lambda first: None
    attempt(transport, store, campaign(9, max_in_flight=workers), try_number=2)
    assert set(transport.messaged.values()) == {1}
    assert len(transport.messaged) == 9 * SIZE


@pytest.mark.parametrize("workers", [1, 3])
def test_a_stop_sign_while_the_last_batch_is_under_way_changes_nothing(workers: int) -> None:
    store, stop = FakeStore(), CancellationToken()
    records = attempt(
        FakeTransport(check=stopping(stop, 2)), store, campaign(3, max_in_flight=workers), stop=stop
    )
    assert stop.is_cancelled
    assert [record.phase for record in records] == [Phase.SENT] * 3


def test_a_stop_sign_while_the_last_batch_is_under_way_settles_no_doubt() -> None:
    stop, transport = CancellationToken(), FakeTransport(recognises=True)
    transport.lost[first_of(0)] = SendOutcomeUnknownError("lost")
    transport.check = stopping(stop, 2)
    with pytest.raises(
        CampaignInterruptedError, match=r"sent 2 \(4 recipients\), in doubt 1 \(2 recipients\), left none"
    ):
        attempt(transport, FakeStore(), campaign(3), stop=stop)
    assert transport.messaged.total() == 3 * SIZE


def test_a_stop_sign_gives_what_is_under_way_its_time_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow kills a task a minute after it asked it to stop."""
    monkeypatch.setattr("airflow_provider_voicepartner.sending.campaign_run.INTERRUPTED_GRACE", 0.01)
    store, stop, answers = FakeStore(), CancellationToken(), threading.Event()

    def check(first: str) -> None:
        stop.cancel()
        assert answers.wait(10)

    with pytest.raises(
        CampaignInterruptedError,
        match=r"Of 3 batches \(6 recipients\): sent none, in doubt 1 \(2 recipients\), left 2 \(4 recipients\)",
    ):
        attempt(FakeTransport(check=check), store, campaign(3), stop=stop)
    assert phases(store) == {0: "claimed"}
    answers.set()


def test_a_stop_sign_ends_the_settling_of_a_doubt_and_leaves_it_in_doubt() -> None:
    store, stop = FakeStore(), CancellationToken()
    with pytest.raises(SendOutcomeUnknownError):
        attempt(FakeTransport(failures=[SendOutcomeUnknownError("lost")]), store, campaign(2))
    transport = FakeTransport(finds=True, recognises=True)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        stop.cancel()

    with pytest.raises(CampaignInterruptedError):
        attempt(transport, store, campaign(2), try_number=2, stop=stop, sleep=sleep)
    assert len(slept) == 1
    assert slept[0] <= 0.5
    assert phases(store) == {0: "claimed", 1: "sent"}
    assert not transport.messaged


def test_a_batch_that_is_stopped_before_it_left_is_not_in_doubt() -> None:
    store = FakeStore()
    transport = FakeTransport(failures=[CampaignInterruptedError("stopped in a wait for the rate limit")])
    with pytest.raises(CampaignInterruptedError):
        attempt(transport, store, campaign(2))
    assert phases(store) == {0: "refused"}
    attempt(transport, store, campaign(2), try_number=2)
    assert set(transport.messaged.values()) == {1}


def test_a_stop_sign_ends_a_wait_for_the_rate_limit_and_gives_the_turn_back() -> None:
    time, stop, store = FakeTime(), CancellationToken(), FakeStore()
    rate_limiter = FakeRateLimiter(time, gap=3600)

    def sleep(seconds: float) -> None:
        time.sleep(seconds)
        if len(time.slept) == 3:
            stop.cancel()

    with pytest.raises(CampaignInterruptedError):
        attempt(
            FakeTransport(), store, campaign(), rate_limiter=rate_limiter, sleep=sleep, clock=lambda: time.moment,
            stop=stop,
        )  # fmt: skip
    assert len(time.slept) == 3
    assert max(time.slept) <= 0.5  # so soon is a stop seen
    assert rate_limiter.given_back == rate_limiter.taken[1:]
    assert phases(store) == {0: "sent"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, TimeoutError, CrashError])
def test_an_interrupt_in_the_middle_lets_land_what_is_under_way(error: type[BaseException]) -> None:
    """A time-out or a signal handler raises wherever the main thread is."""
    store, entered, answers = FakeStore(), threading.Event(), threading.Event()

    def check(first: str) -> None:
        entered.set()
        assert answers.wait(10)

    transport, rate_limiter = FakeTransport(check=check), FakeRateLimiter(FakeTime())

    def clock() -> float:
        if phases(store) == {0: "claimed"}:
            assert entered.wait(10)
            answers.set()
            raise error
        return rate_limiter.time.moment

    with pytest.raises(error):
        attempt(transport, store, campaign(9, max_in_flight=3), rate_limiter=rate_limiter, clock=clock)
    assert phases(store) == {0: "sent"}
    assert len(transport.messaged) == SIZE
    assert rate_limiter.given_back == rate_limiter.taken[1:]
    attempt(transport, store, campaign(9, max_in_flight=3), try_number=2)
    assert set(transport.messaged.values()) == {1}
    assert len(transport.messaged) == 9 * SIZE


def test_what_is_still_unanswered_after_the_grace_stays_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_voicepartner.sending.campaign_run.INTERRUPTED_GRACE", 0.01)
    store, begun, answers = FakeStore(), threading.Event(), threading.Event()

    def check(first: str) -> None:
        begun.set()
        assert answers.wait(10)

    transport, rate_limiter = FakeTransport(check=check), FakeRateLimiter(FakeTime())

    def clock() -> float:
        if phases(store):
            assert begun.wait(10)
            raise KeyboardInterrupt
        return rate_limiter.time.moment

    with pytest.raises(KeyboardInterrupt):
        attempt(transport, store, campaign(2, max_in_flight=2), rate_limiter=rate_limiter, clock=clock)
    assert phases(store) == {0: "claimed"}
    answers.set()


def test_what_was_told_to_stop_gets_its_time_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once more when the campaign falls: Airflow kills a task a minute after it asked it to stop."""
    monkeypatch.setattr("airflow_provider_voicepartner.sending.campaign_run.INTERRUPTED_GRACE", 0.01)
    given: list[float] = []
    wait_for_all = WorkerPool.wait_for_all

    def noting(workers: WorkerPool, tasks: Any, seconds: float) -> None:
        given.append(seconds)
        wait_for_all(workers, tasks, seconds)

    monkeypatch.setattr(WorkerPool, "wait_for_all", noting)
    stop, answers = CancellationToken(), threading.Event()

    def check(first: str) -> None:
        stop.cancel()
        assert answers.wait(10)

    with pytest.raises(CampaignInterruptedError):
        attempt(FakeTransport(check=check), FakeStore(), campaign(3), stop=stop)
    assert max(given) <= 0
    answers.set()


def test_a_campaign_that_falls_tells_its_waiting_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    store, stop = FakeStore(), CancellationToken()
    waiting, never = threading.Event(), threading.Event()
    sleep = stop.sleeper(lambda seconds: waiting.set() or (never.wait(0.01) and None))
    transport = FakeTransport(check=lambda first: sleep(600))
    rate_limiter = FakeRateLimiter(FakeTime())

    def clock() -> float:
        if phases(store):
            assert waiting.wait(10)
            raise KeyboardInterrupt
        return rate_limiter.time.moment

    with pytest.raises(KeyboardInterrupt):
        attempt(
            transport, store, campaign(2, max_in_flight=2), rate_limiter=rate_limiter, clock=clock, stop=stop
        )
    assert phases(store) == {0: "refused"}
    assert stop.is_cancelled


@pytest.mark.parametrize("begun", [0, 1, 2], ids=["none", "one", "two"])
@pytest.mark.parametrize("started", [0, 1], ids=["before its thread was called", "just after"])
def test_a_signal_between_claims_and_their_threads_leaves_no_doubt_about_those_that_did_not_begin(
    begun: int, started: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three are claimed in one write; SIGTERM comes while they are handed to their threads."""
    start, calls = WorkerPool.start, []

    def interrupted(workers: WorkerPool, task: Any) -> None:
        calls.append(task)
        if len(calls) <= begun:
            start(workers, task)
            while not task._once.locked():
                time.sleep(0.001)
        elif len(calls) == begun + 1:
            if started:
                task.cancel = lambda: True
            raise KeyboardInterrupt

    class SlottedTask(Job[Any]):
        """One whose method a test may replace."""

    monkeypatch.setattr(campaign_run, "Job", SlottedTask)
    monkeypatch.setattr(WorkerPool, "start", interrupted)
    store, transport = FakeStore(), FakeTransport()
    with pytest.raises(KeyboardInterrupt):
        attempt(transport, store, campaign(3, max_in_flight=3, unit_price=Decimal("0.045")))
    assert phases(store) == {index: "sent" if index < begun else "refused" for index in range(3)}
    monkeypatch.setattr(WorkerPool, "start", start)
    attempt(transport, store, campaign(3, max_in_flight=3), try_number=2)
    assert set(transport.messaged.values()) == {1}
    assert len(transport.messaged) == 3 * SIZE


def test_a_task_that_was_cancelled_before_it_began_never_begins() -> None:
    done: list[int] = []
    late, early = Job(lambda: done.append(1)), Job(lambda: done.append(2))
    assert late.cancel()
    late.run()
    early.run()
    assert not early.cancel()
    assert done == [2]
