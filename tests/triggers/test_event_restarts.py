"""Whoever is killed in between: no event is lost, and each is read once and in order."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.delivery.events import StorePosition, SummaryReader
from airflow_provider_voicepartner.delivery.inbound import KINDS
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.hooks.delivery import DeliveryHook
from airflow_provider_voicepartner.triggers.event_reader import PositionReading
from airflow_provider_voicepartner.triggers.events import DeliveryEventTrigger
from tests.support.examples import examples
from tests.support.triggerer import ASSET, LONG_AGO, Gateways, Stage, run, task_context

airflow3 = pytest.mark.airflow3


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
@settings(
    max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(STEP, max_size=40))
def test_whatever_happens_each_event_is_told_and_read_once_and_in_order(
    steps: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store("sqlite://")
    with monkeypatch.context() as patch:
        patch.setattr("airflow_provider_voicepartner.triggers.event_stream.EVENTS_UNDER_WAY", 3)
        stage, gateways = Stage(store, patch), Gateways(store)

        async def test() -> None:
            life = Life(stage, gateways)
            await life.triggerer.settle()
            for what, size in steps:
                await life.do(what, size)
            await life.triggerer.work(25)
            assert life.triggerer.errors == []
            await life.triggerer.stop()
            every = [notice.id for notice in SummaryReader(store).after(0)]
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
    assert "could not be stored: RuntimeError" in caplog.text


@airflow3
def test_the_cursor_stops_before_an_event_that_airflow_did_not_keep(stage: Stage, gateways: Gateways) -> None:
    from airflow.triggers.shared_stream import AdvanceItem, AdvanceOutcome

    async def test() -> None:
        from airflow_provider_voicepartner.triggers.event_reader import EventReader
        from airflow_provider_voicepartner.triggers.event_stream import EventFilter, EventStream

        gateways.tell("reply", "reply", "reply", "reply")
        first, second, third, fourth = SummaryReader(stage.store).after(0)
        state = stage.start().states[ASSET]["answers"]
        stream = EventStream(
            EventReader(lambda: SummaryReader(stage.store)), [state], key="k",
            wanted=EventFilter(kinds=KINDS, gateway=None, campaign=None), poll_interval=1, from_oldest=True,
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

        triggerer = stage.start()
        await triggerer.work(1)
        gateways.tell("reply", "reply")
        await triggerer.work()
        gateways.now = LONG_AGO + 1_000_000
        gateways.delivery.purge(older_than=timedelta(days=1))
        await triggerer.work()
        await triggerer.kill()
        triggerer = stage.start()
        gateways.tell("reply")
        await triggerer.work()
        await triggerer.stop()
        assert stage.database.ids("answers") == [1, 2, 3]

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
        read_position = triggerer.feed.read_position

        async def stale(**how: Any) -> PositionReading:
            # As another trigger had it, that looked before our last event was committed.
            return (await read_position(**how))._replace(head=StorePosition(0, 0))

        triggerer.feed.read_position = stale  # type: ignore[method-assign]  # for one read
        await triggerer.work()
        triggerer.feed.read_position = read_position  # type: ignore[method-assign]  # as it was
        gateways.tell("reply")
        await triggerer.work()
        assert stage.database.ids("answers") == [1, 2, 3]
        await triggerer.stop()

    run(test)
    assert "not the one" not in caplog.text
