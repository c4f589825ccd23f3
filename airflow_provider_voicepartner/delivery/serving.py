"""The receiver run alone: one process that listens, writes no access log, and ends after what it has begun."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import socket
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import uvicorn

from airflow_provider_voicepartner.constants import (
    COLLECT_AFTER,
    HEADER_BYTES,
    KEEP_ALIVE_TIMEOUT,
    LISTEN_BACKLOG,
    SHUTDOWN_TIMEOUT,
    STUCK_CHECK_TICKS,
    SWITCH_INTERVAL,
)
from airflow_provider_voicepartner.delivery.bounded import bounded
from airflow_provider_voicepartner.delivery.receiver_log import OncePerMinute

if TYPE_CHECKING:
    from fastapi import FastAPI

PREFIX: Final = "/voicepartner"


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_start()

    async def on_tick(self, counter: int) -> bool:
        """Close connections that wait for too long; uvicorn calls this ten times a second."""
        if counter % STUCK_CHECK_TICKS == 0:
            now = time.monotonic()
            for connection in list(self.server_state.connections):
                connection.end_if_stuck(now, self.config.timeout_keep_alive)  # type: ignore[union-attr]
        return await super().on_tick(counter)


def dedicate_process() -> None:
    """
    Suit the interpreter to a process that only receives; for when all it needs is loaded.

    The writer asks for the interpreter after each answer of the database, while the event loop reads reports. It then
    waits for half a millisecond and not five, several times a commit. What is loaded by now stays for good, so the
    garbage collector need not look at it again: each look stopped the event loop, and of a hundred answers the slowest
    took 65 ms with it and 27 without.
    """
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def _protocol() -> type[asyncio.Protocol]:
    """Return the fastest of uvicorn's protocols that can be used here, as uvicorn chooses it."""
    from uvicorn.protocols.http.auto import AutoHTTPProtocol

    return AutoHTTPProtocol


def make_server(app: FastAPI, on_start: Callable[[], None] = lambda: None) -> uvicorn.Server:
    """
    Return a server for the receiver's application.

    :param app: as ``create_app`` made it.
    :param on_start: called once it listens.
    """
    # Whoever sends what is not HTTP gets a line each time from uvicorn.
    quiet = logging.getLogger("uvicorn.error")
    if not any(isinstance(known, OncePerMinute) for known in quiet.filters):
        quiet.addFilter(OncePerMinute())
    config = uvicorn.Config(
        app, http=bounded(_protocol()), h11_max_incomplete_event_size=HEADER_BYTES, access_log=False, log_config=None,
        server_header=False, proxy_headers=False, ws="none", lifespan="on",
        timeout_keep_alive=KEEP_ALIVE_TIMEOUT, timeout_graceful_shutdown=SHUTDOWN_TIMEOUT,
    )  # fmt: skip
    return _Server(config, on_start)


def listen(host: str, port: int) -> socket.socket:
    """
    Listen on an address.

    :param port: 0 takes a free one.
    :raises OSError: it is taken, not ours, or no port.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio only switches delays off (TCP_NODELAY) for sockets that say they are TCP.
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
