"""Logs a trouble that lasts ever more seldom, and not with each look at it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from airflow_provider_voicepartner.constants import (
    ANSWERS_LOG_INTERVAL,
    INCIDENT_EVENT_BACKOFF,
    LONGEST_LOG_INTERVAL,
)

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Said:
    """
    A trouble that was logged.

    :param at: when, on the clock of the complaints.
    :param seen_at: when it was there last.
    :param pause: seconds until it is logged again.
    """

    at: float
    seen_at: float
    pause: float = 0.0


class Complaints:
    """
    What was complained of lately.

    :param clock: seconds that only go forward.
    """

    def __init__(self, *, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._said: dict[str, _Said] = {}

    def say(self, problem: str) -> None:
        """Log a problem as an error, if it is new or was logged long ago."""
        now = self._clock()
        # What was not there for a minute is over, and would be new.
        self._said = {
            text: one for text, one in self._said.items() if now - one.seen_at <= ANSWERS_LOG_INTERVAL
        }
        known = self._said.setdefault(problem, _Said(at=now, seen_at=now))
        known.seen_at = now
        if now - known.at >= known.pause:
            log.error("%s", problem)
            known.at = now
            longer = INCIDENT_EVENT_BACKOFF * known.pause or ANSWERS_LOG_INTERVAL
            known.pause = min(longer, LONGEST_LOG_INTERVAL)
