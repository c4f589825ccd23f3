"""A request that asks once more whether it may leave, when its connection stands and its body is next."""

from __future__ import annotations

from collections.abc import Callable


class LastLook:
    """
    A request's body, which asks before its first byte leaves.

    Connecting may take longer than a campaign that was stopped waits for its requests. What is kept here was not sent:
    a gateway has the headers then, and nobody's number.

    :param body: with its length in the headers already.
    :param may_leave: raises to keep it here.
    """

    def __init__(self, body: bytes, may_leave: Callable[[], None]) -> None:
        self._body = body
        self._may_leave = may_leave

    def read(self, size: int = -1) -> bytes:
        """Return the whole body, whatever the size asked for, then nothing."""
        body, self._body = self._body, b""
        # Not a second time, at the end: all of it has left then.
        if body:
            self._may_leave()
        return body
