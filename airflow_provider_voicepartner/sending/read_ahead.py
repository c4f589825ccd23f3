"""The next batches, read while answers are awaited: after an answer the next request then leaves without delay."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


class ReadAhead(Iterator[Item], Generic[Item]):
    """
    Items in their order, of which some are read before they are needed.

    :param items: read one by one, by whoever asks.
    :param most: so many are kept ready.
    """

    def __init__(self, items: Iterator[Item], most: int) -> None:
        self._items = items
        self._most = most
        self._ready: deque[Item] = deque()
        self._error: Exception | None = None
        self._is_over = False

    def read_one(self) -> bool:
        """
        Read one more item; what goes wrong is raised when those before it were given out.

        :returns: False when enough is ready, or there is nothing to read any more.
        """
        if self._is_over or len(self._ready) >= self._most:
            return False
        try:
            self._ready.append(next(self._items))
        except StopIteration:
            self._is_over = True
        except Exception as error:
            self._error, self._is_over = error, True
        return not self._is_over

    def __next__(self) -> Item:
        """Return the next item; reads it where it is not ready."""
        if not self._ready:
            self.read_one()
        if self._ready:
            return self._ready.popleft()
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        raise StopIteration
