"""A receiver of its own: what a client may send before its body, how long it may be silent, and its frozen objects."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voicepartner.delivery import receiver_server as module
from airflow_provider_voicepartner.delivery.receiver_server import limited
from tests.support.receiver import RunningReceiver, running_receiver

REPORT = {"status": "delivered", "campaignId": "1", "phoneNumber": "+33600000001", "duration": 1}
GIVEN_UP = 5_000_000

_PROGRAM = """
import gc, json
from airflow_provider_voicepartner.delivery.receiver_server import freeze_loaded_objects
gc.disable()
loaded = {str(place): [] for place in range(1_000)}
cycle = []
cycle.append(cycle)
del cycle
before = gc.get_count()[0]
freeze_loaded_objects()
print(json.dumps([gc.get_freeze_count(), before - gc.get_count()[0]]))
"""


@pytest.fixture(params=["httptools", "h11"])
def receiver(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RunningReceiver]:
    """Return a receiver for each parser."""
    if request.param == "httptools":
        pytest.importorskip("httptools")
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as Protocol
    else:
        from uvicorn.protocols.http.h11_impl import H11Protocol as Protocol
    monkeypatch.setattr(module, "_protocol", lambda: Protocol)
    with running_receiver(f"sqlite:///{tmp_path / 'received.db'}") as running:
        yield running


def connect(receiver: RunningReceiver) -> socket.socket:
    return socket.create_connection(("127.0.0.1", receiver.port), timeout=30)


def pour(receiver: RunningReceiver, start: bytes, more: bytes) -> tuple[int, bytes]:
    """Send a beginning, and then the same again and again; return how much was taken and what was answered."""
    sent, answer = 0, b""
    with connect(receiver) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(start)
            while sent < GIVEN_UP:
                connection.sendall(more)
                sent += len(more)
        with contextlib.suppress(OSError):
            connection.settimeout(2)
            answer = connection.recv(1_000)
    return sent, answer


HEAD = b"POST %s HTTP/1.1\r\nHost: x\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (HEAD, b"X-%d: y\r\n" * 1_000), (HEAD + b"X-Long: ", b"y" * 10_000), (HEAD + b"X", b"y" * 10_000),
        (b"GET /", b"y" * 10_000), (b"GET /?", b"y" * 10_000), (b"", b"\r\n" * 5_000),
        (CHUNKED + b"2\r\n{}\r\n0\r\n", b"X-Trailer: y\r\n" * 1_000), (CHUNKED, b"1;" + b"y" * 10_000),
        (CHUNKED + b"2;ext=", b"y" * 10_000),
    ],
    ids=["many", "a long value", "a long name", "a long path", "a long query", "blank lines", "trailers",
         "a chunk's extension", "one extension"],
)  # fmt: skip
def test_what_comes_before_or_around_a_body_is_bounded(
    start: bytes, more: bytes, receiver: RunningReceiver
) -> None:
    path = receiver.batch_path("voicepartner").encode()
    sent, _ = pour(receiver, start.replace(b"%s", path), more)
    assert sent < GIVEN_UP  # what was under way stood in buffers
    assert receiver.post(path.decode(), REPORT).status == 200


def test_headers_of_60_kilobytes_are_taken(receiver: RunningReceiver) -> None:
    with connect(receiver) as connection:
        body = json.dumps(REPORT).encode()
        head = HEAD % receiver.batch_path("voicepartner").encode() + b"".join(
            b"X-%d: %s\r\n" % (place, b"y" * 1_000) for place in range(59)
        )
        connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
    assert receiver.stored() == 1


def test_many_requests_on_one_connection_are_each_counted_alone(receiver: RunningReceiver) -> None:
    body = json.dumps(REPORT).encode()
    head = HEAD % receiver.batch_path("voicepartner").encode() + b"X: %s\r\n" % (b"y" * 30_000)
    with connect(receiver) as connection:
        for _ in range(5):
            connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            assert connection.recv(1_000).startswith(b"HTTP/1.1 200")


def is_ended(connection: socket.socket) -> bool:
    """Wait until the server has hung up."""
    connection.settimeout(20)
    try:
        while connection.recv(1_000):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize(
    "said",
    [b"", b"P", b"POST / HTTP/1.1\r\nHost: x\r\n", b"GET /voicepartner/health HTTP/1.1\r\nHost: x\r\n\r\nGET /v"],
    ids=["nothing", "a letter", "half a head", "half a second head"],
)  # fmt: skip
def test_who_says_no_more_is_not_waited_for(
    said: bytes, receiver: RunningReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HEADER_TIMEOUT", 0.3)
    monkeypatch.setattr(module, "KEEP_ALIVE_TIMEOUT", 1)
    with connect(receiver) as connection:
        connection.sendall(said)
        if b"health" in said:
            connection.recv(1_000)
            connection.sendall(b"oicepartner")
        assert is_ended(connection)


def test_who_trickles_is_not_waited_for(receiver: RunningReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEADER_TIMEOUT", 0.3)
    ended_after = time.monotonic() + 20
    with connect(receiver) as connection, contextlib.suppress(OSError):
        connection.sendall(b"GET /")
        while time.monotonic() < ended_after:
            connection.sendall(b"y")
            time.sleep(0.05)
    assert time.monotonic() < ended_after


class TestHowLong:
    """The times, by a clock of the test."""

    class Protocol(asyncio.Protocol):
        def __init__(self) -> None:
            self.cycle: Any = None
            self.transport = SimpleNamespace(
                abort=lambda: self.aborted.append(True), is_closing=lambda: False
            )
            self.aborted: list[bool] = []

        def connection_made(self, transport: Any) -> None: ...
        def data_received(self, data: bytes) -> None: ...
        def on_response_complete(self) -> None: ...

    @pytest.mark.parametrize(
        ("state", "lives", "ends"),
        [
            ("new", 10, 10.1),
            ("begun", 10, 10.1),
            ("at work", 60, 60.1),
            ("idle", 40, 40.1),
            ("again", 10, 10.1),
        ],
    )
    def test_a_connection_lives(
        self, state: str, lives: float, ends: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = [1_000.0]
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
        connection: Any = limited(self.Protocol)()
        connection.connection_made(None)
        if state != "new":
            now[0] += 5
            connection.data_received(b"GET")
        if state in ("at work", "idle", "again"):
            connection.cycle = SimpleNamespace(response_complete=state != "at work")
        if state in ("idle", "again"):
            now[0] += 5
            connection.on_response_complete()
        if state == "again":
            now[0] += 5
            connection.data_received(b"GET")
        connection.abort_if_stuck(now[0] + lives, 30)
        assert not connection.aborted
        connection.abort_if_stuck(now[0] + ends, 30)
        assert connection.aborted


def test_loaded_objects_are_excluded_from_garbage_collection() -> None:
    """In a process of its own: what is frozen here would stay so for all tests."""
    printed = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=120, check=True
    )
    frozen, no_longer_watched = json.loads(printed.stdout.splitlines()[-1])
    assert frozen > 10_000
    assert no_longer_watched >= 1_000
