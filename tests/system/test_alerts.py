"""
Every kind of alert in a whole Airflow: each person is told what happened, once, and no number is in anything it wrote.

Metrics are reported by DogStatsD in one run and by OpenTelemetry in another, spans by OpenTelemetry in both.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pytest

from airflow_provider_voicepartner.sandbox.outcomes import Rule
from tests.conftest import KEYS
from tests.support.standalone import Airflow, Running, running_watchdog, sent, until, written_by
from tests.system.conftest import LITERAL, PEOPLE

pytestmark = [
    pytest.mark.airflow3,
    pytest.mark.slow,
    pytest.mark.parametrize("whole_airflow", ["dogstatsd", "opentelemetry"], indirect=True, scope="session"),
]

CONTROL = "+33612347100"
"""Planted where Airflow stores it, to see that it would be found."""


@dataclass(frozen=True)
class Alerts:
    """
    What a DAG's alerts say.

    :param texts: by person a pattern for each SMS, in any order; ``RUN`` stands for the run's id.
    :param calls: likewise for calls, which do not name the run.
    """

    texts: Mapping[str, Sequence[str]]
    calls: Mapping[str, Sequence[str]] = field(default_factory=dict)
    state: str = "failed"


EXPECTED: dict[str, Alerts] = {
    # By the setting for all DAGs.
    "plain": Alerts({"anne": ["Airflow: DAG plain failed in load, run RUN"]}),
    "killed": Alerts({"anne": ["Airflow: DAG killed failed in die, run RUN"]}),
    "timed_out": Alerts({"anne": ["Airflow: DAG timed_out failed, run RUN: timed out"]}),
    # By notifiers.
    "two_fail": Alerts({"bruno": ["Airflow: DAG two_fail failed in first, rows_1, second, run RUN"]}),
    "of_tasks": Alerts(
        {
            "chloe": [
                "Airflow: of_tasks.mapped[1] failed, run RUN: ValueError: no rows",
                "Airflow: of_tasks.retried failed, will be retried (try 1 of 2), run RUN: ValueError: no rows",
                "Airflow: of_tasks.skipped skipped, run RUN",
                "Airflow: of_tasks.succeeds succeeded, run RUN",
            ],
            LITERAL: ["Airflow: of_tasks.literal failed, run RUN: ValueError: no rows"],
        },
        {"chloe": ["Airflow. Task retried of DAG of tasks failed, try 2 of 2. Value Error: no rows."]},
    ),
    "ended": Alerts(
        {"ines": ["Airflow: ended.defer failed without an error: killed, or ended by a trigger, run RUN"]}
    ),
    "asks": Alerts(
        {
            "julie": [
                "Airflow: asks.approve asks: Deploy asks? 1 Approve 2 Reject. Answer in Airflow",
                "Airflow: asks.approve failed: HITLTimeoutError: ('error': 'The Human-in-the-loop response timeout has "
                "passed without a response.', 'error_type': 'timeout')",
            ]
        }
    ),
    "falls_back": Alerts({}, {"gina": ["Airflow. DAG falls back failed in load."]}),
    "mails": Alerts(
        {
            "farid": ["Airflow: mails.mailed failed, run RUN: no rows"],
            "karim": ["Airflow: mails.again failed (try 1 of 2), run RUN: no rows"],
        }
    ),
}
"""By DAG; what other parts of this package tell people can be added here, and to ``standalone/alerts.py``."""

ALL_SETTING = ("plain", "killed", "timed_out")


def twice(text: str) -> str:
    """Return a text as a call says it."""
    return f"{text} I repeat. {text}"


def of_dag(dag: str, run: str, texts: Sequence[str]) -> list[str]:
    """Return the texts about a DAG, with its run's id replaced."""
    names = (dag, dag.replace("_", " "))
    return sorted(
        text.replace(run, "RUN") for text in texts if any(re.search(rf"\b{name}\b", text) for name in names)
    )


@pytest.fixture(scope="session")
def runs(whole_airflow: Running) -> Iterator[dict[str, str]]:
    """Run every DAG to its end, and return the ids of the runs."""
    airflow = whole_airflow.airflow
    started = {dag: airflow.run(dag, control=CONTROL) for dag in EXPECTED}
    started["on time"] = airflow.run("late")
    for dag, run in started.items():
        if dag != "on time":
            assert airflow.ended(dag, run) == EXPECTED[dag].state, dag
    assert airflow.ended("late", started["on time"]) == "success"
    # The average of the runs so far is what the next one is compared with.
    started["late"] = airflow.run("late", seconds=20 + _took(airflow, "late", started["on time"]))
    assert airflow.ended("late", started["late"]) == "success"
    return started


@dataclass(frozen=True)
class Night:
    """
    What became of two DAGs that failed and then succeeded, beside a watchdog.

    :param texts: by DAG and person, in the order in which they were sent; ``RUN`` stands for a run's id.
    """

    texts: Mapping[tuple[str, str], Sequence[str]]


@pytest.fixture(scope="session")
def night(whole_airflow: Running) -> Night:
    """Let a storm and a page run their course: counted and told, acknowledged by a reply, all clear."""
    airflow, rules = whole_airflow.airflow, whole_airflow.sandbox.world.rules
    marie = PEOPLE["marie"]

    def told(dag: str, person: str) -> list[str]:
        found = sent(whole_airflow.sandbox)
        texts = [*found.get(PEOPLE[person], ()), *found.get(PEOPLE[person][1:], ())]
        return [
            re.sub(r"manual__\S*\d", "RUN", text)
            for text in texts
            if f"{dag}." in text or f"DAG {dag}" in text
        ]

    with running_watchdog(whole_airflow, to="@olga"):
        rules.set(Rule(number=marie, outcome="delivered", reply="1", after=30.0))
        started = {dag: airflow.run(dag, fails=True, control=CONTROL) for dag in ("storm", "paged")}
        until(lambda: told("paged", "marie"), 120, "nobody was paged")
        # What is sent from now on is answered by nobody.
        rules.set(Rule(number=marie, outcome="delivered"))
        for dag, run in started.items():
            assert airflow.ended(dag, run) == "failed", dag
        until(lambda: len(told("paged", "nora")) >= 2, 60, "the reply acknowledged nothing")
        until(lambda: len(told("storm", "lola")) >= 2, 120, "nobody said how many failed")
        for dag in started:
            assert airflow.ended(dag, airflow.run(dag)) == "success", dag
        until(lambda: len(told("storm", "lola")) >= 3, 60, "no all clear of the storm")
        until(lambda: len(told("paged", "nora")) >= 3, 60, "no all clear of the page")
        time.sleep(3)  # in which a look of the watchdog would tell more
    people = ("lola", "marie", "nora")
    return Night({(dag, person): told(dag, person) for dag in started for person in people})


def _took(airflow: Airflow, dag: str, run: str) -> float:
    told = airflow.get(f"dags/{dag}/dagRuns/{run}")
    return (
        datetime.fromisoformat(told["end_date"]) - datetime.fromisoformat(told["start_date"])
    ).total_seconds()


@pytest.mark.parametrize("dag", EXPECTED)
def test_each_person_is_told_once_what_happened(
    whole_airflow: Running, runs: dict[str, str], dag: str
) -> None:
    expected = EXPECTED[dag]
    numbers = {name: PEOPLE.get(name, name) for name in (*expected.texts, *expected.calls)}

    def told() -> dict[str, list[str]]:
        found = sent(whole_airflow.sandbox)
        return {name: of_dag(dag, runs[dag], found.get(number, ())) for name, number in numbers.items()}

    wanted = {
        name: sorted(
            [
                *expected.texts.get(name, ()),
                *(f"{call} I repeat. {call}" for call in expected.calls.get(name, ())),
            ]
        )
        for name in numbers
    }
    until(
        lambda: all(len(told()[name]) >= len(wanted[name]) for name in numbers), 60, f"{told()}, not {wanted}"
    )
    assert told() == wanted


def test_the_setting_for_all_dags_is_for_those_without_a_notifier(
    whole_airflow: Running, runs: dict[str, str]
) -> None:
    texts = sent(whole_airflow.sandbox)[PEOPLE["anne"]]
    assert len(texts) == len(ALL_SETTING)


def test_each_deadline_of_a_dag_tells_how_late_it_is(whole_airflow: Running, runs: dict[str, str]) -> None:
    run = runs["late"]

    def told(person: str) -> list[str]:
        return sent(whole_airflow.sandbox).get(PEOPLE[person], [])

    until(lambda: told("henri"), 60, "the run that took longer than the average was not told")
    [first] = [text for text in told("david") if run in text]
    assert re.search(r"late missed its deadline of .* UTC, (running|queued) for \d s, run", first)
    assert re.search(
        r"missed its deadline of .* UTC, (running|queued) for \d+ seconds\. I repeat", told("emma")[-1]
    )
    assert told("henri") == [f"{run} is slow"]


def test_of_a_storm_one_is_told_then_how_many_there_were_then_all_clear(night: Night) -> None:
    first, *counts, clear = night.texts["storm", "lola"]
    assert re.fullmatch(r"Airflow: storm\.rows\[\d\] failed, run RUN: ValueError: no rows", first)
    # One, unless the machine is so busy that the storm takes longer than people are left alone.
    assert 1 <= len(counts) < 5
    assert all(re.search(r"storm\.rows\[\d\] failed.* and \d more", count) for count in counts)
    assert len(counts) > 1 or " and 5 more" in counts[0]
    assert clear == "Airflow: all clear, DAG storm succeeded, run RUN"


def test_a_page_is_acknowledged_by_a_reply_and_all_clear_is_told_to_both(night: Night) -> None:
    page, acknowledged, clear = night.texts["paged", "nora"]
    assert page.startswith("paged.rows failed")
    assert "marie" in acknowledged
    assert clear == "Airflow: all clear, paged.rows succeeded, run RUN"
    mine = night.texts["paged", "marie"]
    assert (mine[0].startswith("paged.rows failed"), mine[-1]) == (True, clear)
    assert sum(text == clear for text in mine) == 1


def test_a_mailbox_gets_its_mail(whole_airflow: Running, runs: dict[str, str]) -> None:
    until(lambda: whole_airflow.telemetry.mails, 60, "no mail came")
    [mail] = whole_airflow.telemetry.mails
    assert "data@example.org" in mail
    assert "farid" not in mail.lower()


def test_no_number_is_in_what_airflow_wrote_and_reported(
    whole_airflow: Running, runs: dict[str, str], night: Night
) -> None:
    """Look through its databases, with serialized DAGs and callbacks, its logs, its metrics and its spans."""
    telemetry = whole_airflow.telemetry
    until(lambda: b"callback_success" in telemetry.all(), 60, "no metric of a deadline came")
    time.sleep(3)  # the interval in which metrics are exported
    planted = [number[3:] for number in (*PEOPLE.values(), LITERAL)] + [*KEYS.values()]
    stored = dict(written_by(whole_airflow.home, but_for=["voicepartner.db"]))
    for name, content in {**stored, "telemetry": telemetry.all()}.items():
        for secret in planted:
            assert secret.encode() not in content, f"{name} holds {secret!r}"
    # That they would be found: what Airflow shows of a deadline's arguments, and of a run's.
    assert CONTROL.encode() in stored["airflow.db as SQL"]
    assert b"@david" in stored["airflow.db as SQL"]
    assert b"marie answered" in stored["watchdog.log"]
    assert b"david" in telemetry.all()  # DogStatsD's client writes _ for @
    paths = {path for path, _ in telemetry.exports}
    assert paths == (
        {"/v1/traces", "/v1/metrics"} if whole_airflow.metrics == "opentelemetry" else {"/v1/traces"}
    )
    assert bool(telemetry.packets) is (whole_airflow.metrics == "dogstatsd")


def test_the_incidents_know_people_by_name_alone(
    whole_airflow: Running, runs: dict[str, str], night: Night
) -> None:
    stored = dict(written_by(whole_airflow.home))["voicepartner.db as SQL"].decode()
    incidents = [line for line in stored.splitlines() if 'INSERT INTO "voicepartner_incident' in line]
    for name in ("anne", "bruno", "chloe", "david", "emma", "gina", "ines", "lola", "marie", "nora"):
        assert any(f"'{name}'" in line for line in incidents), name
        assert not any(PEOPLE[name][3:] in line for line in incidents), name
