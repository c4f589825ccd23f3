"""A DAG's failure silences its tasks', a failure its deadline's, for the same people and the same run."""

from __future__ import annotations

import pytest

from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.incidents.model import Alert, Happened, Occurrence, Outcome
from airflow_provider_voicepartner.incidents.silences import Silences
from airflow_provider_voicepartner.incidents.store import IncidentStore
from tests.incidents.conftest import Clock
from tests.support.alerts import ANNE, alert, failure


def deadline(run: str = "run1") -> Alert:
    """Return the alert of a missed deadline."""
    return alert(Occurrence(dag_id="etl", run_id=run, what=Happened.DEADLINE, moment="2031-05-06T12:00:00Z"))


def tell(incidents: IncidentStore, one: Alert) -> None:
    """Report an alert that is told."""
    decision = incidents.report(one)
    assert decision.outcome is Outcome.CLAIMED
    incidents.told(decision, [ANNE])


def test_a_dags_failure_silences_its_tasks(incidents: IncidentStore) -> None:
    tell(incidents, failure(""))
    held = incidents.report(failure("load"))
    assert held.outcome is Outcome.INHIBITED
    assert "DAG's failure" in held.by
    assert incidents.known([failure("load").occurrence])
    assert [one.task_id for one in incidents.find()] == [""]


@pytest.mark.parametrize("held", [failure("load"), deadline()], ids=["a task", "the deadline"])
@pytest.mark.parametrize("counted", [False, True], ids=["the DAG's", "another run's"])
def test_a_failure_that_is_still_being_told_silences_nothing(
    incidents: IncidentStore, held: Alert, counted: bool
) -> None:
    """Its sender may die, or reach nobody, when the one that it held back has gone."""
    under_way = incidents.report(failure("", run="run0" if counted else "run1"))
    if counted:
        assert incidents.report(failure("")).outcome is Outcome.COUNTED
    assert incidents.report(held).outcome is Outcome.CLAIMED
    incidents.not_told(under_way)


def test_a_failure_that_is_counted_silences_where_people_were_told_of_another_run(
    incidents: IncidentStore,
) -> None:
    tell(incidents, failure("", run="run0"))
    assert incidents.report(failure("")).outcome is Outcome.COUNTED
    assert incidents.report(failure("load")).outcome is Outcome.INHIBITED


def test_a_silenced_failure_of_the_dag_silences_nothing(incidents: IncidentStore, store: Store) -> None:
    Silences(store).add({"key": "failure dag_id=etl"}, seconds=600)
    assert incidents.report(failure("")).outcome is Outcome.SILENCED
    assert incidents.report(failure("load")).outcome is Outcome.CLAIMED
    assert incidents.report(deadline()).outcome is Outcome.CLAIMED


@pytest.mark.parametrize("task", ["", "load"])
def test_a_failure_silences_the_deadline_of_its_run(incidents: IncidentStore, task: str) -> None:
    tell(incidents, failure(task))
    assert incidents.report(deadline()).outcome is Outcome.INHIBITED
    assert incidents.report(deadline("run2")).outcome is Outcome.CLAIMED


def test_another_run_silences_nothing(incidents: IncidentStore) -> None:
    tell(incidents, failure("", run="run1"))
    assert incidents.report(failure("load", run="run2")).outcome is Outcome.CLAIMED


def test_who_was_not_told_of_the_dags_failure_is_told_of_the_tasks(incidents: IncidentStore) -> None:
    tell(incidents, failure("", to="@boss"))
    assert incidents.report(failure("load", to="@oncall")).outcome is Outcome.CLAIMED


def test_a_failure_that_nobody_was_told_of_silences_nothing(incidents: IncidentStore) -> None:
    incidents.not_told(incidents.report(failure("")))
    assert incidents.report(failure("load")).outcome is Outcome.CLAIMED


def test_a_retry_or_a_failure_of_another_task_silences_nothing(incidents: IncidentStore) -> None:
    retry = Occurrence(dag_id="etl", run_id="run1", task_id="load", what=Happened.RETRY)
    tell(incidents, alert(retry))
    tell(incidents, failure("extract"))
    tell(incidents, failure("load"))
    tell(incidents, failure(""))


def test_what_was_told_before_the_run_was_cleared_silences_nothing(
    incidents: IncidentStore, clock: Clock
) -> None:
    tell(incidents, failure(""))
    clock.advance(600)
    began = clock.now
    clock.advance(60)
    assert incidents.report(failure("load", tries=2, run_began_at=began)).outcome is Outcome.CLAIMED


def test_what_is_over_silences_nothing(incidents: IncidentStore) -> None:
    tell(incidents, failure(""))
    incidents.close(failure("").key)
    assert incidents.report(failure("load")).outcome is Outcome.CLAIMED


def test_once_people_know_of_the_dag_what_was_counted_of_its_tasks_is_not_told(
    incidents: IncidentStore, clock: Clock
) -> None:
    tell(incidents, failure("load", index=0))
    for index in range(1, 20):
        incidents.report(failure("load", index=index))
    incidents.report(failure("load", index=0, run="run2"))
    tell(incidents, failure(""))
    clock.advance(901)
    assert [due.alerts for due in incidents.due_messages()] == [1]  # of the other run
