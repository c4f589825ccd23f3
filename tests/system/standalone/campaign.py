"""What the standalone test runs: a campaign that is waited for in the triggerer, and a DAG that its end starts."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pendulum
from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_voicepartner.hooks.delivery import DeliveryHook
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.operators.voice import TtsCallOperator
from airflow_provider_voicepartner.sensors.campaign import CampaignCompletionSensor
from airflow_provider_voicepartner.triggers.events import DeliveryEventTrigger

START = pendulum.datetime(2026, 1, 1, tz="UTC")
TO, TEXT = "{{ var.value.standalone_to }}", "{{ var.value.standalone_text }}"
OUT = Path(os.environ.get("STANDALONE_OUT", "/nowhere"))

with DAG("send_and_wait", schedule=None, start_date=START, catchup=False):
    call = TtsCallOperator(task_id="call", conn_id="voicepartner_default", to=TO, text=TEXT)
    CampaignCompletionSensor(
        task_id="wait", campaign=call.output, deferrable=True, poke_interval=8, min_delivery_rate=0.5
    )
    SendSmsOperator(
        task_id="send_and_wait",
        conn_id="smspartner_default",
        to=TO,
        message=TEXT,
        wait_for_completion=True,
        deferrable=True,
        completion={"poke_interval": 8},
    )
    TtsCallOperator(
        task_id="call_and_wait",
        conn_id="octopush_default",
        to=TO,
        text=TEXT,
        wait_for_completion=True,
        deferrable=True,
        completion={"poke_interval": 8},
    )

completions = Asset(
    "voicepartner_completions",
    watchers=[
        AssetWatcher(
            name="voicepartner_completions", trigger=DeliveryEventTrigger(kinds="completion", poll_interval=1)
        )
    ],
)

with DAG("on_completion", schedule=[completions], start_date=START, catchup=False, max_active_runs=1):

    @task(inlets=[completions])
    def note() -> None:
        """Write down which campaigns ended that no earlier run knew of."""
        for event in DeliveryHook().take_events(completions):
            with (OUT / f"event-{event.id}.json").open("a", encoding="utf-8") as file:
                file.write(json.dumps({"gateway": event.gateway, "counts": dict(event.counts)}) + "\n")

    note()
