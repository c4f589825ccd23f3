"""What a client sees of each fault, and whether the message was taken."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from typing import Any

import pytest
import requests

from .conftest import KEY, Api

NUMBER = "+33600000001"
BODY = json.dumps({"apiKey": KEY, "phoneNumbers": NUMBER, "message": "Hello"}).encode()
REQUEST = (
    b"POST /smspartner/v1/send HTTP/1.1\r\nHost: sandbox\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
)


def _raw(api: Api) -> bytes:
    """Send one SMS over a bare socket; return all that comes back until the other side closes."""
    with socket.create_connection(("127.0.0.1", api.sandbox.port), timeout=10) as plug:
        plug.sendall(REQUEST)
        received = b""
        while chunk := plug.recv(65_536):
            received += chunk
        return received


def _complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged as more than news: a server that sees a drop as its own mistake would say so here."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def _fault(api: Api, kind: str, **options: Any) -> None:
    api.control("POST", "/faults", json={"kind": kind, **options})


@pytest.mark.parametrize(("kind", "taken"), [("drop_before", 0), ("drop_after", 1)])
def test_a_drop_closes_the_connection_without_a_byte(
    api: Api, kind: str, taken: int, caplog: pytest.LogCaptureFixture
) -> None:
    _fault(api, kind)
    with caplog.at_level(logging.WARNING):
        assert _raw(api) == b""
    assert api.sent_to("smspartner", NUMBER) == taken
    assert _complaints(caplog) == []


def test_a_drop_in_mid_answer(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    _fault(api, "drop_mid_answer")
    with caplog.at_level(logging.WARNING):
        head, _, body = _raw(api).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert body.startswith(b'{"success":true')
    assert not body.endswith(b"}")
    assert api.sent_to("smspartner", NUMBER) == 1
    assert _complaints(caplog) == []


def test_a_reset(api: Api) -> None:
    _fault(api, "drop_after", reset=True)
    with pytest.raises(ConnectionResetError):
        _raw(api)
    assert api.sent_to("smspartner", NUMBER) == 1


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("drop_before", requests.exceptions.ConnectionError),
        ("drop_after", requests.exceptions.ConnectionError),
        ("drop_mid_answer", requests.exceptions.ChunkedEncodingError),
    ],
)
def test_what_requests_makes_of_drops(api: Api, kind: str, error: type[Exception]) -> None:
    _fault(api, kind)
    with pytest.raises(error):
        api.send()
    assert api.send().status_code == 200


def test_a_timeout_takes_the_message_and_never_answers(api: Api) -> None:
    _fault(api, "timeout")
    with pytest.raises(requests.exceptions.ReadTimeout):
        api.call("smspartner", "POST", "/send", json=json.loads(BODY), timeout=0.1)
    assert api.sent_to("smspartner", NUMBER) == 1


def test_a_timeout_answers_when_released(api: Api) -> None:
    _fault(api, "timeout")
    got: list[int] = []
    other = Api(api.sandbox)
    thread = threading.Thread(target=lambda: got.append(other.send().json()["message_id"]))
    thread.start()
    deadline = time.monotonic() + 5
    while not api.control("POST", "/faults/release")["released"] and time.monotonic() < deadline:
        pass
    thread.join(timeout=5)
    assert len(got) == 1


def test_a_reset_of_the_sandbox_releases_too(api: Api) -> None:
    _fault(api, "timeout")
    got: list[int] = []
    other = Api(api.sandbox)
    thread = threading.Thread(target=lambda: got.append(other.send().status_code))
    thread.start()
    deadline = time.monotonic() + 5
    while not api.control("GET", "")["hanging"] and time.monotonic() < deadline:
        pass
    api.control("POST", "/reset")
    thread.join(timeout=5)
    assert got == [200]
    assert api.control("GET", "/counts")["smspartner"]["messages"] == 0


def test_a_hanging_request_is_forgotten_when_its_client_leaves(api: Api) -> None:
    _fault(api, "timeout")
    with pytest.raises(requests.exceptions.ReadTimeout):
        api.call("smspartner", "POST", "/send", json=json.loads(BODY), timeout=0.05)
    deadline = time.monotonic() + 5
    while api.control("GET", "")["hanging"] and time.monotonic() < deadline:
        pass
    assert api.control("GET", "")["hanging"] == 0


def test_a_slow_answer_is_whole(api: Api) -> None:
    _fault(api, "slow", seconds=0.1)
    started = time.monotonic()
    assert api.send().json()["success"] is True
    assert time.monotonic() - started >= 0.1


@pytest.mark.parametrize(("kind", "status"), [("429", 429), ("500", 500), ("503", 503), ("html", 502)])
@pytest.mark.parametrize("taken", [None, True, False])
def test_error_answers(api: Api, kind: str, status: int, taken: bool | None) -> None:
    _fault(api, kind, taken=taken)
    answer = api.send()
    assert answer.status_code == status
    assert api.sent_to("smspartner", NUMBER) == int(bool(taken))
    assert ("<html>" in answer.text) == (kind == "html")


def test_retry_after(api: Api) -> None:
    _fault(api, "429", retry_after=7)
    _fault(api, "429")
    assert api.send().headers["Retry-After"] == "7"
    assert "Retry-After" not in api.send().headers


def test_an_answer_without_an_id(api: Api) -> None:
    _fault(api, "queued_without_id", times=None)
    queued = {"success": True, "code": 200, "message": "Request queued for processing"}
    assert api.send().json() == queued
    assert api.call("smspartner", "GET", "/no/such/page").json() == queued
    assert api.sent_to("smspartner", NUMBER) == 0
    api.control("DELETE", "/faults")
    assert api.send().json()["message_id"]


def test_broken_answers_are_of_taken_messages(api: Api) -> None:
    for kind in ("wrong_json", "truncated_json", "empty"):
        _fault(api, kind)
    assert isinstance(api.send().json(), list)
    truncated = api.send()
    assert truncated.text.startswith('{"success"')
    with pytest.raises(requests.exceptions.JSONDecodeError):
        truncated.json()
    empty = api.send()
    assert (empty.status_code, empty.content) == (200, b"")
    assert api.sent_to("smspartner", NUMBER) == 3


def test_faults_pick_their_requests(api: Api) -> None:
    _fault(api, "500", gateway="smspartner", method="post", path="/send", skip=1, times=2)
    assert api.sms_get("/me").status_code == 200
    assert api.octopush_sms().status_code == 201
    assert [api.send().status_code for _ in range(4)] == [200, 500, 500, 200]
    assert api.control("GET", "/faults")["faults"] == []


def test_a_fault_is_dropped_by_its_id(api: Api) -> None:
    one, two = api.control("POST", "/faults", json=[{"kind": "500"}, {"kind": "503"}])["ids"]
    api.control("DELETE", f"/faults/{one}")
    assert [fault["id"] for fault in api.control("GET", "/faults")["faults"]] == [two]
    assert api.send().status_code == 503
    assert api.session.delete(f"{api.sandbox.url}/_sandbox/faults/{two}").status_code == 404


def test_a_refused_request_is_not_taken_even_if_the_fault_would(api: Api) -> None:
    _fault(api, "drop_after")
    with pytest.raises(requests.exceptions.ConnectionError):
        api.send(message="")
    [record] = api.control("GET", "/requests")["requests"]
    assert (record["fault"], record["taken"], record["status"]) == ("drop_after", False, None)


def test_the_control_api_is_spared(api: Api) -> None:
    _fault(api, "drop_before", times=None)
    assert api.control("GET", "")["faults"] == 1
