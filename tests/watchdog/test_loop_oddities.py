"""A watchdog in odd places: an Airflow that never answers, runners that hang, contacts that are missing."""

from __future__ import annotations

import logging
import threading
from contextlib import closing
from pathlib import Path

import pytest

from airflow_provider_voicepartner.watchdog.escalating import EscalationRunner
from tests.support.escalations import open_incident
from tests.support.watched import configured
from tests.watchdog.places import ANNE, BOB, FALLBACK, Place


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


def test_each_contact_is_told_in_their_language(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    contacts = tmp_path / "contacts.toml"
    people = (
        f"[people.anne]\nphone = '{ANNE}'\nlanguage = 'fr'\n[people.bob]\nphone = '{BOB}'\nlanguage = 'en'\n"
    )
    contacts.write_text(people, encoding="utf-8")
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CONTACTS", str(contacts))
    tell = configured().tell.model_copy(update={"to": ["@anne", "@bob"]})
    watchdog = place.watchdog(config=configured().model_copy(update={"tell": tell}))
    watchdog.look()
    place.airflow.fail_run()
    place.looks(watchdog)
    texts = sorted(text[:24] for text in place.texts())
    assert texts == ["Airflow (watchdog) : le ", "Airflow (watchdog): DAG "]
    assert dict(place.sandbox.world.tallies["smspartner"].numbers) == {ANNE: 1, BOB: 1}


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
