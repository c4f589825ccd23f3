"""Reports that arrive together share a commit, and nobody is told before it has returned."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.delivery import writer as module
from airflow_provider_voicepartner.delivery.store import DeadLetter, DeliveryStore
from airflow_provider_voicepartner.delivery.writer import GroupWriter, NotKeptError
from airflow_provider_voicepartner.store.engine import StoreUnavailableError, open_store


def letter(why: str = "x") -> DeadLetter:
    return DeadLetter(
        gateway="smspartner",
        campaign=None,
        method="POST",
        content_type="",
        query="",
        body="",
        why=why,
        received_at=time.time(),
    )


class Commits:
    """Stands in for the store's transaction; each waits until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.groups: list[list[str]] = []
        self.go = threading.Semaphore(0)
        self.fail: Exception | None = None

        def write(_: DeliveryStore, items: Sequence[Any]) -> int:
            self.go.acquire(timeout=30)
            if self.fail is not None:
                raise self.fail
            self.groups.append([item.why for item in items])
            return len(self.groups)

        monkeypatch.setattr(DeliveryStore, "write", write)
        self.writer = GroupWriter(lambda: open_store(f"sqlite:///{tmp_path / 'store.db'}"))


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Commits:
    """Return commits that wait."""
    return Commits(monkeypatch, tmp_path)


async def until(condition: Any) -> None:
    """Wait for another thread."""
    for _ in range(3_000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen")


def test_what_arrives_during_a_commit_shares_the_next_one(commits: Commits) -> None:
    async def scenario() -> None:
        first = asyncio.create_task(commits.writer.keep([letter("first")]))
        await until(lambda: commits.writer._thread and not commits.writer.waiting)
        rest = [asyncio.create_task(commits.writer.keep([letter(str(place))])) for place in range(20)]
        await until(lambda: commits.writer.waiting == 20)
        assert not first.done()  # nobody is told before the commit has returned
        commits.go.release()
        await first
        assert not any(task.done() for task in rest)
        commits.go.release()
        await asyncio.gather(*rest)

    asyncio.run(scenario())
    assert commits.groups == [["first"], [str(place) for place in range(20)]]
    assert commits.writer.counts.commits == 2
    assert commits.writer.counts.written == 21


def test_who_waits_is_told_of_a_failure_and_the_next_one_is_kept(commits: Commits) -> None:
    async def scenario() -> None:
        commits.fail = StoreUnavailableError("the disk is full")
        commits.go.release(2)
        with pytest.raises(NotKeptError, match="the disk is full"):
            await commits.writer.keep([letter()])
        commits.fail = None
        commits.go.release()
        await commits.writer.keep([letter("again")])

    asyncio.run(scenario())
    assert commits.groups == [["again"]]
    assert commits.writer.counts.failed_commits == 2


def test_too_many_that_wait_are_refused_at_once(commits: Commits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 3)

    async def scenario() -> None:
        first = asyncio.create_task(commits.writer.keep([letter("first")]))
        await until(lambda: commits.writer._thread and not commits.writer.waiting)
        rest = [asyncio.create_task(commits.writer.keep([letter()])) for _ in range(3)]
        await until(lambda: commits.writer.waiting == 3)
        with pytest.raises(NotKeptError, match="wait for the store"):
            await commits.writer.keep([letter()])
        commits.go.release(10)
        await asyncio.gather(first, *rest)

    asyncio.run(scenario())


def test_closing_writes_what_waits_and_takes_no_more(commits: Commits) -> None:
    async def scenario() -> None:
        task = asyncio.create_task(commits.writer.keep([letter("last")]))
        await until(lambda: commits.writer._thread is not None)
        commits.go.release(5)
        await asyncio.to_thread(commits.writer.close)
        await task
        with pytest.raises(NotKeptError, match="being stopped"):
            await commits.writer.keep([letter()])

    asyncio.run(scenario())
    assert commits.groups == [["last"]]


def test_a_loop_that_has_ended_does_not_stop_the_writer(commits: Commits) -> None:
    async def leave() -> None:
        task = asyncio.create_task(commits.writer.keep([letter("left")]))
        await until(lambda: commits.writer._thread is not None)
        task.cancel()

    asyncio.run(leave())
    commits.go.release(5)
    asyncio.run(commits.writer.keep([letter("later")]))
    assert [why for group in commits.groups for why in group] == ["left", "later"]


class Opened:
    """Stores that are opened one after the other, and how often each was closed."""

    def __init__(self, path: Path) -> None:
        self.url = f"sqlite:///{path / 'store.db'}"
        self.closed: list[int] = []

    def open(self) -> Any:
        store, place = open_store(self.url), len(self.closed)
        self.closed.append(0)
        close = store.close

        def count() -> None:
            self.closed[place] += 1
            close()
            raise RuntimeError("it is broken")

        store.close = count  # type: ignore[method-assign]
        return store


def test_a_store_that_could_not_be_written_is_closed_and_opened_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    opened, mood = Opened(tmp_path), [StoreUnavailableError("it is away")] * 4
    real = DeliveryStore.write

    def write(store: DeliveryStore, items: Sequence[Any]) -> int:
        if mood:
            raise mood.pop()
        return real(store, items)

    monkeypatch.setattr(DeliveryStore, "write", write)
    writer = GroupWriter(opened.open)

    async def scenario() -> None:
        for _ in range(2):
            with pytest.raises(NotKeptError, match="it is away"):
                await writer.keep([letter()])
        for _ in range(3):
            assert not await writer.keep([letter()])

    asyncio.run(scenario())
    assert opened.closed == [1, 1, 0]
    writer.close()
    assert opened.closed == [1, 1, 1]


def test_a_store_that_refuses_single_items_stays_open(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    opened, real = Opened(tmp_path), DeliveryStore.write

    def write(store: DeliveryStore, items: Sequence[Any]) -> int:
        if any(item.why == "poison" for item in items):
            raise ValueError("no")
        return real(store, items)

    monkeypatch.setattr(DeliveryStore, "write", write)
    writer = GroupWriter(opened.open, on_refused=lambda item: letter("instead"))

    async def scenario() -> list[bool]:
        whys = ["poison", "fine"] * 10
        return await asyncio.gather(*[writer.keep([letter(why)]) for why in whys])

    assert asyncio.run(scenario()) == [True, False] * 10
    assert opened.closed == [0]
    writer.close()
