"""One file a revision, named by its number and what it is about. A file that was released is never changed."""

from __future__ import annotations
