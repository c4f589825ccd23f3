"""The ledger: campaigns, the attempts at them, and what is known of each batch."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0003"
down_revision: Final = "0002"
branch_labels: Final = None
depends_on: Final = None

_Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "voicepartner_campaign",
        sa.Column("id", _Number, primary_key=True, autoincrement=True),
        sa.Column("dag_id", sa.String(250), nullable=False),
        sa.Column("run_id", sa.String(250), nullable=False),
        sa.Column("task_id", sa.String(250), nullable=False),
        sa.Column("map_index", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("batches", sa.Integer()),
        sa.Column("fingerprint", sa.String(64)),
        sa.Column("salt", sa.String(64)),
        sa.Column("send_again", sa.String(16)),
        sa.Column("account", sa.String(64)),
        sa.Column("since", sa.Integer()),
        sa.Column("at", sa.Float(53), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "voicepartner_campaign_task",
        "voicepartner_campaign",
        ["dag_id", "run_id", "task_id", "map_index"],
        unique=True,
    )
    op.create_index("voicepartner_campaign_at", "voicepartner_campaign", ["at"])
    op.create_table(
        "voicepartner_attempt",
        sa.Column("campaign", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("try_number", sa.Integer(), nullable=False),
        sa.Column("at", sa.Float(53), nullable=False),
    )
    op.create_table(
        "voicepartner_batch",
        sa.Column("campaign", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("generation", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("rank", sa.BigInteger(), nullable=False),
        sa.Column("phase", sa.String(20), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
    )
