"""
What became of messages, and what was answered to them: delivery reports, replies, STOPs, and lists of statuses.

Callbacks are distinguished by their fields, in JSON or as a form. They carry no signature: whoever knows the URL can
forge one. The vendor's page on delivery reports is known from quotes and from what other clients read, so every
spelling of a key that was seen is accepted. An entry of a status list says the same as a delivery report, in other
spellings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_voicepartner.gateways.dates import read_date
from airflow_provider_voicepartner.gateways.errors import InvalidCallbackError
from airflow_provider_voicepartner.gateways.model import CallbackEvent, DeliveryReport, OptOut, Reply
from airflow_provider_voicepartner.gateways.parsing import (
    as_bool,
    as_decimal,
    as_int,
    as_objects,
    as_text,
    as_verdict,
    pick,
    read_callback,
    read_callback_number,
)
from airflow_provider_voicepartner.gateways.phone_numbers import read_wire_number
from airflow_provider_voicepartner.gateways.smspartner import INFO
from airflow_provider_voicepartner.gateways.smspartner.codes import (
    NOT_FOUND_CODE,
    NOT_FOUND_WORDS,
    STATUS_WORDS,
    Endpoint,
    is_good_code,
    read_code,
    read_id,
    says_no,
)
from airflow_provider_voicepartner.gateways.smspartner.options import reference_of
from airflow_provider_voicepartner.gateways.smspartner.refusals import accepted_answer, unclear
from airflow_provider_voicepartner.gateways.status import NOT_FOUND, DeliveryStatus
from airflow_provider_voicepartner.gateways.wire import ApiResponse, CallbackRequest

STATUS_LISTS = ("StatutResponse_List", "StatusResponse_List")

_MAX_PARTS = 255
_HLR_FIELDS = ("mccMnc", "errorGrpId", "errorName", "errorDesc", "ported")
_ONLY_STOP = re.compile(r"\W*stop\W*", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusPage:
    """
    One page of the statuses of a tag.

    :param page: which one, from 1, where reported.
    :param total: how many statuses all pages hold, where reported. The size of a page is not documented: read on until
        as many were seen, or a page is empty.
    :param listed: how many entries the page has, those included that cannot be read.
    """

    reports: tuple[DeliveryReport, ...]
    page: int | None = None
    total: int | None = None
    listed: int = 0

    @property
    def is_blank(self) -> bool:
        """True when it lists nothing, and claims no more than that."""
        return not self.listed and not self.total


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


def read_status_list(
    endpoint: Endpoint, response: ApiResponse, *, tag: str | None = None
) -> tuple[tuple[DeliveryReport, ...], Mapping[str, Any]]:
    """
    Read a list of statuses.

    :param tag: that was asked about.
    :returns: its reports, and the whole answer.
    :raises GatewayError: for anything else.
    """
    data = accepted_answer(endpoint, response)
    entries = pick(data, *STATUS_LISTS)
    if not isinstance(entries, list):
        raise unclear(endpoint, response, data, "the answer claims success without a list")
    campaign_id = read_id(pick(data, "message_id", "messageId"))
    read = (
        read_status_entry(entry, response, campaign_id=campaign_id, tag=tag) for entry in as_objects(entries)
    )
    return tuple(report for report in read if report is not None), data


def read_status_entry(
    entry: Mapping[str, Any], response: ApiResponse, *, campaign_id: str | None = None, tag: str | None = None
) -> DeliveryReport | None:
    """Read one entry; one without a number is about nobody and gives None."""
    number = as_text(pick(entry, "number", "phoneNumber", "phone"))
    if number is None:
        return None
    word = as_text(pick(entry, "statut", "status")) or ""
    detail = _no_status(entry, word, response)
    return DeliveryReport(
        gateway=INFO.name,
        campaign_id=read_id(pick(entry, "messageId", "message_id", "msgId")) or campaign_id,
        phone_number=read_wire_number(number),
        status=DeliveryStatus.PENDING if detail else STATUS_WORDS.read(word),
        gateway_status=word,
        detail=detail,
        at=read_date(entry.get("date")),
        cost=as_decimal(entry.get("cost")),
        reference=reference_of(tag or as_text(entry.get("tag"))),
        opted_out=as_bool(pick(entry, "stopSms", "stopSMS")) is True,
        raw=entry,
    )


def _no_status(entry: Mapping[str, Any], word: str, response: ApiResponse) -> str | None:
    """Return the detail of an entry that is an error and no status."""
    if word.casefold() == NOT_FOUND_WORDS:
        return NOT_FOUND
    if not says_no(entry.get("success")):
        return None
    code = read_code(entry, response)
    return NOT_FOUND if code == NOT_FOUND_CODE else f"error_{code or 'unknown'}"


def shows_accepted(report: DeliveryReport) -> bool:
    """
    Say whether an entry of a status list shows that its number was accepted, whatever became of the message.

    It must have a documented status, and nothing of an error: "Numéro introuvable", a code that is none of a success,
    a flag that is no yes.
    """
    entry = report.raw
    flag, code = entry.get("success"), as_text(entry.get("code"))
    return (
        report.detail is None
        and STATUS_WORDS.knows(report.gateway_status)
        and (flag is None or as_verdict(flag) is True)
        and (entry.get("code") is None or is_good_code(code))
        and not entry.get("error")
        and not entry.get("errors")
    )
