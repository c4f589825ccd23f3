"""What the standalone test runs: a campaign that is waited for in the triggerer, and a DAG that its end starts."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pendulum
from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_voicepartner.operators.voice import TtsCallOperator
from airflow_provider_voicepartner.sensors.campaign import CampaignCompletionSensor
from airflow_provider_voicepartner.triggers.events import DeliveryEventTrigger

START = pendulum.datetime(2026, 1, 1, tz="UTC")
OUT = Path(os.environ.get("STANDALONE_OUT", "/nowhere"))

with DAG("send_and_wait", schedule=None, start_date=START, catchup=False):
    call = TtsCallOperator(
        task_id="call",
        conn_id="voicepartner_default",
        to="{{ params.to }}",
        text=os.environ.get("STANDALONE_TEXT", "-"),
        params={"to": os.environ.get("STANDALONE_TO", "-")},
    )
    CampaignCompletionSensor(
        task_id="wait", campaign=call.output, deferrable=True, poke_interval=8, min_delivery_rate=0.5
    )
    TtsCallOperator(
        task_id="call_and_wait",
        conn_id="octopush_default",
        to=os.environ.get("STANDALONE_TO", "-"),
        text=os.environ.get("STANDALONE_TEXT", "-"),
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

with DAG("on_completion", schedule=[completions], start_date=START, catchup=False):

    @task
    def note(triggering_asset_events: Any = None) -> None:
        """Write down what started this run."""
        payloads = [event.extra["payload"] for events in triggering_asset_events.values() for event in events]
        for payload in payloads:
            (OUT / f"event-{payload['id']}.json").write_text(json.dumps(payload), encoding="utf-8")

    note()
