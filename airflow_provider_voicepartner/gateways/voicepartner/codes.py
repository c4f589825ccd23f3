"""
What Voice Partner's codes and status words mean, endpoint by endpoint.

The vendor documents nine string codes for both kinds of send, and numbers on two pages: 10 (wrong key) and 200 on the
balance, 200, 400, 401 (10 on the French page) and 404 on the cancel. Whether the numbers are HTTP statuses or a
``code`` in the body is not stated, so both are read. Which body an error has is not documented at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from airflow_provider_voicepartner.gateways.errors import Codes, ErrorKind
from airflow_provider_voicepartner.gateways.status import DeliveryStatus, StatusWords
from airflow_provider_voicepartner.gateways.voicepartner import INFO

_KEY = "the API key is wrong or may not do this; check the connection's password"

_COMMON: Mapping[int | str, tuple[ErrorKind, str]] = {
    10: (ErrorKind.CONFIGURATION, _KEY),
    401: (ErrorKind.CONFIGURATION, _KEY),
    429: (ErrorKind.RETRYABLE, "too many requests; Voice Partner limits them per minute and per hour"),
}

_SEND: Mapping[int | str, tuple[ErrorKind, str]] = {
    **_COMMON,
    400: (ErrorKind.REJECTED, "the request is malformed"),
    404: (ErrorKind.REJECTED, "the address is not known to the API; check the connection's host"),
    "PHONE_NUMBER_REQUIRED": (ErrorKind.REJECTED, "no phone number was given"),
    "PHONE_NUMBER_SIZE_ERROR": (ErrorKind.REJECTED, "more than 500 phone numbers in one request"),
    "TOKEN_AUDIO_REQUIRED": (ErrorKind.REJECTED, "the audio token is missing"),
    "AUDIO_FILE_NOT_FOUND": (
        ErrorKind.REJECTED,
        "the audio token is unknown or its file is not validated yet; list the audio files to see the usable ones",
    ),
    "NOTIFY_URL_INVALID": (ErrorKind.REJECTED, "the callback URL is not accepted"),
    "SENDER_NOT_AUTHORIZED": (
        ErrorKind.CONFIGURATION,
        "the sender is not validated on the account; validate it on Voice Partner's dashboard first",
    ),
    "SENDER_INVALID": (ErrorKind.REJECTED, "the sender is malformed"),
    "DESTINATION_INVALID": (ErrorKind.REJECTED, "a number is not allowed as a destination"),
    "NOT_CREDIT": (ErrorKind.CREDIT, "the account has too little credit"),
}

TTS_SEND: Final = Codes.of(_SEND)
CAMPAIGN_SEND: Final = Codes.of(_SEND)

CAMPAIGN_CANCEL: Final = Codes.of(
    {
        **_COMMON,
        400: (
            ErrorKind.TOO_LATE,
            "the campaign cannot be cancelled: it was sent, is not deferred, or was cancelled before",
        ),
        404: (ErrorKind.NOT_FOUND, "no such campaign: a wrong id, or it was sent or cancelled before"),
    }
)

AUDIOS: Final = Codes.of({**_COMMON, 400: (ErrorKind.REJECTED, "the request is malformed")})

AUDIO_RENAME: Final = Codes.of(
    {
        **_COMMON,
        400: (ErrorKind.REJECTED, "the request is malformed"),
        404: (ErrorKind.NOT_FOUND, "the audio token is unknown"),
        "TOKEN_AUDIO_REQUIRED": (ErrorKind.REJECTED, "the audio token is missing"),
        "AUDIO_FILE_NOT_FOUND": (ErrorKind.NOT_FOUND, "the audio token is unknown"),
    }
)

ME: Final = Codes.of({**_COMMON, 400: (ErrorKind.REJECTED, "the request is malformed")})

STATUS_WORDS: Final = StatusWords(
    INFO.name,
    {
        "pending": DeliveryStatus.PENDING,
        "delivered": DeliveryStatus.DELIVERED,
        # Not picked up, busy or unreachable: the word does not say which, so a later call may succeed.
        "undelivered": DeliveryStatus.FAILED,
    },
)

knows_status = STATUS_WORDS.knows
