"""A whole Airflow: a question is sent by SMS, a reply approves it, and of two answers at once one decides."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.sandbox.outcomes import Rule
from tests.support.standalone import LIMIT, Running, running_airflow, running_watchdog, sent, until
from tests.system.conftest import PEOPLE, SECRET

pytestmark = [pytest.mark.airflow3, pytest.mark.slow]

SUBJECT = "planted version 4711"


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run an Airflow with its receiver, and a watchdog beside it."""
    home = tmp_path_factory.mktemp("airflow")
    outside = home.with_name(f"{home.name} contacts.json")
    contacts = {"people": {name: {"phone": number} for name, number in PEOPLE.items()}}
    outside.write_text(json.dumps(contacts), encoding="utf-8")
    env = {
        "AIRFLOW__VOICEPARTNER__CALLBACK_SECRET": SECRET,
        "AIRFLOW__VOICEPARTNER__RECEIVER_ENABLED": "True",
        "AIRFLOW__VOICEPARTNER__CONTACTS": str(outside),
    }
    dags = [Path(__file__).parent / "standalone" / "questions.py"]
    with (
        running_airflow(home, "dogstatsd", dags=dags, env=env, speed=5) as running,
        running_watchdog(running, to="@karim"),
    ):
        yield running


def reply(running: Running, person: str, text: str) -> None:
    """Let somebody reply as soon as the next message has arrived."""
    rule = {"number": PEOPLE[person], "outcome": "delivered", "reply": text, "after": 10.0}
    running.sandbox.world.rules.set(Rule.model_validate(rule))


def detail(running: Running, dag: str, run: str) -> dict[str, Any]:
    """Return what Airflow knows of a question."""
    found: dict[str, Any] = running.airflow.get(
        f"dags/{dag}/dagRuns/{run}/taskInstances/approve/-1/hitlDetails"
    )
    return found


def texts(running: Running, person: str) -> list[str]:
    """Return what somebody was told."""
    return list(sent(running.sandbox).get(PEOPLE[person], ())) + list(
        sent(running.sandbox).get(PEOPLE[person][1:], ())
    )


def test_a_reply_approves_and_is_confirmed(office: Running) -> None:
    reply(office, "anne", "oui")
    run = office.airflow.run("by_phone")
    assert office.airflow.ended("by_phone", run) == "success"
    assert office.airflow.states("by_phone", run) == {"approve": "success", "deploy": "success"}
    found = detail(office, "by_phone", run)
    assert found["chosen_options"] == ["Approve"]
    assert found["params_input"]["answered_by"] == "anne"
    assert found["params_input"]["answered_how"] == "sms"
    until(lambda: len(texts(office, "anne")) == 2, LIMIT, "the answer was not confirmed")
    assert texts(office, "anne")[1] == "by_phone.approve: Approve, noted."
    written = (office.home / "watchdog.log").read_bytes() + b"".join(
        path.read_bytes() for path in (office.home / "logs").rglob("*") if path.is_file()
    )
    assert b"the answer of anne is in Airflow" in written
    assert PEOPLE["anne"][1:].encode() not in written
    assert b"answered by sms: decided" in written
    assert SUBJECT.encode() not in (office.home / "watchdog.log").read_bytes()


def test_of_two_answers_at_once_one_decides_and_the_other_hears_who(office: Running) -> None:
    reply(office, "bruno", "1")
    reply(office, "chloe", "2")
    run = office.airflow.run("by_two")
    assert office.airflow.ended("by_two", run) == "success"
    chosen = detail(office, "by_two", run)["chosen_options"]
    who = detail(office, "by_two", run)["params_input"]["answered_by"]
    other = {"bruno": "chloe", "chloe": "bruno"}[who]
    assert chosen == [{"bruno": "Approve", "chloe": "Reject"}[who]]
    assert office.airflow.states("by_two", run)["deploy"] == ("success" if who == "bruno" else "skipped")
    until(lambda: len(texts(office, who)) == 2 and len(texts(office, other)) == 2, LIMIT, "both hear of it")
    assert texts(office, who)[1] == f"by_two.approve: {chosen[0]}, noted."
    assert texts(office, other)[1].startswith(f"by_two.approve: {who} decided {chosen[0]} at ")
