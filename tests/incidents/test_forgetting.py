"""Somebody is forgotten while pages to them are under way: neither waits for the other for ever."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import event

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.delivery.personal_data import PersonalData
from airflow_provider_voicepartner.incidents.escalation import Became
from tests.support.escalations import (
    NUMBERS,
    POLICY,
    Clock,
    incident_row,
    open_incident,
    page_rows,
    page_store,
    resolver,
)


@pytest.mark.parametrize("statement", ["UPDATE voicepartner_page", "INSERT INTO voicepartner_incident_told"])
def test_a_page_is_recorded_while_its_person_is_forgotten(
    url: str, store: Store, clock: Clock, statement: str
) -> None:
    pages, incident = page_store(store), open_incident(store)
    pages.start(incident, POLICY)
    page: Any = None
    while page is None or page.page.round == 0:
        for claimed in pages.take_turn(incident, resolver):
            if claimed.page.person == "anne" and claimed.page.round == 1:
                page = claimed
            else:
                pages.record(claimed, Became.SENT, gateway="g", gateway_id=str(claimed.page.number))
        clock.advance(600.0)
    problems = list[BaseException]()

    def forget() -> None:
        try:
            with closing(open_store(url, clock=clock)) as other:
                PersonalData(other).erase(NUMBERS["anne"])
        except BaseException as error:
            problems.append(error)

    thread = threading.Thread(target=forget)

    def pause(connection: Any, cursor: Any, sql: str, *_: Any) -> None:
        if sql.startswith(statement) and not thread.ident:
            thread.start()
            thread.join(0.7)

    event.listen(store.engine, "before_cursor_execute", pause)
    pages.record(page, Became.SENT, gateway="g", gateway_id="last")
    thread.join(20)
    assert (thread.is_alive(), problems) == (False, [])
    assert [row.phase for row in page_rows(store)] == ["sent"] * 4
    assert {row.person for row in page_rows(store)} == {"", "bruno", "chloe"}
    assert incident_row(store, incident).state == "open"
