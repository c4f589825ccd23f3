"""
What the store writes of inbound records: the rows that they become, and how two rows about one recipient are merged.

Everything here comes from outside, and one value that a database refuses would fail a whole group of reports. So each
value is made to fit: no NUL, no half of a surrogate pair, no number beyond 64 bits, no text of unlimited length.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from airflow_provider_voicepartner.constants import LONGEST_KEPT_BODY, REPEAT_WITHIN
from airflow_provider_voicepartner.delivery.inbound import (
    CAMPAIGN_LENGTH,
    COMPLETION,
    GATEWAY_LENGTH,
    OPT_OUT,
    PRESSED_KEYS,
    REPLY,
    UNMATCHED,
    Completion,
    DeadLetter,
    InboundRecord,
    Item,
    clean,
    dead_letter_of,
    fit,
    fit_key,
    of_gateway_id,
)
from airflow_provider_voicepartner.gateways.model import (
    CampaignDeliveryReport,
    DeliveryReport,
    OptOut,
    Reply,
)
from airflow_provider_voicepartner.gateways.status import DeliveryStatus

_NUMBER_LENGTH: Final = 64
_WORD_LENGTH: Final = 255
_BIGGEST: Final = 2**53

Row = dict[str, Any]


@dataclass(slots=True)
class Rows:
    """The rows of a group of items, without their ``seq``."""

    delivery_reports: dict[tuple[str, str, str], Row] = field(default_factory=dict)
    campaign_reports: dict[tuple[str, str], Row] = field(default_factory=dict)
    events: list[Row] = field(default_factory=list)
    dead_letters: list[Row] = field(default_factory=list)


def to_rows(items: Iterable[Item], *, now: float) -> Rows:
    """
    Turn items into rows, one for each recipient of a campaign.

    :param now: Unix seconds, for items that do not say when they were received.
    """
    rows = Rows()
    for item in items:
        if isinstance(item, DeadLetter):
            rows.dead_letters.append(_dead_letter(item))
        elif isinstance(item, Completion):
            rows.events.append(_completion(item, now))
        else:
            _add_record(rows, item)
    return rows


def _add_record(rows: Rows, record: InboundRecord) -> None:
    event = record.event
    if isinstance(event, DeliveryReport):
        _add_delivery_report(rows, record, event)
    elif isinstance(event, CampaignDeliveryReport):
        _add_campaign_report(rows, record, event)
    else:
        rows.events.append(_message(record, event))


def _add_delivery_report(rows: Rows, record: InboundRecord, report: DeliveryReport) -> None:
    number = fit(report.phone_number, _NUMBER_LENGTH)
    keys = _text(report.pressed_keys)
    if keys:
        rows.events.append(_event(PRESSED_KEYS, record, number, text=keys, at=report.at, source="report"))
    if report.opted_out:
        opt_out = _event(OPT_OUT, record, number, text="", at=report.at, source="report")
        rows.events.append(_with_shared_digest(opt_out) if record.key else opt_out)
    if record.key is None:
        rows.dead_letters.append(_dead_letter(dead_letter_of(record, UNMATCHED)))
        return
    gateway, campaign = fit_key(record.key)
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
        "received_at": float(record.received_at),
    }
    place = (gateway, campaign, number)
    known = rows.delivery_reports.get(place)
    rows.delivery_reports[place] = row if known is None else merge_reports(known, row)


def _add_campaign_report(rows: Rows, record: InboundRecord, report: CampaignDeliveryReport) -> None:
    keys = (
        [record.key]
        if record.key is not None
        else [of_gateway_id(report.gateway, campaign_id) for campaign_id in report.campaign_ids]
    )
    if not keys:
        rows.dead_letters.append(_dead_letter(dead_letter_of(record, UNMATCHED)))
    for key in keys:
        place = fit_key(key)
        row: Row = {
            "gateway": place.gateway,
            "campaign": place.campaign,
            "delivered": _whole(report.delivered),
            "total": _whole(report.total),
            "gateway_campaign": _text(next(iter(report.campaign_ids), None)),
            "received_at": float(record.received_at),
        }
        known = rows.campaign_reports.get(place)
        rows.campaign_reports[place] = row if known is None else merge_campaign_reports(known, row)


def merge_reports(one: Row, other: Row) -> Row:
    """
    Merge two reports about one recipient of one campaign; order and repetition do not change the result.

    A final status wins over a pending one. Of two final ones the first that was received wins, since somebody may have
    acted upon it; of two pending ones the newer. A field that only one of them has is copied.
    """
    best = max(one, other, key=_rank)
    rest = other if best is one else one
    merged = dict(best)
    for name, larger in (("duration", _itself), ("cost", _money), ("pressed_keys", _length)):
        values = [row[name] for row in (best, rest) if row[name] is not None]
        merged[name] = max(values, key=larger) if values else None
    ids = [row["gateway_campaign"] for row in (best, rest) if row["gateway_campaign"] is not None]
    merged["gateway_campaign"] = min(ids) if ids else None
    merged["opted_out"] = bool(best["opted_out"] or rest["opted_out"])
    return merged


def merge_campaign_reports(one: Row, other: Row) -> Row:
    """Merge two reports about a whole campaign: the one with more deliveries wins, of equal ones the first."""

    def rank(row: Row) -> tuple[Any, ...]:
        return row["delivered"], row["total"], -row["received_at"], row["gateway_campaign"] or ""

    return max(one, other, key=rank)


def _rank(row: Row) -> tuple[Any, ...]:
    is_final = row["status"] != DeliveryStatus.PENDING.value
    time = row["received_at"]
    rest = row["status"], row["gateway_status"], row["detail"] or "", row["at"] is not None, row["at"] or 0.0
    return is_final, -time if is_final else time, *rest


def _itself(value: int) -> int:
    return value


def _money(value: str) -> tuple[Any, ...]:
    try:
        return Decimal(value), value
    except InvalidOperation:
        return Decimal(0), value


def _length(keys: str) -> tuple[int, str]:
    return len(keys), keys


def _message(record: InboundRecord, event: Reply | OptOut) -> Row:
    number = fit(event.phone_number, _NUMBER_LENGTH)
    if isinstance(event, OptOut):
        opt_out = _event(OPT_OUT, record, number, text=event.text, at=event.at, source="person")
        if not record.key:
            return opt_out
        return _with_shared_digest({**opt_out, "digest_of_text": opt_out["digest"]})
    row = _event(
        REPLY,
        record,
        number,
        text=event.text,
        at=event.at,
        source=f"{event.part}/{event.parts}/{event.parts_reference}/{event.to}",
    )
    row["sent_to"], row["parts_reference"] = _text(event.to), _text(event.parts_reference)
    row["part"], row["parts"] = min(event.part, 32_767), min(event.parts, 32_767)
    return row


def _completion(completion: Completion, now: float) -> Row:
    key = fit_key(completion.key)
    return _event_row(
        COMPLETION,
        key.gateway,
        key.campaign,
        text=json.dumps(dict(completion.counts)),
        at=float(completion.at),
        received_at=now,
        digest=_digest(COMPLETION, *key),
    )


def _event(kind: str, record: InboundRecord, number: str, *, text: str, at: Any, source: str) -> Row:
    """
    Make an event's row.

    :param source: what else tells two events apart. A repeated report is the same event whenever it comes; a person may
        write the same words twice, at two times.
    """
    if record.key is None:
        gateway, campaign = fit(record.event.gateway, GATEWAY_LENGTH), None
    else:
        gateway, campaign = fit_key(record.key)
    text, seconds = _clip(text, LONGEST_KEPT_BODY), None if at is None else at.timestamp()
    is_once_per_campaign = source == "report" and campaign is not None
    when = "" if is_once_per_campaign else time_key(seconds, record.received_at)
    return _event_row(
        kind,
        gateway,
        campaign,
        number=number,
        text=text,
        at=seconds,
        received_at=float(record.received_at),
        digest=_digest(kind, gateway, campaign, number, text, when, source),
    )


def _with_shared_digest(opt_out: Row) -> Row:
    """Give an opt-out the digest of its recipient and campaign: the text and the delivery report may both bring it."""
    place = opt_out["gateway"], opt_out["campaign"], opt_out["phone_number"]
    return {**opt_out, "digest": _digest(OPT_OUT, *place)}


def time_key(at: float | None, received_at: float) -> str:
    """Return the time by which two events with the same content are told apart."""
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
        "gateway": fit(letter.gateway, GATEWAY_LENGTH),
        "campaign": None if letter.campaign is None else fit(letter.campaign, CAMPAIGN_LENGTH),
        "method": _clip(letter.method, 10),
        "content_type": _clip(letter.content_type, LONGEST_KEPT_BODY),
        "query": _clip(letter.query, LONGEST_KEPT_BODY),
        "body": letter.body[:LONGEST_KEPT_BODY],
        "why": _clip(letter.why, _WORD_LENGTH),
        "received_at": float(letter.received_at),
    }


def _digest(*parts: str | None) -> str:
    # As JSON, in which no two lists look the same.
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


def _clip(text: str, length: int) -> str:
    return clean(text[:length])


def _text(text: str | None) -> str | None:
    return _clip(text, _WORD_LENGTH) if text else None


def _whole(number: int | None) -> int | None:
    return None if number is None else max(-_BIGGEST, min(int(number), _BIGGEST))
