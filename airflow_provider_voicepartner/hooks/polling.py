"""Asking a gateway about many batches: one at first, several at once while it answers, fewer when it does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_voicepartner.constants import (
    LONGEST_POLL_ROUND,
    MOST_UNANSWERED_POLLS,
    POLLS_AT_ONCE,
    REPORTS_A_WRITE,
)
from airflow_provider_voicepartner.sending.batch import Job, WorkerPool
from airflow_provider_voicepartner.sending.report import SentBatch

if TYPE_CHECKING:
    from airflow_provider_voicepartner.gateways.model import DeliveryReport


@dataclass(frozen=True, slots=True, kw_only=True)
class PollRequest:
    """
    One question to a gateway: what became of a batch.

    :param place: of the batch in the campaign, from 0.
    :param people: numbers of the few of whom nothing final was told, where everybody else was; none asks about all.
    :param tolerates_not_found: the batch is so young that the gateway need not know it.
    """

    place: int
    sent: SentBatch
    people: tuple[str, ...] = field(default=(), repr=False)
    tolerates_not_found: bool = False

    @property
    def name(self) -> str | None:
        """What the gateway knows the batch by."""
        return self.sent.gateway_id or self.sent.tag


@dataclass(frozen=True, slots=True, kw_only=True)
class PollResult:
    """
    What a gateway told.

    :param question: what it was asked.
    :param told: may be of nobody.
    :param is_last: it will never tell more.
    :param asked_at: when it was asked, in Unix seconds; None is now.
    """

    question: PollRequest
    told: Sequence[DeliveryReport] = ()
    is_last: bool = False
    asked_at: float | None = None


class Rounds:
    """
    Divides the questions of a look into rounds. The questions of a round are asked at the same time.

    The first round is one request. Each round that is answered in full doubles the next one, up to ``POLLS_AT_ONCE``. A
    round that is answered in part shrinks the next one to that part: the rate limit lets no more through. After
    ``MOST_UNANSWERED_POLLS`` requests in a row without any answer there are no more rounds.

    :param questions: in the order in which they are asked.
    :param share: of one request that a question takes, up to 1: questions about few people share requests.
    """

    def __init__(
        self,
        questions: Sequence[PollRequest],
        *,
        share: Callable[[PollRequest], float] = lambda question: 1.0,
    ) -> None:
        self._questions = questions
        self._share = share
        self._begin = self._end = 0
        self._width = 1
        self._unanswered = 0.0

    def next(self) -> Sequence[PollRequest]:
        """Return the questions of the next round; none when the look is over."""
        self._begin = self._end
        if self._unanswered >= MOST_UNANSWERED_POLLS:
            return ()
        size = 0.0
        for question in self._questions[self._begin :]:
            size += self._share(question)
            if size > self._width and self._end > self._begin:
                break
            self._end += 1
        return self._questions[self._begin : self._end]

    def take(self, answered: int) -> None:
        """Take note of how many questions of the round were answered."""
        asked = self._end - self._begin
        if not answered:
            self._unanswered += max(1, self._width)
            self._width = 1
            return
        self._unanswered = 0
        if answered == asked:
            self._width = min(self._width * 2, POLLS_AT_ONCE)
        else:
            self._width = max(1, self._width * answered // asked)


def is_enough_for_a_write(answers: Sequence[PollResult]) -> bool:
    """Say whether answers hold so many reports that they are written before the look is over."""
    return sum(len(answer.told) for answer in answers) >= REPORTS_A_WRITE


def ask_at_once(
    answer: Callable[[PollRequest], PollResult | None], questions: Sequence[PollRequest]
) -> list[PollResult | BaseException]:
    """
    Ask several questions, each in a thread of its own, and wait for all answers.

    :param answer: asks one; called by several threads at once.
    :returns: answers and errors, in the order of the questions; without those that cannot be asked now.
    """
    if len(questions) == 1:
        try:
            found = answer(questions[0])
        except Exception as error:
            return [error]
        return [] if found is None else [found]
    threads = WorkerPool()
    jobs = [Job(lambda question=question: answer(question)) for question in questions]  # type: ignore[misc]
    try:
        for job in jobs:
            threads.start(job)
        threads.wait_for_all(jobs, LONGEST_POLL_ROUND)
    finally:
        threads.close()
    results = [job.error or job.result for job in jobs if job.is_done]
    return [result for result in results if result is not None]
