"""Answers applied in the store: one owner, nobody who was not asked, and everybody is told what is so."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.constants import ANSWERED_WITHIN, MOST_SAID_ANSWERS
from airflow_provider_voicepartner.contacts.targets import Target
from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.schema import incident as incidents
from airflow_provider_voicepartner.db.schema import page
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.delivery.personal_data import PersonalData
from airflow_provider_voicepartner.incidents.acting import Answered, Answers, PhoneAnswer, digest_of
from airflow_provider_voicepartner.incidents.answers import Channel, read_keys, read_text
from airflow_provider_voicepartner.incidents.escalation import Action, Became
from airflow_provider_voicepartner.incidents.titles import Words
from tests.support.escalations import (
    NUMBERS,
    POLICY,
    STRANGER,
    Clock,
    answer_rows,
    incident_row,
    numbers,
    open_incident,
    page_rows,
    page_store,
    resolver,
)


class Night:
    """One store, and what is done with it."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store, self.clock = store, clock
        self.pages = page_store(store)
        self.answers = Answers(store, self.pages)
        self._count = 0

    def open(self, code: int | None = None, *, steps: int = 1) -> int:
        incident = open_incident(self.store, code=code, title=f"sales.load {code}")
        self.pages.start(incident, POLICY)
        for step in range(steps):
            self.clock.advance(300.0 if step else 0.0)
            for claimed in self.pages.take_turn(incident, resolver):
                self.pages.record(
                    claimed, Became.SENT, gateway="g", gateway_id=f"{incident}-{claimed.page.person}"
                )
        return incident

    def says(self, who: str, text: str, *, digest: str | None = None, **more: Any) -> Answered | None:
        self._count += 1
        answer = PhoneAnswer(
            digest=digest or digest_of(self._count),
            channel=Channel.SMS,
            phone_number=NUMBERS.get(who, STRANGER),
            read=read_text(text),
            **more,
        )
        return self.answers.by_phone(answer, numbers)

    def presses(self, who: str, keys: str, incident: object, **more: Any) -> Answered | None:
        self._count += 1
        answer = PhoneAnswer(
            digest=digest_of(self._count), channel=Channel.CALL, phone_number=NUMBERS[who],
            read=read_keys(keys), **{"gateway": "g", "gateway_id": f"{incident}-{who}", **more},
        )  # fmt: skip
        return self.answers.by_phone(answer, numbers)


@pytest.fixture
def night(store: Store, clock: Clock) -> Night:
    return Night(store, clock)


def outcome(done: Answered | None) -> str:
    assert done is not None
    return done.outcome


def told(done: Answered | None) -> list[tuple[str, str, str]]:
    assert done is not None
    return [(one.page.person, one.page.purpose.value, one.page.said) for one in done.pages]


def test_the_first_answer_has_it_and_the_others_are_told(night: Night) -> None:
    incident = night.open(steps=2)
    done = night.says("bruno", "1")
    assert outcome(done) == "acknowledged"
    assert told(done) == [
        ("anne", "owned", "bruno"),
        ("chloe", "owned", "bruno"),
        ("bruno", "answer", "bruno"),
    ]
    row = incident_row(night.store, incident)
    assert (row.state, row.owner) == ("acknowledged", "bruno")
    [noted] = answer_rows(night.store)
    assert (noted.incident, noted.person, noted.action, noted.result) == (
        incident,
        "bruno",
        "acknowledge",
        "acknowledged",
    )
    assert noted.channel == "sms"
    night.clock.advance(900.0)
    assert night.pages.due() == []


def test_what_is_read_twice_acts_once(night: Night) -> None:
    night.open()
    assert outcome(night.says("anne", "1", digest="a" * 64)) == "acknowledged"
    rows = len(page_rows(night.store))
    assert night.says("anne", "1", digest="a" * 64) is None
    assert len(page_rows(night.store)) == rows


def test_late_and_repeated_answers_are_answered_with_what_is_so(night: Night) -> None:
    night.open(steps=2)
    night.says("bruno", "1")
    again = night.says("bruno", "ok")
    assert (outcome(again), told(again)) == ("already_owned", [("bruno", "answer", "bruno")])
    late = night.says("anne", "1")
    assert (outcome(late), told(late)) == ("already_owned", [("anne", "answer", "bruno")])
    night.says("bruno", "3")
    closed = night.says("anne", "1")
    assert (outcome(closed), told(closed)) == ("already_closed", [("anne", "answer", "bruno")])


@pytest.mark.parametrize("who", ["stranger", "bruno"])
def test_an_answer_from_a_number_that_was_not_asked_does_nothing(night: Night, who: str) -> None:
    incident = night.open(code=12)
    [page] = page_rows(night.store)
    for text in ("1", "12", "ok"):
        assert night.says(who, text, reference=page.reference) is None
    assert answer_rows(night.store) == []
    assert len(page_rows(night.store)) == 1
    assert incident_row(night.store, incident).state == "open"


def test_a_page_that_was_not_sent_asked_nobody(night: Night) -> None:
    incident = open_incident(night.store)
    night.pages.start(incident, POLICY)
    [claimed] = night.pages.take_turn(incident, resolver)
    night.pages.record(claimed, Became.NOT_SENT)
    assert night.says("anne", "1") is None


def test_whoever_answers_before_the_sender_says_so_has_it(night: Night) -> None:
    incident = open_incident(night.store)
    night.pages.start(incident, POLICY)
    night.pages.take_turn(incident, resolver)
    assert outcome(night.says("anne", "1")) == "acknowledged"


def test_several_incidents_need_a_code(night: Night) -> None:
    first, second = night.open(12), night.open(13)
    done = night.says("anne", "1")
    assert outcome(done) == "ambiguous"
    assert done is not None
    assert done.pages[0].choices == ((12, "sales.load 12"), (13, "sales.load 13"))
    assert outcome(night.says("anne", "14")) == "unknown_code"
    assert outcome(night.says("anne", "13 ok")) == "acknowledged"
    assert incident_row(night.store, first).state == "open"
    assert incident_row(night.store, second).owner == "anne"
    assert outcome(night.says("anne", "1")) == "acknowledged"
    assert incident_row(night.store, first).owner == "anne"


def test_nonsense_is_answered_with_how_to_say_it_and_changes_nothing(night: Night) -> None:
    incident = night.open()
    done = night.says("anne", "who is this?")
    assert (outcome(done), told(done)) == ("not_understood", [("anne", "answer", "")])
    assert incident_row(night.store, incident).state == "open"


def test_two_robots_do_not_talk_for_ever(night: Night) -> None:
    night.open()
    said = [len(told(night.says("anne", f"I am away until {n}"))) for n in range(MOST_SAID_ANSWERS + 3)]
    assert said == [1] * MOST_SAID_ANSWERS + [0] * 3


def test_a_key_is_about_the_call(night: Night) -> None:
    first, second = night.open(12, steps=2), night.open(13, steps=2)
    assert outcome(night.presses("chloe", "1", second)) == "acknowledged"
    assert incident_row(night.store, first).state == "open"
    assert incident_row(night.store, second).owner == "chloe"
    assert outcome(night.presses("bruno", "12", first)) == "not_understood"
    assert outcome(night.presses("bruno", "2", first)) == "escalated"
    assert night.pages.due() == [first]


def test_a_key_that_is_pressed_on_a_landline_is_answered_by_a_text_to_the_mobile(night: Night) -> None:
    incident, landline = night.open(steps=2), "+33142685308"
    with night.store.write() as connection:
        at_the_desk = page.update().where(page.c.person == "bruno").values(phone_number=landline)
        connection.execute(at_the_desk)
    pressed = PhoneAnswer(
        digest=digest_of("desk"), channel=Channel.CALL, phone_number=landline, read=read_keys("1"),
        gateway="g", gateway_id=f"{incident}-bruno",
    )  # fmt: skip
    done = night.answers.by_phone(pressed, numbers)
    assert outcome(done) == "acknowledged"
    assert told(done)[-1] == ("bruno", "answer", "bruno")
    assert done is not None
    assert done.pages[-1].page.phone_number == NUMBERS["bruno"]


@pytest.mark.parametrize("text", ["pas ok", "1", "99"])
def test_what_cannot_be_applied_is_answered_in_the_language_of_the_person(night: Night, text: str) -> None:
    for code in (12, 13):
        incident = night.open(code)
        words = Words(french=f"sales.load {code} a échoué").to_text()
        with night.store.write() as connection:
            connection.execute(incidents.update().where(incidents.c.id == incident).values(words=words))

    def french(people: Sequence[str]) -> Sequence[Target]:
        return [replace(target, language="fr") for target in numbers(people)]

    answer = PhoneAnswer(
        digest=digest_of(text), channel=Channel.SMS, phone_number=NUMBERS["anne"], read=read_text(text)
    )
    done = night.answers.by_phone(answer, french)
    assert done is not None
    [reply] = done.pages
    assert reply.page.language == "fr"
    assert reply.choices == ((12, "sales.load 12 a échoué"), (13, "sales.load 13 a échoué"))


def test_whoever_passes_it_on_does_so_once_until_paged_again(night: Night) -> None:
    incident = night.open()
    assert outcome(night.says("anne", "2")) == "escalated"
    assert outcome(night.says("anne", "2")) == "already_passed_on"
    assert [one.page.person for one in night.pages.take_turn(incident, resolver)] == ["bruno", "chloe"]


def test_closing_frees_key_and_code_and_tells_the_others(night: Night) -> None:
    incident = night.open(12, steps=2)
    done = night.says("anne", "12c")
    assert (outcome(done), told(done)[:2]) == (
        "closed",
        [("bruno", "closed", "anne"), ("chloe", "closed", "anne")],
    )
    row = incident_row(night.store, incident)
    assert (row.state, row.open_key, row.code, row.due_at) == ("closed", None, None, None)


def test_nobody_is_answered_about_what_was_closed_long_ago(night: Night) -> None:
    night.open()
    night.says("anne", "3")
    night.clock.advance(ANSWERED_WITHIN + 1)
    assert night.says("anne", "1") is None


def test_by_name_for_whoever_is_logged_in(night: Night) -> None:
    incident = night.open()
    for _ in range(2):
        done = night.answers.by_name(
            incident, Action.ACKNOWLEDGE, "ops", Channel.CLI, numbers, digest=digest_of("x")
        )
        assert done is not None
        assert done.owner == "ops"
    assert night.answers.by_name(incident + 1, Action.CLOSE, "ops", Channel.CLI, numbers, digest="y") is None
    assert len([row for row in page_rows(night.store) if row.purpose == "owned"]) == 1


@pytest.mark.timeout(120)
def test_two_at_the_same_second_have_one_owner(night: Night) -> None:
    incident = night.open(steps=2)
    found: list[Answered | None] = []

    def say(who: str) -> None:
        answer = PhoneAnswer(
            digest=digest_of(who), channel=Channel.SMS, phone_number=NUMBERS[who], read=read_text("1")
        )
        found.append(night.answers.by_phone(answer, numbers))

    threads = [threading.Thread(target=say, args=(who,)) for who in ("anne", "bruno", "chloe")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(outcome, found)) == ["acknowledged", "already_owned", "already_owned"]
    owner = incident_row(night.store, incident).owner
    assert {done.owner for done in found if done is not None} == {owner}
    assert len([row for row in page_rows(night.store) if row.purpose == "owned"]) == 2


def test_no_number_is_shown(night: Night) -> None:
    night.open(steps=2)
    done = night.says("bruno", "1")
    answer = PhoneAnswer(digest="d", channel=Channel.SMS, phone_number=NUMBERS["anne"], read=read_text("1"))
    for shown in (repr(done), repr(answer)):
        assert not any(number[-8:] in shown for number in NUMBERS.values())


def test_nothing_is_written_for_replies_to_campaigns(night: Night, store: Store) -> None:
    store.write = None  # type: ignore[method-assign,assignment]
    assert night.says("stranger", "1") is None


def everything_in(store: Store) -> str:
    """Return all rows of the store as text."""
    from sqlalchemy import select

    from airflow_provider_voicepartner.db.schema import metadata

    with store.read() as connection:
        return str([connection.execute(select(table)).all() for table in metadata.sorted_tables])


def test_a_person_who_is_forgotten_is_in_no_page_and_no_answer(night: Night, store: Store) -> None:
    incident = night.open(steps=2)
    for text in ("1", "3"):
        done = night.says("anne", text)
        assert done is not None
        for claimed in done.pages:
            night.pages.record(claimed, Became.SENT)
    data = PersonalData(store)
    known = data.find(NUMBERS["anne"]).to_json()
    assert [row["person"] for row in known["told_of_incidents"]] == ["anne"]
    assert [row["action"] for row in known["answers"]] == ["acknowledge", "close"]
    assert {row["phone_number"] for row in known["pages"]} == {NUMBERS["anne"]}
    erased = data.erase(NUMBERS["anne"])
    assert (erased["told incidents"], erased["answers"], erased["pages"]) == (1, 2, len(known["pages"]))
    left = everything_in(store)
    assert "anne" not in left.replace("1-anne", "")  # what this test calls the ids of a gateway
    assert NUMBERS["anne"] not in left
    assert NUMBERS["bruno"] in left
    assert night.pages.shown(incident, 1) is None
    assert night.says("anne", "1") is None
    # Whoever else was paged is answered no more about what is closed, and nothing breaks.
    assert night.says("bruno", "1") is None


def test_a_person_who_is_forgotten_amid_an_escalation_does_not_stop_it(night: Night, store: Store) -> None:
    incident = night.open()
    PersonalData(store).erase(NUMBERS["anne"])
    assert night.says("anne", "1") is None
    night.clock.advance(300.0)
    assert {one.page.person for one in night.pages.take_turn(incident, resolver)} == {"bruno", "chloe"}
    assert told(night.says("bruno", "1"))[0][1] == "owned"


# Answers to something else


@pytest.mark.parametrize(
    "more",
    [{}, {"gateway": "other", "gateway_id": "1-bruno"}, {"gateway_id": None, "reference": "campaign"}],
    ids=["another call", "the id of another gateway", "the reference of another call"],
)
def test_a_key_of_another_call_does_nothing(night: Night, more: dict[str, Any]) -> None:
    incident = night.open(steps=2)
    assert night.presses("bruno", "1", "campaign", **more) is None
    assert incident_row(night.store, incident).state == "open"
    assert outcome(night.presses("bruno", "1", incident)) == "acknowledged"


@pytest.mark.parametrize("became", [Became.IN_DOUBT, None], ids=["in doubt", "its sender died"])
def test_a_key_counts_where_the_id_of_the_page_is_not_known(night: Night, became: Became | None) -> None:
    incident = open_incident(night.store)
    night.pages.start(incident, POLICY)
    night.pages.take_turn(incident, resolver)
    night.clock.advance(300.0)
    for claimed in night.pages.take_turn(incident, resolver):
        if became is not None:
            night.pages.record(claimed, became)
    assert outcome(night.presses("bruno", "1", "nobody told us")) == "acknowledged"


def test_contacts_that_take_long_keep_nobody_from_writing(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "store.db"
    with closing(open_store(f"sqlite:///{path}", clock=clock)) as store:
        night = Night(store, clock)
        incident = night.open()
        locked: list[bool] = []

        def slow(people: Sequence[str]) -> Sequence[Target]:
            if not locked:  # the first look reads them
                with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
                    try:
                        other.execute("BEGIN IMMEDIATE")
                        locked.append(False)
                    except sqlite3.OperationalError:
                        locked.append(True)
            return numbers(people)

        answer = PhoneAnswer(
            digest="a", channel=Channel.SMS, phone_number=NUMBERS["anne"], read=read_text("1")
        )
        assert night.answers.by_phone(answer, slow) is not None
        assert locked == [False]
        locked.clear()
        night.answers.by_name(incident, Action.CLOSE, "bruno", Channel.CLI, slow, digest="b")
        assert locked == [False]
