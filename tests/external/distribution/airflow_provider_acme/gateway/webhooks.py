"""Acme's calls: one for each message, without a date."""

from __future__ import annotations

from airflow_provider_acme.gateway.codes import STATUS_WORDS
from airflow_provider_voicepartner.gateway_api import (
    CallbackEvent,
    CallbackRequest,
    DeliveryReport,
    InvalidCallbackError,
    as_text,
    read_callback,
    read_callback_number,
)


def parse_callback(callback: CallbackRequest) -> tuple[CallbackEvent, ...]:
    """Read a report about one message."""
    fields = read_callback(callback)
    word = as_text(fields.get("state"))
    if word is None:
        raise InvalidCallbackError("the callback has no state")
    return (
        DeliveryReport(
            gateway="acme",
            campaign_id=as_text(fields.get("id")),
            phone_number=read_callback_number(fields.get("to")),
            status=STATUS_WORDS.read(word),
            gateway_status=word,
            raw=fields,
        ),
    )
