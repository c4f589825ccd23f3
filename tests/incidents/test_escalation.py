"""The escalation as a state machine: everybody is asked as agreed, once for each step, until somebody has it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voicepartner.constants import FIRST_FUTILE_WAIT, MOST_FUTILE_ROUNDS
from airflow_provider_voicepartner.contacts.policy import By, Policy, QuietHours, Step
from airflow_provider_voicepartner.contacts.targets import Target
from airflow_provider_voicepartner.incidents.escalation import (
    Action,
    Became,
    Escalation,
    Page,
    Phase,
    Purpose,
    Result,
    act,
    advance,
    begin,
    record,
    told,
    urge,
)
from tests.support.tasks import CALM

POLICY = Policy(
    name="night",
    steps=(Step(("anne",), By.SMS, 300.0), Step(("bruno", "chloe"), By.CALL, 600.0)),
    repeat=1,
    last_resort=("boss",),
    acknowledged_for=3600.0,
    sms="s",
    call="c",
)


def resolve(names: Sequence[str], by: By, is_last_resort: bool) -> list[Target]:
    return [Target(name, f"+336{hash(name) % 10**8:08d}", "fr") for name in names]


def nobody(names: Sequence[str], by: By, is_last_resort: bool) -> list[Target]:
    return []


def run(state: Escalation, until: float, became: Became | None = Became.SENT, now: float = 0.0) -> Any:
    """Let a runner look every 10 s; return the state and what was paged when."""
    paged: list[tuple[float, tuple[str, ...]]] = []
    while now <= until:
        turn = advance(state, now, resolve)
        state = turn.state
        if turn.pages:
            paged.append((now, tuple(f"{page.person} {page.by}" for page in turn.pages)))
        for page in turn.pages:
            if became is not None:
                state = record(state, page.number, became, now)
        now += 10.0
    return state, paged


ROUND = [(0.0, ("anne sms",)), (300.0, ("bruno call", "chloe call"))]


def test_everybody_is_asked_as_agreed_and_then_the_last_resort_in_every_way() -> None:
    state, paged = run(begin(POLICY, 0.0), 10_000)
    again = [(at + 900.0, who) for at, who in ROUND]
    assert paged == [*ROUND, *again, (1800.0, ("boss sms", "boss call"))]
    assert (state.phase, state.due_at) == (Phase.EXHAUSTED, None)
    assert state.asked == ("anne", "bruno", "chloe", "boss")


def test_pages_are_numbered_within_the_incident() -> None:
    turn = advance(begin(POLICY, 0.0), 0.0, resolve)
    page = turn.pages[0]
    assert page == Page(
        number=1, round=0, step=0, purpose=Purpose.PAGE, person="anne", by=By.SMS,
        phone_number=page.phone_number, conn_id="s", language="fr",
    )  # fmt: skip
    assert [one.number for one in advance(turn.state, 300.0, resolve).pages] == [2, 3]
    assert page.phone_number not in repr(page)


def test_nothing_is_done_before_it_is_due_and_a_step_is_done_once() -> None:
    turn = advance(begin(POLICY, 5.0), 4.9, resolve)
    assert turn.pages == ()
    turn = advance(turn.state, 5.0, resolve)
    assert advance(turn.state, 5.0, resolve).pages == ()
    assert advance(turn.state, 304.0, resolve).pages == ()


def test_what_nobody_knows_counts_as_sent() -> None:
    _, paged = run(begin(POLICY, 0.0), 10_000, became=None)
    assert len(paged) == 5
    _, doubtful = run(begin(POLICY, 0.0), 10_000, became=Became.IN_DOUBT)
    assert doubtful == paged


def test_a_step_that_certainly_reached_nobody_does_not_hold_up_the_next() -> None:
    state = advance(begin(POLICY, 0.0), 0.0, resolve).state
    state = record(state, 1, Became.NOT_SENT, 2.0)
    turn = advance(state, 2.0, resolve)
    assert [page.person for page in turn.pages] == ["bruno", "chloe"]
    state = record(turn.state, 2, Became.NOT_SENT, 3.0)
    assert advance(state, 3.0, resolve).pages == ()  # chloe may be reached
    state = record(state, 3, Became.SENT, 4.0)
    assert advance(state, 5.0, resolve).pages == ()


def test_a_round_that_reached_nobody_asks_the_last_resort_and_is_done_again_without_counting() -> None:
    state, now, asked = begin(POLICY, 0.0), 0.0, []
    for _ in range(6):
        turn = advance(state, now, resolve)
        asked.append((now, [page.person for page in turn.pages]))
        state = turn.state
        for page in turn.pages:
            state = record(state, page.number, Became.NOT_SENT, now)
        assert state.due_at is not None
        now = state.due_at
    assert asked == [
        (0.0, ["anne"]), (0.0, ["bruno", "chloe"]), (0.0, ["boss", "boss"]),
        (FIRST_FUTILE_WAIT, ["anne"]), (FIRST_FUTILE_WAIT, ["bruno", "chloe"]), (FIRST_FUTILE_WAIT, ["boss", "boss"]),
    ]  # fmt: skip
    assert (state.round, state.futile, state.due_at) == (0, 2, 3 * FIRST_FUTILE_WAIT)
    # The gateway is back: both rounds are done as agreed.
    state, paged = run(state, 10_000, now=state.due_at)
    assert [who for _, who in paged] == [*[who for _, who in ROUND] * 2, ("boss sms", "boss call")]


def test_a_last_resort_that_certainly_was_not_reached_is_asked_again_and_nobody_else() -> None:
    state, _ = run(begin(POLICY, 0.0), 1_799.0)
    turn = advance(state, 1_800.0, resolve)
    assert [page.person for page in turn.pages] == ["boss", "boss"]
    state, now = turn.state, 1_800.0
    for wait in (FIRST_FUTILE_WAIT, 2 * FIRST_FUTILE_WAIT):
        for page in turn.pages:
            state = record(state, page.number, Became.NOT_SENT, now)
        now += wait
        assert advance(state, now - 1.0, resolve).pages == ()
        turn = advance(state, now, resolve)
        assert [page.person for page in turn.pages] == ["boss", "boss"]
        state = turn.state
    # In doubt is not certain: nobody is paged twice for it.
    state = record(state, turn.pages[0].number, Became.NOT_SENT, now)
    state, paged = run(state, now + 10_000.0, now=now)
    assert (state.phase, paged) == (Phase.EXHAUSTED, [])


def test_it_ends_where_nobody_can_ever_be_reached() -> None:
    state, now, looks = begin(POLICY, 0.0), 0.0, 0
    while state.due_at is not None:
        now, looks = state.due_at, looks + 1
        state = advance(state, now, nobody).state
    assert (state.phase, looks) == (Phase.EXHAUSTED, 3 * MOST_FUTILE_ROUNDS + 1)
    assert 12 * 3600 < now < 48 * 3600


def test_the_first_acknowledgement_stops_all_steps_and_tells_the_others() -> None:
    state, _ = run(begin(POLICY, 0.0), 400)
    turn = act(state, Action.ACKNOWLEDGE, "bruno", 400.0)
    assert (turn.result, turn.tell) == (Result.ACKNOWLEDGED, ("anne", "chloe"))
    assert (turn.state.phase, turn.state.owner) == (Phase.ACKNOWLEDGED, "bruno")
    _, paged = run(turn.state, 3990, now=400.0)
    assert paged == []
    late = act(turn.state, Action.ACKNOWLEDGE, "anne", 400.0)
    assert (late.result, late.state, late.tell) == (Result.ALREADY_OWNED, turn.state, ())


def test_an_acknowledgement_ends_if_nothing_was_closed() -> None:
    state = act(run(begin(POLICY, 0.0), 0)[0], Action.ACKNOWLEDGE, "anne", 10.0).state
    turn = advance(state, 3610.0, resolve)
    assert [page.person for page in turn.pages] == ["anne"]
    assert (turn.state.owner, turn.state.last_owner, turn.state.phase) == ("", "anne", Phase.RUNNING)


def test_an_acknowledgement_that_never_ends() -> None:
    policy = Policy(name="n", steps=POLICY.steps, sms="s", call="c", acknowledged_for=None)
    state = act(begin(policy, 0.0), Action.ACKNOWLEDGE, "anne", 0.0).state
    assert state.due_at is None


def test_somebody_passes_it_on() -> None:
    state, _ = run(begin(POLICY, 0.0), 0)
    turn = act(state, Action.ESCALATE, "anne", 20.0)
    assert turn.result is Result.ESCALATED
    again = act(turn.state, Action.ESCALATE, "anne", 21.0)
    assert (again.result, again.state) == (Result.ALREADY_PASSED_ON, turn.state)
    after = advance(turn.state, 22.0, resolve)
    assert [page.person for page in after.pages] == ["bruno", "chloe"]
    assert act(after.state, Action.ESCALATE, "anne", 23.0).result is Result.ALREADY_PASSED_ON
    assert act(after.state, Action.ESCALATE, "bruno", 23.0).result is Result.ESCALATED


def test_the_owner_passes_it_on_and_whoever_else_does_tells_the_owner() -> None:
    state = act(run(begin(POLICY, 0.0), 400)[0], Action.ACKNOWLEDGE, "bruno", 400.0).state
    assert act(state, Action.ESCALATE, "bruno", 500.0).tell == ()
    turn = act(state, Action.ESCALATE, "chloe", 500.0)
    assert turn.tell == ("bruno",)
    assert [page.person for page in advance(turn.state, 500.0, resolve).pages] == ["anne"]


@pytest.mark.parametrize("until", [1800.0, 9000.0])
def test_passed_on_after_the_last_step_it_begins_anew(until: float) -> None:
    state, _ = run(begin(POLICY, 0.0), until)
    turn = act(state, Action.ESCALATE, "boss", 9001.0)
    _, paged = run(turn.state, 30_000, now=9001.0)
    assert [len(who) for _, who in paged] == [1, 2, 1, 2, 2]


def test_closing_ends_all_and_what_comes_after_is_late() -> None:
    state, _ = run(begin(POLICY, 0.0), 400)
    turn = act(state, Action.CLOSE, "chloe", 410.0)
    assert (turn.result, turn.tell, turn.state.due_at) == (Result.CLOSED, ("anne", "bruno"), None)
    for action in Action:
        assert act(turn.state, action, "anne", 411.0).result is Result.ALREADY_CLOSED
    assert advance(turn.state, 1e9, resolve).pages == ()


def test_an_answer_after_the_end_still_counts() -> None:
    state, _ = run(begin(POLICY, 0.0), 9000)
    assert act(state, Action.ACKNOWLEDGE, "anne", 9001.0).result is Result.ACKNOWLEDGED


def test_low_urgency_waits_for_the_end_of_quiet_hours() -> None:
    quiet = QuietHours(time(0), time(7), ZoneInfo("UTC"))
    policy = Policy(name="n", steps=POLICY.steps, sms="s", call="c", quiet_hours=quiet)
    turn = advance(begin(policy, 3600.0, is_urgent=False), 3600.0, resolve)
    assert (turn.pages, turn.state.due_at) == ((), 7 * 3600.0)
    assert advance(turn.state, 7 * 3600.0, resolve).pages
    assert advance(begin(policy, 3600.0), 3600.0, resolve).pages


@pytest.mark.parametrize(
    ("begun", "moment", "due_at"),
    [
        (3600.0, 3601.0, 3601.0),  # held since the quiet hours
        (-300.0, 10.0, 0.0),  # its second step is due, and nobody looked yet
        (-100.0, 10.0, 200.0),  # its first step goes on
    ],
)
def test_an_urgent_alert_ends_what_waits_for_the_end_of_quiet_hours_and_no_other_wait(
    begun: float, moment: float, due_at: float
) -> None:
    quiet = QuietHours(time(0), time(7), ZoneInfo("UTC"))
    policy = Policy(name="n", steps=POLICY.steps, sms="s", call="c", quiet_hours=quiet)
    state = advance(begin(policy, begun, is_urgent=False), begun, resolve).state
    urgent = urge(state, moment)
    assert (urgent.is_urgent, urgent.due_at) == (True, due_at)
    assert bool(advance(urgent, moment, resolve).pages) == (due_at <= moment)


def test_a_policy_without_steps_asks_its_last_resort() -> None:
    policy = Policy(name="n", last_resort=("boss",), sms="s")
    _, paged = run(begin(policy, 0.0), 9000)
    assert paged == [(0.0, ("boss sms",))]


def test_messages_are_numbered_like_pages() -> None:
    state, _ = run(begin(POLICY, 0.0), 0)
    turn = told(state, Purpose.OWNED, resolve(["bruno"], By.SMS, False), "anne")
    assert [(page.number, page.purpose, page.person, page.said) for page in turn.pages] == [
        (2, Purpose.OWNED, "bruno", "anne")
    ]
    assert turn.state.numbered == 2
    silent = told(begin(Policy(name="n", call="c"), 0.0), Purpose.OWNED, resolve(["a"], By.SMS, False), "b")
    assert silent.pages == ()


moves = st.lists(
    st.tuples(
        st.floats(0, 2000),
        st.sampled_from(["advance", *Action, *Became]),
        st.sampled_from(["anne", "bruno", "stranger"]),
        st.integers(1, 30),
    ),
    max_size=40,
)


@given(moves)
@CALM
def test_whatever_happens_in_whatever_order_the_rules_hold(history: list[Any]) -> None:
    state, now, numbers = begin(POLICY, 0.0), 0.0, list[int]()
    for wait, move, who, number in history:
        now += wait
        before = state
        if isinstance(move, Action):
            turn = act(state, move, who, now)
            assert turn.result is not None
            assert turn.result.changes or turn.state == before
            state = turn.state
        elif isinstance(move, Became):
            state = record(state, number, move, now)
        else:
            turn = advance(state, now, resolve)
            numbers += [page.number for page in turn.pages]
            if turn.pages:
                assert before.phase in (Phase.RUNNING, Phase.ACKNOWLEDGED)
                assert before.due_at is not None
                assert before.due_at <= now
            state = turn.state
        assert Escalation.from_json(json.loads(json.dumps(state.to_json()))) == state
        assert (state.due_at is None) <= (state.phase is not Phase.RUNNING)
    assert numbers == list(range(1, len(numbers) + 1))
