"""The rate limit of one account, shared through the store by every process that sends with it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, cast

from airflow_provider_voicepartner.constants import (
    BALANCE_WAIT,
    DEFAULT_PENALTY,
    NETWORK_MARGIN,
    PENALTY_CHECK_INTERVAL,
)
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.db.transactions import StoreRetry
from airflow_provider_voicepartner.exceptions import RetryableNotSentError
from airflow_provider_voicepartner.gateways.rate_limits import Windows
from airflow_provider_voicepartner.hooks.http import asked_wait
from airflow_provider_voicepartner.sending.rate_limit import SlidingWindowLog
from airflow_provider_voicepartner.sending.reservations import Reservation, TooLongError, limit_name
from airflow_provider_voicepartner.sending.transport import RateLimitWaitTooLongError, Slot
from airflow_provider_voicepartner.settings import store_wait

if TYPE_CHECKING:
    from airflow_provider_voicepartner.db.transactions import Store
    from airflow_provider_voicepartner.gateways.wire import ApiRequest, ApiResponse
    from airflow_provider_voicepartner.hooks.base import GatewayHook

log = logging.getLogger(__name__)


def limit_polling(hook: GatewayHook, store: Store, *, longest_wait: float) -> StoreRateLimiter:
    """
    Apply the rate limits to a hook that only polls, and share what the gateway's answers say of them.

    :param store: holds the slots.
    :param longest_wait: seconds that a request may wait for its slot; one that would wait longer is refused.
    """
    # A poll is repeated anyway, and would hold up others while it waits.
    rate_limiter = StoreRateLimiter(store, hook, store_seconds=0.0)
    hook.sender.on_response = rate_limiter.on_response
    hook.sender.gate = rate_limiter.waiting(hook.sender.sleep, longest_wait)
    return rate_limiter


class StoreRateLimiter:
    """
    Acquires slots in the store's reservation log, and records there what the gateway's answers say.

    :param store: an open store.
    :param hook: whose account and endpoints are limited.
    :param store_seconds: how long to wait for a store that cannot be reached; None takes ``[voicepartner] store_wait``.
    """

    def __init__(self, store: Store, hook: GatewayHook, *, store_seconds: float | None = None) -> None:
        self._store = store
        sender = hook.sender
        self.window_log = SlidingWindowLog(
            store,
            margin=NETWORK_MARGIN,
            # The sender's sleep is exchanged for one that can be stopped.
            retry=StoreRetry(
                seconds=store_wait() if store_seconds is None else store_seconds,
                sleep=lambda seconds: sender.sleep(seconds),
            ),
        )
        info = hook.gateway.INFO
        self.gateway = info.name
        self._penalty = DEFAULT_PENALTY if info.rate_limit_wait is None else info.rate_limit_wait
        self._windows: Callable[[str], Windows] = hook.rate_limits
        self._account = f"{hook.credentials.login or ''}\0{hook.credentials.api_key}"
        self._now: Callable[[], datetime] = hook.sender.now
        self._open: dict[str, tuple[float, Slot]] = {}

    def close(self) -> None:
        """Close the store's connections."""
        self._store.close()

    def acquire(self, endpoint: str, longest_wait: float | None) -> Slot:
        """
        Acquire the next slot.

        :raises RateLimitWaitTooLongError: no slot was acquired.
        :raises RetryableNotSentError: the store could not be reached within the wait for it.
        """
        checked_at, slot = self._open.get(endpoint, (-PENALTY_CHECK_INTERVAL, None))
        started = time.monotonic()
        if slot is not None and started - checked_at < PENALTY_CHECK_INTERVAL:
            return slot
        with self._as_not_sent(endpoint):
            reservation = self.window_log.reserve(
                self._name(endpoint), self._windows(endpoint), max_delay=longest_wait
            )
        slot = self._slot(endpoint, reservation)
        if reservation.slot is None and not reservation.wait:
            self._open[endpoint] = (started, slot)
        elif reservation.wait >= 1:
            log.info("The next slot at the rate limit of %s is in %.0f s", endpoint, reservation.wait)
        return slot

    def confirm(self, slot: Slot) -> Slot:
        """
        Check that a slot is still valid, right before the request leaves; a slot with a wait means: not yet.

        :raises RetryableNotSentError: the store could not be reached within the wait for it.
        """
        endpoint, reservation = _ticket(slot)
        with self._as_not_sent(endpoint):
            return self._slot(endpoint, self.window_log.confirm(reservation, self._windows(endpoint)))

    def release(self, slot: Slot) -> None:
        """Release a slot whose request never left."""
        self.window_log.release(_ticket(slot)[1])

    def waiting(
        self,
        sleep: Callable[[float], None],
        longest_wait: float | None,
        *,
        brief: Collection[str] = (),
    ) -> RateLimitGate:
        """
        Return the gate that lets requests pass, each in its slot: the slot of the batch loop, or a new one.

        :param sleep: waits; may raise to end the wait.
        :param longest_wait: seconds; None waits for as long as it takes.
        :param brief: endpoints whose requests wait a few seconds at most.
        """
        return RateLimitGate(self, sleep, longest_wait, frozenset(brief))

    def wait_for_slot(self, slot: Slot, longest_wait: float | None, sleep: Callable[[float], None]) -> Slot:
        """
        Wait until a slot is due, or until a later one where it has expired.

        :raises RateLimitWaitTooLongError: that is further away than ``longest_wait``; the slot was released.
        :raises RetryableNotSentError: the store could not be reached within the wait for it.
        """
        endpoint, reservation = _ticket(slot)
        with self._as_not_sent(endpoint):
            come = self.window_log.wait_for_slot(
                reservation, self._windows(endpoint), max_delay=longest_wait, sleep=sleep
            )
        return slot if come is reservation else Slot(0.0, (endpoint, come))

    def is_open(self, slot: Slot) -> bool:
        """Say whether a slot is due now, without asking the store."""
        return self.window_log.is_open(_ticket(slot)[1])

    def left_of(self, slot: Slot) -> float:
        """Return the seconds until a slot is due."""
        return self.window_log.left_of(_ticket(slot)[1])

    def _slot(self, endpoint: str, reservation: Reservation) -> Slot:
        """Make a slot that is due a little early: there is still a claim to write, and the slot to confirm."""
        left = self.window_log.left_of(reservation)
        return Slot(
            left - self.window_log.ahead if left > self.window_log.ahead else 0.0, (endpoint, reservation)
        )

    @contextmanager
    def _as_not_sent(self, endpoint: str) -> Iterator[None]:
        """Turn errors of the sliding-window log into what they mean for a request."""
        too_long: float | None = None
        problem = ""
        try:
            yield
            return
        except TooLongError as error:
            too_long = error.wait
        except StoreUnavailableError as error:
            problem = str(error)
        if too_long is not None:
            raise RateLimitWaitTooLongError(too_long)
        raise RetryableNotSentError(
            f"{self.gateway} {endpoint}: the rate limit: {problem}; the request was not sent"
        )

    def on_response(self, request: ApiRequest, response: ApiResponse) -> None:
        """Record for all workers what an answer says of the limit. Never raises: the answer itself matters more."""
        try:
            name, wait = self._name(request.endpoint), asked_wait(response.headers, self._now())
            if response.status == 429:
                self.window_log.block_for(name, self._penalty if wait is None else wait)
                self._open.pop(request.endpoint, None)
            else:
                remaining = (response.headers.get("x-ratelimit-remaining") or "").strip()
                self.window_log.observe(name, int(remaining) if remaining.isdecimal() else None, wait)
                if remaining:
                    self._open.pop(request.endpoint, None)
        except Exception as error:
            log.warning(
                "The gateway's answer could not be recorded in the rate limit: %s", type(error).__name__
            )

    def _name(self, endpoint: str) -> str:
        return limit_name(self.gateway, endpoint, self._account)


def _ticket(slot: Slot) -> tuple[str, Reservation]:
    return cast(tuple[str, Reservation], slot.ticket)


class RateLimitGate:
    """
    Lets a hook's requests pass, each in its slot. Made by :meth:`StoreRateLimiter.waiting`.

    :param rate_limiter: gives the slots.
    :param sleep: waits; may raise to end the wait.
    :param longest_wait: seconds; None waits for as long as it takes.
    :param brief: endpoints whose requests wait a few seconds at most.
    """

    def __init__(
        self,
        rate_limiter: StoreRateLimiter,
        sleep: Callable[[float], None],
        longest_wait: float | None,
        brief: Collection[str],
    ) -> None:
        self._rate_limiter = rate_limiter
        self._sleep = sleep
        self._longest_wait = longest_wait
        self._brief = brief

    def pass_through(self, endpoint: str, slot: Slot | None) -> Slot:
        """
        Wait until a request may leave.

        :param slot: the request's; None acquires one. An expired one is exchanged for a later one.
        :raises RetryableNotSentError: the wait is too long, or the store cannot be reached; the slot was released.
        """
        longest = BALANCE_WAIT if endpoint in self._brief else self._longest_wait
        try:
            slot = slot or self._rate_limiter.acquire(endpoint, longest)
            return self._rate_limiter.wait_for_slot(slot, longest, self._sleep)
        except RateLimitWaitTooLongError as error:
            too_long = error
        raise RetryableNotSentError(
            f"{self._rate_limiter.gateway} {endpoint}: the rate limit: {too_long}; the request was not sent",
            retry_after=too_long.wait,
        )

    def is_open(self, slot: Slot) -> bool:
        """Say whether a slot is due now, without asking the store."""
        return self._rate_limiter.is_open(slot)

    def renew(self, slot: Slot) -> Slot:
        """
        Exchange an expired slot for a later one.

        :raises RetryableNotSentError: the store cannot be reached.
        """
        return self._rate_limiter.confirm(slot)

    def left_of(self, slot: Slot) -> float:
        """Return the seconds until a slot is due."""
        return self._rate_limiter.left_of(slot)

    def release(self, slot: Slot) -> None:
        """Release the slot of a request that did not leave."""
        try:
            self._rate_limiter.release(slot)
        except StoreUnavailableError as error:
            log.warning("A slot could not be released: %s", error)
