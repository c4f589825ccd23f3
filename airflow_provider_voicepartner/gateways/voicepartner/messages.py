"""What Voice Partner can be asked to say: calls and voicemail drops, and the refusal of what it would not take."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from airflow_provider_voicepartner.gateways.dates import require_future, round_up_to_minutes
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import (
    MAX_RECIPIENTS_PER_BATCH,
    CallbackUrls,
    Message,
    Recipient,
    Voicemail,
    VoiceMessage,
)
from airflow_provider_voicepartner.gateways.numbers import InvalidNumberError, LineType, parse_number
from airflow_provider_voicepartner.gateways.options import read_options
from airflow_provider_voicepartner.gateways.placeholders import placeholders
from airflow_provider_voicepartner.gateways.voicepartner.options import (
    URL_RULE,
    TtsOptions,
    VoicemailOptions,
    is_callback_url,
)
from airflow_provider_voicepartner.gateways.wire import ApiRequest

DEFAULT_LANGUAGE: Final = "fr"

_NO_CALLBACKS = CallbackUrls()
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_LANGUAGE = re.compile(r"([A-Za-z]{2,3})([-_][A-Za-z0-9]{2,8})*")
_SEPARATORS = re.compile(r"[\s.\-()]")


def check_message(message: Message, recipients_have_fields: bool) -> None:
    """
    Refuse a message that Voice Partner would refuse or misread.

    One text goes to all numbers of a request: there are no personal fields. A call shows no caller ID of ours. The
    purpose has no parameter: legal hours and opt-outs are the caller's business.

    :param recipients_have_fields: True when recipients carry personal fields; placeholders in the text are then
        refused.
    :raises InvalidArgumentError: naming the argument and the fix.
    """
    if isinstance(message, VoiceMessage):
        _check_call(message, recipients_have_fields)
    elif isinstance(message, Voicemail):
        _check_voicemail(message)
    else:
        raise _no_sms()


def _no_sms() -> InvalidArgumentError:
    return InvalidArgumentError(
        "message", "Voice Partner sends no SMS; use a connection of type smspartner or octopush for it"
    )


def _check_call(message: VoiceMessage, recipients_have_fields: bool) -> None:
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
    elif message.text is None or not message.text.strip():
        raise InvalidArgumentError("text", "is empty; give a text to speak, or an audio_token to play")
    elif not _is_encodable(message.text):
        raise InvalidArgumentError(
            "text", "holds half of a character pair, which no encoding can carry; decode its source properly"
        )
    elif recipients_have_fields and placeholders(message.text):
        raise InvalidArgumentError(
            "text",
            f"holds the placeholder {{{placeholders(message.text)[0]}}}, but Voice Partner speaks one text to all; map "
            "one task over the texts, or use an Octopush connection, which fills in personal fields",
        )
    read_language(message.language)


def _check_voicemail(message: Voicemail) -> None:
    read_options(VoicemailOptions, message.options)
    read_audio_token(message.audio_token)
    if message.sender is not None and not _is_mobile(message.sender):
        raise InvalidArgumentError(
            "sender",
            "is not a mobile number; give one that can be called back and that is validated on Voice Partner's "
            "dashboard, or leave it out",
        )


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


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
    if not token.strip():
        raise InvalidArgumentError(
            "audio_token",
            "is empty; give a token from the list of audio files (they are added on the dashboard)",
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
    found = _LANGUAGE.fullmatch(language.strip())
    if not found:
        raise InvalidArgumentError(
            "language", "is not a language code; write it like 'fr-FR', 'fr' or 'en-GB'"
        )
    return found.group(1).lower()


def build_batch(
    message: Message,
    recipients: Sequence[Recipient],
    *,
    reference: str,
    now: datetime,
    send_at: datetime | None = None,
    callbacks: CallbackUrls = _NO_CALLBACKS,
    simulate: bool = False,
) -> ApiRequest:
    """
    Build ``tts/send`` for a ``VoiceMessage`` and ``campaign/send`` for a ``Voicemail``.

    Neither knows an idempotency key: sending the request twice is two campaigns and two charges.

    :param recipients: 1 to 500; the vendor documents the limit for voicemail drops and enforces it by
        ``PHONE_NUMBER_SIZE_ERROR``, so it is kept for calls too.
    :param reference: not sent, since the API has no field for it; put it into the path of ``callbacks.delivery``,
        so that the report names the batch.
    :param send_at: goes out in Europe/Paris, moved up to the next full minute, since seconds are always 00 on the
        wire.
    :param callbacks: ``delivery`` gets one POST per number for a call, one GET in all for a voicemail drop; an option
        ``notify_url`` goes before it. There are no replies.
    :param simulate: refused, since Voice Partner has no simulation.
    :raises InvalidArgumentError: naming the argument and the fix.
    """
    check_message(message, any(recipient.fields for recipient in recipients))
    if simulate:
        raise InvalidArgumentError(
            "simulate", "Voice Partner has no simulation; point the connection's host at the sandbox instead"
        )
    endpoint, fields = _fields(message)
    body: dict[str, Any] = {"phoneNumbers": _join_numbers(recipients), **fields}
    if callbacks.delivery is not None:
        if not is_callback_url(callbacks.delivery):
            raise InvalidArgumentError("callbacks.delivery", URL_RULE)
        body.setdefault("notifyUrl", callbacks.delivery)
    if send_at is not None:
        body["scheduledDate"] = _write_date(send_at, now)
    return ApiRequest(
        endpoint=endpoint,
        method="POST",
        path=endpoint,
        safe_to_repeat=False,
        body=body,
        private=tuple(text for text in (body.get("text"), body.get("tokenAudio")) if text),
    )


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
        fields["text"] = message.text
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


def _write_date(send_at: datetime, now: datetime) -> str:
    try:
        moment = round_up_to_minutes(require_future(send_at, now), 1)
    except (OverflowError, ValueError) as error:
        if isinstance(error, InvalidArgumentError):
            raise
        raise InvalidArgumentError("send_at", "is too far in the future; give an earlier date") from None
    if moment.replace(fold=0) <= now:
        raise InvalidArgumentError(
            "send_at",
            "lies in the hour that the clock repeats, and Voice Partner would take it for a time that has passed; "
            "choose a time from 03:00 on",
        )
    return f"{moment.year:04}-{moment.month:02}-{moment.day:02} {moment.hour:02}:{moment.minute:02}:00"


def _join_numbers(recipients: Sequence[Recipient]) -> str:
    if not recipients:
        raise InvalidArgumentError("to", "is empty; give at least one recipient")
    if len(recipients) > MAX_RECIPIENTS_PER_BATCH:
        raise InvalidArgumentError(
            "to",
            f"holds {len(recipients)} recipients; a request takes {MAX_RECIPIENTS_PER_BATCH}, so split them",
        )
    for position, recipient in enumerate(recipients, start=1):
        if not _E164.fullmatch(recipient.phone_number):
            raise InvalidArgumentError(
                "to", f"recipient {position} is not in E.164; write it such as +33612345678"
            )
    return ",".join(recipient.phone_number for recipient in recipients)
