"""Acme's requests."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from urllib.parse import quote

from airflow_provider_acme.gateway.messages import check_length, check_message
from airflow_provider_acme.gateway.options import SmsOptions
from airflow_provider_voicepartner.gateway_api import (
    NO_CALLBACKS,
    ApiRequest,
    CallbackUrls,
    Credentials,
    InvalidArgumentError,
    Kind,
    Message,
    Recipient,
    SmsMessage,
    check_callback_url,
    check_count,
    check_numbers,
    check_secret,
    read_options,
    read_template,
    require_future,
)


def authenticate(request: ApiRequest, credentials: Credentials) -> ApiRequest:
    """Put account and key into the header, as HTTP basic authentication writes them."""
    key = check_secret(credentials.api_key, argument="password", what="the API key")
    login = check_secret(credentials.login, argument="login", what="the account")
    written = base64.b64encode(f"{login}:{key}".encode()).decode()
    return replace(request, headers={**request.headers, "Authorization": f"Basic {written}"})


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
    check_length(text)
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
