"""The URL of a batch may report only about its recipients, and a limited number of events, on both databases."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_voicepartner.constants import RECIPIENTS_IN_URL
from airflow_provider_voicepartner.db.errors import StoreDataError
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.delivery import admission as module
from airflow_provider_voicepartner.delivery import store as store_module
from airflow_provider_voicepartner.delivery.dead_letters import NOT_NAMED, REFUSED, DeadLetters
from airflow_provider_voicepartner.delivery.group_commit import GroupWriter
from airflow_provider_voicepartner.delivery.inbound import DeadLetter
from airflow_provider_voicepartner.delivery.receiver import Receiver
from airflow_provider_voicepartner.delivery.store import DeliveryStore
from airflow_provider_voicepartner.delivery.tokens import CallbackTokens
from airflow_provider_voicepartner.gateways.gateway import Gateway, own_modules
from airflow_provider_voicepartner.gateways.wire import CallbackRequest
from tests.support.receiver import SECRET, rows

OLD = "the secret of last month, 4711"
STRANGER = "+33699999999"
SMSPARTNER = own_modules()["smspartner"]
TO = "sent to"


def people(count: int) -> list[str]:
    return [f"+336{number:08d}" for number in range(1, count + 1)]


def receiver_of(store: Store, tokens: CallbackTokens) -> Receiver:
    return Receiver(GroupWriter(lambda: store), tokens)


class Gateways:
    """Calls at the URL of a batch, put straight into a store."""

    def __init__(self, store: Store, *, size: int, noted: bool = True, secret: str = SECRET) -> None:
        self.store, self.delivery = store, DeliveryStore(store)
        sender = CallbackTokens([secret])
        self.tokens = CallbackTokens([SECRET, OLD])
        self.people = people(size)
        ends = datetime.now(UTC) + timedelta(days=1)
        self._token = sender.for_batch("smspartner", "k3v9", expires=ends, recipients=self.people)
        if noted and size > RECIPIENTS_IN_URL:
            marks = sender.stored_marks(self.people)
            self.delivery.note_recipients("smspartner", "k3v9", marks, ends=ends.timestamp())

    def call(self, body: str, *, gateway: Gateway = SMSPARTNER) -> None:
        token = self.tokens.read(gateway.INFO.name, self._token, now=datetime.now(UTC))
        request = CallbackRequest(method="POST", body=body.encode(), content_type="text/plain")
        self.delivery.write(receiver_of(self.store, self.tokens).read(gateway, token, request))

    def reply(self, number: str, text: str = "oui", kind: str = "response") -> None:
        self.call(f"type={kind}&phone_number={number.replace('+', '%2B')}&text={text}")

    def report(self, number: str, **more: str) -> None:
        told = "".join(f"&{name}={value}" for name, value in more.items())
        self.call(f"status=delivered&phone={number.replace('+', '%2B')}&msgId=1{told}")

    def letters(self) -> DeadLetters:
        return DeadLetters(self.store, own_modules())

    def events(self) -> list[tuple[str, str]]:
        return [(row["kind"], row["phone_number"]) for row in rows(self.store, "event")]


@pytest.mark.parametrize("secret", [SECRET, OLD], ids=["newest secret", "older secret"])
@pytest.mark.parametrize("size", [1, RECIPIENTS_IN_URL, RECIPIENTS_IN_URL + 1, 500])
def test_reports_about_strangers_become_dead_letters(size: int, secret: str, store: Store) -> None:
    gateways = Gateways(store, size=size, secret=secret)
    last = gateways.people[-1]
    gateways.reply(last)
    gateways.reply(last, "STOP", "stop")
    gateways.report(last)
    for number in (STRANGER, people(size + 1)[-1]):
        gateways.reply(number)
        gateways.reply(number, "STOP", "stop")
        gateways.report(number, stopSms="1")
        gateways.report(number)
    assert gateways.events() == [("reply", last), ("opt_out", last)]
    assert gateways.delivery.opt_outs() == [last]
    assert gateways.delivery.opted_out([STRANGER, last]) == {last}
    assert [row["phone_number"] for row in rows(store, "delivery_report")] == [last]
    assert [letter.why for letter in gateways.letters().all()] == [module.STRANGER] * 8
    assert gateways.delivery.quarantined == 8


@pytest.mark.parametrize("written", ["0600000003", "0033600000003", "33600000003", "+33 6 00 00 00 03"])
def test_a_number_that_the_gateway_writes_otherwise_is_the_same_person(written: str, store: Store) -> None:
    for size in (5, 50):
        gateways = Gateways(store, size=size)
        gateways.reply(written, f"STOP {size}", "stop")
    assert not gateways.letters().all()
    assert set(gateways.delivery.opt_outs()) == {"+33600000003"}


@pytest.mark.parametrize("size", [5, 50])
def test_who_has_the_same_number_but_with_07_is_a_stranger(size: int, store: Store) -> None:
    gateways = Gateways(store, size=size)
    for first in "1234579":
        gateways.reply(f"+33{first}00000003", "STOP", "stop")
    assert gateways.delivery.opt_outs() == []
    assert [letter.why for letter in gateways.letters().all()] == [module.STRANGER] * 7


def test_where_nobody_noted_the_people_everything_is_believed(store: Store) -> None:
    gateways = Gateways(store, size=50, noted=False)
    gateways.reply(STRANGER)
    assert gateways.events() == [("reply", STRANGER)]


def test_the_answers_at_a_url_are_bounded_and_stops_come_through(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EVENTS_A_URL", 3)
    gateways = Gateways(store, size=20)
    first, second = gateways.people[:2]
    for text in "abcde":
        gateways.reply(first, text)
    assert len(gateways.events()) == 3
    gateways.reply(second, "STOP", "stop")
    gateways.report(second)
    assert gateways.events()[3:] == [("opt_out", second)]
    assert [row["status"] for row in rows(store, "delivery_report")] == ["delivered"]
    for place in range(9):
        gateways.call(f"type=stop&phone_number=%2B{first[1:]}&text=STOP&date=2031-05-06 14:15:0{place}")
    assert len(gateways.events()) == 6
    assert [letter.why for letter in gateways.letters().all()].count(module.TOO_MANY) == 2 + 7


def test_one_url_does_not_push_out_the_dead_letters_of_others(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "KEPT_DEAD_LETTERS_OF_A_BATCH", 4)
    gateways = Gateways(store, size=2)
    receiver = receiver_of(store, gateways.tokens)
    account = gateways.tokens.read(
        "octopush", gateways.tokens.for_connection("octopush", "o"), now=datetime.now(UTC)
    )
    other = CallbackRequest(method="POST", body=b"what is this")
    gateways.delivery.write(receiver.read(own_modules()["octopush"], account, other))
    for number in people(12)[2:]:
        gateways.reply(number)
    bodies = [letter.call.body for letter in gateways.letters().all()]
    assert len(bodies) == 5
    assert bodies[0] == b"what is this"
    assert b"33600000012" in bodies[-1]


def test_one_url_does_not_push_them_out_by_ids_that_it_used_up(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "KEPT_DEAD_LETTERS_OF_A_BATCH", 4)
    monkeypatch.setattr(store_module, "KEPT_DEAD_LETTERS", 10)
    gateways = Gateways(store, size=2)
    other = DeadLetter(
        gateway="octopush", campaign=None, method="POST", content_type="", query="", body=b"else", why="odd",
        received_at=1.0,
    )  # fmt: skip
    gateways.delivery.write([other])
    for number in people(32)[2:]:
        gateways.reply(number)
    letters = gateways.letters().all()
    assert [letter.call.body == b"else" for letter in letters] == [True, *[False] * 4]


class TestReplay:
    def test_what_is_read_now_is_stored_and_no_letter_any_more(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gateways = Gateways(store, size=20)
        with monkeypatch.context() as patch:
            patch.setattr(SMSPARTNER, "parse_callback", lambda call: 1 / 0)
            gateways.reply(gateways.people[0], "caf%E9")
        gateways.call("not to be read")
        letters = gateways.letters()
        kept = letters.all()
        assert letters.replay(kept, only_read=True)[0].problem == ""
        assert gateways.events() == []
        done = letters.replay(kept)
        assert done[0].problem == ""
        assert done[1].problem.startswith("cannot be read: ")
        assert [letter.id for letter in letters.all()] == [kept[1].id]
        (event,) = rows(store, "event")
        assert (event["text"], event["campaign"]) == ("café", "ref:k3v9")
        assert event["received_at"] == kept[0].received_at

    def test_one_that_cannot_be_read_or_stored_keeps_no_other_from_it(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gateways = Gateways(store, size=20)
        with monkeypatch.context() as patch:
            patch.setattr(SMSPARTNER, "parse_callback", lambda call: 1 / 0)
            for words in ("poison", "refused", "good"):
                gateways.reply(gateways.people[0], words)
        read, write = SMSPARTNER.parse_callback, DeliveryStore.write

        def parse(call: CallbackRequest) -> Any:
            return 1 / 0 if b"poison" in call.body else read(call)

        def refuse(self: DeliveryStore, items: Any) -> int:
            if "refused" in items[0].event.text:
                raise StoreDataError("no such value")
            return write(self, items)

        monkeypatch.setattr(SMSPARTNER, "parse_callback", parse)
        monkeypatch.setattr(DeliveryStore, "write", refuse)
        letters = gateways.letters()
        done = letters.replay(letters.all())
        assert [one.problem for one in done] == ["cannot be read: ZeroDivisionError", REFUSED, ""]
        assert [letter.id for letter in letters.all()] == [letter.letter.id for letter in done[:2]]
        assert [row["text"] for row in rows(store, "event")] == ["good"]

    def test_strangers_are_acted_on_only_by_name(self, store: Store) -> None:
        gateways = Gateways(store, size=20)
        gateways.reply(STRANGER, "STOP", "stop")
        letters = gateways.letters()
        assert [done.problem for done in letters.replay(letters.all())] == [NOT_NAMED]
        assert gateways.delivery.opt_outs() == []
        assert [done.problem for done in letters.replay(letters.all(), named=True)] == [""]
        assert gateways.delivery.opt_outs() == [STRANGER]
        assert letters.all() == []

    def test_a_report_that_names_no_campaign_stays(self, store: Store) -> None:
        gateways = Gateways(store, size=1)
        tokens = gateways.tokens
        account = tokens.read("octopush", tokens.for_connection("octopush", "o"), now=datetime.now(UTC))
        body = b"number=%2B33600000001&status=DELIVERED&delivery_date=2030-05-04 09:00:41"
        receiver = receiver_of(store, tokens)
        call = CallbackRequest(method="POST", query="x=%E9", body=body, content_type="a/b; charset=x")
        gateways.delivery.write(receiver.read(own_modules()["octopush"], account, call))
        letters = gateways.letters()
        (letter,) = letters.all()
        assert letter.call == call
        assert [done.problem for done in letters.replay([letter])] == ["names no campaign"]
        assert letters.all() == [letter]


def test_marks_go_when_their_url_has_ended(store: Store) -> None:
    delivery = DeliveryStore(store)
    for name, ends in (("old", -1), ("new", 60)):
        delivery.note_recipients("smspartner", name, b"8 bytes.", ends=time.time() + ends)
    assert delivery.purge(older_than=timedelta(days=30))["recipients of batches"] == 1
    assert [row["reference"] for row in rows(store, "batch_recipients")] == ["new"]


def test_a_batch_that_is_noted_twice_has_its_last_people(store: Store) -> None:
    delivery = DeliveryStore(store)
    for marks in (b"8 bytes.", b"8 others"):
        delivery.note_recipients("smspartner", "k3v9", marks, ends=time.time() + 9)
    assert [bytes(row["marks"]) for row in rows(store, "batch_recipients")] == [b"8 others"]
