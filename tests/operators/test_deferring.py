"""Waits in the triggerer, for the rate limit and for doubts, on every Airflow: what was sent is known afterwards."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voicepartner.compat import TaskDeferred
from airflow_provider_voicepartner.exceptions import (
    ConfigurationError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.hooks.http import HttpSender
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.triggers.pacing import WaitUntilTrigger
from tests.operators.conftest import SET, HookClock
from tests.support.gateways import fault, requests, sent
from tests.support.tasks import FakeStore, TaskRun, context

ANNA, BEN = "+33612345678", "+33612345679"
ALL = {ANNA: 1, BEN: 1}
DUE = {"status": "due"}


def sms(**arguments: Any) -> SendSmsOperator:
    return SendSmsOperator(
        **{
            "task_id": "send", "to": [ANNA, BEN], "message": "Bonjour", "max_in_flight": 1, "deferrable": True,
            **arguments,
        }
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _no_penalties(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a 429 make nobody else wait: the store of slots is the ledger's, too, and a test cannot wait for it."""
    monkeypatch.setattr(
        "airflow_provider_voicepartner.hooks.rate_limiter.StoreRateLimiter.on_response", lambda *_: None
    )


def refuse(sandbox: Any, **more: Any) -> None:
    """Let one send be refused by the gateway's rate limit."""
    fault(sandbox, "429", **{"retry_after": 45, "method": "POST", "path": "/send", **more})


# The rate limit


@pytest.mark.usefixtures("single")
def test_a_long_wait_is_handed_to_the_triggerer_until_an_absolute_moment(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, task: TaskRun
) -> None:
    refuse(sandbox, skip=1)
    monkeypatch.setattr(
        "airflow_provider_voicepartner.operators.base.time",
        SimpleNamespace(time=lambda: 1_900_000_000.0, sleep=time.sleep),
    )
    with pytest.raises(TaskDeferred) as deferred:
        sms().execute(task.attempt())
    assert isinstance(deferred.value.trigger, WaitUntilTrigger)
    assert deferred.value.trigger.serialize()[1] == {"until": 1_900_000_045.0}
    assert deferred.value.method_name == "execute_complete"
    assert sent(sandbox, "smspartner") == {ANNA: 1}
    assert task.pushed["campaign"]["counts"]["left"] == 1
    operator = sms()
    report = getattr(operator, deferred.value.method_name)(task.attempt(), DUE)
    assert report["counts"]["accepted"] == 2
    assert sent(sandbox, "smspartner") == ALL
    # XCom outlives a wait: what was left before it is left no more.
    assert task.pushed["campaign"] == report
    # A resumed task that dies and is resumed again sends nothing more.
    assert operator.resume(task.attempt(), DUE) == report
    assert requests(sandbox) == 3


@pytest.mark.parametrize(
    "event", [None, {}, {"status": "error"}, {"status": "due", "more": 1}, "due"], ids=repr
)
def test_an_unknown_event_is_refused_and_sends_nothing(sandbox: Any, event: Any) -> None:
    with pytest.raises(ValueError, match="unexpected trigger event"):
        sms().resume(context(FakeStore()), event)
    assert requests(sandbox) == 0


def test_a_long_wait_is_left_to_airflows_retry_where_nobody_asked_for_it(sandbox: Any, task: TaskRun) -> None:
    refuse(sandbox, retry_after=90)
    with pytest.raises(RetryableNotSentError) as caught:
        sms(deferrable=False).execute(task.attempt())
    assert caught.value.retry_after == 90


@pytest.mark.usefixtures("single")
@pytest.mark.parametrize("deferrable", [True, False])
def test_a_long_wait_is_waited_for_in_the_worker_where_nothing_would_remember_what_was_sent(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, deferrable: bool
) -> None:
    """A retry would find everything in doubt."""
    slept: list[float] = []
    monkeypatch.setattr(
        "airflow_provider_voicepartner.hooks.connected.HttpSender", partial(HttpSender, sleep=slept.append)
    )
    monkeypatch.setenv(SET, "sqlite://")
    refuse(sandbox, retry_after=7200, skip=1)
    report = sms(deferrable=deferrable, max_in_flight=1, execution_timeout=None).execute(TaskRun().attempt())
    assert report["counts"]["accepted"] == 2
    assert 7200 <= sum(slept) < 7300
    assert sent(sandbox, "smspartner") == ALL


def test_a_part_that_goes_on_where_the_first_left_no_trace_sends_nothing_by_itself(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run = TaskRun()
    refuse(sandbox)
    with pytest.raises(TaskDeferred):
        sms().execute(run.attempt())
    monkeypatch.setenv(SET, f"sqlite:///{tmp_path / 'another.db'}")
    with pytest.raises(SendOutcomeUnknownError, match="try 1 of this task left no trace"):
        sms().resume(run.attempt(), DUE)
    assert sent(sandbox, "smspartner") == {}


def test_a_try_after_one_that_was_resumed_is_not_taken_for_its_part(sandbox: Any) -> None:
    """``dag.test`` tries again with the very operator that it had resumed."""
    run, operator = TaskRun(), sms()
    for _ in range(2):
        refuse(sandbox)
    with pytest.raises(TaskDeferred):
        operator.execute(run.attempt())
    with pytest.raises(TaskDeferred):
        operator.resume(run.attempt(), DUE)
    assert operator.execute(run.attempt(2))["counts"]["accepted"] == 2
    assert sent(sandbox, "smspartner") == ALL


@pytest.mark.usefixtures("single")
def test_a_text_of_the_present_time_sends_nothing_again_after_a_wait(sandbox: Any, task: TaskRun) -> None:
    """Else the first batches would go out again at every resume, endlessly."""
    refuse(sandbox, skip=1)
    with pytest.raises(TaskDeferred):
        sms(message="12:00", send_again="12:00", on_unknown="resend").execute(task.attempt())
    with pytest.raises(ConfigurationError, match="has changed since"):
        sms(message="12:01", on_unknown="resend").resume(task.attempt(), DUE)
    with pytest.raises(ConfigurationError, match=r"^send_again: has changed while"):
        sms(message="12:00", send_again="12:01").resume(task.attempt(), DUE)
    assert sent(sandbox, "smspartner") == {ANNA: 1}
    sms(message="12:00", send_again="12:00").resume(task.attempt(), DUE)
    assert sent(sandbox, "smspartner") == ALL


# Doubts


@pytest.fixture
def unlisted(sandbox: Any, one_look_up: None, no_backoff: None) -> Any:
    """Lose the answer to the second send, and let the gateway say nothing about it until the faults are taken away."""
    fault(sandbox, "drop_after", method="POST", path="/send", skip=1)
    fault(sandbox, "500", path="status", times=None)
    return sandbox


@pytest.mark.usefixtures("single")
def test_a_young_doubt_is_waited_for_in_the_triggerer(unlisted: Any, clock: HookClock, task: TaskRun) -> None:
    began = time.time()
    with pytest.raises(TaskDeferred) as deferred:
        sms().execute(task.attempt())
    assert isinstance(deferred.value.trigger, WaitUntilTrigger)
    assert list(deferred.value.trigger.serialize()[1]) == ["until"]
    assert 29 < deferred.value.trigger.until - began < 60
    assert task.pushed["campaign"]["counts"]["in_doubt"] == 1
    clock.forward(minutes=3)
    with pytest.raises(TaskDeferred) as later:  # the older it is, the more seldom it is asked about
        sms().resume(task.attempt(), DUE)
    assert later.value.trigger.until - time.time() > 170
    unlisted.world.faults.clear()
    report = sms().resume(task.attempt(), DUE)
    assert (report["counts"]["accepted"], report["counts"]["in_doubt"]) == (2, 0)
    assert task.pushed["campaign"] == report
    assert sent(unlisted, "smspartner") == ALL


@pytest.mark.usefixtures("single", "one_look_up")
def test_a_doubt_that_grows_old_ends_the_wait(sandbox: Any, clock: HookClock, task: TaskRun) -> None:
    fault(sandbox, "drop_before", method="POST", path="/send", skip=1)
    with pytest.raises(TaskDeferred):
        sms().execute(task.attempt())
    clock.forward(minutes=16)
    with pytest.raises(SendOutcomeUnknownError, match="Airflow does not retry this error"):
        sms().resume(task.attempt(), DUE)
    assert sent(sandbox, "smspartner") == {ANNA: 1}
    assert task.pushed["campaign"]["counts"]["in_doubt"] == 1
