"""
Simulated nights: people who sleep, answer late, twice or with nonsense; gateways that fail; runners that die.

One night goes through the state machine and the reading of answers as the runner does, without a store: answers are
read before each claim, a page leaves within eight seconds of its claim or never, and what nobody knows may have
arrived.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

from airflow_provider_voicepartner.contacts.policy import By, Policy, Step
from airflow_provider_voicepartner.contacts.targets import Target
from airflow_provider_voicepartner.incidents.answers import AskedAbout, Verdict, choose, read_keys, read_text
from airflow_provider_voicepartner.incidents.escalation import (
    Action,
    Became,
    Escalation,
    Page,
    Phase,
    act,
    advance,
    begin,
    record,
)

PEOPLE = ("anne", "bruno", "chloe", "david", "emma", "farid")
STRANGER = "stranger"
LEAVES_WITHIN = 8.0
ENDS = 6 * 3600.0


@dataclass
class Paged:
    """A page as the night remembers it."""

    incident: int
    cycle: int
    page: Page
    claimed_at: float
    left_at: float | None
    became: Became | None


@dataclass
class Night:
    """
    One night.

    :param seed: of everything that is drawn.
    """

    seed: int
    pages: list[Paged] = field(default_factory=list)
    owned: list[tuple[int, str, float]] = field(default_factory=list)
    """Incident, who has it, and when the answer came."""
    exhausted: list[int] = field(default_factory=list)
    passed: list[tuple[int, float]] = field(default_factory=list)
    """Incident, and when somebody passed it on."""
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = Random(self.seed)
        self._queue: list[tuple[float, int, str, Any]] = []
        self._order = count()
        self._answers: list[tuple[float, int, str, Any]] = []
        self.policy = self._policy()
        self.states: dict[int, Escalation] = {}
        self._cycles: dict[int, int] = defaultdict(int)
        self._down: list[tuple[float, float]] = []
        self._habits = {name: self._habit() for name in PEOPLE}

    def _policy(self) -> Policy:
        draw = self._random
        steps = tuple(
            Step(
                tuple(draw.sample(PEOPLE, draw.randint(1, 3))),
                draw.choice(list(By)),
                float(draw.randint(30, 900)),
            )
            for _ in range(draw.randint(1, 4))
        )
        return Policy(
            name="night",
            steps=steps,
            repeat=draw.randint(0, 2),
            last_resort=(draw.choice(PEOPLE),),
            acknowledged_for=draw.choice([None, 1800.0, 7200.0]),
            sms="s",
            call="c",
        )

    def _habit(self) -> tuple[str, float]:
        kind = self._random.choices(
            ["sleeps", "answers", "refuses", "late", "twice", "nonsense", "closes", "link"],
            [45, 14, 7, 8, 5, 8, 6, 7],
        )[0]
        return kind, self._random.uniform(3, 240) if kind != "late" else self._random.uniform(900, 7200)

    def _at(self, when: float, what: str, value: Any = None) -> None:
        heapq.heappush(self._queue, (when, next(self._order), what, value))

    def run(self) -> Night:
        """Let the night pass."""
        draw = self._random
        if draw.random() < 0.2:
            begin_at = draw.uniform(0, 1800)
            self._down.append((begin_at, begin_at + draw.uniform(60, 5400)))
        for incident in range(1, 1 + draw.choice([1, 1, 2])):
            at = draw.uniform(0, 600)
            self.states[incident] = begin(self.policy, at)
            self._at(at, "tick", incident)
        for _ in range(draw.randint(0, 3)):
            self._answer_at(draw.uniform(0, 3600), STRANGER, "text", draw.choice(["1", "11", "12", "ok"]))
        while self._queue:
            now, _, what, value = heapq.heappop(self._queue)
            if now > ENDS:
                break
            if what == "tick":
                self._tick(value, now)
            elif what == "result":
                self._result(*value, now)
        return self

    # People

    def _answer_at(self, when: float, who: str, way: str, what: str, incident: int = 0) -> None:
        heapq.heappush(self._answers, (when, next(self._order), who, (way, what, incident)))
        # A runner looks every five seconds.
        self._at(when + self._random.uniform(0, 5), "tick", 0)

    def _receive(self, paged: Paged, at: float) -> None:
        """Let whoever was paged do what they do."""
        draw, page = self._random, paged.page
        kind, delay = self._habits[page.person]
        if kind == "sleeps" or draw.random() < 0.1:
            return None
        when = at + delay * draw.uniform(0.5, 1.5)
        code = "" if len(self.states) == 1 or draw.random() < 0.3 else f"{10 + paged.incident} "
        key = {"refuses": "2", "closes": "3"}.get(kind, "1")
        if kind == "link":
            return self._answer_at(when, page.person, "link", "acknowledge", paged.incident)
        if kind == "nonsense":
            return self._answer_at(
                when, page.person, "text", draw.choice(["?", "no idea 1 or 2", "1 2", "stop it"])
            )
        if page.by is By.CALL:
            self._answer_at(at + draw.uniform(5, 40), page.person, "keys", key, paged.incident)
        else:
            self._answer_at(when, page.person, "text", f"{code}{key}")
            if kind == "twice":
                self._answer_at(when + draw.uniform(0, 60), page.person, "text", f"{code}{key}")
        return None

    # The runner

    def _tick(self, incident: int, now: float) -> None:
        self._take_answers(now)
        for one in self.states if incident == 0 else (incident,):
            self._turn(one, now)

    def _turn(self, incident: int, now: float) -> None:
        before = self.states[incident]
        turn = advance(before, now, self._resolve)
        if turn.state == before:
            return
        if before.phase is Phase.ACKNOWLEDGED and turn.state.phase is Phase.RUNNING:
            self._cycles[incident] += 1
        self.states[incident] = turn.state
        if turn.state.phase is Phase.EXHAUSTED:
            self.exhausted.append(incident)
        dies = self._random.random() < 0.02
        for page in turn.pages:
            self._send(incident, page, now, dies=dies)
        if turn.state.due_at is not None:
            self._at(turn.state.due_at + self._random.uniform(0, 5), "tick", incident)

    def _send(self, incident: int, page: Page, now: float, *, dies: bool) -> None:
        draw = self._random
        is_down = any(begun <= now < end for begun, end in self._down)
        paged = Paged(incident, self._cycles[incident], page, now, None, None)
        self.pages.append(paged)
        if dies and draw.random() < 0.5:
            return  # before it left; nobody will ever know
        if not is_down and draw.random() < 0.95:
            paged.left_at = now + draw.uniform(0, LEAVES_WITHIN)
            if draw.random() < 0.97:
                self._receive(paged, paged.left_at)
            paged.became = Became.IN_DOUBT if draw.random() < 0.05 else Became.SENT
        else:
            paged.became = Became.NOT_SENT
        if dies:
            paged.became = None
        else:
            self._at(now + draw.uniform(0, 20), "result", (incident, page.number, paged.became))

    def _result(self, incident: int, number: int, became: Became, now: float) -> None:
        before = self.states[incident]
        self.states[incident] = record(before, number, became, now)
        if self.states[incident].due_at != before.due_at and self.states[incident].due_at is not None:
            self._at(self.states[incident].due_at or now, "tick", incident)

    @staticmethod
    def _resolve(names: Any, by: By, is_last_resort: bool) -> list[Target]:
        return [Target(name, name) for name in names]

    def _take_answers(self, now: float) -> None:
        while self._answers and self._answers[0][0] <= now:
            when, _, who, (way, what, incident) = heapq.heappop(self._answers)
            asked = self._asked(who, now)
            if not asked:
                continue
            if way == "link":
                self._act(incident, Action(what), who, when, now)
                continue
            read = read_keys(what) if way == "keys" else read_text(what)
            chosen = choose(read, asked, by_call=way == "keys")
            if isinstance(chosen, Verdict) or read.action is None:
                continue
            self._act(chosen.incident, read.action, who, when, now)

    def _asked(self, who: str, now: float) -> list[AskedAbout]:
        found: dict[int, AskedAbout] = {}
        for paged in self.pages:
            if paged.page.person == who and paged.became is not Became.NOT_SENT:
                state = self.states[paged.incident]
                found[paged.incident] = AskedAbout(
                    incident=paged.incident, code=10 + paged.incident, phase=state.phase, person=who,
                    paged_at=paged.claimed_at,
                )  # fmt: skip
        return list(found.values())

    def _act(self, incident: int, action: Action, who: str, when: float, now: float) -> None:
        before = self.states[incident]
        turn = act(before, action, who, now)
        self.states[incident] = turn.state
        if turn.result is not None and turn.result.changes:
            self._check_owner(incident, who, when)
            if turn.state.phase is Phase.RUNNING and turn.state.step == -1:
                self._cycles[incident] += 1
            if turn.state.phase in (Phase.ACKNOWLEDGED, Phase.CLOSED):
                self.owned.append((incident, who, when))
            else:
                self.passed.append((incident, now))
            if turn.state.due_at is not None:
                self._at(max(now, turn.state.due_at), "tick", incident)

    # What must hold

    def _check_owner(self, incident: int, who: str, when: float) -> None:
        was_asked = any(
            paged.incident == incident and paged.page.person == who and paged.became is not Became.NOT_SENT
            for paged in self.pages
        )
        if not was_asked:
            self.problems.append(f"{who} acted on {incident} without being asked")

    def check(self) -> list[str]:
        """Return everything that must not be."""
        self._check_pages_after_answers()
        self._check_repeats()
        for incident in self.exhausted:
            if self.states[incident].phase is Phase.EXHAUSTED and not self.states[incident].passed_on:
                self._check_all_asked(incident)
        return [f"night {self.seed}: {problem}" for problem in self.problems]

    def _check_pages_after_answers(self) -> None:
        for incident, who, when in self.owned:
            for paged in self.pages:
                if paged.incident != incident or paged.left_at is None or paged.left_at <= when + 10.0:
                    continue
                # A page after an acknowledgement that ended, or that was passed on, is meant.
                if paged.claimed_at < self._held_until(incident, when):
                    self.problems.append(f"{paged.page.person} was paged after {who} had {incident}")

    def _held_until(self, incident: int, when: float) -> float:
        held = self.policy.acknowledged_for
        ends = 2 * ENDS if held is None else when + held
        passed = [at for one, at in self.passed if one == incident and at >= when]
        return min([ends, *passed])

    def _check_repeats(self) -> None:
        counted: dict[Any, int] = defaultdict(int)
        for paged in self.pages:
            if paged.became is not Became.NOT_SENT:
                page = paged.page
                counted[paged.incident, paged.cycle, page.round, page.step, page.person, page.by] += 1
        for place, times in counted.items():
            if times > 1:
                self.problems.append(f"paged {times} times: {place}")

    def _check_all_asked(self, incident: int) -> None:
        cycle = self._cycles[incident]
        mine = [one for one in self.pages if (one.incident, one.cycle) == (incident, cycle)]
        steps = [(at, step.who, step.by) for at, step in enumerate(self.policy.steps)]
        for round_ in range(self.policy.repeat + 1):
            for at, who, by in steps:
                asked = {
                    one.page.person
                    for one in mine
                    if (one.page.round, one.page.step, one.page.by) == (round_, at, by)
                }
                if asked != set(who):
                    self.problems.append(f"{incident}: round {round_}, step {at} asked {asked}, not {who}")
        last = {one.page.person for one in mine if one.page.step == len(steps)}
        if last != set(self.policy.last_resort):
            self.problems.append(f"{incident}: the last resort was not asked")
        if not any(one.became is not Became.NOT_SENT for one in mine):
            self.problems.append(f"{incident}: nobody was reached, and it ended")
