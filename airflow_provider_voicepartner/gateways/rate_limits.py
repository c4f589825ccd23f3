"""Rate limits: windows of requests and seconds, and how a user or a gateway's own facts write them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

from airflow_provider_voicepartner.constants import (
    LONGEST_LIMIT_WINDOW,
    MOST_LIMIT_REQUESTS,
    SHORTEST_LIMIT_WINDOW,
)
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError

_WINDOW = re.compile(r"\s*([0-9]{1,9})\s*/\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*", re.ASCII)
NO_LIMIT: Final = "none"


@dataclass(frozen=True, slots=True)
class Window:
    """
    A limit: never more than so many requests within any span of so many seconds.

    :param requests: 1 to 100,000.
    :param seconds: 0.001 to 86,400 (a day).
    :raises InvalidArgumentError: for anything else.
    """

    requests: int
    seconds: float

    def __post_init__(self) -> None:
        if (
            not isinstance(self.requests, int)
            or isinstance(self.requests, bool)
            or not 1 <= self.requests <= MOST_LIMIT_REQUESTS
        ):
            raise InvalidArgumentError("requests", f"must be a whole number from 1 to {MOST_LIMIT_REQUESTS}")
        if (
            not isinstance(self.seconds, int | float)
            or isinstance(self.seconds, bool)
            or not math.isfinite(self.seconds)
            or not SHORTEST_LIMIT_WINDOW <= self.seconds <= LONGEST_LIMIT_WINDOW
        ):
            raise InvalidArgumentError(
                "seconds", f"must be from {SHORTEST_LIMIT_WINDOW} to {LONGEST_LIMIT_WINDOW:.0f} (a day)"
            )

    def __str__(self) -> str:
        """Write it as :func:`parse_windows` reads it."""
        whole = float(self.seconds).is_integer()
        return f"{self.requests}/{int(self.seconds) if whole else f'{self.seconds:.9f}'.rstrip('0')}"


Windows = tuple[Window, ...]
"""Limits that hold at the same time; none at all where nothing is documented."""


def parse_windows(text: object, *, argument: str = "rate_limits") -> Windows:
    """
    Read limits that a user wrote, such as ``5/60, 2000/3600``: 5 requests a minute and 2,000 an hour.

    :param text: requests ``/`` seconds, separated by commas; ``none`` for no limit.
    :param argument: the name that errors use.
    :returns: in the order written.
    :raises InvalidArgumentError: naming the part that cannot be read.
    """
    if not isinstance(text, str):
        raise InvalidArgumentError(argument, "must be a text such as '5/60, 2000/3600' (requests/seconds)")
    if text.strip().casefold() == NO_LIMIT:
        return ()
    windows = tuple(_parse_window(part, argument) for part in text.split(","))
    if len({window.seconds for window in windows}) != len(windows):
        raise InvalidArgumentError(argument, "has two limits for the same number of seconds; keep one")
    return windows


def _parse_window(part: str, argument: str) -> Window:
    match = _WINDOW.fullmatch(part)
    if match is None:
        raise InvalidArgumentError(
            argument,
            f"{part.strip()[:40]!r} is not requests/seconds; write for instance '5/60, 2000/3600', or 'none'",
        )
    try:
        return Window(int(match[1]), float(match[2]))
    except InvalidArgumentError as error:
        problem = f"{part.strip()!r}: {error.argument} {error.problem}"
    raise InvalidArgumentError(argument, problem)
