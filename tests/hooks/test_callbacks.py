"""Where gateways report to: read out of the configuration, and given to every batch that has no URL of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_voicepartner import settings
from airflow_provider_voicepartner.db.schema import batch_recipients
from airflow_provider_voicepartner.delivery.recipient_marks import LONG_MARK, split
from airflow_provider_voicepartner.delivery.tokens import BatchToken, ConnectionToken
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.model import (
    CallbackUrls,
    Message,
    Recipient,
    SmsMessage,
    Voicemail,
    VoiceMessage,
)
from airflow_provider_voicepartner.hooks import callbacks, registry
from airflow_provider_voicepartner.hooks.base import GatewayHook
from airflow_provider_voicepartner.hooks.dry_run import DryRun
from airflow_provider_voicepartner.hooks.octopush import OctopushHook
from airflow_provider_voicepartner.hooks.registry import info_of
from airflow_provider_voicepartner.hooks.smspartner import SmsPartnerHook
from airflow_provider_voicepartner.hooks.voicepartner import VoicePartnerHook

SECRET, OLD = "planted-callback-secret-4714", "planted-older-secret-4715"
NOW = datetime(2031, 5, 6, 12, tzinfo=UTC)
REFERENCE = "k3v9x0q2w7ha"
PEOPLE = [Recipient("+33600000001")]
MINE = "https://mine.example.org/dlr"
SMS, CALL, VOICEMAIL = (
    SmsMessage(text="Bonjour"),
    VoiceMessage(text="Bonjour"),
    Voicemail(audio_token="a1b2c3d4"),
)

Configure = Callable[..., None]


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch, set_connection: Callable[..., str]) -> Configure:
    """Set options of ``[voicepartner]``, and a connection of each gateway."""
    for gateway in ("smspartner", "voicepartner", "octopush"):
        set_connection(gateway)

    def define(**options: str) -> None:
        for name, value in options.items():
            monkeypatch.setenv(f"AIRFLOW__VOICEPARTNER__{name.upper()}", value)

    return define


@pytest.fixture
def configured(configure: Configure) -> callbacks.CallbackConfig:
    """Return what is configured where gateways can report."""
    configure(public_url="https://hooks.example.org/airflow/", callback_secret=f"{SECRET}, {OLD}")
    config = callbacks.callback_config()
    assert config is not None
    return config


def build(hook: GatewayHook, message: Message, **given: Any) -> Any:
    request = hook.build_batch(message, PEOPLE, reference=REFERENCE, **given)
    assert request.body is not None
    return request


def test_a_url_says_gateway_and_batch(configured: callbacks.CallbackConfig) -> None:
    urls = configured.for_batch(info_of("smspartner"), REFERENCE, now=NOW)
    assert urls.delivery == urls.replies
    start, _, token = str(urls.delivery).rpartition("/")
    assert start == "https://hooks.example.org/airflow/voicepartner/callbacks/smspartner"
    assert configured.tokens.read("smspartner", token, now=NOW + timedelta(days=29)) == BatchToken(REFERENCE)
    assert configured.for_batch(info_of("voicepartner"), REFERENCE, now=NOW).replies is None
    assert configured.for_batch(info_of("octopush"), REFERENCE, now=NOW) == CallbackUrls()


def test_an_account_has_a_url_of_its_own(configured: callbacks.CallbackConfig) -> None:
    token = configured.for_connection("octopush", "octo/push").rpartition("/")[2]
    assert configured.tokens.read("octopush", token, now=NOW) == ConnectionToken("octo/push")


def test_batches_get_urls_where_the_gateway_takes_them(configured: callbacks.CallbackConfig) -> None:
    sms = build(SmsPartnerHook(), SMS).body
    assert sms["urlDlr"] == sms["urlResponse"]
    assert sms["urlDlr"].startswith(f"{configured.public_url}/voicepartner/callbacks/smspartner/")
    for message in (CALL, VOICEMAIL):
        body = build(VoicePartnerHook(), message).body
        assert body["notifyUrl"].startswith(f"{configured.public_url}/voicepartner/callbacks/voicepartner/")
    assert "callbacks" not in repr(build(OctopushHook(), SMS).body)


def test_a_url_lives_until_a_month_after_the_batch_is_due(configured: callbacks.CallbackConfig) -> None:
    due = datetime.now(UTC) + timedelta(days=20)
    token = build(SmsPartnerHook(), SMS, send_at=due).body["urlDlr"].rpartition("/")[2]
    assert configured.tokens.read("smspartner", token, now=due + timedelta(days=29)) == BatchToken(REFERENCE)


def test_who_gave_a_url_keeps_it(configured: callbacks.CallbackConfig) -> None:
    sms = SmsMessage(text="x", options={"url_dlr": MINE, "url_response": MINE})
    assert build(SmsPartnerHook(), sms).body["urlDlr"] == MINE
    assert build(SmsPartnerHook(), sms).body["urlResponse"] == MINE
    call = VoiceMessage(text="x", options={"notify_url": MINE})
    assert build(VoicePartnerHook(), call).body["notifyUrl"] == MINE
    given = build(VoicePartnerHook(), CALL, callbacks=CallbackUrls(delivery=MINE))
    assert given.body["notifyUrl"] == MINE
    assert "notifyUrl" not in build(VoicePartnerHook(), CALL, callbacks=CallbackUrls()).body


@pytest.mark.parametrize(("hook", "message"), [(SmsPartnerHook, SMS), (VoicePartnerHook, CALL)])
def test_what_is_not_sent_is_not_reported(
    hook: type[GatewayHook], message: Message, configured: callbacks.CallbackConfig
) -> None:
    request = DryRun(hook()).build_batch(message, PEOPLE, reference=REFERENCE)
    assert configured.public_url not in repr(request.body)


def test_a_simulation_is_not_reported(configured: callbacks.CallbackConfig) -> None:
    assert configured.public_url not in repr(build(SmsPartnerHook(), SMS, simulate=True).body)


def test_a_url_is_not_shown_when_an_answer_quotes_it(configured: callbacks.CallbackConfig) -> None:
    request = build(SmsPartnerHook(), SMS)
    assert request.body["urlDlr"] in request.private
    assert request.body["urlDlr"] not in repr(request)


@pytest.mark.parametrize(
    "options", [{}, {"public_url": "https://x.example.org"}, {"callback_secret": SECRET}]
)
def test_without_an_address_and_a_secret_nobody_can_report(
    options: dict[str, str], configure: Configure
) -> None:
    configure(**options)
    assert callbacks.callback_config() is None
    assert not any(registry.can_report(gateway) for gateway in ("smspartner", "voicepartner", "octopush"))
    assert "urlDlr" not in build(SmsPartnerHook(), SMS).body
    missing = {"public_url", "callback_secret"} - set(options)
    assert all(name in callbacks.missing_settings() for name in missing)


def test_with_both_every_gateway_can_report(configured: callbacks.CallbackConfig) -> None:
    assert all(registry.can_report(gateway) for gateway in ("smspartner", "voicepartner", "octopush"))
    assert not registry.can_report("pigeon")
    assert callbacks.missing_settings() == ""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"public_url": "http://hooks.example.org", "callback_secret": SECRET}, "public_url must be an https"),
        ({"public_url": "hooks.example.org", "callback_secret": SECRET}, "public_url must be an https"),
        ({"public_url": "https://x.example.org/?a=planted", "callback_secret": SECRET}, "at most a path"),
        ({"public_url": "https://u:planted@x.example.org", "callback_secret": SECRET}, "at most a path"),
        ({"public_url": "https://x.example.org", "callback_secret": "planted"}, "fewer than 16 characters"),
        ({"public_url": "https://x.example.org", "callback_secret": f"{SECRET} planted"}, "fewer than 16 characters"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_said_before_anything_is_sent(
    options: dict[str, str], said: str, configure: Configure
) -> None:
    configure(**options)
    for ask in (lambda: build(SmsPartnerHook(), SMS), lambda: registry.can_report("octopush")):
        with pytest.raises(ConfigurationError) as caught:
            ask()
        assert said in str(caught.value)
        assert "planted" not in str(caught.value)


def test_secrets_may_be_separated_in_any_way(configure: Configure) -> None:
    for between in (",", " ", ", ", "\n", " ,\n "):
        configure(callback_secret=f" {SECRET}{between}{OLD} ")
        token = callbacks.receiver_tokens().for_connection("octopush", "x")
        for secrets in (SECRET, f"{OLD},{SECRET}"):
            configure(callback_secret=secrets)
            assert callbacks.receiver_tokens().read("octopush", token, now=NOW)


def test_a_receiver_without_a_secret_says_how_to_make_one(configure: Configure) -> None:
    with pytest.raises(ConfigurationError, match=r"callback_secret is not set.*token_urlsafe"):
        callbacks.receiver_tokens()


def test_neither_secret_is_shown(configured: callbacks.CallbackConfig) -> None:
    assert SECRET not in repr(configured)
    assert SECRET not in repr(vars(SmsPartnerHook()))


def people(count: int) -> list[Recipient]:
    return [Recipient(f"+336{number:08d}") for number in range(1, count + 1)]


@pytest.mark.parametrize("size", [1, 16, 17, 500])
def test_a_batchs_url_speaks_of_its_people_alone(size: int, configured: callbacks.CallbackConfig) -> None:
    hook = SmsPartnerHook()
    request = hook.build_batch(SMS, people(size), reference=REFERENCE)
    assert request.body is not None
    read = configured.tokens.read(
        "smspartner", request.body["urlDlr"].rpartition("/")[2], now=datetime.now(UTC)
    )
    assert isinstance(read, BatchToken)
    assert read.recipients is not None
    store = settings.open_receiver_store()
    with store.read() as connection:
        rows = connection.execute(batch_recipients.select()).all()
    stored = split(bytes(rows[0].marks), LONG_MARK) if rows else None
    assert bool(rows) is (size > 16)
    assert read.recipients.includes(people(size)[-1].phone_number, stored)
    assert read.recipients.includes("+33699999999", stored) is False
    if rows:
        assert (rows[0].gateway, rows[0].reference) == ("smspartner", REFERENCE)
        assert rows[0].ends == pytest.approx((datetime.now(UTC) + timedelta(days=30)).timestamp(), abs=60)
    hook.close()
    store.close()


def test_a_simulation_and_a_batch_with_a_url_of_its_own_note_nobody(
    configured: callbacks.CallbackConfig,
) -> None:
    hook = SmsPartnerHook()
    hook.build_batch(SMS, people(50), reference=REFERENCE, simulate=True)
    hook.build_batch(SMS, people(50), reference=REFERENCE, callbacks=CallbackUrls(delivery=MINE))
    OctopushHook().build_batch(SMS, people(50), reference=REFERENCE)
    store = settings.open_receiver_store()
    with store.read() as connection:
        assert connection.execute(batch_recipients.select()).all() == []
    store.close()


def test_a_store_that_is_away_keeps_no_batch_from_leaving(
    configured: callbacks.CallbackConfig, configure: Configure, caplog: pytest.LogCaptureFixture
) -> None:
    configure(store_url="postgresql://nobody@127.0.0.1:1/nothing?connect_timeout=1")
    request = SmsPartnerHook().build_batch(SMS, people(50), reference=REFERENCE)
    assert request.body is not None
    assert request.body["urlDlr"].startswith("https://hooks.example.org/")
    assert "The recipients of a batch could not be stored for its callbacks" in caplog.text
