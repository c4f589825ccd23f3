"""Acme: SMS to one recipient a request, in forms, with basic authentication; no answer tells a price."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_voicepartner.gateway_api import SENDER_FIELD, GatewayInfo, attribute

if TYPE_CHECKING:
    from airflow_provider_acme.gateway.codes import knows_status
    from airflow_provider_acme.gateway.messages import (
        check_message,
        check_recipient,
        compile_message,
        segments_of,
    )
    from airflow_provider_acme.gateway.refusals import names_a_send
    from airflow_provider_acme.gateway.requests import (
        authenticate,
        build_balance,
        build_batch,
        build_cancel,
        build_status,
    )
    from airflow_provider_acme.gateway.responses import (
        parse_balance,
        parse_batch,
        parse_cancel,
        parse_status,
    )
    from airflow_provider_acme.gateway.webhooks import parse_callback

INFO = GatewayInfo(
    name="acme",
    label="Acme",
    base_url="https://api.acme-sms.example/2.0",
    hook="airflow_provider_acme.hook.AcmeHook",
    sends={"sms": "messages"},
    endpoints={"messages": "150/1", "messages/status": "none", "messages/cancel": "none", "account": "10/60"},
    limits_example='{"messages": "50/1"}',
    fields={"sender": SENDER_FIELD},
    login="Account",
    login_hint="the number of the account",
    credentials=("basic",),
    options={"sms": "airflow_provider_acme.gateway.options.SmsOptions"},
    body="form",
    most_recipients=1,
    shortest_lead=timedelta(minutes=15),
    longest_lead=timedelta(days=30),
    polls=True,
    reports="batch",
)

_MODULES = ("messages", "requests", "responses", "refusals", "webhooks", "codes", "options")

__all__ = [
    "INFO",
    "authenticate",
    "build_balance",
    "build_batch",
    "build_cancel",
    "build_status",
    "check_message",
    "check_recipient",
    "compile_message",
    "knows_status",
    "names_a_send",
    "parse_balance",
    "parse_batch",
    "parse_callback",
    "parse_cancel",
    "parse_status",
    "segments_of",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        return attribute(__name__, _MODULES, __all__, name)
