"""What triggers share: a store that is away, one of them that is taken away, and what was read."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.errors import StoreUnavailableError, StoreUrlError
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.delivery.events import SummaryReader
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.triggers import event_reader
from airflow_provider_voicepartner.triggers.events import DeliveryEventTrigger
from tests.support.triggerer import NUMBER, Gateways, Stage, run

airflow3 = pytest.mark.airflow3


class Away:
    """A store that is away for a while."""

    def __init__(self, store: Store, error: Exception) -> None:
        self.is_away = False
        self.error = error
        self._reader = SummaryReader(store)

    def open(self) -> Any:
        return self

    def _check(self) -> None:
        if self.is_away:
            raise self.error

    def head(self) -> Any:
        self._check()
        return self._reader.head()

    def after(self, since: int) -> Any:
        self._check()
        return self._reader.after(since)

    def close(self) -> None:
        pass


@airflow3
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (StoreUnavailableError("the store s cannot be used: it is away"), "it is away"),
        (StoreUrlError("run airflow voicepartner db upgrade"), "db upgrade"),
        (ConfigurationError("[voicepartner] store_url: wrong"), "store_url: wrong"),
        (RuntimeError(f"row {NUMBER}"), "it failed with RuntimeError"),
    ],
)
def test_a_store_that_is_away_is_waited_for_and_told_once_a_minute(
    stage: Stage, gateways: Gateways, caplog: pytest.LogCaptureFixture, error: Exception, told: str
) -> None:
    async def test() -> None:
        away = Away(stage.store, error)
        triggerer = stage.start(open_reader=away.open)
        await triggerer.work(1)
        away.is_away = True
        gateways.tell("reply")
        for _ in range(59):
            await triggerer.poll(5)
        assert triggerer.errors == []
        assert stage.database.ids("answers") == []
        away.is_away = False
        await triggerer.work()
        assert stage.database.ids("answers") == [1]
        await triggerer.stop()

    with pytest.MonkeyPatch.context() as patch:
        original = SummaryReader.head
        patch.setattr(
            SummaryReader,
            "head",
            lambda reader: reader.head() if isinstance(reader, Away) else original(reader),
        )
        caplog.set_level(logging.INFO)
        run(test)
    lines = [record.getMessage() for record in caplog.records if "cannot be read" in record.getMessage()]
    assert len(lines) == 5
    assert all(told in line for line in lines)
    assert NUMBER not in caplog.text
    assert "is readable again" in caplog.text


@airflow3
def test_after_ten_minutes_the_trigger_fails_with_what_is_wrong(stage: Stage) -> None:
    async def test() -> None:
        error = StoreUrlError("run airflow voicepartner db upgrade")

        def refuse() -> SummaryReader:
            raise error

        triggerer = stage.start(open_reader=refuse)
        for _ in range(120):
            await triggerer.poll(5)
        assert triggerer.errors == []
        await triggerer.poll(5)
        await triggerer.poll(5)
        assert triggerer.errors == [error]
        await triggerer.stop()

    run(test)


@airflow3
def test_a_trigger_that_is_taken_away_while_it_asks_does_not_disturb_the_others(
    stage: Stage, gateways: Gateways
) -> None:
    async def test() -> None:
        watchers: dict[tuple[str, ...], Any] = {(name,): DeliveryEventTrigger for name in ("one", "two")}
        # Two rows with equal arguments do not exist; their pace makes them two.
        watchers["two",] = partial(DeliveryEventTrigger, poll_interval=5.0, start="oldest")
        triggerer = stage.start(watchers)
        await triggerer.work(1)
        gateways.tell("reply")
        triggerer.clock.move(5)
        while not triggerer.feed.asking:
            await asyncio.sleep(0)
        triggerer._tasks[0].cancel()
        await triggerer.settle()
        await triggerer.work()
        assert stage.database.ids("two") == [1]
        assert triggerer.errors == []
        await triggerer.stop()

    run(test)


@airflow3
def test_a_store_that_goes_away_between_two_questions_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")  # in memory it would be gone when it is closed
    stage, gateways = Stage(store, monkeypatch), Gateways(store)

    async def test() -> None:
        triggerer = stage.start()
        await triggerer.work(1)
        gateways.tell("reply")
        with monkeypatch.context() as patch:
            patch.setattr(SummaryReader, "after", lambda reader, since: 1 / 0)
            await triggerer.work(1)
        assert stage.database.ids("answers") == []
        await triggerer.work()  # nothing else came in meanwhile
        assert stage.database.ids("answers") == [1]
        await triggerer.stop()

    run(test)


@airflow3
def test_what_was_read_is_not_kept_for_ever(stage: Stage, gateways: Gateways) -> None:
    async def test() -> None:
        triggerer = stage.start()
        await triggerer.work(1)
        for _ in range(20):
            gateways.tell("reply")
            await triggerer.work(1)
        assert len(triggerer.feed._pages) <= 1
        await triggerer.stop()

    run(test)


@airflow3
def test_of_what_is_caught_up_with_only_a_few_pages_are_kept(stage: Stage, gateways: Gateways) -> None:
    """Two triggers that are as far share each page, and both get every event."""
    wanted = partial(DeliveryEventTrigger, kinds="opt_out", start="oldest")
    paced = partial(wanted, poll_interval=4.0)  # two rows with equal arguments do not exist
    for _ in range(9):
        gateways.tell(*["reply"] * 1_000)
    gateways.tell("opt_out")

    async def test() -> None:
        triggerer = stage.start({("one",): wanted, ("two",): paced})
        await triggerer.work(3)
        assert stage.database.ids("one") == stage.database.ids("two") == [9_001]
        assert len(triggerer.feed._pages) <= event_reader.MOST_EVENT_PAGES
        await triggerer.stop()

    run(test)
