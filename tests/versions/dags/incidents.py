"""DAGs that fail as long as a file lies there, with people who are told and who want to hear that it is over."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pendulum

try:
    from airflow.sdk import DAG, BaseOperator
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.models.baseoperator import BaseOperator

from airflow_provider_voicepartner.notifications.all_clear import AllClearNotifier
from airflow_provider_voicepartner.notifications.page import PageNotifier
from airflow_provider_voicepartner.notifications.sms import SmsNotifier

COMMON: dict[str, Any] = {
    "schedule": None,
    "start_date": pendulum.datetime(2026, 1, 1, tz="UTC"),
    "catchup": False,
}


class Load(BaseOperator):
    """Fail as long as the file lies there."""

    def __init__(self, row: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.row = row

    def execute(self, context: Any) -> None:
        """Fail, or not."""
        if Path(os.environ["INCIDENTS_BROKEN"]).exists():
            raise ValueError(f"no rows in {self.row}")


with DAG("storm", on_success_callback=AllClearNotifier(), **COMMON):
    Load.partial(task_id="load", on_failure_callback=SmsNotifier(to="@anne")).expand(
        row=list(range(int(os.environ.get("INCIDENTS_ROWS", "12"))))
    )

with DAG(
    "whole",
    on_failure_callback=SmsNotifier(to="@bruno"),
    on_success_callback=AllClearNotifier(),
    **COMMON,
):
    Load(task_id="load")

with DAG("tried_twice", **COMMON):
    Load(
        task_id="load",
        retries=1,
        retry_delay=timedelta(0),
        on_retry_callback=SmsNotifier(to="@anne"),
        on_failure_callback=SmsNotifier(to="@anne"),
        on_success_callback=AllClearNotifier(),
    )

with DAG("paged", **COMMON):
    Load(
        task_id="load",
        on_failure_callback=PageNotifier(policy="night"),
        on_success_callback=AllClearNotifier(),
    )
