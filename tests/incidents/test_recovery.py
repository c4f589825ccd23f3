"""All clear is said once, to those who were told, when all that failed has succeeded."""

from __future__ import annotations

from airflow_provider_voicepartner.incidents.model import Happened, Occurrence, Outcome, State, Success
from airflow_provider_voicepartner.incidents.store import IncidentStore
from tests.incidents.conftest import Clock
from tests.support.alerts import ANNE, PLAIN, alert, failure


def tell(incidents: IncidentStore, *alerts: object) -> None:
    """Report alerts; those that are to be told are told to Anne."""
    for one in alerts:
        decision = incidents.report(one)  # type: ignore[arg-type]
        if decision.outcome is Outcome.CLAIMED:
            incidents.told(decision, [ANNE])


def test_the_next_success_of_the_task_closes_its_incident_once(
    incidents: IncidentStore, clock: Clock
) -> None:
    tell(incidents, failure())
    clock.advance(60)
    success = Success(dag_id="etl", task_id="load", run_id="run2", began_at=clock.now)
    (resolved,) = incidents.resolve(success)
    assert resolved.told == (ANNE,)
    assert resolved.incident.state is State.CLOSED
    assert incidents.resolve(success) == []
    assert incidents.find() == []
    assert [one.state for one in incidents.find([State.CLOSED])] == [State.CLOSED]


def test_everybody_is_named_whatever_the_route(incidents: IncidentStore) -> None:
    tell(incidents, failure())
    incidents.told(incidents.report(failure(to="+33612345678", route="call")), [PLAIN, ANNE])
    (resolved,) = incidents.resolve(Success(dag_id="etl", task_id="load", run_id="run1"))
    assert sorted(one.person for one in resolved.told) == ["", "anne"]


def test_another_task_or_dag_clears_nothing(incidents: IncidentStore) -> None:
    tell(incidents, failure())
    assert incidents.resolve(Success(dag_id="etl", task_id="extract", run_id="run1")) == []
    assert incidents.resolve(Success(dag_id="other", run_id="run1")) == []


def test_an_older_run_that_succeeds_later_clears_nothing(incidents: IncidentStore, clock: Clock) -> None:
    began = clock.now
    clock.advance(60)
    tell(incidents, failure(run="run2"))
    clock.advance(60)
    assert incidents.resolve(Success(dag_id="etl", task_id="load", run_id="run1", began_at=began)) == []
    assert incidents.resolve(Success(dag_id="etl", run_id="run1", began_at=began)) == []
    assert len(incidents.resolve(Success(dag_id="etl", task_id="load", run_id="run2", began_at=began))) == 1


def test_a_mapped_task_is_clear_when_each_instance_that_failed_has_succeeded(
    incidents: IncidentStore,
) -> None:
    tell(incidents, failure(index=0), failure(index=5))
    assert incidents.resolve(Success(dag_id="etl", task_id="load", run_id="run1", map_index=1)) == []
    assert incidents.resolve(Success(dag_id="etl", task_id="load", run_id="run1", map_index=0)) == []
    assert len(incidents.resolve(Success(dag_id="etl", task_id="load", run_id="run1", map_index=5))) == 1


def test_what_fails_again_is_not_clear(incidents: IncidentStore) -> None:
    tell(incidents, failure(index=0), failure(index=1))
    incidents.resolve(Success(dag_id="etl", task_id="load", run_id="run1", map_index=0))
    tell(incidents, failure(index=0, tries=2))
    assert incidents.resolve(Success(dag_id="etl", task_id="load", run_id="run1", map_index=1)) == []
    assert len(incidents.resolve(Success(dag_id="etl", task_id="load", run_id="run1", map_index=0))) == 1


def test_a_dag_that_succeeds_clears_its_tasks_its_retries_and_its_deadline(
    incidents: IncidentStore, clock: Clock
) -> None:
    retry = Occurrence(dag_id="etl", run_id="run1", task_id="extract", what=Happened.RETRY)
    late = Occurrence(dag_id="etl", run_id="run1", what=Happened.DEADLINE)
    tell(incidents, alert(late), failure("load"), alert(retry), failure(""))
    clock.advance(60)
    closed = incidents.resolve(Success(dag_id="etl", run_id="run2", began_at=clock.now))
    assert [one.incident.what for one in closed] == ["deadline", "failure", "retry", "failure"]


def test_an_incident_of_several_dags_is_over_when_all_of_them_are(incidents: IncidentStore) -> None:
    other = Occurrence(dag_id="report", run_id="run1", task_id="send", what=Happened.FAILURE)
    tell(incidents, failure(dedup_key="warehouse"), alert(other, dedup_key="warehouse"))
    assert incidents.resolve(Success(dag_id="etl", run_id="run1")) == []
    (resolved,) = incidents.resolve(Success(dag_id="report", run_id="run1"))
    assert resolved.incident.key == "warehouse"


def test_what_was_counted_is_not_told_after_the_all_clear(incidents: IncidentStore, clock: Clock) -> None:
    tell(incidents, failure(index=0), failure(index=1))
    incidents.resolve(Success(dag_id="etl", run_id="run1"))
    clock.advance(901)
    assert incidents.due_messages() == []


def test_where_nobody_was_told_nobody_is_named(incidents: IncidentStore) -> None:
    incidents.not_told(incidents.report(failure()))
    (resolved,) = incidents.resolve(Success(dag_id="etl", run_id="run1"))
    assert resolved.told == ()
