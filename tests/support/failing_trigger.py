"""A trigger that ends its task as failed, without a worker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TaskFailedEvent, TriggerEvent


class FailingTrigger(BaseTrigger):
    """Fails the task that waits for it."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class, and that it has no arguments."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Fail at once."""
        yield TaskFailedEvent()
