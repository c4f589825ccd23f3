"""A gateway of another distribution is found, and its hook keeps to all that is known of it."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_voicepartner.exceptions import (
    ConfigurationError,
    NotSentError,
    RejectedError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.gateways.model import Recipient, SmsMessage, VoiceMessage
from airflow_provider_voicepartner.gateways.rate_limits import parse_windows
from airflow_provider_voicepartner.hooks.registry import gateway_names, hook_class, hook_for, info_of
from tests.external.server import ACCOUNT, KEY, Acme

A, B = "+33612345601", "+33612345602"
SMS = SmsMessage(text="Le rendez-vous est à 10 h & demie + 5 €")


def people(*numbers: str) -> Any:
    return [Recipient(number) for number in numbers]


def test_it_is_found_by_its_connection_type_behind_those_of_the_package(acme: Acme) -> None:
    assert gateway_names() == ("smspartner", "voicepartner", "octopush", "acme")
    hook = hook_for("acme_default", kind="sms")
    assert type(hook).__module__ == "airflow_provider_acme.hook"
    assert (hook.conn_type, hook.hook_name, hook.default_conn_name) == ("acme", "Acme", "acme_default")


def test_airflow_knows_its_form(acme: Acme) -> None:
    from airflow.providers_manager import ProvidersManager

    found = ProvidersManager().hooks["acme"]
    assert found is not None
    assert (found.hook_name, found.package_name) == ("Acme", "airflow-provider-acme")
    behaviour = hook_class("acme").get_ui_field_behaviour()
    assert behaviour["relabeling"] == {"password": "API key", "host": "Base URL", "login": "Account"}
    assert behaviour["hidden_fields"] == ["port", "schema"]


def test_an_error_names_it_where_it_would_fit(acme: Acme, set_connection: Callable[..., str]) -> None:
    set_connection("http", "web")
    with pytest.raises(ConfigurationError, match="use one of acme, octopush, smspartner, voicepartner"):
        hook_for("web")
    set_connection("voicepartner", "calls")
    with pytest.raises(ConfigurationError, match="use a connection of type acme, octopush, smspartner"):
        hook_for("calls", kind="sms")
    with pytest.raises(ConfigurationError, match="sends text-to-speech calls, which Acme"):
        hook_for("acme_default", kind="tts")


def test_a_message_arrives_as_a_form_with_basic_authentication(acme: Acme) -> None:
    hook = hook_for("acme_default")
    receipt = hook.send_batch(SMS, people(A), reference="k3v9x0q2w7ha")
    assert (receipt.gateway_id, receipt.accepted, receipt.cost) == ("m-1", 1, None)
    assert acme.messages["m-1"]["text"] == SMS.text
    assert hook.get_balance().amount == 42.5
    assert hook.test_connection() == (True, "Connected to Acme: 42.50 EUR left")
    assert [(report.phone_number, report.status.value) for report in hook.poll_delivery("m-1")] == [
        (A, "delivered")
    ]
    hook.close()


def test_a_request_takes_one_recipient(acme: Acme) -> None:
    hook = hook_for("acme_default")
    with pytest.raises(ConfigurationError, match="to: holds 2 recipients; a request takes 1"):
        hook.send_batch(SMS, people(A, B), reference="k3v9x0q2w7ha")
    with pytest.raises(ConfigurationError, match="one call takes up to 1;"):
        hook.send_to([A, B], SMS)
    assert acme.taken == {}


def test_whoever_is_refused_by_name_is_named(acme: Acme) -> None:
    acme.refused = {A: "stopped"}
    with pytest.raises(NotSentError, match="the recipient said STOP"):
        hook_for("acme_default").send_batch(SMS, people(A), reference="k3v9x0q2w7ha")


@pytest.mark.parametrize("ahead", [timedelta(minutes=14, seconds=50), timedelta(days=30, minutes=1)])
def test_a_date_that_it_would_not_take_is_refused_here(ahead: timedelta, acme: Acme) -> None:
    with pytest.raises(ConfigurationError, match=r"^send_at: .* (15 minutes|30 days) ahead"):
        hook_for("acme_default").send_batch(
            SMS, people(A), reference="k3v9x0q2w7ha", send_at=datetime.now(UTC) + ahead
        )
    assert acme.arrivals == []


def test_only_what_is_planned_can_be_taken_back(acme: Acme) -> None:
    hook = hook_for("acme_default")
    planned = hook.send_batch(
        SMS, people(A), reference="k3v9x0q2w7ha", send_at=datetime.now(UTC) + timedelta(minutes=16)
    )
    sent = hook.send_batch(SMS, people(B), reference="k3v9x0q2w7hb")
    assert planned.gateway_id
    assert sent.gateway_id
    assert hook.cancel_campaign(planned.gateway_id, kind="sms").gateway_id == planned.gateway_id
    with pytest.raises(RejectedError) as caught:
        hook.cancel_campaign(sent.gateway_id, kind="sms")
    assert caught.value.kind is not None
    assert caught.value.kind.value == "too_late"


def test_an_answer_that_cannot_be_read_leaves_a_doubt(acme: Acme) -> None:
    acme.faults = ["<html>"]
    with pytest.raises(SendOutcomeUnknownError):
        hook_for("acme_default").send_batch(SMS, people(A), reference="k3v9x0q2w7ha")


def test_no_spelling_of_the_credentials_shows(
    acme: Acme, set_connection: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    set_connection("acme", "wrong", host=acme.url, login=ACCOUNT, password="planted-wrong-key")
    written = base64.b64encode(f"{ACCOUNT}:planted-wrong-key".encode()).decode()
    good, said = hook_for("wrong").test_connection()
    assert not good
    with pytest.raises(RejectedError) as caught:
        hook_for("wrong").send_batch(SMS, people(A), reference="k3v9x0q2w7ha")
    assert "denied: Basic ***" in str(caught.value)
    for shown in (said, str(caught.value), caplog.text):
        for secret in (written, "planted-wrong-key", KEY):
            assert secret not in shown


def test_its_limits_are_those_of_its_documentation_or_of_the_connection(
    acme: Acme, set_connection: Callable[..., str]
) -> None:
    assert hook_for("acme_default").rate_limits("messages") == parse_windows("150/1")
    own = {"host": acme.url, "login": ACCOUNT, "password": KEY}
    set_connection("acme", "slow", **own, extra={"rate_limits": {"messages": "5/60"}})
    assert hook_for("slow").rate_limits("messages") == parse_windows("5/60")
    set_connection("acme", "odd", **own, extra={"rate_limits": {"send": "5/60"}})
    with pytest.raises(ConfigurationError, match="no endpoint 'send'; the endpoints are account, messages"):
        hook_for("odd").check_connection()


def test_a_call_and_a_setting_that_it_does_not_have_are_refused(acme: Acme) -> None:
    hook = hook_for("acme_default")
    with pytest.raises(ConfigurationError, match="Acme sends SMS only"):
        hook.send_batch(VoiceMessage(text="x"), people(A), reference="k3v9x0q2w7ha")
    with pytest.raises(ConfigurationError, match="the settings are: flash"):
        hook.send_batch(SmsMessage(text="x", options={"blink": True}), people(A), reference="k3v9x0q2w7ha")


def test_each_message_is_given_its_own_url(acme: Acme, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CALLBACK_SECRET", "planted-callback-secret-4714")
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__PUBLIC_URL", "https://hooks.example.org")
    request = hook_for("acme_default").build_batch(SMS, people(A), reference="k3v9x0q2w7ha")
    assert request.body is not None
    assert request.body["callback"].startswith("https://hooks.example.org/voicepartner/callbacks/acme/")
    assert info_of("acme").reports == "batch"
