"""Waiting for a store that cannot be reached, for a limited time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from airflow_provider_voicepartner.constants import FIRST_STORE_PAUSE, LONGEST_STORE_PAUSE, STORE_WAIT
from airflow_provider_voicepartner.db.errors import StoreUnavailableError, StoreUrlError

log = logging.getLogger(__name__)


Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """
    Repeats what the store refuses, until it is there again or the time is over.

    :param seconds: from the first failure on; 0 repeats nothing.
    :param sleep: waits; what it raises ends the wait.
    :param clock: seconds that only go forward; injected by tests.
    """

    seconds: float = STORE_WAIT
    sleep: Callable[[float], object] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def run(self, call: Callable[[], Result]) -> Result:
        """
        Run something that uses the store.

        :param call: may run more than once, the last time perhaps after it was done already: a commit whose answer
            was lost. So give it only what does no harm twice.
        :returns: what it returned.
        :raises StoreUnavailableError: the store was not there in all that time.
        :raises StoreUrlError: at once: no wait would help.
        """
        end: float | None = None
        pause = FIRST_STORE_PAUSE
        while True:
            try:
                return call()
            except StoreUrlError:
                raise
            except StoreUnavailableError as error:
                now = self.clock()
                if end is None:
                    end = now + self.seconds
                    if self.seconds > 0:
                        log.warning("%s. It is waited for, for %.0f s at most", error, self.seconds)
                left = end - now
                if left <= 0:
                    raise
            # The last look is when the time is over, not a pause before.
            self.sleep(min(pause, left))
            pause = min(2 * pause, LONGEST_STORE_PAUSE)
