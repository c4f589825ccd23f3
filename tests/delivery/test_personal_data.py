"""What is known of one person, its erasure, and what a purge leaves: the STOP, as a hash, and nothing on the disk."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.db import schema
from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.delivery.inbound import DeadLetter, InboundRecord, of_reference
from airflow_provider_voicepartner.delivery.opt_outs import KnownOptOut
from airflow_provider_voicepartner.delivery.personal_data import PersonalData
from airflow_provider_voicepartner.delivery.store import DeliveryStore
from airflow_provider_voicepartner.delivery.tokens import CallbackTokens
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import DeliveryReport, OptOut, Reply
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from tests.support.receiver import SECRET, RunningReceiver, rows

ANNA, BERT = "+33612345678", "+33698765432"
NOW, DAY = 1_900_000_000.0, 86_400.0
KEY, OLD_KEY = "a key of the list of opt-outs", "the key of the year before"
BATCH = of_reference("smspartner", "k3v9")


def delivery_of(store: Store, *keys: str) -> DeliveryStore:
    return DeliveryStore(store, now=lambda: NOW, opt_out_keys=keys)


def arrival(event: Any, *, days: float = 0) -> InboundRecord:
    return InboundRecord(key=BATCH, event=event, received_at=NOW - days * DAY)


def report(number: str) -> DeliveryReport:
    return DeliveryReport(
        gateway="smspartner", campaign_id="1", phone_number=number, status=DeliveryStatus.DELIVERED
    )


def stop(number: str, text: str = "STOP") -> OptOut:
    return OptOut(gateway="smspartner", campaign_id="1", phone_number=number, text=text)


def reply(number: str, text: str = "planted words") -> Reply:
    return Reply(gateway="smspartner", campaign_id="1", phone_number=number, text=text)


def letter(body: bytes = b"", query: str = "") -> DeadLetter:
    return DeadLetter(
        gateway="smspartner", campaign=None, method="POST", content_type="", query=query, body=body, why="odd",
        received_at=NOW,
    )  # fmt: skip


def fill(store: Store) -> None:
    """Let both say everything that a person can."""
    delivery = delivery_of(store)
    for number in (ANNA, BERT):
        delivery.write([arrival(report(number)), arrival(stop(number)), arrival(reply(number))])
        delivery.write([letter(number.encode()), letter(query=f"phone={number.replace('+', '%2B')}")])


class TestPerson:
    def test_everything_is_found(self, store: Store) -> None:
        fill(store)
        known = PersonalData(store).find(ANNA)
        told = known.to_json()
        assert [row["phone_number"] for row in told["delivery_reports"]] == [ANNA]
        assert [(row["kind"], row["text"]) for row in told["events"]] == [
            ("opt_out", "STOP"),
            ("reply", "planted words"),
        ]
        assert len(told["dead_letters"]) == 2
        # The event tells it, until a purge keeps no more than the list.
        assert told["opted_out"] == {"said_at": told["events"][0]["received_at"], "gateway": "smspartner"}
        assert told["events"][0]["received_at"].startswith("2030-03-17T17:46:40")
        json.dumps(told)
        assert ANNA not in repr(known)

    def test_everything_is_erased_except_the_stop(self, store: Store) -> None:
        fill(store)
        data = PersonalData(store)
        done = data.erase(ANNA)
        assert done == {
            "delivery reports": 1, "events": 2, "dead letters": 2, "told incidents": 0, "all clears": 0,
            "pages": 0, "answers": 0, "questions": 0,
        }  # fmt: skip
        left = data.find(ANNA)
        assert (left.delivery_reports, left.events, left.dead_letters) == ([], [], [])
        assert left.opted_out == KnownOptOut(said_at=NOW, gateway="smspartner")
        assert len(data.find(BERT).events) == 2
        assert data.find(BERT).opted_out is None
        assert delivery_of(store).opted_out([ANNA, BERT, "+33600000000"]) == {ANNA, BERT}
        assert ANNA not in str([rows(store, name) for name in ("opt_out", "event", "delivery_report")])

    def test_who_said_no_stop_leaves_nothing(self, store: Store) -> None:
        delivery_of(store).write([arrival(reply(ANNA))])
        assert PersonalData(store).erase(ANNA)["events"] == 1
        assert rows(store, "opt_out") == []

    @pytest.mark.sampled(10)
    @pytest.mark.parametrize(
        ("body", "content_type"),
        [
            ('{"n": "+33612345678"}'.encode("utf-16"), ""), ('n=+33612345678'.encode("utf-16-le"), ""),
            ('{"n": "+33612345678"}'.encode("utf-32-be"), ""), (b"n=%2b%33%36%31%32%33%34%35%36%37%38", ""),
            (b'{"n": "06\\u00a012\\u00a034\\u00a056\\u00a078"}', ""), (b'{"n": "\\u0030612345678"}', ""),
            (b"n=06%C2%A012%C2%A034%C2%A056%C2%A078", ""), (b"n=06\xa012\xa034\xa056\xa078", ""),
            ("n=06\u202f12\u202f34\u202f56\u202f78".encode(), ""),
            ("n=06\u201112\u201134\u201156\u201178".encode(), ""),
            (b"n=06_12_34_56_78", ""), ("n=\u0660\u0666\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668".encode(), ""),
            ('{"n": "+33612345678"}'.encode("cp037"), "text/plain; charset=cp037"),
            (b'--b\r\nContent-Disposition: form-data; name="n"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
             b"KzMzNjEyMzQ1Njc4\r\n--b--", "multipart/form-data; boundary=b"),
        ],
    )  # fmt: skip
    def test_dead_letters_are_found_in_whatever_charset_or_escapes_the_receiver_reads(
        self, body: bytes, content_type: str, store: Store
    ) -> None:
        odd = replace(letter(body), content_type=content_type)
        delivery_of(store).write([odd, letter(b"+33612345679"), replace(odd, body=b"", query="n=0612345679")])
        data = PersonalData(store)
        assert len(data.find(ANNA).dead_letters) == 1
        assert data.erase(ANNA)["dead letters"] == 1
        assert data.find(ANNA).dead_letters == []

    @pytest.mark.sampled(5)
    @pytest.mark.parametrize(
        "written", [b"+33612345678", b"0612345678", b"06 12 34 56 78", b"06.12.34.56.78",
     b"%2B33612345678", b"+33 (0)6-12-34-56-78", b"06+12+34+56+78"],
    )  # fmt: skip
    def test_dead_letters_are_found_however_they_write_the_number(self, written: bytes, store: Store) -> None:
        delivery_of(store).write([letter(b'{"n": "' + written + b'"}'), letter(b"+33612345679")])
        assert len(PersonalData(store).find(ANNA).dead_letters) == 1

    def test_the_marks_of_batches_are_erased_too(self, store: Store) -> None:
        tokens = CallbackTokens([SECRET])
        delivery_of(store).note_recipients("smspartner", "k3v9", tokens.stored_marks([ANNA, BERT]), ends=NOW)
        assert PersonalData(store).erase(ANNA, without_marks=tokens.forget)["batches"] == 1
        (row,) = rows(store, "batch_recipients")
        assert bytes(row["marks"]) == tokens.stored_marks([BERT])
        assert PersonalData(store).erase(ANNA, without_marks=tokens.forget)["batches"] == 0


class TestListOfOptOuts:
    @pytest.mark.parametrize("keys", [(), (KEY,)], ids=["the store's own key", "a configured key"])
    def test_a_purge_leaves_who_said_stop_when_and_through_whom(
        self, keys: tuple[str, ...], store: Store
    ) -> None:
        delivery = delivery_of(store, *keys)
        delivery.write(
            [arrival(stop(ANNA), days=40), arrival(stop(BERT), days=1), arrival(reply(BERT), days=40)]
        )
        assert delivery.purge(older_than=timedelta(days=30))["events"] == 2
        assert delivery.opt_outs() == [BERT]
        assert delivery.opted_out([ANNA, BERT, "+33600000000"]) == {ANNA, BERT}
        assert delivery.opted_out([]) == set()
        (row,) = rows(store, "opt_out")
        assert (row["said_at"], row["gateway"]) == (NOW - 40 * DAY, "smspartner")
        assert ANNA[1:] not in str(row)
        assert bool(rows(store, "own_key")) is not bool(keys)

    def test_a_second_stop_leaves_the_first_date(self, store: Store) -> None:
        delivery = delivery_of(store)
        for days in (60, 50, 70):
            delivery.write([arrival(stop(ANNA, f"STOP {days}"), days=days)])
            delivery.purge(older_than=timedelta(days=30))
        assert [row["said_at"] for row in rows(store, "opt_out")] == [NOW - 70 * DAY]

    def test_a_new_key_finds_what_the_old_one_made_and_says_so_where_that_is_missing(
        self, store: Store
    ) -> None:
        old = delivery_of(store, OLD_KEY)
        old.write([arrival(stop(ANNA), days=40)])
        old.purge(older_than=timedelta(days=30))
        both = delivery_of(store, KEY, OLD_KEY)
        both.write([arrival(stop(BERT), days=40)])
        both.purge(older_than=timedelta(days=30))
        assert both.opted_out([ANNA, BERT]) == {ANNA, BERT}
        for keys in ((KEY,), ()):
            with pytest.raises(InvalidArgumentError, match="opt_out_key"):
                delivery_of(store, *keys).opted_out([ANNA])

    def test_a_key_that_came_later_leaves_the_stores_own_usable(self, store: Store) -> None:
        delivery = delivery_of(store)
        delivery.write([arrival(stop(ANNA), days=40)])
        delivery.purge(older_than=timedelta(days=30))
        assert delivery_of(store, KEY).opted_out([ANNA]) == {ANNA}

    def test_more_numbers_than_one_query_takes(self, store: Store) -> None:
        delivery = delivery_of(store)
        delivery.write([arrival(stop(ANNA), days=40)])
        delivery.purge(older_than=timedelta(days=30))
        many = [f"+337{number:08d}" for number in range(12_000)]
        assert delivery.opted_out([*many, ANNA]) == {ANNA}

    def test_a_short_key_is_refused(self, store: Store) -> None:
        with pytest.raises(InvalidArgumentError, match="16 characters"):
            delivery_of(store, "short")


def on_disk(folder: Path) -> bytes:
    """Return all that a thief of the files would read."""
    return b"".join(file.read_bytes() for file in sorted(folder.glob("received.db*")))


@pytest.mark.parametrize("how", ["purge", "forget"])
def test_what_is_deleted_is_on_no_disk_while_a_receiver_runs(
    how: str, receiver: RunningReceiver, tmp_path: Path
) -> None:
    path = receiver.batch_path("smspartner")
    for place in range(30):
        told = {"type": "response", "phone_number": ANNA, "text": f"planted words {place}"}
        assert receiver.post(path, told).status == 200
    assert receiver.post(path, {"type": "stop", "phone_number": ANNA, "text": "STOP"}).status == 200
    assert receiver.post(path, {"odd": ANNA}).status == 200
    assert ANNA.encode() in on_disk(tmp_path)
    store = open_store(f"sqlite:///{tmp_path / 'received.db'}")
    if how == "purge":
        DeliveryStore(store, now=lambda: 2**33).purge(older_than=timedelta(days=1))
    else:
        PersonalData(store).erase(ANNA)
    store.close()
    for planted in (ANNA, ANNA[1:], "planted words"):
        assert planted.encode() not in on_disk(tmp_path)
    assert receiver.post(path, {"type": "response", "phone_number": BERT, "text": "goes on"}).status == 200


def test_a_dead_letter_that_newer_ones_push_out_is_on_no_disk(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("airflow_provider_voicepartner.delivery.store.KEPT_DEAD_LETTERS", 2)
    store = open_store(f"sqlite:///{tmp_path / 'received.db'}")
    for body in (b"planted words", b"other", b"others"):
        delivery_of(store).write([letter(body)])
    assert store.erase_log()
    assert len(rows(store, "dead_letter")) == 2
    assert b"planted words" not in on_disk(tmp_path)
    store.close()


def test_a_long_read_is_not_waited_for_forever_and_logged(
    tmp_path: Path, monkeypatch: Any, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("airflow_provider_voicepartner.db.transactions.EMPTY_LOG_TIMEOUT", 0.2)
    monkeypatch.setattr("airflow_provider_voicepartner.db.databases.STORE_LOCK_TIMEOUT", 0.1)
    store = open_store(f"sqlite:///{tmp_path / 'received.db'}")
    delivery_of(store).write([letter(b"one")])
    with store.read() as connection:
        connection.execute(schema.dead_letter.select()).all()
        delivery_of(store).write([letter(b"two")])
        assert not store.erase_log()
    assert "it still holds deleted data" in caplog.text
    assert store.erase_log()
    store.close()
