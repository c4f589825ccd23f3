"""Every way in which a hook sends, as one table for all tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from airflow_provider_voicepartner.gateways.model import Message, Receipt, SmsMessage, Voicemail, VoiceMessage
from airflow_provider_voicepartner.hooks.base import GatewayHook
from airflow_provider_voicepartner.hooks.registry import hook_class

NUMBER = "+33699887766"
TEXT = "Planted words, never to be shown."


@dataclass(frozen=True)
class Send:
    """
    One way to send.

    :param by_method: sends with the hook's own method for it; takes the hook and the recipients.
    :param message: the same for ``send_batch``.
    :param path: a part of the path that it posts to.
    """

    conn_type: str
    name: str
    path: str
    message: Message
    by_method: Callable[[Any, Any], Receipt]

    def hook(self, conn_id: str | None = None) -> GatewayHook:
        """Return a fresh hook on the gateway's default connection."""
        return hook_class(self.conn_type)(conn_id)


SENDS = [
    Send("smspartner", "sms", "/send", SmsMessage(text=TEXT), lambda hook, to: hook.send_sms(to, TEXT)),
    Send(
        "voicepartner",
        "call",
        "/tts/send",
        VoiceMessage(text=TEXT),
        lambda hook, to: hook.send_tts_call(to, text=TEXT),
    ),
    Send(
        "voicepartner",
        "voicemail",
        "/campaign/send",
        Voicemail(audio_token="a1b2c3d4"),
        lambda hook, to: hook.drop_voicemail(to, audio_token="a1b2c3d4"),
    ),
    Send(
        "octopush",
        "sms",
        "/sms-campaign/send",
        SmsMessage(text=TEXT),
        lambda hook, to: hook.send_sms(to, TEXT),
    ),
    Send(
        "octopush",
        "call",
        "/voice-campaign/send",
        VoiceMessage(text=TEXT),
        lambda hook, to: hook.send_tts_call(to, TEXT),
    ),
]
IDS = [f"{send.conn_type} {send.name}" for send in SENDS]
