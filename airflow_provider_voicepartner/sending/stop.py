"""How a campaign is told to stop."""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_voicepartner.exceptions import CampaignInterruptedError

_GLANCE = 0.5


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

    def sleeper(self, sleep: Callable[[float], None]) -> Callable[[float], None]:
        """
        Return a sleep that looks up twice a second.

        :param sleep: sleeps for some seconds.
        :returns: the same, but it raises ``CampaignInterruptedError`` when it is asked to stop.
        """

        def wait(seconds: float) -> None:
            while True:
                if self.is_up:
                    raise CampaignInterruptedError(
                        "stopped as asked, in the middle of a wait; what was sent is recorded, and a retry goes on"
                    )
                if seconds <= 0:
                    return
                sleep(min(seconds, _GLANCE))
                seconds -= _GLANCE

        return wait
