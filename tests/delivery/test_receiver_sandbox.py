"""Whole campaigns through the sandbox: what it knows of each number in the end is what the store says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pendulum
import pytest

from airflow_provider_voicepartner.delivery.inbound import of_gateway_id, of_reference
from airflow_provider_voicepartner.delivery.store import DeliveryStore
from airflow_provider_voicepartner.gateways.model import Recipient, SmsMessage
from airflow_provider_voicepartner.gateways.octopush.codes import STATUS_WORDS as OCTOPUSH_WORDS
from airflow_provider_voicepartner.gateways.smspartner.codes import STATUS_WORDS as SMSPARTNER_WORDS
from airflow_provider_voicepartner.gateways.voicepartner.codes import STATUS_WORDS as VOICEPARTNER_WORDS
from airflow_provider_voicepartner.hooks.callbacks import callback_config
from airflow_provider_voicepartner.hooks.octopush import OctopushHook
from airflow_provider_voicepartner.hooks.smspartner import SmsPartnerHook
from airflow_provider_voicepartner.hooks.voicepartner import VoicePartnerHook
from airflow_provider_voicepartner.sandbox.outcomes import Rule
from tests.support.deliveries import counts
from tests.support.receiver import SECRET, RunningReceiver

pytestmark = pytest.mark.newest

PEOPLE = [f"+336000{place:05d}" for place in range(60)]
REFERENCE = "k3v9x0q2w7ha"
WORDS = {"smspartner": SMSPARTNER_WORDS, "voicepartner": VOICEPARTNER_WORDS, "octopush": OCTOPUSH_WORDS}
MESS = {"duplicates": 0.5, "disorder": 0.5, "send_pending": True}


@pytest.fixture
def configured(receiver: RunningReceiver, monkeypatch: pytest.MonkeyPatch) -> RunningReceiver:
    """Return a receiver that is configured as the one which gateways report to."""
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__PUBLIC_URL", receiver.url)
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CALLBACK_SECRET", SECRET)
    return receiver


def send_sms() -> None:
    SmsPartnerHook().send_sms(PEOPLE, "Bonjour", reference=REFERENCE)


def send_call() -> None:
    VoicePartnerHook().send_tts_call(PEOPLE, text="Bonjour", reference=REFERENCE)


def send_octopush_sms() -> None:
    register()
    OctopushHook().send_sms(PEOPLE, "Bonjour", reference=REFERENCE)


def send_octopush_call() -> None:
    register()
    OctopushHook().send_tts_call(PEOPLE, "Bonjour", reference=REFERENCE)


def register() -> None:
    config = callback_config()
    assert config is not None
    url = config.for_connection("octopush", "octopush_default")
    OctopushHook().edit_campaign_parameters(
        callback_url_for_deliveries=url,
        callback_url_for_inbounds=url,
        callback_url_for_blacklisted_numbers=url,
    )


def settle(sandbox: Any, **settings: Any) -> None:
    world = sandbox.world
    with world.lock:
        world.settings = world.settings.patched({"failure_rate": 0.3, **settings})


def deliver(sandbox: Any) -> None:
    for _ in range(10):
        sandbox.advance(60)
        assert sandbox.wait_for_callbacks(60)


CAMPAIGNS = {
    "SMS Partner": ("smspartner", send_sms, "json"),
    "Voice Partner": ("voicepartner", send_call, "json"),
    "Octopush SMS": ("octopush", send_octopush_sms, "json"),
    "Octopush SMS, in forms": ("octopush", send_octopush_sms, "form"),
    "Octopush call": ("octopush", send_octopush_call, "json"),
    "Octopush call, in forms": ("octopush", send_octopush_call, "form"),
}


@pytest.mark.sampled(4)
@pytest.mark.parametrize("loss", [0.0, 0.3])
@pytest.mark.parametrize(("gateway", "send", "encoding"), CAMPAIGNS.values(), ids=CAMPAIGNS)
def test_the_store_knows_what_the_sandbox_knows(
    gateway: str,
    send: Callable[[], None],
    encoding: str,
    loss: float,
    sandbox: Any,
    configured: RunningReceiver,
) -> None:
    settle(
        sandbox,
        callbacks={**MESS, "loss": loss},
        voicepartner={"callback_number": "006"},
        octopush={"delivery_encoding": encoding},
    )
    send()
    deliver(sandbox)
    (campaign,) = sandbox.world.campaigns[gateway].values()
    statuses = {row["phone_number"]: row["status"] for row in configured.rows("delivery_report")}
    arrived = {call["number"] for call in sandbox.world.deliveries if call["what"] == "report"}
    known = {
        line.number: WORDS[gateway].read(line.word).value if line.number in arrived else "pending"
        for line in campaign.lines
    }
    assert statuses == known
    assert len(statuses) == len(PEOPLE)
    assert len(set(statuses.values())) > 1
    assert ("pending" in statuses.values()) == (loss > 0)  # silence is no success
    key = of_gateway_id(gateway, campaign.id) if gateway == "octopush" else of_reference(gateway, REFERENCE)
    counted = counts(DeliveryStore(configured.store), [key])[key]
    assert {status.value: count for status, count in counted.items()} == Counter(known.values())
    assert {call["status"] for call in sandbox.world.deliveries} == {200}
    assert not any(call["flags"] for call in sandbox.world.deliveries)


def test_a_voicemail_campaign_is_reported_once(sandbox: Any, configured: RunningReceiver) -> None:
    settle(sandbox, callbacks={"duplicates": 1.0})
    VoicePartnerHook().drop_voicemail(PEOPLE, audio_token="a1b2c3d4", reference=REFERENCE)
    deliver(sandbox)
    (campaign,) = sandbox.world.campaigns["voicepartner"].values()
    (row,) = configured.rows("campaign_report")
    delivered = sum(line.word == "delivered" for line in campaign.lines)
    assert (row["campaign"], row["delivered"], row["total"]) == (f"ref:{REFERENCE}", delivered, len(PEOPLE))


def test_replies_and_stops_come_back(sandbox: Any, configured: RunningReceiver) -> None:
    with sandbox.world.lock:
        sandbox.world.rules.set(Rule(number=PEOPLE[0], reply="d'accord"))
        sandbox.world.rules.set(Rule(number=PEOPLE[1], stop=True))
    send_sms()
    deliver(sandbox)
    events = {row["phone_number"]: (row["kind"], row["campaign"]) for row in configured.rows("event")}
    assert events == {
        PEOPLE[0]: ("reply", f"ref:{REFERENCE}"), PEOPLE[1]: ("opt_out", f"ref:{REFERENCE}"),
    }  # fmt: skip


def test_a_scheduled_batch_may_report_when_it_is_due(sandbox: Any, configured: RunningReceiver) -> None:
    due = pendulum.now("UTC") + timedelta(days=20)
    people = [Recipient(PEOPLE[0])]
    request = SmsPartnerHook().build_batch(SmsMessage(text="x"), people, reference=REFERENCE, send_at=due)
    assert request.body is not None
    token = str(request.body["urlDlr"]).rpartition("/")[2]
    read = configured.tokens.read("smspartner", token, now=due + timedelta(days=29))
    assert getattr(read, "reference", None) == REFERENCE
