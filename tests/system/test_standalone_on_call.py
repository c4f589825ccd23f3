"""
A whole Airflow without a watchdog: a failed task pages, an asset event starts the DAG that goes on, people answer.

Its triggerer is killed while that DAG waits in it, and while a gateway that is not in this package is polled by it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.sandbox import running_sandbox
from airflow_provider_voicepartner.sandbox.outcomes import Rule
from tests.conftest import KEYS, LOGIN
from tests.external.metadata import DISTRIBUTION, write_metadata
from tests.external.server import ACCOUNT, KEY, Acme
from tests.support.escalations import incident_row, page_rows
from tests.support.standalone import (
    LIMIT,
    Airflow,
    Parts,
    environment,
    free_port,
    running_parts,
    sent,
    until,
    written_by,
)
from tests.system.conftest import NUMBERS, PEOPLE, SECRET

pytestmark = [pytest.mark.airflow3, pytest.mark.slow]

WAIT = 30.0
"""Seconds of a step: the shortest that there is."""


def policy(*people: str) -> dict[str, Any]:
    """Return a policy that pages them one after the other, until somebody has it."""
    steps = [{"who": f"@{name}", "by": "sms", "wait": f"{WAIT:g}s"} for name in people]
    return {"steps": steps, "sms": "smspartner_default", "acknowledged_for": "never"}


@dataclass
class Office:
    """An Airflow in parts, its gateways, and what became of its incidents."""

    parts: Parts
    airflow: Airflow
    sandbox: Any
    acme: Acme

    @property
    def home(self) -> Path:
        """Of the Airflow."""
        return self.parts.home

    def texts(self, person: str) -> Sequence[str]:
        """Return what somebody was sent."""
        found = sent(self.sandbox)
        return [*found.get(PEOPLE[person], ()), *found.get(PEOPLE[person][1:], ())]

    def pages(self, incident: int) -> list[tuple[str, str, str]]:
        """Return what was sent about an incident: purpose, person and what became of it."""
        with closing(open_store(self.parts.env["AIRFLOW__VOICEPARTNER__STORE_URL"])) as store:
            return [(row.purpose, row.person, row.phase) for row in page_rows(store, incident)]

    def incident(self, number: int) -> Any:
        """Return the row of an incident."""
        with closing(open_store(self.parts.env["AIRFLOW__VOICEPARTNER__STORE_URL"])) as store:
            return incident_row(store, number)

    def runs(self) -> list[dict[str, Any]]:
        """Return the runs of the DAG that goes on, the oldest first."""
        found = self.airflow.get("dags/goes_on/dagRuns?order_by=id").get("dag_runs", [])
        return [dict(run) for run in found]

    def told(self) -> set[int]:
        """Return the incidents of which asset events started a run."""
        runs = [run["dag_run_id"] for run in self.runs()]
        paths = [f"dags/goes_on/dagRuns/{run}/upstreamAssetEvents" for run in runs]
        return {
            event["extra"]["payload"]["incident"]
            for path in paths
            for event in self.airflow.get(path).get("asset_events", [])
        }

    def is_waiting(self) -> bool:
        """Say whether the DAG that goes on waits in the triggerer."""
        return any(
            "deferred" in self.airflow.states("goes_on", run["dag_run_id"]).values() for run in self.runs()
        )

    def answers(self, person: str, **answer: Any) -> None:
        """Let somebody answer the next message."""
        rule = {"number": PEOPLE[person], "outcome": "delivered", "after": 5.0, **answer}
        self.sandbox.world.rules.set(Rule.model_validate(rule))


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    home, outside = tmp_path_factory.mktemp("airflow"), tmp_path_factory.mktemp("outside")
    (home / "dags").mkdir()
    dags = Path(__file__).parent / "standalone" / "on_call.py"
    (home / "dags" / dags.name).write_bytes(dags.read_bytes())
    contacts = {
        "people": {name: {"phone": number, "language": "en"} for name, number in PEOPLE.items()},
        "policies": {"replied": policy("anne", "bruno", "chloe"), "linked": policy("david", "emma")},
    }
    (outside / "contacts.json").write_text(json.dumps(contacts), encoding="utf-8")
    write_metadata(outside)
    acme, port = Acme(), free_port()
    keys = {name: {"api_key": key} for name, key in KEYS.items()}
    keys["octopush"]["api_login"] = LOGIN
    connection = {"conn_type": "acme", "host": acme.url, "login": ACCOUNT, "password": KEY}
    with running_sandbox(port=0, seed=1, settings=keys, speed=5) as sandbox:
        env = environment(home, port, sandbox)
        env |= {
            "AIRFLOW__VOICEPARTNER__CALLBACK_SECRET": SECRET,
            "AIRFLOW__VOICEPARTNER__RECEIVER_ENABLED": "True",
            "AIRFLOW__VOICEPARTNER__CONTACTS": str(outside / "contacts.json"),
            # Who takes over the triggers of a triggerer that was killed waits for this long.
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "8",
            "AIRFLOW_CONN_ACME_DEFAULT": json.dumps(connection),
            "AIRFLOW_VAR_STANDALONE_TO": ",".join(NUMBERS),
            "PYTHONPATH": os.pathsep.join([env["PYTHONPATH"], str(DISTRIBUTION), str(outside)]),
        }
        try:
            with running_parts(home, port, env) as (parts, airflow):
                yield Office(parts, airflow, sandbox, acme)
        finally:
            acme.close()


def test_a_failure_pages_step_by_step_across_killed_triggerers_until_a_reply(office: Office) -> None:
    chance = Random(7)
    office.answers("bruno", reply="1", after=60.0)
    office.acme.states = dict.fromkeys(NUMBERS, "accepted")
    campaign = office.airflow.run("through_another_gateway")
    office.airflow.run("paging_replied")
    until(office.is_waiting, LIMIT, "no asset event started the DAG that goes on")
    assert office.pages(1) == [("page", "anne", "sent")]
    until(
        lambda: office.airflow.states("through_another_gateway", campaign).get("wait") == "deferred",
        LIMIT,
        "the other gateway's campaign is not waited for in the triggerer",
    )

    # While the first wait goes on; and while the reply to the second page comes in.
    time.sleep(chance.uniform(0, 5))
    office.parts.kill("triggerer")
    time.sleep(chance.uniform(0, 5))
    office.parts.start("triggerer")
    until(lambda: office.texts("bruno"), LIMIT, "the second step was lost")
    time.sleep(chance.uniform(0, 3))
    office.parts.kill("triggerer")
    office.acme.states = {}
    office.parts.start("triggerer")

    until(lambda: len(office.texts("anne")) == 2, LIMIT, "nobody heard who has it")
    assert office.told() == {1}
    for run in office.runs():
        assert office.airflow.ended("goes_on", run["dag_run_id"]) == "success"
    row = office.incident(1)
    assert (row.state, row.owner, row.due_at) == ("acknowledged", "bruno", None)
    assert office.pages(1) == [
        ("page", "anne", "sent"),
        ("page", "bruno", "sent"),
        ("owned", "anne", "sent"),
        ("answer", "bruno", "sent"),
    ]
    assert "bruno" in office.texts("anne")[1]
    assert len(office.texts("bruno")) == 2
    assert office.texts("chloe") == []

    assert office.airflow.ended("through_another_gateway", campaign) == "success"
    assert office.acme.taken == dict.fromkeys(NUMBERS, 1)
    assert office.acme.polls > len(NUMBERS)
    logs = list((office.home / "logs" / "dag_id=through_another_gateway").rglob("*.trigger.*.log"))
    assert logs


def test_a_pressed_link_ends_the_wait_at_once(office: Office) -> None:
    office.answers("david", link="press")
    office.airflow.run("paging_linked")
    until(lambda: 2 in office.told(), LIMIT, "no asset event started the DAG that goes on")
    until(lambda: office.incident(2).owner, LIMIT, "the link was not pressed")
    for run in office.runs():
        assert office.airflow.ended("goes_on", run["dag_run_id"]) == "success"
    row = office.incident(2)
    assert (row.state, row.owner, row.due_at) == ("acknowledged", "david", None)
    assert [page for page in office.pages(2) if page[0] == "page"] == [("page", "david", "sent")]
    assert office.texts("emma") == []


def test_nothing_that_airflow_wrote_holds_a_number_or_a_key(office: Office) -> None:
    planted = [*KEYS.values(), KEY, SECRET, *(number[3:] for number in (*PEOPLE.values(), *NUMBERS))]
    stored = dict(written_by(office.home, but_for=["voicepartner.db"]))
    for name, content in stored.items():
        for secret in planted:
            assert secret.encode() not in content, f"{name} holds {secret!r}"
    assert b"standalone_incidents" in stored["airflow.db as SQL"]
