"""The watchdog: a process apart from Airflow that tells people what no callback could, and runs escalations."""

from __future__ import annotations
