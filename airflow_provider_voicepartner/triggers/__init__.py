"""Triggers wait and poll; they never send."""

from __future__ import annotations
