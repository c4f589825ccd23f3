"""Sensors that wait for a campaign to complete."""

from __future__ import annotations
