"""A task that is asked to stop: what is under way is recorded, nothing more is claimed, and a retry finishes."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.crash import ON_AIRFLOW_2, WAYS, Cell, Stage, Trial, Way, until

pytestmark = pytest.mark.slow

SMS, _, _, CALL, _ = WAYS
CELLS = (Cell("store"),) if ON_AIRFLOW_2 else (Cell("both"), Cell("store"))
in_every_cell = pytest.mark.parametrize("cell", CELLS, ids=str)


def slow_answer(stage: Stage, way: Way, seconds: float, batch: int) -> None:
    """Let the send of one batch, from 1, be answered late."""
    # Where the gateway simulates, the first request on this path only asks for the price.
    skip = batch - 1 + (way.gateway != "voicepartner")
    fault: dict[str, Any] = {"kind": "slow", "seconds": seconds, "path": way.path, "skip": skip}
    stage.sandbox.post("faults", fault)


def finish_undisturbed(trial: Trial) -> None:
    """Retry, and assert that nothing is in doubt and everybody was reached once."""
    ending = trial.attempt()
    assert ending.state == "success", trial.story()
    assert trial.reached_by_batch() == [1, 1, 1], trial.story()
    assert ending.report is not None
    assert ending.report["counts"]["in_doubt"] == 0, trial.story()


@in_every_cell
@pytest.mark.parametrize(("way", "in_flight"), [(SMS, 3), (CALL, 1)], ids=str)
def test_sigterm_at_every_instant_leaves_no_doubt(stage: Stage, way: Way, in_flight: int, cell: Cell) -> None:
    undisturbed = Trial(stage, way, in_flight=in_flight, cell=cell)
    points = undisturbed.attempt().points
    # Before it has begun, nobody but Airflow's task state proves that nothing was sent.
    first = 0 if cell.has_state else points.index("write store: after")
    for point in points[first:]:
        trial = Trial(stage, way, in_flight=in_flight, cell=cell)
        stopped = trial.attempt({point: "terminate"})
        assert not stopped.claimed, trial.story()
        trial.nobody_twice()
        if cell.has_state:
            assert trial.reached_by_batch() == [int(stopped.phases.get(at) == "sent") for at in range(3)], (
                trial.story()
            )
        if stopped.state == "success":
            assert trial.reached_by_batch() == [1, 1, 1], trial.story()
        else:
            assert stopped.state == "up_for_retry", trial.story()
            finish_undisturbed(trial)


@in_every_cell
def test_a_worker_that_is_shut_down_records_what_is_under_way(stage: Stage, cell: Cell) -> None:
    trial = Trial(stage, CALL, cell=cell)
    slow_answer(stage, CALL, 1.0, batch=2)
    started = trial.start()
    trace = Path(started["trace"])
    until(lambda: trace.exists() and "send 2: left" in trace.read_text())
    os.kill(started["pid"], signal.SIGTERM)
    stopped = trial.wait(started["pid"])
    assert stopped.state == "up_for_retry"
    assert trial.reached_by_batch() == [1, 1, 0]
    assert "send 3: before" not in stopped.points
    finish_undisturbed(trial)


@in_every_cell
@pytest.mark.parametrize("in_flight", [1, 2])
def test_an_execution_timeout_records_what_is_under_way(stage: Stage, in_flight: int, cell: Cell) -> None:
    trial = Trial(stage, SMS, in_flight=in_flight, dag="crash_out_of_time", cell=cell)
    slow_answer(stage, SMS, 2.0, batch=1)
    stopped = trial.attempt()
    assert stopped.state == "up_for_retry"
    assert "AirflowTaskTimeout" in stopped.log
    assert not stopped.claimed
    trial.nobody_twice()
    assert 1 in trial.reached_by_batch()
    finish_undisturbed(trial)
