"""One question to the store an interval, for all campaigns that are waited for in one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from weakref import WeakKeyDictionary

from airflow_provider_voicepartner.constants import CAMPAIGNS_A_TURN
from airflow_provider_voicepartner.delivery.arrivals import CampaignKey
from airflow_provider_voicepartner.delivery.store import FROM_NOW, Changes, DeliveryStore, KnownCampaign

log = logging.getLogger(__name__)


class Subscription:
    """
    What is known of one campaign that somebody waits for.

    ``as_of`` is when the last question that was answered began, in Unix seconds: what is known now was true then.
    ``failing_since`` is when the first of the questions since then failed, None when none did.

    :param keys: under which it is kept.
    :param interval: seconds that its news may be late.
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
    Asks the store what has changed, at most once an interval, however many campaigns are waited for.

    Belongs to one event loop. It asks in a thread of its own, so that a slow store does not hold up the loop.

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
        self._watched: set[Subscription] = set()
        self._cursor: int | None = None
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._asked_at = float("-inf")
        self.queries = 0
        self.failures = 0
        self.problem = ""

    @contextlib.contextmanager
    def watch(self, keys: Collection[CampaignKey], *, interval: float) -> Iterator[Subscription]:
        """
        Wait for a campaign within a block.

        :param keys: under which it is kept.
        :param interval: seconds between two questions, at most; the shortest of all counts.
        """
        watched = Subscription(keys, interval)
        self._watched.add(watched)
        self._new.add(watched)
        for key in watched.keys:
            self._by_key.setdefault(key, set()).add(watched)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        self._wake.set()
        try:
            yield watched
        finally:
            self._forget(watched)

    def has_failed_for(self, watched: Subscription) -> float:
        """Return for how many seconds the questions about a campaign have failed, one after another."""
        return 0.0 if watched.failing_since is None else self._clock() - watched.failing_since

    def _forget(self, watched: Subscription) -> None:
        self._watched.discard(watched)
        self._new.discard(watched)
        for key in watched.keys:
            waiting = self._by_key.get(key, set())
            waiting.discard(watched)
            if not waiting:
                self._by_key.pop(key, None)
        self._wake.set()

    async def _run(self) -> None:
        """Ask again and again, until nobody waits any more."""
        while self._watched:
            while self._watched:
                await self._until_due()
                if self._watched:
                    await self._ask()
            if self._store is not None:
                store, self._store, self._cursor = self._store, None, None
                # Somebody may begin to wait meanwhile, and finds that this task is still there.
                with contextlib.suppress(Exception):
                    await asyncio.get_running_loop().run_in_executor(self._thread, store.close)

    async def _until_due(self) -> None:
        """Wait until an interval has passed since the last question; a shorter interval may join meanwhile."""
        while self._watched:
            self._wake.clear()
            interval = min(watched.interval for watched in self._watched)
            left = self._asked_at + interval - self._clock()
            if left <= 0:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), left)

    async def _ask(self) -> None:
        new, self._new = self._new, set()
        keys = [key for watched in new for key in watched.keys]
        self._asked_at, as_of = self._clock(), self._now()
        try:
            changes = await asyncio.get_running_loop().run_in_executor(self._thread, self._question, keys)
        except Exception as error:
            # Whatever it is: those who wait decide how long they bear it.
            self._new |= new & self._watched
            self.failures += 1
            self.problem = str(error) if _is_ours(error) else type(error).__name__
            if self.failures == 1:
                log.warning("The store could not be asked, will ask again: %s", self.problem)
            for watched in self._watched:
                if watched.failing_since is None:
                    watched.failing_since = self._asked_at
                watched.changed.set()
            return
        if self.failures:
            log.info("The store answers again, after %d failures", self.failures)
        self.failures, self.problem = 0, ""
        if self._cursor is not None and changes.seq < self._cursor:
            # Another store than before, or an older copy of it: what it knows is to be asked for from the beginning.
            self._new |= self._watched
        self._cursor = changes.seq
        await self._tell(changes.campaigns)
        # Whoever came while the question was under way is asked for in the next one.
        answered = (self._watched | new) - self._new
        for number, watched in enumerate(answered):
            if watched.as_of is None:
                watched.changed.set()
            watched.as_of, watched.failing_since = as_of, None
            await _breathe(number)

    def _question(self, keys: list[CampaignKey]) -> Changes:
        if self._store is None:
            self._store = self._open_store()
        self.queries += 1
        return self._store.changes(since=FROM_NOW if self._cursor is None else self._cursor, also=keys)

    async def _tell(self, campaigns: Mapping[CampaignKey, KnownCampaign]) -> None:
        for number, (key, known) in enumerate(campaigns.items()):
            for watched in self._by_key.get(key, ()):
                if watched.known.get(key) != known:
                    watched.known[key] = known
                    watched.changed.set()
            await _breathe(number)


async def _breathe(number: int) -> None:
    """Let the loop do something else, every now and then."""
    if number % CAMPAIGNS_A_TURN == CAMPAIGNS_A_TURN - 1:
        await asyncio.sleep(0)


def _is_ours(error: Exception) -> bool:
    """Say whether the text of an error is made for people, and holds no secret."""
    return type(error).__module__.startswith("airflow_provider_voicepartner")


_watchers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, StoreWatcher]] = WeakKeyDictionary()


def shared_watcher(name: str, open_store: Callable[[], DeliveryStore]) -> StoreWatcher:
    """
    Return the poller of the running event loop.

    :param name: of the store, so that another store gets another poller.
    :param open_store: opens it.
    """
    watchers = _watchers.setdefault(asyncio.get_running_loop(), {})
    if name not in watchers:
        watchers[name] = StoreWatcher(open_store)
    return watchers[name]
