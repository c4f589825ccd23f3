"""Octopush's own settings of an SMS and of a call."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from airflow_provider_voicepartner.gateways.octopush.languages import Gender
from airflow_provider_voicepartner.gateways.options import GatewayOptions


class SmsOptions(GatewayOptions):
    """
    Settings of an SMS (``sms-campaign/send``). What is left out is left to the vendor.

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
    Settings of a call (``voice-campaign/send``). What is left out is left to the vendor.

    :param voice_gender: ``female`` (the default, which every language has) or ``male``; always sent.
    :param get_back_pressed_keys: report the keys that are pressed during the call.
    :param auto_remove_blacklisted_numbers: drop numbers that opted out; costs 0.01 EUR a request.
    :param allow_any_language: let a language pass that is not in the published list. Not sent.
    """

    voice_gender: Gender = "female"
    get_back_pressed_keys: bool | None = None
    auto_remove_blacklisted_numbers: bool | None = None
    allow_any_language: bool = False
