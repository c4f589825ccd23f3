"""``python -m benchmarks``: measure all goals, print them, and write them into the documentation."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import alert, alertmanager, building, imports, peers, planning, receiver, resume, waiting
from benchmarks.chart import write_chart
from benchmarks.environment import Child, environment
from benchmarks.gateway import Gateway, running_gateway
from benchmarks.page import line_of, tables, write_page
from benchmarks.people import write_mobiles
from benchmarks.results import Results, Row, Way
from benchmarks.sizes import FULL, QUICK, Sizes

BATCH = 500
SLOW = 0.3
IN_FLIGHT = 4


@dataclass(frozen=True)
class Part:
    """What one part of a run found."""

    rows: list[Row] = field(default_factory=list)
    ways: list[Way] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Bench:
    """A run: what it measures with, and where."""

    sizes: Sizes
    folder: Path
    child: Child
    gateway: Gateway

    def planning(self) -> Row:
        """Compare the planning pass with a loop over the library."""
        path = self.folder / "mixed.csv"
        planning.write_people(path, self.sizes.planned)
        runs = [
            planning.run_pass(path, "numbers", self.sizes.sample) for _ in range(self.sizes.planning_runs)
        ]
        run = _middle(runs, lambda run: run["loop"] / run["cpu"])
        grown = run["megabytes"]
        return Row(
            what=f"planning pass, CSV of {run['rows']:,} mixed French numbers",
            ours=f"{run['cpu']:.2f} s, {grown:.0f} MB at the peak",
            beside=f"phonenumbers parse, is_valid, format: {run['loop']:.0f} s ({self.sizes.sample:,} rows, scaled)",
            measured=run["loop"] / run["cpu"],
            goal=planning.GOAL_RATIO,
            at_least=True,
            unit="×",
            also=(f"under {planning.GOAL_MEGABYTES} MB", grown < planning.GOAL_MEGABYTES),
        )

    def planning_texts(self) -> list[Row]:
        """Compare the planning pass of personal texts with that of numbers alone, and with a loop over libraries."""
        path = self.folder / "mixed.csv"
        counter = peers.install_segment_counter(self.folder / "smsutil") if self.sizes.installs else None
        os.environ[planning.SMSUTIL] = counter or ""
        runs = [planning.run_pass(path, "texts", self.sizes.sample) for _ in range(self.sizes.planning_runs)]
        run = _middle(runs, lambda run: run["loop"] / run["cpu"])
        ours = f"{run['cpu']:.2f} s, {run['megabytes']:.0f} MB at the peak"
        what = f"planning pass, {run['rows']:,} texts with two personal fields, segments and checks"
        counted = "smsutil" if counter else "no counter of segments"
        return [
            Row(
                what=what,
                ours=ours,
                beside=f"numbers alone in the same process: {run['numbers']:.2f} s",
                measured=run["cpu"] / run["numbers"],
                goal=planning.GOAL_TEXTS_TO_NUMBERS,
                at_least=False,
                unit="×",
                also=(
                    f"under {planning.GOAL_MEGABYTES} MB",
                    run["megabytes"] < planning.GOAL_MEGABYTES,
                ),
            ),
            Row(
                what="the same against a naive loop",
                ours=ours,
                beside=f"csv.DictReader, phonenumbers, str.format_map, {counted}: {run['loop']:.0f} s "
                f"({self.sizes.sample:,} rows, scaled)",
                measured=run["loop"] / run["cpu"],
                goal=planning.GOAL_TEXTS_RATIO,
                at_least=True,
                unit="×",
            ),
        ]

    def building(self) -> Row:
        """Compare what it takes to build bodies with what it takes to write them as JSON."""
        path = write_mobiles(self.folder / "sent.csv", self.sizes.sent)
        runs = [self.child.run("benchmarks.building", path) for _ in range(min(3, self.sizes.sending_runs))]
        run = _middle(runs, lambda run: run["building"] / run["dumping"])
        return Row(
            what=f"building the bodies of {run['recipients']:,} personal texts",
            ours=f"{run['building']:.2f} s",
            beside=f"json.dumps of the same bodies: {run['dumping']:.2f} s",
            measured=run["building"] / run["dumping"],
            goal=building.GOAL,
            at_least=False,
            unit="×",
        )

    def texts_in_flight(self) -> Row:
        """Send personal texts to a gateway that takes its time."""
        path = write_mobiles(self.folder / "texts.csv", self.sizes.texts_in_flight)
        runs = []
        for _ in range(min(3, self.sizes.sending_runs)):
            self.gateway.reset(delay=SLOW)
            runs.append(self.child.run("benchmarks.sending", self.gateway.url, path, "personal", "slow"))
        run = _middle(runs, lambda run: run["sending"])
        least = -(-run["batches"] // IN_FLIGHT) * SLOW
        return Row(
            what=f"{run['batches']} batches of personal texts, gateway answers in 300 ms, nothing kept",
            ours=f"{run['sending']:.2f} s (and {run['planning']:.2f} s of planning)",
            beside=f"what 300 ms and {IN_FLIGHT} in flight allow: {least:.2f} s; {IN_FLIGHT} threads that only post "
            f"bodies built before, and read the JSON of the answers: {run['threaded'] * run['batches']:.2f} s (scaled)",
            measured=least / run["sending"],
            goal=0.98,
            at_least=True,
            unit="×",
        )

    def alerting(self) -> Row:
        """Send one alert from a fresh process."""
        found = alert.measure(self.child, self.gateway, self.sizes.alerts)
        return Row(
            what=f"one alert from a callback in a fresh process, 95th percentile of {self.sizes.alerts}",
            ours=f"{found['ours']:.0f} ms until the gateway has it",
            beside=f"bare requests.post in a fresh process: {found['bare']:.0f} ms",
            measured=found["ours"] - found["bare"],
            goal=alert.GOAL_MS,
            at_least=False,
            unit=" ms more",
        )

    def storm(self) -> Row:
        """Let many tasks fail at once."""
        found = alert.measure_storm(self.child, self.gateway, self.folder, self.sizes.failures)
        program = alertmanager.install(self.folder / "alertmanager") if self.sizes.installs else None
        beside = "Alertmanager: not installed"
        if program is not None:
            other = alertmanager.measure(program, self.folder, self.sizes.failures, alert.PROCESSES)
            beside = (
                f"Alertmanager, a server of its own that groups: {other['p99']:.0f} ms a post; messages: "
                f"{other['messages']:.0f}, the first after {other['first']:.2f} s"
            )
        return Row(
            what=f"{self.sizes.failures} failures in {alert.PROCESSES} processes, 99th percentile of a callback",
            ours=f"{found['p99']:.0f} ms, median {found['median']:.0f} ms; messages: {found['messages']:.0f}, "
            "and later one with the count",
            beside=beside,
            measured=found["p99"],
            goal=alert.STORM_GOAL_MS,
            at_least=False,
            unit=" ms",
            also=("one message", found["messages"] == 1),
        )

    def sending(self) -> Part:
        """Compare a campaign with a bare loop of requests."""
        path = write_mobiles(self.folder / "sent.csv", self.sizes.sent)
        runs = []
        for _ in range(self.sizes.sending_runs):
            self.gateway.reset()
            runs.append(self.child.run("benchmarks.sending", self.gateway.url, path, "numbers", "at_once"))
        run = _middle(runs, lambda run: run["bare"] / run["sending"])
        row = Row(
            what=f"{self.sizes.sent:,} recipients, gateway answers at once, nothing kept",
            ours=f"{run['sending']:.2f} s (and {run['planning']:.2f} s of planning); "
            f"memory grew {run['megabytes']:.1f} MB",
            beside=f"bare loop on one requests.Session, bodies built before: {run['bare']:.2f} s",
            measured=run["bare"] / run["sending"],
            goal=0.5,
            at_least=True,
            unit="×",
            also=("flat memory", run["megabytes"] < 20),
        )
        self.gateway.reset()
        texts = self.child.run("benchmarks.sending", self.gateway.url, path, "personal", "at_once")
        batches, ms = run["batches"], 1000 / run["batches"]
        note = (
            f"At once: {batches:,} batches; a batch takes {run['sending_cpu'] * ms:.2f} ms of processor time, with "
            f"checking, building, recording and logging, and the loop {run['bare_cpu'] * ms:.2f} "
            f"ms. By the clock it is {run['sending'] * ms:.2f} ms, and {run['unpooled'] * ms:.2f} ms for requests.post "
            "without a session. Our threads share one interpreter lock, so where the gateway takes no time the "
            "difference is that work; with answers in 300 ms and 4 of them in flight, a batch has 75 ms for it. "
            f"Personal texts take {texts['sending_cpu'] * ms:.2f} ms a batch, with reading the rows again, building "
            f"the texts and reading an answer that names each recipient; the loop {texts['bare_cpu'] * ms:.2f} ms."
        )
        return Part([row], notes=[note])

    def under_airflow(self) -> Part:
        """Compare campaigns with and without a ledger, at a gateway that takes its time; then one task a batch."""
        sizes, home = self.sizes, self.child.home
        (home / "bodies.json").write_text(json.dumps(peers.bodies(sizes.peer_batches)), encoding="utf-8")
        small = write_mobiles(self.folder / "small.csv", sizes.peer_batches * BATCH)
        large = write_mobiles(self.folder / "large.csv", sizes.slow_batches * BATCH)
        self.gateway.reset(delay=SLOW)
        pairs = [name for turn in range(sizes.slow_runs) for name in _turned(("none", "both"), turn)]
        runs = [f"both={small}", f"both={small}", "mapped=", *(f"{name}={large}" for name in pairs)]
        _, ours, mapped, *slow = self.child.run("benchmarks.airflow_run", *runs)
        took = {
            kind: sum(run["seconds"] for name, run in zip(pairs, slow, strict=True) if name == kind)
            / sizes.slow_runs
            for kind in ("none", "both")
        }
        row = Row(
            what=f"{sizes.slow_batches} batches, gateway answers in 300 ms, ledger in both memories",
            ours=f"{took['both']:.2f} s",
            beside=f"the same without a ledger: {took['none']:.2f} s",
            measured=took["both"] / took["none"],
            goal=1.10,
            at_least=False,
            unit="×",
        )
        a_task = mapped["whole"] / sizes.peer_batches - SLOW
        ways = [
            Way(name="SendSmsOperator, one task", seconds=ours["whole"], how="the whole of dag.test()"),
            Way(
                name="one mapped task per batch (HttpOperator)",
                seconds=mapped["whole"],
                how=f"estimate: the whole of dag.test() with a stand-in that only posts, one task after the other, "
                f"{a_task:.2f} s of Airflow a task; a real executor adds a process to each, and runs some at once",
            ),
        ]
        return Part([row], ways)

    def resuming(self, name: str, store: str | None) -> Row:
        """Kill a campaign near its end, and see when its retry goes on."""
        sizes = self.sizes
        path = write_mobiles(self.folder / "crash.csv", sizes.crash_of * BATCH)
        found = resume.measure(self.child, self.gateway, path, answered=sizes.crash_at, store=store)
        expected = sizes.crash_of * BATCH
        once = found["sends"] == sizes.crash_of and found["recipients"] == expected
        return Row(
            what=f"resume after a kill at batch {sizes.crash_at:,} of {sizes.crash_of:,}, {name}",
            ours="from the start of execute() to the first new send at the gateway",
            beside=f"{resume.IN_FLIGHT} batches in doubt are looked up after the rest; "
            f"{found['recipients']:,} of {expected:,} reached",
            measured=found["seconds"],
            goal=5,
            at_least=False,
            unit=" s",
            also=("everybody once", once),
        )

    def importing(self) -> Part:
        """Import the operator behind ``airflow.sdk``."""
        found = imports.measure(self.child, self.sizes.import_rounds)
        medians: dict[str, float] = found["medians"]
        ours = medians.pop(imports.OURS)
        others = ", ".join(f"{name.split('.', 2)[2]} {took:.0f}" for name, took in medians.items())
        row = Row(
            what="import of operators.sms after airflow.sdk",
            ours=f"{ours:.1f} ms",
            beside=f"official providers installed here, ms: {others or '(not in a quick run)'}",
            measured=ours,
            goal=20,
            at_least=False,
            unit=" ms",
            also=("nothing heavy", not found["heavy"]),
        )
        heavy = ", ".join(found["heavy"]) or "none"
        note = f"Import: of {', '.join(imports.HEAVY)}, the operator brings along what airflow.sdk had not: {heavy}."
        return Part([row], notes=[note])

    def peers(self) -> list[Way]:
        """Send as others do."""
        self.gateway.reset(delay=SLOW)
        recipients = self.sizes.peer_batches * BATCH
        return [
            peers.apprise(
                self.gateway.url, self.folder, self.sizes.peer_batches, install=self.sizes.installs
            ),
            peers.one_by_one(self.gateway.url, recipients, self.sizes.single_requests),
        ]

    def resumes(self) -> list[Row]:
        """Resume with each database."""
        with _postgres() as url:
            return [self.resuming("SQLite", None), self.resuming("PostgreSQL", url)]

    def parts(self) -> dict[str, Callable[[], Part]]:
        """Return what there is to measure, in the order of the page."""
        return {
            "planning": lambda: Part([self.planning(), *self.planning_texts()]),
            "building": lambda: Part([self.building()]),
            "sending": self.sending,
            "texts": lambda: Part([self.texts_in_flight()]),
            "ledger": self.under_airflow,
            "resume": lambda: Part(self.resumes()),
            "alert": lambda: Part([self.alerting()]),
            "storm": lambda: Part([self.storm()]),
            "imports": self.importing,
            "receiver": lambda: Part(
                receiver.rows(self.folder, reports=self.sizes.reports, runs=self.sizes.receiver_runs)
            ),
            "waiting": lambda: Part(
                waiting.rows(
                    self.child, self.folder, self.sizes.waiting, asked_interval=self.sizes.asked_interval
                )
            ),
            "peers": lambda: Part(ways=self.peers()),
        }

    def results(self, names: Collection[str]) -> Results:
        """Measure these parts, and print each row when it is known."""
        done = []
        for name, measure in self.parts().items():
            if name not in names:
                continue
            started = time.monotonic()
            part = measure()
            done.append(part)
            sys.stderr.write(f"{name}: {time.monotonic() - started:.0f} s\n")
            for row in part.rows:
                sys.stderr.write(f"{line_of(row)}\n")
            sys.stderr.flush()
        return Results(
            rows=[row for part in done for row in part.rows],
            ways=[way for part in done for way in part.ways],
            campaign=f"{self.sizes.peer_batches * BATCH:,} recipients ({self.sizes.peer_batches} batches), gateway "
            "answers in 300 ms",
            notes=[*[note for part in done for note in part.notes], *_NOTES],
            about=_about(),
        )


_NOTES = [
    "Numbers of one row come from one run on one machine, in turn; compare them with each other, not with other runs. "
    "Of repeated runs the one in the middle is shown, of the ledger's the mean.",
    "The gateway is a process of its own that only counts and answers; up to 4 batches are in flight.",
]


def _about() -> str:
    today = datetime.now(UTC).date().isoformat()
    return (
        f"Measured on {today} with Python {platform.python_version()}, Airflow {version('apache-airflow')}, "
        f"{os.cpu_count()} cores."
    )


def _middle(runs: list[dict[str, Any]], value: Any) -> dict[str, Any]:
    return sorted(runs, key=value)[len(runs) // 2]


def _turned(pair: tuple[str, str], turn: int) -> tuple[str, ...]:
    return pair if turn % 2 == 0 else pair[::-1]


@contextmanager
def _postgres() -> Iterator[str]:
    """Start a server for as long as the block takes, and give the URL of an empty database."""
    from tests.support.postgres import PostgresServer

    server = PostgresServer()
    try:
        yield server.new_database()
    finally:
        server.stop()


def main() -> None:
    """Measure, print, and write the documentation unless the run is a quick one."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, nothing written: does it still run?"
    )
    parser.add_argument(
        "--only", nargs="+", metavar="PART", default=[],
        help="measure these parts alone, and write nothing: planning, building, sending, texts, ledger, resume, "
        "alert, storm, imports, receiver, waiting, peers",
    )  # fmt: skip
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, running_gateway() as gateway:
        home = Path(name, "airflow")
        child = Child(home, environment(home, gateway.url))
        os.environ["NO_PROXY"] = "127.0.0.1"
        (home / "bodies.json").write_text("[]", encoding="utf-8")
        bench = Bench(QUICK if given.quick else FULL, Path(name), child, gateway)
        if unknown := set(given.only) - set(bench.parts()):
            parser.error(
                f"no part is called {', '.join(sorted(unknown))}: there are {', '.join(bench.parts())}"
            )
        results = bench.results(given.only or bench.parts())
    for line in tables(results):
        sys.stdout.write(f"{line}\n")
    if not (given.quick or given.only):
        write_page(results)
        write_chart(results)


if __name__ == "__main__":
    main()
