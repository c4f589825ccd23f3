"""Each method of the Voice Partner hook, against the sandbox."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pendulum
import pytest

from airflow_provider_voicepartner.exceptions import (
    ConfigurationError,
    RejectedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.gateways.model import CallbackUrls, Kind, Recipient, VoiceMessage
from airflow_provider_voicepartner.hooks.voicepartner import VoicePartnerHook
from airflow_provider_voicepartner.sandbox.faults import Fault
from tests.support.sends import NUMBER
from tests.support.servers import FakeTime

TOKEN = "a1b2c3d4"


@pytest.fixture
def hook(sandbox: Any) -> VoicePartnerHook:
    hook = VoicePartnerHook()
    hook.sender.sleep = FakeTime().sleep
    return hook


def next_tuesday() -> pendulum.DateTime:
    """Return an hour at which anything may be sent."""
    return pendulum.now("Europe/Paris").add(weeks=1).start_of("week").add(days=1, hours=10)


def last_body(sandbox: Any) -> dict[str, Any]:
    body: dict[str, Any] = next(reversed(sandbox.world.requests)).view()["body"]
    return body


def test_the_options_of_a_call_reach_the_gateway(hook: VoicePartnerHook, sandbox: Any) -> None:
    receipt = hook.send_tts_call(
        [NUMBER, "+33699887767"],
        text="Hello",
        language="en",
        options={"speech_rate": 0.8},
        send_at=next_tuesday(),
        callbacks=CallbackUrls(delivery="http://127.0.0.1:9/report"),
    )
    assert receipt.accepted == 2
    body = last_body(sandbox)
    assert body["text"] == "Hello"
    assert body["lang"] == "en"
    assert Decimal(str(body["speechRate"])) == Decimal("0.8")
    assert body["notifyUrl"] == "http://127.0.0.1:9/report"
    assert any(name.startswith("scheduled") for name in body)


def test_a_call_may_play_a_file(hook: VoicePartnerHook, sandbox: Any) -> None:
    assert hook.send_tts_call(NUMBER, audio_token=TOKEN).accepted == 1
    assert last_body(sandbox)["tokenAudio"] == TOKEN


def test_an_unknown_file_is_refused(hook: VoicePartnerHook, sandbox: Any) -> None:
    with pytest.raises(RejectedError):
        hook.drop_voicemail(NUMBER, audio_token="ffffffff")
    assert sandbox.world.tallies["voicepartner"].messages == 0


def test_the_connections_mail_address_is_used_where_a_drop_gives_none(
    sandbox: Any, set_connection: Callable[..., str]
) -> None:
    set_connection(
        "voicepartner",
        host=sandbox.gateway_url("voicepartner"),
        extra={"email_for_notification": "ops@example.org"},
    )
    hook = VoicePartnerHook()
    hook.drop_voicemail(NUMBER, audio_token=TOKEN)
    assert last_body(sandbox)["emailForNotification"] == "ops@example.org"
    hook.drop_voicemail(NUMBER, audio_token=TOKEN, options={"email_for_notification": "me@example.org"})
    assert last_body(sandbox)["emailForNotification"] == "me@example.org"
    hook.send_tts_call(NUMBER, text="Hello")
    assert "emailForNotification" not in last_body(sandbox)


def test_a_drop_can_be_called_back(hook: VoicePartnerHook, sandbox: Any) -> None:
    hook.drop_voicemail(NUMBER, audio_token=TOKEN, sender="0600000000")
    assert "0600000000" in str(last_body(sandbox))


def test_audio_files_are_listed_and_renamed(hook: VoicePartnerHook) -> None:
    files = {file.token: file for file in hook.list_audio_files()}
    assert set(files) == {TOKEN, "e5f6a7b8"}
    assert files[TOKEN].duration == 12
    renamed = hook.rename_audio_file(TOKEN, "a better name")
    assert (renamed.token, renamed.name) == (TOKEN, "a better name")
    assert {file.token: file.name for file in hook.list_audio_files()}[TOKEN] == "a better name"
    assert TOKEN not in repr(renamed)


def test_the_balance(hook: VoicePartnerHook) -> None:
    balance = hook.get_balance()
    assert (balance.amount, balance.unit) == (Decimal(1000), "EUR")


@pytest.mark.parametrize("kind", ["tts", "voicemail"])
def test_a_scheduled_campaign_is_cancelled_and_its_credit_given_back(
    kind: Kind, hook: VoicePartnerHook, sandbox: Any
) -> None:
    later = next_tuesday()
    receipt = (
        hook.send_tts_call(NUMBER, text="Hello", send_at=later)
        if kind == "tts"
        else hook.drop_voicemail(NUMBER, audio_token=TOKEN, send_at=later)
    )
    cancelled = hook.cancel_campaign(receipt.gateway_id, kind=kind)
    assert cancelled.gateway_id == receipt.gateway_id
    assert cancelled.refunded == receipt.cost
    assert hook.get_balance().amount == Decimal(1000)
    with pytest.raises(RejectedError) as caught:
        hook.cancel(receipt.gateway_id)
    assert caught.value.kind is ErrorKind.NOT_FOUND


def test_a_cancel_whose_answer_is_lost_is_not_repeated(hook: VoicePartnerHook, sandbox: Any) -> None:
    sandbox.world.faults.add(Fault(kind="drop_after", path="campaign/cancel"))
    with pytest.raises(SendOutcomeUnknownError):
        hook.cancel("Qa7x2kd9vb")
    assert sandbox.world.requests.total == 1


READS: dict[str, Callable[[VoicePartnerHook], object]] = {
    "/me/": lambda hook: hook.get_balance(),
    "/audios/": lambda hook: hook.list_audio_files(),
    "/audio-file/rename": lambda hook: hook.rename_audio_file(TOKEN, "a better name"),
}


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "drop_mid_answer", "html", "429"])
def test_what_may_be_repeated_is_repeated_and_then_left_to_airflow(
    path: str, kind: Any, hook: VoicePartnerHook, sandbox: Any
) -> None:
    sandbox.world.faults.add(Fault(kind=kind, times=None, path=path))
    with pytest.raises(RetryableNotSentError):
        READS[path](hook)
    assert sandbox.world.requests.total == 4


BAD: dict[str, Callable[[VoicePartnerHook], object]] = {
    "filename": lambda hook: hook.rename_audio_file(TOKEN, "ab"),
    "audio_token": lambda hook: hook.rename_audio_file(" ", "a better name"),
    "gateway_id": lambda hook: hook.cancel(" "),
    "kind": lambda hook: hook.cancel_campaign("Qa7x2kd9vb", kind="sms"),
    "audio_token text": lambda hook: hook.send_tts_call(NUMBER, text="Hello", audio_token=TOKEN),
    "options['speech_rate']": lambda hook: hook.send_tts_call(
        NUMBER, text="Hello", options={"speech_rate": 3}
    ),
}


@pytest.mark.parametrize("argument", BAD)
def test_a_bad_argument_is_named_and_nothing_is_asked(
    argument: str, hook: VoicePartnerHook, sandbox: Any
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        BAD[argument](hook)
    assert str(caught.value).partition(":")[0] in argument.split(" ")
    assert caught.value.__context__ is None
    assert sandbox.world.requests.total == 0


def test_a_key_of_dots_would_be_another_address_and_is_refused(
    sandbox: Any, set_connection: Callable[..., str]
) -> None:
    set_connection("voicepartner", host=sandbox.gateway_url("voicepartner"), password="..")
    with pytest.raises(ConfigurationError, match="password"):
        VoicePartnerHook().get_balance()
    assert sandbox.world.requests.total == 0


def test_a_simulation_that_the_gateway_builds_as_a_real_send_never_leaves(
    hook: VoicePartnerHook, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = hook.gateway.build_batch
    monkeypatch.setattr(hook.gateway, "build_batch", lambda *args, simulate, **kwargs: build(*args, **kwargs))
    with pytest.raises(ConfigurationError, match=r"a real send, since INFO\.simulates is False"):
        hook.send_batch(
            VoiceMessage(text="Hello"), [Recipient(NUMBER)], reference="k3v9x0q2w7ha", simulate=True
        )
    assert list(sandbox.world.requests) == []
