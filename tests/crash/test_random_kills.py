"""
200 campaigns under random trouble: several kills, clears in between, and a gateway that drops, refuses and breaks off.

They go round all cells. To draw others, or fewer: ``CRASH_SEED=1000 CRASH_RUNS=10``.
"""

from __future__ import annotations

import os
from random import Random
from typing import Any

import pytest

from tests.support.crash import WAYS, Stage, Trial, Way
from tests.support.crash_cells import CELLS

pytestmark = pytest.mark.slow

SEED = int(os.environ.get("CRASH_SEED", "0"))
RUNS = int(os.environ.get("CRASH_RUNS", "200"))
SLICES = 8
TROUBLE: tuple[dict[str, Any], ...] = (
    {"kind": "drop_before"},
    {"kind": "drop_before", "reset": True},
    {"kind": "drop_after"},
    {"kind": "drop_after", "reset": True},
    {"kind": "drop_mid_answer"},
    {"kind": "429", "retry_after": 0},
    {"kind": "429", "retry_after": 0, "times": 4},
    {"kind": "500", "taken": False},
    {"kind": "500", "taken": True},
    {"kind": "503", "taken": True, "retry_after": 0},
    {"kind": "html", "taken": False},
    {"kind": "html", "taken": True},
    {"kind": "truncated_json"},
    {"kind": "empty"},
    {"kind": "queued_without_id", "taken": False},
    {"kind": "queued_without_id", "taken": True},
    {"kind": "slow", "seconds": 0.1},
)


def make_trouble(stage: Stage, way: Way, random: Random) -> list[dict[str, Any]]:
    """Arm up to three faults, most of them on sends."""
    faults = []
    for _ in range(random.choice((0, 1, 1, 2, 3))):
        fault = {**random.choice(TROUBLE), "gateway": way.gateway, "skip": random.randrange(4)}
        if random.random() < 0.8:
            fault["path"] = way.path
        faults.append(fault)
        stage.sandbox.post("faults", fault)
    return faults


@pytest.mark.parametrize("part", range(SLICES))
def test_random_trouble(stage: Stage, part: int) -> None:
    for seed in range(SEED + part, SEED + RUNS, SLICES):
        random = Random(seed)
        # Five runs in each cell, one a way, then the next cell.
        way, cell = WAYS[seed % len(WAYS)], CELLS[seed // len(WAYS) % len(CELLS)]
        trial = Trial(stage, way, in_flight=random.choice((1, 2, 3)), cell=cell)
        faults = make_trouble(stage, trial.way, random)
        orders = [
            {f"#{random.randrange(1, 50)}": random.choice(("kill", "kill worker"))}
            for _ in range(random.choice((1, 1, 2, 2, 3)))
        ]
        clears = [random.random() < 0.3 for _ in orders]
        print(f"seed {seed}: {way}, {trial.in_flight} in flight, {cell}, {orders}, {clears}, {faults}")
        resolve = random.choice(("assume_sent", "resend"))
        trial.finish(resolve=resolve, orders=orders, trouble=bool(faults), clears=clears)
