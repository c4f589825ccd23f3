"""Each method of the Octopush hook, against the sandbox."""

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
from airflow_provider_voicepartner.gateways.model import Kind, VoiceMessage
from airflow_provider_voicepartner.hooks.octopush import OctopushHook
from airflow_provider_voicepartner.sandbox.faults import Fault
from tests.conftest import KEYS, LOGIN
from tests.support.sends import NUMBER, TEXT
from tests.support.servers import FakeTime

REFERENCE = "k3v9x0q2w7ha"


@pytest.fixture
def hook(sandbox: Any) -> OctopushHook:
    hook = OctopushHook()
    hook.sender.sleep = FakeTime().sleep
    return hook


def last_request(sandbox: Any) -> Any:
    return next(reversed(sandbox.world.requests))


def test_the_login_and_the_key_travel_in_headers_only(hook: OctopushHook, sandbox: Any) -> None:
    hook.send_sms(NUMBER, "Hello")
    request = last_request(sandbox)
    assert (request.headers["api-login"], request.headers["api-key"]) == (LOGIN, KEYS["octopush"])
    assert KEYS["octopush"].encode() not in request.body
    assert KEYS["octopush"] not in request.path


def test_the_options_of_an_sms_reach_the_gateway(hook: OctopushHook, sandbox: Any) -> None:
    receipt = hook.send_sms(
        [NUMBER, "+33699887767"],
        "Hello",
        sender="MyApp",
        purpose="marketing",
        reference=REFERENCE,
        send_at=pendulum.now("UTC").add(days=1),
    )
    assert receipt.accepted == 2
    body = last_request(sandbox).view()["body"]
    assert (body["sender"], body["purpose"], body["request_id"]) == ("MyApp", "wholesale", REFERENCE)
    assert "send_at" in body
    assert [person["phone_number"] for person in body["recipients"]] == [NUMBER, "+33699887767"]


def test_the_options_of_a_call_reach_the_gateway(hook: OctopushHook, sandbox: Any) -> None:
    hook.send_tts_call(NUMBER, "Bonjour", language="en-GB", sender="0699887766", reference=REFERENCE)
    request = last_request(sandbox)
    assert request.path.endswith("/voice-campaign/send")
    body = request.view()["body"]
    assert (body["voice_language"], body["sender"], body["request_id"]) == ("en-GB", "0699887766", REFERENCE)


def test_the_connections_sender_is_used_where_a_message_gives_none(
    sandbox: Any, set_connection: Callable[..., str]
) -> None:
    set_connection("octopush", host=sandbox.gateway_url("octopush"), extra={"sender": "33600000"})
    hook = OctopushHook()
    hook.send_sms(NUMBER, "Hello")
    assert last_request(sandbox).view()["body"]["sender"] == "33600000"
    hook.send_tts_call(NUMBER, "Hello")
    assert last_request(sandbox).view()["body"]["sender"] == "33600000"
    hook.send_sms(NUMBER, "Hello", sender="Mine")
    assert last_request(sandbox).view()["body"]["sender"] == "Mine"


@pytest.mark.parametrize("kind", ["sms", "tts"])
def test_the_same_reference_twice_is_told_apart_from_a_refusal(
    kind: Kind, hook: OctopushHook, sandbox: Any
) -> None:
    def send() -> object:
        if kind == "sms":
            return hook.send_sms(NUMBER, TEXT, reference=REFERENCE)
        return hook.send_tts_call(NUMBER, TEXT, reference=REFERENCE)

    send()
    with pytest.raises(RejectedError) as caught:
        send()
    assert caught.value.kind is ErrorKind.DUPLICATE
    assert sandbox.world.tallies["octopush"].numbers[NUMBER] == 1


def test_the_balance_in_money_and_in_units(hook: OctopushHook) -> None:
    balance = hook.get_balance()
    assert (balance.amount, balance.unit) == (Decimal(1000), "EUR")
    assert hook.check_balance().amount == Decimal(1000)
    units = hook.check_balance(country_code="FR", product_name="sms_premium")
    assert units.unit != "EUR"
    assert units.amount > 0
    assert hook.check_balance(with_details=True).details["wallet_packs"]


def test_callback_addresses_of_the_account_are_read_and_changed(hook: OctopushHook) -> None:
    assert hook.get_campaign_parameters().callback_url_for_deliveries is None
    hook.edit_campaign_parameters(callback_url_for_deliveries="https://example.org/reports", alert_bound=50)
    parameters = hook.get_campaign_parameters()
    assert parameters.callback_url_for_deliveries == "https://example.org/reports"
    assert parameters.alert_bound == 50


@pytest.mark.parametrize("kind", ["sms", "tts"])
def test_a_scheduled_campaign_is_cancelled_once(kind: Kind, hook: OctopushHook, sandbox: Any) -> None:
    later = pendulum.now("UTC").add(days=1)
    send, cancel = (
        (hook.send_sms, hook.cancel_sms) if kind == "sms" else (hook.send_tts_call, hook.cancel_tts_call)
    )
    receipt = send(NUMBER, "Hello", send_at=later)
    assert cancel(receipt.gateway_id).gateway_id == receipt.gateway_id
    assert sandbox.world.tallies["octopush"].messages == 0
    with pytest.raises(RejectedError):
        cancel(receipt.gateway_id)


def test_a_cancel_whose_answer_is_lost_is_not_repeated(hook: OctopushHook, sandbox: Any) -> None:
    sandbox.world.faults.add(Fault(kind="drop_after", path="cancel"))
    with pytest.raises(SendOutcomeUnknownError):
        hook.cancel_sms("sms_1")
    assert sandbox.world.requests.total == 1


@pytest.mark.parametrize("fields", [{"password": "another-key"}, {"login": "another@example.org"}])
def test_a_wrong_key_or_login_is_a_rejection(
    fields: dict[str, str], sandbox: Any, set_connection: Callable[..., str]
) -> None:
    set_connection("octopush", host=sandbox.gateway_url("octopush"), **fields)
    with pytest.raises(RejectedError) as caught:
        OctopushHook().get_balance()
    assert caught.value.kind is ErrorKind.CONFIGURATION


READS: dict[str, Callable[[OctopushHook], object]] = {
    "check-balance": lambda hook: hook.get_balance(),
    "user/campaign-parameters": lambda hook: hook.get_campaign_parameters(),
    "campaign-parameters/edit": lambda hook: hook.edit_campaign_parameters(alert_bound=5),
}


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "drop_mid_answer", "html", "429"])
def test_what_may_be_repeated_is_repeated_and_then_left_to_airflow(
    path: str, kind: Any, hook: OctopushHook, sandbox: Any
) -> None:
    sandbox.world.faults.add(Fault(kind=kind, times=None, path=path))
    with pytest.raises(RetryableNotSentError):
        READS[path](hook)
    assert sandbox.world.requests.total == 4


BAD: dict[str, Callable[[OctopushHook], object]] = {
    "product_name": lambda hook: hook.check_balance(country_code="FR"),
    "country_code": lambda hook: hook.check_balance(country_code="fr", product_name="hlr"),
    "alert_bound": lambda hook: hook.edit_campaign_parameters(alert_bound=-1),
    "gateway_id": lambda hook: hook.cancel_sms(" "),
    "kind": lambda hook: hook.cancel_campaign("voice_1", kind="voicemail"),
    "message": lambda hook: hook.send_sms(NUMBER, ""),
    "text": lambda hook: hook.send_tts_call(NUMBER, "x" * 1225),
    "sender": lambda hook: hook.send_sms(NUMBER, "Hello", sender="TwelveChars1"),
}


@pytest.mark.parametrize("argument", BAD)
def test_a_bad_argument_is_named_and_nothing_is_asked(
    argument: str, hook: OctopushHook, sandbox: Any
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        BAD[argument](hook)
    assert str(caught.value).partition(":")[0] == argument
    assert caught.value.__context__ is None
    assert sandbox.world.requests.total == 0


def test_an_audio_file_is_not_for_octopush(hook: OctopushHook, sandbox: Any) -> None:
    with pytest.raises(ConfigurationError, match="audio_token"):
        hook.send_to(NUMBER, VoiceMessage(audio_token="a1b2c3d4"))
    assert sandbox.world.requests.total == 0
