"""
The receiver as a server of its own: it writes no access log, and finishes its requests before it stops.

Its connections have limits: on the size of headers, and on the time without data. uvicorn's fast parser (httptools)
accepts headers of any size, and neither of its parsers gives up on a client that connects, or begins a request, and
then sends nothing more.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from airflow_provider_voicepartner.constants import (
    FRAMES_A_BYTE,
    HEADER_BYTES,
    HEADER_TIMEOUT,
    KEEP_ALIVE_TIMEOUT,
    LISTEN_BACKLOG,
    PARSED_AT_A_TIME,
    REQUEST_TIMEOUT,
    SHUTDOWN_TIMEOUT,
    STUCK_CHECK_TICKS,
)
from airflow_provider_voicepartner.delivery.receiver_monitoring import RateLimitedFilter

if TYPE_CHECKING:
    from fastapi import FastAPI


_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)


class _Limits(asyncio.Protocol):
    """Limits in front of one of uvicorn's protocols: a connection that counts bytes and knows since when it waits."""

    transport: Any
    cycle: Any
    counts_headers = False
    _waits_since: float
    _begun_at: float | None = None
    _had_answers = False
    _bytes = 0
    _body_bytes = 0
    _has_head = False

    @property
    def _parent(self) -> Any:
        return super()

    def connection_made(self, transport: Any) -> None:
        self._waits_since = time.monotonic()
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._begun_at is None:
            self._begun_at = time.monotonic()
        for at in range(0, len(data), PARSED_AT_A_TIME):
            part = data[at : at + PARSED_AT_A_TIME]
            self._bytes += len(part)
            super().data_received(part)
            if self.transport.is_closing():
                return
            if self.counts_headers and self._bytes > HEADER_BYTES + (1 + FRAMES_A_BYTE) * self._body_bytes:
                self._refuse()
                return

    def on_headers_complete(self) -> None:
        self._has_head = True
        self._parent.on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        self._parent.on_body(body)

    def on_message_complete(self) -> None:
        self._bytes = self._body_bytes = 0
        self._has_head = False
        self._parent.on_message_complete()

    def on_response_complete(self) -> None:
        self._begun_at, self._had_answers = None, True
        self._waits_since = time.monotonic()
        self._parent.on_response_complete()

    def _refuse(self) -> None:
        if not self._has_head:
            self.transport.write(_TOO_LARGE)
        self.transport.close()

    def abort_if_stuck(self, now: float, keep_alive: float) -> None:
        """
        Abort the connection if it has waited for too long.

        :param now: of the monotonic clock.
        :param keep_alive: seconds that it may be idle between two requests; then uvicorn closes it.
        """
        if self.cycle is not None and not self.cycle.response_complete:
            since, limit = self._begun_at or self._waits_since, REQUEST_TIMEOUT
        elif self._begun_at is not None:
            since, limit = self._begun_at, HEADER_TIMEOUT
        else:
            since, limit = self._waits_since, HEADER_TIMEOUT + (keep_alive if self._had_answers else 0.0)
        if now - since > limit:
            self.transport.abort()


def limited(protocol: type[asyncio.Protocol]) -> type[asyncio.Protocol]:
    """
    Return one of uvicorn's protocols with limits.

    :param protocol: ``HttpToolsProtocol``, whose parser calls ``on_headers_complete``, ``on_body`` and
        ``on_message_complete``; or ``H11Protocol``, which limits headers itself.
    """
    counts_headers = hasattr(protocol, "on_headers_complete")
    return type("LimitedProtocol", (_Limits, protocol), {"counts_headers": counts_headers})


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_start()

    async def on_tick(self, counter: int) -> bool:
        """Close connections that have waited for too long; uvicorn calls this ten times a second."""
        if counter % STUCK_CHECK_TICKS == 0:
            now = time.monotonic()
            connections: list[Any] = list(self.server_state.connections)
            for connection in connections:
                connection.abort_if_stuck(now, self.config.timeout_keep_alive)
        return await super().on_tick(counter)


def freeze_loaded_objects() -> None:
    """
    Exclude everything that is loaded by now from garbage collection: a receiver keeps it until it ends.

    A full collection stops the event loop. For the row "receiver" of the benchmarks, p99 under 100 ms: without this its
    p99 is twice as long.
    """
    gc.collect()
    gc.freeze()


def _protocol() -> type[asyncio.Protocol]:
    """Return the HTTP protocol that uvicorn chooses here: the fast one if it is installed."""
    from uvicorn.protocols.http.auto import AutoHTTPProtocol

    return AutoHTTPProtocol


def make_server(app: FastAPI, on_start: Callable[[], None] = lambda: None) -> uvicorn.Server:
    """
    Return a server for the receiver's application.

    :param app: as ``create_app`` made it.
    :param on_start: called once it listens.
    """
    # uvicorn logs a line for each request that is not HTTP.
    server_log = logging.getLogger("uvicorn.error")
    if not any(isinstance(known, RateLimitedFilter) for known in server_log.filters):
        server_log.addFilter(RateLimitedFilter())
    config = uvicorn.Config(
        app, http=limited(_protocol()), h11_max_incomplete_event_size=HEADER_BYTES, access_log=False, log_config=None,
        server_header=False, proxy_headers=False, ws="none", lifespan="on",
        timeout_keep_alive=KEEP_ALIVE_TIMEOUT, timeout_graceful_shutdown=SHUTDOWN_TIMEOUT,
    )  # fmt: skip
    return _Server(config, on_start)


def listen(host: str, port: int) -> socket.socket:
    """
    Listen on an address.

    :param port: 0 for any free one.
    :raises OSError: the address is in use, not local, or not a port.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio only sets TCP_NODELAY on sockets that say they are TCP.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(LISTEN_BACKLOG)
    except OSError:
        listening.close()
        raise
    except OverflowError:
        listening.close()
        raise OSError(errno.EINVAL, "a port is a number from 0 to 65535") from None
    return listening
