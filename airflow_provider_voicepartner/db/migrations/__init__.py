"""The history of the store's tables, for Alembic; one file a revision in ``versions/``."""

from __future__ import annotations
