"""A task that is killed at every instant, one after the other, and retried: nobody twice, nobody silently out."""

from __future__ import annotations

import pytest

from tests.support.crash import WAYS, Stage, Trial, Way

pytestmark = [pytest.mark.airflow3, pytest.mark.slow]

SMS, OCTOPUSH_SMS, OCTOPUSH_CALL, _, VOICEMAIL = WAYS
ORDERS = ("kill", "kill worker")
CHOICES = ("assume_sent", "resend")


@pytest.mark.parametrize(
    ("way", "in_flight"),
    [*((way, 1) for way in WAYS), *((way, 3) for way in (SMS, OCTOPUSH_CALL, VOICEMAIL))],
    ids=str,
)
def test_killed_at_every_instant(stage: Stage, way: Way, in_flight: int) -> None:
    undisturbed = Trial(stage, way, in_flight=in_flight)
    undisturbed.finish(resolve="assume_sent")
    points = undisturbed.endings[0].points
    assert [f"send {number}: before" in points for number in (1, 2, 3)] == [True] * 3
    assert (
        points.index("write plan: after")
        < points.index("write batches: after")
        < points.index("send 1: before")
    )
    obeyed = 0
    for at, point in enumerate(points):
        trial = Trial(stage, way, in_flight=in_flight)
        # Who dies, and what the user chooses, alternates: all four combinations meet every sort of point.
        trial.finish(resolve=CHOICES[at // 2 % 2], orders=[{point: ORDERS[at % 2]}])
        obeyed += bool(trial.endings[0].obeyed)
    # With several in flight their records may share a write, and a later one is then never made.
    assert obeyed == len(points) if in_flight == 1 else obeyed >= len(points) - 4


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
