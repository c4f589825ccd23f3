"""What the receiver tells about itself: counters, and a log that a flood of calls cannot fill."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from airflow_provider_voicepartner.constants import LOGGED_TROUBLES, RECEIVER_LOG_INTERVAL

_HELP: Final = {
    "kept": "Calls of gateways that were stored and answered with 200",
    "dead_letters": "Of these, calls that are kept as dead letters",
    "not_kept": "Calls answered with 503 because the store failed",
    "too_large": "Calls with a body over 64 kB",
    "too_slow": "Calls whose body did not come in time",
    "gone": "Calls that ended before their body had come",
}


@dataclass(slots=True)
class WriterCounts:
    """What the writer has done since it began."""

    commits: int = 0
    failed_commits: int = 0
    written: int = 0
    kept_apart: int = 0
    seconds: float = 0.0
    last_error: str = field(default="", repr=False)


class Writer(Protocol):
    """What makes reports durable, and counts what it does."""

    counts: WriterCounts

    @property
    def waiting(self) -> int:
        """How many requests wait for a commit now."""


class ReceiverCounts:
    """
    How many calls ended how, since the process began; used by one event loop.

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
        """Return how many calls ended so, of one gateway or of all."""
        return sum(
            count
            for (which, whose), count in self._counts.items()
            if which == what and gateway in (None, whose)
        )

    def exposition(self, writer: Writer) -> str:
        """Write everything as Prometheus reads it (text format 0.0.4)."""
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
                "Calls about people or events that their URL may not speak of, now dead letters",
                "counter",
                done.kept_apart,
            ),
            ("commit_seconds_total", "Time spent in transactions", "counter", f"{done.seconds:.6f}"),
            ("waiting", "Calls that wait for a commit now", "gauge", writer.waiting),
        ):
            yield from _head(f"voicepartner_{name}", help_text, kind)
            yield f"voicepartner_{name} {value}"


def _head(name: str, help_text: str, kind: str) -> Iterator[str]:
    yield f"# HELP {name} {help_text}."
    yield f"# TYPE {name} {kind}"


class CountedLog:
    """
    Says a thing once, and then at most once a minute how often it happened.

    :param log: where to.
    :param clock: seconds that only grow.
    """

    def __init__(self, log: logging.Logger, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._log, self._clock = log, clock
        self._said: dict[str, tuple[float, int]] = {}

    def warning(self, what: str, detail: str = "") -> None:
        """Say that something happened that somebody may want to look at."""
        self._say(logging.WARNING, what, detail)

    def error(self, what: str, detail: str = "") -> None:
        """Say that something happened that somebody has to mend."""
        self._say(logging.ERROR, what, detail)

    def _say(self, level: int, what: str, detail: str) -> None:
        said, missed = self._said.get(what, (float("-inf"), 0))
        now = self._clock()
        if now - said < RECEIVER_LOG_INTERVAL:
            self._said[what] = (said, missed + 1)
            return
        self._said[what] = (now, 0)
        self._log.log(
            level, "Receiver: %s (%d since the last such line)%s", what, missed + 1, detail and f": {detail}"
        )


class OncePerMinute(logging.Filter):
    """Let each kind of line of another library through once a minute; a traceback may hold what was sent."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a line may be written."""
        if record.levelno < logging.WARNING:
            return True
        record.exc_info, record.exc_text = None, None
        now, what = self._clock(), str(record.msg)[:100]
        if now - self._said.get(what, float("-inf")) < RECEIVER_LOG_INTERVAL:
            return False
        if len(self._said) > LOGGED_TROUBLES:
            self._said.clear()
        self._said[what] = now
        return True
