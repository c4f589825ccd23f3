"""A wait ends at its moment, whoever restarts in between."""

from __future__ import annotations

import asyncio
import json
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.triggers.base import TriggerEvent

from airflow_provider_voicepartner.triggers import pacing
from airflow_provider_voicepartner.triggers.pacing import WaitUntilTrigger
from tests.support.servers import FakeTime


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    """Put a clock that only sleep moves where the trigger looks."""
    fake = FakeTime()

    async def sleep(seconds: float) -> None:
        fake.sleep(seconds)

    # The module's own names and not asyncio's: other threads of the tests, such as the sandbox's, sleep too.
    monkeypatch.setattr(pacing, "time", SimpleNamespace(time=lambda: fake.moment))
    monkeypatch.setattr(pacing, "asyncio", SimpleNamespace(sleep=sleep))
    return fake


def events(trigger: WaitUntilTrigger) -> list[TriggerEvent]:
    async def collect() -> list[TriggerEvent]:
        return [event async for event in trigger.run()]

    return asyncio.run(collect())


def rebuilt(trigger: WaitUntilTrigger) -> Any:
    """Make it anew from what is stored, as a triggerer does."""
    path, arguments = json.loads(json.dumps(trigger.serialize()))
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)(**arguments)


def test_it_comes_back_from_storage_as_it_was() -> None:
    trigger = WaitUntilTrigger(1_900_000_045.5)
    again = rebuilt(trigger)
    assert type(again) is WaitUntilTrigger
    assert again.until == 1_900_000_045.5
    assert again.serialize() == trigger.serialize()


def test_it_says_once_that_the_moment_has_come(clock: FakeTime) -> None:
    until = clock.moment + 45
    assert events(WaitUntilTrigger(until)) == [TriggerEvent({"status": "due"})]
    assert clock.moment == until


def test_a_long_wait_is_slept_in_naps_that_add_up(clock: FakeTime) -> None:
    events(WaitUntilTrigger(clock.moment + 150))
    assert clock.slept == [60.0, 60.0, 30.0]


def test_a_triggerer_that_restarts_does_not_begin_to_wait_anew(clock: FakeTime) -> None:
    trigger = WaitUntilTrigger(clock.moment + 100)
    clock.moment += 90
    events(rebuilt(trigger))
    assert clock.slept == [10.0]


@pytest.mark.parametrize("ago", [0, 1, 1_000_000])
def test_a_moment_that_has_passed_is_due_at_once(clock: FakeTime, ago: float) -> None:
    assert events(WaitUntilTrigger(clock.moment - ago)) == [TriggerEvent({"status": "due"})]
    assert clock.slept == []


def test_a_clock_that_is_set_forward_ends_the_wait_with_the_next_nap(
    clock: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    naps = 0

    async def sleep(seconds: float) -> None:
        nonlocal naps
        naps += 1
        clock.moment += 3600  # an hour forward, whatever was asked for

    monkeypatch.setattr(pacing, "asyncio", SimpleNamespace(sleep=sleep))
    events(WaitUntilTrigger(clock.moment + 3000))
    assert naps == 1
