"""
Leave a recorded message on people's voicemail, without ringing. Needs Airflow 2.11 or later.

``[voicepartner] contacts`` names the people: ``data/contacts.toml`` is an example.
"""

from __future__ import annotations

import pendulum

try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2.11
    from airflow.decorators import task
    from airflow.models.dag import DAG

from airflow_provider_voicepartner.operators.voice import VoicemailDropOperator

with DAG(
    "voicemail_drop",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="Europe/Paris"),
    catchup=False,
    tags=["voicepartner", "example"],
) as dag:
    # [START howto_voicemail_drop]
    @task
    def pick_audio_file() -> str:
        """Return the token of the first file that was added and validated on the dashboard."""
        from airflow_provider_voicepartner.hooks.voicepartner import VoicePartnerHook

        return VoicePartnerHook("voicepartner_default").list_audio_files()[0].token

    drop = VoicemailDropOperator(
        task_id="drop",
        conn_id="voicepartner_default",
        to="@anne",
        audio_token=pick_audio_file(),
        email_for_notification="ops@example.org",
    )
    # [END howto_voicemail_drop]
