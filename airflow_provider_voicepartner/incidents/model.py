"""The values that incidents are made of: what happened, what an alert asks for, and what the store decides about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from airflow_provider_voicepartner.constants import AT_MOST_SECONDS
from airflow_provider_voicepartner.gateways.info import Kind


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """
    What happened where; two alerts about the same occurrence are one.

    :param dag_id: empty where no DAG is concerned (a scheduler that is silent).
    :param run_id: empty where no run is.
    :param task_id: empty for a whole DAG.
    :param map_index: -1 for a task that is not mapped.
    :param try_number: 0 where it is unknown.
    :param what: a value of ``notifications.event.What``, or one of the watchdog's.
    """

    dag_id: str = ""
    run_id: str = ""
    task_id: str = ""
    map_index: int = -1
    try_number: int = 0
    what: str = ""


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
    :param title: one line for lists and pages; the first line of an error may be in it, no number and no user's text.
    :param policy: the name of an escalation policy of the contacts; None for a plain alert.
    """

    occurrence: Occurrence
    key: str
    at_most: AtMost | None = field(default_factory=AtMost)
    title: str = ""
    link: str = ""
    policy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """
    What an alert's sender is to do.

    :param outcome: ``CLAIMED``: send; anything else: send nothing.
    :param incident: its id; 0 where no store could be asked.
    :param claim: to be given back with what became of it.
    :param more: alerts that were counted since the last message, this one apart: "and 499 more".
    :param code: for answers by phone; None where there is none.
    :param is_new: whether this alert opened the incident.
    :param by: the silence, or the other alert, in words that may be logged.
    """

    outcome: Outcome
    incident: int = 0
    claim: str = ""
    more: int = 0
    code: int | None = None
    is_new: bool = False
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
class Incident:
    """
    An incident, as the store has it.

    :param alerts: all so far.
    :param untold: those since the last message.
    :param owner: who acknowledged it; empty for nobody.
    :param opened_at: Unix seconds.
    :param version: of the row; a conditional update names it.
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
