"""An alert is sent once, others are counted, and one is sent all the same where no store can say so."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voicepartner.compat import DAG
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.gsm import count_segments
from airflow_provider_voicepartner.hooks import incidents as asking
from airflow_provider_voicepartner.hooks.incidents import incident_store
from airflow_provider_voicepartner.incidents.model import AtMost, Outcome, Told
from airflow_provider_voicepartner.notifications.base import GatewayNotifier
from airflow_provider_voicepartner.notifications.grouping import DEFAULT_AT_MOST
from airflow_provider_voicepartner.notifications.message import with_more
from airflow_provider_voicepartner.notifications.sms import SmsNotifier
from airflow_provider_voicepartner.notifications.voice import TtsCallNotifier
from tests.support.gateways import fault, last_body, requests, sent
from tests.support.tasks import Logs

ANNA, BEN = "+33612345678", "+33612345679"


def failed(index: int = 0, *, dag_id: str = "sales", run_id: str = "r1", **more: Any) -> dict[str, Any]:
    """Return the context of a mapped instance that failed."""
    ti = SimpleNamespace(
        dag_id=dag_id, task_id="load", run_id=run_id, try_number=1, map_index=index, state="failed"
    )
    return {
        "ti": ti,
        "run_id": run_id,
        "dag": DAG(dag_id, schedule=None),
        "exception": ValueError("no rows"),
        **more,
    }


def dag_failed(**more: Any) -> dict[str, Any]:
    """Return the context of a DAG that failed."""
    return {
        "dag": DAG("sales", schedule=None),
        "run_id": "r1",
        "reason": "task_failure",
        "dag_run": SimpleNamespace(dag_id="sales", run_id="r1", state="failed", start_date=None),
        **more,
    }


@pytest.fixture
def no_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Put a folder where the store's file would be."""
    (tmp_path / "dead.db").mkdir()
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_URL", f"sqlite:///{tmp_path / 'dead.db'}")


@pytest.fixture
def contacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name Anne, who speaks French."""
    people = {"people": {"anne": {"phone": ANNA, "language": "fr"}}}
    (tmp_path / "contacts.json").write_text(json.dumps(people), encoding="utf-8")
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CONTACTS", str(tmp_path / "contacts.json"))


def said(sandbox: Any) -> str:
    return str(last_body(sandbox).get("message") or last_body(sandbox)["text"])


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let the store's clock go forward."""
    store = incident_store()._store
    now = store._clock or (lambda: 0.0)
    monkeypatch.setattr(store, "_clock", lambda: now() + seconds)


# Which alerts are sent


def test_of_many_failures_one_is_told_and_the_next_message_says_how_many_there_were(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    alert = SmsNotifier(to=ANNA)
    for index in range(4):
        alert(failed(index))
    assert sent(sandbox, "smspartner") == {ANNA: 1}
    assert "nobody is told now, it is counted: at most 1/15m (incident 1)" in logs.text
    later(monkeypatch, 901)
    alert(failed(4))
    assert said(sandbox) == "Airflow: sales.load[4] failed and 3 more, run r1: ValueError: no rows"
    assert sent(sandbox, "smspartner") == {ANNA: 2}


def test_a_callback_that_airflow_calls_twice_tells_once(sandbox: Any) -> None:
    for _ in range(2):
        SmsNotifier(to=ANNA, at_most=None)(failed())
    assert sent(sandbox, "smspartner") == {ANNA: 1}


def test_none_tells_of_every_failure(sandbox: Any) -> None:
    for index in range(3):
        SmsNotifier(to=ANNA, at_most=None)(failed(index))
    assert sent(sandbox, "smspartner") == {ANNA: 3}


def test_two_notifiers_of_one_failure_both_tell(sandbox: Any) -> None:
    for one in (SmsNotifier(to=ANNA), SmsNotifier(to=BEN), SmsNotifier(to=ANNA, conn_id="octopush_default")):
        one(failed())
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1}
    assert sent(sandbox, "octopush") == {ANNA: 1}
    assert len(incident_store().find()) == 1


def test_the_final_failure_is_told_though_a_retry_was(sandbox: Any) -> None:
    ti = failed()["ti"]
    SmsNotifier(to=ANNA)(failed(ti=SimpleNamespace(**{**vars(ti), "state": "up_for_retry"})))
    SmsNotifier(to=ANNA)(failed())
    assert sent(sandbox, "smspartner") == {ANNA: 2}


def test_a_dedup_key_is_rendered_and_joins_what_has_the_same(sandbox: Any) -> None:
    for dag_id in ("sales", "stock"):
        SmsNotifier(to=ANNA, dedup_key="warehouse {{ run_id }}")(failed(dag_id=dag_id))
    assert sent(sandbox, "smspartner") == {ANNA: 1}
    assert [one.key for one in incident_store().find()] == ["warehouse r1"]


def test_a_dedup_key_that_cannot_be_rendered_is_none(sandbox: Any, logs: Logs) -> None:
    SmsNotifier(to=ANNA, dedup_key="{{ nothing.at.all }}")(failed())
    assert [one.key for one in incident_store().find()] == ["failure dag_id=sales task_id=load"]
    assert "dedup_key cannot be rendered" in logs.text


def test_group_by_tells_runs_apart(sandbox: Any) -> None:
    for run_id in ("r1", "r2"):
        SmsNotifier(to=ANNA, group_by=["dag_id", "run_id"])(failed(run_id=run_id))
    assert sent(sandbox, "smspartner") == {ANNA: 2}


def test_the_failure_of_a_dag_silences_its_tasks(sandbox: Any, logs: Logs) -> None:
    SmsNotifier(to=ANNA)(dag_failed())
    SmsNotifier(to=ANNA)(failed())
    assert sent(sandbox, "smspartner") == {ANNA: 1}
    assert "it is inhibited: the DAG's failure (incident 1)" in logs.text


def test_successes_questions_and_contexts_that_say_nothing_are_never_held_back(sandbox: Any) -> None:
    from tests.notifications.test_questions import context as question

    succeeded = failed(exception=None)
    succeeded["ti"].state = "success"
    contexts = [succeeded, {}, {"exception": ValueError("no rows")}, question()]
    for context in contexts:
        for _ in range(2):
            SmsNotifier(to=ANNA)(dict(context))
    assert sent(sandbox, "smspartner") == {ANNA: 2 * len(contexts)}
    assert incident_store().find() == []


# Who was told


def test_who_was_told_is_known_by_name_or_number(sandbox: Any, contacts: None) -> None:
    SmsNotifier(to=["@anne", BEN])(failed())
    (incident,) = incident_store().find()
    assert set(incident_store().told_of(incident.id)) == {
        Told(conn_id="smspartner_default", kind="sms", person="anne"),
        Told(conn_id="smspartner_default", kind="sms", phone_number=BEN),
    }
    assert (incident.title, incident.dag_id) == ("sales.load[0] failed: ValueError: no rows", "sales")


def test_where_nobody_could_be_told_the_next_alert_leaves_at_once(sandbox: Any) -> None:
    SmsNotifier(to=ANNA, options="no dict")(failed(0))
    SmsNotifier(to=ANNA)(failed(1))
    assert said(sandbox) == "Airflow: sales.load[1] failed and 1 more, run r1: ValueError: no rows"
    (incident,) = incident_store().find()
    assert incident.untold == 0


def test_in_doubt_counts_as_told(sandbox: Any) -> None:
    fault(sandbox, "500", times=None, taken=True)
    SmsNotifier(to=ANNA)(failed(0))
    SmsNotifier(to=ANNA)(failed(1))
    assert sent(sandbox, "smspartner") == {ANNA: 1}
    (incident,) = incident_store().find()
    assert [one.phone_number for one in incident_store().told_of(incident.id)] == [ANNA]


def test_a_fallback_belongs_to_the_same_claim(sandbox: Any) -> None:
    fault(sandbox, "429", retry_after=600, times=None, gateway="smspartner")
    alert = SmsNotifier(to=ANNA, fallback=[SmsNotifier(to=BEN, conn_id="octopush_default")])
    for index in range(3):
        alert(failed(index))
    assert sent(sandbox, "octopush") == {BEN: 1}
    (incident,) = incident_store().find()
    assert [one.phone_number for one in incident_store().told_of(incident.id)] == [BEN]


@pytest.mark.airflow3
def test_a_deadline_alert_that_is_held_back_has_not_failed(sandbox: Any) -> None:
    context = {
        "dag_run": {"dag_id": "sales", "run_id": "r1"},
        "deadline": {"id": "1", "deadline_time": "2031-05-06T12:00:00Z"},
    }
    for _ in range(2):
        SmsNotifier(to=ANNA, context=context).notify(context)  # type: ignore[arg-type]

    async def in_triggerer() -> None:
        await SmsNotifier(to=ANNA, context=context)

    asyncio.run(in_triggerer())
    assert sent(sandbox, "smspartner") == {ANNA: 1}


@pytest.mark.airflow3
def test_the_triggerers_loop_never_waits_for_the_store(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answer, ticks = threading.Event(), 0
    monkeypatch.setattr(asking, "incident_store", answer.wait)
    monkeypatch.setattr(asking, "LONGEST_STORE_QUESTION", 0.3)
    context = {"dag_run": {"dag_id": "sales", "run_id": "r1"}, "deadline": {"id": "1"}}

    async def alert() -> None:
        nonlocal ticks
        sending = asyncio.ensure_future(SmsNotifier(to=ANNA, context=context).async_notify(context))  # type: ignore[arg-type]
        while not sending.done():
            ticks += 1
            await asyncio.sleep(0.01)
        await sending

    asyncio.run(alert())
    answer.set()
    assert ticks > 5
    assert sent(sandbox, "smspartner") == {ANNA: 1}


# Without a store


def test_without_a_store_the_alert_goes_out_and_the_process_keeps_to_at_most(
    sandbox: Any, no_store: None, logs: Logs
) -> None:
    for index in range(4):
        SmsNotifier(to=ANNA)(failed(index))
    assert sent(sandbox, "smspartner") == {ANNA: 1}
    assert "The store could not say whether people were told of this already" in logs.text
    assert "The alert is sent" in logs.text


def test_a_store_that_dies_after_the_first_alert_does_not_make_the_process_forget_it(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    SmsNotifier(to=ANNA)(failed(0))
    (tmp_path / "dead.db").mkdir()
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_URL", f"sqlite:///{tmp_path / 'dead.db'}")
    SmsNotifier(to=ANNA)(failed(1))
    assert sent(sandbox, "smspartner") == {ANNA: 1}


def test_an_answer_that_comes_too_late_is_given_back_all_the_same(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = threading.Event()
    store = incident_store()

    def slow() -> Any:
        answer.wait()
        return store

    monkeypatch.setattr(asking, "incident_store", slow)
    monkeypatch.setattr(asking, "FIRST_STORE_TIMEOUT", 0.05)
    monkeypatch.setattr(asking, "LONGEST_STORE_QUESTION", 0.05)
    SmsNotifier(to=ANNA)(failed(0))
    assert sent(sandbox, "smspartner") == {ANNA: 1}
    answer.set()
    for thread in threading.enumerate():
        if thread.name == "incident":
            thread.join(30)
    (incident,) = store.find()
    assert [one.phone_number for one in store.told_of(incident.id)] == [ANNA]
    decision = store.report(_alert(failed(1)))
    assert decision.outcome is Outcome.COUNTED


def test_a_late_claim_of_an_alert_that_the_process_held_back_is_the_next_ones(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    SmsNotifier(to=ANNA)(failed(0))
    answer, store = threading.Event(), incident_store()
    store.close(_alert(failed(0)).key)

    def slow() -> Any:
        answer.wait()
        return store

    monkeypatch.setattr(asking, "incident_store", slow)
    monkeypatch.setattr(asking, "FIRST_STORE_TIMEOUT", 0.05)
    monkeypatch.setattr(asking, "LONGEST_STORE_QUESTION", 0.05)
    SmsNotifier(to=ANNA)(failed(1))
    answer.set()
    for thread in threading.enumerate():
        if thread.name == "incident":
            thread.join(30)
    assert sent(sandbox, "smspartner") == {ANNA: 1}
    assert [due.alerts for due in store.due_messages()] == [1]


def _alert(context: dict[str, Any]) -> Any:
    from airflow_provider_voicepartner.notifications.grouping import Grouping
    from airflow_provider_voicepartner.notifications.incident import alert_of

    return alert_of(
        context,
        kind="sms",
        conn_id="smspartner_default",
        to=ANNA,
        dedup_key=None,
        grouping=Grouping(at_most=AtMost()),
    )


def test_no_number_no_text_and_no_key_reaches_a_log_or_the_store(
    sandbox: Any, no_store: None, logs: Logs, airflow_home: Path
) -> None:
    SmsNotifier(to=ANNA, message="a planted text")(failed(0))
    SmsNotifier(to=ANNA, message="a planted text")(failed(1))
    for planted in (ANNA[3:], "planted"):
        assert planted not in logs.text


def test_the_store_holds_neither_text_nor_number_before_people_were_told(
    sandbox: Any, tmp_path: Path
) -> None:
    SmsNotifier(to=ANNA, message="a planted text", options="no dict")(failed(0))
    content = b"".join(path.read_bytes() for path in tmp_path.glob("store.db*"))
    assert b"sales" in content
    for planted in (ANNA[3:], "planted"):
        assert planted.encode() not in content


# Its arguments


@pytest.mark.parametrize("notifier", [SmsNotifier, TtsCallNotifier])
@pytest.mark.parametrize(
    "arguments",
    [
        {"at_most": "1 per hour"},
        {"at_most": 3},
        {"group_by": ["owner"]},
        {"dedup_key": 7},
        {"dedup_key": "x", "group_by": ["dag_id"]},
    ],
)
def test_a_bad_argument_fails_when_the_dag_is_parsed(
    notifier: type[GatewayNotifier], arguments: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError, match=f"^{next(iter(arguments))}: "):
        notifier(to=ANNA, **arguments)
    with pytest.raises(ConfigurationError):
        notifier.checked(to=ANNA, **arguments)


@pytest.mark.airflow3
def test_a_bad_argument_of_a_deadline_alert_that_is_due_does_not_stop_it(sandbox: Any, logs: Logs) -> None:
    context = {"dag_run": {"dag_id": "sales", "run_id": "r1"}, "deadline": {"id": "1"}}
    SmsNotifier(to=ANNA, context=context, at_most="often").notify(context)  # type: ignore[arg-type]
    assert sent(sandbox, "smspartner") == {ANNA: 1}
    assert "at_most: is 'often'" in logs.text


def test_the_default_is_what_the_values_say() -> None:
    assert SmsNotifier(to=ANNA)._grouping.at_most == AtMost()
    assert DEFAULT_AT_MOST == "1/15m"


# The count in a text


@pytest.mark.parametrize("more", [1, 499])
def test_the_count_stays_in_a_text_of_ones_own_however_long_it_is(more: int) -> None:
    for text in ("Load failed", "é" * 400, "word " * 100, "x" * 500):
        told = with_more(text, more, "en", segments=1)
        assert told.endswith(f" (and {more} more)")
        assert count_segments(told).segments == 1
    assert with_more("Load failed", 0, "en", segments=1) == "Load failed"


def test_the_count_is_said_in_the_language_of_the_recipients(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, contacts: None
) -> None:
    for one in (SmsNotifier(to="@anne"), TtsCallNotifier(to="@anne"), TtsCallNotifier(to=ANNA, text="Panne")):
        one(failed(0))
        one(failed(1))
    later(monkeypatch, 901)
    SmsNotifier(to="@anne")(failed(2))
    assert said(sandbox).startswith("Airflow: sales.load[2] a échoué et 1 de plus")
    TtsCallNotifier(to="@anne")(failed(2))
    assert str(last_body(sandbox)).count("Et 1 de plus.") == 2
    TtsCallNotifier(to=ANNA, text="Panne")(failed(2))
    assert "Panne Et 1 de plus." in str(last_body(sandbox))
    assert requests(sandbox) == 6


def test_a_driver_that_is_imported_slowly_is_waited_for(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "load_driver", lambda url: time.sleep(asking.ALERT_STORE_TIMEOUT + 0.5))
    for index in range(2):
        SmsNotifier(to=ANNA)(failed(index))
    assert sent(sandbox, "smspartner") == {ANNA: 1}
    assert [one.alerts for one in incident_store().find()] == [2]


@pytest.fixture
def slow_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the store take longer to be opened than an alert waits for it in general."""
    store = incident_store()

    def slow() -> Any:
        time.sleep(asking.ALERT_STORE_TIMEOUT + 0.5)
        return store

    monkeypatch.setattr(asking, "incident_store", slow)
    monkeypatch.setattr(asking, "_slow_or_dead", set[str]())


def test_the_first_alert_of_a_process_waits_longer_for_the_store_to_be_opened(
    sandbox: Any, slow_store: None
) -> None:
    asked = asking.AskedAlert(_alert(failed(0)))
    assert (asked.is_of_store, asked.decision.incident) == (True, 1)


def test_a_process_that_could_not_open_the_store_does_not_wait_so_long_again(
    sandbox: Any, slow_store: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(asking, "FIRST_STORE_TIMEOUT", 0.05)
        asking.AskedAlert(_alert(failed(0)), patience=0.05)
    assert [asking.AskedAlert(_alert(failed(index))).is_of_store for index in (1, 2)] == [False, False]


def test_a_store_that_refuses_is_waited_for_no_longer(
    sandbox: Any, no_store: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "_slow_or_dead", set[str]())
    asking.AskedAlert(_alert(failed(0)))
    assert len(asking._slow_or_dead) == 1
