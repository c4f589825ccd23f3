"""Whom the names of groups and rotas meant when a campaign was begun."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0006"
down_revision: Final = "0005"
branch_labels: Final = None
depends_on: Final = None


def upgrade() -> None:
    """Add the column; nothing is known of campaigns that were begun before."""
    op.add_column("voicepartner_campaign", sa.Column("names", sa.Text()))
