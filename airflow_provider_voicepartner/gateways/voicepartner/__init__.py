"""
Voice Partner: calls that speak a text or play a file, voicemail drops, audio files, cancel and credit.

The API has no way to ask what became of a campaign: results come by callback only.
"""

from __future__ import annotations

from airflow_provider_voicepartner.gateways.voicepartner.answers import (
    AudioFile,
    RenamedAudio,
    names_a_send,
    parse_audios,
    parse_balance,
    parse_batch,
    parse_cancel,
    parse_rename_audio,
)
from airflow_provider_voicepartner.gateways.voicepartner.callbacks import parse_callback
from airflow_provider_voicepartner.gateways.voicepartner.codes import STATUS_WORDS
from airflow_provider_voicepartner.gateways.voicepartner.identity import BASE_URL, KINDS, LABEL, NAME
from airflow_provider_voicepartner.gateways.voicepartner.messages import (
    build_batch,
    check_message,
    check_recipient,
    compile_message,
    segments_of,
)
from airflow_provider_voicepartner.gateways.voicepartner.options import TtsOptions, VoicemailOptions
from airflow_provider_voicepartner.gateways.voicepartner.requests import (
    authenticate,
    build_audios,
    build_balance,
    build_cancel,
    build_rename_audio,
)

knows_status = STATUS_WORDS.knows

__all__ = [
    "BASE_URL",
    "KINDS",
    "LABEL",
    "NAME",
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
