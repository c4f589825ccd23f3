"""
What the gateway sends to our URLs: delivery reports, replies, STOPs. Told apart by their fields, in JSON or as a form.

Callbacks carry no signature: whoever knows the URL can forge one. The vendor's page on delivery reports is known from
quotes and from what other clients read, so every spelling of a key that was seen is accepted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_voicepartner.gateways.dates import read_date
from airflow_provider_voicepartner.gateways.errors import InvalidCallbackError
from airflow_provider_voicepartner.gateways.model import CallbackEvent, DeliveryReport, OptOut, Reply
from airflow_provider_voicepartner.gateways.numbers import read_wire_number
from airflow_provider_voicepartner.gateways.reading import (
    as_bool,
    as_decimal,
    as_int,
    as_text,
    pick,
    read_callback,
    read_callback_number,
)
from airflow_provider_voicepartner.gateways.smspartner import INFO
from airflow_provider_voicepartner.gateways.smspartner.codes import STATUS_WORDS
from airflow_provider_voicepartner.gateways.smspartner.refusals import read_id
from airflow_provider_voicepartner.gateways.smspartner.tags import reference_of
from airflow_provider_voicepartner.gateways.wire import CallbackRequest

_MAX_PARTS = 255
_HLR_FIELDS = ("mccMnc", "errorGrpId", "errorName", "errorDesc", "ported")
_ONLY_STOP = re.compile(r"\W*stop\W*", re.IGNORECASE)


def parse_callback(callback: CallbackRequest) -> tuple[CallbackEvent, ...]:
    """
    Read what the gateway sent to a callback URL.

    :returns: one delivery report, reply or opt-out. An answer to a short number that says nothing but STOP is an
        opt-out whatever its type, and so is one to a long number, for which the gateway has no such type.
    :raises InvalidCallbackError: and nothing else, whatever came in; also for the results of number checks (HLR),
        which no call of this provider asks for.
    """
    fields = read_callback(callback)
    if any(name in fields for name in _HLR_FIELDS):
        raise InvalidCallbackError(
            "the callback is the result of a number check (HLR), which this provider does not use"
        )
    if as_text(fields.get("msisdn")) is not None:
        return (_long_number_reply(fields),)
    kind = (as_text(fields.get("type")) or "").casefold()
    if kind in ("response", "stop"):
        return (_reply(fields, is_stop=kind == "stop"),)
    if as_text(pick(fields, "status", "statut")) is not None:
        return (_delivery_report(fields),)
    if "text" in fields:
        return (_reply(fields, is_stop=False),)
    raise InvalidCallbackError(
        "the callback is neither a delivery report nor a reply: it has no status, type or text"
    )


def _number(fields: Mapping[str, Any]) -> str:
    return read_callback_number(pick(fields, "phone", "phone_number", "phoneNumber", "number"))


def _campaign_id(fields: Mapping[str, Any]) -> str | None:
    return read_id(pick(fields, "msgId", "messageId", "message_id"))


def _delivery_report(fields: Mapping[str, Any]) -> DeliveryReport:
    word = as_text(pick(fields, "status", "statut")) or ""
    return DeliveryReport(
        gateway=INFO.name,
        campaign_id=_campaign_id(fields),
        phone_number=_number(fields),
        status=STATUS_WORDS.read(word),
        gateway_status=word,
        at=read_date(fields.get("date")),
        cost=as_decimal(fields.get("cost")),
        reference=reference_of(as_text(fields.get("tag"))),
        opted_out=as_bool(pick(fields, "stopSms", "stopSMS")) is True,
        raw=fields,
    )


def _reply(fields: Mapping[str, Any], *, is_stop: bool) -> Reply | OptOut:
    number, text = _number(fields), as_text(fields.get("text")) or ""
    campaign_id, at = _campaign_id(fields), read_date(fields.get("date"))
    if is_stop or _ONLY_STOP.fullmatch(text):
        return OptOut(
            gateway=INFO.name, campaign_id=campaign_id, phone_number=number, text=text, at=at, raw=fields
        )
    return Reply(
        gateway=INFO.name, campaign_id=campaign_id, phone_number=number, text=text, at=at, raw=fields
    )


def _long_number_reply(fields: Mapping[str, Any]) -> Reply | OptOut:
    """Read an answer to a long number. Its ``messageId`` is the answer's own, so it names no campaign."""
    number, text = read_callback_number(_with_plus(fields.get("msisdn"))), as_text(fields.get("text")) or ""
    at = read_date(fields.get("message-timestamp"))
    if _ONLY_STOP.fullmatch(text):
        return OptOut(gateway=INFO.name, campaign_id=None, phone_number=number, text=text, at=at, raw=fields)
    to = as_text(fields.get("to"))
    part, parts = as_int(fields.get("concat-part")), as_int(fields.get("concat-total"))
    if (
        as_bool(fields.get("concat")) is not True
        or part is None
        or parts is None
        or not 1 <= part <= parts <= _MAX_PARTS
    ):
        part, parts = 1, 1
    return Reply(
        gateway=INFO.name,
        campaign_id=None,
        phone_number=number,
        text=text,
        to=read_wire_number(_with_plus(to)) if to else None,
        at=at,
        part=part,
        parts=parts,
        parts_reference=as_text(fields.get("concat-ref")) if parts > 1 else None,
        raw=fields,
    )


def _with_plus(value: Any) -> str:
    """Put a plus before a number that the gateway writes with its country code but without one."""
    text = as_text(value) or ""
    return f"+{text}" if text.isdigit() and not text.startswith("0") else text
