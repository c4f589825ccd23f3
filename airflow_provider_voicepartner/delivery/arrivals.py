"""
What comes in from the gateways, as the store takes it, and the rows that it becomes.

Everything here is from outside, and one value that a database refuses would take a whole group of reports with it. So
each value is made to fit: no NUL, no half of a character pair, no number beyond 64 bits, no text without an end.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from airflow_provider_voicepartner.constants import LONGEST_KEPT_BODY, REPEAT_WITHIN
from airflow_provider_voicepartner.delivery.recipient_marks import BatchRecipients
from airflow_provider_voicepartner.gateways.model import (
    CallbackEvent,
    CampaignDeliveryReport,
    DeliveryReport,
    OptOut,
    Reply,
)
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from airflow_provider_voicepartner.gateways.wire import CallbackRequest

REPLY: Final = "reply"
OPT_OUT: Final = "opt_out"
PRESSED_KEYS: Final = "pressed_keys"
COMPLETION: Final = "completion"
KINDS: Final = (REPLY, OPT_OUT, PRESSED_KEYS, COMPLETION)


UNMATCHED: Final = "the report names no campaign"


_GATEWAY_LENGTH: Final = 40
_CAMPAIGN_LENGTH: Final = 255
_NUMBER_LENGTH: Final = 64
_WORD_LENGTH: Final = 255
_BIGGEST: Final = 2**53


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
    return CampaignKey(_fit(gateway, _GATEWAY_LENGTH), _fit(f"ref:{reference}", _CAMPAIGN_LENGTH))


def of_gateway_id(gateway: str, gateway_id: str) -> CampaignKey:
    """Name a batch by the gateway's id, where one URL serves a whole account."""
    return CampaignKey(_fit(gateway, _GATEWAY_LENGTH), _fit(f"id:{gateway_id}", _CAMPAIGN_LENGTH))


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundRecord:
    """
    One event as it came in.

    :param key: the campaign that its URL or its body names; None where neither does.
    :param event: what it says.
    :param received_at: Unix seconds.
    :param call: as it came, for a dead letter; None for what was asked of a gateway.
    :param people: whom the URL may speak of; None for anybody.
    """

    key: CampaignKey | None
    event: CallbackEvent
    received_at: float
    call: CallbackRequest | None = field(default=None, repr=False)
    people: BatchRecipients | None = field(default=None, repr=False)

    @property
    def is_unmatched(self) -> bool:
        """True for a report that nobody can ask for, since it names no campaign; it is kept as a dead letter."""
        if isinstance(self.event, CampaignDeliveryReport):
            return self.key is None and not self.event.campaign_ids
        return self.key is None and isinstance(self.event, DeliveryReport)


def cancelled(key: CampaignKey, *, received_at: float) -> InboundRecord:
    """
    Say that a whole campaign was taken back: a report that is about nobody in particular, without a number.

    Gateways answer a cancel, and tell nobody else of it.
    """
    event = DeliveryReport(
        gateway=key.gateway, campaign_id=None, phone_number="", status=DeliveryStatus.CANCELLED
    )
    return InboundRecord(key=key, event=event, received_at=received_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """
    A callback that nobody understood, or that is not acted on, at a URL that was ours.

    :param campaign: of the URL's key, where it has one.
    :param method: empty, like query and content type, where only what was read of the call is known.
    :param query: as it came, each byte a character.
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
    A campaign that is finished, told by whoever decided so.

    :param at: Unix seconds.
    :param counts: recipients by status.
    """

    key: CampaignKey
    at: float
    counts: Mapping[str, int]


Item = InboundRecord | DeadLetter | Completion
Row = dict[str, Any]


@dataclass(slots=True)
class Rows:
    """What a group of items becomes: rows without their ``seq``."""

    delivery_reports: dict[tuple[str, str, str], Row] = field(default_factory=dict)
    campaign_reports: dict[tuple[str, str], Row] = field(default_factory=dict)
    events: list[Row] = field(default_factory=list)
    dead_letters: list[Row] = field(default_factory=list)


def to_rows(items: Iterable[Item], *, now: float) -> Rows:
    """
    Turn items into rows, one a recipient and campaign.

    :param now: Unix seconds, for what does not say when it was received.
    """
    rows = Rows()
    for item in items:
        if isinstance(item, DeadLetter):
            rows.dead_letters.append(_dead_letter(item))
        elif isinstance(item, Completion):
            rows.events.append(_completion(item, now))
        else:
            _add_arrival(rows, item)
    return rows


def _add_arrival(rows: Rows, arrival: InboundRecord) -> None:
    event = arrival.event
    if isinstance(event, DeliveryReport):
        _add_delivery_report(rows, arrival, event)
    elif isinstance(event, CampaignDeliveryReport):
        _add_campaign_report(rows, arrival, event)
    else:
        rows.events.append(_message(arrival, event))


def _add_delivery_report(rows: Rows, arrival: InboundRecord, report: DeliveryReport) -> None:
    number = _fit(report.phone_number, _NUMBER_LENGTH)
    keys = _text(report.pressed_keys)
    if keys:
        rows.events.append(_event(PRESSED_KEYS, arrival, number, text=keys, at=report.at, told_by="report"))
    if report.opted_out:
        told = _event(OPT_OUT, arrival, number, text="", at=report.at, told_by="report")
        rows.events.append(_of_message(told) if arrival.key else told)
    if arrival.key is None:
        rows.dead_letters.append(_dead_letter(letter_of(arrival, UNMATCHED)))
        return
    gateway, campaign = _fit_key(arrival.key)
    row: Row = {
        "gateway": gateway,
        "campaign": campaign,
        "phone_number": number,
        "status": report.status.value,
        "gateway_status": _text(report.gateway_status) or "",
        "detail": _text(report.detail),
        "at": None if report.at is None else report.at.timestamp(),
        "duration": _whole(report.duration),
        "cost": None if report.cost is None else _text(str(report.cost)),
        "pressed_keys": keys,
        "opted_out": report.opted_out,
        "gateway_campaign": _text(report.campaign_id),
        "received_at": float(arrival.received_at),
    }
    place = (gateway, campaign, number)
    known = rows.delivery_reports.get(place)
    rows.delivery_reports[place] = row if known is None else merge_reports(known, row)


def _add_campaign_report(rows: Rows, arrival: InboundRecord, report: CampaignDeliveryReport) -> None:
    keys = (
        [arrival.key]
        if arrival.key is not None
        else [of_gateway_id(report.gateway, campaign_id) for campaign_id in report.campaign_ids]
    )
    if not keys:
        rows.dead_letters.append(_dead_letter(letter_of(arrival, UNMATCHED)))
    for key in keys:
        place = _fit_key(key)
        row: Row = {
            "gateway": place.gateway,
            "campaign": place.campaign,
            "delivered": _whole(report.delivered),
            "total": _whole(report.total),
            "gateway_campaign": _text(next(iter(report.campaign_ids), None)),
            "received_at": float(arrival.received_at),
        }
        known = rows.campaign_reports.get(place)
        rows.campaign_reports[place] = row if known is None else merge_campaign_reports(known, row)


def merge_reports(one: Row, other: Row) -> Row:
    """
    Join two reports about one recipient of one campaign, the same in any order and however often.

    A final status goes before a pending one, and of two final ones the one that was received first: that is what
    somebody may have acted upon. Of two pending ones the newer says more. What only one of them tells is kept.
    """
    best = max(one, other, key=_rank)
    rest = other if best is one else one
    joined = dict(best)
    for name, larger in (("duration", _itself), ("cost", _money), ("pressed_keys", _length)):
        told = [row[name] for row in (best, rest) if row[name] is not None]
        joined[name] = max(told, key=larger) if told else None
    told = [row["gateway_campaign"] for row in (best, rest) if row["gateway_campaign"] is not None]
    joined["gateway_campaign"] = min(told) if told else None
    joined["opted_out"] = bool(best["opted_out"] or rest["opted_out"])
    return joined


def merge_campaign_reports(one: Row, other: Row) -> Row:
    """Join two reports about a whole campaign: the one with more recipients reached, of equal ones the first."""

    def rank(row: Row) -> tuple[Any, ...]:
        return row["delivered"], row["total"], -row["received_at"], row["gateway_campaign"] or ""

    return max(one, other, key=rank)


def _rank(row: Row) -> tuple[Any, ...]:
    is_final = row["status"] != DeliveryStatus.PENDING.value
    time = row["received_at"]
    said = row["status"], row["gateway_status"], row["detail"] or "", row["at"] is not None, row["at"] or 0.0
    return is_final, -time if is_final else time, *said


def _itself(value: int) -> int:
    return value


def _money(value: str) -> tuple[Any, ...]:
    from decimal import Decimal, InvalidOperation

    try:
        return Decimal(value), value
    except InvalidOperation:
        return Decimal(0), value


def _length(keys: str) -> tuple[int, str]:
    return len(keys), keys


def _message(arrival: InboundRecord, event: Reply | OptOut) -> Row:
    number = _fit(event.phone_number, _NUMBER_LENGTH)
    if isinstance(event, OptOut):
        said = _event(OPT_OUT, arrival, number, text=event.text, at=event.at, told_by="person")
        return _of_message({**said, "digest_of_words": said["digest"]}) if arrival.key else said
    row = _event(
        REPLY,
        arrival,
        number,
        text=event.text,
        at=event.at,
        told_by=f"{event.part}/{event.parts}/{event.parts_reference}/{event.to}",
    )
    row["sent_to"], row["parts_reference"] = _text(event.to), _text(event.parts_reference)
    row["part"], row["parts"] = min(event.part, 32_767), min(event.parts, 32_767)
    return row


def _completion(completion: Completion, now: float) -> Row:
    key = _fit_key(completion.key)
    return _event_row(
        COMPLETION,
        key.gateway,
        key.campaign,
        text=json.dumps(dict(completion.counts)),
        at=float(completion.at),
        received_at=now,
        digest=_digest(COMPLETION, *key),
    )


def _event(kind: str, arrival: InboundRecord, number: str, *, text: str, at: Any, told_by: str) -> Row:
    """
    Make an event's row.

    :param told_by: what else tells two events apart. What the reports on a message say is the same event whenever they
        say so; a person may write the same words twice, at two times.
    """
    if arrival.key is None:
        gateway, campaign = _fit(arrival.event.gateway, _GATEWAY_LENGTH), None
    else:
        gateway, campaign = _fit_key(arrival.key)
    text, seconds = _clip(text, LONGEST_KEPT_BODY), None if at is None else at.timestamp()
    is_said_once = told_by == "report" and campaign is not None
    when = "" if is_said_once else moment(seconds, arrival.received_at)
    return _event_row(
        kind,
        gateway,
        campaign,
        number=number,
        text=text,
        at=seconds,
        received_at=float(arrival.received_at),
        digest=_digest(kind, gateway, campaign, number, text, when, told_by),
    )


def _of_message(opt_out: Row) -> Row:
    """Name an opt-out by its person and campaign, since it may be told by the person and by a report."""
    place = opt_out["gateway"], opt_out["campaign"], opt_out["phone_number"]
    return {**opt_out, "digest": _digest(OPT_OUT, *place)}


def moment(at: float | None, received_at: float) -> str:
    """Name the time by which two events that say the same are told apart."""
    return repr(at) if at is not None else f"received {int(received_at // REPEAT_WITHIN)}"


def _event_row(
    kind: str,
    gateway: str,
    campaign: str | None,
    *,
    number: str | None = None,
    text: str,
    at: float | None,
    received_at: float,
    digest: str,
) -> Row:
    return {
        "kind": kind,
        "gateway": gateway,
        "campaign": campaign,
        "phone_number": number,
        "text": text,
        "sent_to": None,
        "at": at,
        "part": 1,
        "parts": 1,
        "parts_reference": None,
        "received_at": received_at,
        "digest": digest,
    }


def _dead_letter(letter: DeadLetter) -> Row:
    return {
        "gateway": _fit(letter.gateway, _GATEWAY_LENGTH),
        "campaign": None if letter.campaign is None else _fit(letter.campaign, _CAMPAIGN_LENGTH),
        "method": _clip(letter.method, 10),
        "content_type": _clip(letter.content_type, LONGEST_KEPT_BODY),
        "query": _clip(letter.query, LONGEST_KEPT_BODY),
        "body": letter.body[:LONGEST_KEPT_BODY],
        "why": _clip(letter.why, _WORD_LENGTH),
        "received_at": float(letter.received_at),
    }


def letter_of(arrival: InboundRecord, why: str) -> DeadLetter:
    """
    Make the dead letter of a call that was read and cannot be stored as what it says, or is not acted on.

    :param why: holds no number and no text.
    """
    call = arrival.call or CallbackRequest(
        method="",
        content_type="application/json",
        body=json.dumps(dict(arrival.event.raw), default=str).encode(),
    )
    return DeadLetter(
        gateway=arrival.event.gateway,
        campaign=arrival.key.campaign if arrival.key else None,
        method=call.method,
        content_type=call.content_type,
        query=call.query,
        body=call.body,
        why=why,
        received_at=arrival.received_at,
    )


def _fit_key(key: CampaignKey) -> CampaignKey:
    return CampaignKey(_fit(key[0], _GATEWAY_LENGTH), _fit(key[1], _CAMPAIGN_LENGTH))


def fit_keys(keys: Iterable[CampaignKey]) -> list[CampaignKey]:
    """Return keys as they stand in the tables, each once, in order."""
    return sorted({_fit_key(key) for key in keys})


def _digest(*parts: str | None) -> str:
    # As JSON, in which no two lists look the same.
    told = json.dumps(parts).encode()
    return hashlib.blake2b(told, digest_size=16).hexdigest()


def _clean(text: str) -> str:
    """Take out what PostgreSQL does not store: NUL, and halves of character pairs."""
    if text.isascii():
        return text.replace("\0", "\ufffd")
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def _clip(text: str, length: int) -> str:
    return _clean(text[:length])


def _text(text: str | None) -> str | None:
    return _clip(text, _WORD_LENGTH) if text else None


def _fit(text: str, length: int) -> str:
    """Shorten what names something so that two names stay two."""
    text = _clean(text)
    if len(text) <= length:
        return text
    return f"{text[: length - 17]}#{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"


def _whole(number: int | None) -> int | None:
    return None if number is None else max(-_BIGGEST, min(int(number), _BIGGEST))
