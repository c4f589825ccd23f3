"""Questions and answers for tests."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.incidents.answers import Channel
from airflow_provider_voicepartner.incidents.question_answers import QuestionAnswers
from airflow_provider_voicepartner.incidents.question_model import (
    Answered,
    Asked,
    Asking,
    PhoneReply,
    Question,
)
from airflow_provider_voicepartner.incidents.questions import QuestionStore

ANNA, BRUNO, STRANGER = "+33612345601", "+33612345602", "+33612345699"
PEOPLE = {ANNA: "anna", BRUNO: "bruno"}
APPROVAL = ("Approve", "Reject")

_counted = itertools.count(1)


def asking(**more: Any) -> Asking:
    """Return a question of a task instance of its own."""
    number = next(_counted)
    values: dict[str, Any] = {
        "ti_id": f"ti-{number}", "dag_id": "release", "run_id": f"run-{number}", "task_id": "approve",
        "options": APPROVAL,
    }  # fmt: skip
    return Asking(**{**values, **more})


class Asker:
    """A store, what is asked in it, and who answers."""

    def __init__(self, store: Store, clock: Any, codes: Sequence[int] = (47, 52, 63, 71)) -> None:
        left = iter(codes)
        self.store, self.clock = store, clock
        self.questions = QuestionStore(store, choose=lambda free: next(left))
        self.answers = QuestionAnswers(store)

    def ask(self, *numbers: str, kind: Any = "sms", batch: str | None = None, **more: Any) -> Question:
        """Ask people, by number, as a notifier does."""
        question = self.questions.open(asking(**more))
        people = [
            Asked(phone_number=number, kind=kind, conn_id="smspartner_default", person=PEOPLE.get(number, ""))
            for number in numbers
        ]
        self.questions.ask(question.id, people)
        self.questions.was_asked(question.id, numbers, kind, gateway="smspartner", gateway_id=batch or "b1")
        return question

    def says(self, number: str, text: str, **more: Any) -> Answered | None:
        """Let somebody answer by text message, now."""
        self.clock.advance(1.0)
        values: dict[str, Any] = {
            "digest": f"digest-{next(_counted)}", "channel": Channel.SMS, "phone_number": number, "text": text,
            "received_at": self.clock.now,
        }  # fmt: skip
        return self.answers.by_phone(PhoneReply(**{**values, **more}))

    def get(self, question: Question) -> Question:
        """Return a question as it is now."""
        found = self.questions.get(question.id)
        assert found is not None
        return found
