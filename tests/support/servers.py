"""Servers that misbehave on purpose and count what reaches them."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

Behaviour = Callable[["CountingServer", socket.socket], None]


@dataclass
class CountingServer:
    """
    A raw HTTP server on loopback that does to each connection what it is told, and keeps every request it read.

    :param behaviours: one a request, in order; the last one goes on for ever.
    """

    behaviours: list[Behaviour]
    received: list[bytes] = field(default_factory=list)
    connections: int = 0
    release: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            index = min(self.connections, len(self.behaviours) - 1)
            self.connections += 1
            threading.Thread(
                target=self._handle, args=(connection, self.behaviours[index]), daemon=True
            ).start()

    def _handle(self, connection: socket.socket, behave: Behaviour) -> None:
        with connection, contextlib.suppress(OSError):
            behave(self, connection)

    def read(self, connection: socket.socket) -> bytes:
        """Read one whole request and count it."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65_536) or _gone()
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (
                int(line.split(b":")[1])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            ),
            0,
        )
        while len(body) < length:
            body += connection.recv(65_536) or _gone()
        self.received.append(head + b"\r\n\r\n" + body)
        return self.received[-1]

    def stop(self) -> None:
        """Stop listening and let go of everything that waits."""
        self.release.set()
        # shutdown wakes the accept; close alone would not.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


def _gone() -> bytes:
    raise ConnectionError("the client went away")


def close_before_reading(server: CountingServer, connection: socket.socket) -> None:
    """
    Wait until the request has come, and close with a reset without having read it.

    Not before it has come: a reset that meets the client while it connects is a connection that never was.
    """
    select.select([connection], [], [], 10)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


def close_after_reading(server: CountingServer, connection: socket.socket) -> None:
    """Read the whole request, then close without a word."""
    server.read(connection)


def close_in_the_answer(server: CountingServer, connection: socket.socket) -> None:
    """Send half of a good answer, then close."""
    server.read(connection)
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"success": true, "message_id"')


def never_answer(server: CountingServer, connection: socket.socket) -> None:
    """Read the whole request and keep silent until the server is stopped."""
    server.read(connection)
    server.release.wait(30)


def answer(status: int, body: bytes | str = b"{}", **headers: str) -> Behaviour:
    """Answer with a status, a body and headers (underscores in their names become hyphens)."""
    raw = body.encode() if isinstance(body, str) else body
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())

    def behave(server: CountingServer, connection: socket.socket) -> None:
        server.read(connection)
        head = (
            f"HTTP/1.1 {status} Some Reason\r\nContent-Length: {len(raw)}\r\nConnection: close\r\n{lines}\r\n"
        )
        connection.sendall(head.encode() + raw)

    return behave


@contextlib.contextmanager
def counting_server(*behaviours: Behaviour) -> Iterator[CountingServer]:
    """Run a server for a block."""
    server = CountingServer(list(behaviours))
    try:
        yield server
    finally:
        server.stop()


@dataclass
class FakeTime:
    """A clock that moves only when somebody sleeps."""

    moment: float = 1_900_000_000.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        """Return the present, in UTC."""
        return datetime.fromtimestamp(self.moment, UTC)

    def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self.slept.append(seconds)
        self.moment += seconds
