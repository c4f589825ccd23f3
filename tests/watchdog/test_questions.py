"""The runner of questions: answers come from the store, go to Airflow once, and who answered hears what is so."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import pendulum
import pytest

from airflow_provider_voicepartner.constants import ANSWER_HOLD, QUESTION_CHECK
from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.delivery.inbound import InboundRecord, of_gateway_id
from airflow_provider_voicepartner.delivery.store import DeliveryStore
from airflow_provider_voicepartner.gateways.model import DeliveryReport, Reply
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from airflow_provider_voicepartner.incidents.question_model import Ending, Question, Stage
from airflow_provider_voicepartner.watchdog.questions import QuestionRunner
from airflow_provider_voicepartner.watchdog.rest import ApiSilentError
from airflow_provider_voicepartner.watchdog.telling import Connections
from tests.support.asked_airflow import AskedAirflow
from tests.support.escalations import Clock
from tests.support.gateways import fault, sent
from tests.support.questions import ANNA, BRUNO, STRANGER, Asker
from tests.support.tasks import Logs


class Desk:
    """A store, an Airflow, the sandbox, and a runner."""

    def __init__(self, url: str, sandbox: Any) -> None:
        self.clock = Clock()
        self.store = open_store(url, clock=self.clock)
        self.asker = Asker(self.store, self.clock)
        self.airflow = AskedAirflow()
        self.sandbox = sandbox
        self.delivery = DeliveryStore(self.store, now=self.clock)
        self.runner = self.another()

    def another(self) -> QuestionRunner:
        return QuestionRunner(self.store, self.airflow, Connections(), clock=UTC)

    def ask(self, *numbers: str, **more: Any) -> Question:
        question = self.asker.ask(*numbers, **more)
        self.airflow.ask(question)
        return question

    def replies(self, number: str, text: str) -> None:
        self.clock.advance(1.0)
        at = pendulum.from_timestamp(self.clock.now)  # without it the same words count once in ten minutes
        event = Reply(gateway="smspartner", campaign_id=None, phone_number=number, text=text, at=at)
        self.delivery.write([InboundRecord(key=None, event=event, received_at=self.clock.now)])

    def run(self, seconds: float = 0.0) -> None:
        self.clock.advance(seconds)
        self.runner.run()

    def texts(self, number: str) -> list[str]:
        """Return what was said to a number, in order."""
        world = self.sandbox.world
        with world.lock:
            return [
                campaign.text
                for campaign in world.campaigns["smspartner"].values()
                if campaign.find(number) is not None
            ]

    def state(self, question: Question) -> Question:
        return self.asker.get(question)


@pytest.fixture
def desk(tmp_path: Path, sandbox: Any) -> Iterator[Desk]:
    made = Desk(f"sqlite:///{tmp_path}/desk.db", sandbox)
    yield made
    made.store.close()


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Logs:
    return Logs(caplog, capfd)


def test_a_reply_is_held_given_to_airflow_once_and_confirmed(desk: Desk, logs: Logs) -> None:
    question = desk.ask(ANNA, BRUNO)
    desk.replies(ANNA, "47 1")
    desk.run()
    assert desk.airflow.answers == []
    assert desk.texts(ANNA) == []
    desk.run(ANSWER_HOLD)
    assert desk.airflow.answers == [(question.ti_id, ("Approve",))]
    desk.another().run()
    desk.run(100.0)
    assert len(desk.airflow.answers) == 1
    assert desk.texts(ANNA) == ["release.approve: Approve, noted."]
    desk.replies(BRUNO, "2")
    desk.run()
    assert desk.texts(BRUNO) == ["release.approve: anna decided Approve at 17:46 UTC."]
    desk.replies(ANNA, "oui")
    desk.run()
    assert desk.texts(ANNA)[1:] == ["release.approve: you decided Approve at 17:46 UTC."]
    for secret in (ANNA[1:], BRUNO[1:], "47 1"):
        assert secret not in logs.text


@pytest.mark.parametrize(
    ("contacts", "said"),
    [('time_zone = "Asia/Tokyo"', "02:46"), ("", "17:46 UTC"), ("phone", "17:46 UTC")],
)
def test_when_somebody_decided_is_told_by_the_clock_of_whoever_is_told(
    desk: Desk, contacts: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "contacts.toml").write_text(f'[people.bruno]\nphone = "{BRUNO}"\n{contacts}\n')
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CONTACTS", str(tmp_path / "contacts.toml"))
    desk.ask(ANNA, BRUNO)
    desk.replies(ANNA, "47 1")
    desk.run()
    desk.run(ANSWER_HOLD)
    desk.replies(BRUNO, "2")
    desk.run()
    assert desk.texts(BRUNO) == [f"release.approve: anna decided Approve at {said}."]


def test_a_reply_of_somebody_who_was_not_asked_does_nothing(desk: Desk) -> None:
    question = desk.ask(ANNA)
    desk.replies(STRANGER, "47 1")
    desk.run()
    desk.run(ANSWER_HOLD)
    assert desk.airflow.answers == []
    assert sent(desk.sandbox, "smspartner") == {}
    assert desk.state(question).state is Stage.OPEN


def test_an_answer_waits_until_the_task_has_waited_for_a_while(desk: Desk) -> None:
    question = desk.ask(ANNA)
    desk.airflow.ask(question, is_parked=False, is_on_the_way=True)
    desk.replies(ANNA, "1")
    desk.run(ANSWER_HOLD)
    desk.airflow.ask(question)  # it waits since this moment
    desk.run(ANSWER_HOLD)
    assert desk.airflow.answers == []
    desk.run(ANSWER_HOLD)
    assert len(desk.airflow.answers) == 1


def test_who_answered_in_airflow_first_is_told(desk: Desk) -> None:
    question = desk.ask(ANNA)
    desk.airflow.answered_there(question, "Reject")
    desk.replies(ANNA, "1")
    desk.run(ANSWER_HOLD)
    assert desk.airflow.answers == []
    assert desk.texts(ANNA) == ["release.approve: too late: admin decided Reject in Airflow at 17:46 UTC."]
    assert desk.state(question).outcome == Ending.IN_AIRFLOW


def test_a_question_that_was_answered_in_airflow_gives_its_code_back(desk: Desk) -> None:
    question = desk.ask(ANNA)
    desk.airflow.answered_there(question, "Approve", who="")
    desk.run(QUESTION_CHECK)
    assert desk.state(question).code is None
    desk.replies(ANNA, "47 2")
    desk.run()
    assert desk.texts(ANNA) == ["release.approve: nobody answered in time, and Approve was taken."]


@pytest.mark.parametrize(
    ("change", "ending", "says"),
    [
        ({"ti_id": "another try"}, Ending.ASKED_AGAIN, "too late: it is asked again; please answer that"),
        ({"is_parked": False}, Ending.TASK_OVER, "too late: it does not wait for an answer any more"),
    ],
)
def test_an_answer_to_what_is_over_goes_nowhere(
    desk: Desk, change: dict[str, Any], ending: Ending, says: str
) -> None:
    question = desk.ask(ANNA)
    desk.airflow.ask(question, **change)
    desk.replies(ANNA, "1")
    desk.run(ANSWER_HOLD)
    assert desk.airflow.answers == []
    assert desk.state(question).outcome == ending
    assert desk.texts(ANNA) == [f"release.approve: {says}."]


def test_an_airflow_that_is_down_gets_the_answer_later(desk: Desk) -> None:
    question = desk.ask(ANNA)
    desk.replies(ANNA, "1")
    desk.airflow.error = ApiSilentError("Airflow's API does not answer (ConnectionError)")
    desk.run(ANSWER_HOLD)
    desk.run(100.0)
    assert desk.state(question).state is Stage.DECIDED
    assert desk.texts(ANNA) == []
    desk.airflow.error = None
    desk.run(100.0)
    assert desk.airflow.answers == [(question.ti_id, ("Approve",))]
    assert desk.texts(ANNA) == ["release.approve: Approve, noted."]


def test_a_watchdog_that_died_after_giving_an_answer_is_no_second_decision(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = desk.ask(ANNA)
    desk.replies(ANNA, "1")

    def die(question: Question) -> None:
        raise SystemExit

    monkeypatch.setattr(desk.runner.questions, "delivered", die)
    with pytest.raises(SystemExit):
        desk.run(ANSWER_HOLD)
    assert len(desk.airflow.answers) == 1
    desk.another().run()  # the claim is still that of the dead one
    assert desk.state(question).state is Stage.DECIDED
    desk.clock.advance(100.0)
    desk.another().run()
    assert len(desk.airflow.answers) == 1
    assert desk.state(question).state is Stage.DELIVERED
    assert desk.texts(ANNA) == ["release.approve: Approve, noted."]


def test_an_airflow_that_refuses_the_answer_is_told_of(desk: Desk, logs: Logs) -> None:
    desk.ask(ANNA)
    desk.airflow.refuses = 403
    desk.replies(ANNA, "1")
    desk.run(ANSWER_HOLD)
    desk.run(100.0)
    (text,) = desk.texts(ANNA)
    assert "Airflow does not take the answer; please answer in Airflow" in text
    assert "Airflow refuses the answer" in logs.text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("3", "Not understood. Reply 47 1 for Approve, 47 2 for Reject"),
        ("48 1", "No open question has that code. 47 release.approve"),
    ],
)
def test_an_answer_that_cannot_be_taken_is_answered_with_how_to_say_it(
    desk: Desk, text: str, says: str
) -> None:
    desk.ask(ANNA)
    desk.replies(ANNA, text)
    desk.run()
    assert desk.texts(ANNA) == [says]


def test_of_several_questions_the_codes_are_told(desk: Desk) -> None:
    desk.ask(ANNA)
    desk.ask(ANNA)
    desk.replies(ANNA, "1")
    desk.run()
    assert desk.texts(ANNA) == [
        "Which one? Reply its code and your answer. 47 release.approve, 52 release.approve"
    ]


def test_a_key_that_was_pressed_in_the_call_decides(desk: Desk) -> None:
    question = desk.ask(ANNA, kind="tts", batch="call-9")
    desk.clock.advance(1.0)
    report = DeliveryReport(
        gateway="smspartner", campaign_id="call-9", phone_number=ANNA, status=DeliveryStatus.DELIVERED,
        pressed_keys="2",
    )  # fmt: skip
    key = of_gateway_id("smspartner", "call-9")
    desk.delivery.write([InboundRecord(key=key, event=report, received_at=desk.clock.now)])
    desk.run(ANSWER_HOLD)
    assert desk.airflow.answers == [(question.ti_id, ("Reject",))]


def test_a_reply_that_cannot_be_sent_is_not_repeated(desk: Desk, logs: Logs) -> None:
    desk.ask(ANNA)
    desk.replies(ANNA, "1")
    fault(desk.sandbox, "drop_after")
    desk.run(ANSWER_HOLD)
    desk.run(100.0)
    assert "it is not known whether anna was told" in logs.text
    assert desk.texts(ANNA) == ["release.approve: Approve, noted."]
    assert ANNA[1:] not in logs.text


def test_what_came_before_the_first_question_is_not_read(desk: Desk) -> None:
    for _ in range(3):
        desk.replies(ANNA, "1")
    desk.run()
    question = desk.ask(ANNA)
    desk.run()
    assert desk.state(question).state is Stage.OPEN
    desk.replies(ANNA, "1")
    desk.run()
    assert desk.state(question).state is Stage.DECIDED
