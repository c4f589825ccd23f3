"""Wait for the next step of any escalation, or for an answer, and start a DAG when there is one. Never sends."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_voicepartner.compat import BaseEventTrigger
from airflow_provider_voicepartner.constants import (
    EVENT_POLL_INTERVAL,
    INCIDENT_EVENT_PAUSE,
    LEAST_EVENT_POLL_INTERVAL,
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
    """

    def __init__(self, *, until: float, since: int, poll_interval: float) -> None:
        super().__init__()
        self.until = until
        self.since = since
        self.poll_interval = poll_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and what ``__init__`` needs."""
        path = "airflow_provider_voicepartner.triggers.page.PageTrigger"
        return path, {"until": self.until, "since": self.since, "poll_interval": self.poll_interval}

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
                if pages.unstarted() or (left is not None and left <= 0):
                    return "due"
                return "over" if left is None else None
            finally:
                store.close()
        except Exception as error:  # the store may be back with the next look
            log.warning("The store cannot be read: %s", type(error).__name__)
            return None


class IncidentTrigger(BaseEventTrigger):
    """
    Tell that an escalation has something to do, for an ``AssetWatcher`` that starts a DAG with a ``PageOperator``.

    The payload is ``{"incident": id}``. One that is told twice starts a run that finds nothing to do. Needs Airflow 3.

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
        """Yield an event for each incident that is due, and again after a while if it still is: that run failed."""
        seen: dict[int, float] = {}
        while True:
            for incident in await asyncio.to_thread(self._due):
                now = time.monotonic()
                if now - seen.get(incident, -INCIDENT_EVENT_PAUSE) >= INCIDENT_EVENT_PAUSE:
                    seen[incident] = now
                    yield TriggerEvent({"incident": incident})
            await asyncio.sleep(self.poll_interval)

    def _due(self) -> list[int]:
        try:
            store = connect_store("the escalations of incidents")
            try:
                pages = PageStore(store, new_reference=new_reference)
                return sorted({*pages.due(), *(incident for incident, _ in pages.unstarted())})
            finally:
                store.close()
        except Exception as error:  # the store may be back with the next look
            log.warning("The store cannot be read: %s", type(error).__name__)
            return []
