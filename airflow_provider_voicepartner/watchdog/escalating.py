"""Runs escalations beside the watchdog's looks, every other second: an answer must stop the pages within ten."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from time import monotonic

from airflow_provider_voicepartner.constants import PAGE_POLL_INTERVAL
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.exceptions import VoicePartnerProviderError
from airflow_provider_voicepartner.hooks.page_sending import MakeHook, hook_of_way
from airflow_provider_voicepartner.hooks.paging import Pager

log = logging.getLogger(__name__)


class EscalationRunner:
    """
    Runs all escalations of a store until it is stopped.

    :param open_store: opens the store; called until it succeeds.
    :param interval: seconds between two looks.
    :param make_hook: makes the hook of a connection for a way of paging.
    """

    def __init__(
        self,
        open_store: Callable[[], Store],
        *,
        interval: float = PAGE_POLL_INTERVAL,
        make_hook: MakeHook = hook_of_way,
    ) -> None:
        self._open_store, self._interval, self._make_hook = open_store, interval, make_hook
        self._pager: Pager | None = None
        self._problem = ""
        self.looked_at = monotonic()
        """When the last look ended, on the clock of ``monotonic``."""

    def run(self, stop: threading.Event) -> None:
        """Look until ``stop`` is set. What goes wrong is logged once, until it changes."""
        while not stop.is_set():
            self.look()
            self.looked_at = monotonic()
            stop.wait(self._interval)

    def look(self) -> None:
        """Look once; never raises."""
        problem = ""
        try:
            if self._pager is None:
                self._pager = Pager(self._open_store(), make_hook=self._make_hook)
            self._pager.run_due()
        except Exception as error:
            is_ours = isinstance(error, VoicePartnerProviderError | StoreUnavailableError)
            # Not the text of others: a driver's may hold values.
            problem = str(error) if is_ours else type(error).__name__
        if problem and problem != self._problem:
            log.error("Escalations cannot be run now: %s", problem)
        elif self._problem and not problem:
            log.info("Escalations are run again")
        self._problem = problem
