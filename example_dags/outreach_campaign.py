"""
Reach everybody in a file: an SMS first, a call for those who did not get it, a voicemail for the rest.

The people are in a CSV file with the columns ``phone_number``, ``first_name`` and ``may_call``. Numbers stay in files
in the folder of the run: XCom holds counts only. Pointed at real connections this sends for real. Needs Airflow 2.11
or later.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pendulum

try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2.11
    from airflow.decorators import task
    from airflow.models.dag import DAG

from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.operators.voice import TtsCallOperator, VoicemailDropOperator
from airflow_provider_voicepartner.sensors.campaign import CampaignCompletionSensor

WAIT = {"wait_for_completion": "{{ params.wait_for_calls }}", "completion": {"poke_interval": 2}}
FOLDER = "{{ params.folder }}/{{ run_id | replace(':', '-') }}"

with DAG(
    "outreach_campaign",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="Europe/Paris"),
    catchup=False,
    params={
        "people": str(Path(__file__).parent / "data" / "people.csv"),
        "folder": "/tmp/outreach",  # readable by every task; a bucket's mount on several machines
        "wait_for_calls": False,  # needs the receiver, see docs/callbacks.md
    },
    tags=["voicepartner", "example"],
) as dag:
    # [START howto_outreach]
    send_sms = SendSmsOperator(
        task_id="send_sms",
        conn_id="smspartner_default",
        to="{{ params.people }}",
        message="Bonjour {first_name}, la collecte de sang a lieu samedi de 9h a 17h, salle des fetes.",
        on_invalid="skip",  # landlines get a call instead
        rejects_path=f"{FOLDER}/no_sms.csv",
    )

    wait_for_sms = CampaignCompletionSensor(
        task_id="wait_for_sms",
        campaign=send_sms.output,
        report_path=f"{FOLDER}/sms.csv",
        poke_interval=2,
        timeout=49 * 3600,
    )

    @task
    def split_unreached(people: str, folder: str) -> dict[str, int]:
        """Write one file for each next step; people who got the SMS are in none of them."""
        from airflow_provider_voicepartner.gateways.phone_numbers import (
            InvalidNumberError,
            LineType,
            parse_number,
        )

        with open(f"{folder}/sms.csv", encoding="utf-8") as file:
            reached = {row["phone_number"] for row in csv.DictReader(file) if row["status"] == "delivered"}
        steps: dict[str, list[dict[str, Any]]] = {"call_mobiles": [], "call_landlines": [], "voicemail": []}
        with open(people, encoding="utf-8-sig") as file:
            for row in csv.DictReader(file, delimiter=";"):
                try:
                    number = parse_number(row["phone_number"])
                except InvalidNumberError:
                    continue  # counted by send_sms, and in no_sms.csv
                if number.e164 in reached:
                    continue
                is_landline = number.line_type is LineType.LANDLINE
                step = "call_landlines" if is_landline else "call_mobiles"
                steps[step if row["may_call"] == "yes" else "voicemail"].append(row)
        for step, rows in steps.items():
            with open(f"{folder}/{step}.csv", "w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, ("phone_number", "first_name", "may_call"))
                writer.writeheader()
                writer.writerows(rows)
        return {step: len(rows) for step, rows in steps.items()}

    call_mobiles = TtsCallOperator(
        task_id="call_mobiles",
        conn_id="voicepartner_default",
        to=f"{FOLDER}/call_mobiles.csv",
        on_invalid="skip",
        text="Bonjour,, la collecte de sang a lieu samedi, de neuf heures à dix-sept heures, salle des fêtes.",
        on_empty="skip",
        **WAIT,
    )

    call_landlines = TtsCallOperator(
        task_id="call_landlines",
        conn_id="octopush_default",
        to=f"{FOLDER}/call_landlines.csv",
        text="Bonjour {first_name}, la collecte de sang a lieu samedi, de neuf heures à dix-sept heures.",
        on_empty="skip",
        **WAIT,
    )

    @task
    def pick_audio_file() -> str:
        """Return the token of the first audio file of the account."""
        from airflow_provider_voicepartner.hooks.voicepartner import VoicePartnerHook

        return VoicePartnerHook("voicepartner_default").list_audio_files()[0].token

    drop_voicemail = VoicemailDropOperator(
        task_id="drop_voicemail",
        conn_id="voicepartner_default",
        to=f"{FOLDER}/voicemail.csv",
        audio_token=pick_audio_file(),
        on_empty="skip",
        **WAIT,
    )

    split = split_unreached("{{ params.people }}", FOLDER)
    send_sms >> wait_for_sms >> split >> [call_mobiles, call_landlines, drop_voicemail]
    # [END howto_outreach]
