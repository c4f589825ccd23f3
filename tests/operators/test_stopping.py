"""A task that ends early takes all of its requests with it: what waits never leaves, and is not in doubt."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.sending.lanes import Lanes
from tests.support.gateways import fault, requests, sent
from tests.support.ledgers import phases
from tests.support.tasks import FakeStore, context

ANNA, BEN = "+33612345678", "+33612345679"
LONG = 40
"""Seconds that the gateway asks a request to wait. A test that really waits for them fails by the clock."""


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_voicepartner.sending import planning

    monkeypatch.setitem(planning.plan_campaign.__kwdefaults__, "batch_size", 1)
    # What was learnt from a 429 is tried elsewhere; here only the refused request itself is to wait.
    monkeypatch.setattr("airflow_provider_voicepartner.hooks.turnstile.StoreTurnstile.watch", lambda *_: None)
    # Nor does the campaign ask what it costs first: each request is a batch.
    monkeypatch.setattr("airflow_provider_voicepartner.sending.pricing.Pricing._is_worth_it", False)


def sms(**arguments: Any) -> SendSmsOperator:
    return SendSmsOperator(
        **{
            "task_id": "send", "to": [ANNA, BEN], "message": "Bonjour", "max_in_flight": 2,
            **arguments,
        }
    )  # fmt: skip


def wait_for_lanes() -> None:
    """Wait until no thread of a campaign is left that could still send."""
    for thread in threading.enumerate():
        if thread.name.startswith("voicepartner-lane"):
            thread.join(10)
            assert not thread.is_alive()


@pytest.mark.parametrize("error", [TimeoutError, KeyboardInterrupt, SystemExit])
def test_a_request_that_waits_when_the_time_is_over_does_not_leave_and_is_not_in_doubt(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    """A time-out is raised in the main thread, wherever that is, while a lane sits out a 429."""
    fault(sandbox, "429", retry_after=LONG, method="POST", path="/send")
    store, waits = FakeStore(), Lanes.wait
    arrived = requests(sandbox)

    def wait(lanes: Lanes, seconds: float) -> None:
        waits(lanes, seconds)
        if "sent" in phases(store).values():
            monkeypatch.setattr(Lanes, "wait", waits)
            raise error

    monkeypatch.setattr(Lanes, "wait", wait)
    began = time.monotonic()
    with pytest.raises(error):
        sms(to=[ANNA, BEN, "+33612345680"]).execute(context(store))
    assert time.monotonic() - began < LONG / 2
    counted = requests(sandbox)
    assert arrived < counted
    wait_for_lanes()
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
    wait_for_lanes()
    assert requests(sandbox) == counted
    assert len(sent(sandbox, "smspartner")) == 1


def test_a_task_that_goes_on_after_a_wait_is_not_stopped_by_the_sign_of_its_earlier_part(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``dag.test`` resumes with the very same operator."""
    from airflow.providers.common.compat.sdk import TaskDeferred

    fault(sandbox, "429", retry_after=LONG, method="POST", path="/send")
    store = FakeStore()
    operator = sms(deferrable=True)
    with pytest.raises(TaskDeferred):
        operator.execute(context(store))
    report = operator.resume(context(store), {"status": "due"})
    assert report["counts"]["accepted"] == 2
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1}
