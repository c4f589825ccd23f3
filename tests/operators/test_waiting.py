"""Operators that send and then wait: nothing is sent twice, whatever dies in between."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voicepartner.compat import TaskDeferred
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.delivery.inbound import InboundRecord, of_reference
from airflow_provider_voicepartner.delivery.store import DeliveryStore
from airflow_provider_voicepartner.exceptions import (
    CampaignInterruptedError,
    ConfigurationError,
    DeliveryFailedError,
    DeliveryUnconfirmedError,
)
from airflow_provider_voicepartner.gateways.model import DeliveryReport
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.operators.voice import TtsCallOperator
from airflow_provider_voicepartner.settings import open_delivery_store
from tests.support.gateways import outcome, requests, sent
from tests.support.tasks import FakeStore, assert_plain, context

ANNA, BEN = "+33612345678", "+33612345679"


class FakeTi(SimpleNamespace):
    """A task instance with its XComs."""

    def __init__(self, try_number: int = 1) -> None:
        super().__init__(
            try_number=try_number, dag_id="dag", run_id="run", task_id="send", map_index=-1, xcoms={}
        )

    def xcom_push(self, key: str, value: Any) -> None:
        assert_plain(value)
        self.xcoms[key] = json.loads(json.dumps(value))

    def xcom_pull(self, task_ids: str, key: str, map_indexes: int) -> Any:
        assert (task_ids, map_indexes) == ("send", -1)
        return self.xcoms.get(key)


def sms(**arguments: Any) -> SendSmsOperator:
    arguments = {"to": [ANNA, BEN], "message": "Bonjour", "wait_for_completion": True} | arguments
    return SendSmsOperator(task_id="send", **arguments)


def task(store: FakeStore, ti: FakeTi) -> Any:
    return {**context(store), "ti": ti}


@pytest.fixture
def hours(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let a wait be over at once, and three hours pass for the gateway meanwhile."""
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        sandbox.advance(3 * 3600)

    monkeypatch.setattr(
        "airflow_provider_voicepartner.operators.waiting.time",
        SimpleNamespace(sleep=sleep, time=time.time),
    )
    return waits


def test_it_waits_in_the_worker_and_adds_what_became_of_it(sandbox: Any, hours: list[float]) -> None:
    outcome(sandbox, BEN, "not_delivered")
    ti = FakeTi()
    report = sms(completion={"poke_interval": 0.4}).execute(task(FakeStore(), ti))
    assert report["counts"]["accepted"] == 2
    assert (report["delivery"]["delivered"], report["delivery"]["expected"]) == (1, 2)
    assert hours == [0.4]
    assert ti.xcoms["campaign"] == {name: value for name, value in report.items() if name != "delivery"}


def test_a_store_that_is_away_is_looked_into_again_but_not_for_ever(
    sandbox: Any, hours: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_voicepartner.operators.waiting.MOST_STORE_FAILURES", 3)
    ask, left = DeliveryStore.changes, [2]

    def changes(self: DeliveryStore, **arguments: Any) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            raise StoreUnavailableError("away")
        return ask(self, **arguments)

    monkeypatch.setattr(DeliveryStore, "changes", changes)
    store, ti = FakeStore(), FakeTi()
    assert sms().execute(task(store, ti))["delivery"]["delivered"] == 2
    left[0] = 3
    with pytest.raises(StoreUnavailableError):
        sms().execute(task(store, ti))
    assert max(sent(sandbox, "smspartner").values()) == 1


def test_what_is_demanded_is_judged(sandbox: Any, hours: list[float]) -> None:
    outcome(sandbox, BEN, "not_delivered")
    with pytest.raises(DeliveryFailedError, match="min_delivery_rate"):
        sms(completion={"min_delivery_rate": 0.9}).execute(task(FakeStore(), FakeTi()))
    assert max(sent(sandbox, "smspartner").values()) == 1


def event_of(trigger: Any) -> dict[str, Any]:
    async def run() -> dict[str, Any]:
        async with asyncio.timeout(20):
            async for event in trigger.run():
                return dict(event.payload)
        raise AssertionError("no event")

    return asyncio.run(run())


def defer(operator: Any, store: FakeStore, ti: FakeTi) -> Any:
    with pytest.raises(TaskDeferred) as caught:
        operator.execute(task(store, ti))
    assert caught.value.method_name == "execute_complete"
    return caught.value.trigger


def test_it_waits_in_the_triggerer_and_goes_on_from_its_ids(sandbox: Any) -> None:
    store, ti, operator = FakeStore(), FakeTi(), sms(deferrable=True, completion={"poke_interval": 0.05})
    trigger = defer(operator, store, ti)
    sandbox.advance(86_400)
    event = event_of(trigger)
    before = requests(sandbox)
    report = sms(deferrable=True).execute_complete(task(store, ti), event)
    assert report["delivery"]["delivered"] == 2
    assert report["batches"] == ti.xcoms["campaign"]["batches"]
    assert requests(sandbox) == before
    assert max(sent(sandbox, "smspartner").values()) == 1


@pytest.mark.parametrize("where", ["before the ids", "after the ids"])
def test_a_crash_between_sending_and_waiting_sends_nothing_again(sandbox: Any, where: str) -> None:
    class Dying(FakeTi):
        def xcom_push(self, key: str, value: Any) -> None:
            if where == "after the ids":
                super().xcom_push(key, value)
            raise SystemExit("killed")

    store = FakeStore()
    with pytest.raises(SystemExit):
        sms(deferrable=True).execute(task(store, Dying()))
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1}
    again = FakeTi(try_number=2)  # Airflow wipes the XComs of an attempt that is tried again
    trigger = defer(sms(deferrable=True, completion={"poke_interval": 0.05}), store, again)
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1}
    sandbox.advance(86_400)
    assert sms().complete(task(store, again), event_of(trigger))["delivery"]["delivered"] == 2


def test_calls_that_come_back_end_a_wait(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__PUBLIC_URL", "https://hooks.example.org")
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CALLBACK_SECRET", "a-planted-secret-of-32-characters")
    store, ti = FakeStore(), FakeTi()
    operator = TtsCallOperator(
        task_id="send", to=ANNA, text="Bonjour", wait_for_completion=True, deferrable=True,
        completion={"poke_interval": 0.05},
    )  # fmt: skip
    trigger = defer(operator, store, ti)
    delivery = open_delivery_store()
    event = DeliveryReport(
        gateway="voicepartner", campaign_id=None, phone_number=ANNA, status=DeliveryStatus.DELIVERED
    )
    reference = ti.xcoms["campaign"]["batches"][0]["reference"]
    key = of_reference("voicepartner", reference)
    delivery.write([InboundRecord(key=key, event=event, received_at=time.time())])
    delivery.close()
    assert operator.complete(task(store, ti), event_of(trigger))["delivery"]["delivered"] == 1


def test_what_could_never_be_waited_for_is_not_sent(sandbox: Any) -> None:
    operator = TtsCallOperator(task_id="send", to=ANNA, text="Bonjour", wait_for_completion=True)
    with pytest.raises(DeliveryUnconfirmedError, match="public_url and callback_secret are not set"):
        operator.execute(task(FakeStore(), FakeTi()))
    assert requests(sandbox) == 0


@pytest.mark.parametrize(
    ("completion", "problem"),
    [
        ({"min_rate": 0.9}, "has no 'min_rate'; it has poke_interval, min_delivery_rate"),
        ({"min_delivery_rate": 2}, "min_delivery_rate: 2 is not a share"),
        ({"on_unconfirmed": "ignore"}, "on_unconfirmed"),
        ({"unconfirmed_after": -1}, "unconfirmed_after: -1 is not a number of seconds"),
        ({"poke_interval": 0}, "poke_interval 0 is not"),
        ("0.9", "must be a dict"),
    ],
)
def test_a_wish_that_cannot_be_read_is_refused_before_anything_is_sent(
    sandbox: Any, completion: Any, problem: str
) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        sms(completion=completion).execute(task(FakeStore(), FakeTi()))
    assert requests(sandbox) == 0


def test_a_report_path_where_something_else_is_is_refused_before_anything_is_sent(
    sandbox: Any, tmp_path: Path
) -> None:
    taken = tmp_path / "other.csv"
    taken.write_text("id;name\n")
    with pytest.raises(
        ConfigurationError, match="report_path: there is a file already that is no delivery report"
    ):
        sms(completion={"report_path": str(taken)}).execute(task(FakeStore(), FakeTi()))
    assert taken.read_text() == "id;name\n"
    assert requests(sandbox) == 0


def test_a_dry_run_waits_for_nobody(sandbox: Any) -> None:
    report = sms(dry_run=True).execute(task(FakeStore(), FakeTi()))
    assert "delivery" not in report


def test_a_task_that_is_told_to_stop_stops_waiting(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store, operator = FakeStore(), sms()
    monkeypatch.setattr(
        "airflow_provider_voicepartner.operators.waiting.time",
        SimpleNamespace(sleep=lambda seconds: operator.on_kill(), time=time.time),
    )
    with pytest.raises(CampaignInterruptedError):
        operator.execute(task(store, FakeTi()))
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1}
