"""
Call people and speak a text, through Voice Partner and through Octopush. Needs Airflow 2.11 or later.

``[voicepartner] contacts`` names the people: ``data/contacts.toml`` is an example.
"""

from __future__ import annotations

import pendulum
from airflow import DAG

from airflow_provider_voicepartner.operators.voice import TtsCallOperator

with DAG(
    "tts_call",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="Europe/Paris"),
    catchup=False,
    tags=["voicepartner", "example"],
) as dag:
    # [START howto_tts_call]
    call_on_duty = TtsCallOperator(
        task_id="call_on_duty",
        conn_id="voicepartner_default",
        to="@data-team",
        text="La chaîne de données de la nuit a échoué,, regardez vos messages.",
        speech_rate=0.9,
    )
    # [END howto_tts_call]

    # [START howto_tts_call_octopush]
    call_manager = TtsCallOperator(
        task_id="call_manager",
        conn_id="octopush_default",
        to=[{"phone_number": "@bruno", "first_name": "Bruno"}],
        text="Bonjour {first_name}. The nightly pipeline failed.",
        language="en-GB",
        options={"voice_gender": "male"},
    )
    # [END howto_tts_call_octopush]
