"""What Acme's error words and states mean."""

from __future__ import annotations

from airflow_provider_voicepartner.gateway_api import Codes, DeliveryStatus, ErrorKind, StatusWords

SEND = Codes.of(
    {
        "bad_credentials": (ErrorKind.CONFIGURATION, "the account or the key is wrong"),
        "no_credit": (ErrorKind.CREDIT, "the account has no credit"),
        "too_early": (ErrorKind.REJECTED, "the date is less than 15 minutes ahead"),
    }
)
BY_NAME = {"blocked": "the number is blocked", "stopped": "the recipient said STOP"}
"""Errors that are about the one recipient of the request."""
CANCEL = Codes.of(
    {
        "not_planned": (ErrorKind.TOO_LATE, "the message has left, or was not planned"),
        "not_found": (ErrorKind.NOT_FOUND, "there is no such message"),
    }
)
READ = Codes.of({"not_found": (ErrorKind.NOT_FOUND, "there is no such message")})

STATUS_WORDS = StatusWords(
    "acme",
    {
        "planned": DeliveryStatus.PENDING,
        "accepted": DeliveryStatus.PENDING,
        "delivered": DeliveryStatus.DELIVERED,
        "failed": DeliveryStatus.FAILED,
        "cancelled": DeliveryStatus.CANCELLED,
    },
)

knows_status = STATUS_WORDS.knows
