"""Notifiers that alert people by SMS or by a call."""

from __future__ import annotations
