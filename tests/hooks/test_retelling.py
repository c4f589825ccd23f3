"""Who has an incident is told to the others, though the runner that was to tell it dies or its gateway is down."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_voicepartner.incidents.acting import Answered
from airflow_provider_voicepartner.incidents.answers import Channel
from airflow_provider_voicepartner.incidents.escalation import Action
from tests.hooks import test_paging
from tests.hooks.test_paging import ANNE, BRUNO, CHLOE, Night
from tests.support.escalations import page_rows
from tests.support.gateways import fault, sent

night = test_paging.night


def paged(night: Night) -> int:
    """Page everybody of both steps."""
    incident = night.open()
    night.pager.run_due()
    night.clock.advance(300)
    night.pager.run_due()
    return incident


def act(night: Night, incident: int, action: Action = Action.ACKNOWLEDGE, who: str = "anne") -> Answered:
    """Apply an answer, by a process that dies before it tells anybody."""
    done = night.pager.answers.by_name(
        incident, action, who, Channel.CLI, night.pager.numbers, digest=f"{action} {who} {night.clock.now}"
    )
    assert done is not None
    assert done.pages
    return done


def looks(night: Night, times: int, seconds: float = 61.0) -> None:
    """Let a runner look every minute."""
    for _ in range(times):
        night.clock.advance(seconds)
        night.pager.run_due()


@pytest.mark.parametrize(("action", "said"), [(Action.ACKNOWLEDGE, "has"), (Action.CLOSE, "closed")])
def test_a_runner_that_dies_is_followed_by_one_that_tells(night: Night, action: Action, said: str) -> None:
    act(night, paged(night), action)
    night.pager.run_due()  # its sender may still be at work
    assert night.texts(BRUNO) == []
    looks(night, 10)
    assert night.texts(BRUNO) == [f"sales.load failed. anne {said} it."]
    assert len(night.texts(CHLOE)) == 1
    assert sent(night.sandbox, "octopush") == {BRUNO: 1, CHLOE: 1}
    assert sent(night.sandbox, "smspartner") == {ANNE: 1, BRUNO: 1, CHLOE: 1}


@pytest.mark.parametrize(("times", "told"), [(1, 1), (8, 1), (None, 0)], ids=["a moment", "minutes", "hours"])
def test_a_gateway_that_is_down_is_tried_again_a_few_times(
    night: Night, times: int | None, told: int
) -> None:
    incident = paged(night)
    fault(night.sandbox, "429", path="/send", times=times, retry_after=600)
    night.pager.act(incident, Action.ACKNOWLEDGE, "anne", Channel.CLI, digest="one")
    looks(night, 40)
    assert len(night.texts(BRUNO)) == len(night.texts(CHLOE)) == told
    assert len([row for row in page_rows(night.store) if row.purpose == "owned"]) <= 10


def test_what_is_so_no_more_is_not_told(night: Night) -> None:
    incident = paged(night)
    act(night, incident)
    night.pager.act(incident, Action.CLOSE, "bruno", Channel.CLI, digest="two")
    looks(night, 5)
    assert night.texts(CHLOE) == ["sales.load failed. bruno closed it."]
    assert night.texts(BRUNO) == []


def test_who_had_it_is_told_that_it_was_passed_on(night: Night) -> None:
    incident = paged(night)
    night.pager.act(incident, Action.ACKNOWLEDGE, "anne", Channel.CLI, digest="one")
    act(night, incident, Action.ESCALATE, "bruno")
    looks(night, 3)
    assert "bruno l'a transmis" in "".join(night.texts(ANNE))


def test_a_message_that_may_have_arrived_is_not_repeated(night: Night) -> None:
    incident = paged(night)
    fault(night.sandbox, "drop_after", path="/send", times=2)
    night.pager.act(incident, Action.ACKNOWLEDGE, "anne", Channel.CLI, digest="one")
    looks(night, 10)
    assert sent(night.sandbox, "smspartner") == {ANNE: 1, BRUNO: 1, CHLOE: 1}


def test_two_runners_tell_once(night: Night, tmp_path: Any) -> None:
    import threading
    from contextlib import closing

    from airflow_provider_voicepartner.db.engine import open_store
    from airflow_provider_voicepartner.hooks.paging import Pager

    act(night, paged(night))
    night.clock.advance(61)
    with closing(open_store(f"sqlite:///{tmp_path / 'store.db'}", clock=night.clock)) as store:
        runners = [threading.Thread(target=one.run_due) for one in (night.pager, Pager(store))]
        for runner in runners:
            runner.start()
        for runner in runners:
            runner.join()
    assert sent(night.sandbox, "smspartner") == {ANNE: 1, BRUNO: 1, CHLOE: 1}


def test_an_incident_that_cannot_be_read_stops_no_page(night: Night) -> None:
    first = paged(night)
    act(night, first)
    with night.store.write() as connection:
        connection.exec_driver_sql(f"UPDATE voicepartner_incident SET escalation = '?' WHERE id = {first}")
    night.clock.advance(61)
    night.open()
    night.pager.run_due()
    assert sent(night.sandbox, "smspartner") == {ANNE: 2}
