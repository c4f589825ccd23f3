"""The tables of incidents, escalations and questions, and of the watchdog."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from airflow_provider_voicepartner.db.columns import NUMBER, SECONDS, metadata

incident: Final = Table(
    "voicepartner_incident",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("key", String(250), nullable=False),
    Column("open_key", String(250)),
    Column("dag_id", String(250), nullable=False),
    Column("task_id", String(250), nullable=False),
    Column("what", String(40), nullable=False),
    Column("title", Text, nullable=False),
    Column("link", Text, nullable=False),
    Column("state", String(20), nullable=False),
    Column("opened_at", SECONDS, nullable=False),
    Column("changed_at", SECONDS, nullable=False),
    Column("alerts", BigInteger, nullable=False),
    Column("code", Integer),
    Column("policy", String(120)),
    Column("escalation", Text),
    Column("due_at", SECONDS),
    Column("owner", String(120)),
    Column("acknowledged_at", SECONDS),
    Column("version", BigInteger, nullable=False),
    Column("words", Text),
    Column("urgency", String(10)),
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
``words`` is a JSON object of the same in French, and as it is spoken. ``urgency`` is ``low`` where the policy's quiet
hours count, else NULL.
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
    Column("untold_since", SECONDS),
    Column("next_message_at", SECONDS),
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
    Column("at", SECONDS, nullable=False),
    Column("cleared_at", SECONDS),
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
    Column("at", SECONDS, nullable=False),
    Index("voicepartner_incident_told_phone_number", "phone_number"),
)
"""One row for each recipient who was told of an incident: a name of the contacts, or a number, the other one empty."""

all_clear: Final = Table(
    "voicepartner_all_clear",
    metadata,
    Column("incident", BigInteger, primary_key=True, autoincrement=False),
    Column("person", String(120), primary_key=True),
    Column("phone_number", String(64), primary_key=True),
    Column("conn_id", String(250), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("said", Text, nullable=False),
    Column("phase", String(20), nullable=False),
    Column("claim", String(32), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("since", SECONDS, nullable=False),
    Column("next_at", SECONDS),
    Index("voicepartner_all_clear_next_at", "next_at"),
    Index("voicepartner_all_clear_phone_number", "phone_number"),
)
"""
One row for each recipient who is owed the all clear of an incident, written when it is closed: a name of the contacts,
or a number, the other one empty. ``said`` is a JSON object of the text in each language, as written and as spoken.
``phase`` is ``owed``, ``claimed``, ``not_sent``, ``in_doubt`` (from right before it leaves), ``told`` or ``dropped``.
``next_at`` is when it may be claimed, again too; NULL for never.
"""

silence: Final = Table(
    "voicepartner_silence",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("matchers", Text, nullable=False),
    Column("begins_at", SECONDS, nullable=False),
    Column("ends_at", SECONDS, nullable=False),
    Column("author", String(120), nullable=False),
    Column("comment", Text, nullable=False),
    Column("created_at", SECONDS, nullable=False),
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
    Column("claimed_at", SECONDS, nullable=False),
    Column("at", SECONDS, nullable=False),
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
    Column("at", SECONDS, nullable=False),
    Index("voicepartner_answer_incident", "incident"),
    Index("voicepartner_answer_at", "at"),
)
"""One row for each answer of a human, by a digest of what it was read from: what is read twice acts once."""

question: Final = Table(
    "voicepartner_question",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
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
    Column("asked_at", SECONDS, nullable=False),
    Column("answerable_at", SECONDS, nullable=False),
    Column("ends_at", SECONDS),
    Column("seen", String(20), nullable=False),
    Column("checked_at", SECONDS, nullable=False),
    Column("chosen", Text),
    Column("who", String(120)),
    Column("how", String(20)),
    Column("decided_at", SECONDS),
    Column("changed_at", SECONDS, nullable=False),
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
    Column("at", SECONDS, nullable=False),
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
    Column("at", SECONDS, nullable=False),
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
    Column("at", SECONDS, nullable=False),
)
"""What the watchdog knows: cursors and heartbeats as JSON, by name; ``version`` guards updates."""
