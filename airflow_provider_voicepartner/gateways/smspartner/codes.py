"""
What each endpoint's codes mean, and where in an answer codes, ids and explanations stand.

The same number says different things on different pages of the vendor's docs.
Code 200 is a success and stands in no table. Code 15 of a send means "this number is twice in the list": it is no proof
that the request was accepted before, hence no ``DUPLICATE``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from airflow_provider_voicepartner.gateways.errors import Codes, ErrorKind
from airflow_provider_voicepartner.gateways.parsing import (
    as_int,
    as_object,
    as_objects,
    as_text,
    as_verdict,
    is_presentable_code,
)
from airflow_provider_voicepartner.gateways.smspartner import INFO
from airflow_provider_voicepartner.gateways.status import DeliveryStatus, StatusWords
from airflow_provider_voicepartner.gateways.wire import ApiResponse

_SHORT_CODE = re.compile(r"[0-9]{1,4}")
SERVER_CODE = re.compile(r"5[0-9]{2}")
_SUCCESS_CODE = re.compile(r"2[0-9]{2}")
_NO_CREDIT = "11"

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")

_CONFIGURATION = ErrorKind.CONFIGURATION
_REJECTED = ErrorKind.REJECTED

_Table = Mapping[int | str, tuple[ErrorKind, str]]

_FIELD = re.compile(r"children\[([A-Za-z_]{1,40})\]")
_ARGUMENTS = {
    "phoneNumbers": "to",
    "phoneNumber": "to",
    "SMSList": "to",
    "scheduledDeliveryDate": "send_at",
    "time": "send_at",
    "minute": "send_at",
    "isStopSms": "is_stop_sms",
    "isUnicode": "is_unicode",
    "urlDlr": "url_dlr",
    "urlResponse": "url_response",
    "from": "virtual_number",
}

_KEY: _Table = {
    1: (_CONFIGURATION, "the API key is missing"),
    10: (_CONFIGURATION, "the API key is wrong"),
    96: (_CONFIGURATION, "the IP address of this machine is not on the account's allow-list"),
}

ON_STOP_LIST = "14"
"""A number that a send left out because the recipient had said STOP."""

ABOUT_THE_ONLY_NUMBER = frozenset({"13", ON_STOP_LIST})
"""Codes that lie in the destination alone: of a send to one number they speak of it."""
ABOUT_A_NUMBER = ABOUT_THE_ONLY_NUMBER | {"9"}
"""
Codes that, beside a number, lie in that number. Not 15: a number that is "already in the list" may have been accepted.
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
    500: (ErrorKind.UNKNOWN, "the gateway could not queue the SMS; whether it was accepted is not known"),
    992: (_CONFIGURATION, "the account may not use this sender"),
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """
    One call of the API.

    :param name: as requests name it.
    :param codes: what its codes mean.
    :param safe_to_repeat: as its requests say; decides whether anything can be in doubt.
    """

    name: str
    codes: Codes
    safe_to_repeat: bool = True


SEND = Endpoint("send", Codes.of({**_SENDS, 2: (_REJECTED, "the numbers are missing")}), safe_to_repeat=False)
BULK_SEND = Endpoint(
    "bulk-send",
    Codes.of({**_SENDS, 2: (_REJECTED, "the list of numbers and texts is missing")}),
    safe_to_repeat=False,
)
VN_SEND = Endpoint(
    "vn/send", Codes.of({**_SENDS, 2: (_REJECTED, "the number is missing")}), safe_to_repeat=False
)

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

MESSAGE_STATUS = Endpoint("message-status", Codes.of(_STATUS))
MULTI_STATUS = Endpoint("multi-status", Codes.of(_STATUS))
BULK_STATUS = Endpoint("bulk-status", Codes.of(_STATUS))
BULK_STATUS_BY_TAG = Endpoint(
    "bulk-status-by-tag",
    Codes.of(
        {
            **_STATUS,
            3: (_REJECTED, "the tag is missing"),
            4: (ErrorKind.NOT_FOUND, "no message with this tag is known (right after a send: not known yet)"),
        }
    ),
)

MESSAGE_CANCEL = Endpoint(
    "message-cancel",
    Codes.of(
        {
            **_KEY,
            3: (_REJECTED, "the message id is missing"),
            4: (ErrorKind.NOT_FOUND, "the message is not known"),
            6: (ErrorKind.TOO_LATE, "less than 5 minutes are left before the message goes out"),
            7: (ErrorKind.TOO_LATE, "the message has been sent"),
            11: (ErrorKind.CREDIT, "not enough credit"),
        }
    ),
)
ALREADY_CANCELLED = "5"
"""The second answer to a cancel: the state that was asked for."""

ME = Endpoint(
    "me",
    Codes.of(
        {
            **_KEY,
            # Documented for sends; about the account, hence the same here (inferred).
            20: (_CONFIGURATION, "the account is disabled"),
            30: (_CONFIGURATION, "the account is blocked"),
            40: (_CONFIGURATION, "the account may not use the API"),
        }
    ),
)

STOP_LIST = Endpoint("stop-sms/list", Codes.of(_KEY))
STOP_ADD = Endpoint(
    "stop-sms/add",
    Codes.of({**_KEY, 2: (_REJECTED, "the number is missing"), 9: (_REJECTED, "not a valid number")}),
)
ALREADY_LISTED = "3"
"""
The second answer to an addition to the STOP list. One page of the vendor calls it "id missing", but the call takes no
id; two others say "already listed".
"""
STOP_DELETE = Endpoint(
    "stop-sms/delete",
    Codes.of(
        {
            **_KEY,
            2: (_REJECTED, "a parameter is missing"),
            3: (_REJECTED, "the id is missing"),
            4: (ErrorKind.NOT_FOUND, "no entry of the STOP list has this id"),
        }
    ),
    safe_to_repeat=False,
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


def is_id(text: str) -> bool:
    """Say whether a text may be one of the gateway's ids: a number or a UUID, but neither zero nor negative."""
    return bool(_ID.fullmatch(text)) and text.strip("0.") != ""


def read_id(value: Any) -> str | None:
    """Read an id, a number or a text depending on the endpoint; blank, zero and what is no id give None."""
    text = as_text(value)
    if isinstance(value, Decimal):
        text = as_text(as_int(value))
    return text if text and is_id(text) else None


def says_no(flag: Any) -> bool:
    """Say whether a success flag is a clear no: false, 0 or their texts. A missing or blank one is not clear."""
    return as_verdict(flag) is False


def read_code(data: Mapping[str, Any], response: ApiResponse) -> str | None:
    """Read a code, an int or its text. What looks like neither a number nor a word is no code and is not shown."""
    code = as_text(data.get("code"))
    if code is None:
        word = as_text(as_object(data.get("error")).get("message")) or as_text(data.get("message")) or ""
        return _NO_CREDIT if word.upper() == "NOCREDITS" else None
    if _SHORT_CODE.fullmatch(code):
        return code  # Before any scrubbing: a text such as "1" must not hide a code 11.
    return code if is_presentable_code(code, response) else None


def is_good_code(code: str | None) -> bool:
    """Say whether a code is that of a success: 200 and its like."""
    return _SUCCESS_CODE.fullmatch(code or "") is not None


def is_proven(code: str | None, codes: Codes) -> bool:
    """Say whether a number that an answer refuses was certainly not accepted: its code is no success and no mishap."""
    if is_good_code(code) or SERVER_CODE.fullmatch(code or ""):
        return False
    return codes.kind(code, ErrorKind.REJECTED) is not ErrorKind.UNKNOWN


def bulk_entries(data: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    """Return what a bulk send says about each number, or None when it does not speak of numbers at all."""
    entries = data.get("SMSResponse_List")
    if isinstance(entries, dict):  # how PHP, which the vendor uses, writes a list with a gap
        entries = list(entries.values())
    return None if entries is None else as_objects(entries)


def listed_errors(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the entries of an answer that say what is wrong: with form fields, or with numbers."""
    found: list[Mapping[str, Any]] = []
    for key in ("errors", "error"):
        value = data.get(key)
        found += as_objects([value] if isinstance(value, dict) else value)
    return found + [entry for entry in bulk_entries(data) or [] if says_no(entry.get("success"))]


def explanation(data: Mapping[str, Any]) -> str | None:
    """Put the gateway's words together: what it says in general, then about each field, by the argument's name."""
    said = [as_text(data.get("message")), as_text(data.get("error")), as_text(data.get("errors"))]
    fields: list[str | None] = []
    for entry in listed_errors(data):
        message = as_text(entry.get("message"))
        names: list[str] = _FIELD.findall(str(as_text(entry.get("elementId"))))
        if names:
            name = names[-1]
            argument = _ARGUMENTS.get(name, name)
            shown = name if argument == name else f"{argument} ({name})"
            fields.append(f"{shown}: {message}" if message else shown)
        else:
            said.append(message)
    # Fields first: they are the fix, and a long text is cut.
    return "; ".join(dict.fromkeys(part.rstrip(". ") for part in fields + said if part)) or None
