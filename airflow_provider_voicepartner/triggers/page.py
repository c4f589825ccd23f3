"""Wait for the next step of any escalation, or for an answer, and start a DAG when there is one. Never sends."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_voicepartner.compat import BaseEventTrigger
from airflow_provider_voicepartner.constants import (
    EVENT_POLL_INTERVAL,
    INCIDENT_EVENT_BACKOFF,
    INCIDENT_EVENT_PAUSE,
    LEAST_EVENT_POLL_INTERVAL,
    LONGEST_PAGE_TASK,
)
from airflow_provider_voicepartner.delivery.events import SummaryReader
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.incidents.pages import PageStore
from airflow_provider_voicepartner.sending.fingerprint import new_reference
from airflow_provider_voicepartner.settings import connect_store

log = logging.getLogger(__name__)


class PageTrigger(BaseTrigger):
    """
    Wait until a moment, until something came in from a gateway, or until a step of any incident is due.

    :param until: Unix seconds.
    :param since: the newest event that was seen.
    :param poll_interval: seconds between two reads of the store.
    :param unstarted: how many escalations could not be begun.
    """

    def __init__(self, *, until: float, since: int, poll_interval: float, unstarted: int = 0) -> None:
        super().__init__()
        self.until = until
        self.since = since
        self.poll_interval = poll_interval
        self.unstarted = unstarted

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and what ``__init__`` needs."""
        return "airflow_provider_voicepartner.triggers.page.PageTrigger", {
            "until": self.until,
            "since": self.since,
            "poll_interval": self.poll_interval,
            "unstarted": self.unstarted,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event, ``{"status": "due"}``, ``{"status": "answered"}`` or ``{"status": "over"}``."""
        status = None
        while status is None and (left := self.until - time.time()) > 0:
            # First, since the task has just looked: what it could not do is not tried again without a pause.
            await asyncio.sleep(min(left, self.poll_interval))
            status = await asyncio.to_thread(self._news)
        yield TriggerEvent({"status": status or "due"})

    def _news(self) -> str | None:
        """Say why to look again; None for nothing. Another incident may have come since, and be due before."""
        try:
            store = connect_store("the answers to pages")
            try:
                if SummaryReader(store).head().event > self.since:
                    return "answered"
                pages = PageStore(store, new_reference=new_reference)
                left = pages.next_due()
                if len(pages.unstarted()) > self.unstarted or (left is not None and left <= 0):
                    return "due"
                return "over" if left is None else None
            finally:
                store.close()
        except Exception as error:  # the store may be back with the next look
            log.warning("The store cannot be read: %s", type(error).__name__)
            return None


class IncidentTrigger(BaseEventTrigger):
    """
    Tell that an escalation has begun, for an ``AssetWatcher`` that starts a DAG with a ``PageOperator``.

    It begins with the first step, so that whoever answers that one is heard. An escalation that nobody seems to run is
    told again. The payload is ``{"incident": id}``. One that is told twice starts a run that finds nothing to do. Needs
    Airflow 3.

    :param poll_interval: seconds between two reads of the store, at least 0.1; default 5.
    """

    def __init__(self, *, poll_interval: float = EVENT_POLL_INTERVAL) -> None:
        super().__init__()
        if not poll_interval >= LEAST_EVENT_POLL_INTERVAL:
            raise ConfigurationError(f"poll_interval must be at least {LEAST_EVENT_POLL_INTERVAL} seconds")
        self.poll_interval = poll_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and what ``__init__`` needs."""
        path = "airflow_provider_voicepartner.triggers.page.IncidentTrigger"
        return path, {"poll_interval": self.poll_interval}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event for each incident, and again for one that stays late: its runner has died."""
        told: dict[int, _Told] = {}
        while True:
            now = self.clock()
            under_way = await asyncio.to_thread(self._under_way)
            if under_way is not None:
                told = {incident: told[incident] for incident in under_way if incident in told}
                for incident, is_late in under_way.items():
                    if incident not in told:
                        told[incident] = _Told(now)
                        yield TriggerEvent({"incident": incident})
                    elif told[incident].is_to_be_told(now, is_late=is_late):
                        yield TriggerEvent({"incident": incident})
            await asyncio.sleep(self.poll_interval)

    def clock(self) -> float:
        """Return seconds that never go back; tests have their own."""
        return time.monotonic()

    def _under_way(self) -> dict[int, bool] | None:
        """Return whether what an escalation has to do is late, by incident; None where the store cannot be read."""
        try:
            store = connect_store("the escalations of incidents")
            try:
                pages = PageStore(store, new_reference=new_reference)
                return {one.incident: True for one in pages.unstarted()} | pages.under_way()
            finally:
                store.close()
        except Exception as error:  # the store may be back with the next look
            log.warning("The store cannot be read: %s", type(error).__name__)
            return None


@dataclass(slots=True)
class _Told:
    """
    When an incident was told, and since when it is late.

    :param pause: seconds for which it has to be late before it is told again; longer each time.
    """

    late_since: float
    pause: float = INCIDENT_EVENT_PAUSE

    def is_to_be_told(self, now: float, *, is_late: bool) -> bool:
        """Say whether it is late for long enough; asked with each look."""
        if not is_late:
            self.late_since, self.pause = now, INCIDENT_EVENT_PAUSE
            return False
        if now - self.late_since < self.pause:
            return False
        self.late_since, self.pause = now, min(INCIDENT_EVENT_BACKOFF * self.pause, LONGEST_PAGE_TASK)
        return True
