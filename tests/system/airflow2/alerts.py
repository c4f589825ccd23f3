"""What the test of Airflow 2 fails on purpose."""

from __future__ import annotations

import os
import signal

import pendulum
from airflow.decorators import task
from airflow.models.dag import DAG

from airflow_provider_voicepartner.notifications.sms import SmsNotifier

COMMON = {"schedule": "@once", "start_date": pendulum.datetime(2026, 1, 1, tz="UTC"), "catchup": False}


def fail() -> None:
    """Fail."""
    raise ValueError("no rows")


with DAG("plain", **COMMON):
    task(task_id="load")(fail)()
    task(task_id="check")(fail)()

with DAG("killed", **COMMON):

    @task
    def die() -> None:
        """End as the kernel ends a process that takes too much memory."""
        os.kill(os.getpid(), signal.SIGKILL)

    die()

with DAG("own", on_failure_callback=SmsNotifier(to="@bruno"), **COMMON):
    task(task_id="load")(fail)()

with DAG("of_tasks", **COMMON):
    task(task_id="load", on_failure_callback=SmsNotifier(to="@chloe"))(fail)()

with DAG("mails", **COMMON):
    task(task_id="mailed", email=["farid@sms", "data@example.org"], email_on_failure=True)(fail)()
