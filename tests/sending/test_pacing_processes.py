"""
The proof of pacing: real processes, real stores, and a server that counts what really reaches it, and when.

Run as a program, this file is one of the workers, or the server.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import selectors
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.gateways.limits import Window, parse_windows

PROJECT = Path(__file__).resolve().parents[2]
LIMITS = "5/3, 20/30"
WORKERS = 4
SECONDS = 33.0
ANSWER_SECONDS = (
    0.05  # what a fast gateway takes; without it one worker may empty the first window before others come
)


def work(url: str, worker: str, port: int) -> None:
    """Send as many requests as the limits allow, until the time is over."""
    from airflow_provider_voicepartner.sending.pacing import Pacer, TooLongError
    from airflow_provider_voicepartner.store.engine import open_store

    windows = parse_windows(LIMITS)
    pacer = Pacer(open_store(url))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.connect()
    assert connection.sock is not None
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    print("ready", flush=True)
    start = float(sys.stdin.readline())  # the same moment for all: who comes first takes the first slots
    time.sleep(max(0.0, start - time.monotonic()))
    end = start + SECONDS
    with contextlib.suppress(TooLongError):
        while (left := end - time.monotonic()) > 0:
            pacer.take("voicepartner:campaign/send:test", windows, max_delay=left)
            connection.request("POST", f"/{worker}", body=b"{}")
            connection.getresponse().read()
            time.sleep(ANSWER_SECONDS)


def serve() -> None:
    """Answer every request, and print who sent it and when it came, when the input ends."""
    arrivals: list[tuple[float, str]] = []
    selector = selectors.DefaultSelector()
    listener = socket.create_server(("127.0.0.1", 0))
    selector.register(listener, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    print(listener.getsockname()[1], flush=True)
    while True:
        for key, _ in selector.select():
            if key.fileobj is sys.stdin:
                print(json.dumps(arrivals))
                return
            if key.fileobj is listener:
                selector.register(listener.accept()[0], selectors.EVENT_READ)
                continue
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            data = connection.recv(65_536)
            now = time.monotonic()
            if not data:
                selector.unregister(connection)
                connection.close()
            elif data.startswith(b"POST /"):  # headers and body come in one piece, or the body follows alone
                arrivals.append((now, data.split(b" ", 2)[1].decode()))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


@dataclass(frozen=True)
class Seen:
    """What one server saw: when each request came, from 0, and who sent it."""

    times: list[float]
    workers: list[str]

    def shortest_span(self, requests: int) -> float:
        """Return the shortest time in which so many requests came."""
        return min(last - first for first, last in zip(self.times, self.times[requests - 1 :], strict=False))


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.sending.test_pacing_processes", *arguments],
        cwd=PROJECT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.fixture(scope="module")
def seen(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Seen]]:
    """Run four workers on each store, all at the same time, and return what the two servers saw."""
    server = request.getfixturevalue("postgres")
    urls = {
        "sqlite": f"sqlite:///{tmp_path_factory.mktemp('store')}/store.db",
        "postgres": server.new_database(),
    }
    processes: list[subprocess.Popen[str]] = []
    try:
        servers = {name: start("serve") for name in urls}
        processes += servers.values()
        workers = []
        for name, url in urls.items():
            port = line(servers[name])
            workers += [start("work", url, str(number), port) for number in range(WORKERS)]
        processes += workers
        assert [line(worker) for worker in workers] == ["ready"] * len(workers)
        moment = time.monotonic() + 1
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write(f"{moment}\n")
            worker.stdin.flush()
        assert [worker.wait(SECONDS + 60) for worker in workers] == [0] * len(workers)
        yield {name: read(process) for name, process in servers.items()}
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def read(server: subprocess.Popen[str]) -> Seen:
    arrivals: list[Any] = json.loads(server.communicate("", timeout=30)[0])
    first = arrivals[0][0]
    return Seen([at - first for at, _ in arrivals], [worker for _, worker in arrivals])


def allowed(windows: tuple[Window, ...], seconds: float) -> int:
    """Return how many requests fit into a time, by the limits alone."""
    times: list[float] = []
    while True:
        due = [
            times[-window.requests] + window.seconds for window in windows if len(times) >= window.requests
        ]
        if max(due, default=0.0) >= seconds:
            return len(times)
        times.append(max(due, default=0.0))


@pytest.mark.slow
@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_four_processes_keep_to_the_limits_use_them_and_share_them(store: str, seen: dict[str, Seen]) -> None:
    told, windows = seen[store], parse_windows(LIMITS)
    shares = Counter(told.workers)
    spans = {str(window): round(told.shortest_span(window.requests + 1), 3) for window in windows}
    print(f"{store}: {len(told.times)} requests, shortest spans {spans}, shares {sorted(shares.values())}")

    for window in windows:
        assert told.shortest_span(window.requests + 1) >= window.seconds
    assert sum(at < SECONDS for at in told.times) >= 0.97 * allowed(windows, SECONDS)
    fair = len(told.times) / WORKERS
    assert len(shares) == WORKERS
    assert fair * 0.6 <= min(shares.values())
    assert max(shares.values()) <= fair * 1.6


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve()
    else:
        work(sys.argv[2], sys.argv[3], int(sys.argv[4]))
