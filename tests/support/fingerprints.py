"""The fingerprint of recipients that are at hand, made of what the operators make it of."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from airflow_provider_voicepartner.gateways.model import Message, Recipient
from airflow_provider_voicepartner.gateways.wire import Credentials
from airflow_provider_voicepartner.sending.fingerprint import CampaignFingerprint, pack_recipients


def fingerprint(
    gateway: str,
    credentials: Credentials,
    message: Message,
    recipients: Iterable[Recipient],
    send_at: datetime | None,
) -> str:
    """Return the fingerprint of a campaign; the numbers are E.164, in the order of sending."""
    whole = CampaignFingerprint(gateway, credentials, message, send_at)
    for recipient in recipients:
        whole.feed(pack_recipients([int(recipient.phone_number.removeprefix("+"))], [recipient.fields]))
    return whole.hexdigest()
