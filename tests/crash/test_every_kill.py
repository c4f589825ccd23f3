"""A task that is killed at every instant, one after the other, and retried: nobody twice, nobody silently out."""

from __future__ import annotations

import os

import pytest

from tests.support.crash import WAYS, Cell, Stage, Trial, Way
from tests.support.crash_cells import CELLS

pytestmark = pytest.mark.slow

SMS, OCTOPUSH_SMS, OCTOPUSH_CALL, _, VOICEMAIL = WAYS
ORDERS = ("kill", "kill worker")
CHOICES = ("assume_sent", "resend")
STRIDE = int(os.environ.get("CRASH_STRIDE", "3"))
"""In the cells other than the usual one, every third instant, not the same ones in each; 1 takes all."""


def kill_at(
    stage: Stage, way: Way, points: list[str], *, in_flight: int, cell: Cell, first: int = 0, stride: int = 1
) -> int:
    """Kill one trial at each of these points; return how many were killed."""
    obeyed = 0
    for at in range(first, len(points), stride):
        trial = Trial(stage, way, in_flight=in_flight, cell=cell)
        # Who dies, and what the user chooses, alternates: all four combinations meet every sort of point.
        orders = [{points[at]: ORDERS[at // stride % 2]}]
        trial.finish(resolve=CHOICES[at // stride // 2 % 2], orders=orders)
        obeyed += bool(trial.endings[0].obeyed)
    return obeyed


def points_of(stage: Stage, way: Way, *, in_flight: int, cell: Cell) -> list[str]:
    """Return the points of an undisturbed attempt; each memory is written to before the first batch leaves."""
    undisturbed = Trial(stage, way, in_flight=in_flight, cell=cell)
    undisturbed.finish(resolve="assume_sent")
    points = undisturbed.endings[0].points
    assert [f"send {number}: before" in points for number in (1, 2, 3)] == [True] * 3
    first = points.index("send 1: before")
    if cell.has_state:
        assert points.index("write attempt: after") < points.index("write log: after") < first
    if cell.memories != "state":
        assert points.index("write store: after") < first
    return points


@pytest.mark.parametrize(
    ("way", "in_flight"),
    [*((way, 1) for way in WAYS), *((way, 3) for way in (SMS, OCTOPUSH_CALL, VOICEMAIL))],
    ids=str,
)
def test_killed_at_every_instant(stage: Stage, way: Way, in_flight: int) -> None:
    points = points_of(stage, way, in_flight=in_flight, cell=Cell())
    obeyed = kill_at(stage, way, points, in_flight=in_flight, cell=Cell())
    # With several in flight their records may share a write, and a later one is then never made.
    assert obeyed == len(points) if in_flight == 1 else obeyed >= len(points) - 8


@pytest.mark.parametrize("number", range(len(CELLS)), ids=lambda number: str(CELLS[number]))
def test_killed_with_other_memories_elsewhere_and_cleared_otherwise(stage: Stage, number: int) -> None:
    cell, way, in_flight = CELLS[number], WAYS[number % len(WAYS)], (1, 3)[number % 2]
    points = points_of(stage, way, in_flight=in_flight, cell=cell)
    assert kill_at(
        stage, way, points, in_flight=in_flight, cell=cell, first=number % STRIDE, stride=STRIDE
    )  # fmt: skip


@pytest.mark.parametrize("way", [SMS, OCTOPUSH_SMS], ids=str)
def test_killed_again_at_every_instant_of_settling_what_the_first_kill_left(stage: Stage, way: Way) -> None:
    first = {"send 3: answered": "kill"}
    undisturbed = Trial(stage, way, in_flight=3)
    undisturbed.finish(resolve="assume_sent", orders=[first])
    assert undisturbed.endings[-1].state == "success"
    points = [point for point in undisturbed.endings[-1].points if point != "begin"]
    assert sum(point.endswith("before") and not point.startswith("write") for point in points) >= 1
    for at, point in enumerate(points):
        trial = Trial(stage, way, in_flight=3)
        trial.finish(resolve=CHOICES[at % 2], orders=[first, {point: ORDERS[at // 2 % 2]}])
