"""The wire: one package per HTTP API, pure functions that build requests and read answers. No I/O, no Airflow."""

from __future__ import annotations
