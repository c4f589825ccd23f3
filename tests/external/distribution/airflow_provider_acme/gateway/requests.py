"""Acme's requests."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from urllib.parse import quote

from airflow_provider_acme.gateway.options import SmsOptions
from airflow_provider_voicepartner.gateway_api import (
    NO_CALLBACKS,
    ApiRequest,
    CallbackUrls,
    CompiledMessage,
    Credentials,
    InvalidArgumentError,
    Kind,
    Message,
    Recipient,
    SmsMessage,
    check_callback_url,
    check_count,
    check_numbers,
    check_said,
    check_secret,
    check_sender,
    read_options,
    read_template,
    require_future,
)

LONGEST = 1_000


def authenticate(request: ApiRequest, credentials: Credentials) -> ApiRequest:
    """Put account and key into the header, as HTTP basic authentication writes them."""
    key = check_secret(credentials.api_key, argument="password", what="the API key")
    login = check_secret(credentials.login, argument="login", what="the account")
    written = base64.b64encode(f"{login}:{key}".encode()).decode()
    return replace(request, headers={**request.headers, "Authorization": f"Basic {written}"})


def check_message(message: Message, recipients_have_fields: bool) -> None:
    """Refuse what Acme would refuse."""
    if not isinstance(message, SmsMessage):
        raise InvalidArgumentError("conn_id", "Acme sends SMS only")
    read_options(SmsOptions, message.options)
    check_said(message.text, argument="message", fix="give the text")
    check_sender(message.sender, gateway="Acme")
    template = read_template(message.text, "message")
    if template.names and not recipients_have_fields:
        raise InvalidArgumentError("message", "has placeholders, and the recipients have no fields")
    if not template.names:
        _check_length(template.fill_in({}))


def _check_length(text: str) -> None:
    if len(text) > LONGEST:
        raise InvalidArgumentError("message", f"has {len(text)} characters; Acme takes {LONGEST}")


def check_recipient(message: Message, recipient: Recipient) -> None:
    """Refuse a recipient whose own text Acme would refuse."""
    if isinstance(message, SmsMessage):
        _check_length(read_template(message.text, "message").fill_in(recipient.fields))


def compile_message(message: Message) -> CompiledMessage | None:
    """Gain nothing: each recipient has a request of its own."""
    return None


def segments_of(message: Message, text: str) -> Sequence[int] | None:
    """Leave it to the standard: Acme documents nothing."""
    return None


def build_batch(
    message: Message,
    recipients: Sequence[Recipient],
    *,
    reference: str,
    now: datetime,
    send_at: datetime | None = None,
    callbacks: CallbackUrls = NO_CALLBACKS,
    simulate: bool = False,
) -> ApiRequest:
    """Build ``POST messages``, to one recipient."""
    check_message(message, True)
    assert isinstance(message, SmsMessage)
    check_count(len(recipients), most=1)
    check_numbers([recipient.phone_number for recipient in recipients])
    check_callback_url(callbacks.delivery, argument="callbacks.delivery")
    if simulate:
        raise InvalidArgumentError("simulate", "Acme cannot check a message without sending it")
    (recipient,) = recipients
    text = read_template(message.text, "message").fill_in(recipient.fields)
    _check_length(text)
    body = {"to": recipient.phone_number, "text": text, "ref": reference}
    if message.sender:
        body["from"] = message.sender
    if read_options(SmsOptions, message.options).flash:
        body["flash"] = "1"
    if callbacks.delivery:
        body["callback"] = callbacks.delivery
    if send_at is not None:
        body["at"] = require_future(send_at, now).in_timezone("UTC").isoformat()
    return ApiRequest(
        endpoint="messages",
        method="POST",
        path="messages",
        safe_to_repeat=False,
        body=body,
        private=(text, message.text),
    )


def build_balance() -> ApiRequest:
    """Build ``GET account``."""
    return ApiRequest(endpoint="account", method="GET", path="account", safe_to_repeat=True)


def build_status(gateway_id: str) -> ApiRequest:
    """Build ``GET messages/{id}``."""
    return ApiRequest(
        endpoint="messages/status", method="GET", path=f"messages/{_part(gateway_id)}", safe_to_repeat=True
    )


def build_cancel(gateway_id: str, kind: Kind) -> ApiRequest:
    """Build ``DELETE messages/{id}``, which takes back planned messages only."""
    if kind != "sms":
        raise InvalidArgumentError("kind", "Acme sends SMS only")
    return ApiRequest(
        endpoint="messages/cancel",
        method="DELETE",
        path=f"messages/{_part(gateway_id)}",
        safe_to_repeat=False,
    )


def _part(gateway_id: str) -> str:
    if not gateway_id.strip(" ."):
        raise InvalidArgumentError("gateway_id", "is empty; give the id from the receipt")
    return quote(gateway_id.strip(), safe="", errors="replace")
