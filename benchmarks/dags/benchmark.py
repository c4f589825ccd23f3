"""What the benchmarks run under Airflow: a campaign as one task, and the same as one mapped task a batch."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, BaseOperator

from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from benchmarks.environment import GATEWAY, IN_MEMORY, ORDER, STORE, TEXT


class TimedOperator(SendSmsOperator):
    """The operator, with a clock around its work; it may be left without a ledger."""

    def execute(self, context: Any) -> dict[str, Any]:
        """Send, and note when it began and how long it took."""
        order = json.loads(os.environ[ORDER])
        if order["store"] is not None:
            os.environ[STORE] = order["store"]
        if order["store"] == IN_MEMORY:
            context = {**context, "task_state_store": None}
        began = {"began": time.monotonic()}
        Path(order["began"]).write_text(json.dumps(began), encoding="utf-8")
        report: dict[str, Any] = super().execute(context)
        took = {**began, "seconds": time.monotonic() - began["began"], "counts": report["counts"]}
        Path(order["ended"]).write_text(json.dumps(took), encoding="utf-8")
        return report


class PostOperator(BaseOperator):
    """Stands for an HTTP operator: one POST, without anything else."""

    template_fields = ("body",)

    def __init__(self, *, body: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.body = body

    def execute(self, context: Any) -> None:
        """Post the body."""
        import requests

        with requests.Session() as session:
            session.trust_env = False
            headers = {"Content-Type": "application/json"}
            url = f"{os.environ[GATEWAY]}/v1/send"
            session.post(url, data=self.body, headers=headers, timeout=30).raise_for_status()


with DAG("benchmark_campaign", schedule=None):
    TimedOperator(task_id="send", to="{{ dag_run.conf['to'] }}", message=TEXT)

with DAG("benchmark_mapped", schedule=None):
    bodies = json.loads(Path(os.environ["BENCHMARK_BODIES"]).read_text(encoding="utf-8"))
    PostOperator.partial(task_id="post").expand(body=bodies)
