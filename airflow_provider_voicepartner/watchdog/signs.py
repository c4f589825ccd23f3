"""A dead man's switch: a URL that is called while the watchdog lives; the service behind it tells when calls stop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import requests

from airflow_provider_voicepartner.constants import DEAD_MAN_INTERVAL, WATCH_TIMEOUT

log = logging.getLogger(__name__)


class DeadManSwitch:
    """
    Calls the URL at most once a minute, in a thread of its own: the watchdog does not wait for it.

    :param url: is a secret, since whoever knows it can keep the service quiet; it is never logged.
    :param clock: seconds that only go forward.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._url, self._clock = url, clock
        self._pressed_at: float | None = None
        self._thread: threading.Thread | None = None

    def press(self) -> None:
        """Call it, if it is time, and the last call has ended."""
        now = self._clock()
        is_early = self._pressed_at is not None and now - self._pressed_at < DEAD_MAN_INTERVAL
        if is_early or (self._thread is not None and self._thread.is_alive()):
            return
        self._pressed_at = now
        self._thread = threading.Thread(target=self._call, name="dead man's switch", daemon=True)
        self._thread.start()

    def _call(self) -> None:
        try:
            # Not read: the status is enough, and the body may never end.
            with requests.get(self._url, timeout=WATCH_TIMEOUT, stream=True) as answer:
                status = answer.status_code
        except Exception as error:  # its text shows the URL
            log.warning("The dead man's switch cannot be called: %s", type(error).__name__)
            return
        if status >= requests.codes.bad_request:
            log.warning("The dead man's switch answers %d", status)
