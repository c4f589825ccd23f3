"""
What every gateway promises, as one table of cases that pytest runs against one of them.

A gateway's tests hold one class::

    class TestAcme(GatewayCases):
        gateway = acme
        samples = [Sample(acme, SMS, {"id": "m-1"}, id_key="id")]
        balance = {"credit": "42.50", "currency": "EUR"}
        report = {"id": "m-1", "to": NUMBER, "state": "delivered"}  # not if INFO.reports is "never"
        status_key = "state"

The table of attributes is in ``docs/gateway-api.md``.
"""

from __future__ import annotations

from airflow_provider_voicepartner.testing.gateway_cases.answers import (
    AnAnswerThatNamesASendCases,
    BalanceCases,
    ReceiptCases,
    RefusalCases,
    UnreadableAnswerCases,
)
from airflow_provider_voicepartner.testing.gateway_cases.callbacks import CallbackCases
from airflow_provider_voicepartner.testing.gateway_cases.facts import FactCases, HookCases, ShapeCases
from airflow_provider_voicepartner.testing.gateway_cases.random_input import (
    AnythingAtAllCases,
    WhateverIsListedCases,
)
from airflow_provider_voicepartner.testing.gateway_cases.requests import KeyCases, SendRequestCases
from airflow_provider_voicepartner.testing.gateway_cases.samples import (
    ANNA,
    CALL,
    CREDENTIALS,
    DROP,
    KEY,
    LOGIN,
    NOW,
    NUMBER,
    SMS,
    SOON,
    TEXT,
    Sample,
    answer,
    failure,
    value_at,
    with_value,
    without,
)

__all__ = [
    "ANNA",
    "CALL",
    "CREDENTIALS",
    "DROP",
    "KEY",
    "LOGIN",
    "NOW",
    "NUMBER",
    "SMS",
    "SOON",
    "TEXT",
    "GatewayCases",
    "Sample",
    "answer",
    "failure",
    "value_at",
    "with_value",
    "without",
]


class GatewayCases(
    ShapeCases,
    FactCases,
    HookCases,
    KeyCases,
    SendRequestCases,
    ReceiptCases,
    AnAnswerThatNamesASendCases,
    UnreadableAnswerCases,
    RefusalCases,
    BalanceCases,
    CallbackCases,
    WhateverIsListedCases,
    AnythingAtAllCases,
):
    """Every case; a subclass whose name begins with ``Test`` is run."""
