"""Connections that were silent for long are not used: what was in between may have forgotten them."""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from airflow_provider_voicepartner.constants import LONGEST_IDLE
from airflow_provider_voicepartner.exceptions import RetryableNotSentError, SendOutcomeUnknownError
from airflow_provider_voicepartner.gateways.wire import ApiRequest
from airflow_provider_voicepartner.hooks.http import HttpSender
from airflow_provider_voicepartner.hooks.http_session import new_session
from tests.support.servers import FakeTime

SEND = ApiRequest(
    endpoint="send", method="POST", path="send", safe_to_repeat=False, body={"to": "+33612345678"}
)
READ = ApiRequest(endpoint="me", method="GET", path="me", safe_to_repeat=True)
RESET = b"\x01\x00\x00\x00\x00\x00\x00\x00"


@dataclass
class Forgetful:
    """
    A server behind a firewall that forgets silent connections: their next bytes are answered with a reset.

    :param context: TLS.
    :param proxy: answers a ``CONNECT`` first, as a proxy does that leads to this server itself.
    """

    context: ssl.SSLContext | None = None
    proxy: bool = False
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    resets: int = 0
    forgotten: set[int] = field(default_factory=set)
    open: dict[int, socket.socket] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def forget(self) -> None:
        """Forget every connection there is."""
        self.forgotten |= set(self.open)

    def stop(self) -> None:
        """Stop listening and hang up."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for connection in list(self.open.values()):
            connection.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        self.open[number] = connection
        with contextlib.suppress(OSError):
            if self.proxy:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            encrypted = self.context.wrap_socket(connection, server_side=True) if self.context else connection
            while data := encrypted.recv(65_536):
                while b"\r\n\r\n" not in data or (data.startswith(b"POST") and not data.endswith(b"}")):
                    data += encrypted.recv(65_536)
                if number in self.forgotten:
                    # As a firewall far away would: its reset comes when the whole request has left.
                    self.resets += 1
                    encrypted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    break
                self.requests.append(data)
                encrypted.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            encrypted.close()
        connection.close()
        self.open.pop(number, None)


@contextlib.contextmanager
def forgetful(**settings: Any) -> Iterator[Forgetful]:
    server = Forgetful(**settings)
    try:
        yield server
    finally:
        server.stop()


def sender_for(url: str, time: FakeTime) -> HttpSender:
    return HttpSender(
        gateway="smspartner", base_url=url, connect_timeout=5.0, read_timeout=5.0,
        session=new_session(clock=lambda: time.moment), sleep=time.sleep, now=time.now,
    )  # fmt: skip


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a key and a certificate of 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    both = tmp_path_factory.mktemp("tls") / "both.pem"
    both.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    return both


@pytest.mark.parametrize("request_", [SEND, READ], ids=["send", "read"])
@pytest.mark.parametrize(
    ("silence", "connections"), [(0, 1), (29.9, 1), (LONGEST_IDLE, 2), (40, 2), (86_400, 2)]
)
def test_a_connection_is_used_again_for_less_than_half_a_minute(
    silence: float, connections: int, request_: ApiRequest
) -> None:
    time = FakeTime()
    with forgetful() as server:
        sender = sender_for(f"http://127.0.0.1:{server.port}", time)
        sender.send(SEND)
        time.moment += silence
        if connections == 2:
            server.forget()  # so it is at the latest
        assert sender.send(request_).status == 200
        assert (len(server.requests), server.connections, server.resets) == (2, connections, 0)


def test_a_connection_that_was_forgotten_sooner_leaves_a_doubt() -> None:
    """This is what the other tests would end in, if their connections were used again."""
    with forgetful() as server:
        sender = sender_for(f"http://127.0.0.1:{server.port}", FakeTime())
        sender.send(SEND)
        server.forget()
        with pytest.raises(SendOutcomeUnknownError):
            sender.send(SEND)
        assert server.resets == 1


def test_each_use_begins_the_time_anew_and_each_connection_has_its_own() -> None:
    time = FakeTime()
    with forgetful() as server:
        sender = sender_for(f"http://127.0.0.1:{server.port}", time)
        for _ in range(5):
            sender.send(SEND)
            time.moment += 20
        assert server.connections == 1
        together = threading.Barrier(2)
        threads = [threading.Thread(target=lambda: (together.wait(5), sender.send(SEND))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert len(server.requests) == 7
        time.moment += 30
        server.forget()
        sender.send(SEND)
        sender.send(SEND)
        assert server.resets == 0


@pytest.mark.parametrize("proxy", [False, True])
def test_a_connection_by_tls_and_through_a_proxy_is_not_used_again_either(
    proxy: bool, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    time = FakeTime()
    with forgetful(context=context, proxy=proxy) as server:
        if proxy:
            monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{server.port}")
        sender = sender_for(f"https://127.0.0.1:{server.port}", time)
        for silence, connections in ((0, 1), (29, 1), (30, 2)):
            time.moment += silence
            if connections == 2:
                server.forget()
            assert sender.send(SEND).status == 200
            assert (server.connections, server.resets) == (connections, 0)


def test_a_process_that_froze_between_taking_a_connection_and_using_it_takes_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Twice: before anything was written, and when the headers are gone and the body is next."""
    time = FakeTime()
    with forgetful() as server:
        sender = sender_for(f"http://127.0.0.1:{server.port}", time)
        sender.send(SEND)
        looks: list[float] = []

        def freeze() -> None:
            looks.append(time.moment)
            if len(looks) in (2, 3):  # at the body
                time.moment += 60
                server.forget()

        sender.may_leave = freeze
        assert sender.send(SEND).status == 200
        assert len(server.requests) == 2
        assert not any(b"33612345678" in request for request in server.requests[2:])


def test_a_server_that_closes_while_the_headers_leave_leaves_no_doubt() -> None:
    """The body was not read, so it did not leave."""
    time = FakeTime()
    with forgetful() as server:
        sender = sender_for(f"http://127.0.0.1:{server.port}", time)
        sender.retry = replace(sender.retry, attempts=1)

        looks = itertools.count()

        def gone() -> None:
            if next(looks) == 1:  # at the body
                raise ConnectionResetError(104, "reset")

        sender.may_leave = gone
        with pytest.raises(RetryableNotSentError, match="before the request left"):
            sender.send(SEND)
        assert server.requests == []
