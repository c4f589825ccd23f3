"""The time in which slots are counted: the database's, or the monotonic clock of the machine."""

from __future__ import annotations

import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text

from airflow_provider_voicepartner.constants import LONGEST_PENALTY
from airflow_provider_voicepartner.db import clock, transactions
from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.gateways.rate_limits import Window
from airflow_provider_voicepartner.sending.rate_limit import SlidingWindowLog

PROJECT = Path(__file__).resolve().parents[2]
BOOT, NEXT_BOOT = "a" * 32, "b" * 32
NAME = "voicepartner:campaign/send:test"
START = 1_900_000_000.0


def slot_time(store: Store) -> float:
    tell = store.slot_clock()
    with store.read() as connection:
        return tell(connection)


class Machine:
    """A machine with two clocks, that can be started anew."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
        self.wall, self.up, self.url = START, 500.0, url
        self.boot: str | None = BOOT
        monkeypatch.setattr(transactions, "machine_clock", lambda: self.up)
        monkeypatch.setattr(transactions, "boot_id", lambda: self.boot)
        monkeypatch.setattr(time, "time", lambda: self.wall)

    def restart(self, *, wall: float) -> None:
        """Start anew, with a wall clock that says something else."""
        self.boot, self.up, self.wall = NEXT_BOOT, 3.0, wall

    def store(self) -> Store:
        """Open the store in another process."""
        return open_store(self.url)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    return Machine(monkeypatch, f"sqlite:///{tmp_path}/store.db")


def test_a_file_has_the_time_of_the_machine_whatever_a_wall_clock_says(machine: Machine) -> None:
    first = machine.store()
    assert slot_time(first) == START
    machine.wall += 30  # set, or wrong in the process that comes next
    second = machine.store()
    assert slot_time(first) == slot_time(second) == START
    machine.up += 7
    assert slot_time(first) == slot_time(second) == START + 7
    with first.read() as connection:
        assert first.now(connection) == START + 30, "reports are stamped with the wall clock"


@pytest.mark.parametrize("wrong", [-3600, -30, -0.3, 0.3, 30, 3600])
def test_a_wrong_clock_in_one_process_moves_no_slots(machine: Machine, wrong: float) -> None:
    right, other = SlidingWindowLog(machine.store()), SlidingWindowLog(machine.store())
    windows = (Window(2, 10),)
    waits = []
    for window_log, wall in ((right, START), (other, START + wrong)) * 3:
        machine.wall = wall
        waits.append(round(window_log.reserve(NAME, windows).wait, 3))
    assert waits == [0, 0, 10.1, 10.1, 20.2, 20.2]


@pytest.mark.parametrize(
    ("later", "wait"),
    [
        (60.0, 0.0),  # the machine was off for a minute
        (3.0, 7.1),  # it was quick: what left before still counts
        (-86_400.0, 10.1),  # its wall clock is wrong now: that counts as having left just now
        (0.0, 10.1),
    ],
)
def test_after_a_restart_nothing_is_forgotten_and_nothing_blocks_for_long(
    machine: Machine, later: float, wait: float
) -> None:
    windows = (Window(2, 10),)
    before = SlidingWindowLog(machine.store())
    assert [before.reserve(NAME, windows).wait for _ in range(2)] == [0, 0]
    machine.restart(wall=START + later)
    after = SlidingWindowLog(machine.store())
    assert after.reserve(NAME, windows).wait == pytest.approx(wait, abs=1e-3)


def test_a_penalty_from_before_a_restart_ends_within_an_hour(machine: Machine) -> None:
    SlidingWindowLog(machine.store()).block_for(NAME, 3000)
    machine.restart(wall=START - 365 * 86_400)
    assert 0 < SlidingWindowLog(machine.store()).reserve(NAME, (Window(2, 10),)).wait <= LONGEST_PENALTY


def test_slots_of_a_version_that_counted_by_the_wall_clock_are_kept(machine: Machine) -> None:
    """An upgrade in the middle of a campaign: what the old version gave out lies a little ahead."""
    store = machine.store()
    with store.write() as connection:
        for at in (START - 1, START + 4):
            connection.execute(
                text("INSERT INTO voicepartner_rate_slot (name, at) VALUES (:name, :at)"),
                {"name": NAME, "at": at},
            )
    assert slot_time(store) == START + 4
    assert SlidingWindowLog(store).reserve(NAME, (Window(2, 10),)).wait == pytest.approx(5.1)


def test_who_comes_second_takes_what_the_first_wrote(machine: Machine) -> None:
    store = machine.store()
    found = [
        clock.slot_clock_offset(store, BOOT, machine_clock=lambda: 10.0, wall_clock=partial(float, wall))
        for wall in (START, START + 99)
    ]
    assert found == [START - 10, START - 10]


def test_memory_and_a_system_that_does_not_name_its_starts(machine: Machine) -> None:
    assert slot_time(open_store("sqlite://")) == machine.up
    machine.boot = None
    assert slot_time(machine.store()) == machine.wall


def test_postgres_and_a_given_clock_are_taken_as_they_are(machine: Machine, empty_postgres_url: str) -> None:
    machine.wall = 0.0
    assert slot_time(open_store(empty_postgres_url)) > 1_700_000_000
    assert slot_time(open_store(machine.url, clock=lambda: 12.5)) == 12.5


def test_processes_of_this_machine_agree(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    script = f"""
import time
real = time.time
time.time = lambda: real() - 30
from airflow_provider_voicepartner.db.engine import open_store
store = open_store({url!r})
tell = store.slot_clock()
with store.read() as connection:
    print(tell(connection))
"""
    here = open_store(url)
    before = slot_time(here)
    there = float(
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
    )
    assert before <= there <= slot_time(here)


def test_the_machines_clock_goes_on_and_its_start_has_a_name(tmp_path: Path) -> None:
    first, now = clock.boot_id(), clock.machine_clock()
    assert first == clock.boot_id()
    assert clock.machine_clock() >= now


@pytest.mark.parametrize("content", [None, b"", b"no id", b"\xff\xfe", b"G" * 32])
def test_a_name_that_cannot_be_read_is_none(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "boot_id"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setattr(clock, "_BOOT_ID", path)
    assert clock.boot_id() is None


def test_a_name_is_read_without_its_hyphens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "boot_id"
    path.write_text("01234567-89ab-cdef-0123-456789abcdef\n")
    monkeypatch.setattr(clock, "_BOOT_ID", path)
    assert clock.boot_id() == "0123456789abcdef0123456789abcdef"


def test_a_system_without_such_a_clock_has_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    assert clock.machine_clock() == pytest.approx(time.monotonic(), abs=5)
