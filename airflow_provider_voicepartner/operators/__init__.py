"""Operators that send, and take back, campaigns."""

from __future__ import annotations
