"""How urgent the escalation of an incident is, for a runner that begins it."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0009"
down_revision: Final = "0008"
branch_labels: Final = None
depends_on: Final = None


def upgrade() -> None:
    """Add the column; what was opened before is urgent."""
    op.add_column("voicepartner_incident", sa.Column("urgency", sa.String(10)))
