"""DAGs whose failure no callback can tell, one a round: tasks to be killed, and a notifier whose gateway is dead."""

from __future__ import annotations

import os
import time
from datetime import datetime
from pathlib import Path

from airflow.sdk import dag, task

from airflow_provider_voicepartner.notifications.sms import SmsNotifier

ROUNDS = 5


def _victim(dag_id: str) -> None:
    @dag(dag_id=dag_id, schedule=None, start_date=datetime(2026, 1, 1), catchup=False)
    def victim() -> None:
        @task
        def sleeps() -> None:
            (Path(os.environ["DEATHS_OUT"]) / dag_id).write_text(
                f"{os.getpid()} {os.getppid()}", encoding="utf-8"
            )
            time.sleep(3600)

        sleeps()

    victim()


def _unheard(dag_id: str) -> None:
    @dag(dag_id=dag_id, schedule=None, start_date=datetime(2026, 1, 1), catchup=False)
    def unheard() -> None:
        @task(on_failure_callback=SmsNotifier(conn_id="refusing", to="+33612345678"))
        def fails() -> None:
            raise ValueError("no rows")

        fails()

    unheard()


for _round in range(ROUNDS):
    _victim(f"killed_{_round}")
    _victim(f"lost_{_round}")
    _unheard(f"unheard_{_round}")
