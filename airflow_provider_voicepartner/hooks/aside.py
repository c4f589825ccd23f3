"""Work in a thread of its own, which may be left behind; where none can be started, the work is done at once."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Aside:
    """
    Work that has begun.

    A task that failed since its process has no threads left must alert people all the same: without a thread the work
    is done here, and ends by the time-outs of its sockets.

    :param work: raises nothing.
    """

    def __init__(self, work: Callable[[], object], *, name: str) -> None:
        self._thread: threading.Thread | None = threading.Thread(target=work, name=name, daemon=True)
        try:
            self._thread.start()
        except (RuntimeError, MemoryError):  # also at the end of an interpreter
            self._thread = None
            work()

    def is_over(self, within: float) -> bool:
        """
        Wait for its end.

        :param within: seconds.
        """
        if self._thread is None:
            return True
        self._thread.join(within)
        return not self._thread.is_alive()
