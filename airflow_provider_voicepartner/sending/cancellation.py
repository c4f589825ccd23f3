"""A token that asks a campaign to stop; DAG files import it through the operators, so it imports little."""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_voicepartner.constants import STOP_CHECK_INTERVAL
from airflow_provider_voicepartner.exceptions import CampaignInterruptedError


def _never() -> bool:
    return False


class CancellationToken:
    """
    Asks a campaign to stop: nothing more is claimed, nothing more leaves, what is under way is recorded.

    A plain flag and not an event: it is set in a signal handler, which may have interrupted whoever waits for it. Once
    cancelled it stays so.

    :param is_over: another reason to stop, asked each time: a token above this one, a time that is over.
    """

    def __init__(self, is_over: Callable[[], bool] = _never) -> None:
        self._is_cancelled = False
        self._is_over = is_over

    @property
    def is_cancelled(self) -> bool:
        """True once somebody asked to stop."""
        return self._is_cancelled or self._is_over()

    def cancel(self) -> None:
        """Ask to stop."""
        self._is_cancelled = True

    def check(self) -> None:
        """
        Go on only if nobody asked to stop.

        :raises CampaignInterruptedError: somebody did.
        """
        if self.is_cancelled:
            raise CampaignInterruptedError(
                "stopped as asked; what was sent is recorded, and a retry continues"
            )

    def sleeper(self, sleep: Callable[[float], None]) -> Callable[[float], None]:
        """
        Return a sleep that checks the token twice a second.

        :param sleep: sleeps for some seconds.
        :returns: the same, but it raises ``CampaignInterruptedError`` when it is asked to stop.
        """

        def wait(seconds: float) -> None:
            while True:
                self.check()
                if seconds <= 0:
                    return
                sleep(min(seconds, STOP_CHECK_INTERVAL))
                seconds -= STOP_CHECK_INTERVAL

        return wait
