"""Questions in the store: one answer has it, nobody else's counts, and everybody who answers hears what is so."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_voicepartner.constants import ANSWER_HOLD, ANSWERED_WITHIN, MOST_SAID_ANSWERS
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.delivery.personal_data import PersonalData
from airflow_provider_voicepartner.delivery.store import DeliveryStore
from airflow_provider_voicepartner.incidents.acting import Answers, PhoneAnswer
from airflow_provider_voicepartner.incidents.answers import Channel, read_text
from airflow_provider_voicepartner.incidents.question_model import Ending, Heard, Stage
from tests.support.escalations import NUMBERS, POLICY, numbers, open_incident, page_store, resolver
from tests.support.questions import ANNA, BRUNO, STRANGER, Asker, asking


@pytest.fixture
def asker(store: Store, clock: Any) -> Asker:
    return Asker(store, clock)


def test_the_first_answer_decides_and_is_held_until_airflow_can_take_it(asker: Asker) -> None:
    question = asker.ask(ANNA, BRUNO)
    answered = asker.says(ANNA, "1")
    assert answered is not None
    assert answered.heard is Heard.DECIDED
    now = asker.get(question)
    assert (now.state, now.chosen, now.who, now.how) == (Stage.DECIDED, ("Approve",), "anna", "sms")
    assert now.decided_at == asker.clock.now
    assert asker.questions.to_deliver() == []
    assert asker.questions.claim_replies() == []
    asker.clock.advance(ANSWER_HOLD)
    (due,) = asker.questions.to_deliver()
    assert asker.questions.claim(due)
    assert not asker.questions.claim(due)
    asker.questions.delivered(due)
    (reply,) = asker.questions.claim_replies()
    assert (reply.is_own, reply.phone_number, reply.question.state) == (True, ANNA, Stage.DELIVERED)
    assert asker.questions.claim_replies() == []
    assert asker.get(question).code is None


def test_the_time_before_an_answer_is_given_begins_when_the_message_has_left(asker: Asker) -> None:
    question = asker.questions.open(asking())
    asker.clock.advance(12.0)
    asker.questions.was_asked(question.id, [ANNA], "sms", gateway="smspartner", gateway_id="1")
    assert asker.get(question).answerable_at == asker.clock.now + ANSWER_HOLD


def test_the_second_answer_hears_who_decided(asker: Asker) -> None:
    question = asker.ask(ANNA, BRUNO)
    asker.says(ANNA, "2")
    second = asker.says(BRUNO, "1")
    assert second is not None
    assert second.heard is Heard.ALREADY
    assert asker.questions.claim_replies() == []  # Airflow may still say that somebody else was first
    asker.questions.delivered(asker.get(question))
    replies = {reply.phone_number: reply for reply in asker.questions.claim_replies()}
    assert (replies[ANNA].is_own, replies[BRUNO].is_own) == (True, False)
    assert replies[BRUNO].question.chosen == ("Reject",)
    assert replies[BRUNO].question.who == "anna"
    third = asker.says(BRUNO, "1")
    assert third is not None
    assert third.heard is Heard.ALREADY
    assert [reply.heard for reply in asker.questions.claim_replies()] == [Heard.ALREADY]


# What is answered, and what comes of it, where one question with the code 47 is open.
TABLE = [
    ("1", ANNA, Heard.DECIDED),
    ("47 2", ANNA, Heard.DECIDED),
    ("oui", ANNA, Heard.DECIDED),
    ("47 non", ANNA, Heard.DECIDED),
    ("48 1", ANNA, Heard.UNKNOWN_CODE),
    ("3", ANNA, Heard.NOT_UNDERSTOOD),
    ("47", ANNA, Heard.NOT_UNDERSTOOD),
    ("1 2", ANNA, Heard.NOT_UNDERSTOOD),
    ("pas oui", ANNA, Heard.NOT_UNDERSTOOD),
    ("'; DROP TABLE question; --", ANNA, Heard.NOT_UNDERSTOOD),
    ("1", STRANGER, None),
    ("47 1", STRANGER, None),
]


@pytest.mark.parametrize(("text", "number", "heard"), TABLE)
def test_what_comes_of_an_answer(asker: Asker, text: str, number: str, heard: Heard | None) -> None:
    question = asker.ask(ANNA)
    answered = asker.says(number, text)
    assert (answered and answered.heard) == heard
    decided = asker.get(question).state is Stage.DECIDED
    assert decided is (heard is Heard.DECIDED)
    told = [reply.heard for reply in asker.questions.claim_replies()]
    assert told == ([heard] if heard in (Heard.UNKNOWN_CODE, Heard.NOT_UNDERSTOOD) else [])


def test_a_code_that_was_used_and_one_that_expired_do_nothing(asker: Asker) -> None:
    question = asker.ask(ANNA, seconds=60.0)
    asker.clock.advance(60.0)
    late = asker.says(ANNA, "47 1")
    assert late is not None
    assert (late.heard, late.question.outcome) == (Heard.ALREADY, Ending.EXPIRED)
    assert asker.get(question).state is Stage.ENDED
    (reply,) = asker.questions.claim_replies()
    assert reply.question.outcome == Ending.EXPIRED
    used = asker.ask(ANNA)
    assert used.code == 52
    asker.says(ANNA, "52 1")
    again = asker.says(ANNA, "52 2")
    assert again is not None
    assert again.heard is Heard.ALREADY
    assert asker.get(used).chosen == ("Approve",)


def test_of_several_open_questions_only_a_code_decides(asker: Asker) -> None:
    first, second = asker.ask(ANNA), asker.ask(ANNA)
    unclear = asker.says(ANNA, "1")
    assert unclear is not None
    assert unclear.heard is Heard.AMBIGUOUS
    (reply,) = asker.questions.claim_replies()
    assert reply.choices == ((47, "release.approve"), (52, "release.approve"))
    assert {asker.get(one).state for one in (first, second)} == {Stage.OPEN}
    asker.says(ANNA, "47 2")
    assert asker.get(first).chosen == ("Reject",)
    assert asker.get(second).state is Stage.OPEN
    asker.says(ANNA, "1")  # only one is left
    assert asker.get(second).chosen == ("Approve",)


def test_an_answer_that_came_before_the_question_answers_nothing(asker: Asker) -> None:
    early = asker.clock.now - 1
    question = asker.ask(ANNA)
    assert asker.says(ANNA, "1", received_at=early) is None
    assert asker.get(question).state is Stage.OPEN


def test_an_answer_that_is_read_twice_counts_once(asker: Asker) -> None:
    first = asker.ask(ANNA)
    assert asker.says(ANNA, "3", digest="same") is not None
    assert asker.says(ANNA, "1", digest="same") is None
    assert asker.get(first).state is Stage.OPEN


def test_thanks_afterwards_are_no_answer(asker: Asker) -> None:
    question = asker.ask(ANNA)
    asker.says(ANNA, "1")
    asker.questions.delivered(asker.get(question))
    asker.questions.claim_replies()
    assert asker.says(ANNA, "merci !") is None
    asker.clock.advance(ANSWERED_WITHIN + 1)
    assert asker.says(ANNA, "1") is None


def test_two_robots_do_not_talk_for_ever(asker: Asker) -> None:
    asker.ask(ANNA)
    for _ in range(20):
        asker.says(ANNA, "I am on holiday")
    assert len(asker.questions.claim_replies()) == MOST_SAID_ANSWERS


def test_a_key_counts_only_in_the_call_that_asked(asker: Asker) -> None:
    question = asker.ask(ANNA, kind="tts", batch="call-7")
    pressed = {"channel": Channel.CALL, "gateway": "smspartner"}
    assert asker.says(ANNA, "1", gateway_id=None, **pressed) is None
    assert asker.says(ANNA, "1", gateway_id="another", **pressed) is None
    assert asker.get(question).state is Stage.OPEN
    answered = asker.says(ANNA, "2", gateway_id="call-7", **pressed)
    assert answered is not None
    assert answered.heard is Heard.DECIDED
    assert asker.get(question).chosen == ("Reject",)


def test_a_second_notifier_joins_and_a_second_try_asks_anew(asker: Asker) -> None:
    place = {"run_id": "r1", "task_id": "t"}
    first = asker.ask(ANNA, ti_id="try-1", **place)
    joined = asker.ask(BRUNO, ti_id="try-1", **place)
    assert joined.id == first.id
    asker.says(BRUNO, "1")
    second = asker.ask(ANNA, ti_id="try-2", **place)
    old = asker.get(first)
    assert (old.state, old.outcome, old.code) == (Stage.ENDED, Ending.ASKED_AGAIN, None)
    assert asker.questions.to_deliver() == []
    assert asker.get(second).state is Stage.OPEN
    late = asker.says(ANNA, "47 2")  # the old code, while the new one waits
    assert late is not None
    assert late.heard is Heard.ALREADY
    assert asker.get(second).state is Stage.OPEN


def test_a_number_that_got_no_message_may_not_answer(asker: Asker) -> None:
    question = asker.questions.open(asking())
    asker.questions.ask(question.id, [])
    asker.ask(BRUNO)
    asker.questions.was_not_asked(question.id, [ANNA], "sms")
    assert asker.says(ANNA, "47 1") is None


def test_who_answered_in_airflow_is_known_to_those_who_answer_later(asker: Asker) -> None:
    question = asker.ask(ANNA)
    asker.says(ANNA, "1")
    asker.questions.end(question, Ending.IN_AIRFLOW, chosen=("Reject",), who="admin", at=1_900_000_000.0)
    (reply,) = asker.questions.claim_replies()
    assert reply.is_own
    assert (reply.question.who, reply.question.chosen, reply.question.outcome) == (
        "admin",
        ("Reject",),
        Ending.IN_AIRFLOW,
    )
    asker.questions.delivered(question)  # too late
    assert asker.get(question).state is Stage.ENDED


def test_somebody_who_is_known_by_name_answers_once(asker: Asker) -> None:
    question = asker.ask(ANNA)
    wrong = asker.answers.by_name(question.id, "Perhaps", "cli:root", Channel.CLI, digest="a")
    assert wrong is not None
    assert wrong.heard is Heard.NOT_UNDERSTOOD
    done = asker.answers.by_name(question.id, "Reject", "bruno", Channel.LINK, digest="b")
    assert done is not None
    assert (done.heard, done.question.chosen, done.question.how) == (Heard.DECIDED, ("Reject",), "link")
    again = asker.answers.by_name(question.id, "Approve", "bruno", Channel.LINK, digest="b")
    assert again is not None
    assert (again.heard, again.question.chosen) == (Heard.ALREADY, ("Reject",))
    assert asker.answers.by_name(999, "1", "bruno", Channel.LINK, digest="c") is None


def test_of_two_answers_at_once_one_decides(asker: Asker) -> None:
    question = asker.ask(ANNA, BRUNO)
    asker.clock.advance(5.0)
    begin = threading.Barrier(2)
    heard: list[Any] = []

    def answer(number: str, text: str) -> None:
        begin.wait()
        heard.append(asker.says(number, text))

    threads = [threading.Thread(target=answer, args=one) for one in ((ANNA, "1"), (BRUNO, "2"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.heard for one in heard) == [Heard.ALREADY, Heard.DECIDED]
    first = next(one for one in heard if one.heard is Heard.DECIDED)
    assert asker.get(question).who == first.person


def test_a_purge_leaves_no_name_and_no_number(asker: Asker) -> None:
    question = asker.ask(ANNA)
    asker.says(ANNA, "1")
    asker.questions.delivered(asker.get(question))
    asker.clock.advance(31 * 86_400.0)
    kept = asker.ask(BRUNO)
    done = DeliveryStore(asker.store, now=asker.clock).purge(older_than=timedelta(days=30))
    assert (done["questions"], done["people who were asked"], done["answers to questions"]) == (1, 1, 1)
    assert asker.questions.get(question.id) is None
    assert asker.says(ANNA, "47 1") is None
    assert asker.get(kept).state is Stage.OPEN


def test_a_person_who_is_forgotten_is_in_no_question(asker: Asker) -> None:
    question = asker.ask(ANNA, BRUNO)
    asker.says(ANNA, "3")
    data = PersonalData(asker.store)
    (known,) = data.find(ANNA).to_json()["questions"]
    assert (known["question"], known["person"], known["phone_number"]) == (question.id, "anna", ANNA)
    assert data.erase(ANNA)["questions"] == 1
    assert data.find(ANNA).questions == []
    assert asker.questions.claim_replies() == []
    assert asker.says(ANNA, "47 1") is None
    assert asker.says(BRUNO, "47 1") is not None


# Incidents and questions, to the same number


def page(asker: Asker, code: int) -> int:
    pages = page_store(asker.store)
    incident = open_incident(asker.store, code=code)
    pages.start(incident, POLICY)
    pages.take_turn(incident, resolver)
    return incident


def acknowledge(asker: Asker, text: str) -> Any:
    answer = PhoneAnswer(
        digest=f"i {text}", channel=Channel.SMS, phone_number=NUMBERS["anne"], read=read_text(text)
    )
    return Answers(asker.store, page_store(asker.store)).by_phone(answer, numbers)


def test_an_answer_that_may_mean_an_incident_too_does_neither(asker: Asker) -> None:
    anne = NUMBERS["anne"]
    incident = page(asker, 31)
    question = asker.ask(anne)
    asker.questions.note_reader()
    unclear = asker.says(anne, "1")
    assert unclear is not None
    assert unclear.heard is Heard.AMBIGUOUS
    assert acknowledge(asker, "1") is None
    (reply,) = asker.questions.claim_replies()
    assert reply.choices == ((47, "release.approve"), (31, "sales.load failed"))
    assert asker.says(anne, "31 1") is None
    assert acknowledge(asker, "47 1") is None
    done = acknowledge(asker, "31 1")
    assert done.incident == incident
    assert asker.says(anne, "47 1") is not None
    assert asker.get(question).chosen == ("Approve",)


@pytest.mark.parametrize("since", [None, 601.0], ids=["never", "not lately"])
def test_while_nobody_reads_answers_to_questions_a_page_is_answered(
    asker: Asker, clock: Any, since: float | None
) -> None:
    incident = page(asker, 31)
    asker.ask(NUMBERS["anne"])
    if since is not None:
        asker.questions.note_reader()
        clock.advance(since)
    assert acknowledge(asker, "1").incident == incident
    late = asker.says(NUMBERS["anne"], "1")
    assert late is not None
    assert late.heard is Heard.AMBIGUOUS


def test_a_question_takes_no_code_of_an_open_incident(store: Store, clock: Any) -> None:
    open_incident(store, code=47)
    offered: list[Any] = []
    asker = Asker(store, clock)
    asker.questions._choose = lambda free: offered.append(free) or free[0]
    asker.ask(ANNA)
    assert 47 not in offered[0]
    assert 46 in offered[0]
