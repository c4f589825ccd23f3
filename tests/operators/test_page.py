"""Escalations from a DAG: the task does what is due, waits where nothing is held, and ends when nothing is left."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.contacts.policy import By, Policy, Step
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.operators.page import PageOperator
from airflow_provider_voicepartner.settings import open_store
from airflow_provider_voicepartner.triggers.page import IncidentTrigger, PageTrigger
from tests.support.escalations import open_incident, page_store, resolver
from tests.support.gateways import sent

ANNE, BRUNO = "+33612345601", "+33612345602"
POLICY = Policy(
    name="night",
    steps=(Step(("anne",), By.SMS, 1.0), Step(("bruno",), By.SMS, 1.0)),
    sms="smspartner_default",
)


@pytest.fixture
def store(sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    path = tmp_path / "contacts.toml"
    path.write_text('[people.anne]\nphone = "0612345601"\n[people.bruno]\nphone = "0612345602"\n')
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CONTACTS", str(path))
    opened = open_store("a test")
    yield opened
    opened.close()


def begin(store: Store) -> int:
    incident = open_incident(store)
    page_store(store).start(incident, POLICY)
    return incident


def run(task: PageOperator) -> Any:
    """Run a task; return how it waits, None where it has ended."""
    from airflow.exceptions import TaskDeferred

    try:
        task.execute({})
    except TaskDeferred as wait:
        return wait
    return None


def test_it_waits_in_the_triggerer_and_goes_on_until_nothing_is_left(store: Store, sandbox: Any) -> None:
    begin(store)
    task = PageOperator(task_id="page")
    waits = []
    while wait := run(task):
        waits.append(wait)
        time.sleep(max(0.0, wait.trigger.serialize()[1]["until"] - time.time()))
    assert {wait.method_name for wait in waits} == {"execute"}
    for wait in waits:
        path, arguments = wait.trigger.serialize()
        assert path.endswith("triggers.page.PageTrigger")
        assert not any(number[-8:] in json.dumps(arguments) for number in (ANNE, BRUNO))
    assert len(waits) >= 2
    assert sent(sandbox, "smspartner") == {ANNE: 1, BRUNO: 1}


def test_in_a_worker_it_waits_by_itself(store: Store, sandbox: Any) -> None:
    begin(store)
    PageOperator(task_id="page", deferrable=False, poll_interval=1).execute({})
    assert sent(sandbox, "smspartner") == {ANNE: 1, BRUNO: 1}


def test_nothing_under_way_is_done_at_once(store: Store, sandbox: Any) -> None:
    assert PageOperator(task_id="page").execute({}) is None
    assert sent(sandbox, "smspartner") == {}


@pytest.mark.parametrize("interval", [0, 0.5, float("nan"), -1])
def test_an_interval_that_cannot_be(interval: float) -> None:
    with pytest.raises(ConfigurationError, match="poll_interval"):
        PageOperator(task_id="page", poll_interval=interval)


def first(trigger: Any) -> Any:
    async def get() -> Any:
        async for event in trigger.run():
            return event.payload
        return None

    return asyncio.run(asyncio.wait_for(get(), 30))


def test_the_trigger_wakes_when_it_is_due_and_when_somebody_answers(store: Store) -> None:
    from airflow_provider_voicepartner.delivery.inbound import InboundRecord
    from airflow_provider_voicepartner.delivery.store import DeliveryStore
    from airflow_provider_voicepartner.gateways.model import Reply

    assert first(PageTrigger(until=time.time() - 1, since=0, poll_interval=0.1)) == {"status": "due"}
    event = Reply(gateway="smspartner", campaign_id=None, phone_number=ANNE, text="1")
    DeliveryStore(store).write([InboundRecord(key=None, event=event, received_at=time.time())])
    far = time.time() + 3600
    assert first(PageTrigger(until=far, since=0, poll_interval=0.1)) == {"status": "answered"}


def test_the_trigger_wakes_when_another_incident_is_due_before_the_one_that_it_waits_for(
    store: Store,
) -> None:
    pages = page_store(store)
    held = open_incident(store)
    slow = Policy(name="slow", steps=(Step(("anne",), By.SMS, 3600.0),), sms="smspartner_default")
    pages.start(held, slow)
    assert len(pages.take_turn(held, resolver)) == 1
    waiting = PageTrigger(until=time.time() + 3600, since=0, poll_interval=0.1)
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(anext(waiting.run()), 0.5))
    pages.start(open_incident(store), slow)
    assert first(waiting) == {"status": "due"}


def test_the_trigger_wakes_when_nothing_is_left(store: Store) -> None:
    waiting = PageTrigger(until=time.time() + 3600, since=0, poll_interval=0.1)
    assert first(waiting) == {"status": "over"}


@pytest.mark.parametrize("deferrable", [True, False])
def test_what_cannot_be_done_now_is_not_tried_without_a_pause(
    store: Store, deferrable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(store)
    # Contacts that cannot be read: nobody can be paged, and what is due stays so.
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CONTACTS", "/no/such/contacts.toml")
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        raise InterruptedError

    monkeypatch.setattr("airflow_provider_voicepartner.operators.page.time.sleep", pause)
    task = PageOperator(task_id="page", deferrable=deferrable)
    begun = time.time()
    if deferrable:
        pauses.append(run(task).trigger.until - begun)
    else:
        with pytest.raises(InterruptedError):
            run(task)
    assert pauses[0] >= 1


@pytest.mark.airflow3
@pytest.mark.parametrize(
    ("pause", "told"), [(60.0, {1}), (0.5, {2, 3})], ids=["once", "again while no run does it"]
)
def test_how_often_an_incident_starts_a_dag(
    pause: float, told: set[int], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_voicepartner.triggers.page.INCIDENT_EVENT_PAUSE", pause)
    incident = begin(store)
    assert first(IncidentTrigger(poll_interval=0.1)) == {"incident": incident}

    async def count() -> int:
        seen = 0

        async def listen() -> None:
            nonlocal seen
            async for _ in IncidentTrigger(poll_interval=0.1).run():
                seen += 1

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(listen(), 1.4)
        return seen

    assert asyncio.run(count()) in told


def test_a_store_that_is_away_for_a_moment_is_waited_for(
    store: Store, sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(store)
    file, folder = tmp_path / "away.db", tmp_path / "store.db"
    store.close()
    folder.rename(file)
    folder.mkdir()

    def is_back() -> None:
        folder.rmdir()
        file.rename(folder)

    threading.Timer(0.5, is_back).start()
    assert run(PageOperator(task_id="page")) is not None
    assert sent(sandbox, "smspartner") == {ANNE: 1}
