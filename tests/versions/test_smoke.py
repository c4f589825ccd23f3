"""The first DAG of a user, on each Airflow that is promised, by Airflow's own command line."""

from __future__ import annotations

from typing import Any

import pytest

from tests.versions.conftest import Airflow

pytestmark = pytest.mark.timeout(900)  # each starts Airflow several times
ANNA, BEN, ON_CALL = "+33612345601", "+33612345602", "+33612345603"


@pytest.fixture
def ticking(sandbox: Any) -> Any:
    """Return the sandbox with its clock running fast, so that messages are delivered while the sensor waits."""
    with sandbox.world.lock:
        sandbox.world.clock.set_speed(200.0)
    yield sandbox
    with sandbox.world.lock:
        sandbox.world.clock.set_speed(0.0)


def test_a_dag_sends_waits_and_tells_of_a_failure(airflow: Airflow, ticking: Any) -> None:
    said = airflow("dags", "test", "smoke", "2026-01-02")
    reached = dict(ticking.world.tallies["smspartner"].numbers)
    assert reached == {ANNA: 1, BEN: 1, ON_CALL: 1}, said
    texts = {
        line.number: line.text or campaign.text
        for campaign in ticking.world.campaigns["smspartner"].values()
        for line in campaign.lines
    }
    assert texts == {ANNA: "Hello Anna", BEN: "Hello Ben", ON_CALL: "breaks of smoke failed"}
    assert "2 delivered" in said
    assert "is a trial: True" in said


@pytest.mark.slow
def test_a_task_that_is_tried_out_sends_and_can_know(airflow: Airflow, sandbox: Any) -> None:
    # Of a date that has no run; where there is one, its ledger is found.
    said = airflow("tasks", "test", "smoke", "send", "2026-03-01")
    assert dict(sandbox.world.tallies["smspartner"].numbers) == {ANNA: 1, BEN: 1}, said
    assert "is a trial: True" in airflow("tasks", "test", "smoke", "breaks", "2026-03-01")


@pytest.mark.slow
def test_an_example_that_plans_for_tomorrow_and_takes_it_back(airflow: Airflow, sandbox: Any) -> None:
    said = airflow("dags", "test", "cancel_campaign")
    campaign = next(iter(sandbox.world.campaigns["smspartner"].values()), None)
    assert campaign is not None, said
    assert campaign.cancelled, said
    assert dict(sandbox.world.tallies["smspartner"].numbers) == {}
