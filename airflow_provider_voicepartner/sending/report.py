"""
The report of a campaign: counts, cost and ids, without numbers or texts; what XCom holds and the sensor reads.

Of a large campaign it does not list the batches: they are read from the ledger in our store.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.model import Kind
from airflow_provider_voicepartner.sending.arguments import read_structure
from airflow_provider_voicepartner.sending.records import BatchRecord, Phase

if TYPE_CHECKING:
    from airflow_provider_voicepartner.db.transactions import Store
    from airflow_provider_voicepartner.sending.store_memory import TaskInstanceKey

DryRunEnd = Literal["simulated", "would_send"]
BatchState = Literal["sent", "assumed_sent", "in_doubt"]

_STATES: Final[Mapping[Phase, BatchState]] = {Phase.SENT: "sent", Phase.ASSUMED_SENT: "assumed_sent"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SentBatch:
    """
    One batch as the report names it.

    :param gateway_id: None where the answer that held it was lost, or everybody in it was refused by name.
    :param tag: what the gateway can be asked by, where it gave no id.
    :param evidence: what settled it, where it was in doubt once; a word of
        :class:`~airflow_provider_voicepartner.sending.records.Evidence`.
    """

    reference: str
    gateway_id: str | None
    accepted: int
    state: BatchState
    tag: str | None = None
    evidence: str | None = None

    @classmethod
    def of_record(cls, record: BatchRecord) -> SentBatch:
        """Name what the ledger knows of a batch."""
        return cls(
            reference=record.reference,
            gateway_id=record.gateway_id,
            accepted=record.accepted if record.phase is Phase.SENT else record.size,
            state="in_doubt" if record.phase.is_in_doubt else _STATES[record.phase],
            tag=record.tag if record.gateway_id is None else None,
            evidence=record.evidence.value if record.evidence else None,
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as the report lists it."""
        return {
            "reference": self.reference,
            "gateway_id": self.gateway_id,
            "accepted": self.accepted,
            "state": self.state,
            **({"tag": self.tag} if self.tag else {}),
            **({"evidence": self.evidence} if self.evidence else {}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBatches:
    """
    Where the batches are that a report does not list: in the ledger, in our store.

    :param store: the identity of the store.
    :param campaign: the ``id`` of the row of ``voicepartner_campaign``.
    :param generation: which of its generations.
    :param count: how many there are.
    """

    store: str
    campaign: int
    generation: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignReport:
    """
    What one task sent.

    :param gateway: the connection type.
    :param conn_id: the Airflow connection.
    :param kind: ``sms``, ``tts`` or ``voicemail``.
    :param counts: ``recipients`` is the sum of all others: ``accepted``, ``invalid``, ``duplicate``, ``opted_out``,
        ``refused`` (left out by the gateway for another reason), ``in_doubt`` and, of a campaign that ended before its
        time, ``left`` (not sent).
    :param batches: in the order of sending; without those that are ``stored``.
    :param segments: messages charged, None where the gateway does not report it.
    :param cost: total price, None where the gateway does not report it.
    :param currency: ISO 4217 code.
    :param scheduled_for: ISO 8601, None when sent at once.
    :param sent_at: when the last batch was accepted, or was assumed to be, ISO 8601: since when the sensor waits.
    :param dry_run: how a dry run ended: ``simulated`` by the gateway or ``would_send``; None for a real one.
    :param perhaps_twice: recipients in batches that were sent again while they were in doubt, as the user chose: their
        first sending may have reached them and may be charged too, beside ``cost``.
    :param stored: where the batches of a campaign of more than 500 are; none where ``batches`` lists all.
    """

    gateway: str
    conn_id: str
    kind: Kind
    counts: Mapping[str, int]
    batches: tuple[SentBatch, ...]
    segments: int | None = None
    cost: Decimal | None = None
    currency: str | None = None
    scheduled_for: str | None = None
    sent_at: str | None = None
    dry_run: DryRunEnd | None = None
    perhaps_twice: int = 0
    stored: tuple[StoredBatches, ...] = ()

    @classmethod
    def of_records(
        cls,
        records: Sequence[BatchRecord],
        *,
        gateway: str,
        conn_id: str,
        kind: Kind,
        invalid: int,
        duplicate: int,
        scheduled_for: str | None,
        dry_run: DryRunEnd | None = None,
        left: int = 0,
    ) -> CampaignReport:
        """
        Sum up the ledger's records; recipients that the gateway left out without a word count as ``refused``.

        :param left: recipients in batches without a record, or whose record says that they were not accepted.
        """
        records = [record for record in records if record.phase is not Phase.REFUSED]
        sent = [record for record in records if record.phase is Phase.SENT]
        accepted = sum(record.accepted for record in sent)
        opted_out = sum(record.opted_out for record in sent)
        counts = {
            "recipients": sum(record.size for record in records) + invalid + duplicate + left,
            "accepted": accepted,
            "invalid": invalid,
            "duplicate": duplicate,
            "opted_out": opted_out,
            "refused": sum(record.size - record.in_doubt for record in sent) - accepted - opted_out,
            "in_doubt": sum(
                record.in_doubt if record.phase is Phase.SENT else record.size for record in records
            ),
            **({"left": left} if left else {}),
        }
        costs = [record.cost for record in sent if record.cost is not None]
        segments = [record.segments for record in sent if record.segments is not None]
        return cls(
            gateway=gateway,
            conn_id=conn_id,
            kind=kind,
            counts=counts,
            batches=tuple(SentBatch.of_record(record) for record in records),
            segments=sum(segments) if segments else None,
            cost=sum(costs, Decimal(0)) if costs else None,
            currency=next((record.currency for record in sent if record.currency), None),
            scheduled_for=scheduled_for,
            sent_at=max((record.at for record in records if record.at), default=None),
            dry_run=dry_run,
            perhaps_twice=sum(record.size for record in records if record.resent),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain JSON; money as text, so that no digit is lost."""
        return {
            "gateway": self.gateway,
            "conn_id": self.conn_id,
            "kind": self.kind,
            "scheduled_for": self.scheduled_for,
            "sent_at": self.sent_at,
            "counts": dict(self.counts),
            "segments": self.segments,
            "cost": None if self.cost is None else str(self.cost),
            "currency": self.currency,
            **({"dry_run": self.dry_run} if self.dry_run else {}),
            **({"perhaps_twice": self.perhaps_twice} if self.perhaps_twice else {}),
            "batches": [batch.to_json() for batch in self.batches],
            **({"batches_stored": [asdict(place) for place in self.stored]} if self.stored else {}),
        }

    def check_gateway(self, gateway: str) -> None:
        """
        Refuse another gateway than the one that sent this: its ids mean other campaigns there.

        :raises ConfigurationError: naming both.
        """
        if gateway != self.gateway:
            raise ConfigurationError(
                f"conn_id: the connection is of type {gateway!r}, but the campaign was sent through "
                f"{self.gateway!r}; use a connection of that type"
            )

    @classmethod
    def from_json(cls, data: Any, *, argument: str = "campaign") -> CampaignReport:
        """
        Read a report back.

        :param data: what an operator of ours returned.
        :param argument: the name that an error gives.
        :raises ConfigurationError: for anything else.
        """
        try:
            report = cls(
                gateway=str(data["gateway"]),
                conn_id=str(data["conn_id"]),
                kind=data["kind"],
                counts={str(name): int(count) for name, count in data["counts"].items()},
                batches=tuple(_read_batch(batch) for batch in data["batches"]),
                segments=None if data.get("segments") is None else int(data["segments"]),
                cost=_read_amount(data.get("cost")),
                currency=None if data.get("currency") is None else str(data["currency"]),
                scheduled_for=_read_moment(data.get("scheduled_for")),
                sent_at=_read_moment(data.get("sent_at")),
                dry_run=data.get("dry_run"),
                perhaps_twice=int(data.get("perhaps_twice") or 0),
                stored=tuple(_read_place(place) for place in data.get("batches_stored") or ()),
            )
        except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError):
            report = None
        if (
            report is None
            or report.kind not in get_args(Kind)
            or not (report.batches or report.stored or report.dry_run)
        ):
            raise ConfigurationError(
                f"{argument}: is not the report of a send operator; pass its output, "
                f"for instance {argument}=send_sms.output"
            )
        return report


def _read_amount(value: Any) -> Decimal | None:
    amount = None if value is None else Decimal(str(value))
    if amount is not None and not amount.is_finite():
        raise ValueError("not an amount")
    return amount


def _read_moment(value: Any) -> str | None:
    if value is not None and datetime.fromisoformat(value).utcoffset() is None:
        raise ValueError("not an aware date")
    return None if value is None else str(value)


def _read_batch(data: Mapping[str, Any]) -> SentBatch:
    state: BatchState = data["state"] if data["state"] in get_args(BatchState) else "assumed_sent"
    gateway_id = data.get("gateway_id")
    return SentBatch(
        reference=str(data.get("reference") or ""),
        gateway_id=None if gateway_id is None else str(gateway_id),
        accepted=int(data["accepted"]),
        state=state,
        tag=data.get("tag"),
        evidence=data.get("evidence"),
    )


def _read_place(data: Mapping[str, Any]) -> StoredBatches:
    numbers = {name: int(data[name]) for name in ("campaign", "generation", "count")}
    return StoredBatches(store=str(data["store"]), **numbers)


def read_report(value: Any) -> CampaignReport:
    """
    Read a report as operators and sensors are given it: an object from XCom, or the text that a template made of it.

    Of a mapped task it is a list of reports, which become one: that of all instances together. None in it stands for an
    instance that was skipped; a dry run among others counts for nothing.

    :raises ConfigurationError: for anything else, and for reports of several gateways, connections or kinds.
    """
    value = read_structure(value) if isinstance(value, str) else value
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
        return CampaignReport.from_json(value)
    reports = [CampaignReport.from_json(one) for one in value if one is not None]
    if not reports:
        raise ConfigurationError(
            "campaign: is a list without a report of a send operator (were all mapped instances skipped?); pass its "
            "output, for instance campaign=send_sms.output"
        )
    return together([report for report in reports if not report.dry_run] or reports)


def together(reports: Sequence[CampaignReport]) -> CampaignReport:
    """
    Make one report of several.

    :param reports: at least one.
    :raises ConfigurationError: when they are of several gateways, connections or kinds.
    """
    first = reports[0]
    for other in reports[1:]:
        for name in ("gateway", "conn_id", "kind"):
            if getattr(other, name) != getattr(first, name):
                raise ConfigurationError(
                    f"campaign: holds reports of {name} {getattr(first, name)!r} and of {getattr(other, name)!r}, "
                    "which cannot be asked about together; use a task for each"
                )
    counts: Counter[str] = Counter()
    for report in reports:
        counts.update(report.counts)
    segments = [report.segments for report in reports if report.segments is not None]
    costs = [report.cost for report in reports if report.cost is not None]
    return replace(
        first,
        counts=dict(counts),
        batches=tuple(batch for report in reports for batch in report.batches),
        stored=tuple(place for report in reports for place in report.stored),
        segments=sum(segments) if segments else None,
        cost=sum(costs, Decimal(0)) if costs else None,
        currency=next((report.currency for report in reports if report.currency), None),
        scheduled_for=_latest(report.scheduled_for for report in reports),
        sent_at=_latest(report.sent_at for report in reports),
    )


def _latest(moments: Iterable[str | None]) -> str | None:
    return max((moment for moment in moments if moment), key=datetime.fromisoformat, default=None)


def find_batches(store: Store, task: TaskInstanceKey, count: int) -> StoredBatches | None:
    """
    Say where the batches of a task instance are stored.

    :param store: that the ledger of the task wrote to.
    :param task: the task instance.
    :param count: how many batches there are.
    :returns: None where the store does not hold all of them, or cannot be asked.
    """
    try:
        with store.read() as connection:
            row = connection.execute(_statements()["find"], task.as_row()).one_or_none()
        if row is None or row.found != count:
            return None
        return StoredBatches(
            store=store.identity, campaign=int(row.id), generation=int(row.generation), count=count
        )
    except StoreUnavailableError:
        return None


def read_batches(store: Store, report: CampaignReport) -> tuple[SentBatch, ...]:
    """
    Return all batches of a report, with those that it does not list.

    :param store: the one that the ledger wrote to.
    :param report: of a sending operator, or of several.
    :returns: as the ledger knows them now, in the order of sending.
    :raises ConfigurationError: they are in another store, or were purged.
    :raises StoreUnavailableError: the store cannot be reached.
    """
    return (*report.batches, *(batch for place in report.stored for batch in _read(store, place)))


def with_batches(store: Store, report: CampaignReport) -> CampaignReport:
    """Return a report that lists all of its batches; errors as in :func:`read_batches`."""
    return replace(report, batches=read_batches(store, report), stored=())


def _read(store: Store, place: StoredBatches) -> Iterable[SentBatch]:
    if store.identity != place.store:
        raise ConfigurationError(
            f"campaign: the {place.count} batches of the report are in another store than this machine's. Set "
            "[voicepartner] store_url to one PostgreSQL database on every machine"
        )
    mine = {"campaign": place.campaign, "generation": place.generation}
    with store.read() as connection:
        texts = connection.execute(_statements()["read"], mine).scalars().all()
    if len(texts) < place.count:
        raise ConfigurationError(
            f"campaign: the store holds {len(texts)} of the {place.count} batches of the report. The others were "
            "purged: '--ledger-older-than' of 'airflow voicepartner db purge' must be longer than anybody waits"
        )
    return [SentBatch.of_record(BatchRecord.from_json(json.loads(text))) for text in texts]


@cache
def _statements() -> dict[str, Any]:
    """Build the statements once; SQLAlchemy is imported here."""
    from sqlalchemy import and_, bindparam, func, select

    from airflow_provider_voicepartner.db.schema import batch, campaign

    counts = batch.c.phase != Phase.REFUSED.value
    task = [
        getattr(campaign.c, name) == bindparam(name) for name in ("dag_id", "run_id", "task_id", "map_index")
    ]
    belongs = and_(batch.c.campaign == campaign.c.id, batch.c.generation == campaign.c.generation, counts)
    return {
        "find": select(campaign.c.id, campaign.c.generation, func.count(batch.c.position).label("found"))
        .select_from(campaign.join(batch, belongs))
        .where(*task)
        .group_by(campaign.c.id, campaign.c.generation),
        "read": select(batch.c.record)
        .where(
            batch.c.campaign == bindparam("campaign"), batch.c.generation == bindparam("generation"), counts
        )
        .order_by(batch.c.position),
    }
