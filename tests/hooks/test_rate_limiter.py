"""The rate limit of an account: kept in a store that all processes share, and learnt from what the gateway answers."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voicepartner.constants import CONFIRM_AHEAD, DEFAULT_PENALTY, NETWORK_MARGIN
from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.exceptions import (
    ConfigurationError,
    RetryableNotSentError,
)
from airflow_provider_voicepartner.gateways.model import Recipient, Voicemail
from airflow_provider_voicepartner.gateways.wire import ApiRequest, ApiResponse
from airflow_provider_voicepartner.hooks.rate_limiter import StoreRateLimiter
from airflow_provider_voicepartner.hooks.smspartner import SmsPartnerHook
from airflow_provider_voicepartner.hooks.voicepartner import VoicePartnerHook
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.sending.campaign import CampaignSender
from airflow_provider_voicepartner.sending.campaign_spec import Campaign
from airflow_provider_voicepartner.sending.transport import RateLimitWaitTooLongError
from airflow_provider_voicepartner.settings import (
    default_store_url,
    open_sending_store,
    store_url,
)
from tests.support.gateways import requests
from tests.support.ledgers import registered
from tests.support.rate_limiters import START, Shop, answer, asked, hook_of
from tests.support.servers import FakeTime
from tests.support.tasks import FakeStore, context

SET = "AIRFLOW__VOICEPARTNER__STORE_URL"


ANNA = "+33612345678"


MINUTE = 60 + NETWORK_MARGIN - CONFIRM_AHEAD
"""When the slot after a full minute is due: a little before its moment, since it is confirmed in between."""


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

    def test_a_gateway_may_name_a_wait_of_its_own(
        self, shop: Shop, set_connection: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hook = hook_of(set_connection)
        facts = replace(hook.gateway.INFO, rate_limit_wait=7.0)
        monkeypatch.setattr(type(hook), "gateway", SimpleNamespace(INFO=facts))
        rate_limiter = shop.rate_limiter(hook)
        rate_limiter.on_response(asked(), answer(429))
        assert rate_limiter.acquire("send", None).wait == pytest.approx(7 - CONFIRM_AHEAD)
        rate_limiter.on_response(asked(), answer(429, retry_after="25"))
        assert rate_limiter.acquire("send", None).wait == pytest.approx(25 - CONFIRM_AHEAD)

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
        monkeypatch.setattr(rate_limiter.window_log, "block_for", lambda *_: 1 / 0)
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


def test_a_rate_limiter_that_is_closed_holds_no_connection(postgres_url: str, set_connection: Any) -> None:
    watching = open_store(postgres_url)

    def others() -> int:
        with watching.read() as connection:
            found = connection.exec_driver_sql(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            return int(found.scalar_one())

    def until(count: int) -> bool:
        """The server may notice a moment later that a client has gone."""
        return any(others() == count or time.sleep(0.05) for _ in range(200))

    assert until(0)
    limiter = StoreRateLimiter(open_store(postgres_url), hook_of(set_connection, "voicepartner"))
    limiter.release(limiter.acquire("tts/send", None))
    assert until(1)
    limiter.close()
    assert until(0)
    watching.close()
