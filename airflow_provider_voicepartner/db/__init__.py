"""The store: one small SQL database that all workers share, on SQLAlchemy Core."""

from __future__ import annotations
