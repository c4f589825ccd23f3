"""How far requests lie apart so that every span of every window holds no more of them than allowed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from airflow_provider_voicepartner.constants import LATE_SHARE, LEAST_MARGIN, MARGIN_SHARE
from airflow_provider_voicepartner.gateways.limits import Window


def margin_of(window: Window, margin: float) -> float:
    """
    Return the seconds that are added to a window.

    A short window gets less than others, so that at least 0.95 of its limit can be used.

    :param margin: at most so many.
    """
    return min(margin, max(LEAST_MARGIN, MARGIN_SHARE * window.seconds))


def latest_departure(windows: Sequence[Window], margin: float) -> float:
    """Return how many seconds after its moment a request may leave; the rest of the margin is the network's."""
    return LATE_SHARE * min((margin_of(window, margin) for window in windows), default=math.inf)


def next_free(slots: Sequence[float], windows: Sequence[Window], earliest: float, margin: float) -> float:
    """Return the first moment, from ``earliest`` on, at which one more request fits behind the given slots."""
    count = len(slots)
    for window in windows:
        if count >= window.requests:
            free = slots[count - window.requests] + window.seconds + margin_of(window, margin)
            earliest = max(earliest, free)
    return earliest
