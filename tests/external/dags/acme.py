"""DAGs that send through a gateway of another distribution; they say nothing about it but its connection."""

from __future__ import annotations

import datetime as dt

import pendulum

from airflow_provider_voicepartner.compat import DAG, BaseOperator
from airflow_provider_voicepartner.notifications.sms import SmsNotifier
from airflow_provider_voicepartner.operators.campaign import CancelCampaignOperator
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.sensors.campaign import CampaignCompletionSensor

MANY = [{"phone_number": f"+336123{number:05d}", "name": f"n° {number}"} for number in range(600)]
START = pendulum.datetime(2024, 1, 1, tz="UTC")


class Fails(BaseOperator):
    """Fails."""

    def execute(self, context: object) -> None:
        """Fail."""
        raise ValueError("as asked")


with DAG("acme_many", schedule=None, start_date=START):
    send = SendSmsOperator(
        task_id="send", conn_id="acme_default", to=MANY, message="Bonjour {name}", max_in_flight=8
    )
    waits = [
        CampaignCompletionSensor(
            task_id="poke", campaign=send.output, mode="poke", poke_interval=1, timeout=300
        ),
        CampaignCompletionSensor(
            task_id="reschedule", campaign=send.output, mode="reschedule", poke_interval=1
        ),
        CampaignCompletionSensor(
            task_id="deferrable", campaign=send.output, deferrable=True, poke_interval=1
        ),
    ]
    waits[0] >> waits[1] >> waits[2]

with DAG("acme_planned", schedule=None, start_date=START):
    plan = SendSmsOperator(
        task_id="send",
        conn_id="acme_default",
        to=MANY[:3],
        message="Bonjour {name}",
        send_at="{{ macros.datetime.now(macros.dateutil.tz.UTC) + macros.timedelta(minutes=20) }}",
    )
    CancelCampaignOperator(task_id="take_back", campaign=plan.output)

with DAG("acme_alert", schedule=None, start_date=START):
    Fails(
        task_id="work",
        retries=0,
        execution_timeout=dt.timedelta(minutes=1),
        on_failure_callback=SmsNotifier(
            conn_id="acme_default", to=["+33612345601", "+33612345602"], message="{{ dag.dag_id }} failed",
            options={"flash": True},
        ),
    )  # fmt: skip
