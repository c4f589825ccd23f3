"""Names for what is sent: a reference for each batch, and a fingerprint that tells one campaign from another."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable
from dataclasses import fields
from datetime import UTC, datetime

from airflow_provider_voicepartner.gateways.model import Message, Recipient
from airflow_provider_voicepartner.gateways.wire import Credentials

REFERENCE_LENGTH = 12
_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"


def new_reference() -> str:
    """
    Make the id of a batch, before it is sent: 12 lower-case letters and digits, 62 bits of chance.

    Short and plain enough for every gateway (SMS Partner's tag: 20 characters, lower case, no blank).
    """
    return "".join(secrets.choice(_LETTERS) for _ in range(REFERENCE_LENGTH))


def fingerprint(
    gateway: str,
    credentials: Credentials,
    message: Message,
    recipients: Iterable[Recipient],
    send_at: datetime | None,
) -> str:
    """
    Tell whether two attempts of a task would send the same thing: account, message, recipients, time.

    Keyed with the account's own key, so that nobody who reads it can try out phone numbers until one fits.

    :param gateway: the connection type.
    :param credentials: the account.
    :param message: what is said.
    :param recipients: in the order of sending.
    :param send_at: when, or None.
    :returns: 32 hexadecimal digits.
    """
    key = f"{gateway}\0{credentials.login or ''}\0{credentials.api_key}".encode()
    digest = hmac.new(hashlib.sha256(key).digest(), digestmod=hashlib.sha256)
    said = {part.name: _plain(getattr(message, part.name)) for part in fields(message)}
    _feed(digest, [said, send_at.astimezone(UTC).isoformat() if send_at else None])
    for recipient in recipients:
        _feed(digest, [recipient.phone_number, _plain(recipient.fields)])
    return digest.hexdigest()[:32]


def _feed(digest: hmac.HMAC, value: object) -> None:
    # Each value ends with a newline, which JSON text never holds: no two lists give the same bytes.
    digest.update(json.dumps(value, sort_keys=True, default=str).encode() + b"\n")


def _plain(value: object) -> object:
    return dict(value) if hasattr(value, "keys") else value  # type: ignore[call-overload]
