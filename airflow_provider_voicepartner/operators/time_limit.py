"""How much of ``execution_timeout`` a try has left, its waits in the triggerer included."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_voicepartner.compat import AirflowTaskTimeout

if TYPE_CHECKING:
    from airflow_provider_voicepartner.compat import Context


class TimeLimit:
    """
    The time of one try, however many parts its waits cut it into.

    Airflow gives each part of a try all of ``execution_timeout``, and counts nothing of the waits in between.

    :param allowed: for the whole try; None has no end.
    :param began: when the first part did, aware; None where Airflow does not tell, and then nothing ends.
    """

    def __init__(self, allowed: timedelta | None, began: datetime | None) -> None:
        self._end = None if allowed is None or began is None else began.timestamp() + allowed.total_seconds()

    @classmethod
    def of(cls, allowed: timedelta | None, context: Context) -> TimeLimit:
        """Read when this try began: Airflow keeps that when a task goes on after a wait."""
        return cls(allowed, getattr(context["ti"], "start_date", None))

    @property
    def is_over(self) -> bool:
        """True when nothing is left."""
        return self._end is not None and time.time() >= self._end

    @property
    def left(self) -> timedelta | None:
        """What is left; None where there is no end."""
        return None if self._end is None else timedelta(seconds=max(0.0, self._end - time.time()))

    def check(self) -> None:
        """
        Go on only if something is left.

        :raises AirflowTaskTimeout: nothing is; as Airflow does at the end of ``execution_timeout``.
        """
        if self.is_over:
            raise AirflowTaskTimeout(
                "execution_timeout is over, the waits for the rate limit included; what was sent is recorded, and a "
                "retry goes on with the rest"
            )
