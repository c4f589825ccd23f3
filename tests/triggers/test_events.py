"""What people answer becomes asset events: which, what they tell, and at what pace."""

from __future__ import annotations

import asyncio
import json
import logging
from functools import partial
from typing import Any

import pytest
from airflow.triggers.base import TriggerEvent

from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.triggers import events
from airflow_provider_voicepartner.triggers.events import DeliveryEventTrigger
from tests.support.triggerer import ASSET, NUMBER, TEXT, Gateways, Stage, run

airflow3 = pytest.mark.airflow3

ALL_KINDS = ("reply", "opt_out", "pressed_keys", "completion")


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
