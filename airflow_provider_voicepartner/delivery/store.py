"""
The delivery store: delivery reports, replies and opt-outs from the gateways, by campaign.

A group of inbound records is one transaction, durable when :meth:`DeliveryStore.write` returns. The stored rows do not
depend on the order of records, nor on repetitions.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import pendulum

from airflow_provider_voicepartner.constants import (
    CAMPAIGNS_A_READ,
    KEPT_DEAD_LETTERS,
    KEPT_DEAD_LETTERS_OF_A_BATCH,
    LEDGER_KEPT,
    LONGEST_REFERENCE,
    RESERVATIONS_KEPT,
    ROWS_A_PURGE,
)
from airflow_provider_voicepartner.delivery.admission import Admission
from airflow_provider_voicepartner.delivery.inbound import (
    CampaignKey,
    Item,
    fit_keys,
)
from airflow_provider_voicepartner.delivery.opt_outs import OptOutList, digests_to_look_up, resolve_opt_outs
from airflow_provider_voicepartner.delivery.statements import (
    CAMPAIGN_REPORT,
    DELIVERY_REPORT,
    Old,
    Statements,
    rows_as_json,
)
from airflow_provider_voicepartner.delivery.store_rows import (
    Row,
    Rows,
    merge_campaign_reports,
    merge_reports,
    to_rows,
)
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import CampaignDeliveryReport, DeliveryReport
from airflow_provider_voicepartner.gateways.status import DeliveryStatus

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from airflow_provider_voicepartner.db.transactions import Store

FROM_NOW: Final = 2**62
"""A cursor behind every change: :meth:`DeliveryStore.changes` then returns only the campaigns of ``also``."""


_LEDGER: Final = frozenset(
    {
        "lists of mapped tasks",
        "campaigns of the ledger",
        "attempts of the ledger",
        "batches of the ledger",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCampaign:
    """
    What the store knows of a campaign.

    :param counts: recipients by status, of those that were reported.
    :param report: the totals of a campaign whose gateway reports only these.
    """

    counts: Mapping[DeliveryStatus, int] = field(default_factory=dict)
    report: CampaignDeliveryReport | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """
    What changed after a cursor.

    :param seq: the cursor of the next query.
    :param campaigns: those that changed, and those of ``also`` that have any report.
    """

    seq: int
    campaigns: Mapping[CampaignKey, KnownCampaign]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """
    A reply, an opt-out, pressed keys or a finished campaign.

    :param id: the cursor of the next query.
    :param kind: ``reply``, ``opt_out``, ``pressed_keys`` or ``completion``.
    :param key: the campaign, where it is known.
    :param text: the text of a reply or STOP, or the pressed keys.
    :param sent_to: the number that the reply went to.
    :param at: when it happened, in UTC, where reported.
    :param part: position in a long answer that comes in several calls, from 1.
    :param parts_reference: what the calls of one answer have in common.
    :param counts: recipients by status, of a finished campaign.
    :param received_at: Unix seconds.
    """

    id: int
    seq: int
    kind: str
    gateway: str
    key: CampaignKey | None
    phone_number: str | None = field(repr=False)
    text: str = field(repr=False)
    sent_to: str | None = field(repr=False)
    at: pendulum.DateTime | None
    part: int
    parts: int
    parts_reference: str | None
    counts: Mapping[str, int]
    received_at: float


class DeliveryStore:
    """
    Delivery reports, replies and opt-outs in an open store. May be used by many threads.

    :param store: of :func:`~airflow_provider_voicepartner.db.engine.open_store`.
    :param now: Unix seconds, injected by tests.
    :param opt_out_keys: of the list of opt-outs, see
        :class:`~airflow_provider_voicepartner.delivery.opt_outs.OptOutList`.
    """

    def __init__(
        self, store: Store, *, now: Callable[[], float] = time.time, opt_out_keys: Sequence[str] = ()
    ) -> None:
        self._store = store
        self._now = now
        self._sql = Statements(is_postgres=store.is_postgres)
        self._admission = Admission(self._sql)
        self._opt_outs = OptOutList(self._sql, opt_out_keys)

    @property
    def quarantined(self) -> int:
        """How many calls became dead letters because their URL may not report them."""
        return self._admission.quarantined

    def close(self) -> None:
        """Close idle connections."""
        self._store.close()

    def write(self, items: Sequence[Item]) -> int:
        """
        Store records in one transaction: they are durable when this returns, and none is stored when it raises.

        :returns: the number of the commit; readers whose cursor is below it see the changes.
        :raises StoreUnavailableError: nothing was stored.
        """
        rows = to_rows(items, now=self._now())
        with self._store.write() as connection:
            seq = self._sql.next_number(connection)
            admitted = self._admission.admit(connection, items)
            if admitted is not items:
                rows = to_rows(admitted, now=self._now())
            self._write_reports(connection, rows, seq)
            self._write_events(connection, [{**row, "seq": seq} for row in rows.events])
            if rows.dead_letters:
                self._sql.add_dead_letter(connection, rows.dead_letters[-KEPT_DEAD_LETTERS:])
                self._prune_dead_letters(connection, rows)
        return seq

    def _prune_dead_letters(self, connection: Connection, rows: Rows) -> None:
        """Delete all but the newest of each URL of a batch, and of all."""
        for gateway, campaign in {(row["gateway"], row["campaign"]) for row in rows.dead_letters}:
            if campaign is not None:
                place = {"gateway": gateway, "campaign": campaign, "kept": KEPT_DEAD_LETTERS_OF_A_BATCH}
                connection.execute(self._sql.prune_dead_letters_of, place)
        connection.execute(self._sql.prune_dead_letters, {"kept": KEPT_DEAD_LETTERS})

    def _write_reports(self, connection: Connection, rows: Rows, seq: int) -> None:
        """Write the rows that change anything. Nobody else writes meanwhile: we hold the lock of the sequence's row."""
        reports = [{**row, "seq": seq} for row in rows.delivery_reports.values()]
        # Most reports are the first about a recipient, and then all is done.
        if self._sql.add_report(connection, reports) < len(reports):
            places = rows_as_json(list(rows.delivery_reports))
            found = connection.execute(self._sql.known_reports, {"keys": places}).all()
            known = {tuple(row[:3]): dict(zip(DELIVERY_REPORT, row, strict=True)) for row in found}
            self._sql.put_report(connection, _merged(rows.delivery_reports, known, merge_reports, seq))
        if rows.campaign_reports:
            places = rows_as_json(list(rows.campaign_reports))
            found = connection.execute(self._sql.known_campaigns, {"keys": places}).all()
            known = {tuple(row[:2]): dict(zip(CAMPAIGN_REPORT, row, strict=True)) for row in found}
            joined = _merged(rows.campaign_reports, known, merge_campaign_reports, seq)
            self._sql.put_campaign(connection, joined)

    def _write_events(self, connection: Connection, events: Sequence[Row]) -> None:
        """Add new events; a STOP that only a delivery report has brought so far gets the person's text."""
        known: dict[str, Row] = {}
        if digests := digests_to_look_up(events):
            keys = rows_as_json([[digest] for digest in digests])
            found = connection.execute(self._sql.events_by_digest, {"keys": keys}).mappings()
            known = {row["digest"]: dict(row) for row in found}
        resolved = resolve_opt_outs(events, known)
        self._sql.add_event(connection, resolved.events)
        for row in resolved.texts:
            values = {name: row[name] for name in ("digest", "text", "at", "received_at")}
            connection.execute(self._sql.complete_event, values)

    def note_recipients(self, gateway: str, reference: str, marks: bytes, *, ends: float) -> None:
        """
        Store the recipients of a batch as marks, so that its URL can report about nobody else.

        :param reference: our own id of the batch.
        :param marks: long ones, see the module ``recipient_marks``.
        :param ends: when its URL expires, in Unix seconds.
        """
        row = {"gateway": gateway, "reference": reference[:LONGEST_REFERENCE], "marks": marks, "ends": ends}
        with self._store.write() as connection:
            self._sql.put_recipients(connection, [row])

    def campaign_reports(self, keys: Collection[CampaignKey]) -> dict[CampaignKey, CampaignDeliveryReport]:
        """Return the totals of campaigns whose gateway reports only these (voicemail)."""
        return {
            CampaignKey(gateway, campaign): _totals(gateway, delivered, total, gateway_campaign)
            for gateway, campaign, delivered, total, gateway_campaign in self._read(self._sql.totals, keys)
        }

    def reports(self, keys: Collection[CampaignKey]) -> Iterator[DeliveryReport]:
        """Yield the delivery reports, ordered by campaign and number; a few campaigns are read at a time."""
        wanted = fit_keys(keys)
        for start in range(0, len(wanted), CAMPAIGNS_A_READ):
            found = self._read(self._sql.reports, wanted[start : start + CAMPAIGNS_A_READ])
            for row in sorted(found, key=lambda row: tuple(row[:3])):
                yield _report(dict(zip(DELIVERY_REPORT, row, strict=True)))

    def has_report(self, key: CampaignKey) -> bool:
        """Say whether the gateway ever reported about a campaign, which proves that it accepted it."""
        return bool(self._read(self._sql.any_report, [key]))

    def changes(self, *, since: int, also: Collection[CampaignKey] = ()) -> Changes:
        """
        Return the present state of all campaigns that changed after a cursor, with one query.

        A reader that continues from the cursor that it got misses no change, and sees the last state of each campaign.

        :param since: the last answer's ``seq``; 0 for everything, :data:`FROM_NOW` for nothing but ``also``.
        :param also: campaigns to return even if they did not change.
        """
        parameters = {"since": since, "keys": rows_as_json(fit_keys(also))}
        with self._store.read() as connection:
            rows = connection.execute(self._sql.changes, parameters).all()
        cursor = 0
        counts: dict[CampaignKey, dict[DeliveryStatus, int]] = {}
        totals: dict[CampaignKey, CampaignDeliveryReport] = {}
        for what, gateway, campaign, status, number, total in rows:
            key = CampaignKey(gateway, campaign)
            if what == "cursor":
                cursor = number
            elif what == "count":
                counts.setdefault(key, {})[DeliveryStatus(status)] = number
            else:
                totals[key] = _totals(gateway, number, total, status)
        campaigns = {
            key: KnownCampaign(counts=counts.get(key, {}), report=totals.get(key))
            for key in {**counts, **totals}
        }
        return Changes(seq=int(cursor), campaigns=campaigns)

    def events_by_id(self, ids: Collection[int]) -> list[StoredEvent]:
        """Return events by their ``id``, in order, each once; those that were purged are missing."""
        if not ids:
            return []
        with self._store.read() as connection:
            rows = connection.execute(
                self._sql.events_by_id, {"keys": rows_as_json([[number] for number in sorted(set(ids))])}
            )
            return [_event(dict(row)) for row in rows.mappings()]

    def opt_outs(self, *, since: float = 0.0) -> list[str]:
        """
        Return the numbers that said STOP, in E.164, each once, sorted; after a purge use :meth:`opted_out`.

        :param since: Unix seconds; leaves out what was received before.
        """
        with self._store.read() as connection:
            return [
                str(number) for number in connection.execute(self._sql.opt_outs, {"since": since}).scalars()
            ]

    def opted_out(self, phone_numbers: Collection[str]) -> set[str]:
        """
        Return which numbers ever said STOP, including those of which a purge left only a hash.

        :param phone_numbers: in E.164.
        :raises InvalidArgumentError: a part of the list of opt-outs was made with a key that is not given.
        """
        with self._store.read() as connection:
            known = set(connection.execute(self._sql.opt_outs, {"since": 0.0}).scalars())
            return (known & set(phone_numbers)) | set(self._opt_outs.find(connection, phone_numbers))

    def count_old(
        self, *, older_than: timedelta, ledger_older_than: timedelta = LEDGER_KEPT
    ) -> dict[str, int]:
        """Count what :meth:`purge` would delete, by table."""
        with self._store.read() as connection:
            return {
                name: int(connection.execute(old.count, {"before": before}).scalar_one())
                for name, old, before in self._old(older_than, ledger_older_than)
            }

    def purge(self, *, older_than: timedelta, ledger_older_than: timedelta = LEDGER_KEPT) -> dict[str, int]:
        """
        Delete what is older, in small transactions, so that writers wait only for moments.

        Reservations of the rate limits stay for at least three days: the limits look back at them. The ledger has an
        age of its own: a task that is retried or cleared resumes from it, and before Airflow 3.3 nothing else knows
        what was sent. Of a deleted STOP, a keyed hash stays on the list of opt-outs, with its time and gateway.

        :param older_than: age of reports, events and dead letters.
        :param ledger_older_than: age of the newest attempt at a campaign.
        :returns: rows deleted, by table.
        :raises InvalidArgumentError: an age that is not above zero.
        """
        deleted: dict[str, int] = {}
        for name, old, before in self._old(older_than, ledger_older_than):
            deleted[name] = count = self._delete_chunk(name, old, before)
            while count == ROWS_A_PURGE:
                count = self._delete_chunk(name, old, before)
                deleted[name] += count
        self._store.erase_log()
        return deleted

    def _delete_chunk(self, name: str, old: Old, before: float) -> int:
        with self._store.write() as connection:
            if self._store.is_postgres:
                # Writers take this lock first; without it, a writer and this purge could deadlock.
                connection.execute(self._sql.lock)
            if name == "events":
                self._opt_outs.add_expiring(connection, before=before)
            return connection.execute(old.delete, {"before": before, "limit": ROWS_A_PURGE}).rowcount

    def _old(self, older_than: timedelta, ledger_older_than: timedelta) -> Iterator[tuple[str, Old, float]]:
        for argument, age in (("older_than", older_than), ("ledger_older_than", ledger_older_than)):
            if age <= timedelta(0):
                raise InvalidArgumentError(argument, "must be above zero")
        now = self._now()
        for name, old in self._sql.old.items():
            age = ledger_older_than if name in _LEDGER else older_than
            if name == "reservations":
                age = max(age, RESERVATIONS_KEPT)
            if name == "recipients of batches":
                age = timedelta(0)  # counted from when their URLs expire
            yield name, old, now - age.total_seconds()

    def _read(self, statement: Any, keys: Collection[CampaignKey]) -> list[Any]:
        if not keys:
            return []
        with self._store.read() as connection:
            return list(connection.execute(statement, {"keys": rows_as_json(fit_keys(keys))}).all())


def _merged(
    new: Mapping[Any, Row], known: Mapping[Any, Row], merge: Callable[[Row, Row], Row], seq: int
) -> list[Row]:
    """Return the rows to be written; a row that differs only in ``received_at`` keeps its number."""
    changed = []
    for place, row in new.items():
        before = known.get(place)
        if before is None:
            changed.append({**row, "seq": seq})
            continue
        number = before.pop("seq")
        after = merge(before, row)
        if after != before:
            only_later = {**after, "received_at": before["received_at"]} == before
            changed.append({**after, "seq": number if only_later else seq})
    return changed


def _time(seconds: float | None) -> pendulum.DateTime | None:
    return None if seconds is None else pendulum.from_timestamp(seconds)


def _report(row: Row) -> DeliveryReport:
    return DeliveryReport(
        gateway=row["gateway"],
        campaign_id=row["gateway_campaign"] or _without_prefix(row["campaign"], "id:"),
        phone_number=row["phone_number"],
        status=DeliveryStatus(row["status"]),
        gateway_status=row["gateway_status"],
        detail=row["detail"],
        at=_time(row["at"]),
        duration=row["duration"],
        cost=None if row["cost"] is None else Decimal(row["cost"]),
        pressed_keys=row["pressed_keys"],
        reference=_without_prefix(row["campaign"], "ref:"),
        opted_out=bool(row["opted_out"]),
    )


def _without_prefix(campaign: str, prefix: str) -> str | None:
    return campaign.removeprefix(prefix) if campaign.startswith(prefix) else None


def _totals(gateway: str, delivered: int, total: int, gateway_campaign: str | None) -> CampaignDeliveryReport:
    return CampaignDeliveryReport(
        gateway=gateway,
        campaign_ids=() if gateway_campaign is None else (gateway_campaign,),
        delivered=delivered,
        total=total,
    )


def _event(row: Row) -> StoredEvent:
    is_completion = row["kind"] == "completion"
    campaign = row.pop("campaign")
    row["key"] = None if campaign is None else CampaignKey(row["gateway"], campaign)
    row["counts"] = json.loads(row["text"]) if is_completion else {}
    row["text"] = "" if is_completion else row["text"]
    row["at"] = _time(row["at"])
    return StoredEvent(**row)
