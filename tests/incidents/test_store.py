"""One alert of many is told, the others are counted, and nobody who sends and dies keeps people from being told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.incidents.model import (
    Decision,
    Happened,
    Occurrence,
    Outcome,
    State,
    Told,
)
from airflow_provider_voicepartner.incidents.store import IncidentStore
from tests.incidents.conftest import Clock
from tests.support.alerts import ANNE, PLAIN, alert, failure
from tests.support.escalations import page_store


def claimed(decision: Decision | None, *, more: int = 0, may_be_repeat: bool = False) -> Decision:
    """Check that a decision is to send, and what."""
    assert decision is not None
    assert decision.outcome is Outcome.CLAIMED
    assert (decision.more, decision.may_be_repeat) == (more, may_be_repeat)
    return decision


def test_the_first_alert_is_told_the_rest_is_counted_and_the_next_says_how_many(
    incidents: IncidentStore, clock: Clock
) -> None:
    first = claimed(incidents.report(failure(index=0)))
    assert first.is_new
    incidents.told(first, [ANNE])
    for index in range(1, 50):
        assert incidents.report(failure(index=index)).outcome is Outcome.COUNTED
    clock.advance(901)
    last = claimed(incidents.report(failure(index=50)), more=49)
    incidents.told(last, [ANNE])
    incident = incidents.get(first.incident)
    assert incident is not None
    assert (incident.alerts, incident.untold, incident.state) == (51, 0, State.OPEN)
    assert incidents.told_of(first.incident) == (ANNE,)


def test_while_somebody_sends_the_others_are_counted(incidents: IncidentStore) -> None:
    claimed(incidents.report(failure(index=0)))
    assert incidents.report(failure(index=1)).outcome is Outcome.COUNTED


def test_several_messages_may_leave_at_once_where_at_most_allows_it(incidents: IncidentStore) -> None:
    outcomes = [incidents.report(failure(index=index, at_most="3/1h")).outcome for index in range(5)]
    assert outcomes == [*[Outcome.CLAIMED] * 3, *[Outcome.COUNTED] * 2]


def test_none_tells_of_every_alert(incidents: IncidentStore) -> None:
    for index in range(5):
        incidents.told(claimed(incidents.report(failure(index=index, at_most=None))), [ANNE])


def test_the_same_occurrence_counts_once(incidents: IncidentStore, clock: Clock) -> None:
    first = claimed(incidents.report(failure(index=0)))
    assert incidents.report(failure(index=0)).outcome is Outcome.COUNTED
    incidents.told(first, [ANNE])
    clock.advance(3_600)
    again = incidents.report(failure(index=0))
    assert again.outcome is Outcome.COUNTED
    assert "same alert" in again.by
    incident = incidents.get(first.incident)
    assert incident is not None
    assert (incident.alerts, incident.untold) == (1, 0)


def test_a_new_try_and_a_run_that_was_cleared_are_other_occurrences(
    incidents: IncidentStore, clock: Clock
) -> None:
    incidents.told(claimed(incidents.report(failure(tries=1))), [ANNE])
    assert incidents.report(failure(tries=2)).by.startswith("at most")
    dag = Occurrence(dag_id="etl", run_id="run1", what=Happened.FAILURE, moment="2031-05-06T12:00:00Z")
    incidents.told(claimed(incidents.report(alert(dag))), [ANNE])
    clock.advance(3_600)
    claimed(incidents.report(alert(replace(dag, moment="2031-05-06T14:00:00Z"))))


@pytest.mark.parametrize(
    ("began", "is_told"), [(None, False), (-600.0, False), (120.0, False), (600.0, True)]
)
def test_a_run_that_is_deleted_and_made_again_is_another(
    incidents: IncidentStore, clock: Clock, began: float | None, is_told: bool
) -> None:
    """Its id and its tries are the same; a clock that is ahead by two minutes makes no other run of it."""
    incidents.told(claimed(incidents.report(failure())), [ANNE])
    began_at = None if began is None else clock.now + began
    clock.advance(3_600)
    again = incidents.report(failure(run_began_at=began_at))
    assert (again.outcome is Outcome.CLAIMED) == is_told


def test_a_policy_pages_for_an_incident_that_was_opened_without_one(
    incidents: IncidentStore, store: Store
) -> None:
    opened = claimed(incidents.report(failure(run="run1")))
    incidents.told(opened, [ANNE])
    assert page_store(store).unstarted() == []
    claimed(incidents.report(failure(run="run2", route="watchdog", policy="night", urgency="low")))
    assert page_store(store).unstarted() == [(opened.incident, "night", False)]
    incident = incidents.get(opened.incident)
    assert incident is not None
    assert incident.code is not None
    incidents.report(failure(run="run3", route="other", policy="day"))
    assert page_store(store).unstarted() == [(opened.incident, "night", False)]


def test_who_died_while_sending_is_followed_by_the_next_who_says_that_it_may_be_a_repeat(
    incidents: IncidentStore, clock: Clock
) -> None:
    claimed(incidents.report(failure(index=0), lease=60))
    assert incidents.report(failure(index=1)).outcome is Outcome.COUNTED
    clock.advance(61)
    heir = claimed(incidents.report(failure(index=2)), more=2, may_be_repeat=True)
    incidents.told(heir, [ANNE])
    clock.advance(901)
    claimed(incidents.report(failure(index=3)))


def test_the_same_callback_takes_over_from_its_own_dead_sender(
    incidents: IncidentStore, clock: Clock
) -> None:
    claimed(incidents.report(failure()))
    clock.advance(61)
    claimed(incidents.report(failure()), may_be_repeat=True)
    assert incidents.report(failure()).outcome is Outcome.COUNTED


def test_a_late_word_of_an_ended_claim_does_no_harm(incidents: IncidentStore, clock: Clock) -> None:
    late = claimed(incidents.report(failure(index=0)))
    clock.advance(61)
    heir = claimed(incidents.report(failure(index=1)), more=1, may_be_repeat=True)
    incidents.told(late, [ANNE])
    incidents.not_told(heir)
    assert [due.alerts for due in incidents.due_messages()] == []  # somebody was told a moment ago
    clock.advance(901)
    assert [due.alerts for due in incidents.due_messages()] == [2]
    incidents.not_told(late)
    assert [due.alerts for due in incidents.due_messages()] == [2]


def test_where_nobody_could_be_told_the_next_tells_at_once(incidents: IncidentStore) -> None:
    incidents.not_told(claimed(incidents.report(failure(index=0))))
    again = claimed(incidents.report(failure(index=0)))
    incidents.not_told(again)
    claimed(incidents.report(failure(index=1)), more=1)


def test_another_route_tells_other_people_of_the_same_incident(incidents: IncidentStore) -> None:
    first = claimed(incidents.report(failure()))
    second = claimed(incidents.report(failure(to="@boss")))
    assert first.incident == second.incident
    incidents.told(first, [ANNE])
    incidents.told(second, [PLAIN])
    assert set(incidents.told_of(first.incident)) == {ANNE, PLAIN}


def test_a_closed_incident_is_not_joined(incidents: IncidentStore) -> None:
    first = claimed(incidents.report(failure()))
    incidents.told(first, [ANNE])
    (closed,) = incidents.close(failure().key)
    assert closed.told == (ANNE,)
    assert incidents.close(failure().key) == []
    second = claimed(incidents.report(failure(tries=2)))
    assert second.incident != first.incident


def test_due_messages_are_claimed_by_one(incidents: IncidentStore, clock: Clock) -> None:
    first = claimed(incidents.report(failure(index=0)))
    incidents.told(first, [ANNE])
    incidents.report(failure(index=1))
    assert incidents.due_messages() == []
    clock.advance(900)
    (due,) = incidents.due_messages()
    assert (due.alerts, due.told, due.may_be_repeat) == (1, (ANNE,), False)
    decision = claimed(incidents.claim_due(due), more=1)
    assert incidents.claim_due(due) is None
    assert incidents.due_messages() == []
    incidents.told(decision, due.told)
    clock.advance(3_600)
    assert incidents.due_messages() == []


def test_a_dead_sender_leaves_a_due_message(incidents: IncidentStore, clock: Clock) -> None:
    claimed(incidents.report(failure()))
    assert incidents.due_messages() == []
    clock.advance(60)
    (due,) = incidents.due_messages()
    assert (due.alerts, due.told, due.may_be_repeat) == (1, (), True)
    assert incidents.claim_due(due) is not None


def test_a_due_message_of_what_was_closed_or_purged_is_nobodys(
    incidents: IncidentStore, clock: Clock, store: Store
) -> None:
    decision = claimed(incidents.report(failure()))
    clock.advance(60)
    (due,) = incidents.due_messages()
    incidents.close(failure().key)
    assert incidents.claim_due(due) is None
    with store.write() as connection:
        connection.exec_driver_sql("DELETE FROM voicepartner_incident")
    assert incidents.claim_due(due) is None
    incidents.told(decision, [ANNE])
    assert incidents.due_messages() == []


def test_known_are_all_that_an_alert_was_about(incidents: IncidentStore) -> None:
    told, counted, lost = failure(index=0), failure(index=1), failure("other")
    incidents.told(incidents.report(told), [ANNE])
    incidents.report(counted)
    incidents.not_told(incidents.report(lost))
    unknown = failure(index=2).occurrence
    wanted = {told.occurrence, counted.occurrence, lost.occurrence}
    assert incidents.known([*wanted, unknown]) == wanted
    assert incidents.known([]) == set()


def test_a_code_is_given_to_an_incident_with_a_policy_and_is_free_again_afterwards(store: Store) -> None:
    incidents = IncidentStore(store, choose=lambda codes: codes[0])
    first = claimed(incidents.report(failure("a", policy="night")))
    second = claimed(incidents.report(failure("b", policy="night")))
    assert (first.code, second.code) == (10, 11)
    assert claimed(incidents.report(failure("c"))).code is None
    incidents.close(failure("a").key)
    assert claimed(incidents.report(failure("d", policy="night"))).code == 10


@pytest.mark.parametrize("text", ["\x00", "\ud800", "é" * 400, "'; DROP TABLE voicepartner_incident; --", ""])
def test_hostile_names_are_stored_and_found_again(incidents: IncidentStore, text: str) -> None:
    happened = Occurrence(dag_id=f"d{text}", run_id=text, task_id=text, what=Happened.FAILURE, moment=text)
    strange = replace(alert(happened, to=f"@{text}"), title=text * 3, link=text)
    told = Told(conn_id=text, kind="sms", person=text, phone_number=text)
    incidents.told(claimed(incidents.report(strange)), [told])
    assert incidents.report(strange).outcome is Outcome.COUNTED
    assert incidents.known([happened]) == {happened}
    assert len(incidents.find()) == 1


def test_recipients_are_in_no_table_until_they_were_told(
    incidents: IncidentStore, url: str, tmp_path: Path, store: Store
) -> None:
    number = "+33698765432"
    incidents.report(failure(to=number))
    with store.read() as connection:
        names = ("incident", "incident_route", "incident_alert", "incident_told")
        rows = [connection.exec_driver_sql(f"SELECT * FROM voicepartner_{name}").all() for name in names]
    assert "98765432" not in repr(rows)
    assert "98765432" not in repr(failure(to=number))
