"""Values that come in from the gateways and go to the store: reports, events, dead letters and completions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from airflow_provider_voicepartner.delivery.recipient_marks import BatchRecipients
from airflow_provider_voicepartner.gateways.model import CallbackEvent, CampaignDeliveryReport, DeliveryReport
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from airflow_provider_voicepartner.gateways.wire import CallbackRequest

if TYPE_CHECKING:
    from airflow_provider_voicepartner.gateways.gateway import Gateway

REPLY: Final = "reply"
OPT_OUT: Final = "opt_out"
PRESSED_KEYS: Final = "pressed_keys"
COMPLETION: Final = "completion"
KINDS: Final = (REPLY, OPT_OUT, PRESSED_KEYS, COMPLETION)

UNMATCHED: Final = "the report names no campaign"

GATEWAY_LENGTH: Final = 40
CAMPAIGN_LENGTH: Final = 255


class CampaignKey(NamedTuple):
    """
    Names a campaign in the store; made by :func:`of_reference` and :func:`of_gateway_id`.

    :param gateway: whose campaign it is.
    :param campaign: a prefix and an id, so that our references and a gateway's ids never meet.
    """

    gateway: str
    campaign: str


def of_reference(gateway: str, reference: str) -> CampaignKey:
    """Name a batch by our own reference, where the callback's URL carries it."""
    return CampaignKey(fit(gateway, GATEWAY_LENGTH), fit(f"ref:{reference}", CAMPAIGN_LENGTH))


def of_gateway_id(gateway: str, gateway_id: str) -> CampaignKey:
    """Name a batch by the gateway's id, where one URL serves a whole account."""
    return CampaignKey(fit(gateway, GATEWAY_LENGTH), fit(f"id:{gateway_id}", CAMPAIGN_LENGTH))


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundRecord:
    """
    One event as it came in.

    :param key: the campaign that its URL or its body names; None where neither does.
    :param event: what it says.
    :param received_at: Unix seconds.
    :param call: as it came, for a dead letter; None for what the gateway was polled for.
    :param recipients: whom the URL may report about; None for anybody.
    """

    key: CampaignKey | None
    event: CallbackEvent
    received_at: float
    call: CallbackRequest | None = field(default=None, repr=False)
    recipients: BatchRecipients | None = field(default=None, repr=False)

    @property
    def is_unmatched(self) -> bool:
        """True for a report that cannot be found by its campaign, since it names none; it becomes a dead letter."""
        if isinstance(self.event, CampaignDeliveryReport):
            return self.key is None and not self.event.campaign_ids
        return self.key is None and isinstance(self.event, DeliveryReport)


def cancelled(key: CampaignKey, *, received_at: float) -> InboundRecord:
    """
    Make the report of a cancelled campaign: it names no recipient, and has no number.

    Gateways answer the cancellation, and call no URL about it.
    """
    event = DeliveryReport(
        gateway=key.gateway, campaign_id=None, phone_number="", status=DeliveryStatus.CANCELLED
    )
    return InboundRecord(key=key, event=event, received_at=received_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """
    A callback to a URL of ours that could not be read, or that is not acted on.

    :param campaign: of the URL's key, where it has one.
    :param method: empty, like query and content type, where only what was read of the call is known.
    :param query: as it came, one character for each byte.
    :param body: the bytes as they came.
    :param why: what was wrong with it; holds no number and no text.
    :param received_at: Unix seconds.
    """

    gateway: str
    campaign: str | None
    method: str
    content_type: str
    query: str = field(repr=False)
    body: bytes = field(repr=False)
    why: str
    received_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """
    A campaign that is finished, as the sensor or trigger that waited for it decided.

    :param at: Unix seconds.
    :param counts: recipients by status.
    """

    key: CampaignKey
    at: float
    counts: Mapping[str, int]


Item = InboundRecord | DeadLetter | Completion


def read_events(gateway: Gateway, call: CallbackRequest) -> Sequence[CallbackEvent]:
    """
    Parse a call into events that are the gateway's own.

    :param gateway: perhaps of another distribution.
    :param call: as it came.
    :raises InvalidCallbackError: it cannot be read.
    :raises Exception: any other kind is a mistake of the gateway's module, and the call is not lost.
    """
    events = tuple(gateway.parse_callback(call))
    if not all(isinstance(event, CallbackEvent) and event.gateway == gateway.INFO.name for event in events):
        raise TypeError
    return events


def key_in(event: CallbackEvent) -> CampaignKey | None:
    """Return the campaign that an event names by the gateway's id; a whole campaign's report has one for each id."""
    if isinstance(event, CampaignDeliveryReport) or not event.campaign_id:
        return None
    return of_gateway_id(event.gateway, event.campaign_id)


def dead_letter_of(record: InboundRecord, why: str) -> DeadLetter:
    """
    Make the dead letter of a call that was read, but cannot be stored as an event or is not acted on.

    :param why: holds no number and no text.
    """
    call = record.call or CallbackRequest(
        method="",
        content_type="application/json",
        body=json.dumps(dict(record.event.raw), default=str).encode(),
    )
    return DeadLetter(
        gateway=record.event.gateway,
        campaign=record.key.campaign if record.key else None,
        method=call.method,
        content_type=call.content_type,
        query=call.query,
        body=call.body,
        why=why,
        received_at=record.received_at,
    )


def fit_key(key: CampaignKey) -> CampaignKey:
    """Return a key as it stands in the tables."""
    return CampaignKey(fit(key.gateway, GATEWAY_LENGTH), fit(key.campaign, CAMPAIGN_LENGTH))


def fit_keys(keys: Iterable[CampaignKey]) -> list[CampaignKey]:
    """Return keys as they stand in the tables, each once, sorted."""
    return sorted({fit_key(key) for key in keys})


def fit(text: str, length: int) -> str:
    """Shorten an identifier; a hash at its end keeps two long ones apart."""
    text = clean(text)
    if len(text) <= length:
        return text
    return f"{text[: length - 17]}#{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"


def clean(text: str) -> str:
    """Replace what PostgreSQL does not store: NUL, and halves of surrogate pairs."""
    if text.isascii():
        return text.replace("\0", "\ufffd")
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
