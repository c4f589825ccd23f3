"""Campaigns that are killed and retried: the stage, and what must be true of every run."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_provider_voicepartner.db.engine import open_store
from tests.support.crash_cells import ON_AIRFLOW_2, Cell
from tests.support.crash_points import BATCH_SIZE, BATCHES, RECIPIENTS
from tests.support.crash_sandbox import WAYS, Sandbox, Way
from tests.support.doubts import doubts_in

__all__ = [
    "ON_AIRFLOW_2",
    "WAYS",
    "Cell",
    "Ending",
    "Sandbox",
    "Stage",
    "Trial",
    "Way",
    "running_stage",
    "until",
]

PROJECT = Path(__file__).resolve().parent.parent.parent
DAG_FILE = PROJECT / "tests" / "crash" / "dags" / "crashing.py"
MOST_ATTEMPTS = 12
EVERYBODY = frozenset(range(BATCHES))
_IN_DOUBT = re.compile(r"SendOutcomeUnknownError: ([^\n]*)")


@dataclass
class Ending:
    """
    How one attempt ended.

    :param state: of the task, as Airflow sees it now.
    :param ledger: what the task's state store holds.
    :param report: what the task returned, or pushed before it failed.
    :param points: passed by the task, in order.
    :param obeyed: the points with an order that was obeyed.
    """

    state: str | None
    attempt: str
    ledger: dict[str, Any]
    report: dict[str, Any] | None
    exit: int
    log: str
    points: list[str]
    obeyed: list[str]

    @property
    def records(self) -> dict[int, dict[str, Any]]:
        """What the task's state knows of each batch; of two records of one the further one counts."""
        phases = ("claimed", "refused", "assumed_sent", "sent", "disputed")
        found: dict[int, dict[str, Any]] = {}
        for key, entry in self.ledger.items():
            for index, record in entry["batches"].items() if "/log/" in key else ():
                rank = record["attempt"], phases.index(record["phase"])
                if int(index) not in found or found[int(index)]["rank"] < rank:
                    found[int(index)] = record | {"rank": rank}
        return found

    @property
    def phases(self) -> dict[int, str]:
        """The phase of every batch that the task's state knows."""
        return {index: record["phase"] for index, record in self.records.items()}

    @property
    def claimed(self) -> dict[int, str]:
        """Index and reference of the batches that are claimed and not recorded, in the task's state."""
        return {
            index: record["reference"]
            for index, record in self.records.items()
            if record["phase"] == "claimed"
        }

    @property
    def errors(self) -> list[str]:
        """What the task raised, as Airflow's log has it: JSON lines on Airflow 3, text before."""
        told = [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]
        errors = [
            f"{error['exc_type']}: {error['exc_value']}"
            for line in told
            for error in line.get("error_detail") or ()
        ]
        return errors or re.findall(r"^(?:\w+\.)*(\w+(?:Error|Exception): .*)$", self.log, re.MULTILINE)

    @property
    def doubt(self) -> str:
        """The error that says what is in doubt; empty if there was none."""
        return next((error for error in self.errors if _IN_DOUBT.match(error)), "")

    @property
    def doubtful(self) -> set[int]:
        """The batches, from 0, that the error names; the user is told each by its number, from 1."""
        return doubts_in(self.doubt)

    @property
    def began(self) -> bool:
        """True when the attempt got so far that our store knows of it, or must: before anything is asked or sent."""
        return "write store: after" in self.points or any(point.endswith(": left") for point in self.points)

    @property
    def told_state(self) -> bool:
        """True when Airflow's task state knows that the attempt was there."""
        return "write attempt: after" in self.points


@dataclass
class Stage:
    """
    The pytest side of ``crash_stage``.

    :param home: of its Airflow.
    :param new_database: creates an empty PostgreSQL database and returns its URL; None where none is needed.
    """

    process: subprocess.Popen[str]
    sandbox: Sandbox
    home: Path
    new_database: Callable[[], str] | None = None
    _databases: dict[int, str] = field(default_factory=dict)

    def store_url(self, database: str, machine: int) -> str:
        """Return the address of a machine's store, the same for all trials."""
        if database == "sqlite":
            return f"sqlite:///{self.home}/store{machine}.db"
        if machine not in self._databases:
            assert self.new_database is not None, "these trials need the stage with PostgreSQL"
            self._databases[machine] = url = self.new_database()
            # A database that was configured is nobody's to upgrade but its owner's; an empty one is filled.
            open_store(url).close()
        return self._databases[machine]

    def ask(self, do: str, **order: Any) -> dict[str, Any]:
        """Give an order and return the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, **order}) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """Read one answer."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the stage has died"
        answer: dict[str, Any] = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer


@dataclass
class Trial:
    """One DAG run: its task is started, killed, retried and cleared until it has ended."""

    stage: Stage
    way: Way
    in_flight: int = 1
    dag: str = ""
    cell: Cell = field(default_factory=Cell)
    server: str | None = None
    run_id: str = ""
    endings: list[Ending] = field(default_factory=list)
    attempts: int = 0
    has_discarded: bool = False

    def __post_init__(self) -> None:
        self.stage.sandbox.reset()
        self.dag = self.dag or f"crash_{self.way.name}"
        self.run_id = self.stage.ask("new_run", dag_id=self.dag)["run_id"]

    @property
    def where(self) -> dict[str, str]:
        """Name the task."""
        return {"dag_id": self.dag, "run_id": self.run_id}

    def start(self, orders: Mapping[str, str] | None = None, on_unknown: str = "fail") -> dict[str, Any]:
        """Start an attempt and return at once: ``pid``, ``trace`` and ``try_number``."""
        machine, self.attempts = self.attempts % self.cell.machines, self.attempts + 1
        in_memory = self.cell.memories == "state"
        variables = {
            "AIRFLOW_VAR_CRASH_TO": ",".join(RECIPIENTS),
            "AIRFLOW_VAR_CRASH_ON_UNKNOWN": on_unknown,
            "AIRFLOW_VAR_CRASH_IN_FLIGHT": str(self.in_flight),
            "AIRFLOW__VOICEPARTNER__STORE_URL": (
                "sqlite://" if in_memory else self.stage.store_url(self.cell.database, machine)
            ),
            **self.stage.sandbox.connections(),
        }
        more: dict[str, Any] = {"by_hand": True} if self.cell.by_hand else {}
        more |= {"server": self.server} if self.server else {}
        return self.stage.ask(
            "start",
            **self.where,
            orders=dict(orders or {}),
            variables=variables,
            hide_task_state=self.cell.memories == "store",
            clearing_discards=self.cell.discard,
            **more,
        )

    def wait(self, pid: int) -> Ending:
        """Wait for the end of an attempt; one that was killed is then given up, as the scheduler does."""
        ended = self.stage.ask("wait", pid=pid, **self.where)
        points = [line.split("\t") for line in ended.pop("trace").splitlines()]
        ending = Ending(
            **ended,
            points=[name for name, _ in points],
            obeyed=[name for name, order in points if order],
        )
        self.endings.append(ending)
        return ending

    def attempt(self, orders: Mapping[str, str] | None = None, on_unknown: str = "fail") -> Ending:
        """Run one attempt to its end."""
        return self.wait(self.start(orders, on_unknown)["pid"])

    def clear(self) -> None:
        """Clear the task, as a user does."""
        self.has_discarded |= self.cell.discard
        self.stage.ask("clear", **self.where, discard=self.cell.discard)

    def reached(self) -> list[int]:
        """Return how often each recipient was sent the message."""
        counts = self.stage.sandbox.reached(self.way.gateway)
        assert set(counts) <= set(RECIPIENTS)
        return [counts[number] for number in RECIPIENTS]

    def reached_by_batch(self) -> list[int]:
        """Return how often each batch arrived; it arrives as a whole or not at all."""
        counts = self.reached()
        batches = [set(counts[at : at + BATCH_SIZE]) for at in range(0, len(counts), BATCH_SIZE)]
        assert all(len(times) == 1 for times in batches), counts
        return [times.pop() for times in batches]

    @property
    def is_blind(self) -> bool:
        """True where the next attempt, or the last one, cannot know what those before it did."""
        if self.has_discarded and not self.cell.knows.after_discarding:
            return True
        if not self.cell.knows.after_a_kill:
            return True
        if self.cell.by_hand:
            return False  # tries are not counted there, so that nobody misses one that died before its first word
        if not self.cell.has_state or self.has_discarded:
            return any(not ending.began for ending in self.endings)
        # Airflow's task state is told first. Where clearing discards it, an empty one does not prove that nobody was
        # there: one that died before its first word makes the next one blind.
        return self.cell.discard and any(not (ending.began or ending.told_state) for ending in self.endings)

    @property
    def kills(self) -> int:
        """How many attempts did not end by themselves."""
        return sum(bool(ending.obeyed) for ending in self.endings)

    def nobody_twice(self) -> None:
        """Assert the promise's first half."""
        assert max(self.reached()) <= 1, self.story()

    def story(self) -> str:
        """Tell what happened, for a failed assertion."""
        lines = [
            f"{self.way}, {self.in_flight} in flight, {self.cell}: arrived "
            f"{self.stage.sandbox.reached(self.way.gateway)}"
        ]
        for ending in self.endings:
            lines.append(
                f"- {ending.state} {ending.phases} obeyed {ending.obeyed}: {', '.join(ending.points)}"
            )
        last = self.endings[-1] if self.endings else None
        return "\n".join([*lines, *(last.errors if last else ())])

    def finish(
        self,
        *,
        resolve: str,
        orders: Sequence[Mapping[str, str]] = (),
        trouble: bool = False,
        clears: Sequence[bool] = (),
    ) -> None:
        """
        Attempt until the task has ended, assert at each step what must be true then, and clear it once more.

        :param resolve: ``assume_sent`` or ``resend``: what the user chooses for what stays in doubt.
        :param orders: of each attempt from now on; further attempts are left alone.
        :param trouble: the gateway makes some of its own, so that what could be proved need not be.
        :param clears: of each attempt that would be retried, whether the user clears the task before.
        """
        queue, clearing = list(orders), list(clears)
        doubted: set[int] = set()
        resent = 0
        for _ in range(MOST_ATTEMPTS):
            # The user looks only after an attempt has failed for it.
            choice = resolve if doubted else "fail"
            blind = bool(self.endings) and self.is_blind
            resent += choice == "resend"
            ending = self.attempt(queue.pop(0) if queue else None, choice)
            assert max(self.reached()) <= 1 + resent, self.story()
            if ending.state == "success":
                if choice != "fail" and blind:
                    doubted |= EVERYBODY  # The state that knew more was discarded when the task was cleared.
                elif choice != "fail":
                    # What a later kill left in doubt, the choice was about too.
                    doubted |= {index for index, times in enumerate(self.reached_by_batch()) if times != 1}
                self._assert_everybody(ending, doubted, choice, trouble)
                self._assert_that_clearing_sends_nothing(choice, blind)
                return
            if ending.state == "failed":
                doubted |= self._assert_in_doubt(ending, choice, blind, trouble)
                self.clear()
            else:
                assert ending.state == "up_for_retry", self.story()
                assert ending.obeyed or (trouble and "RetryableNotSentError" in ending.log), self.story()
                if clearing and clearing.pop(0):
                    self.clear()
        raise AssertionError(f"no end: {self.story()}")

    def _assert_in_doubt(self, ending: Ending, choice: str, blind: bool, trouble: bool) -> set[int]:
        """Assert that a task failed for a doubt, and for no more than it must; return what it is about."""
        named = ending.doubtful
        assert ending.doubt, self.story()
        assert named, self.story()
        assert choice == "fail" or (trouble and choice == "resend"), self.story()
        if blind:
            # One that sends everything again has doubts of its own.
            assert "store_url" in ending.doubt or choice == "resend", self.story()
        else:
            reached = self.reached_by_batch()
            # A doubt keeps no other batch from leaving.
            assert {index for index, times in enumerate(reached) if not times} <= named, self.story()
            if not trouble:
                assert len(named) <= self.in_flight * self.kills, self.story()
                # What can be proved is not in doubt: by its tag, or by a repeat that is refused as one.
                assert self.way.gateway != "octopush", self.story()
                if self.way.gateway == "smspartner":
                    assert not any(reached[index] for index in named), self.story()
        if not blind:
            self._assert_counts(ending, {len(named)})
        return set(named)

    def _assert_everybody(self, ending: Ending, doubted: set[int], choice: str, trouble: bool) -> None:
        """Assert that everybody was reached, but for what was in doubt, as the user chose."""
        unreached = 0
        for index, times in enumerate(self.reached_by_batch()):
            chosen = index in doubted or (trouble and bool(doubted))
            if choice == "assume_sent" and chosen:
                unreached += times == 0
                assert times <= 1, self.story()
            elif choice == "resend" and chosen:
                assert times >= 1, self.story()
            else:
                assert times == 1, self.story()
        most = BATCHES if trouble and doubted else len(doubted)
        self._assert_counts(ending, set(range(unreached, most + 1)) if choice == "assume_sent" else {0})

    def _assert_counts(self, ending: Ending, in_doubt: set[int]) -> None:
        """Assert that the report counts everybody, and in doubt no other number of batches than one of these."""
        assert ending.report is not None, self.story()
        counts = ending.report["counts"]
        assert counts["recipients"] == len(RECIPIENTS), self.story()
        assert counts["in_doubt"] in {batches * BATCH_SIZE for batches in in_doubt}, self.story()
        assert counts["accepted"] == len(RECIPIENTS) - counts["in_doubt"], self.story()

    def _assert_that_clearing_sends_nothing(self, choice: str, blind: bool) -> None:
        """Assert that clearing after success, which empties the task state on Airflow 3.4, reaches nobody again."""
        before = self.reached()
        self.clear()
        ending = self.attempt(on_unknown="fail")
        assert all(now <= then for now, then in zip(self.reached(), before, strict=True)), self.story()
        # A try without a trace makes no difference where every batch has a record.
        if ending.state != "success":
            assert blind or self.is_blind, self.story()
            assert ending.state == "failed", self.story()
            assert "store_url" in ending.doubt, self.story()
        self.endings.remove(ending)  # the trial's story ends before


@contextlib.contextmanager
def running_stage(new_database: Callable[[], str] | None = None) -> Iterator[Stage]:
    """
    Start the stage, which starts the sandbox; end them, and all that they started, afterwards.

    :param new_database: see :class:`Stage`.
    """
    # In memory, where there is such a place: Airflow's database syncs at every write, a hundred times a test.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="voicepartner-crash-", dir=memory) as home:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
        clean |= {
            "AIRFLOW_HOME": home,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": f"{home}/dags",
            "AIRFLOW__API_AUTH__JWT_SECRET": "of-a-throw-away-airflow",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": f"{home}/logs",
            "AIRFLOW__SCHEDULER__SCHEDULE_AFTER_TASK_EXECUTION": "False",
            "NO_PROXY": "127.0.0.1,localhost",
        }
        (Path(home) / "dags").mkdir()
        with open(f"{home}/stage.log", "w+") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.crash_stage", str(DAG_FILE)],
                cwd=PROJECT, env=clean, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
            try:
                assert process.stdout is not None
                ready = process.stdout.readline()
                assert ready, Path(log.name).read_text(encoding="utf-8")[-4000:]
                yield Stage(process, Sandbox(json.loads(ready)["sandbox"]), Path(home), new_database)
            finally:
                process.kill()  # and with it the sandbox and every worker
                process.wait()


def until(what: Any, seconds: float = 20.0) -> Any:
    """Wait until ``what()`` is true; return it."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)
    return found
