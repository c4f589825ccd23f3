"""What Acme can be asked to say: an SMS, with a text of its own for each recipient."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_acme.gateway.options import SmsOptions
from airflow_provider_voicepartner.gateway_api import (
    CompiledMessage,
    InvalidArgumentError,
    Message,
    Recipient,
    SmsMessage,
    check_said,
    check_sender,
    read_options,
    read_template,
)

LONGEST = 1_000


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
        check_length(template.fill_in({}))


def check_recipient(message: Message, recipient: Recipient) -> None:
    """Refuse a recipient whose own text Acme would refuse."""
    if isinstance(message, SmsMessage):
        check_length(read_template(message.text, "message").fill_in(recipient.fields))


def check_length(text: str) -> None:
    """Refuse a text that is too long."""
    if len(text) > LONGEST:
        raise InvalidArgumentError("message", f"has {len(text)} characters; Acme takes {LONGEST}")


def compile_message(message: Message) -> CompiledMessage | None:
    """Gain nothing: each recipient has a request of its own."""
    return None


def segments_of(message: Message, text: str) -> Sequence[int] | None:
    """Leave it to the standard: Acme documents nothing."""
    return None
