"""What Airflow reads about this distribution."""

from __future__ import annotations

from typing import Any

from airflow_provider_acme.gateway import INFO
from airflow_provider_voicepartner.gateway_api import connection_type_of


def get_provider_info() -> dict[str, Any]:
    """Return the metadata: the connection type with its form and its hook."""
    return {
        "package-name": "airflow-provider-acme",
        "name": "Acme",
        "description": "SMS through Acme.",
        "versions": ["1.0.0"],
        "connection-types": [connection_type_of(INFO)],
    }
