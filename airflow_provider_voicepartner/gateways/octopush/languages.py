"""The languages that Octopush speaks, and the voices that each has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from airflow_provider_voicepartner.gateways.checks import check_language
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError

Gender = Literal["female", "male"]

DEFAULT_LANGUAGE: Final = "fr-FR"

_FEMALE: Final[frozenset[Gender]] = frozenset({"female"})
_EITHER: Final[frozenset[Gender]] = frozenset({"female", "male"})
_TWO_VOICES: Final = frozenset(
    {
        # In the newest published list with both voices; il-PH is written like that there.
        *("pl-PL", "de-DE", "en-GB", "en-US", "es-ES", "fr-FR", "it-IT", "pt-BR", "ru-RU", "zh-HK", "da-DK"),
        *("nl-NL", "en-AU", "il-PH", "fr-CA", "is-IS", "id-ID", "ja-JP", "ms-MY", "pt-PT", "es-US"),
        # In the older list only, which restricts no voice.
        *("el-GR", "hu-HU", "es-LA"),
    }
)
# In the newest list with a female voice only; mn-CN and arb are written like that there.
_ONE_VOICE: Final = frozenset(
    {
        "sv-SE",
        "arb",
        "ca-ES",
        "mn-CN",
        "en-IN",
        "en-NZ",
        "en-ZA",
        "de-AT",
        "hi-IN",
        "ko-KR",
        "nb-NO",
        "ro-RO",
        "es-MX",
    }
)

VOICES: Final[Mapping[str, frozenset[Gender]]] = MappingProxyType(
    {**dict.fromkeys(_TWO_VOICES, _EITHER), **dict.fromkeys(_ONE_VOICE, _FEMALE)}
)
"""The vendor's published languages (two lists, the newer one seen incompletely) and the voices of each."""

_OTHER_SCRIPTS: Final = frozenset({"ru", "el", "zh", "mn", "cmn", "ja", "ko", "hi", "arb", "ar"})

_SHORT = {"fr": "fr-FR", "en": "en-GB"}
_BY_FOLDED_NAME = {name.casefold(): name for name in VOICES}


def read_language(language: str | None, gender: Gender, *, allow_any: bool = False) -> str:
    """
    Turn ``fr``, ``fr-fr`` or ``fr_FR`` into Octopush's ``fr-FR``, and check that the voice exists.

    :param language: None takes ``fr-FR``; ``fr`` and ``en`` stand for ``fr-FR`` and ``en-GB``.
    :param gender: of the voice.
    :param allow_any: let a language pass that is not in the published list, which is known to be incomplete.
    :raises InvalidArgumentError: for a language that is not listed, or whose voice of this gender is not.
    """
    if language is None:
        return DEFAULT_LANGUAGE
    written = check_language(language)
    name = _SHORT.get(written.casefold()) or _BY_FOLDED_NAME.get(written.casefold())
    if name is None:
        if allow_any:
            return written
        raise InvalidArgumentError(
            "language",
            f"{written!r} is not in Octopush's published list ({', '.join(sorted(VOICES))}); if Octopush speaks it all "
            "the same, set the option allow_any_language",
        )
    if gender not in VOICES[name] and not allow_any:
        raise InvalidArgumentError(
            "options['voice_gender']",
            f"{name} has no {gender} voice; take {' or '.join(sorted(VOICES[name]))}",
        )
    return name


def speaks_other_letters(language: str | None) -> bool:
    """
    Tell whether a voice speaks a language that is not written in Latin letters.

    The vendor offers such voices and wants texts that are not unicode; that their own letters are meant to pass is
    inferred.

    :param language: as the user gave it; None is French.
    """
    return language is not None and re.split("[-_]", language.strip().casefold())[0] in _OTHER_SCRIPTS
