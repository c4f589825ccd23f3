"""Watches the store with one query per interval, for all campaigns that are waited for in one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from weakref import WeakKeyDictionary

from airflow_provider_voicepartner.constants import CAMPAIGNS_A_TURN
from airflow_provider_voicepartner.delivery.inbound import CampaignKey
from airflow_provider_voicepartner.delivery.store import FROM_NOW, Changes, DeliveryStore, KnownCampaign

log = logging.getLogger(__name__)


class Subscription:
    """
    The known state of one campaign that somebody waits for.

    ``as_of`` is when the last query that succeeded began, in Unix seconds: the known state was true then.
    ``failing_since`` is when the first of the queries since then failed, None when none did.

    :param keys: of the campaign in the store.
    :param interval: seconds by which its changes may be noticed late.
    """

    __slots__ = ("as_of", "changed", "failing_since", "interval", "keys", "known")

    def __init__(self, keys: Collection[CampaignKey], interval: float) -> None:
        self.keys = tuple(keys)
        self.interval = interval
        self.known: dict[CampaignKey, KnownCampaign] = {}
        self.as_of: float | None = None
        self.failing_since: float | None = None
        self.changed = asyncio.Event()


class StoreWatcher:
    """
    Reads from the store what has changed, at most once per interval, however many campaigns are waited for.

    Belongs to one event loop. It queries in a thread of its own, so that a slow store does not block the loop.

    :param open_store: opens the store; called in that thread, again after a failure.
    :param clock: seconds that only go forward; injected by tests.
    :param now: Unix seconds; injected by tests.
    """

    def __init__(
        self,
        open_store: Callable[[], DeliveryStore],
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._open_store = open_store
        self._clock = clock
        self._now = now
        self._store: DeliveryStore | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="voicepartner-store")
        self._by_key: dict[CampaignKey, set[Subscription]] = {}
        self._new: set[Subscription] = set()
        self._subscriptions: set[Subscription] = set()
        self._cursor: int | None = None
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._queried_at = float("-inf")
        self.queries = 0
        self.failures = 0
        self.problem = ""

    @contextlib.contextmanager
    def watch(self, keys: Collection[CampaignKey], *, interval: float) -> Iterator[Subscription]:
        """
        Subscribe to a campaign within a block.

        :param keys: of the campaign in the store.
        :param interval: the longest time between two queries, in seconds; the shortest of all subscriptions counts.
        """
        subscription = Subscription(keys, interval)
        self._subscriptions.add(subscription)
        self._new.add(subscription)
        for key in subscription.keys:
            self._by_key.setdefault(key, set()).add(subscription)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        self._wake.set()
        try:
            yield subscription
        finally:
            self._unsubscribe(subscription)

    def has_failed_for(self, subscription: Subscription) -> float:
        """Return for how many seconds all queries for a campaign have failed."""
        return 0.0 if subscription.failing_since is None else self._clock() - subscription.failing_since

    def _unsubscribe(self, subscription: Subscription) -> None:
        self._subscriptions.discard(subscription)
        self._new.discard(subscription)
        for key in subscription.keys:
            waiting = self._by_key.get(key, set())
            waiting.discard(subscription)
            if not waiting:
                self._by_key.pop(key, None)
        self._wake.set()

    async def _run(self) -> None:
        """Query again and again, until there is no subscription."""
        while self._subscriptions:
            while self._subscriptions:
                await self._until_due()
                if self._subscriptions:
                    await self._query()
            if self._store is not None:
                store, self._store, self._cursor = self._store, None, None
                # A new subscription may begin meanwhile, and finds this task still running.
                with contextlib.suppress(Exception):
                    await asyncio.get_running_loop().run_in_executor(self._thread, store.close)

    async def _until_due(self) -> None:
        """Wait until an interval has passed since the last query; a shorter one may come meanwhile."""
        while self._subscriptions:
            self._wake.clear()
            interval = min(subscription.interval for subscription in self._subscriptions)
            left = self._queried_at + interval - self._clock()
            if left <= 0:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), left)

    async def _query(self) -> None:
        new, self._new = self._new, set()
        keys = [key for subscription in new for key in subscription.keys]
        self._queried_at, as_of = self._clock(), self._now()
        try:
            changes = await asyncio.get_running_loop().run_in_executor(self._thread, self._read_changes, keys)
        except Exception as error:
            # Whatever it is: each subscriber decides how long it tolerates failures.
            self._new |= new & self._subscriptions
            self.failures += 1
            self.problem = str(error) if _is_ours(error) else type(error).__name__
            if self.failures == 1:
                log.warning("The store could not be read, will try again: %s", self.problem)
            for subscription in self._subscriptions:
                if subscription.failing_since is None:
                    subscription.failing_since = self._queried_at
                subscription.changed.set()
            return
        if self.failures:
            log.info("The store can be read again, after %d failures", self.failures)
        self.failures, self.problem = 0, ""
        if self._cursor is not None and changes.seq < self._cursor:
            # Another store than before, or an older copy of it: read everything from the beginning.
            self._new |= self._subscriptions
        self._cursor = changes.seq
        await self._publish(changes.campaigns)
        # Subscriptions that began during the query are part of the next one.
        answered = (self._subscriptions | new) - self._new
        for number, subscription in enumerate(answered):
            if subscription.as_of is None:
                subscription.changed.set()
            subscription.as_of, subscription.failing_since = as_of, None
            await _yield_to_loop(number)

    def _read_changes(self, keys: list[CampaignKey]) -> Changes:
        if self._store is None:
            self._store = self._open_store()
        self.queries += 1
        return self._store.changes(since=FROM_NOW if self._cursor is None else self._cursor, also=keys)

    async def _publish(self, campaigns: Mapping[CampaignKey, KnownCampaign]) -> None:
        for number, (key, known) in enumerate(campaigns.items()):
            for subscription in self._by_key.get(key, ()):
                if subscription.known.get(key) != known:
                    subscription.known[key] = known
                    subscription.changed.set()
            await _yield_to_loop(number)


async def _yield_to_loop(number: int) -> None:
    """Let the event loop run other tasks, every now and then."""
    if number % CAMPAIGNS_A_TURN == CAMPAIGNS_A_TURN - 1:
        await asyncio.sleep(0)


def _is_ours(error: Exception) -> bool:
    """Say whether the text of an error is ours, and thus holds no secret."""
    return type(error).__module__.startswith("airflow_provider_voicepartner")


_watchers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, StoreWatcher]] = WeakKeyDictionary()


def shared_watcher(name: str, open_store: Callable[[], DeliveryStore]) -> StoreWatcher:
    """
    Return the watcher of the running event loop.

    :param name: of the store; each store has its own watcher.
    :param open_store: opens it.
    """
    watchers = _watchers.setdefault(asyncio.get_running_loop(), {})
    if name not in watchers:
        watchers[name] = StoreWatcher(open_store)
    return watchers[name]
