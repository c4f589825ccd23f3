"""SMS, voice calls and voicemail drops for Apache Airflow, through SMS Partner, Voice Partner and Octopush."""

from __future__ import annotations

__version__ = "0.1.0"
