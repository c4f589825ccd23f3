"""Acme behind an Airflow connection."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import ClassVar

from airflow_provider_acme import gateway
from airflow_provider_voicepartner.gateway_api import (
    ConnectionExtra,
    DeliveryReport,
    Gateway,
    GatewayHook,
    Message,
    SmsMessage,
    checked,
)


class AcmeExtra(ConnectionExtra):
    """
    Fields of an Acme connection.

    :param sender: sender ID of messages that give none.
    """

    sender: str | None = None


class AcmeHook(GatewayHook):
    """Calls Acme. Connection: type ``acme``, the account in ``login``, the key in ``password``."""

    gateway: ClassVar[Gateway] = gateway
    extra_model: ClassVar[type[ConnectionExtra]] = AcmeExtra

    def with_defaults(self, message: Message) -> Message:
        """Fill in the connection's sender."""
        sender = self.extra.sender
        if isinstance(message, SmsMessage) and not message.sender and sender:
            return replace(message, sender=sender)
        return message

    def poll_delivery(self, gateway_id: str) -> tuple[DeliveryReport, ...]:
        """Ask what became of one message."""
        request = checked(gateway.build_status, gateway_id)
        return self.call(request, partial(gateway.parse_status, gateway_id=gateway_id))
