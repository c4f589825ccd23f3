"""All clear is said once, to those who were told, when all that failed has succeeded."""

from __future__ import annotations

import pytest

from airflow_provider_voicepartner.constants import INCIDENT_ENDS_AFTER
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.incidents.acting import Answers
from airflow_provider_voicepartner.incidents.answers import Channel
from airflow_provider_voicepartner.incidents.escalation import Action, Became
from airflow_provider_voicepartner.incidents.model import Happened, Occurrence, Outcome, State, Success
from airflow_provider_voicepartner.incidents.store import IncidentStore
from tests.incidents.conftest import Clock
from tests.support.alerts import ANNE, PLAIN, alert, failure
from tests.support.escalations import POLICY, numbers, page_store, resolver


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


# What nobody closes


def test_after_a_quiet_week_a_failure_is_a_new_incident_that_is_told_at_once(
    incidents: IncidentStore, clock: Clock
) -> None:
    tell(incidents, failure(index=0), failure(index=1), failure(index=2))
    clock.advance(INCIDENT_ENDS_AFTER - 1)
    assert incidents.report(failure(run="run2")).incident == 1
    clock.advance(INCIDENT_ENDS_AFTER + 1)
    decision = incidents.report(failure(run="run3"))
    assert (decision.outcome, decision.is_new, decision.incident, decision.more) == (
        Outcome.CLAIMED,
        True,
        2,
        0,
    )
    assert [one.id for one in incidents.find()] == [2]
    assert [one.id for one in incidents.find([State.CLOSED])] == [1]
    incidents.told(decision, [PLAIN])
    clock.advance(901)
    # What was counted of the old one is not told any more, and whoever was told of it alone hears no all clear.
    assert incidents.due_messages() == []
    (resolved,) = incidents.resolve(Success(dag_id="etl", task_id="load", run_id="run3"))
    assert resolved.told == (PLAIN,)


def test_the_same_alert_once_more_after_a_week_is_told_as_well(
    incidents: IncidentStore, clock: Clock
) -> None:
    tell(incidents, failure())
    clock.advance(INCIDENT_ENDS_AFTER)
    assert incidents.report(failure()).outcome is Outcome.CLAIMED


def test_a_message_that_goes_out_late_does_not_keep_an_incident_open(
    incidents: IncidentStore, clock: Clock
) -> None:
    tell(incidents, failure(index=0), failure(index=1))
    clock.advance(INCIDENT_ENDS_AFTER - 10)
    (due,) = incidents.due_messages()
    decision = incidents.claim_due(due)
    assert decision is not None
    incidents.told(decision, [ANNE])
    clock.advance(10)
    assert incidents.report(failure(run="run2")).is_new


def test_a_silenced_alert_of_an_ended_incident_belongs_to_none(
    incidents: IncidentStore, store: Store, clock: Clock
) -> None:
    from airflow_provider_voicepartner.incidents.silences import Silences

    tell(incidents, failure())
    clock.advance(INCIDENT_ENDS_AFTER)
    Silences(store).add({"dag_id": "etl"}, seconds=60, author="anne")
    decision = incidents.report(failure(run="run2"))
    assert (decision.outcome, decision.incident) == (Outcome.SILENCED, 0)


@pytest.mark.parametrize("runs", [True, False], ids=["with a runner", "without a runner"])
def test_an_escalation_that_goes_on_keeps_its_incident_open_and_one_without_a_runner_does_not(
    incidents: IncidentStore, store: Store, clock: Clock, runs: bool
) -> None:
    decision = incidents.report(failure(policy="night"))
    pages = page_store(store)
    pages.start(decision.incident, POLICY)
    clock.advance(INCIDENT_ENDS_AFTER)
    if runs:
        for one in pages.take_turn(decision.incident, resolver):
            pages.record(one, Became.SENT)
    clock.advance(1)
    assert incidents.report(failure(run="run2", policy="night")).is_new is not runs


def test_what_somebody_took_for_good_stays_theirs_for_a_week_and_then_pages_anew(
    incidents: IncidentStore, store: Store, clock: Clock
) -> None:
    from dataclasses import replace

    decision = incidents.report(failure(policy="night"))
    pages = page_store(store)
    pages.start(decision.incident, replace(POLICY, acknowledged_for=None))
    clock.advance(INCIDENT_ENDS_AFTER - 1)
    Answers(store, pages).by_name(
        decision.incident, Action.ACKNOWLEDGE, "anne", Channel.CLI, numbers, digest="one"
    )
    clock.advance(INCIDENT_ENDS_AFTER - 1)
    assert not incidents.report(failure(run="run2", policy="night")).is_new
    clock.advance(INCIDENT_ENDS_AFTER)
    assert incidents.report(failure(run="run3", policy="night")).is_new


# Who was paged


@pytest.mark.parametrize("became", [Became.SENT, Became.IN_DOUBT, None, Became.NOT_SENT])
def test_whoever_may_have_been_paged_is_named_and_nothing_more_is_due(
    incidents: IncidentStore, store: Store, clock: Clock, became: Became | None
) -> None:
    decision = incidents.report(failure(policy="night"))
    pages = page_store(store)
    pages.start(decision.incident, POLICY)
    (page,) = pages.take_turn(decision.incident, resolver)
    if became is not None:
        pages.record(page, became)
    (resolved,) = incidents.resolve(Success(dag_id="etl", task_id="load", run_id="run1"))
    assert resolved.told == (() if became is Became.NOT_SENT else (ANNE,))
    assert incidents.told_of(decision.incident) == resolved.told
    clock.advance(86_400)
    assert pages.due() == []
    assert pages.take_turn(decision.incident, resolver) == ()
    assert not pages.still_wanted(page)


def test_a_page_whose_sender_died_is_named_also_once_it_is_in_doubt(
    incidents: IncidentStore, store: Store, clock: Clock
) -> None:
    decision = incidents.report(failure(policy="night"))
    pages = page_store(store)
    pages.start(decision.incident, POLICY)
    pages.take_turn(decision.incident, resolver)
    clock.advance(3600)
    assert len(pages.expire()) == 1
    (resolved,) = incidents.resolve(Success(dag_id="etl", task_id="load", run_id="run1"))
    assert resolved.told == (ANNE,)
