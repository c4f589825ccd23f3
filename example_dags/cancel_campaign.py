"""
Schedule a campaign for tomorrow, and take it back when something speaks against it. Needs Airflow 2.11 or later.

``[voicepartner] contacts`` names the people: ``data/contacts.toml`` is an example.
"""

from __future__ import annotations

import pendulum

try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2.11
    from airflow.decorators import task
    from airflow.models.dag import DAG

from airflow_provider_voicepartner.operators.campaign import CancelCampaignOperator
from airflow_provider_voicepartner.operators.sms import SendSmsOperator

with DAG(
    "cancel_campaign",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="Europe/Paris"),
    catchup=False,
    tags=["voicepartner", "example"],
) as dag:
    # [START howto_cancel_campaign]
    tomorrow = SendSmsOperator(
        task_id="tomorrow",
        to="@anne",
        message="La migration commence demain.",
        # From the run, not from the clock: a retry must ask for the same time. (Airflow 2.11 has no run_after.)
        send_at="{{ (dag_run.run_after | default(data_interval_end) + macros.timedelta(days=1)).isoformat() }}",
    )

    @task.short_circuit
    def is_called_off() -> bool:
        """Ask whatever knows; here the answer is always yes."""
        return True

    take_back = CancelCampaignOperator(task_id="take_back", campaign=tomorrow.output)
    tomorrow >> is_called_off() >> take_back
    # [END howto_cancel_campaign]
