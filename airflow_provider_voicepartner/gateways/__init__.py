"""The wire: one package per HTTP API, pure functions that build requests and read answers. No I/O, no Airflow."""

from __future__ import annotations

from typing import Final

GATEWAYS: Final = ("smspartner", "voicepartner", "octopush")
"""The gateways of this provider, each a package in here. A name in this line is all that makes one known."""
