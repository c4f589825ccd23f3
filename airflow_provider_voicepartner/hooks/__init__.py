"""Airflow connections and HTTP around the gateways."""

from __future__ import annotations
