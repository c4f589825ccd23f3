"""Who this gateway is, for its own modules; all that is known of it is in the package's ``INFO``."""

from __future__ import annotations

from typing import Final

from airflow_provider_voicepartner.gateways.smspartner import INFO

NAME: Final = INFO.name
LABEL: Final = INFO.label
KINDS: Final = INFO.kinds

CURRENCY: Final = INFO.currency or ""
"""The only currency that the vendor documents; used where an answer names none."""
