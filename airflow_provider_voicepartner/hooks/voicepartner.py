"""Voice Partner behind an Airflow connection: calls, voicemail drops, audio files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar

from airflow_provider_voicepartner.exceptions import checked
from airflow_provider_voicepartner.gateways import voicepartner
from airflow_provider_voicepartner.gateways.gateway import Gateway
from airflow_provider_voicepartner.gateways.model import (
    CallbackUrls,
    Cancellation,
    Message,
    Purpose,
    Receipt,
    Voicemail,
    VoiceMessage,
)
from airflow_provider_voicepartner.hooks.base import GatewayHook
from airflow_provider_voicepartner.hooks.connection import ConnectionExtra


class VoicePartnerExtra(ConnectionExtra):
    """
    Fields of a Voice Partner connection.

    :param email_for_notification: gets the end-of-campaign mail of voicemail drops that give no address.
    """

    email_for_notification: str | None = None


class VoicePartnerHook(GatewayHook):
    """
    Calls Voice Partner. Its results come by callback only; nothing polls.

    Connection: type ``voicepartner``, the API key in ``password``; ``host`` only for another base URL.
    """

    gateway: ClassVar[Gateway] = voicepartner
    extra_model: ClassVar[type[ConnectionExtra]] = VoicePartnerExtra

    def with_defaults(self, message: Message) -> Message:
        """Fill in the connection's e-mail address for voicemail drops."""
        email = self.extra.email_for_notification
        if isinstance(message, Voicemail) and email and "email_for_notification" not in message.options:
            return replace(message, options={**message.options, "email_for_notification": email})
        return message

    def send_tts_call(
        self,
        to: Any,
        *,
        text: str | None = None,
        audio_token: str | None = None,
        language: str | None = None,
        purpose: Purpose = "alert",
        options: Mapping[str, Any] | None = None,
        send_at: datetime | None = None,
        reference: str | None = None,
        callbacks: CallbackUrls | None = None,
    ) -> Receipt:
        """
        Call people and speak a text or play a file (``POST /tts/send``). Arrives at most once.

        :param to: a number, a comma-separated text or a list; 1 to 500, all valid.
        :param text: what is spoken; exactly one of ``text`` and ``audio_token``.
        :param audio_token: a file of :meth:`list_audio_files`.
        :param language: of the text; ``fr`` when None.
        :param options: see :class:`~airflow_provider_voicepartner.gateways.voicepartner.TtsOptions`.
        :param send_at: aware and in the future; None calls at once.
        :param reference: our own id of the batch; made up when None.
        :param callbacks: where Voice Partner reports each recipient.
        """
        message = VoiceMessage(
            text=text, audio_token=audio_token, language=language, purpose=purpose, options=options or {}
        )
        return self.send_to(to, message, send_at=send_at, reference=reference, callbacks=callbacks)

    def drop_voicemail(
        self,
        to: Any,
        *,
        audio_token: str,
        sender: str | None = None,
        purpose: Purpose = "alert",
        options: Mapping[str, Any] | None = None,
        send_at: datetime | None = None,
        reference: str | None = None,
        callbacks: CallbackUrls | None = None,
    ) -> Receipt:
        """
        Leave a file on people's voicemail (``POST /campaign/send``). Arrives at most once.

        :param to: a number, a comma-separated text or a list; 1 to 500, all valid.
        :param audio_token: a file of :meth:`list_audio_files`.
        :param sender: a mobile number to call back, validated on the dashboard.
        :param options: see :class:`~airflow_provider_voicepartner.gateways.voicepartner.VoicemailOptions`.
        :param send_at: aware and in the future; None sends at once.
        :param reference: our own id of the batch; made up when None.
        :param callbacks: where Voice Partner reports the whole campaign, once.
        """
        message = Voicemail(audio_token=audio_token, sender=sender, purpose=purpose, options=options or {})
        return self.send_to(to, message, send_at=send_at, reference=reference, callbacks=callbacks)

    def list_audio_files(self) -> tuple[voicepartner.AudioFile, ...]:
        """List the files that were added and validated on the dashboard (``GET /audios``; 360 requests a minute)."""
        return self.call(voicepartner.build_audios(), voicepartner.parse_audios)

    def rename_audio_file(self, audio_token: str, filename: str) -> voicepartner.RenamedAudio:
        """
        Rename a file (``POST /audio-file/rename``; 5 requests a minute).

        :param audio_token: which.
        :param filename: 3 to 50 characters.
        """
        request = checked(voicepartner.build_rename_audio, audio_token=audio_token, filename=filename)
        return self.call(request, voicepartner.parse_rename_audio)

    def cancel(self, campaign_id: str) -> Cancellation:
        """Take back a scheduled call or voicemail drop (``DELETE /campaign/cancel``); credit is given back."""
        return self.cancel_campaign(campaign_id, kind="tts")
