"""
Ask whoever is on call whether to go on, and take the answer by phone: a reply, a pressed key, or a link.

``[voicepartner] contacts`` names the people: ``data/contacts.toml`` is an example. A watchdog gives answers to Airflow.
Needs Airflow 3.1 or later; on an older one this file defines no DAG.
"""

from __future__ import annotations

import logging
from datetime import timedelta

import pendulum
from airflow import __version__

if tuple(map(int, __version__.split(".")[:2])) < (3, 1):
    logging.getLogger(__name__).warning(
        "approve_by_phone needs Airflow 3.1 or later; this is %s", __version__
    )
else:
    from airflow.providers.standard.operators.hitl import ApprovalOperator
    from airflow.sdk import DAG, task

    from airflow_provider_voicepartner.notifications.question import QuestionNotifier

    with DAG(
        "approve_by_phone",
        schedule=None,
        start_date=pendulum.datetime(2026, 1, 1, tz="Europe/Paris"),
        catchup=False,
        params={"version": "7"},
        tags=["voicepartner", "example"],
    ):
        # [START howto_approve_by_phone]
        approve = ApprovalOperator(
            task_id="approve",
            subject="Deploy version {{ params.version }}?",
            response_timeout=timedelta(hours=2),
            notifiers=[QuestionNotifier(to="@oncall")],
        )
        # [END howto_approve_by_phone]

        @task
        def deploy() -> None:
            """Do what was approved."""

        approve >> deploy()
