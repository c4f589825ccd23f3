"""What the standalone test of on-call runs: DAGs that page, the DAG that goes on, and a gateway outside the package."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_voicepartner.notifications.page import PageNotifier
from airflow_provider_voicepartner.operators.page import PageOperator
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.sensors.campaign import CampaignCompletionSensor
from airflow_provider_voicepartner.triggers.page import IncidentTrigger

COMMON: dict[str, Any] = {
    "schedule": None,
    "start_date": pendulum.datetime(2026, 1, 1, tz="UTC"),
    "catchup": False,
}

for _policy in ("replied", "linked"):
    with DAG(f"paging_{_policy}", **COMMON):

        @task(on_failure_callback=PageNotifier(policy=_policy))
        def load() -> None:
            """Fail, so that somebody is paged."""
            raise ValueError("no rows")

        load()

incidents = Asset(
    "standalone_incidents",
    watchers=[AssetWatcher(name="standalone_incidents", trigger=IncidentTrigger(poll_interval=1))],
)

with DAG("goes_on", **{**COMMON, "schedule": [incidents]}, max_active_runs=1):
    PageOperator(task_id="page", retries=5, retry_delay=timedelta(seconds=1))

with DAG("through_another_gateway", **COMMON):
    sent = SendSmsOperator(
        task_id="send", conn_id="acme_default", to="{{ var.value.standalone_to }}", message="Bonjour"
    )
    CampaignCompletionSensor(task_id="wait", campaign=sent.output, deferrable=True, poke_interval=2)
