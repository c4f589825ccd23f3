"""The rate limit of an account: kept in a store that all processes share, and learnt from what the gateway answers."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.constants import CONFIRM_AHEAD, DEFAULT_PENALTY, NETWORK_MARGIN
from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.exceptions import (
    CampaignInterruptedError,
    ConfigurationError,
    RetryableNotSentError,
)
from airflow_provider_voicepartner.gateways.model import Recipient, Voicemail
from airflow_provider_voicepartner.gateways.wire import ApiRequest, ApiResponse
from airflow_provider_voicepartner.hooks.rate_limiter import StoreRateLimiter
from airflow_provider_voicepartner.hooks.registry import hook_class
from airflow_provider_voicepartner.hooks.smspartner import SmsPartnerHook
from airflow_provider_voicepartner.hooks.voicepartner import VoicePartnerHook
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.operators.voice import TtsCallOperator
from airflow_provider_voicepartner.sending.campaign import CampaignSender
from airflow_provider_voicepartner.sending.campaign_spec import Campaign
from airflow_provider_voicepartner.sending.transport import RateLimitWaitTooLongError
from airflow_provider_voicepartner.settings import (
    default_store_url,
    open_sending_store,
    store_url,
    store_wait,
)
from tests.support.gateways import fault, requests
from tests.support.ledgers import registered
from tests.support.servers import FakeTime
from tests.support.tasks import FakeStore, context

SET = "AIRFLOW__VOICEPARTNER__STORE_URL"
START = 1_900_000_000.0
ANNA = "+33612345678"
MINUTE = 60 + NETWORK_MARGIN - CONFIRM_AHEAD
"""When the slot after a full minute is due: a little before its moment, since it is confirmed in between."""


def hook_of(set_connection: Callable[..., str], gateway: str = "smspartner", **extra: Any) -> Any:
    set_connection(gateway, extra=json.dumps(extra))
    return {"smspartner": SmsPartnerHook, "voicepartner": VoicePartnerHook}[gateway]()


class Shop:
    """Rate limiters that share one store, as several workers do, under one clock."""

    def __init__(self, url: str) -> None:
        self.time = FakeTime(START)
        self.url = url
        self.opened: list[StoreRateLimiter] = []

    def rate_limiter(self, hook: Any, **settings: Any) -> StoreRateLimiter:
        hook.sender.now = self.time.now
        opened = StoreRateLimiter(open_store(self.url, clock=lambda: self.time.moment), hook, **settings)
        self.opened.append(opened)
        return opened


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(f"sqlite:///{tmp_path / 'store.db'}")
    yield made
    for rate_limiter in made.opened:
        rate_limiter.close()


def asked(endpoint: str = "send") -> ApiRequest:
    return ApiRequest(endpoint=endpoint, method="POST", path="send", safe_to_repeat=False)


def answer(status: int = 200, **headers: str) -> ApiResponse:
    return ApiResponse(
        status=status, body=b"{}", headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


@pytest.fixture
def home(airflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return AIRFLOW_HOME, with no store configured elsewhere."""
    monkeypatch.delenv(SET)
    yield airflow_home
    for left in airflow_home.glob("voicepartner.db*"):
        left.unlink()


class TestStore:
    def test_lies_under_airflow_home_by_default(self, home: Path) -> None:
        assert store_url() is None
        assert default_store_url() == f"sqlite:///{home}/voicepartner.db"
        open_sending_store().close()
        assert (home / "voicepartner.db").is_file()

    def test_is_the_configured_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, airflow_home: Path
    ) -> None:
        monkeypatch.setenv(SET, f"sqlite:///{tmp_path / 'deep' / 'shared.db'}")
        open_sending_store().close()
        assert (tmp_path / "deep" / "shared.db").is_file()
        assert not (airflow_home / "voicepartner.db").exists()

    @pytest.mark.parametrize(
        "url",
        [
            "mysql://user:planted-pass@db/x",
            "sqlite:///relative.db",
            "no url at all",
            "postgresql+odd://u:planted-pass@db/x",
        ],
    )
    def test_a_configured_address_that_cannot_work_is_named_without_its_password(
        self, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(SET, url)
        with pytest.raises(ConfigurationError) as caught:
            open_sending_store()
        told = str(caught.value)
        assert told.startswith("[voicepartner] store_url: ")
        assert "for knowing what was sent, and keeping to the gateways' rate limits" in told
        assert "planted-pass" not in told
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None

    def test_a_configured_store_that_is_down_lets_airflow_retry(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setenv(SET, f"sqlite:///{tmp_path}/file/store.db")
        with pytest.raises(
            RetryableNotSentError, match=r"^\[voicepartner\] store_url: .*Nothing was sent"
        ) as caught:
            open_sending_store()
        assert "rate limits" in str(caught.value)

    def test_a_database_that_cannot_be_reached_lets_airflow_retry_and_hides_its_password(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pytest.importorskip("psycopg")
        monkeypatch.setenv(SET, "postgresql://user:planted-pass@127.0.0.1:9/x")
        with pytest.raises((RetryableNotSentError, ConfigurationError)) as caught:
            open_sending_store()
        assert "planted-pass" not in str(caught.value)

    @pytest.mark.parametrize("url", ["mysql://user:planted-pass@db/x", "sqlite:////proc/none/store.db"])
    def test_nothing_is_sent_or_claimed_when_the_configured_store_cannot_be_used(
        self, url: str, sandbox: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_WAIT", "0")
        monkeypatch.setenv(SET, url)
        store = FakeStore()
        with pytest.raises((ConfigurationError, RetryableNotSentError)):
            SendSmsOperator(task_id="t", conn_id="smspartner_default", to=ANNA, message="x").execute(
                context(store)
            )
        assert requests(sandbox) == 0
        assert not store.values

    def test_a_home_that_cannot_be_written_to_is_no_reason_not_to_send(
        self,
        home: Path,
        sandbox: Any,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        (tmp_path / "home").touch()
        monkeypatch.setattr("airflow.configuration.AIRFLOW_HOME", str(tmp_path / "home"))
        operator = SendSmsOperator(task_id="t", conn_id="smspartner_default", to=ANNA, message="x")
        report = operator.execute(context(FakeStore()))
        assert report["counts"]["accepted"] == 1
        assert "Rate limits are kept within this process only" in caplog.text


class TestTurns:
    def test_come_at_the_documented_pace(self, shop: Shop, set_connection: Any) -> None:
        rate_limiter = shop.rate_limiter(hook_of(set_connection, "voicepartner"))
        waits = [rate_limiter.acquire("campaign/send", None).wait for _ in range(7)]
        assert waits == pytest.approx([0, 0, 0, 0, 0, MINUTE, MINUTE])

    def test_come_at_the_pace_that_the_connection_says(self, shop: Shop, set_connection: Any) -> None:
        limits = {"campaign/send": "2/10, 3/100"}
        rate_limiter = shop.rate_limiter(hook_of(set_connection, "voicepartner", rate_limits=limits))
        waits = [rate_limiter.acquire("campaign/send", None).wait for _ in range(4)]
        assert waits == pytest.approx(
            [0, 0, 10.4 - CONFIRM_AHEAD, 100 + NETWORK_MARGIN - CONFIRM_AHEAD]
        )  # a short window gets less
        assert rate_limiter.acquire("tts/send", None).wait == 0  # another endpoint

    def test_have_no_end_where_the_connection_lifts_the_limit(self, shop: Shop, set_connection: Any) -> None:
        limits = {"campaign/send": "none"}
        rate_limiter = shop.rate_limiter(hook_of(set_connection, "voicepartner", rate_limits=limits))
        assert {rate_limiter.acquire("campaign/send", None).wait for _ in range(50)} == {0}

    @pytest.mark.parametrize(
        "text", ["5", "5/0", "0/60", "5/60; 9/9", "five a minute", "5/60, 6/60", "", 5, None]
    )
    def test_a_limit_that_cannot_be_read_is_refused_with_the_connection(
        self, text: Any, set_connection: Any
    ) -> None:
        with pytest.raises(ConfigurationError, match=r"'smspartner_default'.*rate_limits"):
            hook_of(set_connection, rate_limits={"send": text}).check_connection()

    def test_of_an_endpoint_that_does_not_exist_are_refused(self, set_connection: Any) -> None:
        with pytest.raises(
            ConfigurationError,
            match=r"rate_limits.*no endpoint 'tts-send'; the endpoints are audio.*tts/send",
        ):
            hook_of(set_connection, "voicepartner", rate_limits={"tts-send": "1/1"}).check_connection()

    def test_are_shared_by_all_who_use_the_store(self, shop: Shop, set_connection: Any) -> None:
        hook = hook_of(set_connection, "voicepartner")
        first, second = shop.rate_limiter(hook), shop.rate_limiter(VoicePartnerHook())
        waits = [rate_limiter.acquire("campaign/send", None).wait for rate_limiter in (first, second) * 3]
        assert waits == pytest.approx([0, 0, 0, 0, 0, MINUTE])

    def test_are_not_shared_with_another_account(self, shop: Shop, set_connection: Any) -> None:
        limits = {"campaign/send": "1/60"}
        ours = shop.rate_limiter(hook_of(set_connection, "voicepartner", rate_limits=limits))
        set_connection(
            "voicepartner", "other", password="another-key", extra=json.dumps({"rate_limits": limits})
        )
        theirs = shop.rate_limiter(VoicePartnerHook("other"))
        assert ours.acquire("campaign/send", None).wait == 0
        assert theirs.acquire("campaign/send", None).wait == 0
        assert ours.acquire("campaign/send", None).wait > 60

    def test_that_are_too_far_are_not_taken(self, shop: Shop, set_connection: Any) -> None:
        limits = {"campaign/send": "1/60"}
        rate_limiter = shop.rate_limiter(hook_of(set_connection, "voicepartner", rate_limits=limits))
        rate_limiter.acquire("campaign/send", 30)
        for _ in range(3):
            with pytest.raises(RateLimitWaitTooLongError) as caught:
                rate_limiter.acquire("campaign/send", 30)
            assert caught.value.wait == 60 + NETWORK_MARGIN

    def test_that_are_given_back_are_free_again(self, shop: Shop, set_connection: Any) -> None:
        limits = {"campaign/send": "1/60"}
        rate_limiter = shop.rate_limiter(hook_of(set_connection, "voicepartner", rate_limits=limits))
        rate_limiter.release(rate_limiter.acquire("campaign/send", None))
        assert rate_limiter.acquire("campaign/send", None).wait == 0

    def test_that_a_gate_gives_back_are_free_again_too(self, shop: Shop, set_connection: Any) -> None:
        limits = {"campaign/send": "1/60"}
        rate_limiter = shop.rate_limiter(hook_of(set_connection, "voicepartner", rate_limits=limits))
        gate = rate_limiter.waiting(shop.time.sleep, None)
        gate.release(gate.pass_through("campaign/send", None))
        assert rate_limiter.acquire("campaign/send", None).wait == 0

    @pytest.mark.parametrize(("limit", "is_told"), [("1/60", True), ("10/1", False)])
    def test_a_turn_that_is_far_away_is_told_in_the_log(
        self, shop: Shop, set_connection: Any, limit: str, is_told: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO")
        rate_limiter = shop.rate_limiter(
            hook_of(set_connection, "voicepartner", rate_limits={"campaign/send": limit})
        )
        for _ in range(2):
            rate_limiter.acquire("campaign/send", None)
        assert ("The next slot at the rate limit of campaign/send is in 60 s" in caplog.text) == is_told

    def test_are_confirmed_when_their_time_has_come(self, shop: Shop, set_connection: Any) -> None:
        limits = {"campaign/send": "1/60"}
        rate_limiter = shop.rate_limiter(hook_of(set_connection, "voicepartner", rate_limits=limits))
        rate_limiter.acquire("campaign/send", None)
        slot = rate_limiter.acquire("campaign/send", None)
        shop.time.sleep(slot.wait)
        assert rate_limiter.confirm(slot).wait == 0

    def test_wait_again_when_a_refusal_came_in_between(self, shop: Shop, set_connection: Any) -> None:
        limits = {"campaign/send": "1/60"}
        rate_limiter = shop.rate_limiter(hook_of(set_connection, "voicepartner", rate_limits=limits))
        rate_limiter.acquire("campaign/send", None)
        slot = rate_limiter.acquire("campaign/send", None)
        shop.time.sleep(slot.wait)
        rate_limiter.on_response(asked("campaign/send"), answer(429, retry_after="40"))
        again = rate_limiter.confirm(slot)
        assert again.wait == pytest.approx(40 - CONFIRM_AHEAD)
        shop.time.sleep(40)
        assert rate_limiter.confirm(again).wait == 0


class TestWatch:
    @pytest.mark.parametrize(
        ("response", "wait"),
        [
            (answer(429, retry_after="25"), 25),
            (answer(429), DEFAULT_PENALTY),
            (answer(429, x_ratelimit_reset=str(int(START) + 35)), 35),
            (answer(429, retry_after="0"), 0),
            (answer(200, x_ratelimit_remaining="0", x_ratelimit_reset=str(int(START) + 20)), 20),
            (answer(200, x_ratelimit_remaining=" 0 ", x_ratelimit_reset="15"), 15),
            (answer(200, x_ratelimit_remaining="1", x_ratelimit_reset="15"), 0),
            (answer(200, x_ratelimit_remaining="0"), 0),
            (answer(200, x_ratelimit_reset="15"), 0),
            (answer(200), 0),
            (answer(500), 0),
        ],
    )
    def test_an_answer_teaches_every_worker(
        self, response: ApiResponse, wait: float, shop: Shop, set_connection: Any
    ) -> None:
        hook = hook_of(set_connection)
        first, second = shop.rate_limiter(hook), shop.rate_limiter(SmsPartnerHook())
        first.on_response(asked(), response)
        due = pytest.approx(wait - CONFIRM_AHEAD if wait else 0)
        assert first.acquire("send", None).wait == due
        assert second.acquire("send", None).wait == due
        assert second.acquire("bulk-send", None).wait == 0

    def test_our_own_refusal_is_seen_at_once_and_that_of_others_soon(
        self, shop: Shop, set_connection: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = FakeTime(0.0)
        monkeypatch.setattr(
            "airflow_provider_voicepartner.hooks.rate_limiter.time.monotonic", lambda: clock.moment
        )
        first, second = shop.rate_limiter(hook_of(set_connection)), shop.rate_limiter(SmsPartnerHook())
        assert (first.acquire("send", None).wait, second.acquire("send", None).wait) == (0, 0)
        first.on_response(asked(), answer(429, retry_after="25"))
        assert first.acquire("send", None).wait == pytest.approx(25 - CONFIRM_AHEAD)
        clock.sleep(0.25)
        assert second.acquire("send", None).wait == pytest.approx(25 - CONFIRM_AHEAD)

    def test_a_long_penalty_is_no_longer_than_an_hour(self, shop: Shop, set_connection: Any) -> None:
        rate_limiter = shop.rate_limiter(hook_of(set_connection))
        rate_limiter.on_response(asked(), answer(429, retry_after="999999"))
        assert rate_limiter.acquire("send", None).wait == pytest.approx(3600 - CONFIRM_AHEAD)

    @pytest.mark.parametrize(
        "headers",
        [
            {"x_ratelimit_remaining": "many"},
            {"x_ratelimit_remaining": "9" * 5000, "x_ratelimit_reset": "9" * 5000},
            {"x_ratelimit_remaining": "-1", "x_ratelimit_reset": "-1"},
            {"retry_after": "soon"},
            {"x_ratelimit_remaining": "٠", "x_ratelimit_reset": "²"},
        ],
    )
    def test_headers_that_cannot_be_read_change_nothing(
        self, headers: dict[str, str], shop: Shop, set_connection: Any
    ) -> None:
        rate_limiter = shop.rate_limiter(hook_of(set_connection))
        rate_limiter.on_response(asked(), answer(200, **headers))
        assert rate_limiter.acquire("send", None).wait == 0

    def test_a_store_that_broke_never_costs_the_answer(
        self,
        shop: Shop,
        set_connection: Any,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        rate_limiter = shop.rate_limiter(hook_of(set_connection))
        monkeypatch.setattr(rate_limiter._window_log, "block_for", lambda *_: 1 / 0)
        rate_limiter.on_response(asked(), answer(429, retry_after="25"))
        assert (
            "The gateway's answer could not be recorded in the rate limit: ZeroDivisionError" in caplog.text
        )

    def test_another_process_learns_it_too(self, tmp_path: Path, set_connection: Any) -> None:
        url = f"sqlite:///{tmp_path / 'store.db'}"
        hook = hook_of(set_connection)
        rate_limiter = StoreRateLimiter(open_store(url), hook)
        rate_limiter.on_response(asked(), answer(429, retry_after="500"))
        rate_limiter.close()
        told = subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys\n"
                "from airflow_provider_voicepartner.sending.rate_limit import SlidingWindowLog\n"
                "from airflow_provider_voicepartner.sending.reservations import limit_name\n"
                "from airflow_provider_voicepartner.db.engine import open_store\n"
                "name = limit_name('smspartner', 'send', '\\0' + sys.argv[2])\n"
                "print(SlidingWindowLog(open_store(sys.argv[1])).reserve(name, ()).wait)\n",
                url,
                hook.credentials.api_key,
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert 400 < float(told.stdout) <= 500


@pytest.mark.parametrize("workers", [1, 4])
def test_a_campaign_at_the_documented_kind_of_limit_is_never_refused(
    workers: int, tmp_path: Path, set_connection: Any
) -> None:
    """End to end: a gateway that counts for itself, on a clock as fast as ours, and a campaign of several batches."""
    from airflow_provider_voicepartner.sandbox import running_sandbox

    limits = {"campaign/send": [{"requests": 2, "seconds": 1}]}
    settings = {"voicepartner": {"api_key": "planted-key-voice-4712", "limits": limits}}
    with running_sandbox(port=0, seed=1, speed=1, settings=settings) as sandbox:
        host = sandbox.gateway_url("voicepartner")
        extra = {"rate_limits": {"campaign/send": "2/1"}, "email_for_notification": "a@example.org"}
        set_connection("voicepartner", host=host, extra=json.dumps(extra))
        hook = VoicePartnerHook()
        rate_limiter = StoreRateLimiter(open_store(f"sqlite:///{tmp_path / 'store.db'}"), hook)
        statuses: list[int] = []

        def on_response(request: ApiRequest, response: ApiResponse) -> None:
            statuses.append(response.status)
            rate_limiter.on_response(request, response)

        hook.sender.on_response = on_response
        hook.sender.gate = rate_limiter.waiting(time.sleep, None)
        sender = CampaignSender(
            transport=hook,
            ledger=registered(FakeStore()),
            rate_limiter=rate_limiter,
            now=hook.sender.now,
        )
        campaign = Campaign(
            message=Voicemail(audio_token="a1b2c3d4"),
            batches=[(Recipient(f"+3361234567{n}"),) for n in range(5)],
            recipients=5,
            fingerprint="f",
            max_in_flight=workers,
        )
        started = time.monotonic()
        records = sender.send(campaign)
        assert [record.accepted for record in records] == [1] * 5
        assert set(statuses) == {200}
        # Five requests at two a second: a limit that nobody kept would be over at once.
        assert time.monotonic() - started >= 2
        assert set(sandbox.world.tallies["voicepartner"].numbers.values()) == {1}
        rate_limiter.close()
        hook.close()


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
        monkeypatch.setattr(rate_limiter, "_window_log", Subscription(rate_limiter._window_log))
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


class Subscription:
    """A sliding-window log that must not be asked for anything that needs the store."""

    def __init__(self, window_log: Any) -> None:
        self._window_log = window_log
        self.ahead = window_log.ahead

    def is_open(self, reservation: Any) -> bool:
        return bool(self._window_log.is_open(reservation))

    def wait_for_slot(self, reservation: Any, *args: Any, **kwargs: Any) -> Any:
        assert self._window_log.is_open(reservation)
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

            rate_limiter._window_log._retry = replace(
                rate_limiter._window_log._retry, clock=lambda: waited.moment
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

        rate_limiter._window_log._retry = replace(rate_limiter._window_log._retry, sleep=stopped)
        with pytest.raises(CampaignInterruptedError):
            rate_limiter.acquire("send", None)

    @pytest.mark.parametrize("endpoint", ["send", "me"])
    def test_ends_with_an_error_that_is_true_of_sends_and_reads(self, broken: Any, endpoint: str) -> None:
        rate_limiter, _ = broken(1e9)
        expected = rf"{endpoint}: the rate limit: the store .* gone; the request was not sent$"
        with pytest.raises(RetryableNotSentError, match=expected):
            rate_limiter.acquire(endpoint, None)

    def test_is_not_had_by_who_only_asks(self, broken: Any) -> None:
        rate_limiter, waited = broken(10, patience=0.0)
        with pytest.raises(RetryableNotSentError):
            rate_limiter.acquire("send", None)
        assert waited.slept == []

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
