"""
All tables of the first version that keeps delivery reports.

A database from before has the two tables of the rate limits, without a revision.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0001"
down_revision: Final = None
branch_labels: Final = None
depends_on: Final = None

_Seconds = sa.Float(53)
_Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create what is missing."""
    if not sa.inspect(op.get_bind()).has_table("voicepartner_rate_limit"):
        op.create_table(
            "voicepartner_rate_limit",
            sa.Column("name", sa.String(120), primary_key=True),
            sa.Column("blocked_until", _Seconds, nullable=False),
        )
    if not sa.inspect(op.get_bind()).has_table("voicepartner_rate_slot"):
        op.create_table(
            "voicepartner_rate_slot",
            sa.Column("id", _Number, primary_key=True, autoincrement=True),
            sa.Column("name", sa.String(120), nullable=False),
            sa.Column("at", _Seconds, nullable=False),
            sqlite_autoincrement=True,
        )
        op.create_index("voicepartner_rate_slot_name_at", "voicepartner_rate_slot", ["name", "at"])
    sequence = op.create_table(
        "voicepartner_sequence",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("value", sa.BigInteger(), nullable=False),
    )
    op.bulk_insert(
        sequence, [{"name": "delivery", "value": 0}]
    )  # there from the start, so that it can be locked
    _create_reports()
    _create_events()


def _create_reports() -> None:
    op.create_table(
        "voicepartner_delivery_report",
        sa.Column("gateway", sa.String(40), primary_key=True),
        sa.Column("campaign", sa.String(255), primary_key=True),
        sa.Column("phone_number", sa.String(64), primary_key=True),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("gateway_status", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text()),
        sa.Column("at", _Seconds),
        sa.Column("duration", sa.BigInteger()),
        sa.Column("cost", sa.Text()),
        sa.Column("pressed_keys", sa.Text()),
        sa.Column("opted_out", sa.Boolean(), nullable=False),
        sa.Column("gateway_campaign", sa.Text()),
        sa.Column("received_at", _Seconds, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("voicepartner_delivery_report_seq", "voicepartner_delivery_report", ["seq"])
    op.create_index(
        "voicepartner_delivery_report_received_at", "voicepartner_delivery_report", ["received_at"]
    )
    op.create_table(
        "voicepartner_campaign_report",
        sa.Column("gateway", sa.String(40), primary_key=True),
        sa.Column("campaign", sa.String(255), primary_key=True),
        sa.Column("delivered", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("gateway_campaign", sa.Text()),
        sa.Column("received_at", _Seconds, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
    )
    op.create_index("voicepartner_campaign_report_seq", "voicepartner_campaign_report", ["seq"])


def _create_events() -> None:
    op.create_table(
        "voicepartner_event",
        sa.Column("id", _Number, primary_key=True, autoincrement=True),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("gateway", sa.String(40), nullable=False),
        sa.Column("campaign", sa.String(255)),
        sa.Column("phone_number", sa.String(64)),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("sent_to", sa.Text()),
        sa.Column("at", _Seconds),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.Column("parts_reference", sa.Text()),
        sa.Column("received_at", _Seconds, nullable=False),
        sa.Column("digest", sa.String(32), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("voicepartner_event_seq", "voicepartner_event", ["seq"])
    op.create_index("voicepartner_event_received_at", "voicepartner_event", ["received_at"])
    op.create_index("voicepartner_event_digest", "voicepartner_event", ["digest"], unique=True)
    op.create_table(
        "voicepartner_dead_letter",
        sa.Column("id", _Number, primary_key=True, autoincrement=True),
        sa.Column("gateway", sa.String(40), nullable=False),
        sa.Column("campaign", sa.String(255)),
        sa.Column("method", sa.String(10), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("received_at", _Seconds, nullable=False),
        sqlite_autoincrement=True,
    )
