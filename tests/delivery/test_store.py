"""The delivery store on SQLite and PostgreSQL: what is written is what can be asked for, in any order."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pendulum
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, text

from airflow_provider_voicepartner.db import schema
from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.schema import mapped_list
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.delivery import store as delivery_store
from airflow_provider_voicepartner.delivery.inbound import (
    CampaignKey,
    Completion,
    DeadLetter,
    InboundRecord,
    of_gateway_id,
    of_reference,
)
from airflow_provider_voicepartner.delivery.store import FROM_NOW, DeliveryStore, KnownCampaign
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import (
    CampaignDeliveryReport,
    DeliveryReport,
    OptOut,
    Reply,
)
from airflow_provider_voicepartner.gateways.rate_limits import Window
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from airflow_provider_voicepartner.sending.rate_limit import SlidingWindowLog
from tests.support.deliveries import counts, events
from tests.support.examples import examples

A, B, C = (of_reference("octopush", name) for name in "abc")
VOICEMAIL = of_reference("voicepartner", "v")
NOON = pendulum.datetime(2026, 5, 1, 12, 30, 15)
STOP = OptOut(gateway="octopush", campaign_id=None, phone_number="+33612345678", text="STOP", at=NOON)
DAY = 86_400.0
A_LIST = {"task": "t", "fingerprint": "f", "expansion": "0", "attempt": 1, "people": b"12345678"}
DELIVERED, FAILED, PENDING = DeliveryStatus.DELIVERED, DeliveryStatus.FAILED, DeliveryStatus.PENDING


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    urls = {"memory": "sqlite://", "sqlite": f"sqlite:///{tmp_path}/delivery.db"}
    opened = open_store(urls.get(request.param) or request.getfixturevalue("postgres_url"))
    yield opened
    opened.close()


@pytest.fixture
def delivery(store: Store) -> DeliveryStore:
    return DeliveryStore(store, now=lambda: 100 * DAY)


def number(person: int) -> str:
    return f"+336{person:08d}"


def report(
    person: int = 1,
    status: DeliveryStatus = DELIVERED,
    *,
    key: CampaignKey = A,
    received_at: float = 1.0,
    **fields: Any,
) -> InboundRecord:
    told = {"gateway": key.gateway, "campaign_id": None, "phone_number": number(person), **fields}
    return InboundRecord(key=key, event=DeliveryReport(status=status, **told), received_at=received_at)


def totals(delivered: int, total: int, key: CampaignKey = VOICEMAIL) -> InboundRecord:
    told = CampaignDeliveryReport(
        gateway=key.gateway, campaign_ids=("77", "78"), delivered=delivered, total=total
    )
    return InboundRecord(key=key, event=told, received_at=1.0)


def reply(words: str, *, received_at: float = 1.0, **fields: Any) -> InboundRecord:
    told: dict[str, Any] = {"gateway": "octopush", "campaign_id": None, "phone_number": number(1), **fields}
    return InboundRecord(key=A, event=Reply(text=words, **told), received_at=received_at)


def stop(at: pendulum.DateTime | None) -> OptOut:
    return dataclasses.replace(STOP, phone_number=number(1), at=at)


def dead_letter(why: str = "no status", received_at: float = 1.0) -> DeadLetter:
    return DeadLetter(
        gateway="octopush", campaign=A.campaign, method="POST", content_type="text/plain", query="a=b",
        body=f"+33612345678 {why}".encode(), why=why, received_at=received_at,
    )  # fmt: skip


def rows(store: Store, table: str, columns: str = "*") -> list[dict[str, Any]]:
    with store.read() as connection:
        found = connection.execute(text(f"SELECT {columns} FROM voicepartner_{table}")).mappings()
        return [dict(row) for row in found]


@contextmanager
def queries(store: Store) -> Iterator[list[str]]:
    """Collect the statements that are sent, but for the beginning of transactions."""
    sent: list[str] = []

    def note(*arguments: Any) -> None:
        if not arguments[2].startswith("BEGIN"):
            sent.append(arguments[2])

    event.listen(store.engine, "before_cursor_execute", note)
    yield sent
    event.remove(store.engine, "before_cursor_execute", note)


class TestReports:
    def test_are_counted_by_campaign_and_status(self, delivery: DeliveryStore) -> None:
        delivery.write([report(1), report(2), report(3, FAILED), report(1, PENDING, key=B)])
        delivery.write([report(2, key=B)])
        assert counts(delivery, [A, B, C]) == {A: {DELIVERED: 2, FAILED: 1}, B: {PENDING: 1, DELIVERED: 1}}
        assert counts(delivery, []) == {}

    def test_come_back_as_they_were_by_campaign_and_number(self, delivery: DeliveryStore) -> None:
        full = report(
            2, FAILED, gateway_status="BUSY", detail="VOICE", at=NOON, duration=12, cost=Decimal("0.0450"),
            pressed_keys="1#", opted_out=True, campaign_id="4711",
        )  # fmt: skip
        delivery.write([report(1, key=B), full, report(1, key=of_gateway_id("octopush", "9"))])
        by_id, first, second = delivery.reports([B, A, of_gateway_id("octopush", "9"), C])
        assert dataclasses.replace(first, reference=None) == full.event
        assert (first.reference, second.reference) == ("a", "b")
        assert (by_id.campaign_id, by_id.reference, by_id.raw) == ("9", None, {})

    def test_keep_their_times_to_the_microsecond(self, store: Store, delivery: DeliveryStore) -> None:
        chance = random.Random(7)
        told = [round(chance.uniform(1.7e9, 1.9e9), 6) for _ in range(500)]
        delivery.write(
            [report(n, received_at=told[n], at=pendulum.from_timestamp(told[n])) for n in range(500)]
        )
        found = rows(store, "delivery_report", "phone_number, at, received_at")
        expected = {number(n): told[n] for n in range(500)}
        assert {row["phone_number"]: row["received_at"] for row in found} == expected
        assert {row["phone_number"]: row["at"] for row in found} == expected
        times = [found.at.timestamp() for found in delivery.reports([A]) if found.at]
        assert times == told

    def test_of_many_campaigns_are_read_a_few_at_a_time(
        self, delivery: DeliveryStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(delivery_store, "CAMPAIGNS_A_READ", 2)
        keys = [of_reference("octopush", f"{n:02d}") for n in range(7)]
        delivery.write([report(person, key=key) for key in reversed(keys) for person in (2, 1)])
        found = [(told.reference, told.phone_number) for told in delivery.reports(keys)]
        assert found == [(f"{n:02d}", number(person)) for n in range(7) for person in (1, 2)]

    def test_prove_that_a_campaign_was_accepted(self, delivery: DeliveryStore) -> None:
        delivery.write([report(1, PENDING), totals(0, 5)])
        assert [delivery.has_report(key) for key in (A, B, VOICEMAIL)] == [True, False, True]

    def test_of_a_whole_campaign(self, delivery: DeliveryStore) -> None:
        delivery.write([totals(3, 10)])
        delivery.write([totals(2, 10)])
        (found,) = delivery.campaign_reports([VOICEMAIL, A]).values()
        assert (found.delivered, found.total, found.campaign_ids) == (3, 10, ("77",))

    def test_of_ten_thousand_campaigns_are_asked_for_at_once(self, delivery: DeliveryStore) -> None:
        keys = [of_reference("octopush", str(n)) for n in range(10_000)]
        delivery.write([report(key=keys[n]) for n in (0, 9_999)])
        assert set(counts(delivery, keys)) == {keys[0], keys[9_999]}

    def test_a_failure_stores_nothing_of_the_group(self, store: Store, delivery: DeliveryStore) -> None:
        with store.write() as connection:
            connection.execute(text("DROP TABLE voicepartner_dead_letter"))
        with pytest.raises(Exception, match="voicepartner_dead_letter") as caught:
            delivery.write([report(1), dead_letter()])
        assert number(1) not in str(caught.value)
        assert "+33612345678" not in str(caught.value)
        assert counts(delivery, [A]) == {}

    def test_what_no_database_takes_is_made_to_fit(self, store: Store, delivery: DeliveryStore) -> None:
        wild = "\0\ud83d" + "é" * 70_000
        delivery.write(
            [
                report(duration=10**19, gateway_status=wild, phone_number=wild, cost=Decimal("1E+900")),
                reply(wild, to=wild, phone_number=wild, parts=10**9),
                dataclasses.replace(
                    dead_letter(), body=b"\0\xff" * 70_000, why=wild, query=wild, method=wild
                ),
                totals(10**18, 10**19, key=of_gateway_id("octopush", wild)),
            ]
        )
        assert counts(delivery, [A]) == {A: {DELIVERED: 1}}
        assert delivery.has_report(of_gateway_id("octopush", wild))
        assert [len(rows(store, table)) for table in ("event", "dead_letter")] == [1, 1]

    def test_a_word_of_a_gateway_keeps_its_first_255_letters(self, delivery: DeliveryStore) -> None:
        delivery.write([reply("oui", to="é" * 300, part=2, parts=3)])
        (found,) = events(delivery)
        assert (found.sent_to, found.part, found.parts) == ("é" * 255, 2, 3)


STATUSES = st.sampled_from([PENDING, DELIVERED, FAILED])
ARRIVALS = st.builds(
    report,
    st.integers(1, 3),
    STATUSES,
    received_at=st.integers(0, 5).map(float),
    gateway_status=st.sampled_from(["", "a", "B", "é"]),
    detail=st.sampled_from([None, "x", "y"]),
    at=st.sampled_from([None, NOON, NOON.add(seconds=1)]),
    duration=st.sampled_from([None, 0, 7]),
    cost=st.sampled_from([None, Decimal("0.5"), Decimal("0.50"), Decimal("12")]),
    pressed_keys=st.sampled_from([None, "1", "2", "12"]),
    opted_out=st.booleans(),
    campaign_id=st.sampled_from([None, "5", "6"]),
)
OTHERS = st.one_of(
    st.builds(reply, st.sampled_from(["oui", "non"]), at=st.sampled_from([None, NOON])),
    st.builds(totals, st.integers(0, 3), st.integers(3, 4)),
    st.builds(lambda at: Completion(key=A, at=at, counts={}), st.sampled_from([1.0, 2.0])),
    st.builds(
        lambda key, at: InboundRecord(key=key, event=stop(at), received_at=1.0),
        st.sampled_from([None, A]),
        st.sampled_from([None, NOON]),
    ),
)
SETS = st.lists(st.one_of(ARRIVALS, ARRIVALS, OTHERS), min_size=1, max_size=8)
FINAL = {
    "delivery_report": "gateway, campaign, phone_number, status, gateway_status, detail, at, duration, cost, "
    "pressed_keys, opted_out, gateway_campaign, received_at",
    "campaign_report": "gateway, campaign, delivered, total, gateway_campaign, received_at",
    "event": "kind, gateway, campaign, phone_number, text",
}


def final_rows(store: Store) -> dict[str, list[Any]]:
    """Return all that does not depend on when it was written."""
    return {table: sorted(map(repr, rows(store, table, columns))) for table, columns in FINAL.items()}


def forget(store: Store) -> None:
    with store.write() as connection:
        for table in FINAL:
            connection.execute(text(f"DELETE FROM voicepartner_{table}"))


@given(items=SETS, chance=st.randoms(use_true_random=False))
@settings(
    deadline=None, max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_order_and_any_repeats_leave_the_same_rows(
    store: Store, items: list[Any], chance: random.Random
) -> None:
    delivery = DeliveryStore(store)
    forget(store)
    delivery.write(items)
    expected = final_rows(store)
    forget(store)
    again = items + chance.choices(items, k=len(items))
    chance.shuffle(again)
    final: set[str] = set()
    for start in range(0, len(again), 3):
        delivery.write(again[start : start + 3])
        known = {row["phone_number"]: row["status"] for row in rows(store, "delivery_report")}
        assert "pending" not in {known[person] for person in final}, "a final status changed back"
        final |= {person for person, status in known.items() if status != "pending"}
    assert final_rows(store) == expected


@given(statuses=st.lists(STATUSES, min_size=2, max_size=6))
@settings(
    deadline=None, max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_final_status_never_changes_when_reports_come_as_they_are_received(
    store: Store, statuses: list[DeliveryStatus]
) -> None:
    delivery = DeliveryStore(store)
    forget(store)
    first = next((status for status in statuses if status is not PENDING), PENDING)
    for time, status in enumerate(statuses):
        delivery.write([report(1, status, received_at=float(time))])
    assert counts(delivery, [A]) == {A: {first: 1}}


class TestChanges:
    def test_tell_of_what_changed_after_the_cursor_and_of_what_is_asked_for(
        self, delivery: DeliveryStore
    ) -> None:
        first = delivery.write([report(1), report(1, key=B)])
        second = delivery.write([report(2), totals(3, 4)])
        assert second > first
        found = delivery.changes(since=first)
        assert found.seq == second
        assert set(found.campaigns) == {A, VOICEMAIL}
        assert found.campaigns[A] == KnownCampaign(counts={DELIVERED: 2})
        told = found.campaigns[VOICEMAIL].report
        assert told is not None
        assert (told.delivered, told.total) == (3, 4)
        assert set(delivery.changes(since=second, also=[B, C]).campaigns) == {B}
        assert delivery.changes(since=0).campaigns.keys() == {A, B, VOICEMAIL}

    def test_a_reader_that_begins_now_gets_the_cursor(self, delivery: DeliveryStore) -> None:
        assert delivery.changes(since=FROM_NOW) == delivery_store.Changes(seq=0, campaigns={})
        seq = delivery.write([report()])
        found = delivery.changes(since=FROM_NOW, also=[A])
        assert (found.seq, set(found.campaigns)) == (seq, {A})

    def test_are_one_query_whatever_is_asked(self, store: Store, delivery: DeliveryStore) -> None:
        delivery.write([report(), totals(1, 2)])
        also = [of_reference("octopush", str(n)) for n in range(10_000)]
        with queries(store) as sent:
            delivery.changes(since=0, also=also)
        assert len(sent) == 1

    def test_a_repeat_and_what_comes_late_change_nothing(self, delivery: DeliveryStore) -> None:
        seq = delivery.write([report(1, received_at=1.0), totals(1, 2)])
        delivery.write([report(1, received_at=2.0), totals(1, 2)])
        delivery.write([report(1, PENDING, received_at=3.0), totals(0, 2)])
        delivery.write([report(1, received_at=0.5)])  # heard of earlier, and it says the same
        assert delivery.changes(since=seq).campaigns == {}
        delivery.write([report(1, received_at=4.0, pressed_keys="1")])
        assert set(delivery.changes(since=seq).campaigns) == {A}


class TestEvents:
    def test_come_once_in_their_order(self, delivery: DeliveryStore) -> None:
        delivery.write([reply("oui", at=NOON, to="36034", part=1, parts=2, parts_reference="r")])
        delivery.write([report(pressed_keys="1"), InboundRecord(key=None, event=STOP, received_at=2.5)])
        delivery.write([reply("oui", at=NOON, to="36034", part=1, parts=2, parts_reference="r")])
        delivery.write([Completion(key=A, at=7.0, counts={"delivered": 1})])
        found = events(delivery)
        assert [told.kind for told in found] == ["reply", "pressed_keys", "opt_out", "completion"]
        first, keys, opt_out, done = found
        assert (first.text, first.sent_to, first.at, first.key) == ("oui", "36034", NOON, A)
        assert (first.part, first.parts, first.parts_reference) == (1, 2, "r")
        assert (keys.text, keys.phone_number) == ("1", number(1))
        assert (opt_out.key, opt_out.gateway, opt_out.received_at) == (None, "octopush", 2.5)
        assert (done.counts, done.text, done.phone_number) == ({"delivered": 1}, "", None)
        assert events(delivery, since=first.id) == found[1:]
        assert delivery.events_by_id([done.id, first.id, done.id, 10**9]) == [first, done]

    def test_show_no_number_and_no_text(self, delivery: DeliveryStore) -> None:
        delivery.write([reply("un secret")])
        (told,) = events(delivery)
        assert number(1) not in repr(told)
        assert "secret" not in repr(told)


class TestPurge:
    def fill(self, delivery: DeliveryStore, age: float) -> None:
        """Keep three of everything, received so many days ago."""
        at = (100 - age) * DAY
        key = of_reference("octopush", f"day {age}")
        for n in range(3):
            words = f"{n} after {age}"
            delivery.write([report(n, key=key, received_at=at), reply(words, received_at=at)])
            delivery.write([dead_letter(words, at), dataclasses.replace(totals(1, 2, key), received_at=at)])

    def test_deletes_what_is_older_and_nothing_else(
        self, store: Store, delivery: DeliveryStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(delivery_store, "ROWS_A_PURGE", 2)
        for age in (1, 29, 31, 91):
            self.fill(delivery, age)
            with store.write() as connection:
                connection.execute(mapped_list.insert().values(**A_LIST, map_index=age, at=(100 - age) * DAY))
                self.fill_ledger(connection, campaign=age, at=(100 - age) * DAY)
        expected = {
            "delivery reports": 6,
            "campaign reports": 2,
            "events": 6,
            "dead letters": 6,
            "recipients of batches": 0,
            "lists of mapped tasks": 1,
            "campaigns of the ledger": 1,
            "attempts of the ledger": 2,
            "batches of the ledger": 3,
            **dict.fromkeys((
                "questions", "people who were asked", "answers to questions", "incidents", "alerts of incidents",
                "counts of incidents", "people told of incidents", "all clears", "pages", "answers", "silences",
                "reservations",
            ), 0),
        }  # fmt: skip
        age = timedelta(days=30)
        assert delivery.count_old(older_than=age) == expected
        assert delivery.purge(older_than=age) == expected
        assert set(delivery.purge(older_than=age).values()) == {0}
        left = {"delivery_report": 6, "campaign_report": 2, "event": 6, "dead_letter": 6, "mapped_list": 3}
        left |= {"campaign": 3, "attempt": 6, "batch": 9}
        assert {table: len(rows(store, table)) for table in left} == left
        assert delivery.purge(older_than=age, ledger_older_than=age)["batches of the ledger"] == 3

    @staticmethod
    def fill_ledger(connection: Any, *, campaign: int, at: float) -> None:
        """Add a campaign of two attempts and three batches."""
        task = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": campaign}
        counts = {"attempts": 2, "generation": 1}
        connection.execute(schema.campaign.insert(), {"id": campaign, **task, **counts, "at": at})
        for number in (1, 2):
            values = {"campaign": campaign, "number": number, "try_number": number, "at": at}
            connection.execute(schema.attempt.insert(), values)
        for position in range(3):
            place = {"campaign": campaign, "generation": 1, "position": position}
            connection.execute(schema.batch.insert(), {**place, "rank": 1, "phase": "sent", "record": "{}"})

    def test_never_touches_reservations_that_limits_look_at(self, store: Store) -> None:
        window_log = SlidingWindowLog(store)
        window_log.reserve("limit", [Window(1, 86_400.0)])
        window_log.block_for("limit", 600)
        clock = store.slot_clock()
        with store.write() as connection:
            now = clock(connection)
            connection.execute(
                text("INSERT INTO voicepartner_rate_slot (name, at) VALUES ('limit', :at)"),
                {"at": now - 4 * DAY},
            )
        deleted = DeliveryStore(store, now=lambda: now).purge(older_than=timedelta(seconds=1))
        assert deleted["reservations"] == 1
        assert [slot["at"] > now - 10 for slot in rows(store, "rate_slot")] == [True]
        assert len(rows(store, "rate_limit")) == 1

    def test_an_event_after_a_purge_is_behind_every_cursor(self, delivery: DeliveryStore) -> None:
        delivery.write([reply("oui")])
        cursor = events(delivery)[-1].id
        delivery.purge(older_than=timedelta(days=1))
        delivery.write([reply("non")])
        assert [told.text for told in events(delivery, since=cursor)] == ["non"]

    def test_leaves_no_number_in_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "delivery.db"
        delivery = DeliveryStore(open_store(f"sqlite:///{path}"))
        delivery.write([report(n) for n in range(200)])
        delivery.write([reply("un secret"), dead_letter()])
        assert number(7).encode() in path.read_bytes()
        delivery.purge(older_than=timedelta(days=1))
        left = b"".join(file.read_bytes() for file in tmp_path.glob("delivery.db*"))
        assert number(7).encode() not in left
        assert b"secret" not in left

    def test_an_age_of_nothing_is_refused(self, delivery: DeliveryStore) -> None:
        with pytest.raises(InvalidArgumentError, match="above zero"):
            delivery.purge(older_than=timedelta(0))


def test_dead_letters_are_limited_and_the_newest_stay(
    store: Store, delivery: DeliveryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_store, "KEPT_DEAD_LETTERS", 3)
    delivery.write([dead_letter("first")])
    delivery.write([dead_letter(str(n)) for n in range(5)])
    assert sorted(row["why"] for row in rows(store, "dead_letter")) == ["2", "3", "4"]
    assert [row["campaign"] for row in rows(store, "dead_letter")] == [A.campaign] * 3
