"""The two languages in which people are told what we say ourselves, and the clocks by which they read a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal
from zoneinfo import ZoneInfo

Language = Literal["en", "fr"]

VOICE_LANGUAGES: Final[Mapping[Language, str]] = {"en": "en-GB", "fr": "fr-FR"}
"""In which a call is spoken, as gateways are told it."""

MONTHS: Final[Mapping[Language, str]] = {
    "en": "January February March April May June July August September October November December",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
}
"""Names of months."""


def language_of(code: str | None) -> Language:
    """Return the language of our words for a code such as ``fr-FR``: English for all but French."""
    return "fr" if (code or "")[:2].lower() == "fr" else "en"


def zone_of(name: str | None) -> ZoneInfo | None:
    """Return a time zone such as ``Europe/Paris``; None where there is none, or no such."""
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):
        return None
