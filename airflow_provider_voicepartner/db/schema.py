"""
The store's tables as this version of the code knows them.

How a database comes to have them is in :mod:`airflow_provider_voicepartner.db.versions`.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, String, Table, Text

from airflow_provider_voicepartner.db.columns import (
    CAMPAIGN,
    GATEWAY,
    NUMBER,
    PHONE_NUMBER,
    SECONDS,
    metadata,
)
from airflow_provider_voicepartner.db.incident_schema import (
    all_clear,
    answer,
    incident,
    incident_alert,
    incident_route,
    incident_told,
    page,
    question,
    question_answer,
    question_asked,
    silence,
    watch,
)

__all__ = [
    "all_clear",
    "answer",
    "attempt",
    "batch",
    "batch_recipients",
    "campaign",
    "campaign_report",
    "dead_letter",
    "delivery_report",
    "event",
    "incident",
    "incident_alert",
    "incident_route",
    "incident_told",
    "mapped_list",
    "metadata",
    "opt_out",
    "own_key",
    "page",
    "question",
    "question_answer",
    "question_asked",
    "rate_limit",
    "rate_slot",
    "sequence",
    "silence",
    "watch",
]

rate_limit: Final = Table(
    "voicepartner_rate_limit",
    metadata,
    Column("name", String(120), primary_key=True),
    Column("blocked_until", SECONDS, nullable=False),
)
"""One row for each limit: reservations of that limit lock it, and it holds the penalty after a refusal."""

rate_slot: Final = Table(
    "voicepartner_rate_slot",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("name", String(120), nullable=False),
    Column("at", SECONDS, nullable=False),
    Index("voicepartner_rate_slot_name_at", "name", "at"),
    # A number is never used twice, so that a worker that releases a reservation twice cannot release another worker's.
    sqlite_autoincrement=True,
)
"""One row for each reserved request: when it may leave, in seconds of ``Store.slot_clock``."""

sequence: Final = Table(
    "voicepartner_sequence",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""
``delivery``: the number of the last commit of delivery data. Every such transaction locks the row first. So they run
one after the other, and become visible in the order of their numbers: a reader that has seen one number misses
nothing below it.

``identity``: the random id of this database. ``pace:`` and the id of a start of the machine: see the module
``clock``.
"""

delivery_report: Final = Table(
    "voicepartner_delivery_report",
    metadata,
    Column("gateway", GATEWAY, primary_key=True),
    Column("campaign", CAMPAIGN, primary_key=True),
    Column("phone_number", PHONE_NUMBER, primary_key=True),
    Column("status", String(20), nullable=False),
    Column("gateway_status", Text, nullable=False),
    Column("detail", Text),
    Column("at", SECONDS),
    Column("duration", BigInteger),
    Column("cost", Text),
    Column("pressed_keys", Text),
    Column("opted_out", Boolean, nullable=False),
    Column("gateway_campaign", Text),
    Column("received_at", SECONDS, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Index("voicepartner_delivery_report_seq", "seq"),
    Index("voicepartner_delivery_report_received_at", "received_at"),
    # In the order of the key: the rows of a campaign lie together, which makes counting them one read.
    sqlite_with_rowid=False,
)
"""One row for each recipient of a campaign: the delivery report. ``cost`` is text, because money is exact."""

campaign_report: Final = Table(
    "voicepartner_campaign_report",
    metadata,
    Column("gateway", GATEWAY, primary_key=True),
    Column("campaign", CAMPAIGN, primary_key=True),
    Column("delivered", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("gateway_campaign", Text),
    Column("received_at", SECONDS, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Index("voicepartner_campaign_report_seq", "seq"),
)
"""One row for each campaign whose gateway reports only totals (voicemail)."""

event: Final = Table(
    "voicepartner_event",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("seq", BigInteger, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("gateway", GATEWAY, nullable=False),
    Column("campaign", CAMPAIGN),
    Column("phone_number", PHONE_NUMBER),
    Column("text", Text, nullable=False),
    Column("sent_to", Text),
    Column("at", SECONDS),
    Column("part", Integer, nullable=False),
    Column("parts", Integer, nullable=False),
    Column("parts_reference", Text),
    Column("received_at", SECONDS, nullable=False),
    Column("digest", String(32), nullable=False),
    Index("voicepartner_event_seq", "seq"),
    Index("voicepartner_event_received_at", "received_at"),
    Index("voicepartner_event_digest", "digest", unique=True),
    Index("voicepartner_event_campaign", "campaign"),
    Index("voicepartner_event_phone_number", "phone_number"),
    sqlite_autoincrement=True,  # readers keep an id as their cursor: a purge must not give it to another event
)
"""One row for each reply, STOP, pressed keys or finished campaign. The digest makes repeats harmless."""

dead_letter: Final = Table(
    "voicepartner_dead_letter",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("gateway", GATEWAY, nullable=False),
    Column("campaign", CAMPAIGN),
    Column("method", String(10), nullable=False),
    Column("content_type", Text, nullable=False),
    Column("query", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("why", Text, nullable=False),
    Column("received_at", SECONDS, nullable=False),
    sqlite_autoincrement=True,
)
"""One row for each callback that could not be read, or that is not acted on, as it came."""

batch_recipients: Final = Table(
    "voicepartner_batch_people",
    metadata,
    Column("gateway", GATEWAY, primary_key=True),
    Column("reference", String(200), primary_key=True),
    Column("marks", LargeBinary, nullable=False),
    Column("ends", SECONDS, nullable=False),
    Index("voicepartner_batch_people_ends", "ends"),
)
"""One row for each batch with a URL of its own: 8 bytes of a keyed hash for each recipient, until the URL expires."""

opt_out: Final = Table(
    "voicepartner_opt_out",
    metadata,
    Column("key", String(16), primary_key=True),
    Column("person", String(32), primary_key=True),
    Column("said_at", SECONDS, nullable=False),
    Column("gateway", GATEWAY, nullable=False),
)
"""
One row for each number that said STOP, as a keyed hash; a purge and ``person forget`` leave it.

``key`` identifies the key without showing it.
"""

own_key: Final = Table(
    "voicepartner_own_key",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", String(64), nullable=False),
)
"""``opt_out``: the key of hashes where none is configured, made once at random."""

mapped_list: Final = Table(
    "voicepartner_mapped_list",
    metadata,
    Column("task", String(32), primary_key=True),
    Column("map_index", Integer, primary_key=True, autoincrement=False),
    Column("fingerprint", String(32), primary_key=True),
    Column("expansion", String(32), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("people", LargeBinary),
    Column("at", SECONDS, nullable=False),
    Index("voicepartner_mapped_list_at", "at"),
)
"""
One row for each list that an instance of a mapped task began to send. ``task`` is a hash of DAG, run and task.

``people`` holds 8 bytes that identify the key, and 8 bytes of a hash with that key for each recipient; without it,
certainly nothing of the list was sent.
"""

campaign: Final = Table(
    "voicepartner_campaign",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("dag_id", String(250), nullable=False),
    Column("run_id", String(250), nullable=False),
    Column("task_id", String(250), nullable=False),
    Column("map_index", Integer, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("batches", Integer),
    Column("fingerprint", String(64)),
    Column("salt", String(64)),
    Column("send_again", Text),
    Column("account", String(64)),
    Column("since", Integer),
    Column("at", SECONDS, nullable=False),
    Column("names", Text),
    Index("voicepartner_campaign_task", "dag_id", "run_id", "task_id", "map_index", unique=True),
    Index("voicepartner_campaign_at", "at"),
    # An id is never used twice, so that rows that a purge left behind never belong to another campaign.
    sqlite_autoincrement=True,
)
"""
One row for each task instance that sends. ``attempts`` is the number of the newest attempt: other claims are refused.

``generation`` counts how often everything was sent again; 0 until the first attempt has planned. ``names`` says whom
groups and rotas meant then, as JSON: names of people, no numbers.
"""

attempt: Final = Table(
    "voicepartner_attempt",
    metadata,
    Column("campaign", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("try_number", Integer, nullable=False),
    Column("at", SECONDS, nullable=False),
)
"""One row for each attempt at a campaign, written before the attempt does anything else."""

batch: Final = Table(
    "voicepartner_batch",
    metadata,
    Column("campaign", BigInteger, primary_key=True, autoincrement=False),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("rank", BigInteger, nullable=False),
    Column("phase", String(20), nullable=False),
    Column("record", Text, nullable=False),
)
"""One row for each batch. A row is only ever replaced by one of a higher ``rank``."""
