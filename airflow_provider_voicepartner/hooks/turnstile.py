"""The rate limit of one account, shared through the store by every process that sends with it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

from airflow.providers.common.compat.sdk import conf

from airflow_provider_voicepartner.exceptions import ConfigurationError, RetryableNotSentError
from airflow_provider_voicepartner.gateways.limits import Windows
from airflow_provider_voicepartner.hooks.http import asked_wait
from airflow_provider_voicepartner.sending.messenger import Turn, TurnTooFarError
from airflow_provider_voicepartner.sending.pacing import Pacer, Reservation, TooLongError, limit_name
from airflow_provider_voicepartner.store.engine import StoreUnavailableError, StoreUrlError, open_store

if TYPE_CHECKING:
    from airflow_provider_voicepartner.gateways.wire import ApiRequest, ApiResponse
    from airflow_provider_voicepartner.hooks.base import GatewayHook
    from airflow_provider_voicepartner.store.engine import Store

log = logging.getLogger(__name__)

PURPOSE = "keeping to the gateways' rate limits across processes"
MARGIN = 0.5
"""
Seconds added to each window. It covers what lies between a turn and the request's arrival: the ledger's write (15 ms)
and the first connection's handshake, which a later request on a warm connection does not have.
"""
DEFAULT_PENALTY = 60.0
"""Seconds that everybody waits after a 429 that does not say how long."""
BRIEF_WAIT = 5.0
"""Seconds that a campaign waits for a turn to read the balance: it holds up everything else, and is only a comfort."""
LOOK_EVERY = 0.1
"""
Seconds between two looks for a penalty, where no limit is known: a look takes a millisecond, as long as a whole request
to a gateway that answers at once. Another worker's 429 is seen that much later, our own at once.
"""


def store_url() -> str | None:
    """Return ``[voicepartner] store_url``, None where it is not set."""
    return conf.get("voicepartner", "store_url", fallback="") or None


def default_store_url() -> str:
    """Return the address of a SQLite file beside Airflow's own, for one machine."""
    from airflow.configuration import AIRFLOW_HOME

    return f"sqlite:///{Path(AIRFLOW_HOME).absolute() / 'voicepartner.db'}"


def open_shared_store() -> Store:
    """
    Open the store that is configured, else the SQLite file under ``AIRFLOW_HOME``.

    Without a configured one, a folder that cannot be written to is no reason not to send: the limits are then kept
    within this process alone, no later attempt knows what this one sent, and the log says so.

    :raises ConfigurationError: the configured address cannot be used.
    :raises RetryableNotSentError: the configured store cannot be reached now.
    """
    url = store_url()
    problem: StoreUnavailableError
    try:
        return open_store(url or default_store_url(), purpose=PURPOSE, upgrade=url is None)
    except StoreUnavailableError as error:
        problem = error
    if url is None:
        log.warning(
            "%s. Rate limits are kept within this process only, a retry does not find what this attempt sends, and "
            "mapped instances do not know of each other's lists",
            problem,
        )
        return open_store("sqlite://", purpose=PURPOSE)
    if isinstance(problem, StoreUrlError):
        raise ConfigurationError(f"[voicepartner] store_url: {problem}")
    raise RetryableNotSentError(f"[voicepartner] store_url: {problem}. Nothing was sent")


def pace_questions(hook: GatewayHook, store: Store, *, longest_wait: float) -> StoreTurnstile:
    """
    Let a hook that only asks keep to the rate limits, too, and share with everybody what it is told of them.

    :param store: where turns are kept.
    :param longest_wait: seconds that a question may wait for its turn; one that would take longer is refused.
    """
    turnstile = StoreTurnstile(store, hook)
    hook.sender.watch = turnstile.watch
    hook.sender.turn = turnstile.waiting(hook.sender.sleep, longest_wait)
    return turnstile


class StoreTurnstile:
    """
    Takes turns in the store's reservation log, and tells the log what the gateway's answers say.

    :param store: an open store.
    :param hook: whose account and endpoints are limited.
    """

    def __init__(self, store: Store, hook: GatewayHook) -> None:
        self._store = store
        self._pacer = Pacer(store, margin=MARGIN)
        self._gateway = hook.gateway.NAME
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
        """
        looked, turn = self._open.get(endpoint, (-LOOK_EVERY, None))
        started = time.monotonic()
        if turn is not None and started - looked < LOOK_EVERY:
            return turn
        far: float
        try:
            reservation = self._pacer.reserve(
                self._name(endpoint), self._windows(endpoint), max_delay=longest_wait
            )
        except TooLongError as error:
            far = error.wait
        else:
            turn = Turn(reservation.wait, (endpoint, reservation))
            if reservation.slot is None and not reservation.wait:
                self._open[endpoint] = (started, turn)
            elif reservation.wait >= 1:
                log.info("The rate limit of %s gives us a turn in %.0f s", endpoint, reservation.wait)
            return turn
        raise TurnTooFarError(far)

    def confirm(self, turn: Turn) -> Turn:
        """Ask right before the request leaves; a turn with a wait means: not yet."""
        endpoint, reservation = cast(tuple[str, Reservation], turn.ticket)
        confirmed = self._pacer.confirm(reservation, self._windows(endpoint))
        return Turn(confirmed.wait, (endpoint, confirmed))

    def give_back(self, turn: Turn) -> None:
        """Release a turn whose request never left."""
        _, reservation = cast(tuple[str, Reservation], turn.ticket)
        self._pacer.give_back(reservation)

    def waiting(
        self,
        sleep: Callable[[float], None],
        longest_wait: float | None,
        *,
        brief: Collection[str] = (),
    ) -> Callable[[str], None]:
        """
        Return what waits for a turn, for requests that the batch loop took none for: a repeat, a simulation, a read.

        :param sleep: waits; may raise to end the wait.
        :param longest_wait: seconds; None waits for as long as it takes.
        :param brief: endpoints for whose answer nobody is to wait longer than a few seconds.
        """

        def wait(endpoint: str) -> None:
            far: TurnTooFarError | StoreUnavailableError
            try:
                turn = self.take_turn(endpoint, BRIEF_WAIT if endpoint in brief else longest_wait)
                # A turn that was taken this moment needs no second look; one that had to wait does.
                while turn.wait > 0:
                    try:
                        sleep(turn.wait)
                        turn = self.confirm(turn)
                    except BaseException:
                        self.give_back(turn)
                        raise
                return
            except (TurnTooFarError, StoreUnavailableError) as error:
                far = error
            raise RetryableNotSentError(
                f"{self._gateway} {endpoint}: the rate limit: {far}; nothing was sent",
                retry_after=far.wait if isinstance(far, TurnTooFarError) else None,
            )

        return wait

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
        return limit_name(self._gateway, endpoint, self._account)
