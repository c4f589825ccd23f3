"""A few threads that each do one thing at a time, and a main thread that asks what is done; cheaper than futures."""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class Task(Generic[Result]):
    """
    Something that a lane does.

    Its result is kept here and not in a queue: a signal handler that raises in the main thread can then lose none.

    :param do: runs in a thread of the lanes.
    """

    __slots__ = ("_once", "do", "error", "is_done", "result")

    def __init__(self, do: Callable[[], Result]) -> None:
        self._once = Lock()
        self.do = do
        self.is_done = False
        self.result: Result | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        """Do it, and keep the result or the error; nothing where it was cancelled."""
        if not self._once.acquire(blocking=False):
            return
        try:
            self.result = self.do()
        except BaseException as error:
            self.error = error
        self.is_done = True

    def cancel(self) -> bool:
        """Keep it from being begun; say whether that was in time."""
        return self._once.acquire(blocking=False)


class Lanes:
    """
    Threads that run tasks. They are left without waiting for one that hangs, and do not keep the process alive.

    Threads are started as they are needed, and there are never more than tasks under way at once. Each task is begun at
    once, in a thread of its own: it was claimed in the ledger, and what is claimed and has not left is in doubt if the
    worker dies.
    """

    def __init__(self) -> None:
        self._tasks: SimpleQueue[Task[Any] | None] = SimpleQueue()
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._threads = 0
        self._busy = 0

    def start(self, task: Task[Result]) -> None:
        """Let a lane run a task now."""
        self._busy += 1
        if self._threads < self._busy:
            self._threads += 1
            Thread(target=self._run, name=f"voicepartner-lane-{self._threads}", daemon=True).start()
        self._tasks.put(task)

    def free(self) -> None:
        """Take note that a task is done, whose lane may run another one."""
        self._busy -= 1

    def wait(self, seconds: float) -> None:
        """Wait until some task is done that was not waited for yet, or the time is over."""
        if self._is_rung(seconds):
            while self._is_rung(0):
                pass

    def wait_for_all(self, tasks: list[Task[Result]], seconds: float) -> None:
        """Wait until all of these tasks are done, or the time is over."""
        deadline = time.monotonic() + seconds
        while not all(task.is_done for task in tasks) and (left := deadline - time.monotonic()) > 0:
            self.wait(left)

    def close(self) -> None:
        """Let free threads end; one that hangs ends when its task does."""
        for _ in range(self._threads):
            self._tasks.put(None)

    def _is_rung(self, seconds: float) -> bool:
        try:
            self._bell.get(block=seconds > 0, timeout=seconds)
        except Empty:
            return False
        return True

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            task.run()
            self._bell.put(None)
