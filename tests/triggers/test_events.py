"""What people answer becomes asset events: each once, in order, whoever is killed in between."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from airflow.triggers.base import TriggerEvent
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.delivery.arrivals import KINDS
from airflow_provider_voicepartner.delivery.notices import Head, NoticeReader
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.hooks.delivery import DeliveryHook
from airflow_provider_voicepartner.store.engine import Store, StoreUnavailableError, StoreUrlError, open_store
from airflow_provider_voicepartner.triggers import events
from airflow_provider_voicepartner.triggers.events import DeliveryEventTrigger
from airflow_provider_voicepartner.triggers.feed import Look
from tests.support.triggerer import LONG_AGO, NUMBER, TEXT, Clock, Database, Gateways, Triggerer, task_context

airflow3 = pytest.mark.airflow3

ASSET = ("answers",)
ALL_KINDS = ("reply", "opt_out", "pressed_keys", "completion")


@pytest.fixture
def store() -> Iterator[Store]:
    opened = open_store("sqlite://")
    yield opened
    opened.close()


@pytest.fixture
def gateways(store: Store) -> Gateways:
    return Gateways(store)


class Stage:
    """A store, Airflow's database, and triggerers one after the other."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = store
        self.clock = Clock()
        self.database = Database()
        self.monkeypatch = monkeypatch

    def start(self, watchers: Any = None, **more: Any) -> Triggerer:
        chosen = watchers or {ASSET: DeliveryEventTrigger}
        return Triggerer(self.database, chosen, self.store, self.clock, self.monkeypatch, **more)


@pytest.fixture
def stage(store: Store, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(store, monkeypatch)


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 60))  # type: ignore[arg-type]


# The trigger as a value.


@airflow3
def test_it_comes_back_from_storage_as_it_was() -> None:
    trigger = DeliveryEventTrigger(
        kinds=["opt_out", "reply"], gateway="octopush", campaign="id:7", poll_interval=2, start="oldest"
    )
    path, arguments = json.loads(json.dumps(trigger.serialize()))
    assert path.rpartition(".")[2] == "DeliveryEventTrigger"
    again = DeliveryEventTrigger(**arguments)
    assert again.serialize() == trigger.serialize()
    assert (again.kinds, again.gateway, again.campaign) == (("reply", "opt_out"), "octopush", "id:7")


@airflow3
def test_airflow_takes_equal_choices_for_one_trigger_and_others_for_others() -> None:
    from airflow.triggers.base import BaseEventTrigger

    def identity(**arguments: Any) -> int:
        return BaseEventTrigger.hash(*DeliveryEventTrigger(**arguments).serialize())

    assert identity(kinds=["reply", "opt_out"]) == identity(kinds=("opt_out", "reply", "reply"))
    assert identity(kinds="reply") != identity(kinds="opt_out")
    assert identity() != identity(gateway="octopush")


@airflow3
def test_another_pace_does_not_lose_the_cursor_and_another_choice_has_its_own() -> None:
    key = DeliveryEventTrigger(kinds="reply").cursor_key
    assert DeliveryEventTrigger(kinds="reply", poll_interval=60, start="oldest").cursor_key == key
    assert DeliveryEventTrigger(kinds="opt_out").cursor_key != key
    assert DeliveryEventTrigger(kinds="reply", gateway="octopush").cursor_key != key
    assert DeliveryEventTrigger(kinds="reply", campaign="id:7").cursor_key != key


@airflow3
@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"kinds": ()}, "kinds"), ({"kinds": "delivered"}, "kinds"), ({"gateway": "acme"}, "gateway"),
        ({"campaign": "abc"}, "campaign"), ({"poll_interval": 0}, "poll_interval"),
        ({"poll_interval": float("nan")}, "poll_interval"), ({"start": "yesterday"}, "start"),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_named_when_the_dag_is_parsed(arguments: dict[str, Any], names: str) -> None:
    with pytest.raises(ConfigurationError, match=names):
        DeliveryEventTrigger(**arguments)


def test_an_older_airflow_is_told_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(events.BaseEventTrigger, "create_shared_stream_producer", raising=False)
    with pytest.raises(ConfigurationError, match=r"Airflow 3\.3 or later"):
        DeliveryEventTrigger()


@airflow3
def test_it_does_not_run_without_shared_streams() -> None:
    async def first() -> TriggerEvent:
        return await anext(DeliveryEventTrigger().run())

    with pytest.raises(ConfigurationError, match=r"Airflow 3\.3 or later"):
        asyncio.run(first())


# What it tells.


@airflow3
def test_each_kind_is_told_once_in_order(stage: Stage, gateways: Gateways) -> None:
    async def test() -> None:
        triggerer = stage.start()
        await triggerer.work(1)
        gateways.tell(*ALL_KINDS)
        gateways.tell("reply")
        await triggerer.work()
        await triggerer.stop()
        told = [event.extra["payload"] for event in stage.database.events["answers"]]
        assert [payload["kind"] for payload in told] == [*ALL_KINDS, "reply"]
        assert [payload["id"] for payload in told] == [1, 2, 3, 4, 5]

    run(test)


@airflow3
def test_the_payload_has_no_number_and_no_text(
    stage: Stage, gateways: Gateways, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        triggerer = stage.start()
        await triggerer.work(1)
        gateways.tell("reply", reference="k3v9")
        await triggerer.work()
        await triggerer.stop()

    caplog.set_level(logging.DEBUG)
    run(test)
    [event] = stage.database.events["answers"]
    assert event.extra["payload"] == {
        "id": 1, "kind": "reply", "gateway": "octopush", "campaign": "ref:k3v9",
        "at": "2023-11-14T22:13:20+00:00", "received_at": "2023-11-14T22:13:20+00:00",
    }  # fmt: skip
    shown = caplog.text + json.dumps(stage.database.states[next(iter(stage.database.states))]) + repr(event)
    assert NUMBER[-8:] not in shown
    assert TEXT not in shown


@airflow3
@pytest.mark.parametrize(
    ("choice", "ids"),
    [
        ({}, [1, 2, 3, 4]), ({"kinds": "reply"}, [1, 3]), ({"gateway": "smspartner"}, [3, 4]),
        ({"campaign": "ref:b2"}, [3, 4]), ({"kinds": ["opt_out"], "gateway": "octopush"}, [2]),
        ({"gateway": "voicepartner"}, []),
    ],
)  # fmt: skip
def test_only_what_was_asked_for(
    stage: Stage, gateways: Gateways, choice: dict[str, Any], ids: list[int]
) -> None:
    async def test() -> None:
        triggerer = stage.start({ASSET: partial(DeliveryEventTrigger, **choice)})
        await triggerer.work(1)
        gateways.tell("reply", "opt_out")
        gateways.tell("reply", "opt_out", gateway="smspartner", reference="b2")
        await triggerer.work()
        await triggerer.stop()
        assert stage.database.ids("answers") == ids

    run(test)


@airflow3
@pytest.mark.parametrize(("start", "ids"), [("now", [3]), ("oldest", [1, 2, 3])])
def test_the_very_first_start_begins_now_or_with_the_oldest(
    stage: Stage, gateways: Gateways, start: str, ids: list[int]
) -> None:
    async def test() -> None:
        gateways.tell("reply", "reply")
        triggerer = stage.start({ASSET: partial(DeliveryEventTrigger, start=start)})
        await triggerer.work()
        await triggerer.kill()
        gateways.tell("reply")  # while nobody is there
        triggerer = stage.start({ASSET: partial(DeliveryEventTrigger, start=start)})
        await triggerer.work()
        await triggerer.stop()
        assert stage.database.ids("answers") == ids

    run(test)


@airflow3
def test_two_assets_with_equal_triggers_get_each_event_both(stage: Stage, gateways: Gateways) -> None:
    async def test() -> None:
        both = {("one", "two"): DeliveryEventTrigger}
        triggerer = stage.start(both)
        await triggerer.work(1)
        gateways.tell("reply")
        await triggerer.work()
        await triggerer.kill()
        gateways.tell("reply")
        triggerer = stage.start(both)
        await triggerer.work()
        await triggerer.stop()
        assert stage.database.ids("one") == stage.database.ids("two") == [1, 2]

    run(test)


# Pace.


@airflow3
def test_a_hundred_triggers_ask_the_store_once_an_interval(stage: Stage, gateways: Gateways) -> None:
    async def test() -> None:
        watchers = {
            (f"asset{number}",): partial(DeliveryEventTrigger, campaign=f"ref:b{number}")
            for number in range(100)
        }
        triggerer = stage.start(watchers)
        await triggerer.settle()
        asked = triggerer.feed.asked
        assert asked == 1
        for _ in range(10):
            await triggerer.poll()
        assert triggerer.feed.asked == asked + 10
        gateways.tell("reply", reference="b7")
        await triggerer.work(1)
        assert triggerer.feed.asked == asked + 12  # and once for what is new, for all of them
        assert stage.database.ids("asset7") == [1]
        await triggerer.stop()

    run(test)


@airflow3
def test_a_slow_trigger_is_not_starved_by_a_quick_one(stage: Stage, gateways: Gateways) -> None:
    async def test() -> None:
        triggerer = stage.start(
            {
                ("quick",): partial(DeliveryEventTrigger, poll_interval=1),
                ("slow",): partial(DeliveryEventTrigger, poll_interval=10),
            }
        )
        await triggerer.work(1)
        gateways.tell("reply")
        for _ in range(12):
            await triggerer.poll(1)
            triggerer.sync()
            triggerer.commit()
        assert stage.database.ids("quick") == stage.database.ids("slow") == [1]
        await triggerer.stop()

    run(test)


@airflow3
def test_a_flood_is_told_at_the_pace_at_which_airflow_keeps_it(stage: Stage, gateways: Gateways) -> None:
    async def test() -> None:
        triggerer = stage.start()
        await triggerer.work(1)
        for _ in range(5):
            gateways.tell(*["reply"] * 500)
        await triggerer.poll()
        assert len(triggerer._yielded) == 25
        await triggerer.work(110)
        assert stage.database.ids("answers") == list(range(1, 2_501))
        assert triggerer.errors == []
        await triggerer.stop()

    run(test)


# Kills and restarts.


@airflow3
def test_what_airflow_has_not_kept_is_told_again(stage: Stage, gateways: Gateways) -> None:
    async def test() -> None:
        triggerer = stage.start()
        await triggerer.work(1)
        gateways.tell("reply", "reply", "reply")
        await triggerer.poll()  # told, and killed before anybody kept it
        await triggerer.kill()
        assert stage.database.ids("answers") == []
        triggerer = stage.start()
        await triggerer.work()
        await triggerer.stop()
        assert stage.database.ids("answers") == [1, 2, 3]

    run(test)


@airflow3
def test_what_was_kept_before_the_cursor_moved_is_repeated(stage: Stage, gateways: Gateways) -> None:
    async def test() -> None:
        triggerer = stage.start()
        await triggerer.work(1)
        gateways.tell("reply", "reply", "reply")
        await triggerer.poll()
        triggerer.sync()
        triggerer.commit(2)
        await triggerer.kill()  # two are committed, and the trigger was never told so
        triggerer = stage.start()
        await triggerer.work()
        await triggerer.stop()
        assert stage.database.ids("answers") == [1, 2, 1, 2, 3]

    run(test)


class Life:
    """Any order of what gateways, Airflow and the machine may do, and a DAG that reads what started it."""

    def __init__(self, stage: Stage, gateways: Gateways) -> None:
        from airflow.sdk import Asset, AssetWatcher

        self.stage = stage
        self.gateways = gateways
        self.ended_badly = False
        self.triggerer = stage.start()
        self.read: list[int] = []
        watcher = AssetWatcher(name="answers", trigger=DeliveryEventTrigger())
        self._asset = Asset("answers", watchers=[watcher])
        self._hook = DeliveryHook()
        vars(self._hook)["_store"] = stage.store
        self._attached = 0
        self._runs = 0

    async def do(self, what: str, size: int) -> None:
        if what == "tell":
            self.gateways.tell(*["reply", "opt_out", "pressed_keys"][: size or 1])
        elif what == "poll":
            await self.triggerer.poll()
        elif what == "sync":
            self.triggerer.sync()
            await self.triggerer.settle()
        elif what == "commit":
            self.triggerer.commit(size)
        elif what == "work":
            await self.triggerer.work(1)
        elif what == "run":
            self.run_dag(size)
        else:
            await (self.triggerer.kill() if what == "kill" else self.triggerer.stop())
            self.ended_badly = True
            self.triggerer = self.stage.start()
            await self.triggerer.settle()

    def run_dag(self, left: int = 0) -> None:
        """Run the DAG if there is a new asset event; ``left`` of them are not attached, as Airflow may do."""
        told = self.stage.database.events.get("answers", [])
        until = max(self._attached + 1, len(told) - left)
        attached = told[self._attached : until]
        if not attached:
            return
        self._attached += len(attached)
        self._runs += 1
        context = task_context(self.stage.database, self._asset, f"run{self._runs}", attached)
        taken = [event.id for event in self._hook.take_events(self._asset, context=context)]
        again = [event.id for event in self._hook.take_events(self._asset, context=context)]
        assert again == taken  # a retry has the same
        self.read += taken


STEP = st.tuples(
    st.sampled_from(["tell", "tell", "poll", "poll", "sync", "commit", "work", "run", "run", "kill", "stop"]),
    st.integers(0, 4),
)


@airflow3
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, max_size=40))
def test_whatever_happens_each_event_is_told_and_read_once_and_in_order(
    steps: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store("sqlite://")
    with monkeypatch.context() as patch:
        patch.setattr("airflow_provider_voicepartner.triggers.event_stream.MOST_UNDER_WAY", 3)
        stage, gateways = Stage(store, patch), Gateways(store)

        async def test() -> None:
            life = Life(stage, gateways)
            await life.triggerer.settle()
            for what, size in steps:
                await life.do(what, size)
            await life.triggerer.work(25)
            assert life.triggerer.errors == []
            await life.triggerer.stop()
            every = [notice.id for notice in NoticeReader(store).after(0)]
            told = stage.database.ids("answers")
            assert sorted(set(told)) == every
            assert list(dict.fromkeys(told)) == every  # told first in order
            if not life.ended_badly:
                assert told == every
            life.run_dag(left=4)
            assert life.read == every

        run(test)
    store.close()


@airflow3
def test_a_cursor_that_cannot_be_kept_stops_nothing(
    stage: Stage, gateways: Gateways, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        triggerer = stage.start()
        await triggerer.work(1)
        triggerer.states[ASSET]["answers"].fails = 3
        gateways.tell("reply")
        await triggerer.work()
        gateways.tell("reply")
        await triggerer.work()
        assert stage.database.ids("answers") == [1, 2]
        assert [value["id"] for value in stage.database.states.values()] == [2]
        await triggerer.stop()

    run(test)
    assert "could not be kept: RuntimeError" in caplog.text


@airflow3
def test_the_cursor_stops_before_an_event_that_airflow_did_not_keep(stage: Stage, gateways: Gateways) -> None:
    from airflow.triggers.shared_stream import AdvanceItem, AdvanceOutcome

    async def test() -> None:
        from airflow_provider_voicepartner.triggers.event_stream import EventStream, Wanted
        from airflow_provider_voicepartner.triggers.feed import Feed

        gateways.tell("reply", "reply", "reply", "reply")
        first, second, third, fourth = NoticeReader(stage.store).after(0)
        state = stage.start().states[ASSET]["answers"]
        stream = EventStream(
            Feed(lambda: NoticeReader(stage.store)), [state], key="k",
            wanted=Wanted(kinds=KINDS, gateway=None, campaign=None), poll_interval=1, from_oldest=True,
        )  # fmt: skip
        kept, lost = AdvanceOutcome(acked=1, failed=0), AdvanceOutcome(acked=0, failed=1)
        await stream.advance([AdvanceItem(first, kept), AdvanceItem(second, lost), AdvanceItem(third, kept)])
        await stream.advance([AdvanceItem(fourth, kept)])
        assert stage.database.states["answers", "k"]["id"] == first.id

    run(test)


@airflow3
def test_a_cursor_that_somebody_edited_is_named(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        key = DeliveryEventTrigger().cursor_key
        stage.database.states["answers", key] = {"id": "the last"}
        triggerer = stage.start()
        await triggerer.settle()
        assert (
            triggerer.errors == []
        )  # it is said at once, and fails later, lest Airflow start it every second
        assert key in caplog.text
        await triggerer.poll(61)
        assert [type(error) for error in triggerer.errors] == [ConfigurationError]
        await triggerer.stop()

    run(test)


@airflow3
def test_a_store_that_was_replaced_is_noticed(
    stage: Stage, gateways: Gateways, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        triggerer = stage.start()
        await triggerer.work(1)
        for _ in range(5):
            gateways.tell("reply")
        await triggerer.work()
        await triggerer.stop()
        stage.store = open_store("sqlite://")
        other = Gateways(
            stage.store, at=LONG_AGO + 4
        )  # its first is one that was told, if it is a copy put back
        other.tell("reply", "opt_out")
        triggerer = stage.start()
        await triggerer.work()
        await triggerer.stop()
        assert stage.database.ids("answers") == [1, 2, 3, 4, 5, 2]

    run(test)
    assert caplog.text.count("not the one that events were last read from") == 1


@airflow3
def test_a_purge_of_everything_repeats_and_loses_nothing(stage: Stage, gateways: Gateways) -> None:
    async def test() -> None:
        from datetime import timedelta

        triggerer = stage.start()
        await triggerer.work(1)
        gateways.tell("reply", "reply")
        await triggerer.work()
        gateways.delivery._now = lambda: LONG_AGO + 1_000_000
        gateways.delivery.purge(older_than=timedelta(days=1))
        await triggerer.work()
        await triggerer.kill()
        triggerer = stage.start()
        gateways.tell("reply")
        await triggerer.work()
        await triggerer.stop()
        assert stage.database.ids("answers") == [1, 2, 3]

    run(test)


# A store that cannot be read.


class Away:
    """A store that is away for a while."""

    def __init__(self, store: Store, error: Exception) -> None:
        self.is_away = False
        self.error = error
        self._reader = NoticeReader(store)

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
        original = NoticeReader.head
        patch.setattr(
            NoticeReader,
            "head",
            lambda reader: reader.head() if isinstance(reader, Away) else original(reader),
        )
        caplog.set_level(logging.INFO)
        run(test)
    lines = [record.getMessage() for record in caplog.records if "cannot be read" in record.getMessage()]
    assert len(lines) == 5
    assert all(told in line for line in lines)
    assert NUMBER not in caplog.text
    assert "can be read again" in caplog.text


@airflow3
def test_after_ten_minutes_the_trigger_fails_with_what_is_wrong(stage: Stage) -> None:
    async def test() -> None:
        error = StoreUrlError("run airflow voicepartner db upgrade")

        def refuse() -> NoticeReader:
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
        watchers = {(name,): DeliveryEventTrigger for name in ("one", "two")}
        # Two rows with equal arguments do not exist; their pace makes them two.
        watchers["two",] = partial(DeliveryEventTrigger, poll_interval=5.0, start="oldest")  # type: ignore[assignment]
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
def test_a_look_from_before_the_last_event_is_no_other_store(
    stage: Stage, gateways: Gateways, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        triggerer = stage.start()
        await triggerer.work(1)
        gateways.tell("reply", "reply")
        await triggerer.work()
        look = triggerer.feed.look

        async def stale(**how: Any) -> Look:
            # As another trigger had it, that looked before our last event was committed.
            return (await look(**how))._replace(head=Head(0, 0))

        triggerer.feed.look = stale  # type: ignore[method-assign]
        await triggerer.work()
        triggerer.feed.look = look  # type: ignore[method-assign]
        gateways.tell("reply")
        await triggerer.work()
        assert stage.database.ids("answers") == [1, 2, 3]
        await triggerer.stop()

    run(test)
    assert "not the one" not in caplog.text


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
            patch.setattr(NoticeReader, "after", lambda reader, since: 1 / 0)
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
