"""A task that ends early takes all of its requests with it: what waits never leaves, and is not in doubt."""

from __future__ import annotations

import copy
import pickle
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_voicepartner.exceptions import CampaignInterruptedError
from airflow_provider_voicepartner.operators.base import SendingOperator
from airflow_provider_voicepartner.operators.campaign import CancelCampaignOperator
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.operators.voice import TtsCallOperator, VoicemailDropOperator
from airflow_provider_voicepartner.sending.batch import WorkerPool
from airflow_provider_voicepartner.sensors.campaign import CampaignCompletionSensor
from tests.support.batches import cut_batches
from tests.support.gateways import fault, requests, sent
from tests.support.ledgers import phases
from tests.support.tasks import FakeStore, context

ANNA, BEN = "+33612345678", "+33612345679"
LONG = 40
"""Seconds that the gateway asks a request to wait. A test that really waits for them fails by the clock."""


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    cut_batches(1, monkeypatch)
    # What was learnt from a 429 is tried elsewhere; here only the refused request itself is to wait.
    monkeypatch.setattr(
        "airflow_provider_voicepartner.hooks.rate_limiter.StoreRateLimiter.on_response", lambda *_: None
    )
    # Nor does the campaign ask what it costs first: each request is a batch.
    monkeypatch.setattr("airflow_provider_voicepartner.sending.pricing.Pricing._is_worth_it", False)


def sms(**arguments: Any) -> SendSmsOperator:
    return SendSmsOperator(
        **{
            "task_id": "send", "to": [ANNA, BEN], "message": "Bonjour", "max_in_flight": 2,
            **arguments,
        }
    )  # fmt: skip


def wait_for_workers() -> None:
    """Wait until no thread of a campaign is left that could still send."""
    for thread in threading.enumerate():
        if thread.name.startswith("voicepartner-worker"):
            thread.join(10)
            assert not thread.is_alive()


@pytest.mark.parametrize("error", [TimeoutError, KeyboardInterrupt, SystemExit])
def test_a_request_that_waits_when_the_time_is_over_does_not_leave_and_is_not_in_doubt(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    """A time-out is raised in the main thread, wherever that is, while a worker thread sits out a 429."""
    fault(sandbox, "429", retry_after=LONG, method="POST", path="/send")
    store, waits = FakeStore(), WorkerPool.wait
    arrived = requests(sandbox)

    def wait(workers: WorkerPool, seconds: float) -> None:
        waits(workers, seconds)
        if "sent" in phases(store).values():
            monkeypatch.setattr(WorkerPool, "wait", waits)
            raise error

    monkeypatch.setattr(WorkerPool, "wait", wait)
    began = time.monotonic()
    with pytest.raises(error):
        sms(to=[ANNA, BEN, "+33612345680"]).execute(context(store))
    assert time.monotonic() - began < LONG / 2
    counted = requests(sandbox)
    assert arrived < counted
    wait_for_workers()
    assert requests(sandbox) == counted
    assert set(phases(store).values()) <= {"sent", "refused"}
    assert "refused" in phases(store).values()
    sms(to=[ANNA, BEN, "+33612345680"]).execute(context(store, try_number=2))
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1, "+33612345680": 1}


def test_an_attempt_that_airflow_gave_up_sends_nothing_after_it_has_learnt_of_it(sandbox: Any) -> None:
    class Fencing(FakeStore):
        """Gives the attempt up as soon as one batch was sent and another waits."""

        def set(self, key: str, value: Any, **more: Any) -> None:
            self.fenced = any("sent" in str(record) for record in value.values())
            super().set(key, value, **more)

    fault(sandbox, "429", retry_after=LONG, method="POST", path="/send")
    store = Fencing()
    began = time.monotonic()
    with pytest.raises(PermissionError):
        sms().execute(context(store))
    assert time.monotonic() - began < LONG / 2
    counted = requests(sandbox)
    wait_for_workers()
    assert requests(sandbox) == counted
    assert len(sent(sandbox, "smspartner")) == 1


def test_a_task_that_goes_on_after_a_wait_is_not_stopped_by_the_sign_of_its_earlier_part(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``dag.test`` resumes with the very same operator."""
    from airflow_provider_voicepartner.compat import TaskDeferred

    fault(sandbox, "429", retry_after=LONG, method="POST", path="/send")
    store = FakeStore()
    operator = sms(deferrable=True)
    with pytest.raises(TaskDeferred):
        operator.execute(context(store))
    report = operator.resume(context(store), {"status": "due"})
    assert report["counts"]["accepted"] == 2
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1}


# A sign for each attempt


OPERATORS: dict[str, Callable[[], Any]] = {
    "SMS": sms,
    "call": lambda: TtsCallOperator(task_id="call", to=[ANNA, BEN], text="Bonjour"),
    "voicemail": lambda: VoicemailDropOperator(
        task_id="drop", to=[ANNA, BEN], audio_token="a1b2c3d4", email_for_notification="ops@example.org"
    ),
    "cancel": lambda: CancelCampaignOperator(task_id="cancel", campaign=planned()),
    "sensor": lambda: CampaignCompletionSensor(task_id="wait", campaign=planned(dry_run=True)),
}


def planned(**arguments: Any) -> dict[str, Any]:
    """Return the report of a campaign that is yet to come."""
    later = sms(send_at=datetime.now(UTC) + timedelta(hours=2), **arguments)
    report: dict[str, Any] = later.execute(context(FakeStore()))
    return report


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("kind", OPERATORS)
def test_an_operator_can_be_pickled_before_and_after_it_has_run(kind: str) -> None:
    operator = pickle.loads(pickle.dumps(OPERATORS[kind]()))
    ti: Any = context(FakeStore())
    operator.execute(ti)
    again = pickle.loads(pickle.dumps(operator))
    assert type(again) is type(operator)
    if isinstance(again, SendingOperator):
        again.execute(context(FakeStore()))


@pytest.mark.airflow3
@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("kind", OPERATORS)
def test_it_can_be_pickled_where_loggers_are_kept_once_they_were_used(kind: str) -> None:
    """As Airflow 3 has it in a task; its own operators cannot."""
    import structlog

    before = structlog.get_config()
    structlog.configure(cache_logger_on_first_use=True)
    try:
        operator = OPERATORS[kind]()
        operator.log.warning("a line")
        again = pickle.loads(pickle.dumps(operator))
        again.log.warning("another")
    finally:
        structlog.configure(**before)
    assert again.task_id == operator.task_id


def test_an_operator_with_rendered_arguments_can_be_pickled_too(sandbox: Any) -> None:
    operator = sms(to=["{{ params.number }}"])
    operator.render_template_fields(context(params={"number": ANNA}))
    pickle.loads(pickle.dumps(operator)).execute(context(FakeStore()))
    assert sent(sandbox, "smspartner") == {ANNA: 1}


@pytest.mark.parametrize("copied", ["before it ran", "when it was killed", "not at all"])
def test_after_a_kill_another_execute_in_the_same_process_sends(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, copied: str
) -> None:
    """Airflow copies operators, and an executor may run many tasks in one process."""
    store, operator, waits = FakeStore(), sms(max_in_flight=1), WorkerPool.wait
    twin = copy.copy(operator)

    def wait(workers: WorkerPool, seconds: float) -> None:
        waits(workers, seconds)
        operator.on_kill()

    with monkeypatch.context() as killed:
        killed.setattr(WorkerPool, "wait", wait)
        with pytest.raises(CampaignInterruptedError):
            operator.execute(context(store))
    assert len(sent(sandbox, "smspartner")) == 1
    again = {"before it ran": twin, "when it was killed": copy.copy(operator)}.get(copied, operator)
    assert again.execute(context(store, try_number=2))["counts"]["accepted"] == 2
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1}


def test_a_kill_before_it_runs_stops_nothing(sandbox: Any) -> None:
    operator = sms()
    operator.on_kill()
    assert operator.execute(context(FakeStore()))["counts"]["accepted"] == 2
