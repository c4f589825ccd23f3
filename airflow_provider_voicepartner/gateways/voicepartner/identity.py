"""Who Voice Partner is: its names, its address and what it can send."""

from __future__ import annotations

from typing import Final

from airflow_provider_voicepartner.gateways.model import Kind

NAME: Final = "voicepartner"
LABEL: Final = "Voice Partner"
BASE_URL: Final = "https://api.voicepartner.fr/v1"
KINDS: Final[frozenset[Kind]] = frozenset({"tts", "voicemail"})
