"""A watchdog with a real store and the sandbox's gateways: who is told, how often, and whatever is down or dies."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_voicepartner.incidents.keys import incident_key
from airflow_provider_voicepartner.incidents.model import Alert, State, Told
from airflow_provider_voicepartner.watchdog.findings import of_run, of_task
from airflow_provider_voicepartner.watchdog.memory import WatchMemory
from airflow_provider_voicepartner.watchdog.rest import ApiSilentError
from airflow_provider_voicepartner.watchdog.telling import Connections, Teller
from tests.support.watched import configured
from tests.watchdog.places import ANNE, BOB, FALLBACK, Place


def test_a_failure_is_told_once_with_a_link(place: Place) -> None:
    watchdog = place.watchdog()
    watchdog.look()
    place.airflow.fail_task("load")
    place.airflow.fail_run()
    place.looks(watchdog, 1_800)
    assert place.sent() == {ANNE: 1}
    assert place.texts() == [
        "Airflow (watchdog): DAG etl failed: load https://airflow.example.org/dags/etl/runs/run1"
    ]
    (incident,) = place.incidents.find()
    assert (incident.title, incident.dag_id) == ("DAG etl failed: load", "etl")
    assert [one.phone_number for one in place.incidents.told_of(incident.id)] == [ANNE]


def test_what_a_notifier_told_is_not_told(place: Place) -> None:
    watchdog = place.watchdog()
    watchdog.look()
    run = place.airflow.fail_run()
    happened = of_run(run)
    decision = place.incidents.report(
        Alert(occurrence=happened, key=incident_key(happened), route="sms anne")
    )
    place.incidents.told(decision, [Told(conn_id="smspartner", kind="sms", person="anne")])
    place.looks(watchdog)
    assert place.sent() == {}


def test_what_a_notifier_could_not_send_the_watchdog_tells(place: Place) -> None:
    watchdog = place.watchdog()
    watchdog.look()
    happened = of_task(place.airflow.fail_task("load"))
    alert = Alert(
        occurrence=happened,
        key=incident_key(happened),
        route="sms x",
        title="etl.load failed",
        link="https://a.example",
    )
    decision = place.incidents.report(alert)
    place.incidents.not_told(decision)
    place.looks(watchdog)
    assert place.texts() == ["Airflow (watchdog): etl.load failed https://a.example"]
    assert place.sent() == {ANNE: 1}


def test_a_notifier_that_died_over_its_alert_is_taken_over_as_a_possible_repeat(place: Place) -> None:
    watchdog = place.watchdog()
    watchdog.look()
    happened = of_task(place.airflow.fail_task("load"))
    place.incidents.report(Alert(occurrence=happened, key=incident_key(happened), title="etl.load failed"))
    place.looks(watchdog, 50)
    assert place.sent() == {}
    place.looks(watchdog, 60)
    (text,) = place.texts()
    assert text.startswith("Possible repeat: Airflow (watchdog): etl.load failed")


def test_many_runs_of_a_dag_are_one_message_and_later_how_many_more(place: Place) -> None:
    watchdog = place.watchdog()
    watchdog.look()
    for number in range(50):
        place.airflow.fail_run(run_id=f"run{number}")
        place.looks(watchdog, 10)
    assert place.sent() == {ANNE: 1}
    place.looks(watchdog, 1_000)
    assert place.sent() == {ANNE: 2}
    assert "and 49 more alerts" in place.texts()[-1]


def test_where_everything_fails_at_once_few_messages_tell_of_all(place: Place) -> None:
    watchdog = place.watchdog()
    watchdog.look()
    for number in range(40):
        place.airflow.fail_run(dag_id=f"dag{number:02}")
    place.looks(watchdog)
    assert place.sent() == {ANNE: 6}
    assert place.texts()[-1].startswith(
        "Airflow (watchdog): 35 problems: DAG dag05 failed; DAG dag06 failed;"
    )
    assert len(place.incidents.find()) == 40
    place.looks(watchdog, 1_800)
    assert place.sent() == {ANNE: 6}


def test_two_watchdogs_tell_once(place: Place) -> None:
    one = place.watchdog()
    two = place.watchdog(config=one._config.model_copy(update={"name": "two"}))
    one.look()
    two.look()
    place.airflow.fail_task("load")
    place.airflow.fail_task("check")
    place.airflow.kill("scheduler")
    for _ in range(30):
        place.clock.advance(5)
        one.look()
        place.clock.advance(5)
        two.look()
    assert place.sent() == {ANNE: 2}
    place.airflow.revive("scheduler")
    place.clock.advance(5)
    one.look()
    two.look()
    assert place.sent() == {ANNE: 3}


def test_a_death_between_the_message_and_the_cursor_tells_nobody_twice(place: Place) -> None:
    watchdog = place.watchdog()
    watchdog.look()
    place.airflow.fail_task("load")
    place.airflow.fail_run(run_id="run2")
    place.airflow.kill("triggerer")

    def die() -> None:
        if place.sent():
            raise KeyboardInterrupt

    watchdog._save = die  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        place.looks(watchdog, 600)
    assert place.sent()
    place.looks(place.watchdog(), 600)
    assert sorted(place.texts()) == [
        "Airflow (watchdog): DAG etl failed https://airflow.example.org/dags/etl/runs/run2",
        "Airflow (watchdog): DAG etl, failed: load https://airflow.example.org/dags/etl/runs/run1",
        "Airflow (watchdog): silent: triggerer https://airflow.example.org",
    ]


def test_a_restart_goes_on_where_it_was(place: Place) -> None:
    place.watchdog().look()
    place.airflow.fail_run()
    place.clock.advance(3_600)
    place.watchdog().look()
    assert place.sent() == {ANNE: 1}
    place.looks(place.watchdog(), 600)
    assert place.sent() == {ANNE: 1}


def test_a_scheduler_that_dies_and_comes_back(place: Place) -> None:
    watchdog = place.watchdog()
    watchdog.look()
    place.airflow.kill("scheduler")
    place.airflow.kill("triggerer")
    place.looks(watchdog, 600)
    assert place.texts() == ["Airflow (watchdog): silent: scheduler, triggerer https://airflow.example.org"]
    place.airflow.revive("scheduler")
    place.airflow.revive("triggerer")
    place.looks(watchdog)
    assert place.texts()[1:] == ["Airflow (watchdog): all clear, alive again: scheduler, triggerer"]
    assert [incident.state for incident in place.incidents.find([State.CLOSED])] == [State.CLOSED] * 2


def test_in_french(place: Place) -> None:
    config = configured()
    tell = config.tell.model_copy(update={"language": "fr"})
    watchdog = place.watchdog(config=config.model_copy(update={"tell": tell}))
    watchdog.look()
    place.airflow.error = ApiSilentError("x")
    place.looks(watchdog)
    place.airflow.error = None
    place.looks(watchdog)
    assert place.texts() == [
        "Airflow (watchdog) : plus de signe de vie : API",
        "Airflow (watchdog) : fin d'alerte, de nouveau en vie : API",
    ]


# The gateway is down


def break_gateway(place: Place, gateway: str) -> None:
    from airflow_provider_voicepartner.sandbox.faults import Fault

    place.sandbox.world.add_faults(gateway, Fault("refuse_connection"), times=100)


def test_a_fallback_tells_where_the_first_way_is_dead(
    place: Place, set_connection: Callable[..., str]
) -> None:
    set_connection("smspartner", "smspartner", host="http://127.0.0.1:9")
    watchdog = place.watchdog(FALLBACK)
    watchdog.look()
    place.airflow.fail_run()
    place.looks(watchdog)
    assert place.sent("octopush") == {BOB: 1}
    (incident,) = place.incidents.find()
    assert [one.conn_id for one in place.incidents.told_of(incident.id)] == ["octopush"]


def test_nobody_can_be_told_now_and_somebody_is_later_and_meanwhile_there_is_no_heartbeat(
    place: Place, set_connection: Callable[..., str], sandbox: Any
) -> None:
    set_connection("smspartner", "smspartner", host="http://127.0.0.1:9")
    watchdog = place.watchdog()
    watchdog.look()
    place.airflow.fail_run()
    place.looks(watchdog)
    before = WatchMemory(place.open()).beats()["watchdog"].mark
    place.looks(watchdog, 20)
    assert WatchMemory(place.open()).beats()["watchdog"].mark == before
    set_connection("smspartner", "smspartner", host=sandbox.gateway_url("smspartner"))
    watchdog._teller = Teller(configured().tell, Connections())
    place.looks(watchdog, 20)
    assert place.sent() == {ANNE: 1}
    assert WatchMemory(place.open()).beats()["watchdog"].mark != before


def test_where_nobody_can_be_told_a_look_does_not_try_for_each_and_none_is_lost(
    place: Place, set_connection: Callable[..., str], sandbox: Any
) -> None:
    set_connection("smspartner", "smspartner", host="http://127.0.0.1:9")
    watchdog = place.watchdog()
    watchdog.look()
    attempts: list[str] = []
    send = watchdog._teller.tell

    def counted(message: Any, **more: Any) -> Any:
        attempts.append(message.english)
        return send(message, **more)

    watchdog._teller.tell = counted  # type: ignore[method-assign]
    for number in range(5):
        place.airflow.fail_run(dag_id=f"dag{number}")
    place.looks(watchdog, 30)
    assert len(attempts) == 1
    set_connection("smspartner", "smspartner", host=sandbox.gateway_url("smspartner"))
    place.looks(place.watchdog(), 20)
    assert place.sent() == {ANNE: 5}


def test_a_policy_goes_along(place: Place) -> None:
    tell = configured().tell.model_copy(update={"policy": "night"})
    watchdog = place.watchdog(config=configured().model_copy(update={"tell": tell}))
    watchdog.look()
    place.airflow.fail_run()
    place.looks(watchdog)
    [incident] = place.incidents.find()
    assert (incident.policy, incident.words.french) == ("night", "le DAG etl a échoué")


# The store is down


def test_people_are_told_without_a_store(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    watchdog = place.watchdog()
    watchdog.look()
    place.is_store_down = True
    watchdog._store = None
    place.airflow.fail_run()
    place.airflow.kill("scheduler")
    place.looks(watchdog, 600)
    texts = place.texts()
    assert [text for text in texts if "DAG etl failed" in text] == texts[:1]
    assert sorted(texts[1:]) == [
        "Airflow (watchdog): silent: scheduler https://airflow.example.org",
        "Airflow (watchdog): the watchdog cannot reach its store",
    ]  # fmt: skip
    assert caplog.text.count("people are told without it") == 1
    place.is_store_down = False
    place.airflow.revive("scheduler")
    place.looks(watchdog, 1_800)
    assert place.sent() == {ANNE: 5}
    assert sorted(place.texts()[3:]) == [
        "Airflow (watchdog): all clear, alive again: scheduler",
        "Airflow (watchdog): all clear, the watchdog reaches its store again",
    ]


def test_a_store_that_was_never_there(place: Place) -> None:
    place.is_store_down = True
    watchdog = place.watchdog()
    watchdog.look()
    place.airflow.fail_run()
    place.looks(watchdog, 30)
    assert place.sent() == {ANNE: 2}  # of the store, too
    place.is_store_down = False
    place.looks(watchdog, 600)
    assert place.sent() == {ANNE: 3}  # it is back
    assert WatchMemory(place.open()).load("watchdog")[1] > 0


def test_a_store_that_hangs_holds_nothing_up(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_voicepartner.watchdog.loop.WATCH_STORE_TIMEOUT", 0.2)
    watchdog = place.watchdog()
    watchdog.look()
    place.airflow.fail_run()
    hung = threading.Event()
    watchdog._store = None
    watchdog._open_store = lambda: hung.wait(60) or place.open()  # type: ignore[assignment]
    place.looks(watchdog, 30)
    assert place.texts()[0].startswith("Airflow (watchdog): DAG etl failed")
    hung.set()
