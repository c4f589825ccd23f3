"""Which URLs a gateway may be given to report to: https, or http on this machine for the sandbox."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator

from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError

URL_RULE: Final = "must be an https:// URL (http:// only on this machine, such as http://127.0.0.1:8080/...)"


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


def check_callback_url(url: str | None, *, argument: str) -> None:
    """
    Check a URL that a caller gave; None leaves the gateway's own setting.

    :raises InvalidArgumentError: naming the rule.
    """
    if url is not None and not is_callback_url(url):
        raise InvalidArgumentError(argument, URL_RULE)


def _require_callback_url(url: str) -> str:
    if not is_callback_url(url):
        raise ValueError(URL_RULE)
    return url


CallbackUrl = Annotated[str, AfterValidator(_require_callback_url)]
"""A callback URL among a message's ``options``."""
