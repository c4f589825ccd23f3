"""Incidents: what broke, which alerts are about it, who was told, who has it; in the store, without Airflow or HTTP."""

from __future__ import annotations
