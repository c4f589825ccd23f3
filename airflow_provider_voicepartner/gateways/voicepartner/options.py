"""Voice Partner's own settings of a call and of a voicemail drop."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from airflow_provider_voicepartner.gateways.options import GatewayOptions

URL_RULE: Final = "must be an https:// URL (http:// only on this machine, such as http://127.0.0.1:8080/...)"

_EMAIL = re.compile(r"[^@\s,;]+@[^@\s,;]+\.[^@\s,;]+")


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


def _require_callback_url(url: str) -> str:
    if not is_callback_url(url):
        raise ValueError(URL_RULE)
    return url


def _require_email(address: str) -> str:
    if not _EMAIL.fullmatch(address):
        raise ValueError("is not an e-mail address")
    return address


CallbackUrl = Annotated[str, AfterValidator(_require_callback_url)]
EmailAddress = Annotated[str, AfterValidator(_require_email)]


class TtsOptions(GatewayOptions):
    """
    Settings of a call (``tts/send``).

    :param speech_rate: speed of speech, 0.5 to 2, the vendor's default is 1; only with a text. The vendor would
        silently clamp a value out of range, so it is refused here.
    :param notify_url: where one report per number is POSTed; goes before the URL that the caller of
        ``build_batch`` gives.
    """

    speech_rate: Annotated[float, Field(ge=0.5, le=2, allow_inf_nan=False)] | None = None
    notify_url: CallbackUrl | None = None


class VoicemailOptions(GatewayOptions):
    """
    Settings of a voicemail drop (``campaign/send``).

    :param email_for_notification: gets a mail at the end of the campaign. The vendor's table lists it as required
        while its own sample leaves it out, so it may be left out here too.
    :param notify_url: where one report for the whole campaign is sent, by GET; goes before the URL that the caller of
        ``build_batch`` gives.
    """

    email_for_notification: EmailAddress | None = None
    notify_url: CallbackUrl | None = None
