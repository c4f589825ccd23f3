"""An Airflow that waits for answers to questions, as its API would tell of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from airflow_provider_voicepartner.incidents.question_model import Question
from airflow_provider_voicepartner.watchdog.hitl import AirflowQuestion, note_of
from airflow_provider_voicepartner.watchdog.rest import ApiError, ApiRefusedError


@dataclass
class AskedAirflow:
    """
    What the API tells of its questions, by id of the task instance.

    :param error: raised in place of any answer.
    :param refuses: the status of a refusal of each answer; 0 for none.
    """

    asked: dict[str, AirflowQuestion] = field(default_factory=dict)
    answers: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    error: ApiError | None = None
    refuses: int = 0

    def ask(self, question: Question, **more: Any) -> None:
        """Let a task wait for people."""
        values = {"ti_id": question.ti_id, "is_parked": True, "note": {}, **more}
        self.asked[question.task_id + question.run_id] = AirflowQuestion(**values)

    def find(self, question: Question) -> AirflowQuestion | None:
        """Return a question."""
        if self.error is not None:
            raise self.error
        return self.asked.get(question.task_id + question.run_id)

    def answer(self, question: Question) -> None:
        """Take an answer, once."""
        if self.error is not None:
            raise self.error
        place = question.task_id + question.run_id
        found = self.asked[place]
        if self.refuses or found.is_answered:
            raise ApiRefusedError("the answer is refused", status=self.refuses or 409)
        self.answers.append((question.ti_id, question.chosen))
        self.asked[place] = replace(
            found, is_parked=False, is_on_the_way=True, is_answered=True, chosen=question.chosen,
            note=note_of(question), who="watchdog",
        )  # fmt: skip

    def answered_there(self, question: Question, option: str, who: str = "admin") -> None:
        """Let somebody answer in Airflow."""
        place = question.task_id + question.run_id
        self.asked[place] = replace(
            self.asked[place],
            is_parked=False,
            is_answered=True,
            chosen=(option,),
            who=who,
            at=1_900_000_000.0,
        )
