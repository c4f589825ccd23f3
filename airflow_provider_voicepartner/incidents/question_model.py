"""The values that questions to people are made of: what is asked, who was asked, and what came of an answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from airflow_provider_voicepartner.gateways.info import Kind
from airflow_provider_voicepartner.incidents.answers import Channel


class Stage(StrEnum):
    """The state of a question."""

    OPEN = "open"
    DECIDED = "decided"
    """An answer has it; Airflow does not know yet."""
    DELIVERED = "delivered"
    """Airflow took the answer."""
    ENDED = "ended"
    """It is over without an answer of ours."""

    @property
    def is_live(self) -> bool:
        """True where Airflow waits, as far as is known."""
        return self in (Stage.OPEN, Stage.DECIDED)


class Ending(StrEnum):
    """Why a question is over without an answer of ours."""

    IN_AIRFLOW = "in_airflow"
    """Somebody answered there, or the default was taken."""
    EXPIRED = "expired"
    """The time to answer is over."""
    ASKED_AGAIN = "asked_again"
    """The task was retried or cleared, and asks anew."""
    TASK_OVER = "task_over"
    """The task does not wait any more."""
    REFUSED = "refused"
    """Airflow does not take the answer."""


class Heard(StrEnum):
    """What came of an answer."""

    DECIDED = "decided"
    ALREADY = "already"
    """Somebody else was first, or the question is over."""
    NOT_UNDERSTOOD = "not_understood"
    AMBIGUOUS = "ambiguous"
    """Several questions are open, and the answer does not say which is meant."""
    UNKNOWN_CODE = "unknown_code"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """
    What is asked.

    :param ti_id: Airflow's id of the task instance, another one for each try.
    :param options: to choose from.
    :param most: how many may be chosen.
    :param link: to the question in Airflow.
    :param seconds: to answer in; None for ever.
    """

    ti_id: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    options: tuple[str, ...]
    most: int = 1
    link: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """
    A number that is asked.

    :param person: a name of the contacts; empty for a plain number.
    :param reference: of the batch.
    """

    phone_number: str = field(repr=False)
    kind: Kind
    conn_id: str
    person: str = ""
    language: str = ""
    reference: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """
    A question, as the store has it; times are Unix seconds.

    :param outcome: a value of ``Ending``; empty for none.
    :param answerable_at: nothing is given to Airflow before.
    :param ends_at: until when it can be answered; None for ever.
    :param seen: what Airflow said last of the task: ``running``, ``parked``, or empty.
    :param who: who decided; empty for nobody, or a number without a name.
    """

    id: int
    ti_id: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    options: tuple[str, ...]
    most: int
    link: str
    code: int | None
    last_code: int | None
    state: Stage
    outcome: str
    asked_at: float
    answerable_at: float
    ends_at: float | None
    seen: str
    checked_at: float
    chosen: tuple[str, ...]
    who: str
    how: str
    decided_at: float | None
    changed_at: float
    version: int

    @property
    def name(self) -> str:
        """What asks."""
        index = f"[{self.map_index}]" if self.map_index >= 0 else ""
        return f"{self.dag_id}.{self.task_id}{index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneReply:
    """
    An answer that came by phone.

    :param digest: of what it was read from; a repeat has the same one.
    :param text: of a message, or the pressed keys.
    :param reference: of the batch that it answers, where the gateway says so.
    :param gateway_id: the gateway's id of that batch, where it says so.
    :param received_at: Unix seconds; it answers nothing that was asked later.
    """

    digest: str
    channel: Channel
    phone_number: str = field(repr=False)
    text: str = field(repr=False)
    gateway: str = ""
    reference: str | None = None
    gateway_id: str | None = None
    received_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """
    What came of an answer.

    :param question: that it is about; of several the last one.
    :param person: who answered; empty for a number without a name.
    """

    heard: Heard
    question: Question
    person: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueReply:
    """
    What somebody who answered is to be told; this process has to send it, and nobody else.

    :param is_own: whether the one who answered decided the question.
    :param choices: codes and names of the questions and incidents among which an answer has to choose.
    """

    heard: Heard
    question: Question
    person: str
    phone_number: str = field(repr=False)
    conn_id: str
    language: str
    is_own: bool = False
    choices: tuple[tuple[int, str], ...] = ()
