"""
What each endpoint's codes mean: the same number says different things on different pages of the vendor's docs.

Code 200 is a success and stands in no table. Code 15 of a send means "this number is twice in the list": it is no proof
that the request was taken before, hence no ``DUPLICATE``.
"""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_voicepartner.gateways.errors import Codes, ErrorKind
from airflow_provider_voicepartner.gateways.smspartner import INFO
from airflow_provider_voicepartner.gateways.status import DeliveryStatus, StatusWords

_CONFIGURATION = ErrorKind.CONFIGURATION
_REJECTED = ErrorKind.REJECTED

_Table = Mapping[int | str, tuple[ErrorKind, str]]

_KEY: _Table = {
    1: (_CONFIGURATION, "the API key is missing"),
    10: (_CONFIGURATION, "the API key is wrong"),
    96: (_CONFIGURATION, "the IP address of this machine is not on the account's allow-list"),
}

ON_STOP_LIST = "14"
"""A number that a send left out because the person had said STOP."""

ABOUT_THE_ONLY_NUMBER = frozenset({"13", ON_STOP_LIST})
"""Codes that lie in the destination alone: of a send to one number they speak of it."""
ABOUT_A_NUMBER = ABOUT_THE_ONLY_NUMBER | {"9"}
"""
Codes that, beside a number, lie in that number. Not 15: a number that is "already in the list" may have been taken.
"""

_SENDS: _Table = {
    **_KEY,
    4: (_REJECTED, "the message was not found"),
    9: (_REJECTED, "a constraint failed"),
    11: (ErrorKind.CREDIT, "not enough credit; top up the account"),
    13: (_REJECTED, "the account has no price for this destination"),
    ON_STOP_LIST: (_REJECTED, "the number is on the STOP list"),
    15: (_REJECTED, "the number is in the list twice"),
    20: (_CONFIGURATION, "the account is disabled"),
    22: (_REJECTED, "a marketing SMS outside the hours in which it may be sent; choose another send_at"),
    23: (_REJECTED, "a marketing SMS on a Sunday or a public holiday; choose another send_at"),
    30: (_CONFIGURATION, "the account is blocked"),
    40: (_CONFIGURATION, "the account may not use the API"),
    42: (_REJECTED, "a Low Cost SMS of more than 160 characters"),
    43: (_REJECTED, "the message is missing"),
    44: (_REJECTED, "the sender is invalid"),
    45: (_REJECTED, "the date of a scheduled SMS is missing"),
    46: (_REJECTED, "the hour of a scheduled SMS is missing"),
    47: (_REJECTED, "the minute of a scheduled SMS is invalid"),
    48: (_REJECTED, "the minute of a scheduled SMS must be a multiple of 5"),
    49: (_REJECTED, "the date of a scheduled SMS is invalid"),
    50: (_REJECTED, "more than 500 numbers in one request"),
    51: (_REJECTED, "the Low Cost range is not available"),
    52: (_REJECTED, "a text of more than 10 concatenated SMS"),
    55: (_REJECTED, "no number is left to send to"),
    90: (_REJECTED, "the request is malformed JSON"),
    500: (ErrorKind.UNKNOWN, "the gateway could not queue the SMS; whether it was taken is not known"),
    992: (_CONFIGURATION, "the account may not use this sender"),
}

SEND = Codes.of({**_SENDS, 2: (_REJECTED, "the numbers are missing")})
BULK_SEND = Codes.of({**_SENDS, 2: (_REJECTED, "the list of numbers and texts is missing")})
VN_SEND = Codes.of({**_SENDS, 2: (_REJECTED, "the number is missing")})

_STATUS: _Table = {
    **_KEY,
    2: (_REJECTED, "the number is missing"),
    3: (_REJECTED, "the message id is missing"),
    4: (ErrorKind.NOT_FOUND, "the message is not known (right after a send: not known yet)"),
    5: (_REJECTED, "the list is empty"),
    6: (_REJECTED, "the request has a bad format"),
    9: (_REJECTED, "not a mobile number"),
    50: (_REJECTED, "more than 500 numbers in one request"),
}

MESSAGE_STATUS = Codes.of(_STATUS)
MULTI_STATUS = Codes.of(_STATUS)
BULK_STATUS = Codes.of(_STATUS)
BULK_STATUS_BY_TAG = Codes.of(
    {
        **_STATUS,
        3: (_REJECTED, "the tag is missing"),
        4: (ErrorKind.NOT_FOUND, "no message with this tag is known (right after a send: not known yet)"),
    }
)

MESSAGE_CANCEL = Codes.of(
    {
        **_KEY,
        3: (_REJECTED, "the message id is missing"),
        4: (ErrorKind.NOT_FOUND, "the message is not known"),
        6: (ErrorKind.TOO_LATE, "less than 5 minutes are left before the message goes out"),
        7: (ErrorKind.TOO_LATE, "the message has been sent"),
        11: (ErrorKind.CREDIT, "not enough credit"),
    }
)
ALREADY_CANCELLED = "5"
"""The second answer to a cancel: the state that was asked for."""

ME = Codes.of(
    {
        **_KEY,
        # Documented for sends; about the account, hence the same here (inferred).
        20: (_CONFIGURATION, "the account is disabled"),
        30: (_CONFIGURATION, "the account is blocked"),
        40: (_CONFIGURATION, "the account may not use the API"),
    }
)

STOP_LIST = Codes.of(_KEY)
STOP_ADD = Codes.of(
    {**_KEY, 2: (_REJECTED, "the number is missing"), 9: (_REJECTED, "not a valid number")},
)
ALREADY_LISTED = "3"
"""
The second answer to an addition to the STOP list. One page of the vendor calls it "id missing", but the call takes no
id; two others say "already listed".
"""
STOP_DELETE = Codes.of(
    {
        **_KEY,
        2: (_REJECTED, "a parameter is missing"),
        3: (_REJECTED, "the id is missing"),
        4: (ErrorKind.NOT_FOUND, "no entry of the STOP list has this id"),
    }
)

NOT_FOUND_CODE = "4"
"""An entry of a status list that is no status: the number is not known under this message."""
NOT_FOUND_WORDS = "numéro introuvable"

STATUS_WORDS = StatusWords(
    INFO.name,
    {
        # Documented by the vendor; answers capitalise them, callbacks do not.
        "delivered": DeliveryStatus.DELIVERED,
        "not delivered": DeliveryStatus.FAILED,
        "waiting": DeliveryStatus.PENDING,
        "ko": DeliveryStatus.FAILED,
        # The operators' own words, listed on the vendor's error page; not known to come back from a status call.
        "delivrd": DeliveryStatus.DELIVERED,
        "pending": DeliveryStatus.PENDING,
        "acceptd": DeliveryStatus.PENDING,
        "enroute": DeliveryStatus.PENDING,
        "undeliv": DeliveryStatus.FAILED,
        "rejectd": DeliveryStatus.FAILED,
        "expired": DeliveryStatus.FAILED,
        "unknown": DeliveryStatus.PENDING,
    },
)
"""What the gateway's status words mean. Whether one is final is inferred; the vendor does not say."""

knows_status = STATUS_WORDS.knows
