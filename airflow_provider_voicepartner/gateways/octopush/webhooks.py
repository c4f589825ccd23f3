"""
What Octopush sends to the account's callback URLs: delivery reports, replies and opt-outs.

They are distinguished by their date field. Three generations of the vendor's pages put the details of a call at the
root or into ``meta_data``, and those of a reply at the root or into ``metadata``; bodies come as JSON or as a form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from airflow_provider_voicepartner.gateways.bodies import loads
from airflow_provider_voicepartner.gateways.dates import read_date
from airflow_provider_voicepartner.gateways.errors import InvalidCallbackError
from airflow_provider_voicepartner.gateways.model import CallbackEvent, DeliveryReport, OptOut, Reply
from airflow_provider_voicepartner.gateways.octopush import INFO
from airflow_provider_voicepartner.gateways.octopush.codes import STATUS_WORDS
from airflow_provider_voicepartner.gateways.parsing import (
    as_count,
    as_decimal,
    as_object,
    as_text,
    pick,
    read_callback,
    read_callback_number,
)
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from airflow_provider_voicepartner.gateways.wire import CallbackRequest

_NODES: Final = ("meta_data", "metadata")
_DATES: Final = {
    "delivery_date": "delivery",
    "reception_date": "reply",
    "answer_date": "reply",
    "stop_date": "stop",
}


def parse_callback(callback: CallbackRequest) -> tuple[CallbackEvent, ...]:
    """
    Read a delivery report, a reply or an opt-out.

    A visit (an opened link) is not read: its payload is not published.

    :raises InvalidCallbackError: for anything that has none of the three shapes.
    """
    raw = read_callback(callback)
    fields = _flatten(raw)
    kind = _kind(fields)
    number = read_callback_number(fields.get("number"))
    if kind == "delivery":
        return (_read_delivery(raw, fields, number),)
    if kind == "reply":
        return (_read_reply(raw, fields, number),)
    return (_read_stop(raw, fields, number),)


def _flatten(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Bring the nodes' fields to the root, where a field of the root goes first."""
    fields: dict[str, Any] = {}
    for node in _NODES:
        fields |= _read_node(raw.get(node))
        prefix = f"{node}["
        for name, value in raw.items():
            if name.startswith(prefix) and name.endswith("]"):
                fields[name[len(prefix) : -1]] = value
    return fields | {name: value for name, value in raw.items() if value is not None and name not in _NODES}


def _read_node(value: Any) -> Mapping[str, Any]:
    """Read an object, or its JSON as text, as it would come in a form."""
    if isinstance(value, str):
        try:
            return as_object(loads(value))
        except ValueError:
            return {}
    return as_object(value)


def _kind(fields: Mapping[str, Any]) -> str:
    named = {kind for name, kind in _DATES.items() if name in fields}
    dated = {kind for name, kind in _DATES.items() if as_text(fields.get(name)) is not None}
    kinds = dated or named
    if len(kinds) != 1:
        raise InvalidCallbackError(
            "the callback has not exactly one of delivery_date, reception_date (answer_date) and stop_date"
        )
    return kinds.pop()


def _read_delivery(raw: Mapping[str, Any], fields: Mapping[str, Any], number: str) -> DeliveryReport:
    word = as_text(fields.get("status"))
    if word is None:
        raise InvalidCallbackError("the delivery report has no status")
    status = STATUS_WORDS.read(word)
    return DeliveryReport(
        gateway=INFO.name,
        campaign_id=as_text(fields.get("message_id")),
        phone_number=number,
        status=status,
        gateway_status=word,
        at=read_date(as_text(fields.get("delivery_date"))),
        duration=as_count(fields.get("call_duration")),
        cost=as_decimal(fields.get("unit_price")),
        pressed_keys=as_text(fields.get("pressed_keys_code")),
        opted_out=status is DeliveryStatus.OPTED_OUT,
        raw=raw,
    )


def _read_reply(raw: Mapping[str, Any], fields: Mapping[str, Any], number: str) -> Reply:
    return Reply(
        gateway=INFO.name,
        campaign_id=as_text(fields.get("message_id")),
        phone_number=number,
        text=_read_text(fields),
        # A short number that means nothing outside its country, so it stays as it came.
        to=as_text(fields.get("sim_card_number")),
        at=read_date(as_text(pick(fields, "reception_date", "answer_date"))),
        raw=raw,
    )


def _read_stop(raw: Mapping[str, Any], fields: Mapping[str, Any], number: str) -> OptOut:
    return OptOut(
        gateway=INFO.name,
        campaign_id=as_text(fields.get("message_id")),
        phone_number=number,
        text=_read_text(fields),
        at=read_date(as_text(fields.get("stop_date"))),
        raw=raw,
    )


def _read_text(fields: Mapping[str, Any]) -> str:
    """Read what was written, blanks included; a reply of digits may come as a number."""
    text = fields.get("text")
    return text if isinstance(text, str) else as_text(text) or ""
