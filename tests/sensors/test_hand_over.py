"""From the sensor to the trigger and back: what is handed over, and what becomes of a wait."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.compat import AirflowSkipException, TaskDeferred
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.delivery.store import DeliveryStore
from airflow_provider_voicepartner.exceptions import (
    DeliveryUnconfirmedError,
    WaitGivenUpError,
)
from airflow_provider_voicepartner.sensors.campaign import CampaignCompletionSensor
from airflow_provider_voicepartner.triggers.campaign import CampaignCompletionTrigger
from tests.support.tasks import assert_plain, context
from tests.support.waiting import ANNA, BEN, DELIVERED, SECRET, call, first_event, keep, sms

pytestmark = pytest.mark.usefixtures("public_address")


@pytest.mark.usefixtures("sandbox")
def test_a_store_that_is_away_when_silence_counts_is_asked_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    report = call()
    report["sent_at"] = datetime.now(UTC).isoformat()
    sensor = CampaignCompletionSensor(task_id="wait", campaign=report, unconfirmed_after=0.8)
    trigger = CampaignCompletionTrigger.of(
        sensor.completion_check(sensor.campaign_report()), poke_interval=0.05
    )
    ask, began = DeliveryStore.changes, time.monotonic()

    def changes(self: DeliveryStore, **arguments: Any) -> Any:
        if 0.3 < time.monotonic() - began < 1.5:
            raise StoreUnavailableError("away")
        return ask(self, **arguments)

    monkeypatch.setattr(DeliveryStore, "changes", changes)
    telling = threading.Timer(0.6, keep, (report, DELIVERED, DELIVERED))
    telling.start()
    event = first_event(trigger)
    telling.join()
    assert (event["status"], event["progress"]["delivered"]) == ("complete", 2)


@pytest.mark.usefixtures("sandbox")
def test_what_came_just_before_silence_counts_is_looked_for_however_long_the_interval() -> None:
    report = call()
    report["sent_at"] = datetime.now(UTC).isoformat()
    sensor = CampaignCompletionSensor(task_id="wait", campaign=report, unconfirmed_after=1.0)
    trigger = CampaignCompletionTrigger.of(
        sensor.completion_check(sensor.campaign_report()), poke_interval=2.0
    )
    telling = threading.Timer(0.6, keep, (report, DELIVERED, DELIVERED))
    telling.start()
    event = first_event(trigger)
    telling.join()
    assert (event["status"], event["progress"]["delivered"]) == ("complete", 2)


def test_what_is_done_at_the_first_look_is_not_handed_over(sandbox: Any) -> None:
    report = sms()
    sandbox.advance(86_400)
    sensor = CampaignCompletionSensor(task_id="wait", campaign=report, deferrable=True)
    assert sensor.execute(context())["delivered"] == 2


def test_what_is_not_is_and_no_number_travels(sandbox: Any) -> None:
    report = sms()
    sensor = CampaignCompletionSensor(task_id="wait", campaign=report, deferrable=True, timeout=77)
    with pytest.raises(TaskDeferred) as caught:
        sensor.execute(context())
    assert caught.value.method_name == "execute_complete"
    # The trigger ends the wait. Airflow does it only where the triggerer is gone.
    assert timedelta(seconds=77) + timedelta(minutes=10) >= caught.value.timeout > timedelta(seconds=660)
    _, arguments = caught.value.trigger.serialize()
    assert time.time() < arguments["deadline"] <= time.time() + 77
    assert_plain(arguments)
    text = json.dumps(arguments)
    assert not any(secret in text for secret in (ANNA[3:], BEN[3:], "Bonjour", SECRET, "planted"))


def test_every_option_of_the_sensor_reaches_the_trigger(sandbox: Any) -> None:
    options = {
        "conn_id": "smspartner_default", "min_delivery_rate": 0.5, "fail_fast": True, "report_path": "/tmp/x.csv",
        "on_unconfirmed": "succeed", "unconfirmed_after": 5000.0, "not_found_grace": 11.0, "unlisted_grace": 12.0,
    }  # fmt: skip
    sensor = CampaignCompletionSensor(
        task_id="wait", campaign=sms(), deferrable=True, poke_interval=9, **options
    )
    with pytest.raises(TaskDeferred) as caught:
        sensor.execute(context())
    _, arguments = caught.value.trigger.serialize()
    assert arguments["options"] == options
    assert arguments["poke_interval"] == 9


def test_errors_of_the_first_look_are_what_the_sensor_makes_of_them(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = call()
    monkeypatch.delenv("AIRFLOW__VOICEPARTNER__PUBLIC_URL")
    for deferrable in (True, False):
        sensor = CampaignCompletionSensor(task_id="wait", campaign=report, deferrable=deferrable)
        with pytest.raises(DeliveryUnconfirmedError, match="public_url is not set"):
            sensor.execute(context())
        sensor.soft_fail = True
        with pytest.raises(AirflowSkipException):
            sensor.execute(context())


@pytest.mark.parametrize(
    "event",
    [None, {}, {"status": "due"}, {"status": "complete"}, {"status": "complete", "progress": {}}, "text", []],
    ids=repr,
)
@pytest.mark.usefixtures("sandbox")
def test_any_other_event_is_refused_loudly(event: Any) -> None:
    sensor = CampaignCompletionSensor(task_id="wait", campaign=call(), deferrable=True)
    with pytest.raises(WaitGivenUpError, match=r"^unexpected trigger event"):
        sensor.execute_complete(context(), event)


def test_a_store_that_stays_away_ends_the_wait_with_a_word(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    report = call()
    (tmp_path / "file").touch()
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_URL", f"sqlite:///{tmp_path}/file/store.db")
    sensor = CampaignCompletionSensor(task_id="wait", campaign=report)
    event = first_event(
        CampaignCompletionTrigger(
            report, sensor.completion_check(sensor.campaign_report()).options.to_json(), 0.01, 3
        )
    )
    assert event["status"] == "error"
    with pytest.raises(WaitGivenUpError, match="the store could not be read"):
        sensor.execute_complete(context(), event)


@pytest.mark.usefixtures("sandbox")
def test_a_triggerer_that_is_started_anew_goes_on_with_the_same_wait_and_counts_nobody_twice() -> None:
    report = call()
    report["sent_at"] = datetime.now(UTC).isoformat()
    sent = time.monotonic()
    sensor = CampaignCompletionSensor(task_id="wait", campaign=report, unconfirmed_after=2.5)
    options = sensor.completion_check(sensor.campaign_report()).options.to_json()
    stored = json.loads(json.dumps(CampaignCompletionTrigger(report, options, 0.05).serialize()[1]))

    async def killed() -> None:
        async def run() -> None:
            async for event in CampaignCompletionTrigger(**stored).run():
                raise AssertionError(event)

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(run(), 0.6)

    asyncio.run(killed())
    keep(report, DELIVERED)
    keep(report, DELIVERED)  # the gateway may tell twice, too
    asyncio.run(killed())
    event = first_event(CampaignCompletionTrigger(**stored))
    assert 2.4 <= time.monotonic() - sent < 8  # and not 2.5 s after the last start
    assert event["status"] == "complete"
    assert (event["progress"]["delivered"], event["progress"]["unconfirmed"]) == (1, 1)


@pytest.mark.usefixtures("sandbox")
def test_no_task_is_resumed_at_once() -> None:
    """The scheduler would take a task that goes on too soon for one that ended by itself."""
    report = call()
    keep(report, DELIVERED, DELIVERED)
    sensor = CampaignCompletionSensor(task_id="wait", campaign=report)
    options = sensor.completion_check(sensor.campaign_report()).options.to_json()
    started = time.monotonic()
    assert first_event(CampaignCompletionTrigger(report, options, 0.7))["status"] == "complete"
    assert time.monotonic() - started >= 0.7
