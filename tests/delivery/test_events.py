"""Summaries of events, and events by their id, on SQLite and PostgreSQL."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta

import pytest

from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.delivery.events import (
    EventFilter,
    EventSummary,
    StorePosition,
    SummaryReader,
)
from airflow_provider_voicepartner.delivery.store import DeliveryStore
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from tests.support.triggerer import LONG_AGO, NUMBER, Gateways


@pytest.fixture
def gateways(store: Store) -> Gateways:
    return Gateways(store)


@pytest.fixture
def reader(store: Store) -> SummaryReader:
    return SummaryReader(store)


def test_a_summary_has_no_number_and_no_text(gateways: Gateways, reader: SummaryReader) -> None:
    gateways.tell("reply", reference="k3v9")
    [notice] = reader.after(0)
    assert notice == EventSummary(
        id=1, seq=1, kind="reply", gateway="octopush", campaign="ref:k3v9", at=LONG_AGO, received_at=LONG_AGO
    )
    assert not {"phone_number", "text", "sent_to"} & {field.name for field in fields(EventSummary)}


def test_the_head_is_the_last_commit_and_the_last_event(
    gateways: Gateways, reader: SummaryReader, store: Store
) -> None:
    assert reader.head() == StorePosition(0, 0)
    gateways.tell("reply", "opt_out")
    assert reader.head() == StorePosition(1, 2)
    gateways.delivery.write([])
    assert reader.head() == StorePosition(2, 2)
    DeliveryStore(store, now=lambda: LONG_AGO * 2).purge(older_than=timedelta(days=1))
    assert reader.head().event == 0
    gateways.tell("reply")
    assert reader.head().event == 3  # never given twice


def test_pages_follow_one_another(gateways: Gateways, reader: SummaryReader) -> None:
    gateways.tell(*["reply"] * 5)
    assert [notice.id for notice in reader.after(0, limit=3)] == [1, 2, 3]
    assert [notice.id for notice in reader.after(3, limit=3)] == [4, 5]
    assert reader.after(5) == []
    with pytest.raises(InvalidArgumentError, match="limit"):
        reader.after(0, limit=0)


def test_ids_of_what_is_wanted(gateways: Gateways, reader: SummaryReader) -> None:
    gateways.tell("reply", "opt_out", "pressed_keys")
    gateways.tell("reply", "opt_out", gateway="smspartner", reference="b2")
    replies = EventFilter(kinds=("reply",), gateway=None, campaign=None)
    stops = EventFilter(kinds=("opt_out",), gateway="smspartner", campaign="ref:b2")
    assert reader.ids([replies], since=0, until=9) == [1, 4]
    assert reader.ids([replies, stops], since=1, until=9) == [4, 5]
    assert reader.ids([replies, stops], since=0, until=4) == [1, 4]
    assert reader.ids([replies], since=4, until=4) == []
    assert reader.ids([], since=0, until=9) == []


def test_what_was_received_until_a_moment(gateways: Gateways, reader: SummaryReader) -> None:
    gateways.tell("reply", "reply", "reply")
    assert reader.last_received(LONG_AGO - 1) == 0
    assert reader.last_received(LONG_AGO + 1) == 2
    assert reader.last_received(LONG_AGO + 99) == 3


def test_many_events_by_id_in_one_question(gateways: Gateways) -> None:
    gateways.tell(*["reply"] * 3)
    found = gateways.delivery.events_by_id({*range(10_000), 2**40})
    assert [event.id for event in found] == [1, 2, 3]
    assert found[0].phone_number == NUMBER
    assert gateways.delivery.events_by_id(()) == []


def test_numbers_that_said_stop(gateways: Gateways) -> None:
    gateways.tell("reply", "opt_out", "opt_out")
    assert gateways.delivery.opt_outs() == [NUMBER]
    assert gateways.delivery.opt_outs(since=LONG_AGO + 2) == [NUMBER]
    assert gateways.delivery.opt_outs(since=LONG_AGO + 3) == []
