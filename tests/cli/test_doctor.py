"""``doctor`` over real DAG files: it names each DAG that would fail in silence, and what else is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.watchdog.memory import WatchMemory
from tests.support.escalations import open_incident

PROJECT = Path(__file__).resolve().parents[2]
HEAD = """
from datetime import datetime
from airflow_provider_voicepartner.notifications.sms import SmsNotifier

try:
    from airflow.sdk import dag, task
except ImportError:
    from airflow.decorators import dag, task

NOTIFIER = SmsNotifier(to="+33612345678", conn_id="sms")
OLD = {"schedule": None, "start_date": datetime(2026, 1, 1)}
"""
DAGS = (
    HEAD
    + """

@dag(on_failure_callback=[NOTIFIER], **OLD)
def heard():
    @task
    def load(): ...
    load()


@dag(**OLD)
def silent():
    @task
    def load(): ...
    load()


@dag(**OLD)
def weak():
    @task(on_failure_callback=NOTIFIER)
    def load(number): ...
    load.expand(number=[1, 2])


@dag(**OLD)
def half():
    @task(on_failure_callback=NOTIFIER)
    def load(): ...
    @task
    def check(): ...
    load() >> check()


@dag(**OLD)
def empty(): ...


@dag(on_failure_callback=SmsNotifier(to="+33612345678", conn_id="{{ x }}"), default_args={}, **OLD)
def templated():
    @task
    def load(): ...
    load()


for one in (heard, silent, weak, half, empty, templated):
    one()
"""
)
CONFIG = """
[airflow]
url = "https://airflow.example.org"
[tell]
conn_id = "calls"
kind = "tts"
to = "@anne"
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "all.py").write_text(DAGS, encoding="utf-8")
    return tmp_path


Doctor = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def doctor(home: Path) -> Doctor:
    def ask(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        return subprocess.run(
            [sys.executable, "-m", "airflow_provider_voicepartner", "doctor", *arguments],
            env=clean
            | {
                "AIRFLOW_HOME": str(home),
                "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                "AIRFLOW__VOICEPARTNER__STORE_URL": f"sqlite:///{home / 'store.db'}",
                "AIRFLOW_CONN_SMS": '{"conn_type": "smspartner", "password": "planted-key"}',
                "PYTHONPATH": str(PROJECT),
            }
            | environment,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    return ask


def said(done: subprocess.CompletedProcess[str]) -> list[str]:
    beginnings = ("DAG ", "No watchdog", "The watchdog", "Note: ", "people.", "tell", "the watchdog")
    return [
        line
        for line in done.stdout.splitlines()
        if line.startswith(beginnings) or "cannot be imported" in line
    ]


def test_each_dag_that_would_fail_in_silence_is_named(doctor: Doctor, home: Path) -> None:
    (home / "dags" / "broken.py").write_text(HEAD + "\nimport no_such_module\n", encoding="utf-8")
    done = doctor()
    assert done.returncode == 1
    lines = said(done)
    assert lines[0].startswith("No watchdog has ever given a sign of life")
    assert "broken.py cannot be imported" in lines[1]
    assert [line.partition(";")[0] for line in lines[2:6]] == [
        "DAG empty: nobody would hear of a failure",
        "DAG half: nobody would hear of a failure in check",
        "DAG silent: nobody would hear of a failure",
        "DAG weak: only callbacks or mails of its tasks tell, and none of them where a task is killed",
    ]
    assert lines[6].startswith("Note: ")
    assert len(lines) == 7
    assert done.stderr.splitlines()[-1] == "error: 6 problems"
    assert "planted" not in done.stdout + done.stderr


@pytest.mark.slow
def test_a_watchdog_that_lives_covers_dags_and_one_that_died_covers_none(doctor: Doctor, home: Path) -> None:
    def beat(now: float, include: list[str]) -> None:
        store = open_store(f"sqlite:///{home / 'store.db'}", purpose="tests", clock=lambda: now)
        WatchMemory(store).beat("paris", {"interval": 10.0, "include": include, "exclude": []})
        store.close()

    import time

    beat(time.time(), ["*"])
    done = doctor()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 DAGs; somebody would hear of the failure of each." in done.stdout
    beat(time.time(), ["h*"])
    assert [line[:11] for line in said(doctor())[:3]] == ["DAG empty: ", "DAG silent:", "DAG weak: o"]
    beat(time.time() - 3_600, ["*"])
    lines = said(doctor())
    assert lines[0] == "The watchdog paris gave its last sign of life 60 min ago; start it"
    assert len([line for line in lines if line.startswith("DAG ")]) == 4


PAGES = (
    HEAD
    + """
from datetime import timedelta
from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
from airflow.sdk import AsyncCallback, DeadlineAlert, DeadlineReference
from airflow_provider_voicepartner.notifications.page import PageNotifier
from airflow_provider_voicepartner.notifications.question import QuestionNotifier


@dag(on_failure_callback=PageNotifier(policy="night"), **OLD)
def paged():
    @task
    def load(): ...
    load()


@dag(
    on_failure_callback=NOTIFIER,
    deadline=[
        DeadlineAlert(
            reference=DeadlineReference.DAGRUN_QUEUED_AT,
            interval=timedelta(hours=1),
            callback=AsyncCallback(SmsNotifier, kwargs=arguments),
        )
        for arguments in ({"to": "@anne", "conn_id": "late"}, {"to": "@anne", "conn": "sms"})
    ],
    **OLD,
)
def late():
    @task
    def load(): ...
    load()


@dag(on_failure_callback=NOTIFIER, **OLD)
def asks():
    ApprovalOperator(task_id="sms", subject="?", notifiers=[QuestionNotifier(to="@anne", conn_id="sms")])
    ApprovalOperator(
        task_id="call", subject="?", notifiers=[QuestionNotifier(to="@anne", by="call", conn_id="calls")]
    )
    HITLOperator(
        task_id="many", subject="?", options=list(map(str, range(1, 12))),
        notifiers=[QuestionNotifier(to="@anne", conn_id="sms")],
    )


for one in (paged, late, asks):
    one()
"""
)
PEOPLE = """
[people.anne]
phone = "0612345678"
[policies.night]
steps = [{ who = "anne", by = "sms", wait = "5m" }, { who = "anne", by = "call", wait = "5m" }]
sms = "sms"
call = "missing"
"""


@pytest.mark.airflow3
def test_pages_questions_and_deadlines_that_would_not_work(doctor: Doctor, home: Path) -> None:
    (home / "dags" / "all.py").write_text(PAGES, encoding="utf-8")
    (home / "contacts.toml").write_text(PEOPLE, encoding="utf-8")
    (home / "watchdog.toml").write_text(CONFIG + 'policy = "nigth"\n', encoding="utf-8")
    environment = {
        "AIRFLOW__VOICEPARTNER__CONTACTS": str(home / "contacts.toml"),
        "AIRFLOW_CONN_CALLS": '{"conn_type": "voicepartner", "password": "planted-key"}',
    }
    only = "people can only answer in Airflow"
    lines = [line for line in doctor(**environment).stdout.splitlines() if line.startswith("DAG ")]
    nobody = "no watchdog runs, which gives answers to Airflow"
    assert lines == [
        "DAG late: a deadline alert: SmsNotifier has no argument 'conn'; did you mean 'conn_id'?",
        "DAG late: connection 'late' was not found, or its secrets backend could not be reached; nothing was sent",
        "DAG paged, policy night: connection 'missing' was not found, or its secrets backend could not be reached; "
        "nothing was sent",
        "DAG paged: only the first step of policy night is paged, and no answer is heard: no watchdog runs, and no "
        "DAG has a PageOperator",
        *(f"DAG asks, task {task}: {only}: {nobody}" for task in ("sms", "call", "many")),
    ]

    (home / "contacts.toml").write_text(PEOPLE.replace('"missing"', '"calls"'), encoding="utf-8")
    done = doctor(
        "--config",
        str(home / "watchdog.toml"),
        AIRFLOW__VOICEPARTNER__PUBLIC_URL="https://airflow.example.org",
        AIRFLOW__VOICEPARTNER__CALLBACK_SECRET="only-for-this-test-8264",
        AIRFLOW_CONN_LATE='{"conn_type": "smspartner", "password": "planted-key"}',
        **environment,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith(("DAG ", "the watchdog"))]
    assert lines[1].startswith("the watchdog: policy: 'nigth' is no policy of ")
    assert lines[2:] == [
        f"DAG asks, task call: {only}: the gateway of calls does not report answers to it; take another conn_id",
        f"DAG asks, task many: {only}: it has more than 9 options, or options that look like the number of another",
    ]
    assert "planted" not in done.stdout + done.stderr


def test_contacts_and_connections_with_mistakes(doctor: Doctor, home: Path) -> None:
    (home / "contacts.toml").write_text("[people.anne]\nphone = '12'\n", encoding="utf-8")
    (home / "watchdog.toml").write_text(CONFIG, encoding="utf-8")
    done = doctor(
        "--config",
        str(home / "watchdog.toml"),
        AIRFLOW__VOICEPARTNER__CONTACTS=str(home / "contacts.toml"),
        AIRFLOW_CONN_SMS='{"conn_type": "http"}',
        AIRFLOW_CONN_CALLS='{"conn_type": "smspartner", "password": "planted-key"}',
        AIRFLOW__VOICEPARTNER__ALERT_TO="@ane",
        AIRFLOW__VOICEPARTNER__ALERT_CONN_ID="gone",
        AIRFLOW__VOICEPARTNER__ALERT_FALLBACK="call:calls2",
        AIRFLOW_CONN_CALLS2='{"conn_type": "http"}',
    )
    text = done.stdout
    assert "people.anne" in text
    assert "DAG half: conn_id: connection 'sms' has the type 'http'" in text
    assert "[voicepartner] alert_to: connection 'gone' was not found" in text
    assert "[voicepartner] alert_to: conn_id: connection 'calls2' has the type 'http'" in text
    assert "[voicepartner] alert_to: to: @ane is not in " in text
    assert "the watchdog: conn_id: a notifier sends text-to-speech calls, which" in text
    # It watches all DAGs, if only it runs.
    assert "nobody would hear of a failure" not in text
    assert "planted" not in done.stdout + done.stderr


def test_open_incidents_whose_policy_is_gone_are_named_unless_the_last_resort_is_paged(
    doctor: Doctor, home: Path
) -> None:
    with closing(open_store(f"sqlite:///{home / 'store.db'}")) as store:
        for policy in ("gone", "gone", None):
            open_incident(store, policy=policy)
    people = "[people.anne]\nphone = '0612345678'\n"
    environment = {"AIRFLOW__VOICEPARTNER__CONTACTS": str(home / "contacts.toml")}
    (home / "contacts.toml").write_text(people, encoding="utf-8")
    text = doctor(**environment).stdout
    assert "Open incidents 1, 2: Nobody can be paged: policy: 'gone' is no policy of " in text
    (home / "contacts.toml").write_text(f'last_resort = "anne"\n{people}', encoding="utf-8")
    assert "Open incidents" not in doctor(**environment).stdout
