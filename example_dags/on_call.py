"""
Page people until somebody has it, where no watchdog runs: one DAG fails, and another one runs the escalation.

``[voicepartner] contacts`` names people and policies: ``data/contacts.toml`` is an example. Needs Airflow 3.3 or later;
on an older one this file defines no DAG.
"""

from __future__ import annotations

import logging
from datetime import timedelta

import pendulum
from airflow import __version__

if tuple(map(int, __version__.split(".")[:2])) < (3, 3):
    logging.getLogger(__name__).warning("on_call needs Airflow 3.3 or later; this is %s", __version__)
else:
    from airflow.sdk import DAG, Asset, AssetWatcher, task

    from airflow_provider_voicepartner.notifications.all_clear import AllClearNotifier
    from airflow_provider_voicepartner.notifications.page import PageNotifier
    from airflow_provider_voicepartner.operators.page import PageOperator
    from airflow_provider_voicepartner.triggers.page import IncidentTrigger

    START = pendulum.datetime(2026, 1, 1, tz="Europe/Paris")

    # [START howto_on_call]
    with DAG("nightly_load", schedule=None, start_date=START, tags=["voicepartner", "example"]):

        @task(on_failure_callback=PageNotifier(policy="night"), on_success_callback=AllClearNotifier())
        def load() -> None:
            """Fail, so that somebody is paged."""
            raise ValueError("no rows")

        load()

    incidents = Asset(
        "voicepartner_incidents",
        watchers=[AssetWatcher(name="voicepartner_incidents", trigger=IncidentTrigger())],
    )

    with DAG(
        "on_call",
        schedule=[incidents],
        start_date=START,
        catchup=False,
        max_active_runs=2,
        tags=["voicepartner", "example"],
    ):
        PageOperator(task_id="page", retries=5, retry_delay=timedelta(seconds=10))
    # [END howto_on_call]
