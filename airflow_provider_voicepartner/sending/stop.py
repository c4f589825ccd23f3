"""How a campaign is told to stop."""

from __future__ import annotations


class StopSign:
    """
    Asks a campaign to stop: nothing more is claimed, what is under way is recorded.

    A plain flag and not an event: it is set in a signal handler, which may have interrupted whoever waits for it.
    """

    def __init__(self) -> None:
        self.is_up = False

    def raise_(self) -> None:
        """Ask to stop."""
        self.is_up = True
