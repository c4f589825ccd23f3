"""Campaigns that are killed and retried: the stage, the sandbox, and what must be true of every run."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.support.crash_points import BATCH_SIZE, BATCHES, RECIPIENTS

PROJECT = Path(__file__).resolve().parent.parent.parent
DAG_FILE = PROJECT / "tests" / "crash" / "dags" / "crashing.py"
LIMITS_OFF = {"rate_limits": {"tts/send": "none", "campaign/send": "none", "me": "none"}}
MOST_ATTEMPTS = 12


@dataclass(frozen=True)
class Way:
    """
    One way of sending.

    :param name: of its DAG, behind ``crash_``.
    :param path: part of the path of its sends.
    """

    name: str
    path: str

    @property
    def gateway(self) -> str:
        """The gateway's name."""
        return self.name.partition("_")[0]

    def __str__(self) -> str:
        """Name the test."""
        return self.name


WAYS = (
    Way("smspartner_sms", "smspartner/v1/send"),
    Way("octopush_sms", "sms-campaign/send"),
    Way("octopush_call", "voice-campaign/send"),
    Way("voicepartner_call", "tts/send"),
    Way("voicepartner_voicemail", "v1/campaign/send"),
)


def batch(number: int) -> tuple[str, ...]:
    """Return the recipients of a batch; ``number`` counts from 0."""
    return RECIPIENTS[number * BATCH_SIZE : (number + 1) * BATCH_SIZE]


class Sandbox:
    """The sandbox in a process of its own, by its control API."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.trust_env = False
        self.patch("settings", {"voicepartner": {"rate_limits": False}})

    def _ask(self, method: str, path: str, data: Any = None) -> Any:
        answer = self._session.request(method, f"{self.url}/_sandbox/{path}", json=data, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def get(self, path: str) -> Any:
        """Look."""
        return self._ask("GET", path)

    def post(self, path: str, data: Any = None) -> Any:
        """Order."""
        return self._ask("POST", path, data)

    def patch(self, path: str, data: Any) -> Any:
        """Change."""
        return self._ask("PATCH", path, data)

    def reset(self) -> None:
        """Forget everything but the settings."""
        self.post("reset", {"keep_settings": True})

    def reached(self, gateway: str) -> Counter[str]:
        """Return how often each number was really sent a message."""
        return Counter(self.get(f"counts?gateway={gateway}")[gateway]["numbers"])

    def connections(self) -> dict[str, str]:
        """Return the variables of the environment that define a connection to each gateway."""
        paths = {"smspartner": "v1", "voicepartner": "v1", "octopush": "v1/public"}
        return {
            f"AIRFLOW_CONN_{name.upper()}_DEFAULT": json.dumps(
                {
                    "conn_type": name,
                    "host": f"{self.url}/{name}/{path}",
                    "password": "sandbox-key",
                    "login": "sandbox@example.org",
                    "extra": LIMITS_OFF if name == "voicepartner" else {},
                }
            )
            for name, path in paths.items()
        }


@dataclass
class Ending:
    """
    How one attempt ended.

    :param state: of the task, as Airflow sees it now.
    :param ledger: what the task's state store holds.
    :param points: passed by the task, in order.
    """

    state: str | None
    ti_id: str
    ledger: dict[str, Any]
    report: dict[str, Any] | None
    exit: int
    log: str
    points: list[str]
    obeyed: list[str]

    @property
    def phases(self) -> dict[int, str]:
        """The phase of every batch that the ledger knows."""
        pages = [page for key, page in self.ledger.items() if "/batches/" in key]
        return {int(index): record["phase"] for page in pages for index, record in page.items()}

    @property
    def claimed(self) -> dict[int, str]:
        """Index and reference of the batches that are claimed and not recorded."""
        pages = [page for key, page in self.ledger.items() if "/batches/" in key]
        return {
            int(index): record["reference"]
            for page in pages
            for index, record in page.items()
            if record["phase"] == "claimed"
        }


@dataclass
class Stage:
    """The pytest side of ``crash_stage``."""

    process: subprocess.Popen[str]
    sandbox: Sandbox
    attempts: int = 0

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
    run_id: str = ""
    endings: list[Ending] = field(default_factory=list)

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
        self.stage.attempts += 1
        variables = {
            "AIRFLOW_VAR_CRASH_TO": ",".join(RECIPIENTS),
            "AIRFLOW_VAR_CRASH_ON_UNKNOWN": on_unknown,
            "AIRFLOW_VAR_CRASH_IN_FLIGHT": str(self.in_flight),
            **self.stage.sandbox.connections(),
        }
        return self.stage.ask("start", **self.where, orders=dict(orders or {}), variables=variables)

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
        self.stage.ask("clear", **self.where)

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

    def in_doubt(self, ending: Ending) -> list[int]:
        """Return the batches, from 0, that are claimed and of which the gateway can prove nothing."""
        if self.way.gateway == "octopush":
            return []
        claimed = ending.claimed
        if self.way.gateway == "smspartner":
            known = self.stage.sandbox.get("counts?gateway=smspartner")["smspartner"]["references"]
            claimed = {index: tag for index, tag in claimed.items() if tag not in known}
        return sorted(claimed)

    def nobody_twice(self) -> None:
        """Assert the promise's first half."""
        assert max(self.reached()) <= 1, self.story()

    def story(self) -> str:
        """Tell what happened, for a failed assertion."""
        lines = [
            f"{self.way}, {self.in_flight} in flight: arrived {self.stage.sandbox.reached(self.way.gateway)}"
        ]
        for ending in self.endings:
            lines.append(
                f"- {ending.state} {ending.phases} obeyed {ending.obeyed}: {', '.join(ending.points)}"
            )
        told = [json.loads(line) for line in self.endings[-1].log.splitlines()] if self.endings else []
        errors = [
            f"{error['exc_type']}: {error['exc_value']}"
            for line in told
            for error in line.get("error_detail", [])
        ]
        events = [line["event"][:200] for line in told if line.get("level") in ("warning", "error")]
        return "\n".join([*lines, *events, *errors])

    def finish(
        self, *, resolve: str, orders: Sequence[Mapping[str, str]] = (), trouble: bool = False
    ) -> None:
        """
        Attempt until the task has ended, and assert at each step what must be true then.

        :param resolve: ``assume_sent`` or ``resend``: what the user chooses for what stays in doubt.
        :param orders: of each attempt from now on; further attempts are left alone.
        :param trouble: the gateway makes some of its own, so that what could be proved need not be.
        """
        queue = list(orders)
        doubted: set[int] = set()
        for _ in range(MOST_ATTEMPTS):
            unprovable = self.in_doubt(self.endings[-1]) if self.endings else []
            # The user looks only after an attempt has failed for it.
            choice = resolve if doubted else "fail"
            if choice != "fail":
                doubted.update(unprovable)  # What a later kill leaves in doubt, the choice is about too.
            ending = self.attempt(queue.pop(0) if queue else None, choice)
            if choice != "resend":
                self.nobody_twice()
            if ending.state == "success":
                assert choice != "fail" or not unprovable, self.story()
                self._assert_everybody(ending, doubted, choice, trouble)
                return
            if ending.state == "failed":
                doubted |= self._assert_in_doubt(ending, choice, trouble)
                self.clear()
            else:
                assert ending.state == "up_for_retry", self.story()
                assert ending.obeyed or (trouble and "RetryableNotSentError" in ending.log), self.story()
        raise AssertionError(f"no end: {self.story()}")

    def _assert_in_doubt(self, ending: Ending, choice: str, trouble: bool) -> set[int]:
        """Assert that a task failed for a doubt, and only for one; return the batches that it is about."""
        assert "SendOutcomeUnknownError" in ending.log, self.story()
        if trouble:
            assert choice != "assume_sent", self.story()
            assert ending.claimed, self.story()
            return set(ending.claimed)
        assert choice == "fail", self.story()
        doubt = self.in_doubt(ending)
        assert doubt, self.story()
        assert f"batch {doubt[0] + 1} (" in ending.log, self.story()
        assert self.reached_by_batch()[: doubt[0]] == [1] * doubt[0], self.story()
        return set(doubt)

    def _assert_everybody(self, ending: Ending, doubted: set[int], choice: str, trouble: bool) -> None:
        """Assert that everybody was reached, but for what was in doubt, as the user chose."""
        phases = ending.phases
        assert sorted(phases) == list(range(BATCHES)), self.story()
        for index, times in enumerate(self.reached_by_batch()):
            chosen = index in doubted or (trouble and bool(doubted))
            if phases[index] == "assumed_sent":
                assert chosen, self.story()
                assert choice == "assume_sent", self.story()
                assert times <= 1, self.story()
            else:
                assert phases[index] == "sent", self.story()
                most = 1 if choice != "resend" or not chosen else MOST_ATTEMPTS if trouble else 2
                assert 1 <= times <= most, self.story()
        assert ending.report is not None
        assumed = sum(phase == "assumed_sent" for phase in phases.values()) * BATCH_SIZE
        counts = ending.report["counts"]
        assert counts["recipients"] == len(RECIPIENTS), self.story()
        assert counts["in_doubt"] == assumed, self.story()
        assert counts["accepted"] == len(RECIPIENTS) - assumed, self.story()


@contextlib.contextmanager
def running_stage() -> Iterator[Stage]:
    """Start the stage, which starts the sandbox; end them, and all that they started, afterwards."""
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
                yield Stage(process, Sandbox(json.loads(ready)["sandbox"]))
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
