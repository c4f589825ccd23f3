"""
The store's tables as this version of the code knows them.

How a database comes to have them is in :mod:`airflow_provider_voicepartner.db.versions`.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata: Final = MetaData()

# A float of 53 bits is a double everywhere: Unix seconds to a fraction of a microsecond. Not a timestamp column, which
# means another instant for a session in another time zone.
_Seconds = Float(53)

# SQLite numbers rows by itself only where the key's type is INTEGER.
_Number = BigInteger().with_variant(Integer(), "sqlite")

_Gateway = String(40)
_Campaign = String(255)
_PhoneNumber = String(64)

rate_limit: Final = Table(
    "voicepartner_rate_limit",
    metadata,
    Column("name", String(120), primary_key=True),
    Column("blocked_until", _Seconds, nullable=False),
)
"""One row for each limit: reservations of that limit lock it, and it holds the penalty after a refusal."""

rate_slot: Final = Table(
    "voicepartner_rate_slot",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("name", String(120), nullable=False),
    Column("at", _Seconds, nullable=False),
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
    Column("gateway", _Gateway, primary_key=True),
    Column("campaign", _Campaign, primary_key=True),
    Column("phone_number", _PhoneNumber, primary_key=True),
    Column("status", String(20), nullable=False),
    Column("gateway_status", Text, nullable=False),
    Column("detail", Text),
    Column("at", _Seconds),
    Column("duration", BigInteger),
    Column("cost", Text),
    Column("pressed_keys", Text),
    Column("opted_out", Boolean, nullable=False),
    Column("gateway_campaign", Text),
    Column("received_at", _Seconds, nullable=False),
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
    Column("gateway", _Gateway, primary_key=True),
    Column("campaign", _Campaign, primary_key=True),
    Column("delivered", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("gateway_campaign", Text),
    Column("received_at", _Seconds, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Index("voicepartner_campaign_report_seq", "seq"),
)
"""One row for each campaign whose gateway reports only totals (voicemail)."""

event: Final = Table(
    "voicepartner_event",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("seq", BigInteger, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("gateway", _Gateway, nullable=False),
    Column("campaign", _Campaign),
    Column("phone_number", _PhoneNumber),
    Column("text", Text, nullable=False),
    Column("sent_to", Text),
    Column("at", _Seconds),
    Column("part", Integer, nullable=False),
    Column("parts", Integer, nullable=False),
    Column("parts_reference", Text),
    Column("received_at", _Seconds, nullable=False),
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
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("gateway", _Gateway, nullable=False),
    Column("campaign", _Campaign),
    Column("method", String(10), nullable=False),
    Column("content_type", Text, nullable=False),
    Column("query", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("why", Text, nullable=False),
    Column("received_at", _Seconds, nullable=False),
    sqlite_autoincrement=True,
)
"""One row for each callback that could not be read, or that is not acted on, as it came."""

batch_recipients: Final = Table(
    "voicepartner_batch_people",
    metadata,
    Column("gateway", _Gateway, primary_key=True),
    Column("reference", String(200), primary_key=True),
    Column("marks", LargeBinary, nullable=False),
    Column("ends", _Seconds, nullable=False),
    Index("voicepartner_batch_people_ends", "ends"),
)
"""One row for each batch with a URL of its own: 8 bytes of a keyed hash for each recipient, until the URL expires."""

opt_out: Final = Table(
    "voicepartner_opt_out",
    metadata,
    Column("key", String(16), primary_key=True),
    Column("person", String(32), primary_key=True),
    Column("said_at", _Seconds, nullable=False),
    Column("gateway", _Gateway, nullable=False),
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
    Column("at", _Seconds, nullable=False),
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
    Column("id", _Number, primary_key=True, autoincrement=True),
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
    Column("at", _Seconds, nullable=False),
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
    Column("at", _Seconds, nullable=False),
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

incident: Final = Table(
    "voicepartner_incident",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("key", String(250), nullable=False),
    Column("open_key", String(250)),
    Column("dag_id", String(250), nullable=False),
    Column("task_id", String(250), nullable=False),
    Column("what", String(40), nullable=False),
    Column("title", Text, nullable=False),
    Column("link", Text, nullable=False),
    Column("state", String(20), nullable=False),
    Column("opened_at", _Seconds, nullable=False),
    Column("changed_at", _Seconds, nullable=False),
    Column("alerts", BigInteger, nullable=False),
    Column("code", Integer),
    Column("policy", String(120)),
    Column("escalation", Text),
    Column("due_at", _Seconds),
    Column("owner", String(120)),
    Column("acknowledged_at", _Seconds),
    Column("version", BigInteger, nullable=False),
    Index("voicepartner_incident_open_key", "open_key", unique=True),
    Index("voicepartner_incident_code", "code", unique=True),
    Index("voicepartner_incident_dag_id", "dag_id", "task_id"),
    Index("voicepartner_incident_due_at", "due_at"),
    Index("voicepartner_incident_changed_at", "changed_at"),
    sqlite_autoincrement=True,
)
"""
One row for each incident: what broke, from its first alert until it is closed.

``open_key`` is ``key`` until it is closed, and ``code`` a number for answers by phone that is free again afterwards.
``state`` is ``open``, ``acknowledged`` or ``closed``. ``alerts`` counts all. ``title`` may hold an error's first line.
``escalation`` is the state of the policy as JSON, ``due_at`` when it goes on, ``version`` guards its updates.
"""

incident_route: Final = Table(
    "voicepartner_incident_route",
    metadata,
    Column("incident", BigInteger, primary_key=True, autoincrement=False),
    Column("route", String(32), primary_key=True),
    Column("audience", Text, nullable=False),
    Column("at_most", String(40), nullable=False),
    Column("told_at", Text, nullable=False),
    Column("claims", Text, nullable=False),
    Column("untold", BigInteger, nullable=False),
    Column("untold_since", _Seconds),
    Column("next_message_at", _Seconds),
    Index("voicepartner_incident_route_next_message_at", "next_message_at"),
)
"""
One row for each way in which people are told of an incident: a notifier with its connection and its recipients.

``route`` and the words of ``audience`` are hashes with the store's own key. ``untold`` counts the alerts since the last
message, ``untold_since`` is when the first of them came. ``told_at`` is a JSON list of when the last messages were
accepted. ``claims`` is a JSON object of who is sending: when each began, until when it is believed, and how many untold
alerts it tells. ``next_message_at`` is when there is something to do: untold alerts may be told, or a claim has ended.
"""

incident_alert: Final = Table(
    "voicepartner_incident_alert",
    metadata,
    Column("dag_id", String(250), primary_key=True),
    Column("run_id", String(250), primary_key=True),
    Column("task_id", String(250), primary_key=True),
    Column("map_index", Integer, primary_key=True, autoincrement=False),
    Column("try_number", Integer, primary_key=True, autoincrement=False),
    Column("what", String(40), primary_key=True),
    Column("moment", String(40), primary_key=True),
    Column("route", String(32), primary_key=True),
    Column("incident", BigInteger, nullable=False),
    Column("outcome", String(20), nullable=False),
    Column("claim", String(32), nullable=False),
    Column("at", _Seconds, nullable=False),
    Column("cleared_at", _Seconds),
    Index("voicepartner_incident_alert_incident", "incident"),
    Index("voicepartner_incident_alert_claim", "claim"),
    Index("voicepartner_incident_alert_at", "at"),
)
"""
One row for each alert: what happened where, and on which route. So an alert that comes twice counts once, and the
watchdog knows of which failures a callback told. ``incident`` is 0 for one that opened none. ``outcome`` is ``told``,
``counted``, ``silenced``, ``inhibited``, ``claimed`` or ``lost``. ``claim`` names who is sending, or was; else it is
empty. ``cleared_at`` is when the same succeeded.
"""

incident_told: Final = Table(
    "voicepartner_incident_told",
    metadata,
    Column("incident", BigInteger, primary_key=True, autoincrement=False),
    Column("route", String(32), primary_key=True),
    Column("conn_id", String(250), primary_key=True),
    Column("kind", String(20), primary_key=True),
    Column("person", String(120), primary_key=True),
    Column("phone_number", String(64), primary_key=True),
    Column("at", _Seconds, nullable=False),
    Index("voicepartner_incident_told_phone_number", "phone_number"),
)
"""One row for each recipient who was told of an incident: a name of the contacts, or a number, the other one empty."""

silence: Final = Table(
    "voicepartner_silence",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("matchers", Text, nullable=False),
    Column("begins_at", _Seconds, nullable=False),
    Column("ends_at", _Seconds, nullable=False),
    Column("author", String(120), nullable=False),
    Column("comment", Text, nullable=False),
    Column("created_at", _Seconds, nullable=False),
    Index("voicepartner_silence_ends_at", "ends_at"),
    sqlite_autoincrement=True,
)
"""One row for each silence. ``matchers`` is a JSON object of fields and patterns."""

page: Final = Table(
    "voicepartner_page",
    metadata,
    Column("incident", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("round", Integer, nullable=False),
    Column("step", Integer, nullable=False),
    Column("purpose", String(20), nullable=False),
    Column("said", String(120), nullable=False),
    Column("person", String(120), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("conn_id", String(250), nullable=False),
    Column("phase", String(20), nullable=False),
    Column("phone_number", String(64)),
    Column("reference", String(200)),
    Column("gateway", String(40)),
    Column("gateway_id", Text),
    Column("claim", String(32), nullable=False),
    Column("claimed_at", _Seconds, nullable=False),
    Column("at", _Seconds, nullable=False),
    Index("voicepartner_page_phone_number", "phone_number"),
    Index("voicepartner_page_reference", "reference"),
    Index("voicepartner_page_phase", "phase"),
)
"""
One row for each message of an escalation, claimed before it is sent. ``number`` counts within the incident from 1, and
``phase`` is ``claimed``, ``sent``, ``not_sent`` or ``in_doubt``. ``purpose`` is ``page`` for one that asks somebody to
act in a step of a round, both from 0; others tell what is so, and ``said`` whom they are about.
"""

answer: Final = Table(
    "voicepartner_answer",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("incident", BigInteger),
    Column("person", String(120), nullable=False),
    Column("channel", String(20), nullable=False),
    Column("action", String(20), nullable=False),
    Column("result", String(40), nullable=False),
    Column("at", _Seconds, nullable=False),
    Index("voicepartner_answer_incident", "incident"),
    Index("voicepartner_answer_at", "at"),
)
"""One row for each answer of a human, by a digest of what it was read from: what is read twice acts once."""

question: Final = Table(
    "voicepartner_question",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("ti_id", String(64), nullable=False),
    Column("dag_id", String(250), nullable=False),
    Column("run_id", String(250), nullable=False),
    Column("task_id", String(250), nullable=False),
    Column("map_index", Integer, nullable=False),
    Column("options", Text, nullable=False),
    Column("most", Integer, nullable=False),
    Column("link", Text, nullable=False),
    Column("code", Integer),
    Column("last_code", Integer),
    Column("state", String(20), nullable=False),
    Column("outcome", String(40), nullable=False),
    Column("asked_at", _Seconds, nullable=False),
    Column("answerable_at", _Seconds, nullable=False),
    Column("ends_at", _Seconds),
    Column("seen", String(20), nullable=False),
    Column("checked_at", _Seconds, nullable=False),
    Column("chosen", Text),
    Column("who", String(120)),
    Column("how", String(20)),
    Column("decided_at", _Seconds),
    Column("changed_at", _Seconds, nullable=False),
    Column("version", BigInteger, nullable=False),
    Index("voicepartner_question_ti_id", "ti_id", unique=True),
    Index("voicepartner_question_code", "code", unique=True),
    Index("voicepartner_question_task", "dag_id", "run_id", "task_id", "map_index"),
    Index("voicepartner_question_state", "state"),
    Index("voicepartner_question_changed_at", "changed_at"),
    sqlite_autoincrement=True,
)
"""
One row for each question of a HITL operator: ``ti_id`` is Airflow's id of the task instance, another one for each try.

``options`` and ``chosen`` are JSON lists, ``most`` is how many may be chosen. ``code`` is a number for answers by
phone, which no open incident has either; it is free again once the question is over, and ``last_code`` remembers it.
``state`` is ``open``, ``decided`` (an answer has it, and Airflow does not know yet), ``delivered`` or ``ended``, and
``outcome`` says how it ended. Nothing is given to Airflow before ``answerable_at``, and ``seen`` is what Airflow said
last of the task.
"""

question_asked: Final = Table(
    "voicepartner_question_asked",
    metadata,
    Column("question", BigInteger, primary_key=True, autoincrement=False),
    Column("phone_number", String(64), primary_key=True),
    Column("kind", String(20), primary_key=True),
    Column("number", Integer, nullable=False),
    Column("person", String(120), nullable=False),
    Column("conn_id", String(250), nullable=False),
    Column("language", String(10), nullable=False),
    Column("reference", String(200), nullable=False),
    Column("gateway", String(40)),
    Column("gateway_id", Text),
    Column("at", _Seconds, nullable=False),
    Index("voicepartner_question_asked_phone_number", "phone_number"),
    Index("voicepartner_question_asked_at", "at"),
)
"""One row for each number that was asked a question, written before the message leaves; only these may answer."""

question_answer: Final = Table(
    "voicepartner_question_answer",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("question", BigInteger, nullable=False),
    Column("person", String(120), nullable=False),
    Column("channel", String(20), nullable=False),
    Column("outcome", String(40), nullable=False),
    Column("reply", String(20), nullable=False),
    Column("phone_number", String(64), nullable=False),
    Column("conn_id", String(250), nullable=False),
    Column("language", String(10), nullable=False),
    Column("at", _Seconds, nullable=False),
    Index("voicepartner_question_answer_question", "question"),
    Index("voicepartner_question_answer_reply", "reply"),
    Index("voicepartner_question_answer_phone_number", "phone_number"),
    Index("voicepartner_question_answer_at", "at"),
)
"""
One row for each answer to a question, by a digest of what it was read from: what is read twice counts once. ``reply``
is ``waiting`` (until the question is over), ``due``, ``sent`` (or its sender died) or ``none``.
"""

watch: Final = Table(
    "voicepartner_watch",
    metadata,
    Column("name", String(120), primary_key=True),
    Column("value", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("at", _Seconds, nullable=False),
)
"""What the watchdog knows: cursors and heartbeats as JSON, by name; ``version`` guards updates."""
