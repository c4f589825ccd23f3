"""The DAG that the test of kills lets run escalations, as ``example_dags/on_call.py`` has it."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import DAG, Asset, AssetWatcher

from airflow_provider_voicepartner.operators.page import PageOperator
from airflow_provider_voicepartner.triggers.page import IncidentTrigger

incidents = Asset(
    "killed_incidents",
    watchers=[AssetWatcher(name="killed_incidents", trigger=IncidentTrigger(poll_interval=1))],
)

with DAG(
    "runs_escalations",
    schedule=[incidents],
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=2,
):
    PageOperator(task_id="page", poll_interval=1, retries=5, retry_delay=timedelta(seconds=3))
