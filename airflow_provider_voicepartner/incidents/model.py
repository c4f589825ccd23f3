"""The values that incidents are made of: what happened, what an alert asks for, and what the store decides about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

from airflow_provider_voicepartner.constants import AT_MOST_SECONDS
from airflow_provider_voicepartner.gateways.info import Kind
from airflow_provider_voicepartner.incidents.titles import Words

LOW: Final = "low"
"""The urgency of what waits for the end of quiet hours."""


class State(StrEnum):
    """The state of an incident."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    CLOSED = "closed"


class Outcome(StrEnum):
    """What became of one alert."""

    CLAIMED = "claimed"
    """Its sender is at work, or died over it."""
    TOLD = "told"
    COUNTED = "counted"
    """Within the time in which nobody is told again."""
    SILENCED = "silenced"
    INHIBITED = "inhibited"
    """Another alert about the same run says more."""
    LOST = "lost"
    """Nobody could be told."""


class Happened(StrEnum):
    """
    What happened, as far as incidents tell it apart: alerts of different kinds never join the same incident.

    A watchdog adds words of its own, of at most 40 characters.
    """

    FAILURE = "failure"
    """Of a task or a whole DAG, whether Airflow knows an error or not."""
    RETRY = "retry"
    """A task failed and will be retried."""
    SKIPPED = "skipped"
    DEADLINE = "deadline"
    SUCCESS = "success"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """
    What happened where; two alerts about the same occurrence, on the same route, are one.

    :param dag_id: empty where no DAG is concerned (a scheduler that is silent).
    :param run_id: empty where no run is.
    :param task_id: empty for a whole DAG.
    :param map_index: -1 for a task that is not mapped.
    :param try_number: 0 where it is unknown.
    :param what: a value of :class:`Happened`, or one of the watchdog's.
    :param moment: what tells occurrences apart that are the same otherwise, as
        :func:`~airflow_provider_voicepartner.incidents.keys.moment_of` writes it: of a DAG when its run began, which a
        cleared run does again; of a missed deadline the deadline. Empty for a task.
    """

    dag_id: str = ""
    run_id: str = ""
    task_id: str = ""
    map_index: int = -1
    try_number: int = 0
    what: str = ""
    moment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AtMost:
    """
    How often people are told of one incident.

    :param messages: from 1.
    :param seconds: in any span of this length.
    """

    messages: int = 1
    seconds: float = AT_MOST_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """
    One alert, before anybody is told.

    :param key: of the incident: alerts with the same key belong together.
    :param at_most: None tells of every alert.
    :param route: how people are told: the notifier's kind, connection and recipients. An alert on another route tells
        other people, or the same ones in another way, so each route counts by itself. The store holds a keyed hash.
    :param audience: the recipients as they were given, names or numbers. An alert is inhibited only by one that all of
        them were told of.
    :param title: one line for lists and pages; the first line of an error may be in it, no number and no user's text.
    :param words: the same in French, and as it is spoken.
    :param policy: the name of an escalation policy of the contacts; None for a plain alert.
    :param urgency: ``low`` waits for the end of the policy's quiet hours; None is urgent.
    :param run_began_at: when the run began, in Unix seconds: what was told of it before it was cleared inhibits
        nothing. None where that is unknown.
    """

    occurrence: Occurrence
    key: str
    at_most: AtMost | None = field(default_factory=AtMost)
    route: str = field(default="", repr=False)
    audience: tuple[str, ...] = field(default=(), repr=False)
    title: str = ""
    words: Words = field(default_factory=Words, repr=False)
    link: str = ""
    policy: str | None = None
    urgency: Literal["low"] | None = None
    run_began_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """
    What an alert's sender is to do.

    :param outcome: ``CLAIMED``: send; anything else: send nothing.
    :param incident: its id; 0 where no store could be asked.
    :param route: the hash of the alert's route; identifies its counts together with the incident.
    :param claim: to be given back with what became of it.
    :param more: alerts that were counted since the last message, this one apart: "and 499 more".
    :param code: for answers by phone; None where there is none.
    :param is_new: whether this alert opened the incident.
    :param may_be_repeat: somebody claimed it before and never said what became of it.
    :param by: the silence, or the other alert, in words that may be logged.
    """

    outcome: Outcome
    incident: int = 0
    route: str = ""
    claim: str = ""
    more: int = 0
    code: int | None = None
    is_new: bool = False
    may_be_repeat: bool = False
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """
    Somebody who was told of an incident.

    :param conn_id: the connection that was used.
    :param person: a name of the contacts; empty for a plain number.
    :param phone_number: in E.164; empty for a name.
    """

    conn_id: str
    kind: Kind
    person: str = ""
    phone_number: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Success:
    """
    What succeeded; it clears what failed before.

    :param task_id: empty for a whole DAG, which clears its tasks too.
    :param map_index: -1 for a task that is not mapped.
    :param began_at: when the task or the run began, in Unix seconds: it says nothing about what failed later in another
        run. None clears what failed until now.
    """

    dag_id: str
    run_id: str = ""
    task_id: str = ""
    map_index: int = -1
    began_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """
    An incident, as the store has it.

    :param alerts: all so far.
    :param untold: those since the last message, on the route with the most.
    :param owner: who acknowledged it; empty for nobody.
    :param opened_at: Unix seconds.
    :param version: of the row; a conditional update names it.
    :param words: of the title, in French and as it is spoken.
    """

    id: int
    key: str
    dag_id: str
    task_id: str
    what: str
    title: str
    link: str
    state: State
    opened_at: float
    changed_at: float
    alerts: int
    untold: int
    code: int | None
    policy: str | None
    escalation: str | None
    due_at: float | None
    owner: str
    acknowledged_at: float | None
    version: int
    words: Words = field(default_factory=Words, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """
    An incident that was closed because all of it succeeded again.

    :param told: everybody who was told of it, on any route; empty where nobody was.
    """

    incident: Incident
    told: tuple[Told, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DueMessage:
    """
    Untold alerts of one route of an incident that may be told now.

    :param alerts: how many; with the first message of all it is all of them.
    :param told: who was told on this route; empty where nobody was yet.
    :param may_be_repeat: a sender died over it.
    """

    incident: Incident
    route: str
    alerts: int
    told: tuple[Told, ...] = ()
    may_be_repeat: bool = False
