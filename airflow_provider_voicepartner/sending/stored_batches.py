"""The batches of a large campaign, which its report does not list: they are read from the ledger in our store."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.sending.records import BatchRecord, Phase
from airflow_provider_voicepartner.sending.report import CampaignReport, SentBatch, StoredBatches

if TYPE_CHECKING:
    from airflow_provider_voicepartner.db.transactions import Store
    from airflow_provider_voicepartner.sending.store_memory import TaskInstanceKey


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
