"""Two attempts of one task at once: the first lost its heartbeat, was given up, and wakes up later."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.crash import ON_AIRFLOW_2, WAYS, Cell, Ending, Stage, Trial, Way, until

pytestmark = pytest.mark.slow

SMS, OCTOPUSH_SMS, OCTOPUSH_CALL, CALL, VOICEMAIL = WAYS
CELLS = (
    (Cell("store"), Cell("store", "postgres"))
    if ON_AIRFLOW_2
    else (Cell("both"), Cell("store"), Cell("store", "postgres"), Cell("state"))
)
in_every_cell = pytest.mark.parametrize("cell", CELLS, ids=str)


def task_process(worker: int) -> int:
    """Return the id of a worker's task process, 0 before there is one."""
    return int((Path(f"/proc/{worker}/task/{worker}/children").read_text().split() or ["0"])[0])


def state_of(process: int) -> str:
    """Return the state of a process: ``T`` for one that was stopped by a signal, ``Z`` for one that has ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"


def is_frozen(process: int) -> bool:
    """Say whether a process was stopped by a signal."""
    return state_of(process) == "T"


def is_locked(database: Path) -> bool:
    """Say whether somebody is in the middle of a write to a SQLite file."""
    with contextlib.closing(sqlite3.connect(database, timeout=0.2, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        connection.execute("ROLLBACK")
        return False


class Frozen:
    """An attempt that stands still at a point, its supervisor too."""

    def __init__(self, trial: Trial, point: str) -> None:
        self.trial = trial
        self.started: dict[str, Any] = trial.start({point: "freeze"})
        self.task = until(lambda: task_process(self.started["pid"]))
        until(lambda: is_frozen(self.task) and is_frozen(self.started["pid"]))
        # The supervisor writes heartbeats at moments of its own. One that stands still in the middle of a write would
        # lock everybody else out of the trial's Airflow, for as long as it stands.
        while is_locked(trial.stage.home / "airflow.db"):
            os.kill(self.started["pid"], signal.SIGCONT)
            time.sleep(0.05)
            os.kill(self.started["pid"], signal.SIGSTOP)
            until(lambda: is_frozen(self.started["pid"]))

    def wake(self) -> Ending:
        """Let it go on, and wait for its end."""
        # The task first, so that its next word is in the pipe before the supervisor asks about its heartbeat.
        os.kill(self.task, signal.SIGCONT)
        until(lambda: not is_frozen(self.task))
        if ON_AIRFLOW_2:
            # The task has the database itself; nobody but our fence may stop it.
            until(lambda: state_of(self.task) == "Z")
        os.kill(self.started["pid"], signal.SIGCONT)
        return self.trial.wait(self.started["pid"])


def freeze_and_give_up(
    stage: Stage, way: Way, point: str, cell: Cell, in_flight: int = 1
) -> tuple[Trial, Frozen]:
    """Freeze the first attempt, and let the scheduler give it up for want of a heartbeat."""
    trial = Trial(stage, way, in_flight=in_flight, cell=cell)
    frozen = Frozen(trial, point)
    assert stage.ask("give_up", **trial.where)["state"] == "up_for_retry"
    return trial, frozen


@in_every_cell
@pytest.mark.parametrize("way", [SMS, OCTOPUSH_CALL], ids=str)
def test_the_one_that_was_given_up_stops_before_its_next_claim(stage: Stage, way: Way, cell: Cell) -> None:
    trial, frozen = freeze_and_give_up(stage, way, "send 1: after", cell)
    assert trial.attempt().state == "success", trial.story()
    sent = trial.reached_by_batch()
    fenced = frozen.wake()
    assert "send 2: before" not in fenced.points
    assert trial.reached_by_batch() == sent == [1, 1, 1]
    trial.clear()
    assert trial.attempt().state == "success", trial.story()
    assert trial.reached_by_batch() == sent


@in_every_cell
@pytest.mark.parametrize("way", [SMS, OCTOPUSH_SMS], ids=str)
def test_it_wakes_up_while_the_second_is_under_way(stage: Stage, way: Way, cell: Cell) -> None:
    trial, frozen = freeze_and_give_up(stage, way, "send 1: after", cell)
    second = Frozen(trial, "send 2: before")
    fenced = frozen.wake()
    assert "send 2: before" not in fenced.points
    assert trial.reached_by_batch() == [1, 0, 0], trial.story()
    ending = second.wake()
    # On Airflow 2 the first one may have told the database of its own end, which is not the task's.
    if ON_AIRFLOW_2 and ending.state != "success":
        ending = trial.attempt()
    assert ending.state == "success", trial.story()
    assert trial.reached_by_batch() == [1, 1, 1]


@in_every_cell
def test_claimed_before_it_was_given_up_and_sent_after_octopush_refuses_the_second(
    stage: Stage, cell: Cell
) -> None:
    trial, frozen = freeze_and_give_up(stage, OCTOPUSH_SMS, "send 2: before", cell)
    assert trial.attempt().state == "success", trial.story()
    assert trial.reached_by_batch() == [1, 1, 1]
    fenced = frozen.wake()
    assert "send 2: after" in fenced.points
    assert trial.reached_by_batch() == [1, 1, 1]


@in_every_cell
@pytest.mark.parametrize("in_flight", [1, 3])
@pytest.mark.parametrize("way", [SMS, CALL], ids=str)
def test_claimed_before_it_was_given_up_and_sent_after_the_second_does_not_send_it(
    stage: Stage, way: Way, in_flight: int, cell: Cell
) -> None:
    trial, frozen = freeze_and_give_up(stage, way, "send 2: before", cell, in_flight)
    second = trial.attempt()
    assert second.state == "failed", trial.story()
    assert 1 in second.doubtful, trial.story()
    trial.nobody_twice()
    frozen.wake()
    trial.nobody_twice()
    # Mostly it sends now; where it takes long to, Airflow has stopped it before.
    sent = trial.reached_by_batch()[1]
    trial.clear()
    assert trial.attempt(on_unknown="assume_sent").state == "success", trial.story()
    assert trial.reached_by_batch() == [1, sent, 1], trial.story()


@pytest.mark.airflow3
@pytest.mark.parametrize("cell", [Cell("both"), Cell("state")], ids=str)
@pytest.mark.parametrize("way", [SMS, CALL], ids=str)
def test_a_running_task_that_a_user_clears_stops_before_its_next_claim(
    stage: Stage, way: Way, cell: Cell
) -> None:
    trial = Trial(stage, way, cell=cell)
    frozen = Frozen(trial, "send 2: after")
    assert stage.ask("clear", **trial.where)["state"] == "restarting"
    fenced = frozen.wake()
    assert "send 3: before" not in fenced.points
    assert trial.reached_by_batch() == [1, 1, 0]
    assert fenced.claimed.keys() == {1}
    assert stage.ask("give_up", **trial.where)["state"] == "up_for_retry"
    trial.finish(resolve="assume_sent")
    assert trial.reached_by_batch() == [1, 1, 1]


def test_a_task_that_was_cleared_and_taken_over_stops_before_its_next_claim(stage: Stage) -> None:
    """Where our store is the only memory, there is nobody else to stop it."""
    trial = Trial(stage, CALL, cell=Cell("store"))
    frozen = Frozen(trial, "send 2: after")
    assert stage.ask("clear", **trial.where)["state"] == "restarting"
    assert stage.ask("give_up", **trial.where)["state"] == "up_for_retry"
    second = Frozen(trial, "send 3: before")
    fenced = frozen.wake()
    assert "send 3: before" not in fenced.points
    assert trial.reached_by_batch() == [1, 1, 0], trial.story()
    second.wake()
    trial.nobody_twice()
