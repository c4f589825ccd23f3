"""One vocabulary for what became of a message, whatever the gateway calls it."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from enum import StrEnum
from threading import Lock
from typing import Final

from airflow_provider_voicepartner.constants import MOST_UNKNOWN_WORDS

log = logging.getLogger(__name__)

NOT_FOUND: Final = "not_found"
"""The ``detail`` of a polled entry that is no report: the gateway does not know the recipient under the message."""

_WORD: Final = re.compile(r"[^\W\d]{2,25}(?: [^\W\d]{2,25})?")
"""One or two words of letters, as documented statuses are; anything else may be somebody's text, and is not shown."""


class DeliveryStatus(StrEnum):
    """
    What became of one recipient's message.

    :cvar PENDING: under way, or the gateway does not know yet.
    :cvar DELIVERED: on the handset; for a call: picked up or left on voicemail.
    :cvar FAILED: not delivered; another try, later, may succeed (busy, refused, expired, unreachable).
    :cvar UNDELIVERABLE: cannot be delivered to this number at all.
    :cvar OPTED_OUT: the number is on a STOP list.
    :cvar CANCELLED: taken back before it left.
    :cvar UNCONFIRMED: no report came in time; never counted as delivered. A gateway never reports it.
    """

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    UNDELIVERABLE = "undeliverable"
    OPTED_OUT = "opted_out"
    CANCELLED = "cancelled"
    UNCONFIRMED = "unconfirmed"

    @property
    def is_terminal(self) -> bool:
        """True when no later report can change it."""
        return self is not DeliveryStatus.PENDING


class StatusWords:
    """
    A gateway's status words, read without regard to case and blanks.

    :param gateway: whose words they are, for the log.
    :param words: the gateway's word -> our status.
    """

    def __init__(self, gateway: str, words: Mapping[str, DeliveryStatus]) -> None:
        self.gateway = gateway
        self._words = {self._fold(word): status for word, status in words.items()}
        self._reported: set[str] = set()
        self._lock = Lock()

    @staticmethod
    def _fold(word: str) -> str:
        return " ".join(word.replace("_", " ").split()).casefold()

    def knows(self, word: str) -> bool:
        """Say whether a word is one of the gateway's statuses. Nothing is logged."""
        return self._fold(word) in self._words

    def read(self, word: str | None) -> DeliveryStatus:
        """
        Map a word; one that is not documented is pending, and is logged once per process.

        :param word: as the gateway wrote it; None or blank is pending.
        """
        folded = self._fold(word or "")
        status = self._words.get(folded)
        if status is not None:
            return status
        if folded:
            with self._lock:
                # Bounded: a gateway that puts free text here must not fill the memory or the log.
                new = folded not in self._reported and len(self._reported) < MOST_UNKNOWN_WORDS
                self._reported.add(folded) if new else None
            if new:
                shown = folded if _WORD.fullmatch(folded) else f"{len(folded)} characters, not a word"
                log.warning("%s: unknown delivery status (%s) is treated as pending", self.gateway, shown)
        return DeliveryStatus.PENDING
