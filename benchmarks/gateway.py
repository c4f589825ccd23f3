"""
A gateway that does nothing but answer, at once or after a while: what it costs to send is then the client's.

A process of its own, ``python -m benchmarks.gateway``. It counts sends and recipients, and notes when the first came,
on the machine's monotonic clock, which all processes share.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import ProxyHandler, build_opener

from benchmarks.environment import PROJECT

NUMBER = "+33612345678"
"""Of whom a question about a whole send tells."""

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TAG = re.compile(rb'"tag": *"([^"]+)"')
_NUMBER = re.compile(rb"\+\d+")
_LISTED = re.compile(rb'"phoneNumber": *"(\+\d+)"')
_ENTRY = '{"success": true, "code": 200, "nbSms": 1, "cost": 0.045, "phoneNumber": "%s"}'


@dataclass
class _State:
    """
    What the gateway has seen since the last reset.

    :param delay: seconds before each answer to a send.
    :param answers: so many sends are answered; later ones arrive and are left without an answer.
    :param told: ids that were told; none is told twice, not after a reset either.
    :param unanswered: the bodies of sends without an answer, by their tags.
    """

    delay: float = 0.0
    answers: int = sys.maxsize
    sends: int = 0
    recipients: int = 0
    questions: int = 0
    first: float | None = None
    told: int = 0
    unanswered: dict[str, bytes] = field(default_factory=dict)


class _Client(asyncio.Protocol):
    """One connection, kept open for any number of requests, one at a time."""

    def __init__(self, states: list[_State]) -> None:
        self._states = states
        self._received = bytearray()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what to answer through."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request that is complete."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._received, 0, end)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._received) < whole:
                return
            line = bytes(self._received[: self._received.find(b"\r\n")]).decode()
            body = bytes(self._received[end + 4 : whole])
            del self._received[:whole]
            self._answer(urlsplit(line.split()[1]), body)

    def _answer(self, url: Any, body: bytes) -> None:
        state, query = self._states[0], {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/reset":
            kept: dict[str, Any] = {"told": state.told, "unanswered": state.unanswered}
            self._states[0] = _State(delay=float(query["delay"]), answers=int(query["answers"]), **kept)
            self._write(200, {})
        elif url.path == "/stats":
            seen = {"sends": state.sends, "recipients": state.recipients, "first": state.first}
            self._write(200, seen | {"questions": state.questions})
        elif url.path.endswith(("/bulk-status", "/multi-status")):
            state.questions += 1
            self._tell_waiting(query, body)
        elif url.path.endswith("bulk-status-by-tag"):
            self._tell_status(query["tag"])
        elif url.path.endswith("/me"):
            account = {"success": True, "user": {"username": "bench"}, "credits": {"balance": "1000000"}}
            self._write(200, account)
        elif b'"sandbox"' in body:
            # A simulation asks for the price; nothing is sent.
            self._send(200, _taken(0, body, is_bulk=url.path.endswith("/bulk-send")))
        else:
            status = 201 if "campaign" in url.path else 200
            self._take(state, body, status, is_bulk=url.path.endswith("/bulk-send"))

    def _take(self, state: _State, body: bytes, status: int, *, is_bulk: bool) -> None:
        if state.first is None:
            state.first = time.monotonic()
        state.sends += 1
        state.recipients += body.count(b"+")
        if state.sends > state.answers:
            if tag := _TAG.search(body):
                state.unanswered[tag[1].decode()] = body
            return
        state.told += 1
        told = _taken(state.told, body, is_bulk=is_bulk)
        if state.delay:
            asyncio.get_running_loop().call_later(state.delay, self._send, status, told)
        else:
            self._send(status, told)

    def _tell_waiting(self, query: dict[str, str], body: bytes) -> None:
        """Tell of everybody who is asked about that nothing has happened."""
        pairs = json.loads(body)["SMSStatut_List"] if body else [{"phoneNumber": NUMBER}]
        entries = [{"success": True, "code": 200, **pair, "status": "Waiting"} for pair in pairs]
        told = {"success": True, "code": 200, "StatutResponse_List": entries}
        self._write(200, told | ({"message_id": query["messageId"]} if "messageId" in query else {}))

    def _tell_status(self, tag: str) -> None:
        body = self._states[0].unanswered.get(tag)
        numbers = [number.decode() for number in _NUMBER.findall(body or b"")]
        entries = [{"phoneNumber": number, "status": "Delivered"} for number in numbers]
        good = {"success": True, "code": 200, "StatutResponse_List": entries}
        self._write(200, good if body else {"success": False, "code": 4, "message": "not found"})

    def _write(self, status: int, told: dict[str, Any]) -> None:
        self._send(status, json.dumps(told).encode())

    def _send(self, status: int, body: bytes) -> None:
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(head.encode() + body)


def _taken(number: int, body: bytes, *, is_bulk: bool) -> bytes:
    """Say yes; of a bulk send to each recipient by name, as the vendor does."""
    told: dict[str, Any] = {"success": True, "code": 200, "message_id": number + 1, "cost": 1.5}
    if not is_bulk:
        return json.dumps(told | {"nb_sms": body.count(b"+")}).encode()
    numbers = _LISTED.findall(body)
    told |= {"nbSMS": len(numbers), "currency": "EUR", "SMSResponse_List": []}
    entries = ", ".join([_ENTRY % listed.decode() for listed in numbers])
    return f"{json.dumps(told)[:-2]}{entries}]}}".encode()


@dataclass(frozen=True)
class Gateway:
    """The gateway, seen from a benchmark."""

    url: str

    def reset(self, *, delay: float = 0.0, answers: int = sys.maxsize) -> None:
        """Count anew; earlier sends without an answer stay known by their tags."""
        self._ask(f"reset?delay={delay}&answers={answers}")

    def stats(self) -> dict[str, Any]:
        """Return ``sends``, ``recipients``, ``first`` and ``questions``."""
        return self._ask("stats")

    def _ask(self, path: str) -> dict[str, Any]:
        with build_opener(ProxyHandler({})).open(f"{self.url}/{path}", timeout=10) as answer:
            told: dict[str, Any] = json.load(answer)
        return told


@contextlib.contextmanager
def running_gateway() -> Iterator[Gateway]:
    """Start the gateway, and stop it behind the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.gateway"], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield Gateway(process.stdout.readline().strip())
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


async def _serve() -> None:
    states = [_State()]
    server = await asyncio.get_running_loop().create_server(lambda: _Client(states), "127.0.0.1", 0)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
