"""Acme itself, over a real socket: as strict as its documentation, and written from nothing else."""

from __future__ import annotations

import base64
import json
import threading
import time
import urllib.request
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode

ACCOUNT, KEY = "ac-4715", "planted-key-acme-4715"
MOST_A_SECOND = 200


@dataclass
class Acme:
    """
    The vendor's side.

    :param states: what becomes of a number's messages; ``delivered`` where nothing is said.
    :param refused: numbers that are refused by name, with the error.
    :param calls_back: call the URL of each message at once.
    """

    states: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    calls_back: bool = False
    messages: dict[str, dict[str, str]] = field(default_factory=dict)
    taken: Counter[str] = field(default_factory=Counter)
    arrivals: list[float] = field(default_factory=list)
    polls: int = 0
    faults: list[str] = field(default_factory=list)
    called: Counter[int] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/2.0"

    def close(self) -> None:
        """End."""
        self._server.shutdown()
        self._server.server_close()

    def most_within(self, seconds: float) -> int:
        """Return how many sends came within any such span, at most."""
        times = sorted(self.arrivals)
        return max((bisect_left(times, at + seconds) - i for i, at in enumerate(times)), default=0)

    def send(self, form: dict[str, str]) -> tuple[int, Any]:
        """Take one message."""
        with self.lock:
            self.arrivals.append(time.monotonic())
            if (
                len([at for at in self.arrivals[-2 * MOST_A_SECOND :] if at > self.arrivals[-1] - 1])
                > MOST_A_SECOND
            ):
                return 429, {"error": "slow_down"}
            if self.faults:
                return 200, self.faults.pop(0)
            if set(form) - {"to", "text", "ref", "from", "flash", "callback", "at"} or "," in form.get(
                "to", ","
            ):
                return 400, {"error": "bad_parameter"}
            state = "accepted"
            if "at" in form:
                ahead = datetime.fromisoformat(form["at"]) - datetime.now(UTC)
                if ahead < timedelta(minutes=15):
                    return 400, {"error": "too_early"}
                state = "planned"
            number = form["to"]
            if number in self.refused:
                return 422, {"error": self.refused[number]}
            gateway_id = f"m-{len(self.messages) + 1}"
            self.messages[gateway_id] = {"id": gateway_id, "to": number, "state": state, "text": form["text"]}
            self.taken[number] += 1
        if self.calls_back and "callback" in form:
            threading.Thread(target=self.call, args=(form["callback"], gateway_id), daemon=True).start()
        return 202, {"id": gateway_id, "state": state}

    def call(self, url: str, gateway_id: str) -> None:
        """Report what became of one message, without a date."""
        message = self.messages[gateway_id]
        state = self.states.get(message["to"], "delivered")
        data = urlencode({"id": gateway_id, "to": message["to"], "state": state}).encode()
        with urllib.request.urlopen(url, data, timeout=30) as answer:
            self.called[answer.status] += 1

    def status(self, gateway_id: str) -> tuple[int, Any]:
        """Say what became of one message."""
        self.polls += 1
        message = self.messages.get(gateway_id)
        if message is None:
            return 404, {"error": "not_found"}
        state = message["state"]
        if state == "accepted":
            state = self.states.get(message["to"], "delivered")
        return 200, {"id": gateway_id, "to": message["to"], "state": state}

    def cancel(self, gateway_id: str) -> tuple[int, Any]:
        """Take back a planned message."""
        message = self.messages.get(gateway_id)
        if message is None:
            return 404, {"error": "not_found"}
        if message["state"] != "planned":
            return 409, {"error": "not_planned"}
        message["state"] = "cancelled"
        return 200, {"id": gateway_id, "state": "cancelled"}


def _handler_of(acme: Acme) -> type[BaseHTTPRequestHandler]:
    expected = base64.b64encode(f"{ACCOUNT}:{KEY}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def _answer(self, status: int, data: Any) -> None:
            body = (data if isinstance(data, str) else json.dumps(data)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _is_known(self) -> bool:
            if self.headers.get("Authorization") == f"Basic {expected}":
                return True
            self._answer(401, f"denied: {self.headers.get('Authorization')}")
            return False

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            raw = self.rfile.read(length).decode()
            if len(raw) < length:
                return  # the caller's slot had passed, so no body followed: nothing was sent
            if not self._is_known():
                return
            if (
                self.path != "/2.0/messages"
                or self.headers.get("Content-Type") != "application/x-www-form-urlencoded"
            ):
                self._answer(400, {"error": "bad_request"})
                return
            self._answer(
                *acme.send({name: values[-1] for name, values in parse_qs(raw, strict_parsing=True).items()})
            )

        def do_GET(self) -> None:
            if not self._is_known():
                return
            if self.path == "/2.0/account":
                self._answer(200, {"credit": "42.50", "currency": "EUR"})
            else:
                self._answer(*acme.status(self.path.rpartition("/")[2]))

        def do_DELETE(self) -> None:
            if self._is_known():
                self._answer(*acme.cancel(self.path.rpartition("/")[2]))

    return Handler
