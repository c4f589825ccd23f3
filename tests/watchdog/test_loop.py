"""A watchdog with a real store and the sandbox's gateways: who is told, how often, and whatever is down or dies."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.incidents.keys import incident_key
from airflow_provider_voicepartner.incidents.model import Alert, State, Told
from airflow_provider_voicepartner.incidents.store import IncidentStore
from airflow_provider_voicepartner.watchdog.config import WatchdogConfig
from airflow_provider_voicepartner.watchdog.escalating import EscalationRunner
from airflow_provider_voicepartner.watchdog.findings import of_run, of_task
from airflow_provider_voicepartner.watchdog.loop import Watchdog
from airflow_provider_voicepartner.watchdog.memory import WatchMemory
from airflow_provider_voicepartner.watchdog.rest import ApiSilentError
from airflow_provider_voicepartner.watchdog.telling import Connections, Teller
from tests.support.escalations import open_incident
from tests.support.watched import Clock, WatchedAirflow, configured

ANNE, BOB = "+33612345678", "+33612345699"
FALLBACK = f"[[tell.fallback]]\nconn_id = 'octopush'\nto = '{BOB}'\n"


class Place:
    """One Airflow, one store, and its watchdogs."""

    def __init__(self, sandbox: Any, url: str) -> None:
        self.sandbox, self.url = sandbox, url
        self.clock = Clock()
        self.airflow = WatchedAirflow(self.clock)
        self.is_store_down = False

    def open(self) -> Store:
        """Open the store, in the clock of the test."""
        if self.is_store_down:
            raise StoreUnavailableError("the store cannot be used")
        return open_store(self.url, purpose="tests", clock=self.clock)

    def watchdog(self, text: str = "", *, config: WatchdogConfig | None = None) -> Watchdog:
        """Start one."""
        config = config or configured(text)
        return Watchdog(
            config,
            make_api=lambda: self.airflow,
            open_store=self.open,
            teller=Teller(config.tell, Connections()),
            clock=self.clock,
        )

    def looks(self, watchdog: Watchdog, seconds: float = 60.0) -> None:
        """Let it look every 10 seconds, and after two minutes each minute."""
        passed = 0.0
        while passed < seconds:
            step = 10 if passed < 120 else 60
            passed += step
            self.clock.advance(step)
            watchdog.look()

    def sent(self, gateway: str = "smspartner") -> dict[str, int]:
        """Return how often each number was told."""
        return dict(self.sandbox.world.tallies[gateway].numbers)

    def texts(self, gateway: str = "smspartner") -> list[str]:
        """Return all texts, the oldest first."""
        return [
            line.text or campaign.text
            for campaign in self.sandbox.world.campaigns[gateway].values()
            for line in campaign.lines
        ]

    @property
    def incidents(self) -> IncidentStore:
        """The incidents."""
        return IncidentStore(self.open())


@pytest.fixture
def place(sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    for gateway in ("smspartner", "octopush"):
        # as the sandbox fixture defines them, by the names of the file
        import os

        monkeypatch.setenv(
            f"AIRFLOW_CONN_{gateway.upper()}", os.environ[f"AIRFLOW_CONN_{gateway.upper()}_DEFAULT"]
        )
    return Place(sandbox, f"sqlite:///{tmp_path / 'incidents.db'}")


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


# Odd things


def test_an_airflow_that_never_answers_is_silent(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_voicepartner.watchdog.loop.WATCH_LOOK", 0.2)
    watchdog = place.watchdog()
    watchdog.look()
    hung = threading.Event()
    place.airflow.health = lambda: hung.wait(60)  # type: ignore[method-assign,assignment,return-value]
    place.looks(watchdog)
    assert place.texts() == ["Airflow (watchdog): silent: API"]
    hung.set()


def test_two_processes_of_one_name_are_told_apart(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    one, two = place.watchdog(), place.watchdog()
    one.look()
    two.look()
    one.look()
    assert "give each a name of its own" in caplog.text
    place.airflow.fail_run()
    place.looks(one)
    place.looks(two)
    assert place.sent() == {ANNE: 1}


def test_what_goes_wrong_in_a_look_is_logged_and_the_next_look_comes(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    watchdog = place.watchdog("[times]\ninterval = 1\n")
    stop, looked = threading.Event(), []

    def look() -> None:
        looked.append(1)
        if len(looked) == 2:
            stop.set()
        raise ValueError("planted +33612345678")

    watchdog.look = look  # type: ignore[method-assign]
    watchdog.run(stop)
    assert len(looked) == 2
    assert "The look failed: ValueError" in caplog.text
    assert "planted" not in caplog.text


@pytest.mark.parametrize(
    "policy", ["night", "gone"], ids=["contacts that are broken", "a policy that is gone"]
)
def test_escalations_that_do_not_go_on_are_told_and_when_they_do_again(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, policy: str
) -> None:
    contacts = tmp_path / "contacts.toml"
    contacts.write_text("this is no TOML" if policy == "night" else f"[people.anne]\nphone = '{ANNE}'\n")
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CONTACTS", str(contacts))
    watchdog = place.watchdog()
    watchdog.look()
    with closing(place.open()) as store:
        open_incident(store, policy=policy)
        runner = EscalationRunner(lambda: store)
        for _ in range(18):
            runner.look()
            place.looks(watchdog, 10)
        assert place.texts() == [
            "Airflow (watchdog): a page is late, escalations do not go on: see the log of the watchdog"
        ]
        contacts.write_text(
            f"[people.bob]\nphone = '{BOB}'\n[policies.{policy}]\nsms = 'smspartner'\n"
            "steps = [{who = 'bob', by = 'sms', wait = '5m'}]\n"
        )
        runner.look()
        place.looks(watchdog, 10)
    assert place.sent() == {ANNE: 2, BOB: 1}
    assert "Airflow (watchdog): all clear, escalations go on" in place.texts()


@pytest.mark.parametrize("by", ["sms", "call"])
def test_steps_are_done_while_airflow_cannot_look_connections_up(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, by: str
) -> None:
    contacts = tmp_path / "contacts.toml"
    contacts.write_text(
        f"[people.bob]\nphone = '{BOB}'\n[policies.night]\nsms = 'smspartner'\ncall = 'octopush'\n"
        f"steps = [{{who = 'bob', by = '{by}', wait = '5m'}}]\n"
    )
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CONTACTS", str(contacts))
    watchdog, stop = place.watchdog(), threading.Event()
    assert watchdog._teller.prepare() == []
    # The secrets backend, or Airflow's database, is dead.
    for gateway in ("smspartner", "octopush"):
        monkeypatch.delenv(f"AIRFLOW_CONN_{gateway.upper()}")
    with closing(place.open()) as store:
        open_incident(store, policy="night")
    monkeypatch.setattr(EscalationRunner, "run", lambda runner, stop: (runner.look(), stop.set()))
    watchdog._run_escalations(stop)
    assert stop.wait(30)
    assert place.sent("smspartner" if by == "sms" else "octopush") == {BOB: 1}


def test_a_connection_of_a_policy_that_is_missing_is_told_at_the_start(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    contacts = tmp_path / "contacts.toml"
    contacts.write_text(
        f"[people.bob]\nphone = '{BOB}'\n[policies.night]\nsms = 'missing'\ncall = 'smspartner'\n"
        "steps = [{who = 'bob', by = 'sms', wait = '5m'}]\n"
    )
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CONTACTS", str(contacts))
    problems = place.watchdog()._teller.prepare()
    assert [one.text.partition(": ")[0] for one in problems] == ["policies.night.sms", "policies.night.call"]
    assert not any(one.is_final for one in problems)


def test_a_runner_that_hangs_is_followed_by_another(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("airflow_provider_voicepartner.watchdog.loop.RUNNER_SILENCE", 0.5)
    stop, begun = threading.Event(), list[EscalationRunner]()

    def look(runner: EscalationRunner) -> None:
        begun.append(runner)
        if runner is not begun[0]:
            stop.set()
        stop.wait(30)  # the first one hangs

    monkeypatch.setattr(EscalationRunner, "look", look)
    watchdog = place.watchdog("[times]\ninterval = 1\n")
    monkeypatch.setattr(watchdog, "look", lambda: None)
    watchdog.run(stop)
    assert len(set(begun)) == 2
    assert "another runner begins" in caplog.text


def test_no_number_reaches_the_log(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="airflow_provider_voicepartner")
    watchdog = place.watchdog(FALLBACK)
    watchdog.look()
    place.airflow.fail_run()
    place.airflow.kill("scheduler")
    place.looks(watchdog)
    assert place.sent() == {ANNE: 2}
    for number in (ANNE, BOB):
        assert number[3:] not in caplog.text


def test_contacts_are_told_and_kept_in_the_store_by_their_names(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    contacts = tmp_path / "contacts.toml"
    contacts.write_text(f"[people.anne]\nphone = '{ANNE}'\nlanguage = 'fr'\n", encoding="utf-8")
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CONTACTS", str(contacts))
    tell = configured().tell.model_copy(update={"to": "@anne"})
    watchdog = place.watchdog(config=configured().model_copy(update={"tell": tell}))
    watchdog._teller.prepare()
    watchdog.look()
    contacts.unlink()  # they are known from before
    place.airflow.fail_run()
    place.looks(watchdog)
    assert place.texts()[0].startswith("Airflow (watchdog) : le DAG etl a")
    (incident,) = place.incidents.find()
    (told,) = place.incidents.told_of(incident.id)
    assert (told.person, told.phone_number) == ("anne", "")


def test_a_call_in_place_of_an_sms(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setenv("AIRFLOW_CONN_CALLS", os.environ["AIRFLOW_CONN_VOICEPARTNER_DEFAULT"])
    tell = configured().tell.model_copy(update={"conn_id": "calls", "kind": "tts"})
    watchdog = place.watchdog(config=configured().model_copy(update={"tell": tell}))
    watchdog.look()
    place.airflow.fail_task("daily_load")
    place.airflow.fail_run()
    place.looks(watchdog)
    said = "Airflow. DAG etl failed: daily load."
    assert place.texts("voicepartner") == [f"{said} I repeat. {said}"]
