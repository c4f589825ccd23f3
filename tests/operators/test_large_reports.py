"""The report of a campaign of many batches: XCom holds where they are, and whoever needs them reads them from there."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from airflow_provider_voicepartner.compat import PokeReturnValue, TaskDeferred
from airflow_provider_voicepartner.constants import BATCHES_IN_A_REPORT
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.delivery.store import DeliveryStore
from airflow_provider_voicepartner.exceptions import ConfigurationError, RetryableNotSentError
from airflow_provider_voicepartner.hooks.delivery import DeliveryHook
from airflow_provider_voicepartner.operators.campaign import CancelCampaignOperator
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.sending.report import CampaignReport, read_report
from airflow_provider_voicepartner.sensors.campaign import CampaignCompletionSensor
from airflow_provider_voicepartner.settings import open_store
from airflow_provider_voicepartner.triggers import campaign as triggers
from airflow_provider_voicepartner.triggers.campaign import CampaignCompletionTrigger
from tests.operators.conftest import SET
from tests.support.gateways import fault, outcome, sent
from tests.support.tasks import Logs, TaskRun, context

PEOPLE = [f"+3361234567{place}" for place in range(4)]
DAY = 86_400.0

pytestmark = pytest.mark.usefixtures("single")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let four batches be many."""
    monkeypatch.setattr("airflow_provider_voicepartner.operators.ledger.BATCHES_IN_A_REPORT", 3)


@pytest.fixture
def run() -> TaskRun:
    """Return a task whose ledger is in the store."""
    return TaskRun()


def send(run: TaskRun, to: list[str] = PEOPLE, **arguments: Any) -> dict[str, Any]:
    operator = SendSmsOperator(**{"task_id": "send", "to": to, "message": "Bonjour", **arguments})
    report: dict[str, Any] = operator.execute(run.attempt())
    return report


def purge() -> None:
    from datetime import timedelta

    store = DeliveryStore(open_store("purging"), now=lambda: 4e9)
    store.purge(older_than=timedelta(days=1), ledger_older_than=timedelta(days=1))
    store.close()


def sensor(report: Any, **arguments: Any) -> CampaignCompletionSensor:
    return CampaignCompletionSensor(task_id="wait", campaign=report, **arguments)


def wait_in_triggerer(trigger: CampaignCompletionTrigger) -> dict[str, Any]:
    """Run a trigger as Airflow does, from what it has stored of it, and return its event."""
    stored = json.loads(json.dumps(trigger.serialize()[1]))

    async def first() -> dict[str, Any]:
        async for event in CampaignCompletionTrigger(**stored).run():
            return dict(event.payload)
        raise AssertionError

    return asyncio.run(asyncio.wait_for(first(), 30))


def test_five_hundred_are_listed() -> None:
    assert BATCHES_IN_A_REPORT == 500


def test_with_each_memory_all_batches_are_found(sandbox: Any, task: TaskRun, logs: Logs) -> None:
    report = send(task)
    has_store = "batches_stored" in report
    assert has_store is (task.state is None or not _state_alone())
    if has_store:
        assert report["batches"] == []
        assert report["batches_stored"][0]["count"] == 4
    else:
        assert "lists all of 4 batches" in logs.text
        assert len(report["batches"]) == 4
    batches = DeliveryHook().get_batches(report)
    assert [batch["state"] for batch in batches] == ["sent"] * 4
    assert len({batch["gateway_id"] for batch in batches}) == 4
    assert sum(batch["accepted"] for batch in batches) == report["counts"]["accepted"]
    assert set(batches[0]) == {"reference", "gateway_id", "accepted", "state"}


def _state_alone() -> bool:
    import os

    return os.environ.get(SET) == "sqlite://"


def test_a_retry_returns_the_same_report(sandbox: Any, task: TaskRun) -> None:
    first = send(task)
    assert send(task) == first
    assert sent(sandbox, "smspartner") == dict.fromkeys(PEOPLE, 1)


def test_a_smaller_report_lists_its_batches(sandbox: Any, run: TaskRun) -> None:
    report = send(run, PEOPLE[:3])
    assert len(report["batches"]) == 3
    assert "batches_stored" not in report
    assert DeliveryHook().get_batches(report) == report["batches"]


def test_after_everything_was_sent_again_the_new_batches_are_read(sandbox: Any, run: TaskRun) -> None:
    old, new = send(run), send(run, send_again="once more")
    ids = [{batch["gateway_id"] for batch in DeliveryHook().get_batches(report)} for report in (old, new)]
    assert len(ids[0] | ids[1]) == 8


def test_a_report_travels_as_text_too(sandbox: Any, run: TaskRun) -> None:
    report = send(run)
    assert read_report(str(report)) == read_report(report) == CampaignReport.from_json(report)


def test_a_dry_run_lists_none(sandbox: Any, run: TaskRun) -> None:
    report = send(run, dry_run=True)
    assert report["batches"] == []
    assert "batches_stored" not in report
    done = sensor(report).poke(context())
    assert isinstance(done, PokeReturnValue)
    assert done.is_done
    assert CancelCampaignOperator(task_id="cancel", campaign=report).execute(context())["cancelled"] == 0


def test_workers_that_share_no_store_are_told_all_batches(
    sandbox: Any, run: TaskRun, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    assert len(send(run)["batches"]) == 4
    assert "lists all of 4 batches" in logs.text


def test_a_store_that_lost_batches_is_not_pointed_to(
    sandbox: Any, run: TaskRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_voicepartner.sending.campaign import CampaignSender

    whole = CampaignSender.send

    def purged(*args: Any) -> Any:
        records = whole(*args)
        purge()
        return records

    monkeypatch.setattr(CampaignSender, "send", purged)
    assert len(send(run)["batches"]) == 4


def test_what_a_campaign_that_fails_has_sent_is_found(
    sandbox: Any, run: TaskRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_voicepartner.operators.ledger.BATCHES_IN_A_REPORT", 1)
    fault(sandbox, "429", retry_after=90, skip=2, method="POST", path="/send")
    with pytest.raises(RetryableNotSentError):
        send(run, max_in_flight=1)
    report = run.pushed["campaign"]
    assert report["batches_stored"][0]["count"] == 2
    assert [batch["accepted"] for batch in DeliveryHook().get_batches(report)] == [1, 1]


class TestWaiting:
    def test_a_sensor_that_pokes_waits_for_all(self, sandbox: Any, run: TaskRun) -> None:
        report = send(run)
        assert sensor(report).poke(context()) is False
        sandbox.advance(DAY)
        done = sensor(report).poke(context())
        assert isinstance(done, PokeReturnValue)
        assert done.xcom_value["delivered"] == done.xcom_value["expected"] == 4

    def test_of_mapped_tasks_all_reports_count(self, sandbox: Any) -> None:
        reports = [send(TaskRun()), send(TaskRun(), PEOPLE[:1])]
        sandbox.advance(DAY)
        done = sensor(reports).poke(context())
        assert isinstance(done, PokeReturnValue)
        assert done.xcom_value["delivered"] == done.xcom_value["expected"] == 5

    def test_the_trigger_of_a_sensor_gets_all_batches_where_the_store_is_a_file(
        self, sandbox: Any, run: TaskRun, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It may be another machine's."""
        monkeypatch.setattr(triggers, "SHORTEST_DEFERRAL", 0.0)
        report = send(run)
        waiting = sensor(report, deferrable=True, poke_interval=0.2)
        with pytest.raises(TaskDeferred) as deferred:
            waiting.execute(context())
        trigger = deferred.value.trigger
        assert isinstance(trigger, CampaignCompletionTrigger)
        assert len(trigger.campaign["batches"]) == 4
        sandbox.advance(DAY)
        event = wait_in_triggerer(trigger)
        assert event["status"] == "complete"
        assert waiting.execute_complete(context(), event)["delivered"] == 4

    def test_a_trigger_reads_batches_from_the_store(
        self, sandbox: Any, run: TaskRun, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(triggers, "SHORTEST_DEFERRAL", 0.0)
        report = send(run)
        sandbox.advance(DAY)
        event = wait_in_triggerer(CampaignCompletionTrigger(report, {}, 0.2))
        assert (event["status"], event["progress"]["delivered"]) == ("complete", 4)

    def test_a_trigger_bears_a_store_that_is_away(
        self, sandbox: Any, run: TaskRun, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from airflow_provider_voicepartner.hooks import delivery

        monkeypatch.setattr(triggers, "SHORTEST_DEFERRAL", 0.0)
        report, left, real = send(run), [2], delivery.with_stored_batches
        sandbox.advance(DAY)

        def away(report: CampaignReport) -> CampaignReport:
            if left[0]:
                left[0] -= 1
                raise StoreUnavailableError("away")
            return real(report)

        monkeypatch.setattr(delivery, "with_stored_batches", away)
        assert wait_in_triggerer(CampaignCompletionTrigger(report, {}, 0.05))["status"] == "complete"
        left[0] = 10**6
        ended = wait_in_triggerer(CampaignCompletionTrigger(report, {}, 0.01, max_failures=3))
        assert ended == {"status": "error", "message": "StoreUnavailableError"}
        over = wait_in_triggerer(CampaignCompletionTrigger(report, {}, 0.01, deadline=1.0))
        assert over["status"] == "timeout"

    def test_a_trigger_that_finds_no_batches_says_why(
        self, sandbox: Any, run: TaskRun, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(triggers, "SHORTEST_DEFERRAL", 0.0)
        report = send(run)
        purge()
        event = wait_in_triggerer(CampaignCompletionTrigger(report, {}, 0.2))
        assert event["status"] == "error"
        assert "purged" in event["message"]

    @pytest.mark.parametrize("deferrable", [False, True])
    def test_an_operator_that_waits_knows_its_batches(
        self, deferrable: bool, sandbox: Any, run: TaskRun, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(triggers, "SHORTEST_DEFERRAL", 0.0)
        operator = SendSmsOperator(
            task_id="send", to=PEOPLE, message="Bonjour", wait_for_completion=True, deferrable=deferrable,
            completion={"poke_interval": 0.2},
        )  # fmt: skip
        given = run.attempt()
        given["ti"].xcom_pull = lambda **_: run.pushed["campaign"]
        if deferrable:
            with pytest.raises(TaskDeferred) as deferred:
                operator.execute(given)
            assert run.pushed["campaign"]["batches"] == []
            sandbox.advance(DAY)
            trigger = deferred.value.trigger
            assert isinstance(trigger, CampaignCompletionTrigger)
            result = operator.complete(given, wait_in_triggerer(trigger))
        else:
            for person in PEOPLE:
                outcome(sandbox, person, "delivered", after=0)
            result = operator.execute(given)
        assert result["delivery"]["delivered"] == 4
        assert result["batches"] == []
        assert result["batches_stored"][0]["count"] == 4


def test_every_batch_is_cancelled(sandbox: Any, run: TaskRun) -> None:
    from datetime import UTC, datetime, timedelta

    report = send(run, send_at=datetime.now(UTC) + timedelta(hours=2))
    result = CancelCampaignOperator(task_id="cancel", campaign=report).execute(context())
    assert result["cancelled"] == 4


def test_batches_that_were_purged_are_not_taken_for_none(sandbox: Any, run: TaskRun) -> None:
    report = send(run)
    purge()
    with pytest.raises(ConfigurationError, match="0 of the 4 batches"):
        DeliveryHook().get_batches(report)
    with pytest.raises(ConfigurationError, match="purged"):
        sensor(report).poke(context())
    with pytest.raises(ConfigurationError, match="purged"):
        CancelCampaignOperator(task_id="cancel", campaign=report).execute(context())


def test_another_store_is_not_asked(
    sandbox: Any, run: TaskRun, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    report = send(run)
    monkeypatch.setenv(SET, f"sqlite:///{tmp_path / 'other.db'}")
    from airflow_provider_voicepartner.db.engine import open_store

    open_store(f"sqlite:///{tmp_path / 'other.db'}", upgrade=True).close()
    with pytest.raises(ConfigurationError, match="another store"):
        DeliveryHook().get_batches(report)


def test_what_points_to_batches_holds_no_number(sandbox: Any, run: TaskRun) -> None:
    report = send(run)
    assert set(report["batches_stored"][0]) == {"store", "campaign", "generation", "count"}
    assert not any(number[1:] in json.dumps(report) for number in PEOPLE)
