"""
Reports per second made durable, beside an empty FastAPI endpoint and beside one commit for each report.

Each is a server in a process of its own, on the same event loop and with the same HTTP parser; a client in another
process keeps a number of connections busy with bodies that were written before.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.environment import PROJECT
from benchmarks.results import Row

SIGNED_WITH = "what signs the benchmark's URLs"
CONNECTIONS = 64
GOAL_OF_EMPTY = 0.5
GOAL_OF_SINGLE = 5
GOAL_P99 = 0.1
_WARM = 200


def serve(kind: str, url: str) -> None:
    """
    Run one of the servers until it is ended; its port goes to standard output.

    :param kind: ``empty``, ``grouped`` or ``single``.
    :param url: of the store.
    """
    from airflow_provider_voicepartner.delivery.receiver_server import (
        freeze_loaded_objects,
        listen,
        make_server,
    )

    app = _empty() if kind == "empty" else _receiver(url, grouped=kind == "grouped")
    freeze_loaded_objects()
    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    make_server(app, lambda: print(port, flush=True)).run(sockets=[listening])


def _empty() -> Any:
    from fastapi import FastAPI

    app = FastAPI()

    @app.post("/voicepartner/callbacks/{gateway}/{token}")
    async def nothing(gateway: str, token: str) -> None:
        """Answer."""

    return app


def _receiver(url: str, *, grouped: bool) -> Any:
    from airflow_provider_voicepartner.db.engine import open_store
    from airflow_provider_voicepartner.delivery.receiver import create_app
    from airflow_provider_voicepartner.delivery.tokens import CallbackTokens

    open_store(url).close()  # as the command does, before it listens
    app = create_app(lambda: open_store(url), CallbackTokens([SIGNED_WITH]), prefix="/voicepartner")
    if not grouped:
        app.state.receiver.writer.largest_group = 1
    return app


def requests(count: int) -> list[bytes]:
    """Return whole HTTP requests, as Voice Partner reports calls: 500 to a batch, each number once."""
    from airflow_provider_voicepartner.delivery.tokens import CallbackTokens

    tokens, ends = CallbackTokens([SIGNED_WITH]), datetime.now(UTC) + timedelta(days=1)
    made, path = [], ""
    for place in range(count):
        if place % 500 == 0:
            token = tokens.for_batch("voicepartner", f"batch{place:07d}", expires=ends)
            path = f"/voicepartner/callbacks/voicepartner/{token}"
        report = {
            "campaignId": "Qa7x2kd9vbLm3n8R5tyW1", "status": "delivered", "additionnal_status": "VOICE_ANSWERED",
            "phoneNumber": f"00336{place % 100_000_000:08d}", "sendAt": "2031-05-06 14:15:02",
            "doneAt": "2031-05-06 14:15:31", "duration": 6,
        }  # fmt: skip
        body = json.dumps(report).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        made.append(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return made


class _Connection(asyncio.Protocol):
    """Sends one request after the other, and notes how long each answer took."""

    def __init__(self, todo: Iterator[bytes], took: list[float], bad: list[bytes]) -> None:
        self._todo, self._took, self._bad = todo, took, bad
        self.done = asyncio.get_running_loop().create_future()
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._next()

    def _next(self) -> None:
        request = next(self._todo, None)
        if request is None:
            self._transport.close()
            self.done.set_result(None)
            return
        self._answer = b""
        self._began = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, end, body = self._answer.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0) if end else 0
        if not end or len(body) < length:
            return
        self._took.append(time.perf_counter() - self._began)
        if b" 200 " not in head[:16]:
            self._bad.append(head)
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server closed the connection"))


async def _load(port: int, todo: Sequence[bytes], connections: int) -> dict[str, float]:
    loop, rest = asyncio.get_running_loop(), iter(todo)
    took: list[float] = []
    bad: list[bytes] = []
    started = time.perf_counter()
    made = [
        await loop.create_connection(lambda: _Connection(rest, took, bad), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.gather(*(protocol.done for _, protocol in made))
    seconds = time.perf_counter() - started
    if bad:
        raise RuntimeError(f"{len(bad)} requests were not answered with 200: {bad[0]!r}")
    took.sort()
    return {"rate": len(took) / seconds, "p50": took[len(took) // 2], "p99": took[int(len(took) * 0.99)]}


@contextmanager
def running(kind: str, url: str = "") -> Iterator[int]:
    """Run a server in a process of its own, and return its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.receiver", kind, url],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


def measure(kind: str, url: str, count: int, *, connections: int = CONNECTIONS) -> dict[str, float]:
    """
    Send reports to one of the servers.

    :param kind: ``empty``, ``grouped`` or ``single``.
    :param url: of an empty store.
    :param count: how many reports.
    :returns: ``rate`` (a second), ``p50`` and ``p99`` (seconds).
    """
    todo = requests(count + _WARM)
    with running(kind, url) as port:
        asyncio.run(_load(port, todo[:_WARM], connections))
        found = asyncio.run(_load(port, todo[_WARM:], connections))
    if kind != "empty":
        _check(url, count + _WARM)
    return found


def _check(url: str, expected: int) -> None:
    from sqlalchemy import func, select

    from airflow_provider_voicepartner.db.engine import open_store
    from airflow_provider_voicepartner.db.schema import delivery_report

    store = open_store(url)
    with store.read() as connection:
        stored = connection.execute(select(func.count()).select_from(delivery_report)).scalar_one()
    store.close()
    if stored != expected:
        raise RuntimeError(f"{expected} reports were answered with 200, and {stored} are in the store")


def rows(folder: Path, *, reports: int, runs: int) -> list[Row]:
    """
    Compare the receiver on both databases with an empty endpoint, and with one commit a report.

    :param folder: where SQLite's files go.
    :param reports: of each run; a tenth of them where each has its own commit.
    :param runs: of each kind, in turn; the middle one is shown.
    """
    from tests.support.postgres import PostgresServer

    server = PostgresServer()
    try:
        databases = {
            "SQLite": lambda place: f"sqlite:///{folder / f'{place}.db'}",
            "PostgreSQL": lambda place: server.new_database(),
        }
        return [row for name, new in databases.items() for row in _rows(name, new, reports, runs)]
    finally:
        server.stop()


def _rows(database: str, new_url: Any, reports: int, runs: int) -> list[Row]:
    tries = []
    for turn in range(runs):
        tries.append(
            {
                "empty": measure("empty", "", reports),
                "grouped": measure("grouped", new_url(f"grouped{turn}"), reports),
                "single": measure("single", new_url(f"single{turn}"), max(reports // 10, 200)),
            }
        )
    middle = sorted(tries, key=lambda run: run["grouped"]["rate"] / run["empty"]["rate"])[len(tries) // 2]
    ours, empty, single = (middle[kind] for kind in ("grouped", "empty", "single"))
    said = f"{ours['rate']:,.0f} reports a second durable, p99 {ours['p99'] * 1000:.0f} ms"
    return [
        Row(
            what=f"receiver on {database}, {CONNECTIONS} connections",
            ours=said,
            beside=f"empty FastAPI endpoint: {empty['rate']:,.0f} a second",
            measured=ours["rate"] / empty["rate"],
            goal=GOAL_OF_EMPTY,
            at_least=True,
            unit="×",
            also=(f"p99 under {GOAL_P99 * 1000:.0f} ms", ours["p99"] < GOAL_P99),
        ),
        Row(
            what=f"group commit on {database}",
            ours=said,
            beside=f"one commit a report: {single['rate']:,.0f} a second, p99 {single['p99'] * 1000:.0f} ms",
            measured=ours["rate"] / single["rate"],
            goal=GOAL_OF_SINGLE,
            at_least=True,
            unit="×",
        ),
    ]


if __name__ == "__main__":
    serve(*sys.argv[1:3])
