"""
Tell whoever is on call by SMS when a task fails, and call the team when the DAG does. Needs Airflow 2.11 or later.

``[voicepartner] contacts`` names the people: ``data/contacts.toml`` is an example.
"""

from __future__ import annotations

import pendulum

try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2.11
    from airflow.decorators import task
    from airflow.models.dag import DAG

from airflow_provider_voicepartner.notifications.sms import send_sms_notification
from airflow_provider_voicepartner.notifications.voice import send_tts_call_notification

# [START howto_notifiers]
with DAG(
    "alert_on_failure",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="Europe/Paris"),
    catchup=False,
    on_failure_callback=send_tts_call_notification(
        conn_id="voicepartner_default", to="@data-team", text="Le DAG {{ dag.dag_id }} a échoué."
    ),
    tags=["voicepartner", "example"],
) as dag:

    @task(on_failure_callback=send_sms_notification(conn_id="smspartner_default", to="@oncall"))
    def fragile() -> None:
        """Fail, as tasks do."""
        raise RuntimeError("the source table is empty")

    fragile()
# [END howto_notifiers]
