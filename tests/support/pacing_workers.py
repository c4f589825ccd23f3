"""
Workers that send as a task does: a slot, a claim that takes a while to write, the request; each in its own process.

Run as a program, this reads lists of workers, one a line, and forks them: what all of them import is imported once.
"""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import mmap
import os
import signal
import struct
import subprocess
import sys
import time
import traceback
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

ENDPOINT = "campaign/send"
ANSWER_SECONDS = 0.05  # what a gateway takes; without it one worker may empty a window before others come


@dataclass(frozen=True, kw_only=True)
class Worker:
    """
    One process.

    :param name: what the server sees.
    :param store_url: of the shared store.
    :param port: of the server.
    :param limits: of the endpoint, as a connection has them.
    :param seconds: for how long to send.
    :param write: seconds that each claim takes, between the slot and the request.
    :param claims_at: port of a server that each claim is written to; 0 for none.
    :param freeze: seconds that every third request is frozen for (by SIGSTOP), right before its body; 0 never.
    :param commit: seconds that the store's disk takes for each commit.
    :param wall_clock_off: seconds that this process's wall clock is wrong by.
    """

    name: str
    store_url: str
    port: int
    limits: str
    seconds: float
    write: float = 0.0
    claims_at: int = 0
    freeze: float = 0.0
    commit: float = 0.0
    wall_clock_off: float = 0.0

    def run(self, wait_for_start: Callable[[], float]) -> None:
        """
        Send as many requests as the limits allow, until the time is over.

        :param wait_for_start: says that this one is ready, waits until all are (who comes first takes the first slots),
            and returns when that was.
        """
        if self.wall_clock_off:
            real = time.time
            time.time = lambda: real() + self.wall_clock_off
        from airflow_provider_voicepartner.db.engine import open_store
        from airflow_provider_voicepartner.exceptions import RetryableNotSentError
        from airflow_provider_voicepartner.gateways.wire import ApiRequest
        from airflow_provider_voicepartner.hooks.rate_limiter import StoreRateLimiter
        from airflow_provider_voicepartner.hooks.voicepartner import VoicePartnerHook
        from airflow_provider_voicepartner.sending.transport import RateLimitWaitTooLongError

        os.environ["AIRFLOW_CONN_PACED"] = json.dumps(
            {
                "conn_type": "voicepartner", "password": "planted-key-voice-4712",
                "host": f"http://127.0.0.1:{self.port}",
                "extra": json.dumps({"rate_limits": {ENDPOINT: self.limits}}),
            }
        )  # fmt: skip
        hook = VoicePartnerHook("paced")
        store = open_store(self.store_url)
        if self.commit:
            slow_down(store, self.commit)
        rate_limiter = StoreRateLimiter(store, hook)
        sender = hook.sender
        sender.may_leave = Freezer(self.freeze)
        request = ApiRequest(
            endpoint=ENDPOINT, method="POST", path=ENDPOINT, safe_to_repeat=False, body={"worker": self.name}
        )
        end = wait_for_start() + self.seconds
        try:
            while (left := end - time.monotonic()) > 0:
                slot = rate_limiter.acquire(ENDPOINT, left)
                time.sleep(slot.wait)
                self._claim()
                sender.gate = rate_limiter.waiting(time.sleep, max(0.0, end - time.monotonic()))
                sender.send(request, slot=slot)
                time.sleep(ANSWER_SECONDS)
        except (RateLimitWaitTooLongError, RetryableNotSentError):
            pass

    def _claim(self) -> None:
        """Write a claim, which takes as long as it takes."""
        time.sleep(self.write)
        if self.claims_at:
            claim = json.dumps({"worker": self.name}).encode()
            with urllib.request.urlopen(f"http://127.0.0.1:{self.claims_at}/", claim, timeout=60) as answer:
                answer.read()


class Freezer:
    """Stops this process before the body of every third request, as a debugger or a hypervisor does."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._looks = 0

    def __call__(self) -> None:
        """Freeze, or not; the sender looks twice for each request, and the second time is at its body."""
        self._looks += 1
        if self._seconds and self._looks % 6 == 2:
            pid = os.getpid()
            subprocess.Popen(["sh", "-c", f"sleep {self._seconds}; kill -CONT {pid}"])
            os.kill(pid, signal.SIGSTOP)


def slow_down(store: Any, seconds: float) -> None:
    """Let each commit of a write take as long as on a slow disk, with the lock held."""
    from sqlalchemy import event

    @event.listens_for(store.engine, "commit")
    def commit(connection: Any) -> None:
        if connection.get_execution_options().get("voicepartner_write"):
            time.sleep(seconds)


class Start:
    """The moment when all processes begin: a number that they share."""

    def __init__(self) -> None:
        self._moment = mmap.mmap(-1, 8)
        self._ready, self._say_ready = os.pipe()

    def wait(self) -> float:
        """Say that this process is ready, and wait for the others."""
        os.write(self._say_ready, b"+")
        while not (moment := struct.unpack("d", self._moment[:8])[0]):
            time.sleep(0.005)
        time.sleep(max(0.0, moment - time.monotonic()))
        return float(moment)

    def give(self, processes: int) -> None:
        """Wait until so many are ready, and let them begin together."""
        os.close(self._say_ready)
        while processes > 0 and (
            ready := os.read(self._ready, processes)
        ):  # nothing comes when all have died
            processes -= len(ready)
        os.close(self._ready)
        self._moment[:8] = struct.pack("d", time.monotonic() + 0.2)


def fork(workers: list[Worker]) -> list[int]:
    """Run workers to their end, and return their exit codes."""
    children, start = [], Start()
    for worker in workers:
        pid = os.fork()
        if not pid:
            code = 1
            try:
                worker.run(start.wait)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        children.append(pid)
    start.give(len(workers))
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]


class Workers:
    """The program below, as a test uses it."""

    def __init__(self, project: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.pacing_workers"],
            cwd=project, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def run(self, workers: list[Worker]) -> list[int]:
        """Run workers to their end, and return their exit codes."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([asdict(worker) for worker in workers]) + "\n")
        self._process.stdin.flush()
        return list(json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End the program, and the workers that are left when a test failed."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # a group of its own
        self._process.communicate()


def main() -> None:
    """Read workers and fork them, until the input ends."""
    import airflow_provider_voicepartner.db.versions  # noqa: F401 - loaded before forks

    __import__("sqlalchemy")
    # What is logged goes to the standard output too, and is not what is read from there.
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    logging.disable(logging.INFO)
    gc.freeze()
    print("ready", file=output, flush=True)
    for line in sys.stdin:
        codes = fork([Worker(**values) for values in json.loads(line)])
        print(json.dumps(codes), file=output, flush=True)


if __name__ == "__main__":
    main()
