"""Reports that arrive together share a commit, and nobody is told before it has returned."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, InterfaceError, ProgrammingError

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.errors import StoreDataError, StoreUnavailableError
from airflow_provider_voicepartner.db.schema import dead_letter
from airflow_provider_voicepartner.delivery import group_commit as module
from airflow_provider_voicepartner.delivery.group_commit import GroupWriter, NotStoredError
from airflow_provider_voicepartner.delivery.inbound import DeadLetter
from airflow_provider_voicepartner.delivery.store import DeliveryStore


def letter(why: str = "x") -> DeadLetter:
    return DeadLetter(
        gateway="smspartner",
        campaign=None,
        method="POST",
        content_type="",
        query="",
        body=b"",
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


def test_an_item_for_which_nothing_can_stand_in_leaves_the_others_their_writer(tmp_path: Path) -> None:
    def on_refused(item: Any) -> DeadLetter:
        raise AttributeError("gateway")

    writer = GroupWriter(
        lambda: open_store(f"sqlite:///{tmp_path / 'store.db'}", upgrade=True), on_refused=on_refused
    )

    async def scenario() -> None:
        async with asyncio.timeout(30):
            with pytest.raises(NotStoredError):
                await writer.write([None])  # type: ignore[list-item]  # fails in the transaction
            assert await writer.write([letter()]) is False

    asyncio.run(scenario())
    writer.close()


def test_what_arrives_during_a_commit_shares_the_next_one(commits: Commits) -> None:
    async def scenario() -> None:
        first = asyncio.create_task(commits.writer.write([letter("first")]))
        await until(lambda: commits.writer.is_started and not commits.writer.waiting)
        rest = [asyncio.create_task(commits.writer.write([letter(str(place))])) for place in range(20)]
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
        commits.go.release(1 + len(module.GROUP_PAUSES))
        with pytest.raises(NotStoredError, match="the disk is full"):
            await commits.writer.write([letter()])
        commits.fail = None
        commits.go.release()
        await commits.writer.write([letter("again")])

    asyncio.run(scenario())
    assert commits.groups == [["again"]]
    assert commits.writer.counts.failed_commits == 1 + len(module.GROUP_PAUSES)


def test_too_many_that_wait_are_refused_at_once(commits: Commits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 3)

    async def scenario() -> None:
        first = asyncio.create_task(commits.writer.write([letter("first")]))
        await until(lambda: commits.writer.is_started and not commits.writer.waiting)
        rest = [asyncio.create_task(commits.writer.write([letter()])) for _ in range(3)]
        await until(lambda: commits.writer.waiting == 3)
        with pytest.raises(NotStoredError, match="waiting for the store"):
            await commits.writer.write([letter()])
        commits.go.release(10)
        await asyncio.gather(first, *rest)

    asyncio.run(scenario())


def test_a_question_about_the_store_keeps_its_place_when_too_many_wait(
    commits: Commits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    commits.writer.largest_group = 2

    async def scenario() -> None:
        first = asyncio.create_task(commits.writer.write([letter("first")]))
        await until(lambda: commits.writer.is_started and not commits.writer.waiting)
        rest = [asyncio.create_task(commits.writer.write([letter("later")])) for _ in range(3)]
        await until(lambda: commits.writer.waiting == 3)
        question = asyncio.create_task(commits.writer.write(()))
        await until(lambda: commits.writer.waiting == 4)
        commits.go.release(2)
        await question  # with the next group, and not behind all that wait
        assert not all(task.done() for task in rest)
        commits.go.release(10)
        await asyncio.gather(first, *rest)

    asyncio.run(scenario())


def test_closing_writes_what_waits_and_takes_no_more(commits: Commits) -> None:
    async def scenario() -> None:
        task = asyncio.create_task(commits.writer.write([letter("last")]))
        await until(lambda: commits.writer.is_started)
        commits.go.release(5)
        await asyncio.to_thread(commits.writer.close)
        await task
        with pytest.raises(NotStoredError, match="being stopped"):
            await commits.writer.write([letter()])

    asyncio.run(scenario())
    assert commits.groups == [["last"]]


def test_a_loop_that_has_ended_does_not_stop_the_writer(commits: Commits) -> None:
    async def leave() -> None:
        task = asyncio.create_task(commits.writer.write([letter("left")]))
        await until(lambda: commits.writer.is_started)
        task.cancel()

    asyncio.run(leave())
    commits.go.release(5)
    asyncio.run(commits.writer.write([letter("later")]))
    assert [why for group in commits.groups for why in group] == ["left", "later"]


class Opened:
    """Stores that are opened one after the other, and how often each was closed."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
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

        self._monkeypatch.setattr(store, "close", count)
        return store


def test_a_store_that_could_not_be_written_is_closed_and_opened_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    opened, mood = Opened(tmp_path, monkeypatch), []
    real = DeliveryStore.write

    def write(store: DeliveryStore, items: Sequence[Any]) -> int:
        if mood:
            raise mood.pop()
        return real(store, items)

    monkeypatch.setattr(DeliveryStore, "write", write)
    writer = GroupWriter(opened.open)

    async def scenario() -> None:
        for _ in range(2):
            mood.extend([StoreUnavailableError("it is away")] * (1 + len(module.GROUP_PAUSES)))
            with pytest.raises(NotStoredError, match="it is away"):
                await writer.write([letter()])
        for _ in range(3):
            assert not await writer.write([letter()])

    asyncio.run(scenario())
    assert opened.closed == [1, 1, 0]
    writer.close()
    assert opened.closed == [1, 1, 1]


def test_a_store_that_refuses_single_items_stays_open(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    opened, real = Opened(tmp_path, monkeypatch), DeliveryStore.write

    def write(store: DeliveryStore, items: Sequence[Any]) -> int:
        if any(item.why == "poison" for item in items):
            raise ValueError("no")
        return real(store, items)

    monkeypatch.setattr(DeliveryStore, "write", write)
    writer = GroupWriter(opened.open, on_refused=lambda item: letter("instead"))

    async def scenario() -> list[bool]:
        whys = ["poison", "fine"] * 10
        return await asyncio.gather(*[writer.write([letter(why)]) for why in whys])

    assert asyncio.run(scenario()) == [True, False] * 10
    assert opened.closed == [0]
    writer.close()


DRIVER = ("SELECT 1", None, RuntimeError("of the driver"))
FAILURES = [
    (StoreUnavailableError("cut"), False), (ProgrammingError(*DRIVER), False), (InterfaceError(*DRIVER), False),
    (OSError("gone"), False), (MemoryError(), False), (RuntimeError("anything"), False),
    (StoreDataError("does not fit"), True), (IntegrityError(*DRIVER), True), (ValueError("NUL"), True),
    (OverflowError("too large"), True), (KeyError("x"), True), (RecursionError(), True),
]  # fmt: skip


@pytest.mark.parametrize(
    ("error", "is_of_the_rows"), FAILURES, ids=lambda value: type(value).__name__ if value else ""
)
def test_only_what_is_wrong_with_the_rows_is_given_up(
    error: Exception, is_of_the_rows: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Everything that is written fails so, and nothing else does: whoever asked is told, unless the rows are wrong."""
    real, written = DeliveryStore.write, []

    def write(store: DeliveryStore, items: Sequence[Any]) -> int:
        if any(item.why == "report" for item in items):
            raise error
        written.extend(item.why for item in items)
        return real(store, items)

    monkeypatch.setattr(DeliveryStore, "write", write)
    monkeypatch.setattr(module, "GROUP_PAUSES", (0.0, 0.0))
    writer = GroupWriter(
        lambda: open_store(f"sqlite:///{tmp_path / 'store.db'}"), on_refused=lambda item: letter("instead")
    )
    if is_of_the_rows:
        assert asyncio.run(writer.write([letter("report")]))
        assert written == ["instead"]
    else:
        with pytest.raises(NotStoredError):
            asyncio.run(writer.write([letter("report")]))
        assert written == []
    writer.close()


@pytest.mark.parametrize("failures", range(1, 9))
def test_a_store_that_fails_several_times_in_a_row_loses_nothing(
    failures: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real, left = DeliveryStore.write, [StoreUnavailableError("cut")] * failures
    left.insert(1, ValueError("something in the group"))  # after which its members are written one by one

    def write(store: DeliveryStore, items: Sequence[Any]) -> int:
        if items and left:
            raise left.pop(0)
        return real(store, items)

    monkeypatch.setattr(DeliveryStore, "write", write)
    monkeypatch.setattr(module, "GROUP_PAUSES", (0.0, 0.0))
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    writer = GroupWriter(lambda: store, on_refused=lambda item: letter("instead"))

    async def scenario() -> list[Any]:
        return await asyncio.gather(
            *[writer.write([letter(str(place))]) for place in range(5)], return_exceptions=True
        )

    answers = asyncio.run(scenario())
    with store.read() as connection:
        kept = {row.why for row in connection.execute(select(dead_letter.c.why))}
    assert kept >= {str(place) for place, answer in enumerate(answers) if answer is False}
    assert all(answer is False or isinstance(answer, NotStoredError) for answer in answers)
    writer.close()


def test_the_pauses_between_tries_do_not_outlast_a_gateways_patience(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A store that takes long to fail is not tried once more: who waits is told at once."""
    tries = []

    def write(store: DeliveryStore, items: Sequence[Any]) -> int:
        tries.append(items)
        time.sleep(0.02)
        raise StoreUnavailableError("slow")

    monkeypatch.setattr(DeliveryStore, "write", write)
    monkeypatch.setattr(module, "GROUP_RETRY_WITHIN", 0.01)
    writer = GroupWriter(lambda: open_store(f"sqlite:///{tmp_path / 'store.db'}"))
    with pytest.raises(NotStoredError):
        asyncio.run(writer.write([letter()]))
    assert len(tries) == 1
    writer.close()


def test_the_time_of_commits_is_counted(commits: Commits) -> None:
    async def scenario() -> None:
        task = asyncio.create_task(commits.writer.write([letter()]))
        await asyncio.sleep(0.05)
        commits.go.release()
        await task

    asyncio.run(scenario())
    assert 0.04 < commits.writer.counts.seconds < 30


NOT_CLOSED = """
import asyncio, sys
from airflow_provider_voicepartner.delivery.group_commit import GroupWriter
from airflow_provider_voicepartner.db.engine import open_store
writer = GroupWriter(lambda: open_store(sys.argv[1]))
asyncio.run(writer.write(()))
print("kept")
"""


def test_a_writer_that_nobody_closes_does_not_keep_its_process_alive(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NOT_CLOSED, f"sqlite:///{tmp_path / 'store.db'}"],
        cwd=Path(__file__).resolve().parents[2], timeout=30, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "kept\n"), done.stderr
