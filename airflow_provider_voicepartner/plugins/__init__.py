"""Airflow imports these plugins in every process; so they import little until they are used."""

from __future__ import annotations
