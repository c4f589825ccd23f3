"""
The proof of the rate limiter: real processes, real stores, and a server that counts what really reaches it, and when.

Every request goes through the hook's own sender and the rate limiter. What lies between a slot and its request takes
long, is frozen, or has a wrong clock: the server sees the limit kept, whatever it is.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.gateways.rate_limits import Window, parse_windows
from tests.support.pacing_workers import Worker, Workers

PROJECT = Path(__file__).resolve().parents[2]
STORES = ("sqlite", "postgres")

QUICK = "quick writes"
FROZEN_API = "an API server frozen for 15 s"
TROUBLES: Mapping[str, tuple[Mapping[str, float], ...]] = {
    QUICK: ({},),
    "claims of 1.5 s": ({"write": 1.5},),
    "claims of 25 s beside quick ones": ({"write": 25.0}, {}),
    "frozen processes and wrong clocks": (
        {"freeze": 3.0, "wall_clock_off": 30.0}, {}, {"wall_clock_off": -30.0}, {"freeze": 1.0}
    ),
    "processes frozen for 15 s": ({"freeze": 15.0}, {}),
    FROZEN_API: ({},),
    "a disk of 0.4 s a commit": ({"commit": 0.4},),
    "all at once": ({"commit": 0.4, "write": 1.5, "wall_clock_off": 30.0}, {"freeze": 3.0, "commit": 0.4}),
}  # fmt: skip
"""What each worker of a cell is troubled by; the troubles are dealt out in slot."""


@dataclass(frozen=True)
class Seen:
    """What one server saw: when each request came, from 0, and who sent it."""

    times: list[float]
    workers: list[str]

    def shortest_span(self, requests: int) -> float:
        """Return the shortest time in which so many requests came."""
        spans = zip(self.times, self.times[requests - 1 :], strict=False)
        return min((last - first for first, last in spans), default=1e9)

    def used(self, window: Window) -> float:
        """Return which share of a limit was used, over as many whole windows as were filled; 0 where none was."""
        filled = (len(self.times) - 1) // window.requests
        if not filled:
            return 0.0
        return filled * window.seconds / (self.times[filled * window.requests] - self.times[0])


def start_server() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.pacing_server"],
        cwd=PROJECT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip


def port_of(server: subprocess.Popen[str]) -> int:
    assert server.stdout is not None
    return int(server.stdout.readline())


def freeze(server: subprocess.Popen[str], after: float, seconds: float) -> None:
    """Stop a server in the middle of a trial, and wake it up: all writes that wait for it are answered at once."""
    time.sleep(after)
    os.kill(server.pid, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(server.pid, signal.SIGCONT)


def read(server: subprocess.Popen[str]) -> Seen:
    arrivals: list[Any] = sorted(json.loads(server.communicate("", timeout=30)[0]))
    first = arrivals[0][0]
    return Seen([at - first for at, _ in arrivals], [worker for _, worker in arrivals])


@dataclass(frozen=True)
class Trial:
    """Several cells that run at the same time, each with its own store, server and workers."""

    troubles: tuple[str, ...]
    processes: int
    limits: str
    seconds: float

    def run(self, urls: Mapping[tuple[str, str], str]) -> dict[tuple[str, str], Seen]:
        """Run every cell on every store, and return what the servers saw."""
        with ExitStack() as stack:
            servers = {cell: stack.enter_context(start_server()) for cell in urls}
            stack.callback(lambda: [server.kill() for server in servers.values()])
            workers = Workers(PROJECT)
            stack.callback(workers.close)
            # Where claims go to a server, as they do to Airflow's: the same program serves.
            claims = {cell: stack.enter_context(start_server()) for cell in urls if cell[0] == FROZEN_API}
            stack.callback(lambda: [server.kill() for server in claims.values()])
            ports, claim_ports = (
                {cell: port_of(server) for cell, server in started.items()} for started in (servers, claims)
            )
            for server in claims.values():
                threading.Thread(target=freeze, args=(server, self.seconds / 4, 15.0), daemon=True).start()
            codes = workers.run(
                [
                    Worker(
                        name=str(number), store_url=urls[cell], port=port, limits=self.limits,
                        seconds=self.seconds, claims_at=claim_ports.get(cell, 0),
                        **TROUBLES[cell[0]][number % len(TROUBLES[cell[0]])],
                    )
                    for cell, port in ports.items()
                    for number in range(self.processes)
                ]
            )  # fmt: skip
            assert set(codes) == {0}
            return {cell: read(server) for cell, server in servers.items()}


FEW = Trial((QUICK, "frozen processes and wrong clocks"), processes=4, limits="6/4", seconds=11.0)
MANY = [
    Trial(("claims of 1.5 s", "a disk of 0.4 s a commit"), processes=4, limits="6/8", seconds=20.0),
    Trial((QUICK, "claims of 25 s beside quick ones"), processes=8, limits="10/10, 30/40", seconds=65.0),
    Trial(("claims of 1.5 s", "processes frozen for 15 s"), processes=8, limits="10/10", seconds=65.0),
    Trial(("a disk of 0.4 s a commit", "all at once"), processes=8, limits="10/10", seconds=65.0),
    Trial((FROZEN_API,), processes=8, limits="20/2", seconds=65.0),
    Trial((QUICK, "all at once"), processes=4, limits="10/5, 30/20", seconds=45.0),
]


@pytest.fixture(scope="module")
def seen(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[Trial, dict[tuple[str, str], Seen]]:
    """Return what was seen in each trial; one that was not run yet is run when it is asked for."""
    server = request.getfixturevalue("postgres")

    class Trials(dict[Trial, dict[tuple[str, str], Seen]]):
        def __missing__(self, trial: Trial) -> dict[tuple[str, str], Seen]:
            urls = {}
            for trouble in trial.troubles:
                urls[trouble, "sqlite"] = f"sqlite:///{tmp_path_factory.mktemp('store')}/store.db"
                urls[trouble, "postgres"] = server.new_database()
            self[trial] = trial.run(urls)
            return self[trial]

    return Trials()


def check(trial: Trial, trouble: str, store: str, told: Seen) -> None:
    windows = parse_windows(trial.limits)
    shares = Counter(told.workers)
    spans = {str(window): round(told.shortest_span(window.requests + 1), 3) for window in windows}
    print(
        f"{trouble}, {store}: {len(told.times)} requests, shortest spans {spans}, shares {sorted(shares.values())}"
    )
    for window in windows:
        assert told.shortest_span(window.requests + 1) >= window.seconds
    assert len(told.times) > windows[0].requests, "the limit was not even reached"
    if trouble == FROZEN_API:
        pause = max(later - sooner for sooner, later in pairwise(told.times))
        assert pause >= 14, "the server was not frozen while they sent"
    if trouble == QUICK:
        # Of several limits one at a time holds back, and that is used.
        used = max(told.used(window) for window in windows)
        print(f"used: {used:.3f}")
        assert used >= 0.95
        assert len(shares) == trial.processes


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("trouble", FEW.troubles)
def test_four_processes_keep_to_the_limits_and_use_them(
    trouble: str, store: str, seen: dict[Trial, dict[tuple[str, str], Seen]]
) -> None:
    check(FEW, trouble, store, seen[FEW][trouble, store])


@pytest.mark.slow
@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize(
    ("trial", "trouble"), [(trial, trouble) for trial in MANY for trouble in trial.troubles]
)
def test_so_do_many_for_long(
    trial: Trial, trouble: str, store: str, seen: dict[Trial, dict[tuple[str, str], Seen]]
) -> None:
    check(trial, trouble, store, seen[trial][trouble, store])
