"""What a user of any Airflow does first: send, wait without a worker, be told of a failure."""

from __future__ import annotations

from typing import Any

import pendulum

try:
    from airflow.sdk import DAG, BaseOperator
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.models.baseoperator import BaseOperator

from airflow_provider_voicepartner.notifications.sms import SmsNotifier
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.sensors.campaign import CampaignCompletionSensor


class Breaks(BaseOperator):
    """Fail."""

    def execute(self, context: Any) -> None:
        """Fail, as a pipeline does; before, say whether a task can know that it is only tried out."""
        from airflow_provider_voicepartner.hooks.dry_run import is_trial

        print(f"is a trial: {is_trial()}")
        raise RuntimeError("no rows today")


with DAG("smoke", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), catchup=False):
    send = SendSmsOperator(
        task_id="send",
        to=[
            {"phone_number": "0612345601", "name": "Anna"},
            {"phone_number": "0612345602", "name": "Ben"},
        ],
        message="Hello {name}",
    )
    wait = CampaignCompletionSensor(
        task_id="wait", campaign=send.output, deferrable=True, poke_interval=0.2, timeout=60
    )
    alert = SmsNotifier(to="0612345603", message="{{ ti.task_id }} of {{ dag.dag_id }} failed")
    wait >> Breaks(task_id="breaks", on_failure_callback=alert)
