"""Who this gateway is: the constants that every other module of the package needs."""

from __future__ import annotations

from airflow_provider_voicepartner.gateways.model import Kind

NAME = "smspartner"
LABEL = "SMS Partner"
BASE_URL = "https://api.smspartner.fr/v1"
KINDS: frozenset[Kind] = frozenset({"sms"})
CURRENCY = "EUR"
"""The only currency that the vendor documents; used where an answer names none."""
