"""The receiver's monitoring: counters for Prometheus, and logs that a flood of calls cannot fill."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from airflow_provider_voicepartner.constants import PROBLEMS_REMEMBERED, RECEIVER_LOG_INTERVAL

_HELP: Final = {
    "kept": "Calls of gateways that were stored and answered with 200",
    "dead_letters": "Of these, calls that were stored as dead letters",
    "not_kept": "Calls answered with 503 because the store failed",
    "too_large": "Calls with a body over 64 kB",
    "too_slow": "Calls whose body did not come in time",
    "gone": "Calls that ended before their body had come",
}


@dataclass(slots=True)
class WriterCounts:
    """Counters of the writer since it began."""

    commits: int = 0
    failed_commits: int = 0
    written: int = 0
    quarantined: int = 0
    seconds: float = 0.0
    last_error: str = field(default="", repr=False)


class Writer(Protocol):
    """The part of the writer that is shown in metrics."""

    counts: WriterCounts

    @property
    def waiting(self) -> int:
        """How many requests wait for a commit now."""


class ReceiverCounts:
    """
    Counts calls by gateway and result since the process began; used by one event loop.

    :param gateways: their names.
    """

    def __init__(self, gateways: Sequence[str]) -> None:
        self.refused = 0
        self._counts: Counter[tuple[str, str]] = Counter(
            {(what, gateway): 0 for what in _HELP for gateway in gateways}
        )

    def add(self, what: str, gateway: str) -> None:
        """Count one call."""
        self._counts[what, gateway] += 1

    def of(self, what: str, gateway: str | None = None) -> int:
        """Return how many calls had a result, of one gateway or of all."""
        return sum(
            count
            for (which, whose), count in self._counts.items()
            if which == what and gateway in (None, whose)
        )

    def exposition(self, writer: Writer) -> str:
        """Return all counters in Prometheus' text format 0.0.4."""
        return "".join(f"{line}\n" for line in self._lines(writer))

    def _lines(self, writer: Writer) -> Iterator[str]:
        for what, help_text in _HELP.items():
            name = f"voicepartner_callbacks_{what}_total"
            yield from _head(name, help_text, "counter")
            for (which, gateway), count in sorted(self._counts.items()):
                if which == what:
                    yield f'{name}{{gateway="{gateway}"}} {count}'
        done = writer.counts
        for name, help_text, kind, value in (
            ("callbacks_refused_total", "Calls to addresses that are not ours", "counter", self.refused),
            ("commits_total", "Transactions that made reports durable", "counter", done.commits),
            ("failed_commits_total", "Transactions that failed", "counter", done.failed_commits),
            ("written_total", "Events and dead letters written, repeats included", "counter", done.written),
            (
                "kept_apart_total",
                "Calls about numbers or events that their URL may not report, stored as dead letters",
                "counter",
                done.quarantined,
            ),
            ("commit_seconds_total", "Time spent in transactions", "counter", f"{done.seconds:.6f}"),
            ("waiting", "Calls that wait for a commit now", "gauge", writer.waiting),
        ):
            yield from _head(f"voicepartner_{name}", help_text, kind)
            yield f"voicepartner_{name} {value}"


def _head(name: str, help_text: str, kind: str) -> Iterator[str]:
    yield f"# HELP {name} {help_text}."
    yield f"# TYPE {name} {kind}"


class RateLimitedLog:
    """
    Logs a message once, and then at most once a minute with how often it happened.

    :param log: where to.
    :param clock: seconds that only go forward.
    """

    def __init__(self, log: logging.Logger, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._log, self._clock = log, clock
        self._logged: dict[str, tuple[float, int]] = {}

    def warning(self, what: str, detail: str = "") -> None:
        """Log a warning."""
        self._write(logging.WARNING, what, detail)

    def error(self, what: str, detail: str = "") -> None:
        """Log an error."""
        self._write(logging.ERROR, what, detail)

    def _write(self, level: int, what: str, detail: str) -> None:
        last, missed = self._logged.get(what, (float("-inf"), 0))
        now = self._clock()
        if now - last < RECEIVER_LOG_INTERVAL:
            self._logged[what] = (last, missed + 1)
            return
        self._logged[what] = (now, 0)
        self._log.log(
            level, "Receiver: %s (%d since the last such line)%s", what, missed + 1, detail and f": {detail}"
        )


class RateLimitedFilter(logging.Filter):
    """Lets each kind of line of another library through once a minute, without its traceback: it may hold a body."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._logged: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a line is written."""
        if record.levelno < logging.WARNING:
            return True
        record.exc_info, record.exc_text = None, None
        now, what = self._clock(), str(record.msg)[:100]
        if now - self._logged.get(what, float("-inf")) < RECEIVER_LOG_INTERVAL:
            return False
        if len(self._logged) > PROBLEMS_REMEMBERED:
            self._logged.clear()
        self._logged[what] = now
        return True
