"""Ends what takes too long. Looked after twice a second: a timer for each request would cost more than its token."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from airflow_provider_voicepartner.constants import DEADLINE_CHECK_INTERVAL

Found = TypeVar("Found")


class Deadlines:
    """Coarse timeouts for the tasks of one event loop."""

    def __init__(self) -> None:
        self._due: dict[asyncio.Task[Any], float] = {}
        self._ended: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def within(self, seconds: float, work: Awaitable[Found]) -> Found:
        """
        Wait for something, and no longer than that, give or take half a second.

        :raises TimeoutError: it was cancelled.
        """
        task = asyncio.current_task()
        assert task is not None
        loop = task.get_loop()
        self._due[task] = loop.time() + seconds
        if self._timer is None:
            self._timer = loop.call_later(DEADLINE_CHECK_INTERVAL, self._look)
        try:
            return await work
        except asyncio.CancelledError:
            if task not in self._ended:
                raise  # the server is being stopped
            task.uncancel()
        finally:
            del self._due[task]
            self._ended.discard(task)
        raise TimeoutError

    def _look(self) -> None:
        self._timer = None
        for task, due in self._due.items():
            loop = task.get_loop()
            if loop.time() >= due and task not in self._ended:
                self._ended.add(task)
                task.cancel()
            if self._timer is None:
                self._timer = loop.call_later(DEADLINE_CHECK_INTERVAL, self._look)
