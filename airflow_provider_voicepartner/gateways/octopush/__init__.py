"""
Octopush: SMS and spoken calls, cancel, balance, and the account's callback URLs.

The API has no way to ask what became of a campaign: results come by callback only, to URLs set for the whole account.
"""

from __future__ import annotations

from airflow_provider_voicepartner.gateways.octopush.answers import (
    WalletPack,
    names_a_send,
    parse_balance,
    parse_batch,
    parse_cancel,
)
from airflow_provider_voicepartner.gateways.octopush.callbacks import parse_callback
from airflow_provider_voicepartner.gateways.octopush.codes import STATUS_WORDS
from airflow_provider_voicepartner.gateways.octopush.identity import BASE_URL, KINDS, LABEL, NAME
from airflow_provider_voicepartner.gateways.octopush.messages import (
    build_batch,
    check_message,
    check_recipient,
    compile_message,
    segments_of,
)
from airflow_provider_voicepartner.gateways.octopush.options import SmsOptions, VoiceOptions
from airflow_provider_voicepartner.gateways.octopush.parameters import (
    CampaignParameters,
    build_edit_parameters,
    build_parameters,
    parse_edit_parameters,
    parse_parameters,
)
from airflow_provider_voicepartner.gateways.octopush.requests import (
    authenticate,
    build_balance,
    build_cancel,
)

knows_status = STATUS_WORDS.knows

__all__ = [
    "BASE_URL",
    "KINDS",
    "LABEL",
    "NAME",
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
