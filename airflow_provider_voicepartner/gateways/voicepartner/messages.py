"""What Voice Partner can be asked to say: calls and voicemail drops, and the refusal of what it would not take."""

from __future__ import annotations

import re
from typing import Any, Final

from airflow_provider_voicepartner.gateways.compiled_message import once_a_message
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import Message, Recipient, Voicemail, VoiceMessage
from airflow_provider_voicepartner.gateways.phone_numbers import InvalidNumberError, LineType, parse_number
from airflow_provider_voicepartner.gateways.placeholders import read_template, shown_name
from airflow_provider_voicepartner.gateways.validation import (
    check_encodable,
    check_language,
    check_said,
    read_options,
)
from airflow_provider_voicepartner.gateways.voicepartner.options import TtsOptions, VoicemailOptions

DEFAULT_LANGUAGE: Final = "fr"

_SEPARATORS = re.compile(r"[\s.\-()]")


def check_message(message: Message, recipients_have_fields: bool) -> None:
    """
    Refuse a message that Voice Partner would refuse or misread.

    One text goes to all numbers of a request: there are no personal fields. A call shows no caller ID of ours. The
    purpose has no parameter: legal hours and opt-outs are the caller's business.

    :param recipients_have_fields: does not matter: a text with placeholders is refused in any case.
    :raises InvalidArgumentError: naming the argument and the fix.
    """
    if isinstance(message, VoiceMessage):
        _check_call(message)
    elif isinstance(message, Voicemail):
        _check_voicemail(message)
    else:
        raise _no_sms()


def check_recipient(message: Message, recipient: Recipient) -> None:
    """Refuse nobody: all get the same, and a text with placeholders was refused before."""


def segments_of(message: Message, text: str) -> None:
    """Return None: there are no SMS."""


def compile_message(message: Message) -> None:
    """Return None: all get the same text."""


def _no_sms() -> InvalidArgumentError:
    return InvalidArgumentError(
        "message", "Voice Partner sends no SMS; use a connection of type smspartner or octopush for it"
    )


def _check_call(message: VoiceMessage) -> None:
    options = read_options(TtsOptions, message.options)
    if message.text is not None and message.audio_token is not None:
        raise InvalidArgumentError(
            "audio_token", "and text are both given, and only one can be played; leave one of them out"
        )
    if message.sender is not None:
        raise InvalidArgumentError(
            "sender", "Voice Partner's calls take no sender; leave it out (a voicemail drop takes one)"
        )
    if message.audio_token is not None:
        read_audio_token(message.audio_token)
        if options.speech_rate is not None:
            raise InvalidArgumentError(
                "options['speech_rate']", "has no effect on an audio file; leave it out or give a text"
            )
    else:
        spoken_text(message)
    read_language(message.language)


def spoken_text(message: VoiceMessage) -> str:
    """
    Return what is spoken to everybody.

    :raises InvalidArgumentError: for no text, a brace that is not doubled, and a placeholder.
    """
    fix = "give a text to speak, or an audio_token to play"
    text = message.text or ""
    check_said(text, argument="text", fix=fix)
    check_encodable(text, argument="text")
    template = read_template(text, "text")
    if template.names:
        raise InvalidArgumentError(
            "text",
            f"holds the placeholder {shown_name(template.names[0])}, but Voice Partner speaks one text to all; map one "
            "task over the texts, use an Octopush connection, which fills in personal fields, or write {{ and }} for "
            "braces that are to be spoken",
        )
    check_said(template.plain, argument="text", fix=fix)
    return template.plain


def _check_voicemail(message: Voicemail) -> None:
    read_options(VoicemailOptions, message.options)
    read_audio_token(message.audio_token)
    if message.sender is not None and not _is_mobile(message.sender):
        raise InvalidArgumentError(
            "sender",
            "is not a mobile number; give one that can be called back and that is validated on Voice Partner's "
            "dashboard, or leave it out",
        )


def _is_mobile(number: str) -> bool:
    try:
        return parse_number(number).line_type in (LineType.MOBILE, LineType.EITHER)
    except InvalidNumberError:
        return False


def read_audio_token(token: str) -> str:
    """
    Return an audio token without blanks around it.

    :raises InvalidArgumentError: for an empty one.
    """
    check_said(
        token,
        argument="audio_token",
        fix="give a token from the list of audio files (they are added on the dashboard)",
    )
    return token.strip()


def read_language(language: str | None) -> str:
    """
    Turn ``fr-FR``, ``fr`` or ``en_GB`` into Voice Partner's ``fr`` or ``en``.

    The vendor publishes no list of languages; ``fr`` and ``en`` are seen in its examples. Others pass, in the same
    form.

    :param language: None takes ``fr``.
    :raises InvalidArgumentError: for what is no language code.
    """
    if language is None:
        return DEFAULT_LANGUAGE
    return check_language(language).split("-")[0].lower()


@once_a_message
def prepare(message: Message) -> tuple[str, dict[str, Any]]:
    """Check a message, and return what all its batches share."""
    check_message(message, recipients_have_fields=False)
    return _fields(message)


def _fields(message: Message) -> tuple[str, dict[str, Any]]:
    if isinstance(message, VoiceMessage):
        return "tts/send", _call_fields(message)
    if isinstance(message, Voicemail):
        return "campaign/send", _voicemail_fields(message)
    raise _no_sms()


def _call_fields(message: VoiceMessage) -> dict[str, Any]:
    options = read_options(TtsOptions, message.options)
    fields: dict[str, Any] = {}
    if message.audio_token is not None:
        fields["tokenAudio"] = read_audio_token(message.audio_token)
    else:
        fields["text"] = spoken_text(message)
        fields["lang"] = read_language(message.language)
    if options.speech_rate is not None:
        fields["speechRate"] = options.speech_rate
    if options.notify_url is not None:
        fields["notifyUrl"] = options.notify_url
    return fields


def _voicemail_fields(message: Voicemail) -> dict[str, Any]:
    options = read_options(VoicemailOptions, message.options)
    fields: dict[str, Any] = {"tokenAudio": read_audio_token(message.audio_token)}
    if options.email_for_notification is not None:
        fields["emailForNotification"] = options.email_for_notification
    if options.notify_url is not None:
        fields["notifyUrl"] = options.notify_url
    if message.sender is not None:
        # As written, without blanks: which form the vendor compares with the validated one is not documented.
        fields["sender"] = _SEPARATORS.sub("", message.sender)
    return fields
