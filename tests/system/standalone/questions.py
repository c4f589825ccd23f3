"""Two questions to people that are answered by phone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, task

from airflow_provider_voicepartner.notifications.question import QuestionNotifier

COMMON: dict[str, Any] = {
    "schedule": None,
    "start_date": pendulum.datetime(2026, 1, 1, tz="UTC"),
    "catchup": False,
}


@task
def deploy() -> str:
    """Do what was approved."""
    return "deployed"


with DAG("by_phone", **COMMON):
    (
        ApprovalOperator(
            task_id="approve",
            subject="Deploy the planted version 4711?",
            response_timeout=timedelta(hours=1),
            notifiers=[QuestionNotifier(to="@anne")],
        )
        >> deploy()
    )

with DAG("by_two", **COMMON):
    (
        ApprovalOperator(
            task_id="approve",
            subject="Deploy to two?",
            notifiers=[QuestionNotifier(to="@bruno, @chloe")],
        )
        >> deploy()
    )
