"""A request leaves in its slot's moment or not at all, whatever takes long on the way out."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from urllib3.util import connection

from airflow_provider_voicepartner.constants import LONGEST_HOLD
from airflow_provider_voicepartner.exceptions import (
    CampaignInterruptedError,
    ConfigurationError,
    RetryableNotSentError,
)
from airflow_provider_voicepartner.gateways.wire import ApiRequest
from airflow_provider_voicepartner.hooks.http import HttpSender
from airflow_provider_voicepartner.hooks.http_session import new_session
from airflow_provider_voicepartner.sending.transport import Slot
from tests.support.gate import LASTS, FakeGate
from tests.support.servers import FakeTime, answer, counting_server

SEND = ApiRequest(
    endpoint="send", method="POST", path="send", safe_to_repeat=False, body={"to": "+33612345678"}
)
READ = ApiRequest(endpoint="me", method="GET", path="me", safe_to_repeat=True)
GOOD = answer(200, '{"success": true}')


class Way:
    """A sender, its rate limit, and what takes long on the way: connecting, or the look at the body."""

    def __init__(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.time = FakeTime()
        self.gate = FakeGate(self.time)
        self.slow_connects: list[float] = []
        self.freezes: list[float] = []
        self.sender = HttpSender(
            gateway="smspartner", base_url=url, connect_timeout=2.0, read_timeout=5.0, session=new_session(),
            sleep=self.time.sleep, now=self.time.now, random=Random(1), gate=self.gate,
        )  # fmt: skip
        looks = itertools.count()
        create = connection.create_connection

        def connect(*args: Any, **kwargs: Any) -> socket.socket:
            made = create(*args, **kwargs)
            self.time.moment += self.slow_connects.pop(0) if self.slow_connects else 0.0
            return made

        def look() -> None:
            if next(looks) % 2 and self.freezes:  # every second look is at the body
                self.time.moment += self.freezes.pop(0)

        monkeypatch.setattr(connection, "create_connection", connect)
        self.sender.may_leave = look


@pytest.fixture
def way(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Way]:
    return lambda url: Way(url, monkeypatch)


@pytest.mark.parametrize("request_", [SEND, READ], ids=["send", "read"])
def test_a_connection_that_takes_long_changes_its_turn_for_another_and_is_used(
    request_: ApiRequest, way: Callable[[str], Way]
) -> None:
    with counting_server(GOOD) as server:
        out = way(server.url)
        out.slow_connects = [0.6]
        assert out.sender.send(request_).status == 200
        assert (server.connections, len(server.received)) == (1, 1)
    assert (len(out.gate.passed), out.gate.renewed) == (1, 1)


@pytest.mark.parametrize("slow", [0.0, LASTS])
def test_one_that_is_quick_asks_once(slow: float, way: Callable[[str], Way]) -> None:
    with counting_server(GOOD) as server:
        out = way(server.url)
        out.slow_connects = [slow * 0.99]
        assert out.sender.send(SEND).status == 200
    assert (len(out.gate.passed), out.gate.renewed) == (1, 0)


def test_a_turn_that_is_soon_is_waited_for_with_the_connection(way: Callable[[str], Way]) -> None:
    with counting_server(GOOD) as server:
        out = way(server.url)
        out.slow_connects, out.gate.waits = [0.6], [0.0, LONGEST_HOLD]
        assert out.sender.send(SEND).status == 200
        assert (server.connections, len(server.received)) == (1, 1)
    assert out.time.slept == pytest.approx([LONGEST_HOLD])


def test_a_turn_that_is_later_is_waited_for_without_it(way: Callable[[str], Way]) -> None:
    with counting_server(GOOD, GOOD) as server:
        out = way(server.url)
        out.slow_connects, out.gate.waits = [0.6], [0.0, LONGEST_HOLD + 1]
        assert out.sender.send(SEND).status == 200
        assert (server.connections, len(server.received)) == (2, 1)
    assert [slot and slot.ticket for slot in out.gate.passed][1] is not None  # the same slot goes on
    assert out.time.slept == []


@pytest.mark.parametrize("seconds", [0.11, 15, 3600])
@pytest.mark.parametrize("times", [1, 3])
def test_a_process_that_freezes_before_the_body_keeps_it_and_begins_anew(
    seconds: float, times: int, way: Callable[[str], Way]
) -> None:
    with counting_server(GOOD) as server:
        out = way(server.url)
        out.freezes = [seconds] * times
        assert out.sender.send(SEND).status == 200
        assert server.connections == times + 1
        whole = [request for request in server.received if b"33612345678" in request]
        assert len(whole) == 1
    assert len(out.gate.passed) == times + 1
    assert None not in out.gate.passed[1:]


def test_a_machine_that_always_freezes_ends_as_not_sent(way: Callable[[str], Way]) -> None:
    with counting_server(GOOD) as server:
        out = way(server.url)
        out.freezes = [1.0] * 1000
        with pytest.raises(RetryableNotSentError, match=r"each of 20 slots .* had passed"):
            out.sender.send(SEND)
        assert server.received == []
    assert len(out.gate.given_back) == 1


@pytest.mark.parametrize("where", ["before", "at the body", "in a wait with the connection"])
def test_a_turn_of_a_request_that_is_kept_is_given_back(where: str, way: Callable[[str], Way]) -> None:
    looks = itertools.count()

    def stop() -> None:
        if where == "before" or (where == "at the body" and next(looks) == 1):
            raise CampaignInterruptedError("stopped")

    def sleep(seconds: float) -> None:
        raise CampaignInterruptedError("stopped")

    with counting_server(GOOD) as server:
        out = way(server.url)
        out.sender.may_leave, out.sender.sleep = stop, sleep
        if where.startswith("in a wait"):
            out.slow_connects, out.gate.waits = [0.6], [0.0, 1.0]
        with pytest.raises(CampaignInterruptedError):
            out.sender.send(SEND)
        assert server.received == []
    assert len(out.gate.given_back) == 1


def test_so_is_that_of_one_that_has_no_way_to_be_written(way: Callable[[str], Way]) -> None:
    out, slot = way("http://127.0.0.1:9"), Slot(0.0, 0.0)
    broken = ApiRequest(
        endpoint="send", method="POST", path="send", safe_to_repeat=False, body={"to": object()}
    )
    with pytest.raises(ConfigurationError, match="cannot be put on the wire"):
        out.sender.send(broken, slot=slot)
    assert len(out.gate.given_back) == 1


@pytest.mark.parametrize("status", [200, 429, 500])
def test_that_of_one_that_arrived_is_not(status: int, way: Callable[[str], Way]) -> None:
    with counting_server(answer(status, "{}", Retry_After="9999")) as server:
        out = way(server.url)
        if status == 429:
            with pytest.raises(RetryableNotSentError):
                out.sender.send(SEND)
        else:
            assert out.sender.send(SEND).status == status
    assert out.gate.given_back == []
