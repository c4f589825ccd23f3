"""Fallbacks: tried in order until somebody is told, for a bounded time, and when in doubt said to be a repeat."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voicepartner.exceptions import (
    ConfigurationError,
    NotSentError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.gateways.gsm import count_segments
from airflow_provider_voicepartner.notifications.base import GatewayNotifier
from airflow_provider_voicepartner.notifications.sms import SmsNotifier
from airflow_provider_voicepartner.notifications.voice import TtsCallNotifier
from tests.conftest import KEYS, LOGIN
from tests.support.gateways import fault, last_body, requests, sent
from tests.support.servers import counting_server, never_answer
from tests.support.tasks import Logs

ANNE, BRUNO = "+33612345601", "+33612345602"
NOTIFIERS: dict[str, type[GatewayNotifier]] = {"sms": SmsNotifier, "call": TtsCallNotifier}
GATEWAY = {"sms": "smspartner", "call": "voicepartner"}
OTHER = {"sms": "voicepartner", "call": "smspartner"}

REFUSED, DOUBT = "refused", "in doubt"
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any] | None]] = {
    # what the first one proves, its arguments, what its gateway does
    "no connection of that name": (REFUSED, {"conn_id": "missing_one"}, None),
    "refused": (REFUSED, {"options": "no dict"}, None),
    "nobody can be told": (REFUSED, {"to": "nobody"}, None),
    "a long rate limit": (REFUSED, {}, {"kind": "429", "retry_after": 600}),
    "a lost answer": (DOUBT, {}, {"kind": "drop_after"}),
    "HTTP 500": (DOUBT, {}, {"kind": "500"}),
    "a page in place of an answer": (DOUBT, {}, {"kind": "html"}),
}


def failed(**more: Any) -> dict[str, Any]:
    ti = SimpleNamespace(
        dag_id="sales", task_id="load", run_id="r1", try_number=2, map_index=-1, state="failed"
    )
    return {"ti": ti, "run_id": "r1", "exception": ValueError("no rows"), **more}


def call(alert: GatewayNotifier, context: Any) -> None:
    """Do as ``alert(context)``, which Airflow 2 never lets raise."""
    alert.render_template_fields(context)
    alert.notify(context)


def in_triggerer(alert: GatewayNotifier, context: Any) -> None:
    """Await it, as the triggerer does."""
    alert.render_template_fields(context)
    asyncio.run(alert.async_notify(context))


WAYS = pytest.mark.parametrize("tell", [call, in_triggerer])
KINDS = pytest.mark.parametrize("kind", NOTIFIERS)
Tell = Callable[[GatewayNotifier, Any], None]


def other_kind(kind: str, **arguments: Any) -> GatewayNotifier:
    """Return a notifier of the other kind, to somebody else."""
    text = {"sms": "text", "call": "message"}[kind]
    notifier = TtsCallNotifier if kind == "sms" else SmsNotifier
    return notifier(**{"to": BRUNO, text: "Down: {{ ti.task_id }}", **arguments})


def said(sandbox: Any) -> str:
    body = last_body(sandbox)
    return str(body.get("message") or body["text"])


@pytest.mark.sampled(10)
@WAYS
@KINDS
@pytest.mark.parametrize("case", CASES)
def test_another_one_tells_it_when_the_first_reached_nobody(
    sandbox: Any, logs: Logs, kind: str, case: str, tell: Tell
) -> None:
    proves, arguments, trouble = CASES[case]
    if trouble:
        fault(sandbox, **trouble, gateway=GATEWAY[kind])
    alert = NOTIFIERS[kind](**{"to": ANNE, "fallback": [other_kind(kind)], **arguments})
    tell(alert, failed())
    assert sent(sandbox, OTHER[kind]) == {BRUNO: 1}
    assert said(sandbox).endswith("Down: load")
    assert ("repeat" in said(sandbox) or "répétition" in said(sandbox)) is (proves == DOUBT)
    shown = logs.text
    assert "fallback 1 of 1 is tried: " in shown
    assert f"through {OTHER[kind]}_default: +336••••••02" in shown
    for secret in (*KEYS.values(), LOGIN, ANNE[3:], BRUNO[3:], "Down"):
        assert secret not in shown


@WAYS
@KINDS
def test_nobody_else_is_told_when_the_first_reached_somebody(sandbox: Any, kind: str, tell: Tell) -> None:
    tell(NOTIFIERS[kind](to=[ANNE, "nobody"], fallback=[other_kind(kind)]), failed())
    assert sent(sandbox, GATEWAY[kind]) == {ANNE: 1}
    assert requests(sandbox) == 1


@WAYS
@KINDS
def test_they_are_tried_in_order_and_no_further(sandbox: Any, kind: str, tell: Tell) -> None:
    fallback = [
        other_kind(kind, to="nobody"),
        NOTIFIERS[kind](to=BRUNO, conn_id="octopush_default"),
        other_kind(kind),
    ]
    tell(NOTIFIERS[kind](to=ANNE, conn_id="missing_one", fallback=fallback), failed())
    assert sent(sandbox, "octopush") == {BRUNO: 1}
    assert requests(sandbox) == 1


@WAYS
@KINDS
def test_a_doubt_is_said_also_after_a_refusal(sandbox: Any, kind: str, tell: Tell) -> None:
    fault(sandbox, "drop_after", gateway=GATEWAY[kind])
    tell(NOTIFIERS[kind](to=ANNE, fallback=[other_kind(kind, to="x"), other_kind(kind)]), failed())
    assert said(sandbox).startswith(("Possible repeat: ", "Ce message est peut-être une répétition. "))


@WAYS
@KINDS
@pytest.mark.parametrize("is_deadline", [True, False])
@pytest.mark.parametrize("in_doubt", [True, False])
def test_a_deadline_alert_fails_when_all_have_failed(
    sandbox: Any, logs: Logs, kind: str, tell: Tell, is_deadline: bool, in_doubt: bool
) -> None:
    arguments = {} if in_doubt else {"conn_id": "missing_one"}
    if in_doubt:
        fault(sandbox, "drop_after", gateway=GATEWAY[kind])
    alert = NOTIFIERS[kind](to=ANNE, fallback=[other_kind(kind, to="nobody")], **arguments)
    context = failed(**({"deadline": {"id": "1"}} if is_deadline else {}))
    if not is_deadline and tell is call:
        tell(alert, context)
        return
    with pytest.raises(SendOutcomeUnknownError if in_doubt else NotSentError) as caught:
        tell(alert, context)
    for one in (alert, alert.fallback[0]):
        assert f"{type(one).__name__} (connection " in str(caught.value)
    assert ANNE[3:] not in str(caught.value)


@WAYS
@KINDS
def test_a_gateway_that_never_answers_takes_its_own_time_only(
    sandbox: Any, set_connection: Any, monkeypatch: pytest.MonkeyPatch, kind: str, tell: Tell
) -> None:
    alert = NOTIFIERS[kind](to=ANNE, fallback=[other_kind(kind)])
    monkeypatch.setattr(alert, "total_seconds", 0.5)
    with counting_server(never_answer) as server:
        set_connection(GATEWAY[kind], host=server.url)
        begun = time.monotonic()
        tell(alert, failed())
        assert time.monotonic() - begun < 8
        assert len(server.received) == 1
    assert sent(sandbox, OTHER[kind]) == {BRUNO: 1}
    assert "repeat" in said(sandbox) or "répétition" in said(sandbox)


@KINDS
def test_one_that_is_shared_says_repeat_only_when_it_may_be_one(sandbox: Any, kind: str) -> None:
    shared = other_kind(kind)
    alert = NOTIFIERS[kind](to=ANNE, fallback=[shared])
    fault(sandbox, "drop_after", gateway=GATEWAY[kind])
    alert(failed())
    assert said(sandbox) != "Down: load"
    shared(failed())
    assert said(sandbox) == "Down: load"


@pytest.mark.parametrize(("language", "begins"), [("fr", "Doublon possible : "), ("en", "Possible repeat: ")])
def test_the_sentence_is_in_the_language_of_the_people_and_costs_no_second_segment(
    sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str, begins: str
) -> None:
    path = tmp_path / "contacts.json"
    path.write_text(json.dumps({"people": {"anne": {"phone": ANNE, "language": language}}}))
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CONTACTS", str(path))
    fault(sandbox, "drop_after")
    fallback = [SmsNotifier(to="@anne", conn_id="octopush_default")]
    SmsNotifier(to="@anne", fallback=fallback)(failed(exception=ValueError("word " * 100)))
    assert said(sandbox).startswith(begins)
    assert count_segments(said(sandbox)).segments == 1


class TestWhatIsRefusedWhenTheDagIsParsed:
    @pytest.mark.parametrize(
        ("fallback", "says"),
        [
            ([SmsNotifier(to=ANNE, fallback=[SmsNotifier(to=BRUNO)])], "has a fallback of its own"),
            ([print], r"is builtin_function_or_method, which cannot be a fallback"),
            ([SmsNotifier(to=ANNE), None], r"fallback\[2\]: is NoneType"),
            ([SmsNotifier], "is type"),
            (SmsNotifier(to=ANNE), "fallback: is not a list"),
            (None, "fallback: is not a list"),
            ([{"to": ANNE}], "is dict"),
            ([{"notifier": "os.path.join", "to": ANNE}], "names no notifier of this provider"),
            ([{"notifier": "no.such.Notifier", "to": ANNE}], "names no notifier of this provider"),
            (
                [{"notifier": f"{SmsNotifier.__module__}.SmsNotifier", "to": ANNE, "mesage": "x"}],
                r"fallback\[1\]: SmsNotifier has no argument 'mesage'; did you mean 'message'",
            ),
        ],
    )
    @KINDS
    def test_it_names_the_place_and_the_fix(self, kind: str, fallback: Any, says: str) -> None:
        for make in (NOTIFIERS[kind], NOTIFIERS[kind].checked):
            with pytest.raises(ConfigurationError, match=says):
                make(to=ANNE, fallback=fallback)

    @pytest.mark.airflow3
    @KINDS
    def test_when_the_alert_is_due_the_others_are_used(self, sandbox: Any, logs: Logs, kind: str) -> None:
        pytest.importorskip("airflow.sdk")
        alert = NOTIFIERS[kind](
            to="nobody", fallback=[None, other_kind(kind)], context={"deadline": {}, "ti": failed()["ti"]}
        )
        assert "fallback[1]: is NoneType" in logs.text
        alert(alert.context)
        assert sent(sandbox, OTHER[kind]) == {BRUNO: 1}


@KINDS
def test_a_deadline_alert_stores_notifiers_as_json(sandbox: Any, kind: str) -> None:
    """Airflow keeps the arguments of a deadline callback in its database."""
    kwargs = NOTIFIERS[kind].checked(to=ANNE, conn_id="missing_one", fallback=[other_kind(kind)])
    alert = NOTIFIERS[kind](**json.loads(json.dumps(kwargs)))
    assert NOTIFIERS[kind].checked(**kwargs) == kwargs
    alert(failed())
    assert sent(sandbox, OTHER[kind]) == {BRUNO: 1}
    assert said(sandbox) == "Down: load"


@pytest.mark.airflow3
@KINDS
def test_the_triggerer_runs_what_airflow_stored(sandbox: Any, kind: str) -> None:
    sdk = pytest.importorskip("airflow.sdk")
    encoders = pytest.importorskip("airflow.serialization.encoders")
    decoders = pytest.importorskip("airflow.serialization.decoders")
    kwargs = NOTIFIERS[kind].checked(
        to=ANNE, conn_id="missing_one", fallback=[other_kind(kind, to="{{ '+33612' }}345602")]
    )
    alert = sdk.DeadlineAlert(
        reference=sdk.DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(hours=1),
        callback=sdk.AsyncCallback(NOTIFIERS[kind], kwargs=kwargs),
    )
    stored = json.loads(json.dumps(encoders.encode_deadline_alert(alert)))
    callback = decoders.decode_deadline_alert(stored).callback
    trigger = pytest.importorskip("airflow.triggers.callback").CallbackTrigger(
        callback.path, {**callback.kwargs, "context": {"deadline": {}, "ti": failed()["ti"], "dag_run": {}}}
    )

    async def events() -> list[Any]:
        return [event async for event in trigger.run()]

    assert asyncio.run(events())[-1].payload["state"] == "success"
    assert sent(sandbox, OTHER[kind]) == {BRUNO: 1}
