"""Our one small SQL database: what several workers must know of each other, on SQLAlchemy Core."""

from __future__ import annotations
