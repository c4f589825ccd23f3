"""
Page people until somebody has it, without a watchdog: one DAG fails, and another one runs the escalation.

``[voicepartner] contacts`` names people and policies: ``data/contacts.toml`` is an example. Needs Airflow 3.
"""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_voicepartner.notifications.page import PageNotifier
from airflow_provider_voicepartner.operators.page import PageOperator
from airflow_provider_voicepartner.triggers.page import IncidentTrigger

# [START on_call]
with DAG("example_on_call", schedule=None, start_date=datetime(2026, 1, 1), catchup=False):

    @task(on_failure_callback=PageNotifier(policy="night"))
    def load() -> None:
        raise ValueError("no rows")

    load()

incidents = Asset("incidents", watchers=[AssetWatcher(name="incidents", trigger=IncidentTrigger())])

with DAG(
    "example_escalations",
    schedule=[incidents],
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
):
    PageOperator(task_id="page")
# [END on_call]
