"""What Airflow loads in every process; so it imports nothing and does nothing but where it is used."""

from __future__ import annotations
