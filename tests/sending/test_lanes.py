"""Threads that each do one thing at a time."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from airflow_provider_voicepartner.sending.lanes import Lanes, Task


def test_tasks_run_at_the_same_time_and_keep_their_results() -> None:
    lanes, together = Lanes(), threading.Barrier(3, timeout=10)

    def work(name: int) -> int:
        together.wait()
        return name

    tasks: list[Task[Any]] = [Task(lambda name=name: work(name)) for name in range(3)]
    for task in tasks:
        lanes.start(task)
    lanes.wait_for_all(tasks, 10)
    assert [task.result for task in tasks] == [0, 1, 2]
    lanes.close()


def test_an_error_is_kept_whatever_it_is() -> None:
    def fail() -> None:
        raise SystemExit(3)

    lanes, task = Lanes(), Task(fail)
    lanes.start(task)
    lanes.wait_for_all([task], 10)
    assert isinstance(task.error, SystemExit)
    lanes.close()


def test_a_free_lane_is_used_again_and_no_more_are_made_than_are_busy() -> None:
    lanes = Lanes()
    threads: set[int] = set()
    for _ in range(20):
        task = Task(lambda: threads.add(threading.get_ident()))
        lanes.start(task)
        lanes.wait_for_all([task], 10)
        lanes.free()
    assert len(threads) == 1
    lanes.close()


def test_waiting_ends_when_something_is_done_or_the_time_is_over() -> None:
    lanes, go = Lanes(), threading.Event()
    task = Task(lambda: go.wait(10))
    lanes.start(task)
    started = time.monotonic()
    lanes.wait(0.05)
    assert time.monotonic() - started >= 0.04
    assert not task.is_done
    go.set()
    lanes.wait(10)
    assert task.result is True
    assert time.monotonic() - started < 5
    lanes.close()


def test_one_that_hangs_is_left_behind() -> None:
    lanes, go = Lanes(), threading.Event()
    task = Task(lambda: go.wait(10))
    lanes.start(task)
    lanes.wait_for_all([task], 0.01)
    lanes.close()
    assert not task.is_done
    lane = next(thread for thread in threading.enumerate() if thread.name.startswith("voicepartner-lane"))
    assert lane.daemon
    go.set()
    lane.join(10)
    assert not lane.is_alive()


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_no_time_is_no_wait(seconds: float) -> None:
    Lanes().wait(seconds)
