"""An alert by SMS: it goes out in plain words within seconds, or is logged as an error; a callback never suffers."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voicepartner.compat import DAG
from airflow_provider_voicepartner.exceptions import (
    ConfigurationError,
    SendOutcomeUnknownError,
    VoicePartnerProviderError,
)
from airflow_provider_voicepartner.gateways import smspartner
from airflow_provider_voicepartner.gateways.gsm import BASIC, EXTENSION, count_segments
from airflow_provider_voicepartner.gateways.model import Receipt, RefusedRecipient
from airflow_provider_voicepartner.gateways.validation import GatewayOptions
from airflow_provider_voicepartner.hooks import registry
from airflow_provider_voicepartner.hooks.alert import AlertRelease, SentAlert, left_out
from airflow_provider_voicepartner.notifications.base import GatewayNotifier
from airflow_provider_voicepartner.notifications.sms import SmsNotifier, send_sms_notification
from airflow_provider_voicepartner.recipients.lists import plan_recipients
from tests.conftest import KEYS, LOGIN
from tests.support.gateways import fault, last_body, outcome, requests, sent
from tests.support.servers import Behaviour, CountingServer, counting_server, never_answer
from tests.support.tasks import Logs

ANNA, BEN = "+33612345678", "+33612345679"
TEXT = "Texte planté: la charge échoue"


def failed(**more: Any) -> dict[str, Any]:
    """Return the context of a task that failed."""
    ti = SimpleNamespace(
        dag_id="sales", task_id="load", run_id="r1", try_number=2, map_index=-1, state="failed"
    )
    return {
        "ti": ti,
        "run_id": "r1",
        "dag": DAG("sales", schedule=None),
        "exception": ValueError("no rows"),
        **more,
    }


def notifier(**arguments: Any) -> SmsNotifier:
    return SmsNotifier(**{"to": ANNA, **arguments})


def said(sandbox: Any) -> str:
    # SMS Partner's spelling of a euro sign on the wire.
    return str(last_body(sandbox).get("message") or last_body(sandbox)["text"]).replace(":euro:", "€")


# What is said


def test_a_callback_tells_what_failed_without_a_word_from_the_user(sandbox: Any, logs: Logs) -> None:
    notifier()(failed())
    assert sent(sandbox, "smspartner") == {ANNA: 1}
    assert said(sandbox) == "Airflow: sales.load failed (try 2), run r1: ValueError: no rows"
    assert "accepted for 1 recipients" in logs.text


@pytest.mark.parametrize("conn_id", ["smspartner_default", "octopush_default"])
def test_the_default_text_costs_one_segment_of_plain_letters(sandbox: Any, conn_id: str) -> None:
    error = ValueError("l'œuvre « naïve » {coûte} 12 € – voilà 🚨 日本 " * 20)
    notifier(conn_id=conn_id)(failed(exception=error))
    text = said(sandbox)
    assert count_segments(text).segments == 1
    assert set(text) <= BASIC | EXTENSION
    assert "{" not in text
    assert text.endswith("...")


def test_the_default_text_may_be_longer_if_the_user_pays_for_it(sandbox: Any) -> None:
    notifier(max_segments=3)(failed(exception=ValueError("word " * 300)))
    assert count_segments(said(sandbox)).segments == 3


def test_a_text_of_ones_own_is_rendered(sandbox: Any) -> None:
    notifier(
        message="{{ ti.task_id }} died: {{ exception }}",
        to=["{{ params.number }}"],
        sender="{{ params.firm }}",
    )(failed(params={"number": BEN, "firm": "ACME"}))
    assert said(sandbox) == "load died: no rows"
    assert sent(sandbox, "smspartner") == {BEN: 1}
    assert last_body(sandbox)["sender"] == "ACME"


@pytest.mark.parametrize(("segments", "most"), [(1, 1), (2, 2), (None, 8)])
def test_a_text_of_ones_own_is_cut_so_that_every_gateway_takes_it(
    sandbox: Any, segments: Any, most: int
) -> None:
    for conn_id in ("smspartner_default", "octopush_default"):
        notifier(message="{{ exception }}", max_segments=segments, conn_id=conn_id)(
            failed(exception=ValueError("trace " * 2000))
        )
        assert count_segments(said(sandbox)).segments == most
    assert requests(sandbox) == 2


@pytest.mark.parametrize("conn_id", ["smspartner_default", "octopush_default"])
@pytest.mark.parametrize(
    "text", ["{param1} died", "{first_name}", "{}", "{", "}", '{"a": {"b": 1}}', "{{x}}", "{x"]
)
def test_braces_never_keep_an_alert_from_leaving(sandbox: Any, logs: Logs, conn_id: str, text: str) -> None:
    notifier(message="Down: {{ exception }}", conn_id=conn_id)(failed(exception=ValueError(text)))
    assert said(sandbox) == "Down: " + text.replace("{", "(").replace("}", ")")
    notifier(message="Down: {% raw %}" + text + "{% endraw %}", conn_id=conn_id)(failed())
    assert said(sandbox) == "Down: " + text.replace("{", "(").replace("}", ")")
    assert "was not sent" not in logs.text


def test_the_path_of_a_file_gives_way_to_the_default_text(sandbox: Any, logs: Logs, tmp_path: Path) -> None:
    path = tmp_path / "alert.txt"
    path.write_text("Bonjour")
    notifier(message=str(path))(failed())
    assert said(sandbox).startswith("Airflow: sales.load failed")
    assert "message: is the path of a file" in logs.text


def test_a_name_that_a_context_lacks_gives_way_to_the_default_text(sandbox: Any, logs: Logs) -> None:
    notifier(message=TEXT + " {{ ti.nothing.there }} " + BEN)(failed())
    assert said(sandbox).startswith("Airflow: sales.load failed")
    shown = logs.text
    assert "message cannot be rendered (UndefinedError)" in shown
    assert "planté" not in shown
    assert BEN[3:] not in shown


@pytest.mark.parametrize(
    "message", ["", "   ", "{{ '' }}", "{{ params.get('x', ' ') }}", "None", "{{ none }}"]
)
def test_a_text_that_renders_to_nothing_gives_way_to_the_default_text(sandbox: Any, message: str) -> None:
    notifier(message=message)(failed(params={}))
    assert said(sandbox).startswith("Airflow: sales.load failed")


def test_native_rendering_may_give_any_type(sandbox: Any) -> None:
    dag = DAG("sales", schedule=None, render_template_as_native_obj=True)
    notifier(message="{{ 40 + 2 }}", to="{{ params.people }}")(
        failed(dag=dag, params={"people": [ANNA, BEN]})
    )
    assert said(sandbox) == "42"
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1}


@pytest.mark.parametrize(
    "to", [ANNA, [ANNA], "{{ params.one }}", "{{ [params.one] }}", ["{{ params.one }}"], f"{ANNA}, {ANNA}"]
)
def test_native_rendering_leaves_numbers_and_texts_as_they_are_written(sandbox: Any, to: Any) -> None:
    dag = DAG("sales", schedule=None, render_template_as_native_obj=True)
    notifier(message="12.50", to=to, sender="{{ 36173 }}")(failed(dag=dag, params={"one": ANNA}))
    assert said(sandbox) == "12.50"
    assert last_body(sandbox)["sender"] == "36173"
    assert sent(sandbox, "smspartner") == {ANNA: 1}


def test_one_notifier_serves_many_callbacks_each_with_its_own_words(sandbox: Any) -> None:
    """As in ``default_args``, or in a Dag processor that runs several callbacks of one file."""
    shared = notifier(message="{{ exception }} of {{ ti.nothing.x if broken else ti.task_id }}")
    said_in_turn = []
    for error, broken in (("one", False), ("two", True), ("three", False)):
        ti = SimpleNamespace(dag_id=error, task_id="load", run_id="r1", try_number=2, map_index=-1)
        shared(failed(ti=ti, dag=DAG(error, schedule=None), exception=ValueError(error), broken=broken))
        said_in_turn.append(said(sandbox))
    assert said_in_turn == [
        "one of load", "Airflow: two.load failed (try 2), run r1: ValueError: two", "three of load",
    ]  # fmt: skip


def test_a_function_in_place_of_a_template_works_as_elsewhere_in_airflow(sandbox: Any) -> None:
    notifier(to=lambda context, jinja_env: context["params"]["on_call"])(failed(params={"on_call": BEN}))
    assert sent(sandbox, "smspartner") == {BEN: 1}


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"dag_run": {"dag_id": "sales"}, "deadline": {"id": "1"}},
        {"reason": "timed_out", "run_id": "r1"},
        {"dag": None},
        {"dag": "sales"},
        {"dag": {"dag_id": "sales"}},
        {"dag": object()},
        {"dag": SimpleNamespace(dag_id="sales", get_template_env=None)},
        {"dag": SimpleNamespace(dag_id="sales", render_template_as_native_obj=True)},
        None,
        "timed out",
        MappingProxyType({"run_id": "r1"}),
    ],
)
def test_contexts_without_a_usable_dag_lose_nothing(sandbox: Any, logs: Logs, context: Any) -> None:
    notifier(message="Alarm {{ 1 + 1 }}", to=["{{ '06123456' }}78"], sender="{{ 'AC' }}ME")(context)
    assert said(sandbox) == "Alarm 2"
    assert last_body(sandbox)["sender"] == "ACME"
    assert sent(sandbox, "smspartner") == {ANNA: 1}
    assert "cannot be rendered" not in logs.text


@pytest.mark.parametrize("conn_id", ["smspartner_default", "octopush_default"])
def test_braces_of_an_errors_text_are_no_placeholders(sandbox: Any, conn_id: str) -> None:
    notifier(message="{{ exception }}", conn_id=conn_id)(failed(exception=ValueError("{param1}: {'a': {}}")))
    assert said(sandbox) == "(param1): ('a': ())"


def test_a_text_in_a_wrong_encoding_gives_way_to_the_default_text(sandbox: Any, logs: Logs) -> None:
    notifier(message="12 \x80")(failed())
    assert said(sandbox).startswith("Airflow")
    assert "holds a control character" in logs.text


# Whom it reaches


def test_those_who_can_be_reached_are_told_even_if_others_cannot(sandbox: Any, logs: Logs) -> None:
    notifier(to=[ANNA, "+33198765432", "nobody"])(failed())
    assert sent(sandbox, "smspartner") == {ANNA: 1}
    shown = logs.text
    assert "2 recipients are invalid and were skipped: to[2]: '+331••••••32' " in shown
    assert "to[3]: '••••••' " in shown
    assert "98765432" not in shown


def test_those_whom_the_gateway_refuses_are_named_too() -> None:
    refused = (
        RefusedRecipient(phone_number=BEN, code="14", reason="said STOP"),
        RefusedRecipient(phone_number=""),
    )
    receipt = Receipt(gateway_id="1", accepted=1, refused=refused)
    (line,) = left_out(SentAlert([(receipt, [ANNA])], plan_recipients([ANNA, BEN], line="mobile")))
    assert line == "the gateway refused 2 recipients: +336••••••79 said STOP. a recipient"


@pytest.mark.parametrize("seconds", [20.0, 1.0])
def test_an_alert_that_has_little_time_waits_for_its_requests_all_the_same(seconds: float) -> None:
    assert 0.5 * seconds < AlertRelease(seconds).seconds_left < seconds


@pytest.mark.parametrize(
    "to", [["+33198765432"], "nobody", [], "", None, "{{ ti.nothing.x }}", {1, 2}], ids=repr
)
def test_when_nobody_can_be_told_it_is_an_error_in_the_log_only(sandbox: Any, logs: Logs, to: Any) -> None:
    notifier(to=to)(failed())
    assert requests(sandbox) == 0
    shown = logs.text
    assert "the alert was not sent: to: " in shown
    assert "98765432" not in shown


# What goes wrong


NOT_SENT, OUTCOME_UNKNOWN = "the alert was not sent: ", "it is unknown whether the alert was sent: "

TROUBLES: dict[str, tuple[dict[str, Any], dict[str, Any] | None, str]] = {
    # the notifier's arguments, what the gateway does, and the end of the line
    "no connection of that name": ({"conn_id": "missing_one"}, None, "missing_one"),
    "a wrong type": ({"conn_id": "voicepartner_default"}, None, "SmsNotifier sends SMS"),
    "a bad sender": ({"sender": "ABCDEFGHIJKL"}, None, "sender: has 12 characters"),
    "another gateway's setting": ({"options": {"with_replies": True}}, None, "options['with_replies']"),
    "settings that are no dict": ({"options": ["x"]}, None, "options: is not a dict"),
    "a refusal": ({}, {"kind": "500"}, "HTTP 500"),
    "a lost answer": ({}, {"kind": "drop_after"}, "may have accepted it"),
    "a long rate limit": ({}, {"kind": "429", "retry_after": 600}, "rate limit"),
}


@pytest.mark.parametrize("case", TROUBLES)
@pytest.mark.parametrize("way", ["callback", "async"])
def test_an_alert_that_cannot_be_sent_is_an_error_in_the_log_and_raised_only_in_the_triggerer(
    sandbox: Any, logs: Logs, case: str, way: str
) -> None:
    arguments, trouble, says = TROUBLES[case]
    if trouble:
        fault(sandbox, **trouble)
    alert = notifier(message=TEXT, **arguments)
    if way == "callback":
        alert(failed())
    else:
        with pytest.raises(VoicePartnerProviderError, match=re.escape(says)):
            asyncio.run(alert.async_notify(failed()))
    shown = logs.text
    lines = [line for line in shown.splitlines() if NOT_SENT in line or OUTCOME_UNKNOWN in line]
    expected = OUTCOME_UNKNOWN if case in ("a refusal", "a lost answer") else NOT_SENT
    assert lines
    assert all(expected in line and says in line for line in lines), lines
    assert max(sent(sandbox, "smspartner").values(), default=1) == 1
    for secret in (*KEYS.values(), LOGIN, ANNA[3:], "planté"):
        assert secret not in shown


def drip(server: CountingServer, connection: socket.socket) -> None:
    """Answer with a byte now and then, so that no wait between two bytes is long."""
    server.read(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not server.release.wait(0.05):
        connection.sendall(b"{")


@pytest.mark.parametrize("behave", [never_answer, drip], ids=["silence", "drip"])
@pytest.mark.parametrize("way", ["callback", "async"])
def test_a_gateway_that_does_not_come_to_an_end_does_not_hold_up_the_callback(
    set_connection: Any, logs: Logs, monkeypatch: pytest.MonkeyPatch, behave: Behaviour, way: str
) -> None:
    monkeypatch.setattr(GatewayNotifier, "total_seconds", 0.5)
    with counting_server(behave) as server:
        set_connection("smspartner", host=server.url)
        begun = time.monotonic()
        if way == "callback":
            notifier(message=TEXT)(failed())
        else:
            with pytest.raises(SendOutcomeUnknownError, match="no answer within"):
                asyncio.run(notifier(message=TEXT).async_notify(failed()))
        assert time.monotonic() - begun < 5  # the limit is half a second; a busy machine may add to it
        assert len(server.received) == 1
    shown = logs.text
    assert "it is unknown whether the alert was sent: no answer within 0.5 s" in shown
    for secret in (KEYS["smspartner"], ANNA[3:], "planté"):
        assert secret not in shown


def test_an_alert_that_is_given_up_before_it_leaves_never_does(
    sandbox: Any, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow look-up of the connection must not send an alert that the log says was not sent."""
    go_on, went_on = threading.Event(), threading.Event()

    def slow(self: SmsNotifier, context: Any) -> Any:
        go_on.wait(10)
        went_on.set()
        return build(self, context)

    build = SmsNotifier.message_to_send
    monkeypatch.setattr(SmsNotifier, "message_to_send", slow)
    monkeypatch.setattr(GatewayNotifier, "total_seconds", 0.2)
    notifier(message="late")(failed())
    assert "the alert was not sent: no answer within 0.2 s" in logs.text
    go_on.set()
    assert went_on.wait(10)
    for thread in [one for one in threading.enumerate() if one.name == "SmsNotifier"]:
        thread.join(10)
    assert requests(sandbox) == 0


def test_the_limit_is_20_seconds() -> None:
    assert SmsNotifier.total_seconds == 20


def test_a_successful_alert_leaves_no_secret_in_the_log(sandbox: Any, logs: Logs) -> None:
    outcome(sandbox, BEN, "opted_out")
    for conn_id in ("smspartner_default", "octopush_default"):
        notifier(message=TEXT, to=[ANNA, BEN], conn_id=conn_id)(failed())
    shown = logs.text
    assert shown.count("SmsNotifier: accepted for") >= 2
    for secret in (*KEYS.values(), LOGIN, ANNA[3:], BEN[3:], "planté"):
        assert secret not in shown


# In the triggerer


def test_async_notify_sends_and_never_blocks_the_event_loop(set_connection: Any) -> None:
    """The gateway answers only after the loop has ticked on since it was asked: a blocked loop never gets there."""
    asked, ticked = threading.Event(), threading.Event()
    kept_ticking: list[bool] = []

    def wait_for_ticks(server: CountingServer, connection: socket.socket) -> None:
        server.read(connection)
        asked.set()
        kept_ticking.append(ticked.wait(3))
        body = json.dumps({"success": True, "code": 200, "message_id": 8_000_001, "nb_sms": 1, "cost": 0.045})
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

    async def scenario() -> None:
        async def tick() -> None:
            while not asked.is_set():
                await asyncio.sleep(0.001)
            for _ in range(50):
                await asyncio.sleep(0)
            ticked.set()

        ticking = asyncio.ensure_future(tick())
        await notifier(message="Alarm").async_notify(failed())
        await ticking

    with counting_server(wait_for_ticks) as server:
        set_connection("smspartner", host=server.url)
        asyncio.run(scenario())
        assert kept_ticking == [True]
        assert b"Alarm" in server.received[0]


def test_async_notify_tells_by_default_what_failed(sandbox: Any) -> None:
    asyncio.run(notifier().async_notify(failed()))
    assert said(sandbox).startswith("Airflow: sales.load failed")


@pytest.mark.airflow3
def test_a_deadline_alert_awaits_the_notifier_itself(sandbox: Any) -> None:

    async def alert(dag_id: str, **arguments: Any) -> None:
        context = {
            "dag_run": {"dag_id": dag_id, "run_id": "r1"},
            "deadline": {"id": "1", "deadline_time": "12:00"},
        }
        await SmsNotifier(to=ANNA, context=context, **arguments)

    asyncio.run(alert("stock", message="{{ dag_run.dag_id }} is late"))
    assert said(sandbox) == "stock is late"
    asyncio.run(alert("sales"))
    assert said(sandbox) == "Airflow: sales missed its deadline of 12:00, run r1"


# Names


def test_the_alias_is_the_class() -> None:
    assert send_sms_notification is SmsNotifier


@pytest.mark.parametrize("segments", [0, -1, "2", 1.5, True])
def test_a_limit_that_leaves_nothing_is_refused_when_the_dag_is_read(segments: Any) -> None:
    with pytest.raises(ValueError, match=r"max_segments: is .*; give a whole number from 1"):
        SmsNotifier(to=ANNA, max_segments=segments)


@pytest.mark.parametrize("arguments", [{"mesage": "x"}, {"option": {}}, {"dag": 1}], ids=repr)
def test_a_misspelt_argument_fails_when_the_dag_is_read(arguments: dict[str, Any]) -> None:
    name = next(iter(arguments))
    with pytest.raises(TypeError, match=f"^SmsNotifier has no argument '{name}'"):
        SmsNotifier(to=ANNA, **arguments)
    with pytest.raises(TypeError, match=f"^SmsNotifier has no argument '{name}'"):
        SmsNotifier.checked(to=ANNA, **arguments)


def test_an_error_about_an_argument_says_which_was_meant() -> None:
    with pytest.raises(TypeError, match="did you mean 'message'"):
        SmsNotifier(to=ANNA, mesage="x")


def test_a_setting_that_no_gateway_has_fails_when_the_dag_is_read() -> None:
    for make in (SmsNotifier, SmsNotifier.checked):
        with pytest.raises(
            ConfigurationError, match=r"^options\['gama'\]: .* did you mean 'gamme'\?.*with_replies"
        ):
            make(to=ANNA, options={"gama": "Premium"})
    fine: Any
    for fine in (None, {}, {"gamme": 1}, {"with_replies": True}, "{{ params.options }}", {"{{ x }}": 1}):
        SmsNotifier(to=ANNA, options=fine)


def test_a_gateway_outside_that_cannot_be_used_breaks_no_dag_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A DAG file that uses a setting of a gateway outside is read although another one of them cannot be imported."""
    info = replace(smspartner.INFO, name="good", options={"sms": f"{__name__}.GoodOptions"})
    good = SimpleNamespace(gateway=SimpleNamespace(INFO=info))
    monkeypatch.setattr(registry, "_outside", lambda: {"broken": "no_such_module.Hook", "good": "good.Hook"})
    hook_at = registry._hook_at
    monkeypatch.setattr(
        registry, "_hook_at", lambda path, name: good if name == "good" else hook_at(path, name)
    )
    SmsNotifier(to=ANNA, options={"flash": True})
    with pytest.raises(ConfigurationError, match="did you mean 'flash'"):
        SmsNotifier(to=ANNA, options={"flahs": True})


class GoodOptions(GatewayOptions):
    """The settings of a gateway outside."""

    flash: bool = False


@pytest.mark.airflow3
def test_a_deadline_alert_can_be_checked_when_the_dag_is_read(sandbox: Any) -> None:
    sdk = pytest.importorskip("airflow.sdk")
    kwargs = SmsNotifier.checked(to=ANNA, message="{{ dag_run.dag_id }} is late")
    callback = sdk.AsyncCallback(SmsNotifier, kwargs=kwargs)
    assert callback.kwargs == {"to": ANNA, "message": "{{ dag_run.dag_id }} is late"}
