"""An alert leaves while Airflow 3's supervisor answers nothing: it owes an answer to an earlier question."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voicepartner.notifications import event
from airflow_provider_voicepartner.notifications.sms import SmsNotifier
from tests.support.gateways import last_body, sent

pytestmark = pytest.mark.airflow3

ANNE = "+33612345601"


class Channel:
    """A channel to the supervisor, which takes one message after the other, and does not answer about tasks."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.lock = threading.Lock()

    def send(self, msg: Any) -> None:
        """Wait for the answer."""
        with self.lock:
            if msg == "which tasks failed?":
                self.ended.wait(60)


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Channel]:
    from airflow.sdk.execution_time import task_runner

    made = Channel()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", made, raising=False)
    yield made
    made.ended.set()


def test_an_alert_leaves_without_the_answer(
    sandbox: Any, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__PUBLIC_URL", "https://hooks.example.org")
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CALLBACK_SECRET", "a-planted-secret-of-32-characters")
    monkeypatch.setattr(event, "ALERT_QUESTION_TIMEOUT", 0.5)
    ti = SimpleNamespace(
        dag_id="sales", run_id="r1", task_id="load", state="failed",
        get_task_states=lambda **_: channel.send("which tasks failed?"),
    )  # fmt: skip
    SmsNotifier(to=ANNE)({"ti": ti, "run_id": "r1", "reason": "task_failure"})
    assert sent(sandbox, "smspartner") == {ANNE: 1}
    assert last_body(sandbox)["message"] == "Airflow: DAG sales failed in load, run r1"
