"""All texts of ``send_again`` that a campaign ever had, in place of the last one."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0005"
down_revision: Final = "0004"
branch_labels: Final = None
depends_on: Final = None

_CAMPAIGN = "voicepartner_campaign"
_OLD = "voicepartner_campaign_0004"
_COLUMNS = (
    "id, dag_id, run_id, task_id, map_index, attempts, generation, batches, fingerprint, salt, send_again, account, "
    "since, at"
)
_TASK, _AT = "voicepartner_campaign_task", "voicepartner_campaign_at"


def upgrade() -> None:
    """Let the column hold any number of hashes."""
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column(_CAMPAIGN, "send_again", type_=sa.Text())
    else:
        _copy_campaigns()


def _copy_campaigns() -> None:
    """SQLite changes no column's type. An id that was given before is not given again."""
    op.drop_index(_TASK, _CAMPAIGN)
    op.drop_index(_AT, _CAMPAIGN)
    op.rename_table(_CAMPAIGN, _OLD)
    op.create_table(
        _CAMPAIGN,
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("dag_id", sa.String(250), nullable=False),
        sa.Column("run_id", sa.String(250), nullable=False),
        sa.Column("task_id", sa.String(250), nullable=False),
        sa.Column("map_index", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("batches", sa.Integer()),
        sa.Column("fingerprint", sa.String(64)),
        sa.Column("salt", sa.String(64)),
        sa.Column("send_again", sa.Text()),
        sa.Column("account", sa.String(64)),
        sa.Column("since", sa.Integer()),
        sa.Column("at", sa.Float(53), nullable=False),
        sqlite_autoincrement=True,
    )
    op.execute(f"INSERT INTO {_CAMPAIGN} ({_COLUMNS}) SELECT {_COLUMNS} FROM {_OLD}")
    op.execute(f"DELETE FROM sqlite_sequence WHERE name = '{_CAMPAIGN}'")
    op.execute(
        "INSERT INTO sqlite_sequence (name, seq) "
        f"SELECT '{_CAMPAIGN}', seq FROM sqlite_sequence WHERE name = '{_OLD}'"
    )
    op.drop_table(_OLD)
    op.create_index(_TASK, _CAMPAIGN, ["dag_id", "run_id", "task_id", "map_index"], unique=True)
    op.create_index(_AT, _CAMPAIGN, ["at"])
