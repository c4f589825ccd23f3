"""A request on its way out: its slot is checked when its connection is open, and right before its body leaves."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Protocol

from airflow_provider_voicepartner.constants import LONGEST_HOLD
from airflow_provider_voicepartner.sending.transport import Slot


class Gate(Protocol):
    """The rate limit, as the HTTP sender sees it."""

    def pass_through(self, endpoint: str, slot: Slot | None) -> Slot:
        """
        Wait until a request may leave.

        :param slot: the request's; None acquires one. An expired one is exchanged for a later one.
        :returns: a slot that is due now.
        :raises RetryableNotSentError: the wait is too long, or the store cannot be reached; the slot was released, as
            when another error ends the wait.
        """

    def is_open(self, slot: Slot) -> bool:
        """Say whether a slot is due now, from the local clock alone."""

    def renew(self, slot: Slot) -> Slot:
        """Exchange an expired slot for a later one; errors as above."""

    def left_of(self, slot: Slot) -> float:
        """Return the seconds until a slot is due."""

    def release(self, slot: Slot) -> None:
        """Release the slot of a request that did not leave; never raises."""


class PooledConnection(Protocol):
    """A pooled connection, as an outgoing request sees it."""

    @property
    def is_usable(self) -> bool:
        """False where the other side closed it, or it was idle for too long."""


class TooLateError(Exception):
    """A request was held back at the last moment: its slot or its connection had expired. Its body did not leave."""


class OutgoingRequest:
    """
    One request on its way out.

    :param endpoint: the request's.
    :param has_body: without one, the request leaves as soon as its connection is open.
    :param gate: the rate limit; None means no limit.
    :param slot: acquired by the caller; None acquires one.
    :param may_leave: raises to hold the request back.
    :param sleep: waits; may raise to end the wait.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        has_body: bool,
        gate: Gate | None = None,
        slot: Slot | None = None,
        may_leave: Callable[[], None] | None = None,
        sleep: Callable[[float], None],
    ) -> None:
        self.has_left = False
        self._endpoint = endpoint
        self._has_body = has_body
        self._gate = gate
        self._slot = slot
        self._may_leave = may_leave
        self._sleep = sleep
        self._connection: PooledConnection | None = None

    def prepare(self) -> None:
        """Wait for the request's slot, before a connection is taken from the pool: one must not be idle for long."""
        self._connection = None
        if self._gate is not None:
            self._slot = self._gate.pass_through(self._endpoint, self._slot)
        if self._may_leave is not None:
            self._may_leave()

    def on_connected(self, connection: PooledConnection) -> None:
        """
        Check the slot once the connection is open, before anything is written to it.

        Connecting to a distant server may take longer than a slot lasts. So an expired slot is exchanged right here for
        another one, if that is due soon.

        :raises TooLateError: it is not due soon, or the connection was closed.
        """
        self._connection = connection
        if self._gate is not None and self._slot is not None and not self._gate.is_open(self._slot):
            self._slot = self._gate.renew(self._slot)
            left = self._gate.left_of(self._slot)
            if left > LONGEST_HOLD:
                raise TooLateError
            if left > 0:
                self._sleep(left)
        self._check()
        self.has_left = not self._has_body

    def on_body(self) -> None:
        """
        Check the slot a last time, and let the body leave.

        :raises TooLateError: the slot or the connection has expired: the process was frozen in between.
        """
        if self._may_leave is not None:
            self._may_leave()
        self._check()
        self.has_left = True

    def give_up(self) -> None:
        """Release the slot of a request that did not leave and will not."""
        if self._gate is not None and self._slot is not None and not self.has_left:
            self._gate.release(self._slot)

    def _check(self) -> None:
        if self._gate is not None and self._slot is not None and not self._gate.is_open(self._slot):
            raise TooLateError
        if self._connection is not None and not self._connection.is_usable:
            raise TooLateError


current_request: ContextVar[OutgoingRequest | None] = ContextVar("current_request", default=None)
"""The request that this thread is sending, for the connection that it leaves through."""


class CancellableBody:
    """
    A request's body that can still be held back when its first byte is about to leave.

    The body leaves only by being read. If it was not read, the gateway has the headers at most, and no phone number.

    :param body: with its length in the headers already.
    :param outgoing: the request; raises to hold the body back.
    """

    def __init__(self, body: bytes, outgoing: OutgoingRequest) -> None:
        self._body = body
        self._request = outgoing

    def read(self, size: int = -1) -> bytes:
        """Return the whole body, whatever the size asked for, then nothing."""
        body, self._body = self._body, b""
        # Not a second time, at the end: all of it has left then.
        if body:
            self._request.on_body()
        return body
