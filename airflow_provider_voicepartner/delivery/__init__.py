"""The way back: what became of a message, and when a campaign is complete."""

from __future__ import annotations
