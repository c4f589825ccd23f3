"""The vendor's limits that more than one call shares."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import MAX_RECIPIENTS_PER_BATCH, Recipient

E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")
SENDER: Final = re.compile(r"[A-Za-z0-9]{3,11}")
URL_RULE: Final = "must be an https:// URL (http:// only on this machine, such as http://127.0.0.1:8080/...)"


def check_recipients(recipients: Sequence[Recipient]) -> None:
    """
    Check the recipients of one request: 1 to 500, each in E.164.

    :raises InvalidArgumentError: with the position of a bad number, from 1.
    """
    if not recipients:
        raise InvalidArgumentError("to", "is empty; give at least one recipient")
    if len(recipients) > MAX_RECIPIENTS_PER_BATCH:
        raise InvalidArgumentError(
            "to",
            f"holds {len(recipients)} recipients; a request takes {MAX_RECIPIENTS_PER_BATCH}, so split them",
        )
    for position, recipient in enumerate(recipients, start=1):
        if not E164.fullmatch(recipient.phone_number):
            raise InvalidArgumentError(
                "to", f"recipient {position} is not in E.164; write it such as +33612345678"
            )


def check_encodable(text: str, *, argument: str, what: str = "") -> None:
    """
    Check that a text can be sent at all.

    :param what: which part of the argument, for the error, with a blank behind it.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidArgumentError(
            argument,
            f"{what}holds half of a character pair, which no encoding can carry; decode its source properly",
        ) from None


def is_callback_url(url: str) -> bool:
    """Say whether a gateway may be given a URL: https, or http on this machine (for the sandbox)."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or any(letter.isspace() or not letter.isprintable() for letter in url):
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
