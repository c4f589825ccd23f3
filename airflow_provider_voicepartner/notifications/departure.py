"""Whether an alert may still leave: decided once, by whichever thread comes first."""

from __future__ import annotations

import threading

from airflow_provider_voicepartner.exceptions import NotSentError


class Departure:
    """The moment at which an alert leaves for the gateway, and which must not come once it was given up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left = self._given_up = False

    @property
    def has_left(self) -> bool:
        """True from the moment when a request may have reached the gateway."""
        return self._left

    def leave(self) -> None:
        """
        Let the request out.

        :raises NotSentError: it was given up before.
        """
        with self._lock:
            if self._given_up:
                raise NotSentError("the alert was given up before it left")
            self._left = True

    def give_up(self) -> bool:
        """Stop waiting; return True where it has not left, and now never will."""
        with self._lock:
            self._given_up = True
            return not self._left
