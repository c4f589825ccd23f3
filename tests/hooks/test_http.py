"""A send arrives at most once, whatever the wire does; a read is repeated."""

from __future__ import annotations

import logging
import socket
import ssl
from dataclasses import replace
from datetime import UTC, datetime
from random import Random

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError, ProtocolError

from airflow_provider_voicepartner.exceptions import (
    CampaignInterruptedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.gateways.wire import ApiRequest, ApiResponse
from airflow_provider_voicepartner.hooks.http import (
    HttpSender,
    _kind_of,
    asked_wait,
    provably_not_sent,
)
from airflow_provider_voicepartner.hooks.http_session import hide_from_http_logs, new_session
from airflow_provider_voicepartner.sending.transport import Slot
from tests.support.gate import FakeGate
from tests.support.servers import (
    CountingServer,
    FakeTime,
    answer,
    close_after_reading,
    close_before_reading,
    close_in_the_answer,
    counting_server,
    never_answer,
)

SECRET = "planted-key-in-the-path"
SEND = ApiRequest(
    endpoint="send", method="POST", path=f"send/{SECRET}", safe_to_repeat=False, body={"to": "+33612345678"}
)
READ = ApiRequest(endpoint="me", method="GET", path=f"me/{SECRET}", safe_to_repeat=True)
GOOD = answer(200, '{"success": true}')


def sender_for(url: str, time: FakeTime, read_timeout: float = 5.0) -> HttpSender:
    return HttpSender(
        gateway="smspartner",
        base_url=url,
        connect_timeout=2.0,
        read_timeout=read_timeout,
        secrets=(SECRET,),
        session=new_session(),
        sleep=time.sleep,
        now=time.now,
        random=Random(1),
    )


IN_DOUBT = {
    "closed before reading": (close_before_reading, 0),
    "closed after reading": (close_after_reading, 1),
    "closed in the answer": (close_in_the_answer, 1),
    "read timeout": (never_answer, 1),
}


@pytest.mark.parametrize("name", IN_DOUBT)
def test_a_send_without_an_answer_is_in_doubt_and_never_repeated(name: str) -> None:
    behave, arrived = IN_DOUBT[name]
    time = FakeTime()
    with counting_server(behave, GOOD) as server:
        with pytest.raises(SendOutcomeUnknownError, match="may have accepted it") as caught:
            sender_for(server.url, time, read_timeout=0.3).send(SEND)
        assert len(server.received) == arrived
        assert server.connections == 1
    assert time.slept == []
    assert SECRET not in str(caught.value)
    # A chained requests exception would carry the URL into every traceback.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize("name", IN_DOUBT)
def test_a_read_is_repeated_until_it_is_answered(name: str) -> None:
    behave, _ = IN_DOUBT[name]
    with counting_server(behave, behave, GOOD) as server:
        response = sender_for(server.url, FakeTime(), read_timeout=0.3).send(READ)
        assert response.status == 200
        assert server.connections == 3


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408, 418, 301, 302])
def test_a_send_that_is_answered_is_not_repeated_whatever_the_status(status: int) -> None:
    with counting_server(answer(status, "oops", Location="http://127.0.0.1:9/x"), GOOD) as server:
        assert sender_for(server.url, FakeTime()).send(SEND).status == status
        assert len(server.received) == 1


def test_a_redirect_is_not_followed_on_a_read_either() -> None:
    with counting_server(GOOD) as other, counting_server(answer(307, "", Location=other.url)) as server:
        assert sender_for(server.url, FakeTime()).send(READ).status == 307
        assert other.received == []


@pytest.mark.parametrize("location", ["http://[::1", "http://", "\\\\", "http://127.0.0.1:99999/"])
def test_a_malformed_redirect_is_an_answer_like_any_other(location: str) -> None:
    with counting_server(answer(302, "oops", Location=location), GOOD) as server:
        response = sender_for(server.url, FakeTime()).send(SEND)
        assert (response.status, response.body) == (302, b"oops")
        assert len(server.received) == 1


def test_https_to_a_server_that_speaks_plain_http_is_provably_not_sent() -> None:
    with counting_server(say_something_else) as server:
        with pytest.raises(RetryableNotSentError, match="nothing was sent"):
            sender_for(server.url.replace("http:", "https:"), FakeTime()).send(SEND)
        assert server.connections == 4


def test_a_proxy_that_refuses_the_way_is_provably_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with counting_server(answer(407, "")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(RetryableNotSentError, match="nothing was sent"):
            sender_for("https://gateway.invalid", FakeTime()).send(SEND)
        assert all(request.startswith(b"CONNECT gateway.invalid:443") for request in proxy.received)
        assert len(proxy.received) == 4


def say_something_else(server: CountingServer, connection: socket.socket) -> None:
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_read_is_repeated_after_an_error_page_and_then_gives_up(status: int) -> None:
    time = FakeTime()
    with counting_server(answer(status, "<html>sorry</html>")) as server:
        with pytest.raises(RetryableNotSentError, match="the gateway failed"):
            sender_for(server.url, time).send(READ)
        assert len(server.received) == 4
    assert len(time.slept) == 3


def test_an_error_with_an_explanation_goes_to_the_gateways_own_reading() -> None:
    with counting_server(answer(500, '{"success": false, "code": 10}')) as server:
        assert sender_for(server.url, FakeTime()).send(READ).status == 500
        assert len(server.received) == 1


@pytest.mark.parametrize("request_", [SEND, READ], ids=["send", "read"])
def test_429_with_retry_after_waits_as_asked_and_repeats(request_: ApiRequest) -> None:
    time = FakeTime()
    with counting_server(answer(429, "", Retry_After="7"), answer(429, "", Retry_After="3"), GOOD) as server:
        assert sender_for(server.url, time).send(request_).status == 200
        assert len(server.received) == 3
    assert time.slept == [7.0, 3.0]


def test_429_without_retry_after_backs_off() -> None:
    time = FakeTime()
    with counting_server(answer(429, ""), answer(429, ""), answer(429, ""), GOOD) as server:
        assert sender_for(server.url, time).send(SEND).status == 200
        assert len(server.received) == 4
    assert time.slept == sorted(time.slept)
    assert all(0.5 < pause < 10 for pause in time.slept)


def test_429_without_retry_after_waits_what_the_gateway_is_known_for() -> None:
    time = FakeTime()
    with counting_server(answer(429, ""), GOOD) as server:
        sender = sender_for(server.url, time)
        sender.retry = replace(sender.retry, rate_limit_wait=60.0)
        assert sender.send(SEND).status == 200
    assert time.slept == [60.0]


def test_a_long_wait_is_left_to_airflow() -> None:
    time = FakeTime()
    with counting_server(answer(429, "", Retry_After="600"), GOOD) as server:
        with pytest.raises(RetryableNotSentError) as caught:
            sender_for(server.url, time).send(SEND)
        assert len(server.received) == 1
    assert caught.value.retry_after == 600.0
    assert time.slept == []


def test_429_for_ever_gives_up_as_provably_not_sent() -> None:
    with counting_server(answer(429, "", Retry_After="1")) as server:
        with pytest.raises(RetryableNotSentError, match="rate limit"):
            sender_for(server.url, FakeTime()).send(SEND)
        assert len(server.received) == 4


def test_every_request_on_the_wire_has_a_turn_and_only_the_first_one_the_callers() -> None:
    slot, time = Slot(0.0, "taken before"), FakeTime()
    gate = FakeGate(time)
    with counting_server(answer(429, "", Retry_After="1"), answer(429, "", Retry_After="1"), GOOD) as server:
        sender = sender_for(server.url, time)
        sender.gate = gate
        assert sender.send(SEND, slot=slot).status == 200
        assert len(server.received) == 3
    assert gate.passed == [slot, None, None]
    assert gate.given_back == []


def test_without_a_turn_nothing_leaves() -> None:
    class TooFar(FakeGate):
        def pass_through(self, endpoint: str, slot: Slot | None) -> Slot:
            raise RetryableNotSentError("too far", retry_after=90)

    with counting_server(GOOD) as server:
        sender = sender_for(server.url, FakeTime())
        sender.gate = TooFar(FakeTime())
        with pytest.raises(RetryableNotSentError, match="too far"):
            sender.send(SEND)
        assert server.connections == 0


@pytest.mark.parametrize("names", [True, False])
def test_a_429_that_names_a_message_is_in_doubt_and_not_repeated(names: bool) -> None:
    """A gateway that took the batch and whose proxy refused the answer's way back, for instance."""
    asked: list[bytes] = []

    def names_a_send(response: ApiResponse) -> bool:
        asked.append(response.body)
        return names

    refused, time = answer(429, '{"message_id": 123}', Retry_After="1"), FakeTime()
    with counting_server(refused, GOOD) as server:
        sender = sender_for(server.url, time)
        sender.names_a_send, sender.gate = names_a_send, (gate := FakeGate(time))
        watched: list[int] = []
        sender.on_response = lambda request, response: watched.append(response.status)
        if names:
            with pytest.raises(SendOutcomeUnknownError, match=r"HTTP 429.*names a message"):
                sender.send(SEND)
        else:
            assert sender.send(SEND).status == 200
        assert len(server.received) == (1 if names else 2)
    assert asked == [b'{"message_id": 123}']
    assert watched[0] == 429  # the limit is learnt from it all the same
    assert gate.given_back == []


@pytest.mark.parametrize(
    "error", [KeyError(SECRET), ValueError(SECRET), TypeError(SECRET), RecursionError(SECRET)]
)
def test_a_429_that_a_gateway_fails_to_judge_is_in_doubt_and_not_shown(error: Exception) -> None:
    def names_a_send(response: ApiResponse) -> bool:
        raise error

    with counting_server(answer(429, '{"message_id": 123}', Retry_After="1"), GOOD) as server:
        sender = sender_for(server.url, FakeTime())
        sender.names_a_send = names_a_send
        with pytest.raises(
            SendOutcomeUnknownError, match=f"could not be read .{type(error).__name__}"
        ) as caught:
            sender.send(SEND)
        assert len(server.received) == 1
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_429_to_a_read_is_repeated_whatever_it_names() -> None:
    with counting_server(answer(429, '{"message_id": 123}', Retry_After="1"), GOOD) as server:
        sender = sender_for(server.url, FakeTime())
        sender.names_a_send = lambda response: True
        assert sender.send(READ).status == 200
        assert len(server.received) == 2


def test_no_connection_is_provably_not_sent_and_repeated() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    time = FakeTime()
    with pytest.raises(RetryableNotSentError, match="nothing was sent") as caught:
        sender_for(f"http://127.0.0.1:{port}", time).send(SEND)
    assert len(time.slept) == 3
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None


def test_an_unknown_host_is_provably_not_sent() -> None:
    sender = sender_for("http://no-such-host.invalid", FakeTime())
    with pytest.raises(RetryableNotSentError, match="nothing was sent"):
        sender.send(SEND)


def test_an_untrusted_certificate_is_provably_not_sent() -> None:
    error = requests.exceptions.SSLError(
        MaxRetryError(None, "/", reason=ssl.SSLCertVerificationError("self-signed certificate"))
    )
    assert provably_not_sent(error)


@pytest.mark.parametrize(
    "reason",
    [ProtocolError("Connection aborted."), ConnectionResetError(104, "reset"), ssl.SSLEOFError(8, "EOF")],
)
def test_a_broken_connection_proves_nothing(reason: Exception) -> None:
    assert not provably_not_sent(requests.ConnectionError(reason))


@pytest.mark.parametrize("kind", [NewConnectionError, ConnectTimeoutError])
def test_a_connection_that_never_was_proves_it(kind: type[Exception]) -> None:
    inner = kind(None, "refused")
    assert provably_not_sent(requests.ConnectionError(MaxRetryError(None, "/x", reason=inner)))


def test_errors_that_name_each_other_as_their_cause_are_looked_through_once() -> None:
    """Libraries keep the inner error in several places, and nothing keeps them from a circle."""
    outer, inner = requests.ConnectionError("outer"), ProtocolError("inner")
    outer.args, outer.__cause__ = (inner,), inner
    inner.args, inner.__cause__ = (outer, inner), outer
    assert not provably_not_sent(outer)
    inner.args = (outer, NewConnectionError(None, "refused"))
    assert provably_not_sent(outer)


def test_an_answer_that_does_not_end_is_in_doubt() -> None:
    def drip(server: CountingServer, connection: socket.socket) -> None:
        server.read(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not server.release.wait(0.05):
            connection.sendall(b" ")

    with counting_server(drip) as server, pytest.raises(SendOutcomeUnknownError):
        sender_for(server.url, FakeTime(), read_timeout=0.2).send(SEND)


def test_connections_are_pooled_and_netrc_is_not_read(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []

    def keep_alive(server: CountingServer, connection: socket.socket) -> None:
        for _ in range(2):
            seen.append(server.read(connection))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    netrc = f"{tmp_path}/netrc"
    with open(netrc, "w", encoding="utf-8") as file:
        file.write("machine 127.0.0.1 login intruder password intruder\n")
    monkeypatch.setenv("NETRC", netrc)
    with counting_server(keep_alive) as server:
        sender = sender_for(server.url, FakeTime())
        sender.send(READ)
        sender.send(SEND)
        assert server.connections == 1
    assert not any(b"authorization" in request.lower() for request in seen)
    assert all(b"airflow-provider-voicepartner/" in request for request in seen)


def test_the_http_librarys_debug_log_hides_keys(caplog: pytest.LogCaptureFixture) -> None:
    hide_from_http_logs([SECRET])
    with caplog.at_level(logging.DEBUG), counting_server(GOOD) as server:
        sender_for(server.url, FakeTime()).send(READ)
    assert "GET /me/***" in caplog.text
    assert SECRET not in caplog.text


NOW = datetime(2031, 5, 6, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "12"}, 12.0),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "999999999"}, 86_400.0),
        ({"retry-after": "Tue, 06 May 2031 12:01:30 GMT"}, 90.0),
        ({"retry-after": "Tue, 06 May 2031 11:00:00 GMT"}, 0.0),
        ({"retry-after": "Tue, 06 May 2031 14:01:30 +0200"}, 90.0),
        ({"retry-after": "Tue, 06 May 2031 12:01:30 -0000"}, 90.0),
        ({"retry-after": "Tue, 06 May 2031 12:01:30"}, 90.0),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, 86_400.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "9" * 400}, 86_400.0),
        ({"retry-after": "Tue, 06 May 99999999999999999999 12:00:00 GMT"}, None),
        ({"retry-after": "Mon, 01 Jan 0001 00:00:00 +2359"}, 0.0),
        ({"x-ratelimit-reset": str(int(NOW.timestamp()) + 42)}, 42.0),
        ({"x-ratelimit-reset": "30"}, 30.0),
        ({"x-ratelimit-reset": "999999999999"}, 86_400.0),
        ({"x-ratelimit-reset": "900000000"}, 86_400.0),
        ({"x-ratelimit-reset": "later"}, None),
        ({"retry-after": "soon", "x-ratelimit-reset": "8"}, 8.0),
    ],
)
def test_asked_wait(headers: dict[str, str], expected: float | None) -> None:
    assert asked_wait(headers, NOW) == expected


@given(st.dictionaries(st.sampled_from(["retry-after", "x-ratelimit-reset"]), st.text(max_size=40)))
def test_asked_wait_never_raises_and_is_never_negative(headers: dict[str, str]) -> None:
    wait = asked_wait(headers, NOW)
    assert wait is None or 0 <= wait <= 86_400


# A campaign that was stopped


class Stopping:
    """Lets so many questions pass, and stops everything from then on."""

    def __init__(self, passes: int) -> None:
        self.left = passes

    def __call__(self) -> None:
        if self.left <= 0:
            raise CampaignInterruptedError("stopped")
        self.left -= 1


def headers_only(server: CountingServer, connection: socket.socket) -> None:
    """Keep all that comes until the client closes the connection."""
    data = b""
    while part := connection.recv(65_536):
        data += part
    server.received.append(data)
    server.release.set()


def test_a_request_leaves_whole_when_nobody_asked_to_stop() -> None:
    with counting_server(GOOD) as server:
        sender = sender_for(server.url, FakeTime())
        sender.may_leave = Stopping(2)  # before it leaves, and before its body does: not once more after it
        assert sender.send(SEND).status == 200
        assert server.received[0].endswith(b'{"to": "+33612345678"}')


def test_a_request_does_not_leave_once_somebody_asked_to_stop() -> None:
    with counting_server(GOOD) as server:
        sender = sender_for(server.url, FakeTime())
        sender.may_leave = Stopping(0)
        with pytest.raises(CampaignInterruptedError):
            sender.send(SEND)
        assert server.connections == 0


def test_a_repeat_does_not_leave_once_somebody_asked_to_stop() -> None:
    with counting_server(answer(429, retry_after="1"), GOOD) as server:
        sender = sender_for(server.url, FakeTime())
        sender.may_leave = Stopping(2)
        with pytest.raises(CampaignInterruptedError):
            sender.send(SEND)
        assert len(server.received) == 1


def test_a_request_that_took_long_to_connect_keeps_its_body_when_somebody_asked_to_stop() -> None:
    """Between the last look and the socket lies a connection, which may take longer than anybody waits."""
    with counting_server(headers_only) as server:
        sender = sender_for(server.url, FakeTime())
        sender.may_leave = Stopping(1)
        with pytest.raises(CampaignInterruptedError):
            sender.send(SEND)
        assert server.release.wait(10)  # and the connection is closed, so that nothing follows
        [received] = server.received
        assert received.endswith(b"\r\n\r\n")
        assert b"33612345678" not in received


def test_a_transport_error_is_named_by_its_outermost_and_innermost_kind() -> None:
    assert _kind_of(TimeoutError("secret")) == "TimeoutError"
    middle = requests.ConnectionError(ProtocolError("secret", ConnectionResetError("secret")))
    assert _kind_of(middle) == "ConnectionError, ConnectionResetError"
