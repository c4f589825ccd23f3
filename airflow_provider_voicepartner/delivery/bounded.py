"""
Bounds for connections of the receiver that runs alone: how much may come before a body, and how long nothing may.

uvicorn's fast parser (httptools) takes headers without an end, and neither of its parsers gives up a client that
connects, or begins a request, and then says no more.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_voicepartner.constants import (
    FRAMES_A_BYTE,
    HEADER_BYTES,
    HEADER_TIMEOUT,
    PARSED_AT_A_TIME,
    REQUEST_TIMEOUT,
)

if TYPE_CHECKING:
    import asyncio


_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)


def bounded(protocol: type[asyncio.Protocol]) -> type[asyncio.Protocol]:
    """
    Return one of uvicorn's protocols with bounds.

    :param protocol: ``HttpToolsProtocol``, whose parser calls ``on_headers_complete``, ``on_body`` and
        ``on_message_complete``; or ``H11Protocol``, which bounds headers itself.
    """
    base: Any = protocol
    counts = hasattr(protocol, "on_headers_complete")

    class Bounded(base):  # type: ignore[misc]
        """A connection that knows since when it waits for what."""

        _waits_since: float
        _begun_at: float | None = None
        _had_answers = False
        _bytes = 0
        _body_bytes = 0
        _has_head = False

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
                if counts and self._bytes > HEADER_BYTES + (1 + FRAMES_A_BYTE) * self._body_bytes:
                    self._refuse()
                    return

        def on_headers_complete(self) -> None:
            self._has_head = True
            super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            self._body_bytes += len(body)
            super().on_body(body)

        def on_message_complete(self) -> None:
            self._bytes = self._body_bytes = 0
            self._has_head = False
            super().on_message_complete()

        def on_response_complete(self) -> None:
            self._begun_at, self._had_answers = None, True
            self._waits_since = time.monotonic()
            super().on_response_complete()

        def _refuse(self) -> None:
            if not self._has_head:
                self.transport.write(_TOO_LARGE)
            self.transport.close()

        def end_if_stuck(self, now: float, keep_alive: float) -> None:
            """
            End the connection if it waits for too long.

            :param now: of the monotonic clock.
            :param keep_alive: seconds that it may be idle between two requests, after which uvicorn closes it.
            """
            if self.cycle is not None and not self.cycle.response_complete:
                since, limit = self._begun_at or self._waits_since, REQUEST_TIMEOUT
            elif self._begun_at is not None:
                since, limit = self._begun_at, HEADER_TIMEOUT
            else:
                since, limit = self._waits_since, HEADER_TIMEOUT + (keep_alive if self._had_answers else 0.0)
            if now - since > limit:
                self.transport.abort()

    return Bounded
