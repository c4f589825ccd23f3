"""
Wait until everybody's SMS has a final status, and fail when too few got it. Needs Airflow 2.11 or later.

``[voicepartner] contacts`` names the people: ``data/contacts.toml`` is an example.
"""

from __future__ import annotations

import pendulum
from airflow import DAG

from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.sensors.campaign import CampaignCompletionSensor

with DAG(
    "wait_for_campaign",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="Europe/Paris"),
    catchup=False,
    tags=["voicepartner", "example"],
) as dag:
    send = SendSmsOperator(task_id="send", to="@data-team", message="Le site est de retour.")

    # [START howto_wait_for_campaign]
    wait = CampaignCompletionSensor(
        task_id="wait",
        campaign=send.output,
        min_delivery_rate=0.9,
        mode="reschedule",
        poke_interval=30,
        timeout=49 * 3600,  # reports may take 48 hours
    )
    # [END howto_wait_for_campaign]
