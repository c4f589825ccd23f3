"""Threads that each do one thing at a time."""

from __future__ import annotations

import threading
import time
from functools import partial
from random import Random
from typing import Any

import pytest

from airflow_provider_voicepartner.sending.batch import Lanes, Task


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


def test_no_more_threads_are_started_than_tasks_are_under_way_at_once() -> None:
    lanes, threads = Lanes(), set[int]()
    for _ in range(20):
        together = threading.Barrier(4, timeout=10)

        def work(together: threading.Barrier = together) -> None:
            together.wait()
            threads.add(threading.get_ident())

        tasks: list[Task[Any]] = [Task(work) for _ in range(4)]
        for task in tasks:
            lanes.start(task)
        lanes.wait_for_all(tasks, 10)
        assert all(task.is_done for task in tasks)
        for _ in tasks:
            lanes.free()
    assert len(threads) <= 4
    lanes.close()


def test_waiting_for_tasks_leaves_the_processor_to_others() -> None:
    lanes, end = Lanes(), threading.Event()
    task = Task(end.wait)
    lanes.start(task)
    before = time.thread_time()
    lanes.wait_for_all([task], 0.5)
    assert not task.is_done
    assert time.thread_time() - before < 0.1
    end.set()
    lanes.wait_for_all([task], 10)
    assert task.is_done
    lanes.close()


@pytest.mark.parametrize("slow", range(1, 5))
def test_a_task_begins_at_once_and_stands_behind_no_other(slow: int) -> None:
    """It was claimed: what waits for a thread meanwhile is in doubt if the worker dies."""
    lanes, go, begun = Lanes(), threading.Event(), threading.Event()
    hanging = [Task(lambda: go.wait(10)) for _ in range(slow)]
    for task in hanging:
        lanes.start(task)
    lanes.start(Task(begun.set))
    assert begun.wait(10)
    assert not any(task.is_done for task in hanging)
    go.set()
    lanes.wait_for_all(hanging, 10)
    lanes.close()


def test_a_task_begins_at_once_also_where_earlier_ones_were_taken_note_of_late() -> None:
    """Three are done and one still hangs; of three new ones, each has a thread of its own."""
    lanes, go = Lanes(), threading.Event()
    hanging, done = Task(lambda: go.wait(10)), [Task(lambda: None) for _ in range(3)]
    for task in (hanging, *done):
        lanes.start(task)
    lanes.wait_for_all(done, 10)
    for _ in done:
        lanes.free()
    together = threading.Barrier(3, timeout=10)
    again = [Task(together.wait) for _ in range(3)]
    for task in again:
        lanes.start(task)
    lanes.wait_for_all(again, 10)
    assert [task.error for task in again] == [None] * 3
    assert not hanging.is_done
    go.set()
    lanes.wait_for_all([hanging], 10)
    lanes.close()


def test_whenever_tasks_are_started_all_are_done() -> None:
    lanes, pauses = Lanes(), Random(7)
    under_way: list[Task[Any]] = []
    done = 0
    while done < 1_000:
        while len(under_way) < 4:
            pause = pauses.choice([0.0, 0.0, 0.0001, 0.001, 0.008])
            task: Task[Any] = Task(partial(time.sleep, pause) if pause else lambda: None)
            under_way.append(task)
            lanes.start(task)
            if pauses.random() < 0.3:
                break
        lanes.wait(10)
        over = [task for task in under_way if task.is_done]
        assert over, "waited for ten seconds for tasks that take eight milliseconds at most"
        for task in over:
            under_way.remove(task)
            lanes.free()
        done += len(over)
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
    before = set(threading.enumerate())
    lanes, go = Lanes(), threading.Event()
    task = Task(lambda: go.wait(10))
    lanes.start(task)
    lanes.wait_for_all([task], 0.01)
    lanes.close()
    assert not task.is_done
    [lane] = [thread for thread in threading.enumerate() if thread not in before and "lane" in thread.name]
    assert lane.daemon
    go.set()
    lane.join(10)
    assert not lane.is_alive()


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_no_time_is_no_wait(seconds: float) -> None:
    ended: list[str] = []

    def wait() -> None:
        Lanes().wait(seconds)
        ended.append("without an error")

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    waiting.join(5)
    assert not waiting.is_alive()
    assert ended == ["without an error"]
