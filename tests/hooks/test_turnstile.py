"""The rate limit of an account: kept in a store that all processes share, and learnt from what the gateway answers."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.exceptions import (
    CampaignInterruptedError,
    ConfigurationError,
    RetryableNotSentError,
)
from airflow_provider_voicepartner.gateways.model import Recipient, Voicemail
from airflow_provider_voicepartner.gateways.wire import ApiRequest, ApiResponse
from airflow_provider_voicepartner.hooks.smspartner import SmsPartnerHook
from airflow_provider_voicepartner.hooks.turnstile import (
    DEFAULT_PENALTY,
    LOOK_EVERY,
    MARGIN,
    StoreTurnstile,
    default_store_url,
    open_shared_store,
    store_url,
)
from airflow_provider_voicepartner.hooks.voicepartner import VoicePartnerHook
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.operators.voice import TtsCallOperator
from airflow_provider_voicepartner.sending.campaign import Campaign, CampaignSender
from airflow_provider_voicepartner.sending.ledger import Ledger
from airflow_provider_voicepartner.sending.messenger import TurnTooFarError
from airflow_provider_voicepartner.store.engine import open_store
from tests.support.gateways import fault, requests
from tests.support.servers import FakeTime
from tests.support.tasks import FakeStore, context

SET = "AIRFLOW__VOICEPARTNER__STORE_URL"
START = 1_900_000_000.0
ANNA = "+33612345678"


def hook_of(set_connection: Callable[..., str], gateway: str = "smspartner", **extra: Any) -> Any:
    set_connection(gateway, extra=json.dumps(extra))
    return {"smspartner": SmsPartnerHook, "voicepartner": VoicePartnerHook}[gateway]()


class Shop:
    """Turnstiles that share one store, as several workers do, under one clock."""

    def __init__(self, url: str) -> None:
        self.time = FakeTime(START)
        self.url = url
        self.opened: list[StoreTurnstile] = []

    def turnstile(self, hook: Any) -> StoreTurnstile:
        hook.sender.now = self.time.now
        opened = StoreTurnstile(open_store(self.url, clock=lambda: self.time.moment), hook)
        self.opened.append(opened)
        return opened


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(f"sqlite:///{tmp_path / 'store.db'}")
    yield made
    for turnstile in made.opened:
        turnstile.close()


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
    def test_lies_under_airflow_home_by_default(self, home: Path, set_connection: Callable[..., str]) -> None:
        assert store_url() is None
        assert default_store_url() == f"sqlite:///{home}/voicepartner.db"
        open_shared_store(hook_of(set_connection), "sms").close()
        assert (home / "voicepartner.db").is_file()

    def test_is_the_configured_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, airflow_home: Path, set_connection: Any
    ) -> None:
        monkeypatch.setenv(SET, f"sqlite:///{tmp_path / 'deep' / 'shared.db'}")
        open_shared_store(hook_of(set_connection), "sms").close()
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
        self, url: str, monkeypatch: pytest.MonkeyPatch, set_connection: Any
    ) -> None:
        monkeypatch.setenv(SET, url)
        with pytest.raises(ConfigurationError) as caught:
            open_shared_store(hook_of(set_connection), "sms")
        told = str(caught.value)
        assert told.startswith("[voicepartner] store_url: ")
        assert "keeping to the gateways' rate limits" in told
        assert "planted-pass" not in told
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None

    def test_a_configured_store_that_is_down_lets_airflow_retry(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, set_connection: Any
    ) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setenv(SET, f"sqlite:///{tmp_path}/file/store.db")
        with pytest.raises(
            RetryableNotSentError, match=r"^\[voicepartner\] store_url: .*Nothing was sent"
        ) as caught:
            open_shared_store(hook_of(set_connection), "sms")
        assert "rate limits" in str(caught.value)

    def test_a_database_that_cannot_be_reached_lets_airflow_retry_and_hides_its_password(
        self, monkeypatch: pytest.MonkeyPatch, set_connection: Any
    ) -> None:
        pytest.importorskip("psycopg")
        monkeypatch.setenv(SET, "postgresql://user:planted-pass@127.0.0.1:9/x")
        with pytest.raises((RetryableNotSentError, ConfigurationError)) as caught:
            open_shared_store(hook_of(set_connection), "sms")
        assert "planted-pass" not in str(caught.value)

    @pytest.mark.parametrize("url", ["mysql://user:planted-pass@db/x", "sqlite:////proc/none/store.db"])
    def test_nothing_is_sent_or_claimed_when_the_configured_store_cannot_be_used(
        self, url: str, sandbox: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
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

    def test_that_limits_are_not_shared_between_machines_is_said_where_there_is_a_limit(
        self, home: Path, set_connection: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        open_shared_store(hook_of(set_connection), "sms").close()
        assert "store_url" not in caplog.text
        open_shared_store(hook_of(set_connection, "voicepartner"), "voicemail").close()
        assert "to share it between machines, set [voicepartner] store_url" in caplog.text


class TestTurns:
    def test_come_at_the_documented_pace(self, shop: Shop, set_connection: Any) -> None:
        turnstile = shop.turnstile(hook_of(set_connection, "voicepartner"))
        waits = [turnstile.take_turn("campaign/send", None).wait for _ in range(7)]
        assert waits == [0, 0, 0, 0, 0, 60 + MARGIN, 60 + MARGIN]

    def test_come_at_the_pace_that_the_connection_says(self, shop: Shop, set_connection: Any) -> None:
        limits = {"campaign/send": "2/10, 3/100"}
        turnstile = shop.turnstile(hook_of(set_connection, "voicepartner", rate_limits=limits))
        waits = [turnstile.take_turn("campaign/send", None).wait for _ in range(4)]
        assert waits == [0, 0, 10 + MARGIN, 100 + MARGIN]
        assert turnstile.take_turn("tts/send", None).wait == 0  # another endpoint

    def test_have_no_end_where_the_connection_lifts_the_limit(self, shop: Shop, set_connection: Any) -> None:
        limits = {"campaign/send": "none"}
        turnstile = shop.turnstile(hook_of(set_connection, "voicepartner", rate_limits=limits))
        assert {turnstile.take_turn("campaign/send", None).wait for _ in range(50)} == {0}

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
            ConfigurationError, match=r"rate_limits.*no endpoint 'tts-send'; there are audio.*tts/send"
        ):
            hook_of(set_connection, "voicepartner", rate_limits={"tts-send": "1/1"}).check_connection()

    def test_are_shared_by_all_who_use_the_store(self, shop: Shop, set_connection: Any) -> None:
        hook = hook_of(set_connection, "voicepartner")
        first, second = shop.turnstile(hook), shop.turnstile(VoicePartnerHook())
        waits = [turnstile.take_turn("campaign/send", None).wait for turnstile in (first, second) * 3]
        assert waits == [0, 0, 0, 0, 0, 60 + MARGIN]

    def test_are_not_shared_with_another_account(self, shop: Shop, set_connection: Any) -> None:
        limits = {"campaign/send": "1/60"}
        ours = shop.turnstile(hook_of(set_connection, "voicepartner", rate_limits=limits))
        set_connection(
            "voicepartner", "other", password="another-key", extra=json.dumps({"rate_limits": limits})
        )
        theirs = shop.turnstile(VoicePartnerHook("other"))
        assert ours.take_turn("campaign/send", None).wait == 0
        assert theirs.take_turn("campaign/send", None).wait == 0
        assert ours.take_turn("campaign/send", None).wait > 60

    def test_that_are_too_far_are_not_taken(self, shop: Shop, set_connection: Any) -> None:
        limits = {"campaign/send": "1/60"}
        turnstile = shop.turnstile(hook_of(set_connection, "voicepartner", rate_limits=limits))
        turnstile.take_turn("campaign/send", 30)
        for _ in range(3):
            with pytest.raises(TurnTooFarError) as caught:
                turnstile.take_turn("campaign/send", 30)
            assert caught.value.wait == 60 + MARGIN

    def test_that_are_given_back_are_free_again(self, shop: Shop, set_connection: Any) -> None:
        limits = {"campaign/send": "1/60"}
        turnstile = shop.turnstile(hook_of(set_connection, "voicepartner", rate_limits=limits))
        turnstile.give_back(turnstile.take_turn("campaign/send", None))
        assert turnstile.take_turn("campaign/send", None).wait == 0

    def test_are_confirmed_when_their_time_has_come(self, shop: Shop, set_connection: Any) -> None:
        limits = {"campaign/send": "1/60"}
        turnstile = shop.turnstile(hook_of(set_connection, "voicepartner", rate_limits=limits))
        turnstile.take_turn("campaign/send", None)
        turn = turnstile.take_turn("campaign/send", None)
        shop.time.sleep(turn.wait)
        assert turnstile.confirm(turn).wait == 0

    def test_wait_again_when_a_refusal_came_in_between(self, shop: Shop, set_connection: Any) -> None:
        limits = {"campaign/send": "1/60"}
        turnstile = shop.turnstile(hook_of(set_connection, "voicepartner", rate_limits=limits))
        turnstile.take_turn("campaign/send", None)
        turn = turnstile.take_turn("campaign/send", None)
        shop.time.sleep(turn.wait)
        turnstile.watch(asked("campaign/send"), answer(429, retry_after="40"))
        again = turnstile.confirm(turn)
        assert again.wait == 40
        shop.time.sleep(40)
        assert turnstile.confirm(again).wait == 0


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
        first, second = shop.turnstile(hook), shop.turnstile(SmsPartnerHook())
        first.watch(asked(), response)
        assert first.take_turn("send", None).wait == pytest.approx(wait)
        assert second.take_turn("send", None).wait == pytest.approx(wait)
        assert second.take_turn("bulk-send", None).wait == 0

    def test_our_own_refusal_is_seen_at_once_and_that_of_others_soon(
        self, shop: Shop, set_connection: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = FakeTime(0.0)
        monkeypatch.setattr(
            "airflow_provider_voicepartner.hooks.turnstile.time.monotonic", lambda: clock.moment
        )
        first, second = shop.turnstile(hook_of(set_connection)), shop.turnstile(SmsPartnerHook())
        assert (first.take_turn("send", None).wait, second.take_turn("send", None).wait) == (0, 0)
        first.watch(asked(), answer(429, retry_after="25"))
        assert first.take_turn("send", None).wait == 25
        clock.sleep(LOOK_EVERY)
        assert second.take_turn("send", None).wait == 25

    def test_a_long_penalty_is_no_longer_than_an_hour(self, shop: Shop, set_connection: Any) -> None:
        turnstile = shop.turnstile(hook_of(set_connection))
        turnstile.watch(asked(), answer(429, retry_after="999999"))
        assert turnstile.take_turn("send", None).wait == 3600

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
        turnstile = shop.turnstile(hook_of(set_connection))
        turnstile.watch(asked(), answer(200, **headers))
        assert turnstile.take_turn("send", None).wait == 0

    def test_a_store_that_broke_never_costs_the_answer(
        self,
        shop: Shop,
        set_connection: Any,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        turnstile = shop.turnstile(hook_of(set_connection))
        monkeypatch.setattr(turnstile._pacer, "penalise", lambda *_: 1 / 0)
        turnstile.watch(asked(), answer(429, retry_after="25"))
        assert "The rate limit could not be noted: ZeroDivisionError" in caplog.text

    def test_another_process_learns_it_too(self, tmp_path: Path, set_connection: Any) -> None:
        url = f"sqlite:///{tmp_path / 'store.db'}"
        hook = hook_of(set_connection)
        turnstile = StoreTurnstile(open_store(url), hook)
        turnstile.watch(asked(), answer(429, retry_after="500"))
        turnstile.close()
        told = subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys\n"
                "from airflow_provider_voicepartner.sending.pacing import Pacer, limit_name\n"
                "from airflow_provider_voicepartner.store.engine import open_store\n"
                "name = limit_name('smspartner', 'send', '\\0' + sys.argv[2])\n"
                "print(Pacer(open_store(sys.argv[1])).reserve(name, ()).wait)\n",
                url,
                hook.credentials.api_key,
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert 400 < float(told.stdout) <= 500


@pytest.mark.parametrize("lanes", [1, 4])
def test_a_campaign_at_the_documented_kind_of_limit_is_never_refused(
    lanes: int, tmp_path: Path, set_connection: Any
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
        turnstile = StoreTurnstile(open_store(f"sqlite:///{tmp_path / 'store.db'}"), hook)
        statuses: list[int] = []

        def watch(request: ApiRequest, response: ApiResponse) -> None:
            statuses.append(response.status)
            turnstile.watch(request, response)

        hook.sender.watch = watch
        sender = CampaignSender(
            messenger=hook,
            ledger=Ledger(FakeStore(), fingerprint="f", try_number=1),
            turnstile=turnstile,
            now=hook.sender.now,
        )
        campaign = Campaign(
            message=Voicemail(audio_token="a1b2c3d4"),
            batches=[(Recipient(f"+3361234567{n}"),) for n in range(5)],
            recipients=5,
            max_in_flight=lanes,
        )
        started = time.monotonic()
        records = sender.send(campaign)
        assert [record.accepted for record in records] == [1] * 5
        assert set(statuses) == {200}
        # Five requests at two a second: a limit that nobody kept would be over at once.
        assert time.monotonic() - started >= 2
        assert set(sandbox.world.tallies["voicepartner"].numbers.values()) == {1}
        turnstile.close()
        hook.close()


class TestWaiting:
    """For requests that the batch loop took no turn for."""

    def test_keeps_the_limit_together_with_the_turns_of_the_loop(
        self, shop: Shop, set_connection: Any
    ) -> None:
        hook = hook_of(set_connection, rate_limits={"send": "2/10"})
        turnstile = shop.turnstile(hook)
        left: list[float] = []
        wait = turnstile.waiting(shop.time.sleep, None)
        for _ in range(3):
            assert turnstile.take_turn("send", None).wait == 0 or left
            left.append(shop.time.moment)
            wait("send")
            left.append(shop.time.moment)
            shop.time.sleep(10)
        for first, third in zip(left, left[2:], strict=False):
            assert third - first >= 10

    def test_that_is_too_long_is_a_request_that_did_not_leave(self, shop: Shop, set_connection: Any) -> None:
        turnstile = shop.turnstile(hook_of(set_connection, rate_limits={"send": "1/100"}))
        wait = turnstile.waiting(shop.time.sleep, 30.0)
        wait("send")
        with pytest.raises(RetryableNotSentError, match="smspartner send: the rate limit") as caught:
            wait("send")
        assert caught.value.retry_after == pytest.approx(100 + MARGIN, abs=1)
        assert shop.time.slept == []

    def test_that_is_stopped_gives_its_turn_back(self, shop: Shop, set_connection: Any) -> None:
        turnstile = shop.turnstile(hook_of(set_connection, rate_limits={"send": "1/100"}))

        def stopped(seconds: float) -> None:
            raise CampaignInterruptedError("stopped")

        turnstile.take_turn("send", None)
        with pytest.raises(CampaignInterruptedError):
            turnstile.waiting(stopped, None)("send")
        # The turn of the one that was stopped is the next one's: 100 s away and not 200.
        assert turnstile.take_turn("send", None).wait < 102

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
