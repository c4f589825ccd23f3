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
    PENALTY_LOOK_INTERVAL,
)
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.db.patience import Patience
from airflow_provider_voicepartner.exceptions import RetryableNotSentError
from airflow_provider_voicepartner.gateways.limits import Windows
from airflow_provider_voicepartner.hooks.http import asked_wait
from airflow_provider_voicepartner.sending.rate_limit import Pacer, Reservation, TooLongError, limit_name
from airflow_provider_voicepartner.sending.transport import Turn, TurnTooFarError
from airflow_provider_voicepartner.settings import store_wait

if TYPE_CHECKING:
    from airflow_provider_voicepartner.db.transactions import Store
    from airflow_provider_voicepartner.gateways.wire import ApiRequest, ApiResponse
    from airflow_provider_voicepartner.hooks.base import GatewayHook

log = logging.getLogger(__name__)

PURPOSE = "knowing what was sent, and keeping to the gateways' rate limits across processes"


def pace_questions(hook: GatewayHook, store: Store, *, longest_wait: float) -> StoreTurnstile:
    """
    Let a hook that only asks keep to the rate limits, too, and share with everybody what it is told of them.

    :param store: where turns are kept.
    :param longest_wait: seconds that a question may wait for its turn; one that would take longer is refused.
    """
    # Who asks comes again anyway, and holds up others while it waits.
    turnstile = StoreTurnstile(store, hook, patience=0.0)
    hook.sender.watch = turnstile.watch
    hook.sender.turn = turnstile.waiting(hook.sender.sleep, longest_wait)
    return turnstile


class StoreTurnstile:
    """
    Takes turns in the store's reservation log, and tells the log what the gateway's answers say.

    :param store: an open store.
    :param hook: whose account and endpoints are limited.
    :param patience: seconds to wait for a store that cannot be reached; None takes ``[voicepartner] store_wait``.
    """

    def __init__(self, store: Store, hook: GatewayHook, *, patience: float | None = None) -> None:
        self._store = store
        sender = hook.sender
        self._pacer = Pacer(
            store,
            margin=NETWORK_MARGIN,
            # The sender's sleep is exchanged for one that can be stopped.
            patience=Patience(
                seconds=store_wait() if patience is None else patience,
                sleep=lambda seconds: sender.sleep(seconds),
            ),
        )
        self.gateway = hook.gateway.INFO.name
        self._windows: Callable[[str], Windows] = hook.rate_limits
        self._account = f"{hook.credentials.login or ''}\0{hook.credentials.api_key}"
        self._now: Callable[[], datetime] = hook.sender.now
        self._open: dict[str, tuple[float, Turn]] = {}

    def close(self) -> None:
        """Close the store's connections."""
        self._store.close()

    def take_turn(self, endpoint: str, longest_wait: float | None) -> Turn:
        """
        Take the next turn.

        :raises TurnTooFarError: no turn was taken.
        :raises RetryableNotSentError: the store cannot be reached, and was waited for.
        """
        looked, turn = self._open.get(endpoint, (-PENALTY_LOOK_INTERVAL, None))
        started = time.monotonic()
        if turn is not None and started - looked < PENALTY_LOOK_INTERVAL:
            return turn
        with self._as_not_sent(endpoint):
            reservation = self._pacer.reserve(
                self._name(endpoint), self._windows(endpoint), max_delay=longest_wait
            )
        turn = self._turn(endpoint, reservation)
        if reservation.slot is None and not reservation.wait:
            self._open[endpoint] = (started, turn)
        elif reservation.wait >= 1:
            log.info("The rate limit of %s gives us a turn in %.0f s", endpoint, reservation.wait)
        return turn

    def confirm(self, turn: Turn) -> Turn:
        """
        Ask whether a turn is still good, right before the request leaves; a turn with a wait means: not yet.

        :raises RetryableNotSentError: the store cannot be reached, and was waited for.
        """
        endpoint, reservation = _ticket(turn)
        with self._as_not_sent(endpoint):
            return self._turn(endpoint, self._pacer.confirm(reservation, self._windows(endpoint)))

    def give_back(self, turn: Turn) -> None:
        """Release a turn whose request never left."""
        self._pacer.give_back(_ticket(turn)[1])

    def waiting(
        self,
        sleep: Callable[[float], None],
        longest_wait: float | None,
        *,
        brief: Collection[str] = (),
    ) -> StoreGate:
        """
        Return what lets requests pass, in their turn: those that the batch loop took one for, and all others.

        :param sleep: waits; may raise to end the wait.
        :param longest_wait: seconds; None waits for as long as it takes.
        :param brief: endpoints for whose answer nobody is to wait longer than a few seconds.
        """
        return StoreGate(self, sleep, longest_wait, frozenset(brief))

    def come_to_it(self, turn: Turn, longest_wait: float | None, sleep: Callable[[float], None]) -> Turn:
        """
        Wait for a turn's moment, and for that of a later one where it is gone.

        :raises TurnTooFarError: that is further away than ``longest_wait``; the turn was given back.
        :raises RetryableNotSentError: the store cannot be reached, and was waited for.
        """
        endpoint, reservation = _ticket(turn)
        with self._as_not_sent(endpoint):
            come = self._pacer.come_to_it(
                reservation, self._windows(endpoint), max_delay=longest_wait, sleep=sleep
            )
        return turn if come is reservation else Turn(0.0, (endpoint, come))

    def is_open(self, turn: Turn) -> bool:
        """Say whether this is a turn's moment, without asking the store."""
        return self._pacer.is_open(_ticket(turn)[1])

    def left_of(self, turn: Turn) -> float:
        """Return the seconds until a turn's moment."""
        return self._pacer.left_of(_ticket(turn)[1])

    def _turn(self, endpoint: str, reservation: Reservation) -> Turn:
        """Make a turn that is due a little before its moment: there is a claim to write then, and to ask again."""
        left = self._pacer.left_of(reservation)
        return Turn(left - self._pacer.ahead if left > self._pacer.ahead else 0.0, (endpoint, reservation))

    @contextmanager
    def _as_not_sent(self, endpoint: str) -> Iterator[None]:
        """Say of the pacer's errors what they mean for a request."""
        far: float | None = None
        gone = ""
        try:
            yield
            return
        except TooLongError as error:
            far = error.wait
        except StoreUnavailableError as error:
            gone = str(error)
        if far is not None:
            raise TurnTooFarError(far)
        undone = "nothing was sent" if _sends(endpoint) else "not asked yet"
        raise RetryableNotSentError(f"{self.gateway} {endpoint}: the rate limit: {gone}; {undone}")

    def watch(self, request: ApiRequest, response: ApiResponse) -> None:
        """Teach every worker what an answer says of the limit. Never raises: the answer itself matters more."""
        try:
            name, wait = self._name(request.endpoint), asked_wait(response.headers, self._now())
            if response.status == 429:
                self._pacer.penalise(name, DEFAULT_PENALTY if wait is None else wait)
                self._open.pop(request.endpoint, None)
            else:
                remaining = (response.headers.get("x-ratelimit-remaining") or "").strip()
                self._pacer.observe(name, int(remaining) if remaining.isdecimal() else None, wait)
                if remaining:
                    self._open.pop(request.endpoint, None)
        except Exception as error:
            log.warning("The rate limit could not be noted: %s", type(error).__name__)

    def _name(self, endpoint: str) -> str:
        return limit_name(self.gateway, endpoint, self._account)


def _sends(endpoint: str) -> bool:
    """Say whether an endpoint sends messages: only of those does anybody ask whether something was sent."""
    return endpoint.endswith("send")


def _ticket(turn: Turn) -> tuple[str, Reservation]:
    return cast(tuple[str, Reservation], turn.ticket)


class StoreGate:
    """
    Lets a hook's requests pass, each in its turn; made by :meth:`StoreTurnstile.waiting`.

    :param turnstile: where turns are taken.
    :param sleep: waits; may raise to end the wait.
    :param longest_wait: seconds; None waits for as long as it takes.
    :param brief: endpoints for whose answer nobody is to wait longer than a few seconds.
    """

    def __init__(
        self,
        turnstile: StoreTurnstile,
        sleep: Callable[[float], None],
        longest_wait: float | None,
        brief: Collection[str],
    ) -> None:
        self._turnstile = turnstile
        self._sleep = sleep
        self._longest_wait = longest_wait
        self._brief = brief

    def pass_through(self, endpoint: str, turn: Turn | None) -> Turn:
        """
        Wait until a request may leave.

        :param turn: the request's; None takes one. Where its moment is gone, it becomes a later one.
        :raises RetryableNotSentError: that takes too long, or the store cannot be reached; the turn was given back.
        """
        longest = BALANCE_WAIT if endpoint in self._brief else self._longest_wait
        try:
            turn = turn or self._turnstile.take_turn(endpoint, longest)
            return self._turnstile.come_to_it(turn, longest, self._sleep)
        except TurnTooFarError as error:
            far = error
        waits = f"not asked yet; next slot in {max(1.0, far.wait):.0f} s"
        if _sends(endpoint):
            waits = f"the rate limit: {far}; nothing was sent"
        raise RetryableNotSentError(f"{self._turnstile.gateway} {endpoint}: {waits}", retry_after=far.wait)

    def is_open(self, turn: Turn) -> bool:
        """Say whether this is a turn's moment, without asking the store."""
        return self._turnstile.is_open(turn)

    def renew(self, turn: Turn) -> Turn:
        """
        Change a turn whose moment is gone for a later one.

        :raises RetryableNotSentError: the store cannot be reached.
        """
        return self._turnstile.confirm(turn)

    def left_of(self, turn: Turn) -> float:
        """Return the seconds until a turn's moment."""
        return self._turnstile.left_of(turn)

    def give_back(self, turn: Turn) -> None:
        """Release the turn of a request that did not leave."""
        try:
            self._turnstile.give_back(turn)
        except StoreUnavailableError as error:
            log.warning("A turn could not be given back: %s", error)
