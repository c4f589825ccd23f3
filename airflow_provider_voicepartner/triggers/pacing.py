"""Wait without holding a worker: for a rate limit, or until a batch in doubt can be looked up. Tasks store the path."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_voicepartner.constants import TRIGGER_SLEEP


class WaitUntilTrigger(BaseTrigger):
    """
    Wait until a moment. The moment is absolute, so that a restarted triggerer does not begin to wait anew.

    :param until: Unix seconds.
    """

    def __init__(self, until: float) -> None:
        super().__init__()
        self.until = until

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and what ``__init__`` needs."""
        return "airflow_provider_voicepartner.triggers.pacing.WaitUntilTrigger", {"until": self.until}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event, ``{"status": "due"}``, when the moment has come."""
        while (left := self.until - time.time()) > 0:
            # In short sleeps, since the machine's clock may be set meanwhile.
            await asyncio.sleep(min(left, TRIGGER_SLEEP))
        yield TriggerEvent({"status": "due"})
