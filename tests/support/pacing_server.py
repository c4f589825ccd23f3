"""
A small gateway that stamps every request when the last byte of it has come, by a clock that nobody sets.

Run as a program, it answers every request, and prints who sent it and when it came when its input ends.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from dataclasses import dataclass, field

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@dataclass
class Conversation:
    """What came over one connection and was not answered yet."""

    data: bytes = b""
    workers: list[str] = field(default_factory=list)

    def take(self, data: bytes) -> list[str]:
        """Take what came, and return who sent each request that is whole now."""
        self.data += data
        whole: list[str] = []
        while b"\r\n\r\n" in self.data:
            head, _, rest = self.data.partition(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length:")
            )
            if len(rest) < length:
                break
            whole.append(json.loads(rest[:length])["worker"])
            self.data = rest[length:]
        return whole


def serve() -> None:
    """Serve until the input ends."""
    arrivals: list[tuple[float, str]] = []
    conversations: dict[socket.socket, Conversation] = {}
    selector = selectors.DefaultSelector()
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    selector.register(listener, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    print(listener.getsockname()[1], flush=True)
    while True:
        for key, _ in selector.select():
            now = time.monotonic()
            if key.fileobj is sys.stdin:
                print(json.dumps(arrivals))
                return
            if key.fileobj is listener:
                connection = listener.accept()[0]
                selector.register(connection, selectors.EVENT_READ)
                conversations[connection] = Conversation()
                continue
            connection = key.fileobj  # type: ignore[assignment]  # nothing else was registered
            try:
                data = connection.recv(65_536)
            except OSError:
                data = b""
            if not data:
                selector.unregister(connection)
                del conversations[connection]
                connection.close()
                continue
            for worker in conversations[connection].take(data):
                arrivals.append((now, worker))
                connection.sendall(ANSWER)


if __name__ == "__main__":
    serve()
