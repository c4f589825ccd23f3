"""A pipeline that tells whoever is on call: by a task, and when another task fails."""

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


class Fails(BaseOperator):
    """Fail."""

    def execute(self, context: Any) -> None:
        """Fail, as a pipeline does."""
        raise RuntimeError("no rows today")


with DAG("on_call", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), catchup=False):
    tell = SendSmsOperator(task_id="tell", to="@data-team", message="It begins")
    alert = SmsNotifier(to="@oncall", message="{{ ti.task_id }} of {{ dag.dag_id }} failed")
    tell >> Fails(task_id="fails", on_failure_callback=alert)
