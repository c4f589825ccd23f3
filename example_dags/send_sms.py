"""Send an SMS, with a text for each person. Needs Airflow 2.11 or later."""

from __future__ import annotations

import pendulum
from airflow import DAG

from airflow_provider_voicepartner.operators.sms import SendSmsOperator

with DAG(
    "send_sms",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="Europe/Paris"),
    catchup=False,
    tags=["voicepartner", "example"],
) as dag:
    # [START howto_send_sms]
    remind = SendSmsOperator(
        task_id="remind",
        conn_id="smspartner_default",
        to=[
            {"phone_number": "06 12 34 56 01", "first_name": "Amélie", "hour": "9:30"},
            {"phone_number": "+33612345602", "first_name": "Bruno", "hour": "10:00"},
        ],
        message="Bonjour {first_name}, rendez-vous demain a {hour}.",
        sender="MaClinique",
    )
    # [END howto_send_sms]
