"""What the HTTP library logs, without keys: urllib3 logs paths, and Voice Partner's key is in the path."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable

from airflow_provider_voicepartner.gateways.wire import scrub

_PLAIN = logging.Formatter()


class ScrubbingFilter(logging.Filter):
    """Take registered secrets out of a logger's records: urllib3 logs paths, and Voice Partner's key is in the path."""

    def __init__(self) -> None:
        super().__init__()
        self._secrets: set[str] = set()
        self._lock = threading.Lock()

    def add(self, secrets: Iterable[str]) -> None:
        """Register secrets for the life of the process."""
        added = {spelling for secret in secrets if secret for spelling in (secret, *_as_repr(secret))}
        with self._lock:
            self._secrets = self._secrets | added

    def filter(self, record: logging.LogRecord) -> bool:
        """Scrub a record; never drops one."""
        if self._secrets:
            record.msg, record.args = scrub(record.getMessage(), self._secrets), ()
            if record.exc_info:
                # urllib3 logs answers with broken headers together with an exception that quotes them.
                record.exc_text = scrub(_PLAIN.formatException(record.exc_info), self._secrets)
                record.exc_info = None
        return True


def _as_repr(secret: str) -> tuple[str, str]:
    """Return the two ways in which Python's ``repr`` writes a text: urllib3 logs broken headers by it."""
    escaped = secret.replace("\\", "\\\\")
    return escaped, escaped.replace("'", "\\'")


_filter = ScrubbingFilter()


def hide_from_http_logs(secrets: Iterable[str]) -> None:
    """Keep secrets out of what the HTTP library logs, at any level."""
    _filter.add(secrets)
    for name in ("urllib3.connectionpool", "urllib3.util.retry", "urllib3.connection"):
        # Logger filters do not reach child loggers, so each one that logs URLs gets it; adding twice is harmless.
        logging.getLogger(name).addFilter(_filter)
