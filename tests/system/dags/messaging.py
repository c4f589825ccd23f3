"""DAGs that only the tests run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import DAG, task

from airflow_provider_voicepartner.notifications.sms import SmsNotifier
from airflow_provider_voicepartner.operators.campaign import CancelCampaignOperator
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.operators.voice import TtsCallOperator, VoicemailDropOperator
from airflow_provider_voicepartner.sensors.campaign import CampaignCompletionSensor

COMMON: dict[str, Any] = {
    "schedule": None,
    "start_date": pendulum.datetime(2026, 1, 1, tz="UTC"),
    "catchup": False,
    "params": {"file": "", "dry_run": False},
}
AT_ONCE = timedelta(0)

with DAG("mapped", **COMMON):
    SendSmsOperator.partial(task_id="send", message="Hello {{ ti.map_index }}").expand(
        to=[["0612345601", "0612345602"], "0612345603", [{"phone_number": "0612345604"}]]
    )

with DAG("sends_again", **COMMON):
    SendSmsOperator(
        task_id="send",
        to="0612345601",
        message="Bonjour",
        send_again="{{ var.json.get('send_again', {}).get(run_id, '') }}",
    )

with DAG("xcom_input", **COMMON):

    @task
    def people() -> list[dict[str, str]]:
        """Return recipients with a personal field."""
        return [
            {"phone_number": "0612345601", "code": "A1"},
            {"phone_number": "0612345602", "code": "B2"},
        ]

    @task
    def numbers() -> list[str]:
        """Return bare numbers."""
        return ["0612345603", "0690123405"]

    SendSmsOperator(task_id="personal", to=people(), message="Code {code}")
    listed = numbers()
    pulled = SendSmsOperator(task_id="pulled", to="{{ ti.xcom_pull('numbers') }}", message="Hello")
    listed >> pulled
    TtsCallOperator.partial(task_id="call", conn_id="octopush_default", text="Bonjour").expand(to=listed)

with DAG("missing_values", **COMMON):
    once_only: dict[str, Any] = {"to": "0612345601", "retries": 2, "retry_delay": AT_ONCE}
    SendSmsOperator(task_id="xcom", message="Bonjour {{ ti.xcom_pull('nobody') }}", **once_only)
    SendSmsOperator(task_id="name", message="Bonjour {{ nobdy.name }}", **once_only)
    SendSmsOperator(task_id="sender", message="Bonjour", sender="{{ nobdy }}", **once_only)
    SendSmsOperator.partial(task_id="mapped", to="0612345601", retries=2, retry_delay=AT_ONCE).expand(
        message=["Bonjour {{ ti.xcom_pull('nobody') }}"]
    )
    TtsCallOperator(task_id="call", text="{{ ti.xcom_pull('nobody') }}", **once_only)

with DAG("retried", **COMMON):
    SendSmsOperator(
        task_id="send", to="0612345601, 0612345602", message="Once", retries=2, retry_delay=AT_ONCE
    )

with DAG("retried_everywhere", **COMMON):
    again: dict[str, Any] = {"retries": 2, "retry_delay": AT_ONCE}
    SendSmsOperator(task_id="sms", to="0612345601", message="Once", **again)
    SendSmsOperator(
        task_id="octopush_sms", conn_id="octopush_default", to="0612345602", message="Once", **again
    )
    TtsCallOperator(task_id="call", to="0612345603", text="Once", **again)
    TtsCallOperator(
        task_id="octopush_call", conn_id="octopush_default", to="0612345604", text="Once", **again
    )
    VoicemailDropOperator(task_id="voicemail", to="0612345605", audio_token="a1b2c3d4", **again)


class SendThenFail(SendSmsOperator):
    """Send, then fail as a worker does that dies before it reports success."""

    def execute(self, context: Any) -> Any:
        """Fail on the first attempt, after the message was sent and recorded."""
        report = super().execute(context)
        if context["ti"].try_number == 1:
            raise RuntimeError("the worker died after sending")
        return report


with DAG("fails_after_sending", **COMMON):
    SendThenFail(task_id="send", to="0612345601", message="Once", retries=1, retry_delay=AT_ONCE)

with DAG("changes_between_tries", **COMMON):
    SendThenFail(
        task_id="send",
        to="0612345601",
        message="It is try {{ ti.try_number }}",
        retries=1,
        retry_delay=AT_ONCE,
    )

with DAG("tells_the_time", **COMMON):
    SendThenFail(
        task_id="send",
        to="0612345601",
        message="It is {{ macros.datetime.now() }}",
        retries=1,
        retry_delay=AT_ONCE,
    )

with DAG("mapped_over_a_file", **COMMON):

    @task
    def listed(path: str) -> list[str]:
        """Return the lines of a file, as they stand there now."""
        with open(path, encoding="utf-8") as file:
            return file.read().split()

    SendSmsOperator.partial(task_id="send", message="Once").expand(to=listed("{{ params.file }}"))

with DAG("many_batches", **COMMON):
    SendSmsOperator(task_id="send", to="{{ params.file }}", message="Hello", dry_run="{{ params.dry_run }}")

with DAG("many_calls", **COMMON):
    TtsCallOperator(task_id="send", to="{{ params.file }}", text="Bonjour", dry_run="{{ params.dry_run }}")

with DAG("private", **COMMON, on_failure_callback=SmsNotifier(to="{{ var.value.duty }}")):
    sent = SendSmsOperator(
        task_id="send",
        to="{{ var.value.people }}",
        message="{{ var.value.text }}",
        on_invalid="skip",
        options={"tag": "vip"},
    )
    waited = CampaignCompletionSensor(
        task_id="wait", campaign=sent.output, report_path="{{ var.value.report }}", poke_interval=0.1
    )
    refused = SendSmsOperator(task_id="refuse", to="{{ var.value.landline }}", message="{{ var.value.text }}")
    too_long = TtsCallOperator(
        task_id="too_long",
        conn_id="octopush_default",
        to="{{ var.value.people }}",
        text="{{ var.value.text * 100 }}",
        on_invalid="skip",
        trigger_rule="all_done",
    )
    sent >> waited >> refused >> too_long

with DAG("reschedules", **COMMON):
    first = SendSmsOperator(task_id="send", to="0612345601", message="Hello")
    CampaignCompletionSensor(task_id="wait", campaign=first.output, mode="reschedule", poke_interval=0.2)

with DAG("gives_up_softly", **COMMON):
    silent = SendSmsOperator(task_id="send", to="0612345601", message="Hello")
    CampaignCompletionSensor(
        task_id="wait", campaign=silent.output, poke_interval=0.1, timeout=0.5, soft_fail=True
    )

with DAG("needs_callbacks", **COMMON):
    called = TtsCallOperator(task_id="call", to="0612345601", text="Bonjour")
    CampaignCompletionSensor(task_id="wait", campaign=called.output, poke_interval=0.1, retries=3)

with DAG("cancels", **COMMON):
    later = VoicemailDropOperator(
        task_id="later",
        to="0612345601",
        audio_token="a1b2c3d4",
        send_at="{{ (dag_run.run_after + macros.timedelta(days=1)).isoformat() }}",
    )
    CancelCampaignOperator(task_id="cancel", campaign=later.output)

with DAG("mapped_to_the_end", **COMMON):

    @task
    def rows() -> list[list[tuple[str, str]]]:
        """Return lists as queries return them."""
        return [[("Anna", "0612345601"), ("Ben", "0612345602")], [("Cleo", "0612345603")]]

    every = SendSmsOperator.partial(task_id="send", message="Hello", column=1).expand(to=rows())
    CampaignCompletionSensor(task_id="wait", campaign=every.output, poke_interval=0.1)

with DAG("cancels_mapped", **COMMON):
    planned = VoicemailDropOperator.partial(
        task_id="later",
        audio_token="a1b2c3d4",
        send_at="{{ (dag_run.run_after + macros.timedelta(days=1)).isoformat() }}",
    ).expand(to=["0612345601", "0612345602"])
    CancelCampaignOperator(task_id="cancel", campaign=planned.output)
