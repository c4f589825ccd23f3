"""The gateway of another distribution passes the cases that ship with the package."""

from __future__ import annotations

from airflow_provider_acme import gateway as acme

from airflow_provider_voicepartner.testing.gateway_cases import NUMBER, SMS, GatewayCases, Sample


class TestAcme(GatewayCases):
    gateway = acme
    samples = (Sample(acme, SMS, {"id": "m-1", "state": "accepted"}, id_key="id", good_status=202),)
    balance = {"credit": "42.50", "currency": "EUR"}
    report = {"id": "m-1", "to": NUMBER, "state": "delivered"}
    status_key = "state"
    reports_are_dated = False
    answers_are_flagged = False
