"""What tests of operators share: all that was logged, memories to choose from, batches of one, and the hooks' clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from airflow_provider_voicepartner.hooks.http import HttpSender
from tests.support.tasks import FakeStore, Logs, TaskRun

SET = "AIRFLOW__VOICEPARTNER__STORE_URL"


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Logs:
    """Return all that is logged or printed from here on."""
    return Logs(caplog, capfd)


@pytest.fixture(params=["both memories", "store alone", "task state alone"])
def task(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> TaskRun:
    """Return a task with each set of memories: of Airflow 3.3, of those before it, and without a store that lasts."""
    if request.param == "task state alone":
        monkeypatch.setenv(SET, "sqlite://")
    return TaskRun(None if request.param == "store alone" else FakeStore())


@pytest.fixture
def single(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send batches of one, and without asking what it costs first: each request to send is a batch."""
    from airflow_provider_voicepartner.operators import planning

    plan = planning.plan_campaign
    monkeypatch.setattr(
        planning, "plan_campaign", lambda *given, **named: plan(*given, **{**named, "batch_size": 1})
    )
    monkeypatch.setattr("airflow_provider_voicepartner.sending.pricing.Pricing._is_worth_it", False)


@pytest.fixture
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat requests at once."""
    monkeypatch.setattr("airflow_provider_voicepartner.hooks.http.RetryPolicy.wait_after", lambda *_: 0.0)


@dataclass
class HookClock:
    """The clock of all hooks, which a test puts forward."""

    ahead: timedelta = timedelta(0)

    def now(self) -> datetime:
        """Return the present."""
        return datetime.now(UTC) + self.ahead

    def forward(self, minutes: float) -> None:
        """Let time pass."""
        self.ahead += timedelta(minutes=minutes)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> HookClock:
    """Return the clock of all hooks."""
    made = HookClock()
    monkeypatch.setattr(
        "airflow_provider_voicepartner.hooks.connected.HttpSender", partial(HttpSender, now=made.now)
    )
    return made
