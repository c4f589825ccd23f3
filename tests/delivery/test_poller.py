"""One question to the store an interval, for everybody who waits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.delivery.poller import StorePoller, shared_poller
from airflow_provider_voicepartner.delivery.store import (
    Arrival,
    CampaignKey,
    Changes,
    DeliveryStore,
    of_reference,
)
from airflow_provider_voicepartner.gateways.model import DeliveryReport
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from airflow_provider_voicepartner.store.engine import StoreUnavailableError, open_store

DELIVERED = DeliveryStatus.DELIVERED
SOON = 0.02


def key(number: int) -> CampaignKey:
    return of_reference("voicepartner", f"batch{number}")


def report(number: int, person: int = 1) -> Arrival:
    event = DeliveryReport(
        gateway="voicepartner", campaign_id=None, phone_number=f"+3361234{person:04}", status=DELIVERED
    )
    return Arrival(key=key(number), event=event, received_at=1.9e9)


class Telling(DeliveryStore):
    """A store that tells when it was asked, in which thread, and fails as it is told."""

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


def test_what_was_known_before_and_what_comes_later_is_told(store: Telling) -> None:
    store.write([report(1)])

    async def wait() -> None:
        poller = StorePoller(lambda: store)
        with poller.watch([key(1)], interval=SOON) as one, poller.watch([key(2)], interval=SOON) as two:
            await until(lambda: one.known)
            assert one.known[key(1)].counts == {DELIVERED: 1}
            assert not two.known
            await until(lambda: two.is_answered)
            two.changed.clear()
            store.write([report(2)])
            await until(two.changed.is_set)
            assert two.known[key(2)].counts == {DELIVERED: 1}
            one.changed.clear()
            store.write([report(1, person=2)])
            await until(one.changed.is_set)
            assert one.known[key(1)].counts == {DELIVERED: 2}

    asyncio.run(wait())


def test_thousands_wait_for_one_question_and_nobody_holds_up_the_loop(store: Telling) -> None:
    async def wait() -> None:
        poller = StorePoller(lambda: store)
        blocks = [poller.watch([key(number)], interval=60.0) for number in range(3_000)]
        watched = [block.__enter__() for block in blocks]
        await until(lambda: poller.queries)
        store.write([report(number) for number in range(3_000)])
        poller._asked_at = float("-inf")
        poller._wake.set()
        await until(lambda: all(one.known for one in watched))
        assert poller.queries == 2
        for block in blocks:
            block.__exit__(None, None, None)

    asyncio.run(wait())
    assert threading.get_ident() not in store.threads
    assert store.also == [3_000, 0]


def test_the_shortest_interval_counts_and_there_is_no_question_without_anybody(store: Telling) -> None:
    async def wait() -> None:
        poller = StorePoller(lambda: store)
        with poller.watch([key(1)], interval=60.0):
            await until(lambda: poller.queries)
            await asyncio.sleep(5 * SOON)
            assert poller.queries == 1
            with poller.watch([key(2)], interval=SOON):
                await until(lambda: poller.queries >= 4)
            before = poller.queries
            await asyncio.sleep(5 * SOON)
            assert poller.queries <= before + 1
        await until(lambda: poller._task is not None and poller._task.done())
        asked = poller.queries
        with poller.watch([key(1)], interval=SOON):
            await until(lambda: poller.queries > asked)

    asyncio.run(wait())


def test_a_store_that_fails_is_asked_again_and_whoever_is_new_is_not_forgotten(store: Telling) -> None:
    store.write([report(1)])
    store.failures = 3

    async def wait() -> None:
        poller = StorePoller(lambda: store)
        with poller.watch([key(1)], interval=SOON) as one:
            await until(lambda: poller.failures)
            assert one.changed.is_set()
            assert poller.problem == "gone for a moment"
            await until(lambda: one.known)
            assert poller.failures == 0

    asyncio.run(wait())
    assert store.also[:4] == [1, 1, 1, 1]


def test_of_an_error_that_is_not_ours_only_the_kind_is_told(store: Telling) -> None:
    def broken() -> DeliveryStore:
        raise LookupError("postgresql://user:planted-pass@db")

    async def wait() -> None:
        poller = StorePoller(broken)
        with poller.watch([key(1)], interval=SOON):
            await until(lambda: poller.failures >= 2)
            assert poller.problem == "LookupError"

    asyncio.run(wait())


def test_a_loop_has_one_poller_for_a_store(store: Telling) -> None:
    async def find() -> StorePoller:
        assert shared_poller("one", lambda: store) is not shared_poller("two", lambda: store)
        assert shared_poller("one", lambda: store) is shared_poller("one", lambda: store)
        return shared_poller("one", lambda: store)

    asyncio.run(find())
