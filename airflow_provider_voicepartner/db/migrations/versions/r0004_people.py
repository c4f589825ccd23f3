"""Whom a batch was sent to, who said STOP, and dead letters with the bytes as they came."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0004"
down_revision: Final = "0003"
branch_labels: Final = None
depends_on: Final = None

_Seconds = sa.Float(53)
_LETTERS = "voicepartner_dead_letter"
_OLD = "voicepartner_dead_letter_0003"
_COLUMNS = "id, gateway, campaign, method, content_type, query"


def upgrade() -> None:
    """Create the tables and indexes, and keep the bodies of dead letters as bytes."""
    op.create_table(
        "voicepartner_batch_people",
        sa.Column("gateway", sa.String(40), primary_key=True),
        sa.Column("reference", sa.String(200), primary_key=True),
        sa.Column("marks", sa.LargeBinary(), nullable=False),
        sa.Column("ends", _Seconds, nullable=False),
    )
    op.create_index("voicepartner_batch_people_ends", "voicepartner_batch_people", ["ends"])
    op.create_table(
        "voicepartner_opt_out",
        sa.Column("key", sa.String(16), primary_key=True),
        sa.Column("person", sa.String(32), primary_key=True),
        sa.Column("said_at", _Seconds, nullable=False),
        sa.Column("gateway", sa.String(40), nullable=False),
    )
    op.create_table(
        "voicepartner_own_key",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("value", sa.String(64), nullable=False),
    )
    op.create_index("voicepartner_event_campaign", "voicepartner_event", ["campaign"])
    op.create_index("voicepartner_event_phone_number", "voicepartner_event", ["phone_number"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE {_LETTERS} ALTER COLUMN body TYPE BYTEA USING convert_to(body, 'UTF8')")
    else:
        _copy_letters()


def _copy_letters() -> None:
    """SQLite changes no column's type."""
    op.rename_table(_LETTERS, _OLD)
    op.create_table(
        _LETTERS,
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("gateway", sa.String(40), nullable=False),
        sa.Column("campaign", sa.String(255)),
        sa.Column("method", sa.String(10), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("received_at", _Seconds, nullable=False),
        sqlite_autoincrement=True,
    )
    op.execute(
        f"INSERT INTO {_LETTERS} ({_COLUMNS}, body, why, received_at) "
        f"SELECT {_COLUMNS}, CAST(body AS BLOB), why, received_at FROM {_OLD}"
    )
    op.drop_table(_OLD)
