"""The lists that instances of mapped tasks began to send."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0002"
down_revision: Final = "0001"
branch_labels: Final = None
depends_on: Final = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "voicepartner_mapped_list",
        sa.Column("task", sa.String(32), primary_key=True),
        sa.Column("map_index", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("fingerprint", sa.String(32), primary_key=True),
        sa.Column("expansion", sa.String(32), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("people", sa.LargeBinary()),
        sa.Column("at", sa.Float(53), nullable=False),
    )
    op.create_index("voicepartner_mapped_list_at", "voicepartner_mapped_list", ["at"])
