"""What passes the rate limit on its way out: each request of a campaign, and how long it waits for its slot."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voicepartner.constants import CONFIRM_AHEAD, NETWORK_MARGIN
from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.exceptions import (
    CampaignInterruptedError,
    ConfigurationError,
    RetryableNotSentError,
)
from airflow_provider_voicepartner.hooks import rate_limiter as rate_limiter_module
from airflow_provider_voicepartner.hooks.rate_limiter import StoreRateLimiter, limit_polling
from airflow_provider_voicepartner.hooks.registry import hook_class
from airflow_provider_voicepartner.operators.voice import TtsCallOperator
from airflow_provider_voicepartner.settings import store_wait
from tests.support.gateways import fault
from tests.support.rate_limiters import START, Shop, answer, asked, hook_of
from tests.support.servers import FakeTime
from tests.support.tasks import FakeStore, context


class TestGate:
    """What a hook's requests pass: with the slot that the batch loop took for them, or with none."""

    def test_keeps_the_limit_whoever_took_the_turn(self, shop: Shop, set_connection: Any) -> None:
        rate_limiter = shop.rate_limiter(hook_of(set_connection, rate_limits={"send": "2/10"}))
        gate, left = rate_limiter.waiting(shop.time.sleep, None), []
        for _ in range(3):
            for slot in (rate_limiter.acquire("send", None), None):
                assert gate.is_open(gate.pass_through("send", slot))
                left.append(shop.time.moment)
        assert [round(at - START, 6) for at in left] == [0, 0, 10.4, 10.4, 20.8, 20.8]

    @pytest.mark.parametrize("late", [0.0, 0.05, 0.099])
    def test_lets_pass_who_comes_a_little_late_without_another_look(
        self, late: float, shop: Shop, set_connection: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rate_limiter = shop.rate_limiter(hook_of(set_connection, rate_limits={"send": "1/10"}))
        slot = rate_limiter.acquire("send", None)
        shop.time.sleep(late)
        monkeypatch.setattr(rate_limiter, "window_log", Subscription(rate_limiter.window_log))
        assert rate_limiter.waiting(shop.time.sleep, None).pass_through("send", slot) is slot

    @pytest.mark.parametrize("late", [0.101, 0.4, 3.0, 25.0, 3600.0])
    def test_changes_a_turn_whose_moment_is_gone_for_a_later_one(
        self, late: float, shop: Shop, set_connection: Any
    ) -> None:
        """A claim that took so long to write: the others of that time were told to leave before and after it."""
        rate_limiter = shop.rate_limiter(hook_of(set_connection, rate_limits={"send": "2/10"}))
        slots = [rate_limiter.acquire("send", None) for _ in range(4)]
        gate = rate_limiter.waiting(shop.time.sleep, None)
        shop.time.sleep(slots[2].wait + CONFIRM_AHEAD + late)
        assert not any(gate.is_open(slot) for slot in slots)
        left = []
        for slot in slots:
            gate.pass_through("send", slot)
            left.append(shop.time.moment)
        assert all(third - first >= 10 for first, third in zip(left, left[2:], strict=False))

    def test_that_is_too_long_is_a_request_that_did_not_leave(self, shop: Shop, set_connection: Any) -> None:
        rate_limiter = shop.rate_limiter(hook_of(set_connection, rate_limits={"send": "1/100"}))
        gate = rate_limiter.waiting(shop.time.sleep, 30.0)
        gate.pass_through("send", None)
        with pytest.raises(RetryableNotSentError, match="smspartner send: the rate limit") as caught:
            gate.pass_through("send", None)
        assert caught.value.retry_after == pytest.approx(100 + NETWORK_MARGIN, abs=1)
        assert shop.time.slept == []

    def test_a_turn_that_was_lost_and_is_now_too_far_is_given_back(
        self, shop: Shop, set_connection: Any
    ) -> None:
        rate_limiter = shop.rate_limiter(hook_of(set_connection, rate_limits={"send": "1/100"}))
        slot = rate_limiter.acquire("send", None)
        shop.time.sleep(5)
        others = rate_limiter.waiting(shop.time.sleep, None)
        rate_limiter.on_response(asked(), answer(429, retry_after="400"))
        with pytest.raises(RetryableNotSentError) as caught:
            rate_limiter.waiting(shop.time.sleep, 30.0).pass_through("send", slot)
        assert caught.value.retry_after == pytest.approx(400)
        others.pass_through("send", None)
        assert shop.time.moment == pytest.approx(START + 405)  # and not behind the one that was released

    def test_a_wait_that_is_stopped_gives_its_turn_back(self, shop: Shop, set_connection: Any) -> None:
        rate_limiter = shop.rate_limiter(hook_of(set_connection, rate_limits={"send": "1/100"}))

        def stopped(seconds: float) -> None:
            raise CampaignInterruptedError("stopped")

        rate_limiter.acquire("send", None)
        with pytest.raises(CampaignInterruptedError):
            rate_limiter.waiting(stopped, None).pass_through("send", None)
        # The slot of the one that was stopped is the next one's: 100 s away and not 200.
        assert rate_limiter.acquire("send", None).wait < 102

    def test_a_penalty_that_comes_while_one_waits_is_waited_for(
        self, shop: Shop, set_connection: Any
    ) -> None:
        rate_limiter = shop.rate_limiter(hook_of(set_connection, rate_limits={"send": "1/10"}))
        rate_limiter.acquire("send", None)

        def sleep(seconds: float) -> None:
            shop.time.sleep(seconds)
            if len(shop.time.slept) == 1:
                rate_limiter.on_response(asked(), answer(429, retry_after="40"))

        rate_limiter.waiting(sleep, None).pass_through("send", None)
        assert shop.time.moment == pytest.approx(START + 10.4 - CONFIRM_AHEAD + 40)

    def test_where_no_limit_is_known_only_a_penalty_is_waited_for(
        self, shop: Shop, set_connection: Any
    ) -> None:
        rate_limiter = shop.rate_limiter(hook_of(set_connection))
        gate = rate_limiter.waiting(shop.time.sleep, None)
        slot = gate.pass_through("send", None)
        shop.time.sleep(3600)
        assert gate.is_open(slot)  # there is no moment that it could miss
        rate_limiter.on_response(asked(), answer(429, retry_after="40"))
        shop.time.slept.clear()
        gate.pass_through("send", None)
        assert sum(shop.time.slept) == pytest.approx(40)
        assert len(shop.time.slept) == 2  # until shortly before, and for the rest of it

    def test_where_no_limit_is_known_the_store_is_asked_ten_times_a_second_at_most(
        self, shop: Shop, set_connection: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rate_limiter = shop.rate_limiter(hook_of(set_connection))
        window_log, asked_at = rate_limiter.window_log, list[float]()
        reserve = window_log.reserve
        monkeypatch.setattr(rate_limiter_module, "time", SimpleNamespace(monotonic=lambda: shop.time.moment))
        monkeypatch.setattr(
            window_log, "reserve", lambda *a, **k: asked_at.append(shop.time.moment) or reserve(*a, **k)
        )
        for _ in range(10):
            rate_limiter.acquire("send", None)
            shop.time.sleep(0.04)
        assert asked_at == pytest.approx([START, START + 0.12, START + 0.24, START + 0.36])


class Subscription:
    """A sliding-window log that must not be asked for anything that needs the store."""

    def __init__(self, window_log: Any) -> None:
        self.window_log = window_log
        self.ahead = window_log.ahead

    def is_open(self, reservation: Any) -> bool:
        return bool(self.window_log.is_open(reservation))

    def wait_for_slot(self, reservation: Any, *args: Any, **kwargs: Any) -> Any:
        assert self.window_log.is_open(reservation)
        return reservation


class TestPatience:
    """A store that is gone in the middle of a campaign."""

    @pytest.fixture
    def broken(
        self, shop: Shop, set_connection: Any, monkeypatch: pytest.MonkeyPatch
    ) -> Callable[..., tuple[StoreRateLimiter, FakeTime]]:
        def make(seconds: float, **settings: Any) -> tuple[StoreRateLimiter, FakeTime]:
            hook, waited = hook_of(set_connection, rate_limits={"send": "1/10", "me": "1/10"}), FakeTime(0.0)
            hook.sender.sleep = waited.sleep
            monkeypatch.setattr(time, "monotonic", lambda: waited.moment)
            rate_limiter = shop.rate_limiter(hook, **settings)
            write = rate_limiter._store.write

            def fail_for_a_while() -> Any:
                if waited.moment < seconds:
                    raise StoreUnavailableError("the store sqlite:///x cannot be used: gone")
                return write()

            rate_limiter.window_log.retry = replace(
                rate_limiter.window_log.retry, clock=lambda: waited.moment
            )
            monkeypatch.setattr(rate_limiter._store, "write", fail_for_a_while)
            return rate_limiter, waited

        return make

    @pytest.mark.parametrize("seconds", [0.05, 10, 59])
    def test_is_waited_for(self, seconds: float, broken: Any) -> None:
        rate_limiter, waited = broken(seconds)
        assert rate_limiter.acquire("send", None).wait == 0
        assert seconds <= waited.moment <= seconds + 2

    @pytest.mark.parametrize(("setting", "most"), [(None, 60), ("5", 5), ("0", 0), ("0.5", 0.5)])
    def test_ends_with_the_documented_error(
        self, setting: str | None, most: float, broken: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if setting is not None:
            monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_WAIT", setting)
        rate_limiter, waited = broken(1e9)
        with pytest.raises(
            RetryableNotSentError, match=r"rate limit: the store .* gone; the request was not sent"
        ):
            rate_limiter.acquire("send", None)
        assert waited.moment == pytest.approx(most)

    def test_holds_for_a_confirmation_too(self, shop: Shop, broken: Any) -> None:
        rate_limiter, waited = broken(0)
        slot = rate_limiter.acquire("send", None)
        shop.time.sleep(5)
        waited.moment = -10
        rate_limiter.waiting(shop.time.sleep, None).pass_through("send", slot)
        assert 0 <= waited.moment <= 2
        waited.moment = -100
        with pytest.raises(RetryableNotSentError):
            rate_limiter.confirm(slot)

    def test_ends_when_the_task_is_stopped(self, shop: Shop, set_connection: Any, broken: Any) -> None:
        rate_limiter, _ = broken(1e9)

        def stopped(seconds: float) -> None:
            raise CampaignInterruptedError("stopped")

        rate_limiter.window_log.retry = replace(rate_limiter.window_log.retry, sleep=stopped)
        with pytest.raises(CampaignInterruptedError):
            rate_limiter.acquire("send", None)

    @pytest.mark.parametrize("endpoint", ["send", "me"])
    def test_ends_with_an_error_that_is_true_of_sends_and_reads(self, broken: Any, endpoint: str) -> None:
        rate_limiter, _ = broken(1e9)
        expected = rf"{endpoint}: the rate limit: the store .* gone; the request was not sent$"
        with pytest.raises(RetryableNotSentError, match=expected):
            rate_limiter.acquire(endpoint, None)

    def test_is_not_had_by_who_only_asks(self, set_connection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        hook, waited = hook_of(set_connection, rate_limits={"send": "1/10"}), FakeTime(0.0)
        hook.sender.sleep = waited.sleep
        store = open_store("sqlite://")
        rate_limiter = limit_polling(hook, store, longest_wait=5.0)

        def fail() -> Any:
            raise StoreUnavailableError("the store sqlite:///x cannot be used: gone")

        monkeypatch.setattr(store, "write", fail)
        with pytest.raises(RetryableNotSentError):
            rate_limiter.acquire("send", None)
        assert waited.moment == 0

    @pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf", "86401"])
    def test_of_nonsense_is_refused_with_the_settings_name(
        self, text: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_WAIT", text)
        with pytest.raises(ConfigurationError, match=r"\[voicepartner\] store_wait"):
            store_wait()


class TestReads:
    def test_a_repeat_after_a_429_and_the_reads_of_a_campaign_are_paced(
        self, sandbox: Any, set_connection: Any
    ) -> None:
        """The balance may be read five times a minute: the sixth campaign in that minute does without."""
        fault(sandbox, "429", gateway="voicepartner", retry_after=0, path="tts/send")
        for number in range(7):
            TtsCallOperator(
                task_id=f"call_{number}", to=[f"+3361234567{number}"], text="Bonjour",
                conn_id="voicepartner_default", max_cost=1000, unit_price="0.1", deferrable=True,
            ).execute(context(FakeStore()))  # fmt: skip
        paths = Counter(request.path.rsplit("/", 1)[-1] for request in sandbox.world.requests)
        assert 429 not in [request.status for request in sandbox.world.requests if "/me/" in request.path]
        assert sum(sandbox.world.tallies["voicepartner"].numbers.values()) == 7
        assert paths["send"] == 8
        assert sum("/me" in request.path for request in sandbox.world.requests) == 5


@pytest.mark.parametrize("endpoint", ["bulk-status", "me", "send", "bulk-send"])
def test_a_wait_that_is_too_long_ends_with_an_error_that_is_true_of_sends_and_reads(
    endpoint: str, shop: Shop, set_connection: Any
) -> None:
    set_connection("smspartner", extra={"rate_limits": {endpoint: "1/600"}})
    gate = shop.rate_limiter(hook_class("smspartner")()).waiting(shop.time.sleep, 5)
    gate.pass_through(endpoint, None)
    with pytest.raises(RetryableNotSentError) as caught:
        gate.pass_through(endpoint, None)
    assert str(caught.value) == (
        f"smspartner {endpoint}: the rate limit: the next slot is 600 s away; the request was not sent"
    )
    assert caught.value.retry_after == pytest.approx(600, abs=1)
