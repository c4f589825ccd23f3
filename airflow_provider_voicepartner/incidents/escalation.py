"""
The escalation of one incident as a state machine: whom to page now, and what an answer changes; no I/O, no clock.

A step is done once: whoever stores the state that :func:`advance` returns sends its pages. What nobody knows counts as
sent, so nobody is paged twice for a step; a step that certainly reached nobody does not hold up the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from airflow_provider_voicepartner.constants import (
    FIRST_FUTILE_WAIT,
    LAST_RESORT_WAIT,
    LONGEST_FUTILE_WAIT,
    MOST_FUTILE_ROUNDS,
)
from airflow_provider_voicepartner.contacts.policy import By, Policy
from airflow_provider_voicepartner.contacts.targets import Target


class Phase(StrEnum):
    """Where an escalation is."""

    RUNNING = "running"
    ACKNOWLEDGED = "acknowledged"
    EXHAUSTED = "exhausted"
    """All steps were done, and nobody answered."""
    CLOSED = "closed"


class Purpose(StrEnum):
    """What a message of an escalation is for."""

    PAGE = "page"
    """It asks somebody to act."""
    OWNED = "owned"
    """It tells that somebody has it."""
    PASSED_ON = "passed_on"
    """It tells the owner that somebody passed it on."""
    CLOSED = "closed"
    """It tells that somebody closed it."""
    ANSWER = "answer"
    """It answers an answer."""


class Became(StrEnum):
    """What became of a page."""

    SENT = "sent"
    NOT_SENT = "not_sent"
    """Certainly."""
    IN_DOUBT = "in_doubt"


class Action(StrEnum):
    """What a human asks for."""

    ACKNOWLEDGE = "acknowledge"
    ESCALATE = "escalate"
    CLOSE = "close"


class Result(StrEnum):
    """What an answer changed."""

    ACKNOWLEDGED = "acknowledged"
    ESCALATED = "escalated"
    CLOSED = "closed"
    ALREADY_OWNED = "already_owned"
    ALREADY_PASSED_ON = "already_passed_on"
    ALREADY_CLOSED = "already_closed"

    @property
    def changes(self) -> bool:
        """True where it changed something."""
        return self in (Result.ACKNOWLEDGED, Result.ESCALATED, Result.CLOSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """
    One message of an escalation.

    :param number: within the incident, from 1.
    :param round: from 0.
    :param step: from 0; that of the last resort is behind all steps.
    :param conn_id: the Airflow connection.
    :param said: whom it tells about; empty for a page.
    """

    number: int
    round: int
    step: int
    purpose: Purpose
    person: str
    by: By
    phone_number: str = field(repr=False)
    conn_id: str
    language: str | None = None
    said: str = ""
    time_zone: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """
    The state of an escalation; it holds names, and no numbers.

    :param policy: as it was when the escalation began: a change of the contacts cannot lose a step.
    :param is_urgent: False waits for the end of quiet hours.
    :param round: from 0.
    :param step: the last one that was done in this round; -1 for none.
    :param due_at: when there is something to do, in Unix seconds; None for nothing.
    :param numbered: the number of the last page.
    :param awaited: pages of the last step whose result is not known.
    :param has_reached: whether the last step reached somebody, as far as is known.
    :param has_reached_in_round: the same of the round.
    :param futile: how often a round, or the last resort, certainly reached nobody.
    :param owner: who acknowledged it; empty for nobody.
    :param last_owner: whose acknowledgement ended without an end of the incident.
    :param asked: everybody who was paged.
    :param passed_on: who passed it on and was not paged since.
    """

    policy: Policy
    is_urgent: bool = True
    phase: Phase = Phase.RUNNING
    round: int = 0
    step: int = -1
    due_at: float | None = None
    numbered: int = 0
    awaited: tuple[int, ...] = ()
    has_reached: bool = False
    has_reached_in_round: bool = False
    futile: int = 0
    owner: str = ""
    last_owner: str = ""
    asked: tuple[str, ...] = ()
    passed_on: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        values = {name: getattr(self, name) for name in self.__slots__}
        lists = {name: list(value) for name, value in values.items() if isinstance(value, tuple)}
        return {**values, **lists, "policy": self.policy.to_json(), "phase": self.phase.value}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Escalation:
        """Read what :meth:`to_json` wrote."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in data.items()
            if name in cls.__slots__
        }
        return cls(**{**values, "policy": Policy.from_json(data["policy"]), "phase": Phase(data["phase"])})


Resolve = Callable[[Sequence[str], By, bool], Sequence[Target]]
"""Whom names mean now, by which way, and whether they are the last resort."""


@dataclass(frozen=True, slots=True)
class Turn:
    """
    The next state, and what is to be sent once it is stored.

    :param pages: numbered; none where nothing is to be sent.
    :param result: of an answer.
    :param tell: people who are to be told, by name.
    """

    state: Escalation
    pages: tuple[Page, ...] = ()
    result: Result | None = None
    tell: tuple[str, ...] = ()


def begin(policy: Policy, now: float, *, is_urgent: bool = True) -> Escalation:
    """
    Begin an escalation; its first step is due at once.

    :param now: Unix seconds.
    """
    return Escalation(policy=policy, is_urgent=is_urgent, due_at=now)


def advance(state: Escalation, now: float, resolve: Resolve) -> Turn:
    """
    Do what is due.

    :param now: Unix seconds.
    :param resolve: tells whom names mean now.
    :returns: the same state where nothing is due.
    """
    if state.due_at is None or now < state.due_at:
        return Turn(state)
    if state.phase is Phase.ACKNOWLEDGED:
        state = replace(_from_the_start(state, now), last_owner=state.owner)
    if state.phase is not Phase.RUNNING:
        return Turn(replace(state, due_at=None))
    end = None if state.is_urgent else _end_of_quiet(state, now)
    if end is not None:
        return Turn(replace(state, due_at=end))
    if state.awaited:
        # Nobody said what became of them: they may have arrived.
        state = replace(state, awaited=(), has_reached_in_round=True)
    following = _next_position(state)
    if following is None:
        return Turn(replace(state, phase=Phase.EXHAUSTED, due_at=None))
    return _do(following, now, resolve)


def urge(state: Escalation, now: float) -> Escalation:
    """Make an escalation urgent: what waits for the end of quiet hours is due at once."""
    is_held = (
        state.phase is Phase.RUNNING and not state.is_urgent and state.due_at == _end_of_quiet(state, now)
    )
    return replace(
        state, is_urgent=True, due_at=now if is_held and state.due_at is not None else state.due_at
    )


def _end_of_quiet(state: Escalation, now: float) -> float | None:
    """Return when the quiet hours end in which a moment is; None where it is in none."""
    quiet = state.policy.quiet_hours
    return None if quiet is None else quiet.end_of(now)


def _next_position(state: Escalation) -> Escalation | None:
    """Return the state with the step that is to be done; None after the last one."""
    last_resort = len(state.policy.steps)
    if state.step < last_resort - 1:
        return replace(state, step=state.step + 1)
    has_more = state.round < state.policy.repeat and last_resort > 0
    if state.step == last_resort - 1 and (not state.has_reached_in_round or not has_more):
        return replace(state, step=last_resort)
    if not state.has_reached_in_round:
        # Nobody was reached in any way: that round does not count.
        return replace(state, step=0) if state.futile < MOST_FUTILE_ROUNDS else None
    if has_more:
        return replace(state, round=state.round + 1, step=0, has_reached_in_round=False)
    return None


def _do(state: Escalation, now: float, resolve: Resolve) -> Turn:
    policy, place = state.policy, state.step
    is_last_resort = place == len(policy.steps)
    if is_last_resort:
        who, ways = policy.last_resort, policy.ways
        wait = policy.steps[-1].wait if policy.steps else LAST_RESORT_WAIT
    else:
        step = policy.steps[place]
        who, ways, wait = step.who, (step.by,), step.wait
    found = [
        (by, conn_id, target)
        for by in ways
        if (conn_id := policy.conn_id(by)) is not None
        for target in resolve(who, by, is_last_resort)
    ]
    pages = tuple(
        Page(
            number=number,
            round=state.round,
            step=place,
            purpose=Purpose.PAGE,
            person=target.person,
            by=by,
            phone_number=target.phone_number,
            conn_id=conn_id,
            language=target.language,
            time_zone=target.time_zone,
        )
        for number, (by, conn_id, target) in enumerate(found, state.numbered + 1)
    )
    people = dict.fromkeys(page.person for page in pages)
    state = replace(
        state,
        due_at=now + wait,
        numbered=state.numbered + len(pages),
        awaited=tuple(page.number for page in pages),
        has_reached=False,
        asked=tuple(dict.fromkeys([*state.asked, *people])),
        passed_on=tuple(name for name in state.passed_on if name not in people),
    )
    return Turn(state if pages else _reached_nobody(state, now), pages)


def record(state: Escalation, number: int, became: Became, now: float) -> Escalation:
    """
    Take in what became of a page.

    :param number: of the page; one that is not awaited changes nothing.
    :param now: Unix seconds.
    """
    if number not in state.awaited or state.phase is not Phase.RUNNING:
        return state
    is_reached = became is not Became.NOT_SENT
    state = replace(
        state,
        awaited=tuple(one for one in state.awaited if one != number),
        has_reached=state.has_reached or is_reached,
        has_reached_in_round=state.has_reached_in_round or is_reached,
    )
    if state.awaited or state.has_reached:
        return state
    is_last_resort = state.step == len(state.policy.steps)
    if is_last_resort and state.has_reached_in_round and state.futile < MOST_FUTILE_ROUNDS:
        # No step follows that would make it good: it is done again, and others may answer meanwhile.
        again = replace(state, step=state.step - 1, futile=state.futile + 1)
        return replace(again, due_at=now + _futile_wait(state))
    return _reached_nobody(state, now)


def _reached_nobody(state: Escalation, now: float) -> Escalation:
    """Go on at once after a step that reached nobody; after a while where the whole round did not."""
    if state.step < len(state.policy.steps) or state.has_reached_in_round:
        return replace(state, due_at=now)
    return replace(state, futile=state.futile + 1, due_at=now + _futile_wait(state))


def _futile_wait(state: Escalation) -> float:
    return min(FIRST_FUTILE_WAIT * (1 << state.futile), LONGEST_FUTILE_WAIT)


def ways_of_next(state: Escalation, now: float) -> frozenset[tuple[str, By]]:
    """Return the connections by which the step that is due would page, and how; none where nothing is due."""
    anybody = Target("", "")
    turn = advance(state, now, lambda names, by, is_last_resort: (anybody,))
    return frozenset((page.conn_id, page.by) for page in turn.pages)


def act(state: Escalation, action: Action, who: str, now: float) -> Turn:
    """
    Take in what a human asks for; the first one has it.

    :param who: the name of a person, or of whoever was logged in.
    :param now: Unix seconds.
    :returns: with a result, and with the people who are to be told.
    """
    if state.phase is Phase.CLOSED:
        return Turn(state, result=Result.ALREADY_CLOSED)
    if action is Action.CLOSE:
        closed = replace(state, phase=Phase.CLOSED, due_at=None, awaited=(), owner=who)
        return Turn(closed, result=Result.CLOSED, tell=_others(state.asked, who))
    if action is Action.ACKNOWLEDGE:
        if state.phase is Phase.ACKNOWLEDGED:
            return Turn(state, result=Result.ALREADY_OWNED)
        held = state.policy.acknowledged_for
        owned = replace(
            state,
            phase=Phase.ACKNOWLEDGED,
            due_at=None if held is None else now + held,
            awaited=(),
            owner=who,
            last_owner="",
        )
        return Turn(owned, result=Result.ACKNOWLEDGED, tell=_others(state.asked, who))
    return _pass_on(state, who, now)


def _pass_on(state: Escalation, who: str, now: float) -> Turn:
    if who in state.passed_on:
        # Whoever says it twice means one step further, not two.
        return Turn(state, result=Result.ALREADY_PASSED_ON)
    # Somebody answered, so nobody may say that the round reached nobody.
    onward = replace(state, phase=Phase.RUNNING, due_at=now, owner="", awaited=(), has_reached_in_round=True)
    if state.phase is Phase.EXHAUSTED or _next_position(onward) is None:
        onward = _from_the_start(onward, now)
    onward = replace(onward, passed_on=(*state.passed_on, who))
    return Turn(onward, result=Result.ESCALATED, tell=_others((state.owner,) if state.owner else (), who))


def _from_the_start(state: Escalation, now: float) -> Escalation:
    return replace(
        state,
        phase=Phase.RUNNING,
        round=0,
        step=-1,
        due_at=now,
        awaited=(),
        has_reached=False,
        has_reached_in_round=False,
        futile=0,
        owner="",
        passed_on=(),
    )


def _others(people: Iterable[str], who: str) -> tuple[str, ...]:
    return tuple(name for name in people if name != who)


def told(state: Escalation, purpose: Purpose, targets: Sequence[Target], said: str) -> Turn:
    """
    Number messages that tell people what is so; they are sent once, like pages.

    :param targets: whom to tell, by text message.
    :param said: whom it is about.
    """
    if state.policy.sms is None:
        return Turn(state)
    pages = tuple(
        Page(
            number=number,
            round=state.round,
            step=state.step,
            purpose=purpose,
            person=target.person,
            by=By.SMS,
            phone_number=target.phone_number,
            conn_id=state.policy.sms,
            language=target.language,
            time_zone=target.time_zone,
            said=said,
        )
        for number, target in enumerate(targets, state.numbered + 1)
    )
    return Turn(replace(state, numbered=state.numbered + len(pages)), pages)
