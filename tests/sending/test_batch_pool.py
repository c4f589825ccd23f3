"""Threads that each do one thing at a time."""

from __future__ import annotations

import threading
import time
from functools import partial
from random import Random
from typing import Any

import pytest

from airflow_provider_voicepartner.sending.batch import Job, WorkerPool


def test_tasks_run_at_the_same_time_and_keep_their_results() -> None:
    pool, together = WorkerPool(), threading.Barrier(3, timeout=10)

    def work(name: int) -> int:
        together.wait()
        return name

    jobs: list[Job[Any]] = [Job(lambda name=name: work(name)) for name in range(3)]
    for job in jobs:
        pool.start(job)
    pool.wait_for_all(jobs, 10)
    assert [job.result for job in jobs] == [0, 1, 2]
    pool.close()


def test_an_error_is_kept_whatever_it_is() -> None:
    def fail() -> None:
        raise SystemExit(3)

    pool, job = WorkerPool(), Job(fail)
    pool.start(job)
    pool.wait_for_all([job], 10)
    assert isinstance(job.error, SystemExit)
    pool.close()


def test_a_free_lane_is_used_again_and_no_more_are_made_than_are_busy() -> None:
    pool = WorkerPool()
    threads: set[int] = set()
    for _ in range(20):
        job = Job(lambda: threads.add(threading.get_ident()))
        pool.start(job)
        pool.wait_for_all([job], 10)
        pool.free()
    assert len(threads) == 1
    pool.close()


def test_no_more_threads_are_started_than_tasks_are_under_way_at_once() -> None:
    pool, threads = WorkerPool(), set[int]()
    for _ in range(20):
        together = threading.Barrier(4, timeout=10)

        def work(together: threading.Barrier = together) -> None:
            together.wait()
            threads.add(threading.get_ident())

        jobs: list[Job[Any]] = [Job(work) for _ in range(4)]
        for job in jobs:
            pool.start(job)
        pool.wait_for_all(jobs, 10)
        assert all(job.is_done for job in jobs)
        for _ in jobs:
            pool.free()
    assert len(threads) <= 4
    pool.close()


def test_waiting_for_tasks_leaves_the_processor_to_others() -> None:
    pool, end = WorkerPool(), threading.Event()
    job = Job(end.wait)
    pool.start(job)
    before = time.thread_time()
    pool.wait_for_all([job], 0.5)
    assert not job.is_done
    assert time.thread_time() - before < 0.1
    end.set()
    pool.wait_for_all([job], 10)
    assert job.is_done
    pool.close()


@pytest.mark.parametrize("slow", range(1, 5))
def test_a_task_begins_at_once_and_stands_behind_no_other(slow: int) -> None:
    """It was claimed: what waits for a thread meanwhile is in doubt if the worker dies."""
    pool, go, begun = WorkerPool(), threading.Event(), threading.Event()
    hanging = [Job(lambda: go.wait(10)) for _ in range(slow)]
    for job in hanging:
        pool.start(job)
    pool.start(Job(begun.set))
    assert begun.wait(10)
    assert not any(job.is_done for job in hanging)
    go.set()
    pool.wait_for_all(hanging, 10)
    pool.close()


def test_a_task_begins_at_once_also_where_earlier_ones_were_taken_note_of_late() -> None:
    """Three are done and one still hangs; of three new ones, each has a thread of its own."""
    pool, go = WorkerPool(), threading.Event()
    hanging, done = Job(lambda: go.wait(10)), [Job(lambda: None) for _ in range(3)]
    for job in (hanging, *done):
        pool.start(job)
    pool.wait_for_all(done, 10)
    for _ in done:
        pool.free()
    together = threading.Barrier(3, timeout=10)
    again = [Job(together.wait) for _ in range(3)]
    for job in again:
        pool.start(job)
    pool.wait_for_all(again, 10)
    assert [job.error for job in again] == [None] * 3
    assert not hanging.is_done
    go.set()
    pool.wait_for_all([hanging], 10)
    pool.close()


def test_whenever_tasks_are_started_all_are_done() -> None:
    pool, pauses = WorkerPool(), Random(7)
    under_way: list[Job[Any]] = []
    done = 0
    while done < 1_000:
        while len(under_way) < 4:
            pause = pauses.choice([0.0, 0.0, 0.0001, 0.001, 0.008])
            job: Job[Any] = Job(partial(time.sleep, pause) if pause else lambda: None)
            under_way.append(job)
            pool.start(job)
            if pauses.random() < 0.3:
                break
        pool.wait(10)
        over = [job for job in under_way if job.is_done]
        assert over, "waited for ten seconds for jobs that take eight milliseconds at most"
        for job in over:
            under_way.remove(job)
            pool.free()
        done += len(over)
    pool.close()


def test_waiting_ends_when_something_is_done_or_the_time_is_over() -> None:
    pool, go = WorkerPool(), threading.Event()
    job = Job(lambda: go.wait(10))
    pool.start(job)
    started = time.monotonic()
    pool.wait(0.05)
    assert time.monotonic() - started >= 0.04
    assert not job.is_done
    go.set()
    pool.wait(10)
    assert job.result is True
    assert time.monotonic() - started < 5
    pool.close()


def test_one_that_hangs_is_left_behind() -> None:
    before = set(threading.enumerate())
    pool, go = WorkerPool(), threading.Event()
    job = Job(lambda: go.wait(10))
    pool.start(job)
    pool.wait_for_all([job], 0.01)
    pool.close()
    assert not job.is_done
    [worker] = [
        thread for thread in threading.enumerate() if thread not in before and "worker" in thread.name
    ]
    assert worker.daemon
    go.set()
    worker.join(10)
    assert not worker.is_alive()


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_no_time_is_no_wait(seconds: float) -> None:
    ended: list[str] = []

    def wait() -> None:
        WorkerPool().wait(seconds)
        ended.append("without an error")

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    waiting.join(5)
    assert not waiting.is_alive()
    assert ended == ["without an error"]


def test_to_ask_whether_something_ended_leaves_it_to_be_waited_for() -> None:
    pool, go = WorkerPool(), threading.Event()
    job = Job(partial(go.wait, 10))
    pool.start(job)
    assert not pool.ends_within(0.0)
    go.set()
    assert pool.ends_within(10)
    assert pool.ends_within(0.0), "it may be asked again"
    began = time.monotonic()
    pool.wait(60)
    assert time.monotonic() - began < 30
    assert job.is_done
    assert not pool.ends_within(0.0)
    pool.close()
