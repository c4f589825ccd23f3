"""What the test of Airflow 2 fails on purpose."""

from __future__ import annotations

import os
import signal
from datetime import timedelta

import pendulum
from airflow.decorators import task
from airflow.exceptions import AirflowSkipException
from airflow.models.dag import DAG

from airflow_provider_voicepartner.notifications.sms import SmsNotifier
from airflow_provider_voicepartner.notifications.voice import TtsCallNotifier

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
    chloe = SmsNotifier(to="@chloe")
    task(task_id="load", on_failure_callback=chloe)(fail)()
    task(
        task_id="retried",
        retries=1,
        retry_delay=timedelta(seconds=1),
        on_retry_callback=chloe,
        on_failure_callback=TtsCallNotifier(to="@david"),
    )(fail)()

    @task(on_failure_callback=chloe)
    def mapped(row: int) -> None:
        """Fail for one of the rows."""
        if row:
            fail()

    @task(on_skipped_callback=chloe)
    def skipped() -> None:
        """Skip."""
        raise AirflowSkipException("nothing to do")

    @task(on_success_callback=chloe)
    def succeeds() -> None:
        """Succeed."""

    mapped.expand(row=[0, 1])
    skipped()
    succeeds()

with DAG("mails", **COMMON):
    task(task_id="mailed", email=["farid@sms", "data@example.org"], email_on_failure=True)(fail)()
    task(
        task_id="again",
        email="karim@sms",
        email_on_retry=True,
        email_on_failure=False,
        retries=1,
        retry_delay=timedelta(seconds=1),
    )(fail)()
