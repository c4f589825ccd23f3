"""A deadline callback that told nobody fails, so that Airflow shows it; a task's or a DAG's callback never does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voicepartner.exceptions import NotSentError, SendOutcomeUnknownError
from airflow_provider_voicepartner.notifications.base import GatewayNotifier
from airflow_provider_voicepartner.notifications.sms import SmsNotifier
from airflow_provider_voicepartner.notifications.voice import TtsCallNotifier
from tests.conftest import KEYS, LOGIN
from tests.support.gateways import fault, requests, sent
from tests.support.servers import counting_server, never_answer
from tests.support.tasks import Logs

ANNE = "+33612345601"
SECRETS = (*KEYS.values(), LOGIN, ANNE[3:], "planted")
NOTIFIERS: Mapping[str, Any] = {"smspartner": SmsNotifier, "voicepartner": TtsCallNotifier}
PATHS = {name: f"{notifier.__module__}.{notifier.__qualname__}" for name, notifier in NOTIFIERS.items()}

TROUBLES: dict[str, tuple[dict[str, Any] | None, type[Exception], str]] = {
    "refused": ({"kind": "rejected"}, NotSentError, "nobody was told: "),
    "a lost answer": ({"kind": "drop_after"}, SendOutcomeUnknownError, "nobody knows whether anybody was told: "),
    "a page in place of an answer": (
        {"kind": "html"}, SendOutcomeUnknownError, "nobody knows whether anybody was told: ",
    ),
    "no connection of that name": (None, NotSentError, "nobody was told: "),
}  # fmt: skip


@pytest.fixture(autouse=True)
def contacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "contacts.json"
    path.write_text(json.dumps({"people": {"anne": {"phone": ANNE}}}), encoding="utf-8")
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CONTACTS", str(path))


def deadline() -> dict[str, Any]:
    """Return the context of a deadline callback."""
    return {
        "dag_run": {"dag_id": "sales", "run_id": "planted_run"},
        "deadline": {"id": "1", "deadline_time": "12:00"},
    }


def trouble(sandbox: Any, case: str) -> dict[str, Any]:
    """Make trouble; return the arguments of a notifier that meets it."""
    what = TROUBLES[case][0]
    if what is None:
        return {"to": "@anne", "conn_id": "missing_one"}
    if what["kind"] == "rejected":
        return {"to": "@anne", "sender": "x" * 30}
    fault(sandbox, **what)
    return {"to": "@anne"}


def tell(alert: GatewayNotifier, way: str, context: Any) -> None:
    """Send an alert in a process for callbacks, or in the triggerer."""
    if way == "sync":
        alert.notify(context)  # Airflow 2 lets no error out of a call of the notifier.
    else:
        asyncio.run(alert.async_notify(context))


@pytest.mark.parametrize("case", TROUBLES)
@pytest.mark.parametrize("gateway", NOTIFIERS)
@pytest.mark.parametrize("way", ["async", "sync"])
def test_it_raises_when_nobody_was_told_or_nobody_knows(
    sandbox: Any, logs: Logs, gateway: str, case: str, way: str
) -> None:
    alert = NOTIFIERS[gateway](**trouble(sandbox, case))
    _, kind, says = TROUBLES[case]
    with pytest.raises(kind, match=f"^{says}{type(alert).__name__} ") as caught:
        tell(alert, way, deadline())
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    for secret in SECRETS:
        assert secret not in f"{caught.value!r} {logs.text}"


@pytest.mark.parametrize("case", TROUBLES)
@pytest.mark.parametrize("gateway", NOTIFIERS)
@pytest.mark.parametrize("context", [{"dag_run": {"dag_id": "sales"}}, {"reason": "task_failure"}, {}])
def test_a_callback_of_a_task_or_a_dag_never_fails(
    sandbox: Any, logs: Logs, gateway: str, case: str, context: dict[str, Any]
) -> None:
    NOTIFIERS[gateway](**trouble(sandbox, case))(context)
    assert "whether the alert was sent" in logs.text or "the alert was not sent" in logs.text


@pytest.mark.parametrize("gateway", NOTIFIERS)
def test_it_raises_when_no_answer_comes_in_time(
    set_connection: Any, gateway: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GatewayNotifier, "total_seconds", 0.5)
    with counting_server(never_answer) as server:
        set_connection(gateway, host=server.url)
        with pytest.raises(SendOutcomeUnknownError, match="no answer within"):
            NOTIFIERS[gateway](to="@anne").notify(deadline())


@pytest.mark.parametrize("gateway", NOTIFIERS)
def test_an_end_of_the_thread_by_anything_is_no_success(
    sandbox: Any, gateway: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> Any:
        raise SystemExit

    monkeypatch.setattr(NOTIFIERS[gateway], "message_to_send", stop)
    with pytest.raises(NotSentError, match="the alert was not sent: SystemExit"):
        NOTIFIERS[gateway](to="@anne").notify(deadline())


@pytest.mark.airflow3
@pytest.mark.parametrize("gateway", NOTIFIERS)
class TestInAirflow:
    """Airflow's own code runs the callback and reads what became of it."""

    def state_of(self, gateway: str, kwargs: dict[str, Any]) -> tuple[str, str]:
        """Run an ``AsyncCallback`` as the triggerer does; return the row's state and output."""
        sdk = pytest.importorskip("airflow.sdk")
        models = pytest.importorskip("airflow.models.callback")
        callback = sdk.AsyncCallback(PATHS[gateway], kwargs=kwargs)
        row = models.Callback.create_from_sdk_def(callback, dag_id="sales")
        trigger = pytest.importorskip("airflow.triggers.callback").CallbackTrigger(
            callback.path, {**callback.kwargs, "context": deadline()}
        )

        async def events() -> list[Any]:
            return [event async for event in trigger.run()]

        for event in asyncio.run(events()):
            row.handle_event(event, SimpleNamespace(add=lambda _: None))
        return str(getattr(row.state, "value", row.state)), str(row.output)

    def test_a_triggerers_callback_succeeds_when_somebody_was_told(self, sandbox: Any, gateway: str) -> None:
        assert self.state_of(gateway, {"to": "@anne"})[0] == "success"
        assert sent(sandbox, gateway) == {ANNE: 1}

    @pytest.mark.parametrize("case", TROUBLES)
    def test_a_triggerers_callback_fails_when_nobody_was(
        self, sandbox: Any, logs: Logs, gateway: str, case: str
    ) -> None:
        state, output = self.state_of(gateway, trouble(sandbox, case))
        assert state == "failed"
        assert TROUBLES[case][2] in output
        for secret in SECRETS[:-1]:
            assert secret not in output + logs.text

    @pytest.mark.parametrize("case", [None, *TROUBLES])
    def test_an_executors_callback_tells_it_too(self, sandbox: Any, gateway: str, case: str | None) -> None:
        run = pytest.importorskip("airflow.sdk.execution_time.callback_supervisor").execute_callback
        log = pytest.importorskip("structlog").get_logger()
        kwargs = {"to": "@anne"} if case is None else trouble(sandbox, case)
        succeeded, says = run(PATHS[gateway], {**kwargs, "context": deadline()}, "dag.py", None, log)
        assert succeeded is (case is None)
        if case is not None:
            assert TROUBLES[case][2] in says
            for secret in SECRETS:
                assert secret not in says
        assert requests(sandbox) <= 1
