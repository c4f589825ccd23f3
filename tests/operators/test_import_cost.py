"""What a DAG file imports with an operator: each of these modules is read whenever a DAG is parsed."""

from __future__ import annotations

import subprocess
import sys

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


OPERATORS = ("operators.sms", "operators.voice", "operators.campaign")


def test_no_operator_brings_anything_along_that_only_a_run_needs() -> None:
    program = (
        "import importlib, sys; from airflow_provider_voicepartner.compat import BaseOperator;"
        f"before = set(sys.modules) & set({SLOW});"
        f"found = [importlib.import_module('airflow_provider_voicepartner.' + name) for name in {OPERATORS}];"
        f"print([name for name in {SLOW} if name in sys.modules and name not in before])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
