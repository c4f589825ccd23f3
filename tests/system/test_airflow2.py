"""Alerts under a real scheduler of Airflow 2.11: by the setting for all DAGs, by notifiers, and in place of e-mails."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow import __version__

from tests.conftest import KEYS, LOGIN
from tests.support.standalone import airflow_command, environment, sent, telemetry, until, written_by
from tests.system.conftest import PEOPLE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not __version__.startswith("2."), reason="is about Airflow 2"),
]

DAGS = ("plain", "killed", "own", "of_tasks", "mails")
EXPECTED = {
    "anne": [
        "Airflow: DAG killed failed in die, run RUN",
        "Airflow: DAG plain failed in check, load, run RUN",
    ],
    "bruno": ["Airflow: DAG own failed in load, run RUN"],
    "chloe": [
        "Airflow: of_tasks.load failed, run RUN: ValueError: no rows",
        "Airflow: of_tasks.mapped[1] failed, run RUN: ValueError: no rows",
        "Airflow: of_tasks.retried failed, will be retried (try 1 of 2), run RUN: ValueError: no rows",
        "Airflow: of_tasks.skipped skipped, run RUN",
        "Airflow: of_tasks.succeeds succeeded, run RUN",
    ],
    "david": [
        "Airflow. Task retried of DAG of tasks failed, try 2 of 2. Value Error: no rows. I repeat. "
        "Airflow. Task retried of DAG of tasks failed, try 2 of 2. Value Error: no rows."
    ],
    "farid": ["Airflow: mails.mailed failed, run RUN: no rows"],
    "karim": ["Airflow: mails.again failed, will be retried (try 1 of 2), run RUN: no rows"],
}


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[tuple[Any, Any, Path]]:
    from airflow_provider_voicepartner.sandbox import running_sandbox

    home = tmp_path / "airflow"
    shutil.copytree(Path(__file__).parent / "airflow2", home / "dags")
    contacts = tmp_path / "contacts.json"
    contacts.write_text(json.dumps({"people": {name: {"phone": number} for name, number in PEOPLE.items()}}))
    settings = {name: {"api_key": key} for name, key in KEYS.items()}
    settings["octopush"]["api_login"] = LOGIN
    with running_sandbox(port=0, seed=1, speed=5, settings=settings) as sandbox, telemetry() as told:
        env = environment(home, 0, sandbox) | {
            "AIRFLOW__VOICEPARTNER__CONTACTS": str(contacts),
            "AIRFLOW__VOICEPARTNER__ALERT_TO": "@anne",
            "AIRFLOW__VOICEPARTNER__ALERT_DAGS": "!mails",
            "AIRFLOW__EMAIL__EMAIL_BACKEND": "airflow_provider_voicepartner.notifications.email.send_email",
            "AIRFLOW__SMTP__SMTP_HOST": "127.0.0.1",
            "AIRFLOW__SMTP__SMTP_PORT": str(told.smtp_port),
            "AIRFLOW__SMTP__SMTP_STARTTLS": "False",
            "AIRFLOW__SMTP__SMTP_SSL": "False",
            "AIRFLOW__SCHEDULER__PARSING_PROCESSES": "1",
        }
        airflow = str(Path(sys.executable).parent / "airflow")
        subprocess.run(
            [airflow, "db", "migrate"], env=env, cwd=home, check=True, capture_output=True, timeout=300
        )
        with airflow_command("scheduler", home, env):
            yield sandbox, told, home


def test_each_person_is_told_once(scheduler: tuple[Any, Any, Path]) -> None:
    sandbox, told, home = scheduler

    def texts() -> dict[str, list[str]]:
        found = sent(sandbox)
        return {
            name: sorted(re.sub(r"scheduled__\S*\d", "RUN", text) for text in found.get(PEOPLE[name], ()))
            for name in EXPECTED
        }

    with contextlib.suppress(AssertionError):
        until(
            lambda: sum(map(len, texts().values())) >= sum(map(len, EXPECTED.values())) and told.mails,
            400,
            "",
        )
    assert texts() == EXPECTED
    [mail] = told.mails
    assert "data@example.org" in mail
    assert "farid" not in mail.lower()
    for name, content in written_by(home, but_for=["voicepartner.db"]):
        for number in PEOPLE.values():
            assert number[3:].encode() not in content, name
