"""What the receiver refuses, what it does while the store fails, and what it never writes into a log."""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voicepartner.constants import RECEIVER_LOG_INTERVAL
from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.delivery import receiver as module
from airflow_provider_voicepartner.delivery.receiver_monitoring import RateLimitedFilter, RateLimitedLog
from airflow_provider_voicepartner.delivery.store import DeliveryStore
from tests.support.receiver import SECRET, RunningReceiver, running_receiver

REPORT = {"status": "delivered", "campaignId": "1", "phoneNumber": "+33600000001", "duration": 1}
NUMBER, TEXT = "+33699999942", "planted words of a reply"


def test_64_kilobytes_are_accepted_and_one_byte_more_is_not(receiver: RunningReceiver) -> None:
    path, report = receiver.batch_path("voicepartner"), json.dumps(REPORT).encode()
    assert receiver.send("POST", path, report + b" " * (65_536 - len(report))).status == 200
    answer = receiver.send("POST", path, report + b" " * (65_537 - len(report)))
    assert (answer.status, answer.body) == (413, b"")
    assert receiver.receiver.counts.of("too_large") == 1
    assert receiver.stored() == 1


@pytest.mark.parametrize("parts", [1, 2, 65_536])
def test_a_body_of_64_kilobytes_is_read_to_its_last_byte(parts: int) -> None:
    """A boundary that slips would answer 200 and keep nothing."""

    def read(body: bytes, headers: dict[bytes, bytes]) -> bytes:
        size = -(-len(body) // parts)
        messages = [
            {"type": "http.request", "body": body[at : at + size], "more_body": at + size < len(body)}
            for at in range(0, len(body), size)
        ]

        async def receive() -> Any:
            return messages.pop(0)

        return asyncio.run(module.read_body(headers, receive))

    body = bytes(range(256)) * 256
    for headers in ({}, {b"content-length": b"65536"}):
        assert read(body, headers) == body
        with pytest.raises(module.BodyError, match="too_large"):
            read(body + b"x", headers)


@pytest.mark.parametrize(
    ("said", "is_refused_unread"),
    [(b"1114112", False), (b"1114113", True), (b"9" * 30, True), (b"-1", False), (b"x", False)],
)
def test_a_body_that_says_it_is_much_too_large_is_refused_unread(
    said: bytes, is_refused_unread: bool
) -> None:
    asked = []

    async def receive() -> Any:
        asked.append(1)
        return {"type": "http.request", "body": b"x" * 65_537, "more_body": False}

    with pytest.raises(module.BodyError) as caught:
        asyncio.run(module.read_body({b"content-length": said}, receive))
    assert caught.value.status == 413
    assert bool(asked) is not is_refused_unread


def test_a_client_that_hangs_up_in_the_middle_is_counted_as_gone() -> None:
    messages = [{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return messages.pop(0)

    with pytest.raises(module.BodyError, match=r"^gone$") as caught:
        asyncio.run(module.read_body({}, receive))
    assert caught.value.status == 400


def test_a_store_that_takes_too_long_is_a_503_and_not_an_error_of_ours(
    receiver: RunningReceiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "COMMIT_TIMEOUT", 0.1)
    go, real = threading.Event(), DeliveryStore.write

    def write(store: DeliveryStore, items: Any) -> int:
        go.wait(30)
        return real(store, items)

    monkeypatch.setattr(DeliveryStore, "write", write)
    path = receiver.batch_path("voicepartner")
    answer = receiver.post(path, REPORT)
    assert (answer.status, answer.body, answer.headers["retry-after"]) == (503, b"", "5")
    assert receiver.send("GET", "/voicepartner/health").status == 503
    assert "the store did not answer in time" in caplog.text
    assert receiver.receiver.counts.of("not_kept", "voicepartner") == 1
    go.set()
    assert receiver.post(path, REPORT).status == 200


def test_health_is_cached_for_a_second(receiver: RunningReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_000.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0], time=lambda: now[0]))
    moods = Moods(monkeypatch)

    def status() -> int:
        return receiver.send("GET", "/voicepartner/health").status

    assert status() == 200
    before = receiver.receiver.writer.counts.commits
    moods.mood = StoreUnavailableError("away")
    now[0] += 0.9
    assert [status() for _ in range(5)] == [200] * 5
    assert receiver.receiver.writer.counts.commits == before
    now[0] += 0.1
    assert status() == 503
    moods.mood = None
    now[0] += 0.9
    assert [status() for _ in range(5)] == [503] * 5
    now[0] += 0.1
    assert status() == 200
    assert receiver.receiver.writer.counts.commits == before + 1


def test_simultaneous_health_requests_share_one_check(
    receiver: RunningReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, real, asked = threading.Event(), DeliveryStore.write, []

    def write(store: DeliveryStore, items: Any) -> int:
        asked.append(items)
        go.wait(30)
        return real(store, items)

    monkeypatch.setattr(DeliveryStore, "write", write)
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(receiver.send("GET", "/voicepartner/health").status))
        for _ in range(10)
    ]
    for thread in threads:
        thread.start()
    while not asked:
        time.sleep(0.01)
    time.sleep(0.2)
    go.set()
    for thread in threads:
        thread.join(30)
    assert answers == [200] * 10
    assert len(asked) == 1


def test_a_body_that_does_not_say_how_large_it_is_is_refused_while_it_comes(
    receiver: RunningReceiver,
) -> None:
    head = f"POST {receiver.batch_path('voicepartner')} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"186a0\r\n" + b"x" * 100_000 + b"\r\n"
    sent = 0
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=30) as connection:
        connection.sendall(head.encode())
        try:
            while sent < 100_000_000:
                connection.sendall(chunk)
                sent += 100_000
        except OSError:
            pass
    assert sent < 50_000_000  # it hung up long before the end; what was under way stood in buffers
    assert receiver.receiver.counts.of("too_large") == 1
    assert receiver.stored() == 0


def test_a_chunked_body_of_the_right_size_is_accepted(receiver: RunningReceiver) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=30)
    parts = [part.encode() for part in json.dumps(REPORT)]
    connection.request("POST", receiver.batch_path("voicepartner"), body=iter(parts), encode_chunked=True,
                       headers={"Transfer-Encoding": "chunked"})  # fmt: skip
    assert connection.getresponse().status == 200
    connection.close()
    assert receiver.stored() == 1


def test_a_body_that_does_not_come_is_not_waited_for(
    receiver: RunningReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BODY_TIMEOUT", 0.1)
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=30) as connection:
        head = f"POST {receiver.batch_path('voicepartner')} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
        connection.sendall(head.encode() + b"{")
        assert connection.recv(100).startswith(b"HTTP/1.1 408")
    assert receiver.receiver.counts.of("too_slow") == 1
    assert receiver.stored() == 0


def test_a_client_that_goes_away_leaves_nothing(receiver: RunningReceiver) -> None:
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=30) as connection:
        head = f"POST {receiver.batch_path('voicepartner')} HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n"
        connection.sendall(head.encode() + json.dumps(REPORT).encode())
    assert receiver.post(receiver.batch_path("voicepartner"), REPORT).status == 200
    assert receiver.stored() == 1


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_refused_with_any_token(method: str, receiver: RunningReceiver) -> None:
    for path in (receiver.batch_path("smspartner"), "/voicepartner/callbacks/smspartner/wrong"):
        answer = receiver.send(method, path)
        assert (answer.status, answer.body, answer.headers["allow"]) == (405, b"", "GET, POST")
    assert receiver.stored() == 0


class Moods:
    """A store that fails when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.mood: Exception | None = None
        self.poison = ""
        real = DeliveryStore.write

        def write(store: DeliveryStore, items: Any) -> int:
            if self.mood is not None:
                raise self.mood
            if self.poison and any(self.poison in repr(getattr(item, "event", "")) for item in items):
                raise ValueError(f"cannot store {TEXT}")
            return real(store, items)

        monkeypatch.setattr(DeliveryStore, "write", write)


@pytest.mark.parametrize("mood", [StoreUnavailableError("the disk is full"), ValueError(TEXT), MemoryError()])
def test_a_store_that_fails_is_a_503_and_the_next_try_is_stored(
    mood: Exception,
    receiver: RunningReceiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    moods, path = Moods(monkeypatch), receiver.batch_path("voicepartner")
    moods.mood = mood
    answer = receiver.post(path, REPORT)
    assert (answer.status, answer.body) == (503, b"")
    assert receiver.send("GET", "/voicepartner/health").status == 503
    moods.mood = None
    assert receiver.post(path, REPORT).status == 200
    assert receiver.stored() == 1
    assert receiver.receiver.counts.of("not_kept", "voicepartner") == 1
    assert TEXT not in caplog.text


def test_a_report_that_the_store_refuses_fails_no_other(
    receiver: RunningReceiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    moods, path = Moods(monkeypatch), receiver.batch_path("voicepartner")
    moods.poison = "poisonous"
    reports = [REPORT | {"phoneNumber": f"+3360000{place:04d}"} for place in range(20)]
    reports[7]["status"] = "poisonous"
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda report=report: answers.append(receiver.post(path, report).status))
        for report in reports
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert answers == [200] * 20
    assert len(receiver.rows("delivery_report")) == 19
    (letter,) = receiver.rows("dead_letter")
    assert json.loads(letter["body"]) == reports[7]
    assert receiver.receiver.counts.of("dead_letters", "voicepartner") == 1
    assert receiver.receiver.counts.of("kept", "voicepartner") == 20
    assert "calls of voicepartner were refused by the store and are stored as dead letters" in caplog.text
    assert TEXT not in caplog.text


def test_a_store_that_cannot_be_opened_is_tried_again(tmp_path: Path) -> None:
    url, missing = f"sqlite:///{tmp_path / 'store.db'}", [StoreUnavailableError("not there yet")]

    def opened() -> Store:
        if missing:
            raise missing.pop()
        return open_store(url)

    with running_receiver(url, opened=opened) as receiver:
        path = receiver.batch_path("voicepartner")
        missing *= 2
        assert receiver.post(path, REPORT).status in (200, 503)
        assert receiver.post(path, REPORT).status == 200
        assert receiver.stored() == 1


def test_a_file_that_was_removed_under_it_is_made_anew(receiver: RunningReceiver, tmp_path: Path) -> None:
    path = receiver.batch_path("voicepartner")
    assert receiver.post(path, REPORT).status == 200
    for file in tmp_path.glob("received.db*"):
        file.unlink()
    answers = [receiver.post(path, REPORT).status for _ in range(3)]
    assert answers == [503, 200, 200]  # the gateway is told to call again
    assert receiver.stored() == 1


def test_no_secret_number_or_text_is_logged(
    receiver: RunningReceiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    tokens = []
    for gateway in ("smspartner", "voicepartner"):
        path = receiver.batch_path(gateway)
        tokens.append(path.rpartition("/")[2])
        for body in (
            {"phone": NUMBER, "phoneNumber": NUMBER, "status": "delivered"}, {"text": TEXT},
            {"text": TEXT, "phone": "x"},
            {"type": "response", "phone_number": NUMBER, "text": TEXT}, {"mccMnc": TEXT}, [TEXT], TEXT,
        ):  # fmt: skip
            assert receiver.post(path, body).status == 200
        assert receiver.send("GET", f"{path}?phone={NUMBER}&text={TEXT.replace(' ', '+')}").status == 200
        receiver.send("POST", path[:-1], b"{}")
    moods = Moods(monkeypatch)
    moods.mood = ValueError(TEXT + NUMBER)
    assert receiver.post(path, {"text": TEXT}).status == 503
    assert "Receiver: calls of smspartner could not be read" in caplog.text
    for planted in (
        SECRET,
        NUMBER,
        NUMBER[1:],
        TEXT,
        TEXT.replace(" ", "+"),
        *tokens,
        *(t[:-1] for t in tokens),
    ):
        assert planted not in caplog.text


def test_a_flood_does_not_fill_the_log(receiver: RunningReceiver, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(50):
        receiver.send("POST", "/voicepartner/callbacks/smspartner/wrong", b"{}")
        with socket.create_connection(("127.0.0.1", receiver.port), timeout=30) as connection:
            connection.sendall(b"this is not HTTP\r\n\r\n")
            connection.recv(1_000)
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) <= 2


def test_the_log_counts_the_lines_that_it_left_out(caplog: pytest.LogCaptureFixture) -> None:
    now = [1_000.0]
    counted = RateLimitedLog(logging.getLogger("counted"), clock=lambda: now[0])
    for _ in range(10):
        counted.warning("something happened", "once")
    now[0] += RECEIVER_LOG_INTERVAL
    counted.warning("something happened")
    assert [record.getMessage() for record in caplog.records] == [
        "Receiver: something happened (1 since the last such line): once",
        "Receiver: something happened (10 since the last such line)",
    ]


def test_another_librarys_lines_come_once_a_minute_and_without_tracebacks() -> None:
    now = [1_000.0]
    quiet = RateLimitedFilter(clock=lambda: now[0])

    def record(text: str, level: int = logging.ERROR) -> logging.LogRecord:
        error = ValueError(TEXT)
        return logging.LogRecord("x", level, "x", 1, text, (), (ValueError, error, None))

    first = record("failed")
    assert quiet.filter(first)
    assert first.exc_info is None
    assert not quiet.filter(record("failed"))
    assert quiet.filter(record("failed otherwise"))
    assert quiet.filter(record("failed", logging.INFO))
    now[0] += RECEIVER_LOG_INTERVAL
    assert quiet.filter(record("failed"))
