"""Escalations from a DAG: the task does what is due, waits where nothing is held, and ends when nothing is left."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.contacts.policy import By, Policy, Step
from airflow_provider_voicepartner.db import schema
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.exceptions import CampaignInterruptedError, ConfigurationError
from airflow_provider_voicepartner.hooks.paging import Pager
from airflow_provider_voicepartner.incidents.answers import Channel
from airflow_provider_voicepartner.incidents.escalation import Action
from airflow_provider_voicepartner.operators.page import PageOperator
from airflow_provider_voicepartner.settings import open_store
from airflow_provider_voicepartner.triggers.page import IncidentTrigger, PageTrigger
from tests.support.escalations import let_it_be_due, open_incident, page_store, resolver
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


LONG = replace(POLICY, steps=(Step(("anne",), By.SMS, 300.0), Step(("bruno",), By.SMS, 300.0)))


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
    page_store(store).start(open_incident(store), LONG)
    task = PageOperator(task_id="page")
    waits = []
    while wait := run(task):
        waits.append(wait)
        let_it_be_due(store)
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
    assert first(PageTrigger(until=far(), since=0, poll_interval=0.1)) == {"status": "answered"}


def far() -> float:
    return time.time() + 3600


def test_a_wait_ends_when_the_last_incident_is_closed(store: Store) -> None:
    incident = open_incident(store)
    page_store(store).start(incident, LONG)
    pager = Pager(store)
    pager.run_due()
    threading.Timer(0.3, pager.act, (incident, Action.CLOSE, "anne", Channel.CLI), {"digest": "a"}).start()
    assert first(PageTrigger(until=far(), since=0, poll_interval=0.1)) == {"status": "over"}
    assert run(PageOperator(task_id="page")) is None


def test_a_wait_ends_when_an_escalation_is_to_be_begun_but_not_for_one_that_could_not_be(
    store: Store,
) -> None:
    page_store(store).start(open_incident(store), LONG)
    Pager(store).run_due()
    open_incident(store)
    assert first(PageTrigger(until=far(), since=0, poll_interval=0.1)) == {"status": "due"}
    stuck = PageTrigger(until=time.time() + 0.5, since=0, poll_interval=0.1, unstarted=1)
    begun = time.monotonic()
    assert first(stuck) == {"status": "due"}
    assert time.monotonic() - begun > 0.4


@pytest.mark.parametrize("deferrable", [True, False])
def test_what_cannot_be_done_now_is_not_tried_again_at_once(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture, deferrable: bool
) -> None:
    begin(store)
    (tmp_path / "contacts.toml").write_text("[people")
    task = PageOperator(task_id="page", deferrable=deferrable)
    if deferrable:
        begun = time.time()
        assert run(task).trigger.until - begun > 1
    else:
        threading.Timer(0.5, task.on_kill).start()
        with pytest.raises(CampaignInterruptedError):
            task.execute({})
    assert sum(record.levelname == "ERROR" for record in caplog.records) in (1, 2)


def test_a_worker_that_waits_ends_when_it_is_told_to(store: Store, sandbox: Any) -> None:
    incident = open_incident(store)
    page_store(store).start(incident, LONG)
    task = PageOperator(task_id="page", deferrable=False)
    threading.Timer(0.5, task.on_kill).start()
    begun = time.monotonic()
    with pytest.raises(CampaignInterruptedError):
        task.execute({})
    assert time.monotonic() - begun < 10
    # A retry is not stopped by what stopped the try before.
    assert run(PageOperator(task_id="page")) is not None
    threading.Timer(0.5, task.on_kill).start()
    with pytest.raises(CampaignInterruptedError):
        task.execute({})
    assert sent(sandbox, "smspartner") == {ANNE: 1}


def tells(
    store: Store, looks: Sequence[float], settle: Callable[[float], None] = lambda at: None
) -> list[float]:
    """Return when an incident is told by a trigger that looks at these moments."""
    told: list[float] = []
    moments = iter(looks)

    class OverError(Exception):
        pass

    class Trigger(IncidentTrigger):
        at = 0.0

        def clock(self) -> float:
            found = next(moments, None)
            if found is None:
                raise OverError
            self.at = found
            settle(found)
            return found

    async def listen() -> None:
        trigger = Trigger(poll_interval=0.1)
        trigger.poll_interval = 0
        async for _ in trigger.run():
            told.append(trigger.at)

    with pytest.raises(OverError):
        asyncio.run(listen())
    return told


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


@pytest.mark.airflow3
def test_an_incident_starts_a_dag_when_its_first_step_is_done_so_that_answers_are_heard(store: Store) -> None:
    incident = open_incident(store)
    page_store(store).start(incident, LONG)
    Pager(store).run_due()
    assert page_store(store).due() == []
    assert first(IncidentTrigger(poll_interval=0.1)) == {"incident": incident}
    assert tells(store, range(0, 300, 10)) == [0]


@pytest.mark.airflow3
def test_an_incident_whose_runner_died_starts_a_dag_again_and_ever_more_seldom(store: Store) -> None:
    begin(store)
    looks = (0, 59, 60, 179, 180, 419, 420, 899, 900, 1859, 1860, 3779, 3780, 7379, 7380, 10979, 10980)
    assert tells(store, looks) == [0, 60, 180, 420, 900, 1860, 3780, 7380, 10980]


@pytest.mark.airflow3
def test_an_incident_whose_policy_is_gone_starts_a_dag_ever_more_seldom(store: Store, sandbox: Any) -> None:
    open_incident(store, policy="gone")

    def settle(at: float) -> None:
        assert run(PageOperator(task_id="page")) is None

    assert tells(store, range(0, 3600, 60), settle) == [0, 60, 180, 420, 900, 1860]


@pytest.mark.airflow3
def test_an_incident_that_is_late_now_and_then_starts_no_other_run(store: Store) -> None:
    begin(store)

    def settle(at: float) -> None:
        with store.write() as connection:
            due_at = store.now(connection) + (100 if at % 50 == 0 else -1)
            connection.execute(schema.incident.update().values(due_at=due_at))

    assert tells(store, range(0, 300, 10), settle) == [0]


@pytest.mark.airflow3
def test_an_incident_whose_escalation_could_not_begin_starts_a_dag(store: Store) -> None:
    incident = open_incident(store)
    assert first(IncidentTrigger(poll_interval=0.1)) == {"incident": incident}


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
