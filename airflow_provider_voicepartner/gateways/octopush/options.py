"""Octopush's own settings of an SMS and of a call, and the languages and voices of calls."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import Message, SmsMessage, Voicemail
from airflow_provider_voicepartner.gateways.validation import GatewayOptions, check_language, read_options

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
    Say whether a voice speaks a language that is not written in Latin letters.

    The vendor offers such voices and wants texts that are not unicode; that their own letters are meant to pass is
    inferred.

    :param language: as the user gave it; None is French.
    """
    return language is not None and re.split("[-_]", language.strip().casefold())[0] in _OTHER_SCRIPTS


class SmsOptions(GatewayOptions):
    """
    Settings of an SMS (``sms-campaign/send``). Settings that are left out are left to the vendor.

    :param type: quality of the route; always sent, since the vendor's pages disagree on whether it is needed.
    :param with_replies: collect replies; in France the sender then becomes a short number.
    :param auto_optimize_text: replace letters that would make the message longer; the vendor's default is true. False
        keeps accents and unicode, and may need more segments.
    :param auto_remove_blacklisted_numbers: drop numbers that opted out; costs 0.01 EUR a request.
    :param recipient_tracking: track who opens links.
    :param list_name: a name that delivery reports repeat.
    """

    type: Literal["sms_premium", "sms_low_cost"] = "sms_premium"
    with_replies: bool | None = None
    auto_optimize_text: bool | None = None
    auto_remove_blacklisted_numbers: bool | None = None
    recipient_tracking: bool | None = None
    list_name: Annotated[str, Field(min_length=1)] | None = None


class VoiceOptions(GatewayOptions):
    """
    Settings of a call (``voice-campaign/send``). Settings that are left out are left to the vendor.

    :param voice_gender: ``female`` (the default, which every language has) or ``male``; always sent.
    :param get_back_pressed_keys: report the keys that are pressed during the call.
    :param auto_remove_blacklisted_numbers: drop numbers that opted out; costs 0.01 EUR a request.
    :param allow_any_language: let a language pass that is not in the published list. Not sent.
    """

    voice_gender: Gender = "female"
    get_back_pressed_keys: bool | None = None
    auto_remove_blacklisted_numbers: bool | None = None
    allow_any_language: bool = False


def settings_of(message: Message) -> dict[str, Any]:
    """Return the vendor's settings of a message under its own names; what the user left out is left out."""
    if isinstance(message, SmsMessage):
        return read_options(SmsOptions, message.options).model_dump(exclude_none=True)
    if isinstance(message, Voicemail):
        return {}
    options = read_options(VoiceOptions, message.options)
    language = read_language(message.language, options.voice_gender, allow_any=options.allow_any_language)
    return {
        **options.model_dump(exclude_none=True, exclude={"allow_any_language"}),
        "voice_language": language,
    }
