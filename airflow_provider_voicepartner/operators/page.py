"""Run escalations from a DAG, where no watchdog does."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_voicepartner.compat import BaseOperator, Context
from airflow_provider_voicepartner.constants import (
    LEAST_PAGE_POLL_INTERVAL,
    LONGEST_PAGE_TASK,
    PAGE_POLL_INTERVAL,
)
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.sending.cancellation import CancellationToken

if TYPE_CHECKING:
    from airflow_provider_voicepartner.hooks.paging import Run


class PageOperator(BaseOperator):
    """
    Do the steps of all escalations that are under way, and take answers, until none is left.

    Two of them at the same time, or one beside a watchdog, never page twice. It waits in the triggerer, which sends
    nothing.

    :param poll_interval: seconds between two looks for answers, at least 1; default 2.
    :param deferrable: False waits in the worker.
    """

    template_fields: Sequence[str] = ()

    def __init__(
        self, *, poll_interval: float = PAGE_POLL_INTERVAL, deferrable: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not poll_interval >= LEAST_PAGE_POLL_INTERVAL:
            raise ConfigurationError(f"poll_interval: must be at least {LEAST_PAGE_POLL_INTERVAL:g} seconds")
        self.poll_interval = poll_interval
        self.deferrable = deferrable
        self._stop: CancellationToken | None = None

    def execute(self, context: Context, event: dict[str, Any] | None = None) -> None:
        """
        Look until nothing is under way.

        :param event: of the trigger; what it says is looked up again.
        :raises CampaignInterruptedError: the task was stopped.
        """
        from airflow_provider_voicepartner.db.transactions import StoreRetry
        from airflow_provider_voicepartner.settings import store_wait

        if self._stop is None or event is None:
            self._stop = CancellationToken()
        sleep = self._stop.sleeper(time.sleep)
        retry = StoreRetry(seconds=store_wait(), sleep=sleep)
        while True:
            run, newest, unstarted = retry.run(self._look)
            if run.next_due is None:
                self.log.info("No escalation is under way")
                return
            # A step that cannot be done now, for want of the contacts for instance, is still due: pause before a retry.
            wait = run.next_due or self.poll_interval
            self._stop.check()
            if self.deferrable:
                self._defer(wait, newest, unstarted)
            sleep(min(wait, self.poll_interval))

    def on_kill(self) -> None:
        """Look no more; a page that is on its way is recorded."""
        if self._stop is not None:
            self._stop.cancel()

    def _look(self) -> tuple[Run, int, int]:
        from airflow_provider_voicepartner.delivery.events import SummaryReader
        from airflow_provider_voicepartner.hooks.paging import Pager
        from airflow_provider_voicepartner.settings import open_store

        store = open_store("the escalations of incidents")
        try:
            # Before the look: what comes in during it ends the next wait.
            newest = SummaryReader(store).head().event
            pager = Pager(store)
            return pager.run_due(), newest, len(pager.pages.unstarted())
        finally:
            store.close()

    def _defer(self, seconds: float, newest: int, unstarted: int) -> None:
        from airflow_provider_voicepartner.triggers.page import PageTrigger

        self.defer(
            trigger=PageTrigger(
                until=time.time() + min(seconds, LONGEST_PAGE_TASK),
                since=newest,
                poll_interval=self.poll_interval,
                unstarted=unstarted,
            ),
            method_name="execute",
        )
