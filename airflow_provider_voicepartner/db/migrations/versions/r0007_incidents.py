"""Incidents: what broke, the alerts about it, who was told, silences, pages of an escalation, and questions."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0007"
down_revision: Final = "0006"
branch_labels: Final = None
depends_on: Final = None

_Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_Seconds = sa.Float(53)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "voicepartner_incident",
        sa.Column("id", _Number, primary_key=True, autoincrement=True),
        sa.Column("key", sa.String(250), nullable=False),
        sa.Column("open_key", sa.String(250)),
        sa.Column("dag_id", sa.String(250), nullable=False),
        sa.Column("task_id", sa.String(250), nullable=False),
        sa.Column("what", sa.String(40), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("link", sa.Text(), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("opened_at", _Seconds, nullable=False),
        sa.Column("changed_at", _Seconds, nullable=False),
        sa.Column("alerts", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.Integer()),
        sa.Column("policy", sa.String(120)),
        sa.Column("escalation", sa.Text()),
        sa.Column("due_at", _Seconds),
        sa.Column("owner", sa.String(120)),
        sa.Column("acknowledged_at", _Seconds),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("voicepartner_incident_open_key", "voicepartner_incident", ["open_key"], unique=True)
    op.create_index("voicepartner_incident_code", "voicepartner_incident", ["code"], unique=True)
    op.create_index("voicepartner_incident_dag_id", "voicepartner_incident", ["dag_id", "task_id"])
    op.create_index("voicepartner_incident_due_at", "voicepartner_incident", ["due_at"])
    op.create_index("voicepartner_incident_changed_at", "voicepartner_incident", ["changed_at"])
    op.create_table(
        "voicepartner_incident_route",
        sa.Column("incident", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("route", sa.String(32), primary_key=True),
        sa.Column("audience", sa.Text(), nullable=False),
        sa.Column("at_most", sa.String(40), nullable=False),
        sa.Column("told_at", sa.Text(), nullable=False),
        sa.Column("claims", sa.Text(), nullable=False),
        sa.Column("untold", sa.BigInteger(), nullable=False),
        sa.Column("untold_since", _Seconds),
        sa.Column("next_message_at", _Seconds),
    )
    op.create_index(
        "voicepartner_incident_route_next_message_at", "voicepartner_incident_route", ["next_message_at"]
    )
    op.create_table(
        "voicepartner_incident_alert",
        sa.Column("dag_id", sa.String(250), primary_key=True),
        sa.Column("run_id", sa.String(250), primary_key=True),
        sa.Column("task_id", sa.String(250), primary_key=True),
        sa.Column("map_index", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("try_number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("what", sa.String(40), primary_key=True),
        sa.Column("moment", sa.String(40), primary_key=True),
        sa.Column("route", sa.String(32), primary_key=True),
        sa.Column("incident", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(20), nullable=False),
        sa.Column("claim", sa.String(32), nullable=False),
        sa.Column("at", _Seconds, nullable=False),
        sa.Column("cleared_at", _Seconds),
    )
    op.create_index("voicepartner_incident_alert_incident", "voicepartner_incident_alert", ["incident"])
    op.create_index("voicepartner_incident_alert_claim", "voicepartner_incident_alert", ["claim"])
    op.create_index("voicepartner_incident_alert_at", "voicepartner_incident_alert", ["at"])
    op.create_table(
        "voicepartner_incident_told",
        sa.Column("incident", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("route", sa.String(32), primary_key=True),
        sa.Column("conn_id", sa.String(250), primary_key=True),
        sa.Column("kind", sa.String(20), primary_key=True),
        sa.Column("person", sa.String(120), primary_key=True),
        sa.Column("phone_number", sa.String(64), primary_key=True),
        sa.Column("at", _Seconds, nullable=False),
    )
    op.create_index("voicepartner_incident_told_phone_number", "voicepartner_incident_told", ["phone_number"])
    op.create_table(
        "voicepartner_silence",
        sa.Column("id", _Number, primary_key=True, autoincrement=True),
        sa.Column("matchers", sa.Text(), nullable=False),
        sa.Column("begins_at", _Seconds, nullable=False),
        sa.Column("ends_at", _Seconds, nullable=False),
        sa.Column("author", sa.String(120), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("created_at", _Seconds, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("voicepartner_silence_ends_at", "voicepartner_silence", ["ends_at"])
    op.create_table(
        "voicepartner_page",
        sa.Column("incident", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(20), nullable=False),
        sa.Column("said", sa.String(120), nullable=False),
        sa.Column("person", sa.String(120), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("conn_id", sa.String(250), nullable=False),
        sa.Column("phase", sa.String(20), nullable=False),
        sa.Column("phone_number", sa.String(64)),
        sa.Column("reference", sa.String(200)),
        sa.Column("gateway", sa.String(40)),
        sa.Column("gateway_id", sa.Text()),
        sa.Column("claim", sa.String(32), nullable=False),
        sa.Column("claimed_at", _Seconds, nullable=False),
        sa.Column("at", _Seconds, nullable=False),
    )
    op.create_index("voicepartner_page_phone_number", "voicepartner_page", ["phone_number"])
    op.create_index("voicepartner_page_reference", "voicepartner_page", ["reference"])
    op.create_index("voicepartner_page_phase", "voicepartner_page", ["phase"])
    op.create_table(
        "voicepartner_answer",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("incident", sa.BigInteger()),
        sa.Column("person", sa.String(120), nullable=False),
        sa.Column("channel", sa.String(20), nullable=False),
        sa.Column("action", sa.String(20), nullable=False),
        sa.Column("result", sa.String(40), nullable=False),
        sa.Column("at", _Seconds, nullable=False),
    )
    op.create_index("voicepartner_answer_incident", "voicepartner_answer", ["incident"])
    op.create_index("voicepartner_answer_at", "voicepartner_answer", ["at"])
    op.create_table(
        "voicepartner_question",
        sa.Column("id", _Number, primary_key=True, autoincrement=True),
        sa.Column("ti_id", sa.String(64), nullable=False),
        sa.Column("dag_id", sa.String(250), nullable=False),
        sa.Column("run_id", sa.String(250), nullable=False),
        sa.Column("task_id", sa.String(250), nullable=False),
        sa.Column("map_index", sa.Integer(), nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("most", sa.Integer(), nullable=False),
        sa.Column("link", sa.Text(), nullable=False),
        sa.Column("code", sa.Integer()),
        sa.Column("last_code", sa.Integer()),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("outcome", sa.String(40), nullable=False),
        sa.Column("asked_at", _Seconds, nullable=False),
        sa.Column("answerable_at", _Seconds, nullable=False),
        sa.Column("ends_at", _Seconds),
        sa.Column("seen", sa.String(20), nullable=False),
        sa.Column("checked_at", _Seconds, nullable=False),
        sa.Column("chosen", sa.Text()),
        sa.Column("who", sa.String(120)),
        sa.Column("how", sa.String(20)),
        sa.Column("decided_at", _Seconds),
        sa.Column("changed_at", _Seconds, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("voicepartner_question_ti_id", "voicepartner_question", ["ti_id"], unique=True)
    op.create_index("voicepartner_question_code", "voicepartner_question", ["code"], unique=True)
    op.create_index(
        "voicepartner_question_task", "voicepartner_question", ["dag_id", "run_id", "task_id", "map_index"]
    )
    op.create_index("voicepartner_question_state", "voicepartner_question", ["state"])
    op.create_index("voicepartner_question_changed_at", "voicepartner_question", ["changed_at"])
    op.create_table(
        "voicepartner_question_asked",
        sa.Column("question", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("phone_number", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(20), primary_key=True),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("person", sa.String(120), nullable=False),
        sa.Column("conn_id", sa.String(250), nullable=False),
        sa.Column("language", sa.String(10), nullable=False),
        sa.Column("reference", sa.String(200), nullable=False),
        sa.Column("gateway", sa.String(40)),
        sa.Column("gateway_id", sa.Text()),
        sa.Column("at", _Seconds, nullable=False),
    )
    op.create_index(
        "voicepartner_question_asked_phone_number", "voicepartner_question_asked", ["phone_number"]
    )
    op.create_index("voicepartner_question_asked_at", "voicepartner_question_asked", ["at"])
    op.create_table(
        "voicepartner_question_answer",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("question", sa.BigInteger(), nullable=False),
        sa.Column("person", sa.String(120), nullable=False),
        sa.Column("channel", sa.String(20), nullable=False),
        sa.Column("outcome", sa.String(40), nullable=False),
        sa.Column("reply", sa.String(20), nullable=False),
        sa.Column("phone_number", sa.String(64), nullable=False),
        sa.Column("conn_id", sa.String(250), nullable=False),
        sa.Column("language", sa.String(10), nullable=False),
        sa.Column("at", _Seconds, nullable=False),
    )
    op.create_index("voicepartner_question_answer_question", "voicepartner_question_answer", ["question"])
    op.create_index("voicepartner_question_answer_reply", "voicepartner_question_answer", ["reply"])
    op.create_index(
        "voicepartner_question_answer_phone_number", "voicepartner_question_answer", ["phone_number"]
    )
    op.create_index("voicepartner_question_answer_at", "voicepartner_question_answer", ["at"])
    op.create_table(
        "voicepartner_watch",
        sa.Column("name", sa.String(120), primary_key=True),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("at", _Seconds, nullable=False),
    )
