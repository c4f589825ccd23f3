"""What a DAG file imports with an operator: each of these modules is read whenever a DAG is parsed."""

from __future__ import annotations

import subprocess
import sys

import pytest

SLOW = (
    "airflow_provider_voicepartner.gateways.model",
    "airflow_provider_voicepartner.hooks.contacts",
    "airflow_provider_voicepartner.sending.records",
    "airflow_provider_voicepartner.settings",
    "phonenumbers",
    "pydantic",
    "requests",
    "sqlalchemy",
)


@pytest.mark.parametrize("module", ["operators.sms", "operators.voice", "operators.campaign"])
def test_an_operator_brings_nothing_along_that_only_a_run_needs(module: str) -> None:
    program = (
        "import sys; from airflow_provider_voicepartner.compat import BaseOperator; before = set(sys.modules);"
        f"import airflow_provider_voicepartner.{module};"
        f"print([name for name in {SLOW} if name in sys.modules and name not in before])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
