"""Make calls, and leave messages on voicemail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.operators.base import SendingOperator

if TYPE_CHECKING:
    from airflow_provider_voicepartner.gateways.model import Kind, Voicemail, VoiceMessage


class TtsCallOperator(SendingOperator):
    """
    Make a call that speaks a text (text-to-speech), through any gateway that makes calls.

    Give exactly one of ``text`` and ``audio_token``. A retry never calls twice. The other arguments are those of
    :class:`~airflow_provider_voicepartner.operators.base.SendingOperator`.

    :param text: what is spoken. Some gateways replace ``{placeholders}`` by the recipients' personal fields;
        ``{{`` and ``}}`` are literal braces.
    :param audio_token: an audio file of the gateway's library to play instead of a text, where it has one.
    :param language: language of the text, such as ``fr-FR``; None is French.
    :param speech_rate: speed of speech from 0.5 to 2, where the gateway has it.
    :param conn_id: the connection of such a gateway.
    """

    kind: ClassVar[Kind] = "tts"

    template_fields: Sequence[str] = (
        "text", "audio_token", "language", "speech_rate", *SendingOperator.template_fields,
    )  # fmt: skip
    private_fields: ClassVar[frozenset[str]] = SendingOperator.private_fields | {"text", "audio_token"}
    text_fields: ClassVar[frozenset[str]] = frozenset({"text", "audio_token"})

    def __init__(
        self,
        *,
        text: str | None = None,
        audio_token: str | None = None,
        language: str | None = None,
        speech_rate: float | str | None = None,
        conn_id: str = "voicepartner_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(conn_id=conn_id, **kwargs)
        self.text = text
        self.audio_token = audio_token
        self.language = language
        self.speech_rate = speech_rate

    def message_to_send(self) -> VoiceMessage:
        """Build the voice message."""
        from airflow_provider_voicepartner.gateways.model import Purpose, VoiceMessage
        from airflow_provider_voicepartner.hooks.templates import check_is_no_path
        from airflow_provider_voicepartner.sending.arguments import (
            is_left_out,
            literals,
            read_choice,
            read_options,
            read_text,
        )

        text = read_text("text", self.given("text"), needed=False)
        audio_token = read_text("audio_token", self.given("audio_token"), needed=False)
        if (text is None) == (audio_token is None):
            raise ConfigurationError(
                "text and audio_token: give exactly one, a text to speak or the token of an audio file to play"
            )
        check_is_no_path("text", text, folders=self._text_folders())
        rate = {} if is_left_out(self.speech_rate) else {"speech_rate": self.speech_rate}
        return VoiceMessage(
            text=text,
            audio_token=audio_token,
            language=read_text("language", self.language, needed=False),
            sender=read_text("sender", self.sender, needed=False),
            purpose=read_choice("purpose", self.purpose, literals(Purpose)),
            options={**rate, **read_options(self.given("options"))},
        )


class VoicemailDropOperator(SendingOperator):
    """
    Leave an audio message on voicemail without ringing, through any gateway that does so.

    On a landline the phone rings, and the message is left only if nobody answers. A retry never drops twice. The other
    arguments are those of :class:`~airflow_provider_voicepartner.operators.base.SendingOperator`.

    :param audio_token: token of the audio file, as ``VoicePartnerHook().list_audio_files()`` returns it.
    :param email_for_notification: address for the gateway's end-of-campaign mail; None is the connection's.
    :param sender: a mobile number that can be called back, validated with the gateway.
    :param conn_id: a connection of type ``voicepartner``.
    """

    kind: ClassVar[Kind] = "voicemail"

    template_fields: Sequence[str] = (
        "audio_token", "email_for_notification", *SendingOperator.template_fields,
    )  # fmt: skip
    private_fields: ClassVar[frozenset[str]] = SendingOperator.private_fields | {"audio_token", "sender"}
    text_fields: ClassVar[frozenset[str]] = frozenset({"audio_token"})

    def __init__(
        self,
        *,
        audio_token: str,
        email_for_notification: str | None = None,
        conn_id: str = "voicepartner_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(conn_id=conn_id, **kwargs)
        self.audio_token = audio_token
        self.email_for_notification = email_for_notification

    def message_to_send(self) -> Voicemail:
        """Build the voicemail."""
        from airflow_provider_voicepartner.gateways.model import Purpose, Voicemail
        from airflow_provider_voicepartner.sending.arguments import (
            literals,
            read_choice,
            read_options,
            read_text,
        )

        email = read_text("email_for_notification", self.email_for_notification, needed=False)
        extra = {"email_for_notification": email} if email else {}
        return Voicemail(
            audio_token=read_text("audio_token", self.given("audio_token")) or "",
            sender=read_text("sender", self.given("sender"), needed=False),
            purpose=read_choice("purpose", self.purpose, literals(Purpose)),
            options={**extra, **read_options(self.given("options"))},
        )
