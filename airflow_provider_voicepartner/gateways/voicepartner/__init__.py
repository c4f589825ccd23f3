"""
Voice Partner: calls that speak a text or play a file, voicemail drops, audio files, cancel and credit.

The API has no way to ask what became of a campaign: results come by callback only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_voicepartner.gateways.info import FormField, GatewayInfo, attribute

if TYPE_CHECKING:
    from airflow_provider_voicepartner.gateways.voicepartner.codes import knows_status
    from airflow_provider_voicepartner.gateways.voicepartner.messages import (
        check_message,
        check_recipient,
        compile_message,
        segments_of,
    )
    from airflow_provider_voicepartner.gateways.voicepartner.options import TtsOptions, VoicemailOptions
    from airflow_provider_voicepartner.gateways.voicepartner.refusals import names_a_send
    from airflow_provider_voicepartner.gateways.voicepartner.requests import (
        authenticate,
        build_audios,
        build_balance,
        build_batch,
        build_cancel,
        build_rename_audio,
    )
    from airflow_provider_voicepartner.gateways.voicepartner.responses import (
        AudioFile,
        RenamedAudio,
        parse_audios,
        parse_balance,
        parse_batch,
        parse_cancel,
        parse_rename_audio,
    )
    from airflow_provider_voicepartner.gateways.voicepartner.webhooks import parse_callback

INFO: Final = GatewayInfo(
    name="voicepartner",
    label="Voice Partner",
    base_url="https://api.voicepartner.fr/v1",
    hook="airflow_provider_voicepartner.hooks.voicepartner.VoicePartnerHook",
    sends={"tts": "tts/send", "voicemail": "campaign/send"},
    # The hourly limit of campaign/send is on the vendor's older pages only.
    endpoints={
        "tts/send": "2000/3600",
        "campaign/send": "5/60, 2000/3600",
        "campaign/cancel": "none",
        "audios": "360/60",
        "audio-file/rename": "5/60",
        "me": "5/60",
    },
    limits_example='{"campaign/send": "5/60, 2000/3600"}',
    fields={
        "email_for_notification": FormField(
            label="E-mail for voicemail campaigns",
            description="Gets Voice Partner's end-of-campaign mail where a voicemail drop gives no address.",
            rules={"format": "email"},
        ),
    },
    credentials=("path", "body"),
    options={
        "tts": "airflow_provider_voicepartner.gateways.voicepartner.options.TtsOptions",
        "voicemail": "airflow_provider_voicepartner.gateways.voicepartner.options.VoicemailOptions",
    },
    reports="batch",
    empty_report={
        "campaign_token": "{reference}",
        "campaign_id": "{reference}",
        "delivered_quantity": "0",
        "total_quantity": "0",
    },
    currency="EUR",
    # Its 429 is not documented to say how long to wait; its limits count by the minute.
    rate_limit_wait=60.0,
)
"""All that is known of the vendor."""

_MODULES: Final = ("requests", "messages", "responses", "webhooks", "codes", "options", "refusals")

__all__ = [
    "INFO",
    "AudioFile",
    "RenamedAudio",
    "TtsOptions",
    "VoicemailOptions",
    "authenticate",
    "build_audios",
    "build_balance",
    "build_batch",
    "build_cancel",
    "build_rename_audio",
    "check_message",
    "check_recipient",
    "compile_message",
    "knows_status",
    "names_a_send",
    "parse_audios",
    "parse_balance",
    "parse_batch",
    "parse_callback",
    "parse_cancel",
    "parse_rename_audio",
    "segments_of",
]


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        return attribute(__name__, _MODULES, __all__, name)
