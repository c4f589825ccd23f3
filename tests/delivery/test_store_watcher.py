"""One query of the store per interval, for all subscriptions."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.delivery.inbound import CampaignKey, InboundRecord, of_reference
from airflow_provider_voicepartner.delivery.store import Changes, DeliveryStore
from airflow_provider_voicepartner.delivery.store_watcher import StoreWatcher, shared_watcher
from airflow_provider_voicepartner.gateways.model import DeliveryReport
from airflow_provider_voicepartner.gateways.status import DeliveryStatus

DELIVERED = DeliveryStatus.DELIVERED
SOON = 0.02


def key(number: int) -> CampaignKey:
    return of_reference("voicepartner", f"batch{number}")


def report(number: int, person: int = 1) -> InboundRecord:
    event = DeliveryReport(
        gateway="voicepartner", campaign_id=None, phone_number=f"+3361234{person:04}", status=DELIVERED
    )
    return InboundRecord(key=key(number), event=event, received_at=1.9e9)


class Telling(DeliveryStore):
    """A store that records its queries and their threads, and fails on demand."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.threads: set[int] = set()
        self.also: list[int] = []
        self.failures = 0

    def changes(self, *, since: int, also: Collection[CampaignKey] = ()) -> Changes:
        self.threads.add(threading.get_ident())
        self.also.append(len(also))
        if self.failures:
            self.failures -= 1
            raise StoreUnavailableError("gone for a moment")
        return super().changes(since=since, also=also)


@pytest.fixture
def store(tmp_path: Path) -> Telling:
    return Telling(open_store(f"sqlite:///{tmp_path / 'delivery.db'}"))


async def until(what: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not what():
            await asyncio.sleep(0.005)


def test_known_state_and_later_changes_are_published(store: Telling) -> None:
    store.write([report(1)])

    async def wait() -> None:
        watcher = StoreWatcher(lambda: store)
        with watcher.watch([key(1)], interval=SOON) as one, watcher.watch([key(2)], interval=SOON) as two:
            await until(lambda: one.known)
            assert one.known[key(1)].counts == {DELIVERED: 1}
            assert not two.known
            await until(lambda: two.as_of is not None)
            two.changed.clear()
            store.write([report(2)])
            await until(two.changed.is_set)
            assert two.known[key(2)].counts == {DELIVERED: 1}
            one.changed.clear()
            store.write([report(1, person=2)])
            await until(one.changed.is_set)
            assert one.known[key(1)].counts == {DELIVERED: 2}

    asyncio.run(wait())


def test_thousands_of_subscriptions_share_one_query_and_do_not_block_the_loop(store: Telling) -> None:
    async def wait() -> None:
        now = [0.0]
        watcher = StoreWatcher(lambda: store, clock=lambda: now[0])
        blocks = [watcher.watch([key(number)], interval=60.0) for number in range(3_000)]
        watched = [block.__enter__() for block in blocks]
        await until(lambda: watcher.queries)
        store.write([report(number) for number in range(3_000)])
        now[0] = 60.0
        with watcher.watch([key(0)], interval=60.0):
            await until(lambda: all(one.known for one in watched))
        assert watcher.queries == 2
        for block in blocks:
            block.__exit__(None, None, None)

    asyncio.run(wait())
    assert threading.get_ident() not in store.threads
    assert store.also == [3_000, 1]


def test_the_shortest_interval_counts_and_without_subscriptions_there_is_no_query(store: Telling) -> None:
    async def wait() -> None:
        watcher = StoreWatcher(lambda: store)
        with watcher.watch([key(1)], interval=60.0):
            await until(lambda: watcher.queries)
            await asyncio.sleep(5 * SOON)
            assert watcher.queries == 1
            with watcher.watch([key(2)], interval=SOON):
                await until(lambda: watcher.queries >= 4)
            before = watcher.queries
            await asyncio.sleep(5 * SOON)
            assert watcher.queries <= before + 1
        await until(lambda: watcher._task is not None and watcher._task.done())
        asked = watcher.queries
        with watcher.watch([key(1)], interval=SOON):
            await until(lambda: watcher.queries > asked)

    asyncio.run(wait())


def test_a_failed_query_is_repeated_with_the_new_subscriptions(store: Telling) -> None:
    store.write([report(1)])
    store.failures = 3

    async def wait() -> None:
        watcher = StoreWatcher(lambda: store)
        with watcher.watch([key(1)], interval=SOON) as one:
            await until(lambda: watcher.failures)
            assert one.changed.is_set()
            assert watcher.problem == "gone for a moment"
            await until(lambda: one.known)
            assert watcher.failures == 0

    asyncio.run(wait())
    assert store.also[:4] == [1, 1, 1, 1]


def test_a_subscription_that_begins_while_the_store_is_closed_is_served(store: Telling) -> None:
    store.write([report(1)])
    close, closing, go_on = store.close, threading.Event(), threading.Event()

    def slow_close() -> None:
        closing.set()
        assert go_on.wait(10)
        close()

    store.close = slow_close

    async def wait() -> None:
        watcher = StoreWatcher(lambda: store)
        with watcher.watch([key(2)], interval=SOON) as first:
            await until(lambda: first.as_of is not None)
        await until(closing.is_set)
        with watcher.watch([key(1)], interval=SOON) as late:
            go_on.set()
            await until(lambda: late.known)

    asyncio.run(wait())


def test_failures_are_timed_for_each_subscription(store: Telling) -> None:
    clock = [0.0]

    async def wait() -> None:
        watcher = StoreWatcher(lambda: store, clock=lambda: clock[0])
        with watcher.watch([key(1)], interval=SOON) as early:
            await until(lambda: early.as_of is not None)
            store.failures = 10**6
            clock[0] = 100.0
            await until(lambda: early.failing_since is not None)
            clock[0] = 130.0
            with watcher.watch([key(2)], interval=SOON) as late:
                assert watcher.has_failed_for(late) == 0
                await until(lambda: late.failing_since is not None)
                assert (watcher.has_failed_for(early), watcher.has_failed_for(late)) == (30.0, 0.0)
                store.failures, clock[0] = 0, 200.0
                await until(lambda: late.as_of is not None)
                assert (early.failing_since, late.failing_since) == (None, None)

    asyncio.run(wait())


def test_past_failures_do_not_count_for_a_new_subscription(store: Telling) -> None:
    store.failures = 2

    async def wait() -> None:
        watcher = StoreWatcher(lambda: store)
        with watcher.watch([key(1)], interval=SOON):
            await until(lambda: watcher.failures == 2)
        await until(lambda: watcher._task is not None and watcher._task.done())
        with watcher.watch([key(1)], interval=SOON) as later:
            assert watcher.has_failed_for(later) == 0
            await until(lambda: later.as_of is not None)

    asyncio.run(wait())


def test_the_known_state_was_true_when_the_query_began(store: Telling) -> None:
    now = [1_000.0]
    ask, asked, go_on = store.changes, threading.Event(), threading.Event()

    def slow(**arguments: Any) -> Changes:
        asked.set()
        assert go_on.wait(10)
        return ask(**arguments)

    store.changes = slow

    async def wait() -> None:
        watcher = StoreWatcher(lambda: store, now=lambda: now[0])
        with watcher.watch([key(1)], interval=60.0) as first:
            await until(asked.is_set)
            with watcher.watch([key(2)], interval=60.0) as second:
                now[0] = 2_000.0
                go_on.set()
                await until(lambda: first.as_of is not None)
                assert (first.as_of, second.as_of) == (1_000.0, None)

    asyncio.run(wait())


def test_another_store_in_its_place_is_read_from_the_beginning(store: Telling, tmp_path: Path) -> None:
    for number in range(3):
        store.write([report(9, number)])
    other = DeliveryStore(open_store(f"sqlite:///{tmp_path / 'restored.db'}"))
    other.write([report(1)])
    here: list[DeliveryStore] = [store]

    class Swapped(Telling):
        def changes(self, **arguments: Any) -> Changes:
            return here[0].changes(**arguments)

    async def wait() -> None:
        watcher = StoreWatcher(lambda: Swapped(open_store(f"sqlite:///{tmp_path / 'delivery.db'}")))
        with watcher.watch([key(1)], interval=SOON) as waiting:
            await until(lambda: waiting.as_of is not None)
            here[0] = other
            await until(lambda: waiting.known)

    asyncio.run(wait())
    other.close()


def test_of_a_foreign_error_only_the_type_is_shown(store: Telling) -> None:
    def broken() -> DeliveryStore:
        raise LookupError("postgresql://user:planted-pass@db")

    async def wait() -> None:
        watcher = StoreWatcher(broken)
        with watcher.watch([key(1)], interval=SOON):
            await until(lambda: watcher.failures >= 2)
            assert watcher.problem == "LookupError"

    asyncio.run(wait())


def test_a_loop_has_one_watcher_for_a_store(store: Telling) -> None:
    async def find() -> StoreWatcher:
        assert shared_watcher("one", lambda: store) is not shared_watcher("two", lambda: store)
        assert shared_watcher("one", lambda: store) is shared_watcher("one", lambda: store)
        return shared_watcher("one", lambda: store)

    asyncio.run(find())
