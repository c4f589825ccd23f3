"""How a campaign is told to stop."""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_voicepartner.constants import STOP_LOOK_INTERVAL
from airflow_provider_voicepartner.exceptions import CampaignInterruptedError


def _never() -> bool:
    return False


class StopSign:
    """
    Asks a campaign to stop: nothing more is claimed, nothing more leaves, what is under way is recorded.

    A plain flag and not an event: it is set in a signal handler, which may have interrupted whoever waits for it. Once
    up it stays up.

    :param is_over: another reason to stop, asked each time: a sign that stands above this one, a time that is over.
    """

    def __init__(self, is_over: Callable[[], bool] = _never) -> None:
        self._is_raised = False
        self._is_over = is_over

    @property
    def is_up(self) -> bool:
        """True once somebody asked to stop."""
        return self._is_raised or self._is_over()

    def raise_(self) -> None:
        """Ask to stop."""
        self._is_raised = True

    def check(self) -> None:
        """
        Go on only if nobody asked to stop.

        :raises CampaignInterruptedError: somebody did.
        """
        if self.is_up:
            raise CampaignInterruptedError("stopped as asked; what was sent is recorded, and a retry goes on")

    def sleeper(self, sleep: Callable[[float], None]) -> Callable[[float], None]:
        """
        Return a sleep that looks up twice a second.

        :param sleep: sleeps for some seconds.
        :returns: the same, but it raises ``CampaignInterruptedError`` when it is asked to stop.
        """

        def wait(seconds: float) -> None:
            while True:
                self.check()
                if seconds <= 0:
                    return
                sleep(min(seconds, STOP_LOOK_INTERVAL))
                seconds -= STOP_LOOK_INTERVAL

        return wait
