"""What the standalone tests fail on purpose: every kind of alert, each to somebody of its own."""

from __future__ import annotations

import os
import signal
import time
from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, AsyncCallback, BaseOperator, DeadlineAlert, DeadlineReference, SyncCallback, task
from airflow.sdk.exceptions import AirflowSkipException

from airflow_provider_voicepartner.notifications.all_clear import AllClearNotifier
from airflow_provider_voicepartner.notifications.page import PageNotifier
from airflow_provider_voicepartner.notifications.sms import SmsNotifier
from airflow_provider_voicepartner.notifications.voice import TtsCallNotifier
from tests.support.failing_trigger import FailingTrigger

COMMON: dict[str, Any] = {
    "schedule": None,
    "start_date": pendulum.datetime(2026, 1, 1, tz="UTC"),
    "catchup": False,
}
LITERAL = os.environ.get("STANDALONE_LITERAL", "0600000000")


def fail() -> None:
    """Fail."""
    raise ValueError("no rows")


with DAG("plain", **COMMON):
    task(task_id="load")(fail)()

with DAG("killed", **COMMON):

    @task
    def die() -> None:
        """End as the kernel ends a process that takes too much memory."""
        os.kill(os.getpid(), signal.SIGKILL)

    die()

with DAG("timed_out", dagrun_timeout=timedelta(seconds=5), **COMMON):

    @task
    def idle() -> None:
        """Take longer than the run may."""
        time.sleep(60)

    idle()

with DAG("two_fail", on_failure_callback=SmsNotifier(to="@bruno"), **COMMON):
    task(task_id="first")(fail)()
    task(task_id="second")(fail)()

    @task
    def rows(row: int) -> None:
        """Fail for one of the rows."""
        if row:
            fail()

    rows.expand(row=[0, 1])

with DAG("of_tasks", **COMMON):
    chloe, literal = SmsNotifier(to="@chloe"), SmsNotifier(to=LITERAL)

    @task(on_failure_callback=chloe)
    def mapped(row: int) -> None:
        """Fail for one of the rows."""
        if row:
            fail()

    mapped.expand(row=[0, 1])
    task(
        task_id="retried",
        retries=1,
        retry_delay=timedelta(seconds=1),
        on_retry_callback=chloe,
        on_failure_callback=TtsCallNotifier(to="@chloe"),
    )(fail)()
    task(task_id="literal", on_failure_callback=literal)(fail)()

    @task(on_skipped_callback=chloe)
    def skipped() -> None:
        """Skip."""
        raise AirflowSkipException("nothing to do")

    @task(on_success_callback=chloe)
    def succeeds() -> None:
        """Succeed."""

    skipped()
    succeeds()


class EndedByTrigger(BaseOperator):
    """Is failed by a trigger, and has no process of its own then."""

    def execute(self, context: Any) -> None:
        """Wait for the trigger."""
        self.defer(trigger=FailingTrigger(), method_name="execute_complete")


with DAG("ended", **COMMON):
    EndedByTrigger(task_id="defer", on_failure_callback=SmsNotifier(to="@ines"))

with DAG("asks", **COMMON):
    ApprovalOperator(
        task_id="approve",
        subject="Deploy {{ dag.dag_id }}?",
        notifiers=[SmsNotifier(to="@julie")],
        response_timeout=timedelta(seconds=20),
        on_failure_callback=SmsNotifier(to="@julie"),
    )

with DAG(
    "falls_back",
    on_failure_callback=SmsNotifier(
        to="@gina",
        conn_id="refusing",
        fallback=[TtsCallNotifier(to="@gina")],
        message="{{ dag.dag_id }} fails",
    ),
    **COMMON,
):
    task(task_id="load")(fail)()

with DAG(
    "late",
    deadline=[
        DeadlineAlert(
            reference=DeadlineReference.DAGRUN_QUEUED_AT,
            interval=timedelta(seconds=2),
            callback=AsyncCallback(SmsNotifier, kwargs=SmsNotifier.checked(to="@david", at_most=None)),
        ),
        DeadlineAlert(
            reference=DeadlineReference.DAGRUN_QUEUED_AT,
            interval=timedelta(seconds=12),
            callback=AsyncCallback(TtsCallNotifier, kwargs=TtsCallNotifier.checked(to="@emma", at_most=None)),
        ),
        DeadlineAlert(
            reference=DeadlineReference.AVERAGE_RUNTIME(max_runs=2, min_runs=1),
            interval=timedelta(seconds=1),
            callback=SyncCallback(
                SmsNotifier,
                kwargs=SmsNotifier.checked(to="@henri", message="{{ dag_run.dag_run_id }} is slow"),
            ),
        ),
    ],
    **COMMON,
):

    @task
    def take(dag_run: Any = None) -> None:
        """Take as long as the run says."""
        time.sleep(float((dag_run.conf or {}).get("seconds", 0)))

    take()

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

    @task(email="karim@sms", email_on_failure=True)
    def die_with_mail() -> None:
        """End as the kernel ends a process that takes too much memory."""
        os.kill(os.getpid(), signal.SIGKILL)

    die_with_mail()


@task
def rows(row: int, dag_run: Any = None) -> None:
    """Fail where the run says so."""
    if (dag_run.conf or {}).get("fails"):
        raise ValueError("no rows")


with DAG("storm", on_success_callback=AllClearNotifier(), **COMMON):
    rows.override(on_failure_callback=SmsNotifier(to="@lola", at_most="1/30s")).expand(row=list(range(6)))

with DAG("paged", **COMMON):
    rows.override(on_failure_callback=PageNotifier(policy="night"), on_success_callback=AllClearNotifier())(0)
