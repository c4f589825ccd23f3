"""Who is owed an all clear, so that one that was not sent is sent later."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0010"
down_revision: Final = "0009"
branch_labels: Final = None
depends_on: Final = None

_Seconds = sa.Float(53)


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "voicepartner_all_clear",
        sa.Column("incident", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("person", sa.String(120), primary_key=True),
        sa.Column("phone_number", sa.String(64), primary_key=True),
        sa.Column("conn_id", sa.String(250), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("phase", sa.String(20), nullable=False),
        sa.Column("claim", sa.String(32), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("since", _Seconds, nullable=False),
        sa.Column("next_at", _Seconds),
    )
    op.create_index("voicepartner_all_clear_next_at", "voicepartner_all_clear", ["next_at"])
    op.create_index("voicepartner_all_clear_phone_number", "voicepartner_all_clear", ["phone_number"])
