"""Who Octopush is: its names, its address and what it can send."""

from __future__ import annotations

from typing import Final

from airflow_provider_voicepartner.gateways.model import Kind

NAME: Final = "octopush"
LABEL: Final = "Octopush"
BASE_URL: Final = "https://api.octopush.com/v1/public"
KINDS: Final[frozenset[Kind]] = frozenset({"sms", "tts"})
