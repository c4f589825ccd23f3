"""The way out: recipients, text lengths, batches, the ledger, and the loop that sends."""

from __future__ import annotations
