"""What an incident is about in French, and as it is spoken."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0008"
down_revision: Final = "0007"
branch_labels: Final = None
depends_on: Final = None


def upgrade() -> None:
    """Add the column; of incidents that were opened before, only the title is known."""
    op.add_column("voicepartner_incident", sa.Column("words", sa.Text()))
