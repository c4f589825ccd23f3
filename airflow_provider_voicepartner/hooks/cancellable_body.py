"""A request's way out: what is asked once more when its connection stands, and right before its body leaves."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Protocol

from airflow_provider_voicepartner.constants import LONGEST_HOLD
from airflow_provider_voicepartner.sending.transport import Slot


class Gate(Protocol):
    """The rate limit, as who sends sees it."""

    def pass_through(self, endpoint: str, slot: Slot | None) -> Slot:
        """
        Wait until a request may leave.

        :param slot: the request's; None takes one. Where its moment is gone, it becomes a later one.
        :returns: one whose moment is now.
        :raises RetryableNotSentError: that takes too long, or the store cannot be reached; the slot was released. So
            it is when the wait was cut by another error.
        """

    def is_open(self, slot: Slot) -> bool:
        """Say, without asking anybody, whether this is a slot's moment."""

    def renew(self, slot: Slot) -> Slot:
        """Change a slot whose moment is gone for a later one; errors as above."""

    def left_of(self, slot: Slot) -> float:
        """Return the seconds until a slot's moment."""

    def release(self, slot: Slot) -> None:
        """Release the slot of a request that did not leave; never raises."""


class PooledConnection(Protocol):
    """A connection, as a request on its way out sees it."""

    @property
    def is_usable(self) -> bool:
        """False where the other side closed it, or may have forgotten it."""


class TooLateError(Exception):
    """A request was kept at the last moment: its slot was gone, or its connection. Nothing of its body left."""


class OutgoingRequest:
    """
    One request on its way out.

    :param endpoint: the request's.
    :param has_body: without one, the request leaves as soon as its connection stands.
    :param gate: the rate limit; None keeps none.
    :param slot: that the caller took; None takes one.
    :param may_leave: raises to keep the request here.
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
        """Wait for the request's slot; before a connection is taken, since one must not wait for long."""
        self._connection = None
        if self._gate is not None:
            self._slot = self._gate.pass_through(self._endpoint, self._slot)
        if self._may_leave is not None:
            self._may_leave()

    def on_connected(self, connection: PooledConnection) -> None:
        """
        Look at the clock once the connection stands, before anything is written to it.

        To connect takes a while, to a server far away longer than a slot lasts. So a slot that is gone is changed for
        another right here, if that is soon.

        :raises TooLateError: it is not, or the connection was closed.
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
        Look at the clock a last time, and let the body leave.

        :raises TooLateError: its slot or its connection is gone: the process was frozen in between.
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
    A request's body, which asks before its first byte leaves.

    Nobody gets at the body but by reading it. So if it was not read, it did not leave: a gateway has the headers then,
    and nobody's number.

    :param body: with its length in the headers already.
    :param outgoing: the request, which is asked; raises to keep it here.
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
