"""
The provider's commands: ``airflow voicepartner …`` since Airflow 3.2, ``python -m airflow_provider_voicepartner …`` before.

What there is stands in ``commands.py``; each command is a function that is imported when it is run.
"""

from __future__ import annotations
