"""The gate every gateway request passes: it is recorded here, and here the faults strike.

A pure ASGI middleware, because a fault may have to close the connection without an answer or in the middle of one.
For that it needs the connection's transport, which :class:`~.server.Connection` puts in the scope.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import struct
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_voicepartner.sandbox.faults import Fault
from airflow_provider_voicepartner.sandbox.records import RequestRecord, masked_path
from airflow_provider_voicepartner.sandbox.settings import GATEWAYS
from airflow_provider_voicepartner.sandbox.wire import RECORD
from airflow_provider_voicepartner.sandbox.world import World

TRANSPORT = "sandbox.transport"
"""Where the server puts the connection's transport in the scope's state."""

SLOW_SECONDS = 6.0
_LARGEST_BODY = 16 * 1024 * 1024
_KEPT_HEADERS = frozenset({"api-login", "api-key", "content-type", "user-agent", "content-length"})
_HTML = b"<html><head><title>Bad gateway</title></head><body><h1>Bad gateway</h1></body></html>"
_QUEUED = {"success": True, "code": 200, "message": "Request queued for processing"}

log = logging.getLogger("airflow_provider_voicepartner.sandbox")


@dataclass(slots=True)
class _Reply:
    """An answer held back."""

    status: int = 200
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""

    async def catch(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message.get("headers", []))
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")

    def other(self, body: bytes, content_type: bytes = b"application/json") -> None:
        self.body = body
        self.headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]

    async def start(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})

    async def send(self, send: Send) -> None:
        await self.start(send)
        await send({"type": "http.response.body", "body": self.body})


class Gate:
    """Records each gateway request and makes the trouble that was asked for."""

    def __init__(self, app: ASGIApp, world: World) -> None:
        self._app = app
        self._world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway = scope["path"].split("/", 2)[1] if scope["type"] == "http" else ""
        if gateway not in GATEWAYS:
            await self._app(scope, receive, send)
            return
        body = await _whole_body(receive)
        if body is None:
            return
        record = self._record(scope, gateway, body)
        scope[RECORD] = record
        fault = self._world.faults.next_for(gateway, record.method, record.path)
        if fault is None:
            await self._pass(scope, record, receive, send)
        else:
            record.fault = fault.kind
            await self._strike(fault, scope, record, receive, send)
        outcome = "no answer" if record.status is None else record.status
        log.debug(
            "%s %s -> %s%s",
            record.method,
            masked_path(record.path),
            outcome,
            f" ({fault.kind})" if fault else "",
        )

    def _record(self, scope: Scope, gateway: str, body: bytes) -> RequestRecord:
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        kept = {name: value for name, value in headers.items() if name in _KEPT_HEADERS}
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        world = self._world
        with world.lock:
            record = RequestRecord(
                world.requests.total + 1, world.clock.calendar(), gateway, scope["method"], scope["path"], query,
                kept, body,
            )  # fmt: skip
            world.requests.add(record)
        return record

    async def _pass(self, scope: Scope, record: RequestRecord, receive: Receive, send: Send) -> None:
        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
            await send(message)

        await self._app(scope, _replayed(record.body, receive), noting)

    async def _strike(
        self, fault: Fault, scope: Scope, record: RequestRecord, receive: Receive, send: Send
    ) -> None:
        reply = _Reply()
        if fault.takes():
            await self._app(scope, _replayed(record.body, receive), reply.catch)
        else:
            reply.other(json.dumps(_QUEUED).encode())
        if fault.kind in ("drop_before", "drop_after"):
            await _hang_up(scope, receive, reset=fault.reset)
            return
        if fault.kind == "drop_mid_answer":
            reply.headers = [pair for pair in reply.headers if pair[0].lower() != b"content-length"]
            reply.headers.append((b"content-length", str(len(reply.body) + 1).encode()))
            await reply.start(send)
            half = reply.body[: max(1, len(reply.body) // 2)]
            await send({"type": "http.response.body", "body": half, "more_body": True})
            await _hang_up(scope, receive, reset=fault.reset)
            return
        if fault.kind in ("timeout", "slow"):
            seconds = SLOW_SECONDS if fault.kind == "slow" and fault.seconds is None else fault.seconds
            if not await self._hang(seconds, receive):
                return
        else:
            _spoil(reply, fault, record.gateway)
        record.status = reply.status
        await reply.send(send)

    async def _hang(self, seconds: float | None, receive: Receive) -> bool:
        """Wait until released, or for some seconds; tell whether the client is still there."""
        released = self._world.faults.hang()
        waiting = asyncio.ensure_future(released.wait())
        leaving = asyncio.ensure_future(_client_left(receive))
        try:
            done, _ = await asyncio.wait(
                {waiting, leaving}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            self._world.faults.let_go(released)
            waiting.cancel()
            leaving.cancel()
        return leaving not in done


def _spoil(reply: _Reply, fault: Fault, gateway: str) -> None:
    """Turn an answer into the one the fault calls for."""
    if fault.kind in ("429", "500", "503"):
        reply.status = int(fault.kind)
        value: dict[str, Any] = {"code": reply.status, "message": f"Sandbox fault {fault.kind}."}
        reply.other(json.dumps(value if gateway == "octopush" else {"success": False, **value}).encode())
        if fault.retry_after is not None:
            reply.headers.append((b"retry-after", str(fault.retry_after).encode()))
    elif fault.kind == "html":
        reply.status = fault.status or 502
        reply.other(_HTML, b"text/html; charset=utf-8")
    elif fault.kind == "queued_without_id":
        reply.status = 200
        reply.other(json.dumps(_QUEUED).encode())
    elif fault.kind == "wrong_json":
        reply.other(b'["not", "what", "was", "promised"]')
    elif fault.kind == "truncated_json":
        reply.other(reply.body[: len(reply.body) // 2] or b'{"succ')
    elif fault.kind == "empty":
        reply.status = fault.status or 200
        reply.other(b"")


async def _whole_body(receive: Receive) -> bytes | None:
    """Return the request's body, or ``None`` when the client left before it was whole."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        if len(body) < _LARGEST_BODY:
            body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that gives the body that was read already."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def _client_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _hang_up(scope: Scope, receive: Receive, *, reset: bool) -> None:
    """Close the connection, after what was written has gone out, and wait until it is closed.

    Waiting matters: the server takes a request that ends without an answer for a mistake and logs it, unless the
    connection is gone by then.
    """
    transport: asyncio.Transport | None = scope.get("state", {}).get(TRANSPORT)
    if transport is None:
        raise ConnectionAbortedError("dropping a connection needs the sandbox's own server")
    if reset:
        plug = transport.get_extra_info("socket")
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    else:
        transport.close()
    await _client_left(receive)
