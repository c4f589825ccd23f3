"""Wait for a campaign without holding a worker."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from math import inf
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_voicepartner.constants import (
    BATCHING_SHARE,
    LEAST_TRIGGER_SLEEP,
    MOST_STORE_FAILURES,
    POKE_INTERVAL,
    SHORTEST_DEFERRAL,
    TRIGGER_SLEEP,
)
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.exceptions import ConfigurationError, RejectedError

if TYPE_CHECKING:
    from airflow_provider_voicepartner.delivery.completion import Progress
    from airflow_provider_voicepartner.delivery.store_watcher import StoreWatcher, Subscription
    from airflow_provider_voicepartner.gateways.errors import ErrorKind
    from airflow_provider_voicepartner.hooks.base import GatewayHook
    from airflow_provider_voicepartner.hooks.completion import CompletionCheck
    from airflow_provider_voicepartner.hooks.gateway_poller import GatewayPoller
    from airflow_provider_voicepartner.sending.report import CampaignReport


class CampaignCompletionTrigger(BaseTrigger):
    """
    Wait until every accepted recipient of a campaign has a final status. It polls, and never sends.

    Its deadlines are absolute and its arguments hold no number, text or key: a restarted triggerer resumes the wait. It
    ends with one event, whose ``status`` is ``complete``, ``unreachable``, ``timeout``, ``rejected``
    or ``error``: the sensor judges it, so that a wait ends the same way wherever it was spent.

    :param campaign: the report of the operator that sent it.
    :param options: of :class:`~airflow_provider_voicepartner.hooks.completion_options.CompletionOptions`, as JSON.
    :param poke_interval: seconds between two polls; the store is read for all triggers together.
    :param max_failures: intervals for which the store may fail, one after another, before the wait is given up.
    :param deadline: Unix seconds at which the wait ends; None waits until all is known. The event repeats it.
    """

    def __init__(
        self,
        campaign: dict[str, Any],
        options: dict[str, Any],
        poke_interval: float = POKE_INTERVAL,
        max_failures: int = MOST_STORE_FAILURES,
        deadline: float | None = None,
    ) -> None:
        super().__init__()
        self.campaign = campaign
        self.options = options
        self.poke_interval = poke_interval
        self.max_failures = max_failures
        self.deadline = deadline

    @classmethod
    def of(
        cls, completion: CompletionCheck, *, poke_interval: float, deadline: float | None = None
    ) -> CampaignCompletionTrigger:
        """Make the trigger that continues a wait."""
        return cls(
            completion.report_to_hand_over.to_json(),
            completion.options.to_json(),
            poke_interval,
            deadline=deadline,
        )

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and what ``__init__`` needs."""
        return (
            "airflow_provider_voicepartner.triggers.campaign.CampaignCompletionTrigger",
            {
                "campaign": self.campaign,
                "options": self.options,
                "poke_interval": self.poke_interval,
                "max_failures": self.max_failures,
                "deadline": self.deadline,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event, a final one, whatever happens; never immediately."""
        started = time.monotonic()
        try:
            event = await self._wait()
        except Exception as error:
            # An exception would fail the task without the sensor's own handling.
            self.log.exception("The wait for a campaign failed")
            event = {"status": "error", "message": type(error).__name__}
        await asyncio.sleep(min(self.poke_interval, SHORTEST_DEFERRAL) - (time.monotonic() - started))
        yield TriggerEvent(event if self.deadline is None else {**event, "deadline": self.deadline})

    async def _wait(self) -> dict[str, Any]:
        from airflow_provider_voicepartner.delivery.store_watcher import shared_watcher
        from airflow_provider_voicepartner.hooks.completion import CompletionCheck
        from airflow_provider_voicepartner.hooks.completion_options import CompletionOptions
        from airflow_provider_voicepartner.sending.report import read_report
        from airflow_provider_voicepartner.settings import open_delivery_store, store_url

        try:
            report = await self._with_batches(read_report(self.campaign))
        except ConfigurationError as error:
            return {"status": "error", "message": str(error)}
        if report is None:
            return {"status": "timeout"}
        completion = CompletionCheck(report, CompletionOptions(**self.options), now=time.time)
        watcher = shared_watcher(store_url() or "", open_delivery_store)
        with watcher.watch(completion.keys, interval=self.poke_interval) as subscription:
            if completion.can_poll:
                return await self._poll_and_wait(completion, subscription, watcher)
            return await self._until_final(completion, subscription, watcher, None)

    async def _with_batches(self, report: CampaignReport) -> CampaignReport | None:
        """Read the batches that the report does not list; None if the store was unreachable until the deadline."""
        from airflow_provider_voicepartner.hooks.delivery import with_stored_batches

        failures = 0
        while report.stored:
            try:
                return await asyncio.to_thread(with_stored_batches, report)
            except StoreUnavailableError as error:
                failures += 1
                if failures > self.max_failures:
                    raise
                self.log.warning("The batches of the campaign could not be read, will try again: %s", error)
            left = inf if self.deadline is None else self.deadline - time.time()
            if left <= 0:
                return None
            await asyncio.sleep(min(self.poke_interval, left))
        return report

    async def _poll_and_wait(
        self, completion: CompletionCheck, subscription: Subscription, watcher: StoreWatcher
    ) -> dict[str, Any]:
        """Wait for reports in the store, and poll the gateway meanwhile."""
        from airflow_provider_voicepartner.hooks.gateway_poller import shared_poller

        async with shared_poller(await self._hook(completion)) as poller:
            completion.hook = poller.hook
            polling = asyncio.create_task(self._poll_repeatedly(poller, completion, subscription))
            try:
                return await self._until_final(completion, subscription, watcher, polling)
            finally:
                await _end(polling)

    async def _hook(self, completion: CompletionCheck) -> GatewayHook:
        """Look the connection up without blocking the loop, and make the hook of it."""
        from airflow_provider_voicepartner.compat import get_async_connection
        from airflow_provider_voicepartner.hooks.registry import hook_class

        conn_id = completion.options.conn_id or completion.report.conn_id
        connection = await get_async_connection(conn_id)
        completion.report.check_gateway(str(connection.conn_type))
        return hook_class(str(connection.conn_type))(conn_id, connection=connection)

    async def _until_final(
        self,
        completion: CompletionCheck,
        subscription: Subscription,
        watcher: StoreWatcher,
        polling: asyncio.Task[dict[str, Any]] | None,
    ) -> dict[str, Any]:
        while True:
            subscription.changed.clear()
            # Until the store was read once, missing reports mean nothing.
            if subscription.as_of is not None:
                progress = completion.progress(subscription.known, subscription.as_of)
                if progress.is_complete:
                    return _event("complete", progress)
                if completion.is_rate_unreachable(progress):
                    return _event("unreachable", progress)
            if polling is not None and polling.done():
                return polling.result()
            if self._left(completion) <= 0:
                return {"status": "timeout"}
            if watcher.has_failed_for(subscription) >= self.max_failures * self.poke_interval:
                return {"status": "error", "message": f"the store could not be read: {watcher.problem}"}
            # Before recipients count as unconfirmed, the store and the gateway are read once more. Waits are short, as
            # the machine's clock may be set meanwhile.
            left = completion.unconfirmed_at - completion.now()
            pause = min(left if left > 0 else self.poke_interval, TRIGGER_SLEEP, self._left(completion))
            with contextlib.suppress(TimeoutError):
                # Not wait_for, which makes a task: thousands wait here.
                async with asyncio.timeout(max(pause, LEAST_TRIGGER_SLEEP)):
                    await subscription.changed.wait()

    def _left(self, completion: CompletionCheck) -> float:
        """Return the seconds until the deadline."""
        return inf if self.deadline is None else self.deadline - completion.now()

    async def _poll_repeatedly(
        self, poller: GatewayPoller, completion: CompletionCheck, subscription: Subscription
    ) -> dict[str, Any]:
        """Poll the gateway again and again; reports go to the store, where every trigger reads them."""
        from airflow_provider_voicepartner.delivery.group_commit import NotStoredError

        try:
            while True:
                try:
                    await poller.poll(
                        completion, subscription.known, batching_delay=self.poke_interval * BATCHING_SHARE
                    )
                except (StoreUnavailableError, NotStoredError) as error:
                    self.log.warning("Delivery reports could not be stored, will poll again: %s", error)
                subscription.changed.set()
                left = completion.unconfirmed_at - completion.now()
                await asyncio.sleep(min(left, self.poke_interval) if left > 0 else self.poke_interval)
        except RejectedError as error:
            event = {
                "status": "rejected",
                "message": str(error),
                "code": error.code,
                "kind": _value(error.kind),
            }
        except Exception as error:
            self.log.exception("Polling the gateway failed")
            event = {"status": "error", "message": type(error).__name__}
        subscription.changed.set()
        return event


async def _end(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it has ended."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _value(kind: ErrorKind | None) -> str | None:
    return None if kind is None else str(kind.value)


def _event(status: str, progress: Progress) -> dict[str, Any]:
    return {"status": status, "progress": progress.to_json()}
