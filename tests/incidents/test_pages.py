"""Pages in the store: claimed once, by one of two runners; a death between claim and result loses no step."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import time
from typing import Literal
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_voicepartner.constants import PAGE_LEASE
from airflow_provider_voicepartner.contacts.policy import QuietHours
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.incidents.acting import Answers
from airflow_provider_voicepartner.incidents.answers import Channel
from airflow_provider_voicepartner.incidents.escalation import Action, Became
from airflow_provider_voicepartner.incidents.pages import ClaimedPage, PageStore
from airflow_provider_voicepartner.incidents.store import IncidentStore
from tests.support.alerts import failure
from tests.support.escalations import (
    NUMBERS,
    POLICY,
    Clock,
    incident_row,
    numbers,
    open_incident,
    page_rows,
    page_store,
    resolver,
)

AT_NIGHT = replace(POLICY, quiet_hours=QuietHours(time(0), time(23, 59), ZoneInfo("UTC")))


@pytest.fixture
def pages(store: Store) -> PageStore:
    return page_store(store)


def send_all(pages: PageStore, claimed: tuple[ClaimedPage, ...], became: Became = Became.SENT) -> list[str]:
    for one in claimed:
        pages.record(one, became, gateway="g", gateway_id=f"id-{one.reference}")
    return [one.page.person for one in claimed]


def test_an_escalation_begins_once(store: Store, pages: PageStore, clock: Clock) -> None:
    incident = open_incident(store)
    assert pages.unstarted() == [(incident, "night", True)]
    assert pages.due() == []
    assert pages.start(incident, POLICY)
    assert not pages.start(incident, POLICY)
    assert not pages.start(incident + 1, POLICY)
    assert pages.unstarted() == []
    assert pages.due() == [incident]
    assert pages.next_due() == 0


def test_a_step_is_claimed_by_one_of_two_runners(store: Store, pages: PageStore, clock: Clock) -> None:
    incident = open_incident(store)
    pages.start(incident, POLICY)
    first = pages.take_turn(incident, resolver)
    assert page_store(store).take_turn(incident, resolver) == ()
    [row] = page_rows(store)
    assert (row.number, row.person, row.kind, row.conn_id, row.phase) == (
        1,
        "anne",
        "sms",
        POLICY.sms,
        "claimed",
    )
    assert (row.phone_number, row.reference, row.purpose) == (NUMBERS["anne"], first[0].reference, "page")
    assert pages.due() == []
    assert pages.next_due() == 300.0


@pytest.mark.timeout(120)
def test_many_runners_at_once_page_everybody_once(store: Store, clock: Clock) -> None:
    incident = open_incident(store)
    page_store(store).start(incident, POLICY)
    sent: list[str] = []

    def run(place: int) -> None:
        mine = PageStore(store, new_reference=lambda: f"r{place}")
        sent.extend(send_all(mine, mine.take_turn(incident, resolver)))

    for _ in range(3):
        threads = [threading.Thread(target=run, args=(place,)) for place in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        clock.advance(600.0)
    assert sent[:1] == ["anne"]
    assert sorted(sent[1:3]) == ["bruno", "chloe"]
    assert sent[3:] == ["anne"]
    assert len(page_rows(store)) == 4


def test_a_claim_without_a_result_is_in_doubt_and_the_next_step_goes_on(
    store: Store, pages: PageStore, clock: Clock
) -> None:
    incident = open_incident(store)
    pages.start(incident, POLICY)
    [lost] = pages.take_turn(incident, resolver)  # its runner dies here
    assert pages.expire() == []
    clock.advance(PAGE_LEASE + 1)
    assert pages.expire() == [(incident, 1, "anne")]
    assert pages.expire() == []
    assert pages.take_turn(incident, resolver) == ()
    clock.advance(300.0)
    assert send_all(pages, pages.take_turn(incident, resolver)) == ["bruno", "chloe"]
    assert [row.phase for row in page_rows(store)] == ["in_doubt", "sent", "sent"]
    # The runner was only frozen, and says what became of it after all.
    pages.record(lost, Became.SENT, gateway="g", gateway_id="late")
    assert [row.phase for row in page_rows(store)] == ["sent", "sent", "sent"]


def test_a_result_is_taken_from_whoever_claimed_the_page(
    store: Store, pages: PageStore, clock: Clock
) -> None:
    from dataclasses import replace

    incident = open_incident(store)
    pages.start(incident, POLICY)
    [mine] = pages.take_turn(incident, resolver)
    pages.record(replace(mine, claim="another"), Became.NOT_SENT)
    assert page_rows(store)[0].phase == "claimed"
    assert pages.due() == []


def test_a_step_that_reached_nobody_is_followed_at_once(store: Store, pages: PageStore, clock: Clock) -> None:
    incident = open_incident(store)
    pages.start(incident, POLICY)
    send_all(pages, pages.take_turn(incident, resolver), Became.NOT_SENT)
    assert pages.due() == [incident]
    assert send_all(pages, pages.take_turn(incident, resolver)) == ["bruno", "chloe"]


def test_an_incident_that_a_success_closed_pages_nobody(store: Store, pages: PageStore, clock: Clock) -> None:
    from sqlalchemy import text

    incident = open_incident(store)
    pages.start(incident, POLICY)
    [claimed] = pages.take_turn(incident, resolver)
    assert pages.still_wanted(claimed)
    with store.write() as connection:
        connection.execute(text("UPDATE voicepartner_incident SET state = 'closed', open_key = NULL"))
    assert not pages.still_wanted(claimed)
    pages.record(claimed, Became.NOT_SENT)
    clock.advance(1000.0)
    assert pages.due() == []
    assert pages.next_due() is None
    assert pages.take_turn(incident, resolver) == ()
    assert incident_row(store, incident).state == "closed"


def test_after_its_end_it_begins_anew_with_a_new_alert(store: Store, pages: PageStore, clock: Clock) -> None:
    incident = open_incident(store)
    pages.start(incident, POLICY)
    while (wait := pages.next_due()) is not None:
        clock.advance(max(wait, 0.0))
        send_all(pages, pages.take_turn(incident, resolver))
    assert len(page_rows(store)) == 8
    assert pages.start(incident, POLICY)
    [again] = pages.take_turn(incident, resolver)
    assert again.page.number == 9


def test_other_open_incidents_are_counted_for_the_text(store: Store, pages: PageStore, clock: Clock) -> None:
    first, second = open_incident(store, code=12), open_incident(store, code=13)
    pages.start(first, POLICY)
    [claimed] = pages.take_turn(first, resolver)
    assert (claimed.incident.code, claimed.incident.others, claimed.incident.alerts) == (12, 1, 1)
    answers = Answers(store, pages)
    pages.start(second, POLICY)
    answers.by_name(second, Action.CLOSE, "anne", Channel.CLI, numbers, digest="d")
    clock.advance(300.0)
    assert {one.incident.others for one in pages.take_turn(first, resolver)} == {0}


def test_an_acknowledgement_ends_in_the_store_too(store: Store, pages: PageStore, clock: Clock) -> None:
    incident = open_incident(store)
    pages.start(incident, POLICY)
    pages.take_turn(incident, resolver)
    Answers(store, pages).by_name(incident, Action.ACKNOWLEDGE, "anne", Channel.CLI, numbers, digest="d")
    row = incident_row(store, incident)
    assert (row.state, row.owner, row.acknowledged_at) == ("acknowledged", "anne", clock.now)
    clock.advance(7200.0)
    [again] = pages.take_turn(incident, resolver)
    assert (again.page.person, again.incident.last_owner) == ("anne", "anne")
    row = incident_row(store, incident)
    assert (row.state, row.owner, row.acknowledged_at) == ("open", None, None)


def test_whoever_was_paged_is_told_all_clear(store: Store, pages: PageStore, clock: Clock) -> None:
    incident = open_incident(store)
    pages.start(incident, POLICY)
    send_all(pages, pages.take_turn(incident, resolver), Became.NOT_SENT)
    assert IncidentStore(store).told_of(incident) == ()
    send_all(pages, pages.take_turn(incident, resolver), Became.IN_DOUBT)
    told = IncidentStore(store).told_of(incident)
    assert sorted((one.person, one.kind, one.phone_number) for one in told) == [
        ("bruno", "tts", ""), ("chloe", "tts", ""),
    ]  # fmt: skip


Urgency = Literal["low"] | None


def joined(incidents: IncidentStore, run: str, urgency: Urgency) -> int:
    """Report an alert whose sender dies right after it."""
    return incidents.report(failure(run=run, at_most=None, policy="Night", urgency=urgency)).incident


@pytest.mark.parametrize("urgencies", [("low", None), (None, "low"), ("low", None, "low")])
def test_one_urgent_alert_makes_an_incident_urgent_though_its_sender_dies(
    incidents: IncidentStore, pages: PageStore, urgencies: tuple[Urgency, ...]
) -> None:
    (incident,) = {joined(incidents, f"run{place}", one) for place, one in enumerate(urgencies)}
    assert pages.unstarted() == [(incident, "Night", True)]
    # By the notifier of the alert of low urgency, which is alive.
    assert pages.start(incident, AT_NIGHT, is_urgent=False)
    assert send_all(pages, pages.take_turn(incident, resolver)) == ["anne"]


def test_an_urgent_alert_makes_an_escalation_urgent_that_has_begun_though_its_sender_dies(
    incidents: IncidentStore, pages: PageStore
) -> None:
    incident = joined(incidents, "run1", "low")
    assert pages.start(incident, AT_NIGHT, is_urgent=False)
    assert pages.take_turn(incident, resolver) == ()
    assert pages.due() == []
    assert joined(incidents, "run2", "low") == incident
    assert pages.due() == []
    assert joined(incidents, "run3", None) == incident
    assert pages.due() == [incident]
    assert send_all(pages, pages.take_turn(incident, resolver)) == ["anne"]


def test_an_escalation_that_cannot_be_read_loses_no_urgent_alert(
    incidents: IncidentStore, store: Store
) -> None:
    incident = joined(incidents, "run1", "low")
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE voicepartner_incident SET escalation = '{}'")
    assert joined(incidents, "run2", None) == incident
