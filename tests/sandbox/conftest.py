"""One strict sandbox for the whole folder, standing still until a test moves its clock, emptied before each test."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests

from airflow_provider_voicepartner.sandbox import Sandbox, running_sandbox

KEY = "sandbox-key"
OCTOPUSH_HEADERS = {"api-login": "sandbox@example.org", "api-key": KEY}


@dataclass
class Api:
    """A plain client: no retries, no cleverness."""

    sandbox: Sandbox
    session: requests.Session = field(default_factory=requests.Session)

    def control(self, method: str, path: str, **options: Any) -> Any:
        answer = self.session.request(method, f"{self.sandbox.url}/_sandbox{path}", timeout=10, **options)
        assert answer.ok, answer.text
        return answer.json()

    def call(self, gateway: str, method: str, path: str, **options: Any) -> requests.Response:
        options.setdefault("timeout", 10)
        return self.session.request(method, self.sandbox.gateway_url(gateway) + path, **options)

    def sms(self, path: str, **fields: Any) -> requests.Response:
        return self.call("smspartner", "POST", path, json={"apiKey": KEY, **fields})

    def sms_get(self, path: str, **query: Any) -> requests.Response:
        return self.call("smspartner", "GET", path, params={"apiKey": KEY, **query})

    def send(self, **fields: Any) -> requests.Response:
        return self.sms("/send", **{"phoneNumbers": "+33600000001", "message": "Hello", **fields})

    def voice(self, path: str, **fields: Any) -> requests.Response:
        return self.call("voicepartner", "POST", path, json={"apiKey": KEY, **fields})

    def tts(self, **fields: Any) -> requests.Response:
        return self.voice("/tts/send", **{"phoneNumbers": "+33600000001", "text": "Hello", **fields})

    def drop(self, **fields: Any) -> requests.Response:
        return self.voice(
            "/campaign/send", **{"phoneNumbers": "0600000001", "tokenAudio": "a1b2c3d4", **fields}
        )

    def octopush(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.call("octopush", method, path, headers=OCTOPUSH_HEADERS, **options)

    def octopush_sms(self, *numbers: str, **fields: Any) -> requests.Response:
        recipients = [{"phone_number": number} for number in numbers or ("+33600000001",)]
        body = {"text": "Hello", "purpose": "alert", "recipients": recipients, **fields}
        return self.octopush("POST", "/sms-campaign/send", json=body)

    def octopush_call(self, *numbers: str, **fields: Any) -> requests.Response:
        recipients = [{"phone_number": number} for number in numbers or ("+33600000001",)]
        voice = {"voice_gender": "female", "voice_language": "fr-FR"}
        body = {"text": "Hello", "purpose": "alert", "recipients": recipients, **voice, **fields}
        return self.octopush("POST", "/voice-campaign/send", json=body)

    def sent_to(self, gateway: str, number: str) -> int:
        """Return how often the number was really sent a message."""
        counts = self.control("GET", "/counts", params={"gateway": gateway, "number": number})
        return int(counts[gateway]["numbers"].get(number, 0))

    def settings(self, **changes: Any) -> None:
        self.control("PATCH", "/settings", json=changes)

    def later(self, seconds: float) -> None:
        """Move the clock and wait until what came due has been posted."""
        self.control("POST", "/clock/advance", json={"seconds": seconds})
        assert self.sandbox.wait_for_callbacks()


@pytest.fixture(scope="session")
def _server() -> Iterator[Sandbox]:
    with running_sandbox(speed=0, seed=1, settings={"strict": True}) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(_server: Sandbox) -> Sandbox:
    _server.world.reset(seed=1)
    return _server


@pytest.fixture
def api(sandbox: Sandbox) -> Iterator[Api]:
    client = Api(sandbox)
    yield client
    client.session.close()


@dataclass
class Got:
    """A callback that arrived."""

    method: str
    path: str
    content_type: str
    body: bytes


@dataclass
class Receiver:
    """A client's receiver of callbacks."""

    url: str
    got: list[Got] = field(default_factory=list)
    status: int = 200
    answer: bytes = b""
    delay: float = 0.0
    location: str | None = None


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _take(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            kept.got.append(Got(self.command, self.path, self.headers.get("content-type", ""), body))
            time.sleep(kept.delay)
            self.send_response(kept.status)
            if kept.location:
                self.send_header("Location", kept.location)
            self.send_header("Content-Length", str(len(kept.answer)))
            self.end_headers()
            self.wfile.write(kept.answer)

        def do_GET(self) -> None:
            self._take()

        def do_POST(self) -> None:
            self._take()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    kept = Receiver(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield kept
    server.shutdown()
    server.server_close()
