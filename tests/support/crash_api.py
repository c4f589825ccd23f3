"""
Airflow's real execution API on loopback, with a proxy in front that holds one write and lets it be executed later.

Run with ``python -m tests.support.crash_api``; prints its URL. The proxy does not tell the API that the client is gone,
as many do not. ``POST /_hold`` with ``number`` (which write of task state from now, from 1) and ``after`` (how many
more have to be executed before it is) chooses; ``POST /_release`` lets it go at once; ``GET /_hold`` tells how it went.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass
class Holding:
    """An ASGI application in front of another."""

    app: Any
    number: int = 0
    after: int = 0
    seen: int = 0
    executed: int = 0
    late: asyncio.Task[None] | None = None
    status: int | None = None
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["path"].startswith("/_"):
            await self._obey(scope, receive, send)
        elif scope["method"] == "PUT" and "/store/ti/" in scope["path"]:
            await self._write(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _obey(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["method"] == "POST" and scope["path"] == "/_hold":
            order = json.loads(await _body_of(receive))
            self.number, self.after = order["number"], order["after"]
            self.seen = self.executed = 0
            self.late = self.status = None
            self.go = asyncio.Event()
        elif scope["method"] == "POST":
            self.go.set()
            if self.late is not None:
                await self.late
        told = {"held": self.late is not None, "status": self.status, "seen": self.seen}
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(told).encode()})

    async def _write(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        self.seen += 1
        if self.seen == self.number:
            self.late = asyncio.create_task(self._execute_late(dict(scope), await _body_of(receive)))
            while (await receive())["type"] != "http.disconnect":
                pass  # the client waits in vain
            return
        await self.app(scope, receive, send)
        self.executed += self.late is not None
        # The first that is executed after it is its own repeat.
        if self.executed > self.after and self.late is not None:
            self.go.set()
            await self.late

    async def _execute_late(self, scope: dict[str, Any], body: bytes) -> None:
        await self.go.wait()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]

        await self.app(scope, receive, send)


async def _body_of(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


def main() -> None:
    """Serve until killed."""
    # Airflow logs to the standard output too.
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    import uvicorn
    from airflow.api_fastapi.app import create_app

    server = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(Holding(create_app(apps="execution")), log_level="warning")
    print(f"http://127.0.0.1:{server.getsockname()[1]}", file=told, flush=True)
    uvicorn.Server(config).run(sockets=[server])


if __name__ == "__main__":
    main()
