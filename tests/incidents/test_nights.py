"""10,000 simulated nights: nobody is paged after somebody has it, nobody is left out, and no stranger is heard."""

from __future__ import annotations

from collections import Counter

import pytest

from airflow_provider_voicepartner.incidents.escalation import Phase
from tests.support import nights
from tests.support.nights import Night

NIGHTS = 10_000
PARTS = 4


def problems_of(seeds: range) -> tuple[list[str], Counter[str]]:
    found: list[str] = []
    seen: Counter[str] = Counter()
    for seed in seeds:
        night = Night(seed).run()
        found += night.check()
        seen["nights"] += 1
        seen["owned"] += len(night.owned)
        seen["passed on"] += len(night.passed)
        seen["pages"] += len(night.pages)
        seen["unanswered"] += sum(state.phase is Phase.EXHAUSTED for state in night.states.values())
        seen["not sent"] += sum(paged.became is nights.Became.NOT_SENT for paged in night.pages)
        seen["never known"] += sum(paged.became is None for paged in night.pages)
    return found, seen


@pytest.mark.sampled(1)
@pytest.mark.parametrize("part", range(PARTS))
def test_nights(part: int) -> None:
    found, seen = problems_of(range(part * NIGHTS // PARTS, (part + 1) * NIGHTS // PARTS))
    assert found == []
    assert seen["nights"] == NIGHTS // PARTS
    # All of it happened, and often: else nothing is proved.
    rare = {what: times for what, times in seen.items() if times < NIGHTS // PARTS // 20}
    assert rare == {}


@pytest.mark.slow
def test_more_nights() -> None:
    found, seen = problems_of(range(NIGHTS, 10 * NIGHTS))
    assert found == []
    assert seen["nights"] == 9 * NIGHTS


def test_a_night_is_the_same_each_time() -> None:
    one, other = Night(7).run(), Night(7).run()
    assert one.pages == other.pages
    assert one.owned == other.owned


def test_the_checks_notice_pages_that_leave_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nights, "LEAVES_WITHIN", 60.0)
    assert any("was paged after" in problem for problem in problems_of(range(300))[0])


def test_the_checks_notice_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    everybody = Night._asked

    def asked(self: Night, who: str, now: float) -> object:
        return everybody(self, self.pages[0].page.person if self.pages else who, now)

    monkeypatch.setattr(Night, "_asked", asked)
    assert any("without being asked" in problem for problem in problems_of(range(300))[0])


def test_the_checks_notice_a_step_that_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    true = nights.advance

    def skip(state: nights.Escalation, now: float, resolve: object) -> object:
        turn = true(state, now, resolve)  # type: ignore[arg-type]
        is_second = turn.state.step == 1 and bool(turn.pages)
        return replace(turn, pages=turn.pages[1:]) if is_second else turn

    monkeypatch.setattr(nights, "advance", skip)
    assert any("asked" in problem for problem in problems_of(range(300))[0])


def test_the_checks_notice_pages_that_are_sent_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    true = nights.advance

    def twice(state: nights.Escalation, now: float, resolve: object) -> object:
        turn = true(state, now, resolve)  # type: ignore[arg-type]
        is_first = any(page.number == 1 for page in turn.pages)
        return replace(turn, pages=turn.pages * 2) if is_first else turn

    monkeypatch.setattr(nights, "advance", twice)
    assert any("paged 2 times" in problem for problem in problems_of(range(300))[0])
