"""From an operator through a gateway that calls back, to the sensor: it says what the gateway knows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.gateways.octopush.codes import STATUS_WORDS as OCTOPUSH_WORDS
from airflow_provider_voicepartner.gateways.voicepartner.codes import STATUS_WORDS as VOICEPARTNER_WORDS
from airflow_provider_voicepartner.hooks.callbacks import callback_config
from airflow_provider_voicepartner.hooks.octopush import OctopushHook
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.operators.voice import TtsCallOperator, VoicemailDropOperator
from airflow_provider_voicepartner.sensors.campaign import CampaignCompletionSensor
from tests.support.receiver import SECRET, RunningReceiver, running_receiver
from tests.support.tasks import FakeStore, context

PEOPLE = [f"+336000{place:05d}" for place in range(40)]
WORDS = {"voicepartner": VOICEPARTNER_WORDS, "octopush": OCTOPUSH_WORDS}
MESS = {"duplicates": 0.5, "disorder": 0.5, "send_pending": True}


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningReceiver]:
    """Return a receiver on the store that is configured for the test."""
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    with running_receiver(url) as running:
        monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_URL", url)
        monkeypatch.setenv("AIRFLOW__VOICEPARTNER__PUBLIC_URL", running.url)
        monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CALLBACK_SECRET", SECRET)
        yield running


def make_trouble(sandbox: Any, **settings: Any) -> None:
    with sandbox.world.lock:
        sandbox.world.settings = sandbox.world.settings.patched({"failure_rate": 0.3, **settings})


def let_it_call_back(sandbox: Any) -> None:
    for _ in range(10):
        sandbox.advance(60)
        assert sandbox.wait_for_callbacks(60)


def register() -> None:
    config = callback_config()
    assert config is not None
    OctopushHook().edit_campaign_parameters(
        callback_url_for_deliveries=config.for_connection("octopush", "octopush_default")
    )


def operator(way: str) -> Any:
    gateway, _, kind = way.partition(" ")
    given = {"task_id": "send", "to": PEOPLE, "conn_id": f"{gateway}_default"}
    return (
        SendSmsOperator(message="Bonjour", **given)
        if kind == "sms"
        else TtsCallOperator(text="Bonjour", **given)
    )


@pytest.mark.parametrize("loss", [0.0, 0.3])
@pytest.mark.parametrize("way", ["voicepartner call", "octopush call", "octopush sms"])
def test_the_sensor_says_what_the_gateway_knows(
    way: str, loss: float, sandbox: Any, receiver: RunningReceiver
) -> None:
    gateway = way.partition(" ")[0]
    make_trouble(sandbox, callbacks={**MESS, "loss": loss})
    register()
    report = operator(way).execute(context(FakeStore()))
    sensor = CampaignCompletionSensor(task_id="wait", campaign=report, on_unconfirmed="succeed")
    assert sensor.poke(context()) is False
    let_it_call_back(sandbox)
    arrived = {call["number"] for call in sandbox.world.deliveries if call["what"] == "report"}
    (campaign,) = sandbox.world.campaigns[gateway].values()
    known = Counter(
        WORDS[gateway].read(line.word).value if line.number in arrived else "unconfirmed"
        for line in campaign.lines
    )
    assert (known["unconfirmed"] > 0) == (loss > 0)
    if loss:
        assert sensor.poke(context()) is False
        sensor.unconfirmed_after = 0.0
    counts = sensor.poke(context()).xcom_value
    assert {name: counts[name] for name in known} == dict(known)
    assert counts["expected"] == len(PEOPLE) == sum(known.values())


def test_a_voicemail_drop_ends_with_its_one_call(
    sandbox: Any, receiver: RunningReceiver, set_connection: Any
) -> None:
    extra = {"email_for_notification": "ops@example.org"}
    set_connection("voicepartner", host=sandbox.gateway_url("voicepartner"), extra=extra)
    make_trouble(sandbox, callbacks={"duplicates": 1.0})
    report = VoicemailDropOperator(
        task_id="drop", to=PEOPLE, audio_token="a1b2c3d4", conn_id="voicepartner_default"
    ).execute(context(FakeStore()))
    let_it_call_back(sandbox)
    (campaign,) = sandbox.world.campaigns["voicepartner"].values()
    delivered = sum(line.word == "delivered" for line in campaign.lines)
    counts = CampaignCompletionSensor(task_id="wait", campaign=report).poke(context()).xcom_value
    assert (counts["delivered"], counts["failed"]) == (delivered, len(PEOPLE) - delivered)
