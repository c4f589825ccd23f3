"""Wait for a campaign without holding a worker."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from airflow.triggers.base import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from airflow_provider_voicepartner.delivery.completion import Progress
    from airflow_provider_voicepartner.delivery.poller import StorePoller, Watched
    from airflow_provider_voicepartner.gateways.errors import ErrorKind
    from airflow_provider_voicepartner.hooks.base import GatewayHook
    from airflow_provider_voicepartner.hooks.completion import CampaignWatch

LONGEST_NAP: Final = 60.0
MAX_FAILURES: Final = 100
"""Questions to the store that may fail one after another, before the wait is given up."""
SHORTEST_WAIT: Final = 5.0
"""
Seconds. When a task goes on sooner than the scheduler has taken note that it was deferred, the scheduler takes the one
for the other, and fails a task that is running.
"""
_THREADS: Final = 8


@cache
def _pool() -> ThreadPoolExecutor:
    """Return the threads in which gateways are asked: a few for all triggers of the process."""
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="voicepartner-asks")


class CampaignCompletionTrigger(BaseTrigger):
    """
    Wait until everybody whom a campaign was accepted for has a final status. It asks, and never sends.

    Its moments are absolute and its arguments hold no number, text or key: a triggerer that is started anew goes on
    with the same wait. Ends with one event, whose ``status`` is ``complete``, ``hopeless``, ``rejected`` or ``error``.

    :param campaign: the report of the operator that sent it.
    :param options: of :class:`~airflow_provider_voicepartner.hooks.completion.CompletionOptions`, as JSON.
    :param poke_interval: seconds between two questions; those to the store are asked for all triggers together.
    :param max_failures: failures of the store, one after another, after which the wait is given up.
    """

    def __init__(
        self,
        campaign: dict[str, Any],
        options: dict[str, Any],
        poke_interval: float = 60.0,
        max_failures: int = MAX_FAILURES,
    ) -> None:
        super().__init__()
        self.campaign = campaign
        self.options = options
        self.poke_interval = poke_interval
        self.max_failures = max_failures

    @classmethod
    def of_watch(cls, watch: CampaignWatch, *, poke_interval: float) -> CampaignCompletionTrigger:
        """Hand over a wait."""
        return cls(watch.report.to_json(), watch.options.to_json(), poke_interval)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and what ``__init__`` needs."""
        return (
            "airflow_provider_voicepartner.triggers.campaign.CampaignCompletionTrigger",
            {
                "campaign": self.campaign,
                "options": self.options,
                "poke_interval": self.poke_interval,
                "max_failures": self.max_failures,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: a final one, whatever happens, and never at once."""
        started = time.monotonic()
        try:
            event = await self._wait()
        except Exception as error:
            # An exception would fail the task without the sensor having its say.
            self.log.exception("The wait for a campaign failed")
            event = {"status": "error", "message": type(error).__name__}
        await asyncio.sleep(min(self.poke_interval, SHORTEST_WAIT) - (time.monotonic() - started))
        yield TriggerEvent(event)

    async def _wait(self) -> dict[str, Any]:
        from airflow_provider_voicepartner.delivery.poller import shared_poller
        from airflow_provider_voicepartner.hooks.completion import CampaignWatch, CompletionOptions
        from airflow_provider_voicepartner.hooks.stores import open_delivery_store
        from airflow_provider_voicepartner.hooks.turnstile import store_url
        from airflow_provider_voicepartner.sending.report import read_report

        watch = CampaignWatch(read_report(self.campaign), CompletionOptions(**self.options), now=time.time)
        poller = shared_poller(store_url() or "", open_delivery_store)
        asking: asyncio.Task[dict[str, Any]] | None = None
        with poller.watch(watch.keys, interval=self.poke_interval) as watched:
            try:
                if watch.asks:
                    watch.hook = await self._hook(watch)
                    asking = asyncio.create_task(self._ask_again_and_again(watch, watched))
                return await self._until_final(watch, watched, poller, asking)
            finally:
                if asking is not None:
                    asking.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await asking
                watch.close()

    async def _hook(self, watch: CampaignWatch) -> GatewayHook:
        """Look the connection up without blocking the loop, and make the hook of it."""
        from airflow.providers.common.compat.connection import get_async_connection

        from airflow_provider_voicepartner.hooks.registry import hook_class

        conn_id = watch.options.conn_id or watch.report.conn_id
        connection = await get_async_connection(conn_id)
        watch.report.check_gateway(str(connection.conn_type))
        return hook_class(str(connection.conn_type))(conn_id, connection=connection)

    async def _until_final(
        self,
        watch: CampaignWatch,
        watched: Watched,
        poller: StorePoller,
        asking: asyncio.Task[dict[str, Any]] | None,
    ) -> dict[str, Any]:
        while True:
            watched.changed.clear()
            progress = watch.progress(watched.known)
            # Before the store's first answer, silence means nothing.
            if watched.is_answered and progress.is_complete:
                return _event("complete", progress)
            if watched.is_answered and watch.is_hopeless(progress):
                return _event("hopeless", progress)
            if asking is not None and asking.done():
                return asking.result()
            if poller.failures >= self.max_failures:
                return {"status": "error", "message": f"the store could not be asked: {poller.problem}"}
            # In naps, since the machine's clock may be set while we wait.
            left = watch.unconfirmed_at - watch.now() if watched.is_answered else LONGEST_NAP
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(watched.changed.wait(), min(max(left, 0.01), LONGEST_NAP))

    async def _ask_again_and_again(self, watch: CampaignWatch, watched: Watched) -> dict[str, Any]:
        """Ask the gateway, in a thread; what it tells goes to the store, from which all are told."""
        from airflow_provider_voicepartner.exceptions import RejectedError
        from airflow_provider_voicepartner.store.engine import StoreUnavailableError

        try:
            while True:
                try:
                    await asyncio.get_running_loop().run_in_executor(_pool(), watch.ask, dict(watched.known))
                except StoreUnavailableError as error:
                    self.log.warning("What the gateway tells could not be kept, will ask again: %s", error)
                watched.changed.set()
                await asyncio.sleep(self.poke_interval)
        except RejectedError as error:
            told = {
                "status": "rejected",
                "message": str(error),
                "code": error.code,
                "kind": _value(error.kind),
            }
        except Exception as error:
            self.log.exception("The gateway cannot be asked")
            told = {"status": "error", "message": type(error).__name__}
        watched.changed.set()
        return told


def _value(kind: ErrorKind | None) -> str | None:
    return None if kind is None else str(kind.value)


def _event(status: str, progress: Progress) -> dict[str, Any]:
    return {"status": status, "progress": progress.to_json()}
