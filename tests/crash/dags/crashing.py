"""One small campaign for each way of sending; the tests kill its task."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum

from airflow_provider_voicepartner.compat import DAG
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.operators.voice import TtsCallOperator, VoicemailDropOperator

COMMON: dict[str, Any] = {
    "schedule": None,
    "start_date": pendulum.datetime(2026, 1, 1, tz="UTC"),
    "catchup": False,
}
TASK: dict[str, Any] = {
    "task_id": "send",
    "to": "{{ var.value.crash_to }}",
    "on_unknown": "{{ var.value.crash_on_unknown }}",
    "max_in_flight": "{{ var.value.crash_in_flight }}",
    "retries": 20,
    "retry_delay": timedelta(0),
}

with DAG("crash_smspartner_sms", **COMMON):
    SendSmsOperator(conn_id="smspartner_default", message="Once", **TASK)

with DAG("crash_octopush_sms", **COMMON):
    SendSmsOperator(conn_id="octopush_default", message="Once", **TASK)

with DAG("crash_octopush_call", **COMMON):
    TtsCallOperator(conn_id="octopush_default", text="Once", **TASK)

with DAG("crash_voicepartner_call", **COMMON):
    TtsCallOperator(conn_id="voicepartner_default", text="Once", **TASK)

with DAG("crash_voicepartner_voicemail", **COMMON):
    VoicemailDropOperator(conn_id="voicepartner_default", audio_token="a1b2c3d4", **TASK)

with DAG("crash_out_of_time", **COMMON):
    SendSmsOperator(
        conn_id="smspartner_default", message="Once", **TASK, execution_timeout=timedelta(seconds=1)
    )
