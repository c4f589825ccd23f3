"""
Octopush: SMS and spoken calls, cancel, balance, and the account's callback URLs.

The API has no way to ask what became of a campaign: results come by callback only, to URLs set for the whole account.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_voicepartner.gateways.info import SENDER_FIELD, GatewayInfo, attribute

if TYPE_CHECKING:
    from airflow_provider_voicepartner.gateways.octopush.codes import knows_status
    from airflow_provider_voicepartner.gateways.octopush.messages import (
        check_message,
        check_recipient,
        compile_message,
        segments_of,
    )
    from airflow_provider_voicepartner.gateways.octopush.options import SmsOptions, VoiceOptions
    from airflow_provider_voicepartner.gateways.octopush.refusals import names_a_send
    from airflow_provider_voicepartner.gateways.octopush.requests import (
        authenticate,
        build_balance,
        build_batch,
        build_cancel,
        build_edit_parameters,
        build_parameters,
    )
    from airflow_provider_voicepartner.gateways.octopush.responses import (
        CampaignParameters,
        WalletPack,
        parse_balance,
        parse_batch,
        parse_cancel,
        parse_edit_parameters,
        parse_parameters,
    )
    from airflow_provider_voicepartner.gateways.octopush.webhooks import parse_callback

INFO: Final = GatewayInfo(
    name="octopush",
    label="Octopush",
    base_url="https://api.octopush.com/v1/public",
    hook="airflow_provider_voicepartner.hooks.octopush.OctopushHook",
    sends={"sms": "sms-campaign/send", "tts": "voice-campaign/send"},
    # No limit is published.
    endpoints={
        "sms-campaign/send": "none",
        "voice-campaign/send": "none",
        "sms-campaign/cancel": "none",
        "voice-campaign/cancel": "none",
        "wallet/check-balance": "none",
        "user/campaign-parameters": "none",
        "user/campaign-parameters/edit": "none",
    },
    limits_example='{"sms-campaign/send": "5/1", "voice-campaign/send": "60/60"}',
    fields={"sender": SENDER_FIELD},
    login="Login (e-mail)",
    login_hint="the e-mail address of the account or sub-account",
    credentials=("header",),
    options={
        "sms": "airflow_provider_voicepartner.gateways.octopush.options.SmsOptions",
        "tts": "airflow_provider_voicepartner.gateways.octopush.options.VoiceOptions",
    },
    reports="account",
    answer_options={"sms": {"with_replies": True}, "tts": {"get_back_pressed_keys": True}},
    refuses_repeats_for=timedelta(hours=24),
    # Its simulation makes its figures up, so it gives no price.
    simulates=True,
    currency="EUR",
)
"""All that is known of the vendor."""

_MODULES: Final = ("requests", "messages", "responses", "webhooks", "codes", "options", "refusals")

__all__ = [
    "INFO",
    "CampaignParameters",
    "SmsOptions",
    "VoiceOptions",
    "WalletPack",
    "authenticate",
    "build_balance",
    "build_batch",
    "build_cancel",
    "build_edit_parameters",
    "build_parameters",
    "check_message",
    "check_recipient",
    "compile_message",
    "knows_status",
    "names_a_send",
    "parse_balance",
    "parse_batch",
    "parse_callback",
    "parse_cancel",
    "parse_edit_parameters",
    "parse_parameters",
    "segments_of",
]


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        return attribute(__name__, _MODULES, __all__, name)
