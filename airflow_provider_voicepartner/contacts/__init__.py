"""People by name: who they are, who is on call, and what ``@names`` in a list of recipients stand for."""

from __future__ import annotations
