"""The counts of a route against a simple model: nobody is told too often, and no alert is forgotten."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voicepartner.incidents.model import AtMost
from airflow_provider_voicepartner.incidents.routes import (
    Claim,
    Route,
    claims_as_text,
    read_claims,
    read_times,
)

LEASE = 30.0
STEPS = st.lists(
    st.one_of(
        st.just("alert"), st.just("told"), st.just("not_told"), st.just("due"), st.floats(0.5, 400).map(float)
    ),
    max_size=60,
)


@dataclass
class Senders:
    """Those who claimed, and what was said."""

    route: Route
    now: float = 1000.0
    alerts: int = 0
    claims: int = 0
    said: int = 0
    sent_at: list[float] = field(default_factory=list)
    at_work: list[tuple[str, int]] = field(default_factory=list)

    def step(self, step: str | float) -> None:
        if isinstance(step, float):
            self.now += step
        elif step == "alert":
            self.alerts += 1
            if self.route.may_tell(self.now):
                self._claim(1)
            else:
                self.route = self.route.counted(self.now)
        elif step == "due":
            if self.route.pending(self.now) and self.route.may_tell(self.now):
                self._claim(0)
        elif self.at_work:
            token, tells = self.at_work.pop(0)
            if self.route.is_live(token, self.now):
                if step == "told":
                    self.said += tells
                    self.sent_at.append(self.now)
                self.route = getattr(self.route, step)(token, self.now)

    def _claim(self, new: int) -> None:
        self.claims += 1
        token = f"claim{self.claims}"
        self.route = self.route.claimed(token, self.now, seconds=LEASE, new=new)
        self.at_work.append((token, self.route.claims[token].tells))


@given(STEPS, st.integers(1, 3))
def test_no_span_has_more_messages_than_at_most_says_and_every_alert_is_said_or_pending(
    steps: list[str | float], messages: int
) -> None:
    senders = Senders(Route(at_most=AtMost(messages=messages, seconds=300)))
    for step in steps:
        senders.step(step)
        under_way = sum(claim.tells for claim in senders.route.claims.values())
        assert senders.alerts == senders.said + senders.route.untold + under_way
    for at in senders.sent_at:
        # A message counts from when it was accepted.
        assert sum(other <= at < other + 300 for other in senders.sent_at) <= messages


@given(STEPS)
def test_what_is_pending_is_looked_at_in_time(steps: list[str | float]) -> None:
    senders = Senders(Route(at_most=AtMost(messages=1, seconds=300)))
    for step in steps:
        senders.step(step)
    route, at = senders.route, senders.route.next_message_at(senders.now)
    if route.untold or route.claims:
        assert at is not None
        assert at <= senders.now + 300 + LEASE
        while not route.may_tell(at) or not route.pending(at):
            later = route.next_message_at(at)
            assert later is not None
            assert later > at
            at = later
    else:
        assert at is None


def test_none_holds_nothing_back() -> None:
    route = Route(at_most=None)
    for place in range(5):
        assert route.may_tell(10.0)
        route = route.claimed(str(place), 10.0, seconds=LEASE, new=1)
    assert route.pending(10.0) == 0
    assert route.pending(10.0 + LEASE) == 5


def test_a_late_word_of_a_claim_that_was_taken_over_changes_only_when_people_were_told() -> None:
    route = Route(at_most=AtMost()).claimed("dead", 0.0, seconds=LEASE, new=1)
    route = route.claimed("heir", 100.0, seconds=LEASE, new=1)
    assert route.claims["heir"].tells == 2
    late = route.told("dead", 110.0)
    assert late.claims == route.claims
    assert late.told_at == (110.0,)
    assert late.untold == 0
    assert route.not_told("dead", 110.0) == route


@given(st.dictionaries(st.text(), st.tuples(st.floats(0, 1e10), st.floats(0, 1e10), st.integers(0, 10**6))))
def test_claims_are_read_back(values: dict[str, tuple[float, float, int]]) -> None:
    claims = {token: Claim(*value) for token, value in values.items()}
    assert read_claims(claims_as_text(claims)) == claims


@given(st.text())
def test_a_column_that_somebody_changed_by_hand_is_nothing(text: str) -> None:
    assert isinstance(read_claims(text), dict)
    assert isinstance(read_times(text), tuple)
