"""
The arithmetic of the rate limiter: how far apart requests leave, and what one of them has reserved. No store.

A window allows so many requests in any span of its length. A margin is added to each, for the network and for workers
that come late.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Sequence
from dataclasses import dataclass

from airflow_provider_voicepartner.constants import (
    LATE_SHARE,
    LEAST_MARGIN,
    MARGIN_SHARE,
    SLOT_MARGIN,
)
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.rate_limits import Window


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


class TooLongError(Exception):
    """
    The wait would be longer than the caller can wait. Nothing was reserved.

    :param at: when the request could have left, in the store's seconds.
    :param wait: seconds until then.
    """

    def __init__(self, at: float, wait: float, max_delay: float) -> None:
        super().__init__(
            f"the gateway's rate limit asks for a wait of {wait:.1f} s, and only {max_delay:.1f} s are left for it"
        )
        self.at = at
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Reservation:
    """
    One request's place in the log. Plain values, so that it survives a deferral as JSON (``dataclasses.asdict``).

    :param name: of the limit.
    :param slot: its number in the log; None where there was no limit to reserve in.
    :param at: when the request may leave, in the store's seconds.
    :param wait: seconds until then, when this was asked; 0 means now.
    :param opens: the same moment by this machine's clock, or later; means nothing in another process.
    :param closes: when it is too late, by this machine's clock, or earlier.
    :param is_settled: nobody moves it any more: between ``opens`` and ``closes`` it need not be confirmed.
    """

    name: str
    slot: int | None
    at: float
    wait: float
    opens: float = -math.inf
    closes: float = -math.inf
    is_settled: bool = False


def limit_name(gateway: str, endpoint: str, account_key: str) -> str:
    """
    Name what is limited: an endpoint, for one account.

    :param account_key: the account's API key; a keyed hash of it stands in the name, from which nobody gets it back.
    """
    if not account_key:
        raise InvalidArgumentError("account_key", "is empty")
    account = hmac.new(account_key.encode(), b"airflow-provider-voicepartner: account", hashlib.sha256)
    return f"{gateway}:{endpoint}:{account.hexdigest()[:24]}"


def estimate(windows: Sequence[Window], requests: int, *, margin: float = SLOT_MARGIN) -> float:
    """
    Return how many seconds pass, at best, between the first and the last of so many requests.

    :param requests: 0 or more.
    :param margin: as the sliding-window log has it.
    """
    slots: list[float] = []
    now = 0.0
    for _ in range(requests):
        now = next_free(slots, windows, now, margin)
        slots.append(now)
    return now
