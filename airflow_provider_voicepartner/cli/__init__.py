"""
The provider's commands: ``airflow voicepartner``, and before Airflow 3.2 ``python -m airflow_provider_voicepartner``.

``commands.py`` lists them; each command is a function that is imported when it is run.
"""

from __future__ import annotations
