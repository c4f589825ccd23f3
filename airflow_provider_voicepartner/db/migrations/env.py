"""
What Alembic runs to migrate: on the connection, and within the transaction, of whoever asks.

It is a script of Alembic's, which runs it by its path, and no module to import.
"""

from __future__ import annotations

from alembic import context

from airflow_provider_voicepartner.db.schema import metadata
from airflow_provider_voicepartner.db.versions import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,  # SQLite changes a column only by copying its table
)
context.run_migrations()
