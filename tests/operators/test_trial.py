"""Whoever tries a DAG out is told that it really sends, before it does."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_voicepartner.hooks import dry_run
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from tests.support.tasks import FakeStore, Logs, context

ANNA = "+33612345678"
SAID = "really send"


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Logs:
    return Logs(caplog, capfd)


def tried_out(work: Any) -> Any:
    """Call as ``dag.test()`` does."""
    names: dict[str, Any] = {"__name__": "airflow.models.dag", "work": work}
    exec("def test():\n    return work()", names)
    return names["test"]()


def test_a_task_of_a_trial_knows_it_and_others_do_not() -> None:
    assert tried_out(dry_run.is_trial) is True
    assert dry_run.is_trial() is False


@pytest.mark.parametrize(
    ("is_real", "arguments", "warns"),
    [(True, {}, True), (True, {"dry_run": True}, False), (False, {}, False)],
    ids=["real", "dry run", "sandbox"],
)
def test_it_is_said_where_people_would_be_reached(
    sandbox: Any, logs: Logs, monkeypatch: pytest.MonkeyPatch, is_real: bool, arguments: Any, warns: bool
) -> None:
    if is_real:
        monkeypatch.setattr(dry_run, "is_loopback", lambda host: False)
    operator = SendSmsOperator(task_id="send", to=[ANNA], message="Bonjour", **arguments)
    tried_out(lambda: operator.execute(context(FakeStore())))
    assert (SAID in logs.text) is warns


def test_a_scheduled_task_is_not_warned(sandbox: Any, logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dry_run, "is_loopback", lambda host: False)
    SendSmsOperator(task_id="send", to=[ANNA], message="Bonjour").execute(context(FakeStore()))
    assert SAID not in logs.text
