"""
Alerts of rising urgency while a run is late: an SMS after half an hour, a call after an hour.

Needs Airflow 3.3 or later, for several deadlines of one DAG; on an older one this file defines no DAG.
"""

from __future__ import annotations

import logging
from datetime import timedelta

import pendulum
from airflow import __version__

if tuple(map(int, __version__.split(".")[:2])) < (3, 3):
    logging.getLogger(__name__).warning("deadline_tiers needs Airflow 3.3 or later; this is %s", __version__)
else:
    from airflow.sdk import DAG, AsyncCallback, DeadlineAlert, DeadlineReference, task

    from airflow_provider_voicepartner.notifications.sms import SmsNotifier
    from airflow_provider_voicepartner.notifications.voice import TtsCallNotifier

    # [START howto_deadline_tiers]
    with DAG(
        "deadline_tiers",
        schedule=None,
        start_date=pendulum.datetime(2026, 1, 1, tz="Europe/Paris"),
        catchup=False,
        deadline=[
            DeadlineAlert(
                reference=DeadlineReference.DAGRUN_QUEUED_AT,
                interval=timedelta(minutes=30),
                callback=AsyncCallback(SmsNotifier, kwargs=SmsNotifier.checked(to="@oncall")),
            ),
            DeadlineAlert(
                reference=DeadlineReference.DAGRUN_QUEUED_AT,
                interval=timedelta(minutes=60),
                callback=AsyncCallback(TtsCallNotifier, kwargs=TtsCallNotifier.checked(to="@data-team")),
            ),
            DeadlineAlert(
                reference=DeadlineReference.AVERAGE_RUNTIME(max_runs=10, min_runs=3),
                interval=timedelta(minutes=15),
                callback=AsyncCallback(SmsNotifier, kwargs=SmsNotifier.checked(to="@oncall")),
            ),
        ],
        tags=["voicepartner", "example"],
    ) as dag:

        @task
        def load() -> None:
            """Load what others wait for."""

        load()
    # [END howto_deadline_tiers]
