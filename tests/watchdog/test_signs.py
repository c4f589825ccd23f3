"""The dead man's switch: called each minute, never waited for, and never named in the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import pytest

from airflow_provider_voicepartner.watchdog.signs import DeadManSwitch
from tests.support.servers import CountingServer
from tests.support.watched import Clock


def answer(text: bytes) -> Callable[..., None]:
    def behave(server: CountingServer, connection: object) -> None:
        server.read(connection)  # type: ignore[arg-type]
        connection.sendall(b"HTTP/1.1 " + text + b"\r\nContent-Length: 0\r\n\r\n")  # type: ignore[attr-defined]

    return behave


def wait_for(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_it_is_called_once_a_minute() -> None:
    server, clock = CountingServer([answer(b"200 OK")]), Clock()
    switch = DeadManSwitch(f"{server.url}/planted-token", clock=clock)
    switch.press()
    wait_for(lambda: len(server.received) == 1)
    wait_for(lambda: switch._thread is not None and not switch._thread.is_alive())
    clock.advance(59)
    switch.press()
    clock.advance(2)
    switch.press()
    wait_for(lambda: len(server.received) == 2)
    assert server.received[0].startswith(b"GET /planted-token ")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/planted", "404"])
def test_one_that_does_not_work_is_logged_without_its_address(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="airflow_provider_voicepartner")
    if url == "404":
        url = f"{CountingServer([answer(b'404 Not Found')]).url}/planted"
    switch = DeadManSwitch(url)
    switch.press()
    wait_for(lambda: "The dead man's switch" in caplog.text)
    assert "planted" not in caplog.text


def test_one_that_hangs_is_not_waited_for_nor_called_again() -> None:
    def hang(server: CountingServer, connection: object) -> None:
        server.read(connection)  # type: ignore[arg-type]
        server.release.wait(60)

    server, clock = CountingServer([hang]), Clock()
    switch = DeadManSwitch(server.url, clock=clock)
    switch.press()
    wait_for(lambda: len(server.received) == 1)
    clock.advance(120)
    switch.press()
    assert server.connections == 1
    server.release.set()
