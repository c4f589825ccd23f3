"""
What Octopush's codes and status words mean, endpoint by endpoint.

Of the codes of sends, the vendor documents 400 (look inside) and 442. The numbers from 101 to 153 are those of the
vendor's previous API; the present one was seen to use the same range (194 to 199) elsewhere, so they are
recognised where they turn up in a refusal, and nothing depends on their doing so: the HTTP status decides first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from airflow_provider_voicepartner.gateways.errors import Codes, ErrorKind
from airflow_provider_voicepartner.gateways.octopush import INFO
from airflow_provider_voicepartner.gateways.status import DeliveryStatus, StatusWords

DUPLICATE_CODE: Final = "120"

_LOGIN = "the login or the API key is wrong; check the connection's login and password"

_COMMON: Mapping[int | str, tuple[ErrorKind, str]] = {
    401: (ErrorKind.CONFIGURATION, _LOGIN),
    402: (ErrorKind.CREDIT, "the account has too little credit"),
    403: (ErrorKind.CONFIGURATION, "the account or sub-account may not do this"),
    429: (ErrorKind.RETRYABLE, "too many requests"),
}

_PREVIOUS_API: Mapping[int | str, tuple[ErrorKind, str]] = {
    100: (ErrorKind.REJECTED, "the request is empty"),
    101: (ErrorKind.CONFIGURATION, _LOGIN),
    102: (ErrorKind.REJECTED, "the text is too long"),
    103: (ErrorKind.REJECTED, "there are no recipients"),
    104: (ErrorKind.CREDIT, "the account has no credit left"),
    105: (ErrorKind.CREDIT, "the account has too little credit; an order is pending"),
    106: (ErrorKind.REJECTED, "the sender is not accepted"),
    107: (ErrorKind.REJECTED, "the text is missing"),
    108: (ErrorKind.CONFIGURATION, "the login is missing"),
    109: (ErrorKind.CONFIGURATION, "the password is missing"),
    110: (ErrorKind.REJECTED, "the recipients are missing"),
    111: (ErrorKind.REJECTED, "no way of choosing recipients was given"),
    112: (ErrorKind.REJECTED, "the type of SMS is missing"),
    113: (ErrorKind.CONFIGURATION, "the account is not validated"),
    114: (ErrorKind.CONFIGURATION, "the account is under investigation"),
    115: (ErrorKind.REJECTED, "the number of parameters is wrong"),
    116: (ErrorKind.REJECTED, "the mailing is not accepted"),
    117: (ErrorKind.REJECTED, "a phone number is wrong"),
    118: (ErrorKind.CONFIGURATION, "a box on the account is not ticked"),
    119: (ErrorKind.REJECTED, "the text is too long for this type of SMS"),
    120: (ErrorKind.DUPLICATE, "a request with this id was accepted before"),
    121: (ErrorKind.REJECTED, "the STOP mention is missing from the text"),
    122: (ErrorKind.REJECTED, "the no-advertising mention is missing from the text"),
    123: (ErrorKind.REJECTED, "the request's hash is missing"),
    124: (ErrorKind.REJECTED, "the request's hash is wrong"),
    125: (ErrorKind.REJECTED, "undefined error"),
    126: (ErrorKind.REJECTED, "another campaign waits for approval"),
    127: (ErrorKind.RETRYABLE, "another campaign is being computed"),
    150: (ErrorKind.REJECTED, "no country has this prefix"),
    151: (ErrorKind.REJECTED, "this country is not served"),
    152: (ErrorKind.REJECTED, "this country is not served by this type of SMS"),
    153: (ErrorKind.RETRYABLE, "the route is congested"),
}

SMS_SEND: Final = Codes.of({**_COMMON, **_PREVIOUS_API})
VOICE_SEND: Final = Codes.of(
    {**_COMMON, **_PREVIOUS_API, 442: (ErrorKind.REJECTED, "Octopush does not speak this language")}
)
CANCEL: Final = Codes.of(
    {
        **_COMMON,
        400: (
            ErrorKind.REJECTED,
            "it cannot be cancelled: only a scheduled campaign of fewer than 3 recipients that leaves in more than 10 "
            "minutes can, and 1000 a month",
        ),
        404: (ErrorKind.NOT_FOUND, "no such campaign"),
    }
)
CHECK_BALANCE: Final = Codes.of({**_COMMON, 101: _PREVIOUS_API[101]})
PARAMETERS: Final = Codes.of({**_COMMON, 101: _PREVIOUS_API[101]})
EDIT_PARAMETERS: Final = Codes.of({**_COMMON, 101: _PREVIOUS_API[101]})

STATUS_WORDS: Final = StatusWords(
    INFO.name,
    {
        "DELIVERED": DeliveryStatus.DELIVERED,
        "READ": DeliveryStatus.DELIVERED,
        "OPENED": DeliveryStatus.DELIVERED,
        "CLICKED": DeliveryStatus.DELIVERED,
        "NOT_DELIVERED": DeliveryStatus.FAILED,
        "BUSY": DeliveryStatus.FAILED,
        "REFUSED": DeliveryStatus.FAILED,
        "NOT_DELIVERABLE": DeliveryStatus.UNDELIVERABLE,
        "BAD_DESTINATION": DeliveryStatus.UNDELIVERABLE,
        "NOT_ALLOWED": DeliveryStatus.UNDELIVERABLE,
        "BLACKLISTED_NUMBER": DeliveryStatus.OPTED_OUT,
        "ACK": DeliveryStatus.PENDING,
        "UNKNOWN_DELIVERY": DeliveryStatus.PENDING,
        # The vendor says no more than "undefined"; a deadline decides, not this word.
        "UNDEFINED": DeliveryStatus.PENDING,
        "PROCESSED": DeliveryStatus.PENDING,
        "TRANSMITTED": DeliveryStatus.PENDING,
        "ISP_SEND": DeliveryStatus.PENDING,
        "SPAM_PRESUMPTION": DeliveryStatus.PENDING,
    },
)

knows_status = STATUS_WORDS.knows
