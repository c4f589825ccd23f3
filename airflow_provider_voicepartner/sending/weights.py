"""What batches are priced by: their SMS segments, counted in each way there is until answers tell which is right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil
from typing import Final

_AS_COUNTED: Final = Fraction(1)


class Weights:
    """
    The weights of a campaign's batches.

    A vendor's pages may leave open how it counts. Until an answer tells, a batch weighs what the dearest reading of
    them says, so that a limit is kept whichever is right; each answer rules out the readings that it contradicts.

    :param readings: returns a batch's segments from its index: one count for each way to count them, always as many and
        in the same order, the likeliest first.
    """

    def __init__(self, readings: Callable[[int], Sequence[int]]) -> None:
        self._readings = readings
        self._open: tuple[int, ...] | None = None
        self._factor = _AS_COUNTED

    def most(self, index: int) -> int:
        """Return a batch's weight by the dearest reading that is not ruled out."""
        return max(self._counts(index).values())

    def likely(self, index: int) -> int:
        """Return a batch's weight by the likeliest reading that is not ruled out."""
        return next(iter(self._counts(index).values()))

    def learn(self, index: int, size: int, told: int) -> bool:
        """
        Take what an answer says that a batch, of which everybody was accepted, needed; a single reading stays as it is.

        :param size: recipients of the batch.
        :param told: SMS of the whole batch, or of each recipient, which no page tells apart: the dearer one counts
            where both may be.
        :returns: True when batches weigh something else now.
        """
        counts = self._counts(index)
        if told < 1 or (len(counts) == 1 and self._open is None):
            return False
        before = self._open, self._factor
        total = _total(counts, size, told)
        right = tuple(at for at, count in counts.items() if count == total)
        enough = [at for at, count in counts.items() if count >= total]
        if not right and enough:
            right = (min(enough, key=counts.__getitem__),)
        if not right:
            dearest = max(counts, key=counts.__getitem__)
            right = (dearest,)
            self._factor *= Fraction(total, counts[dearest])
        self._open = right
        return before != (self._open, self._factor)

    def _counts(self, index: int) -> dict[int, int]:
        """Return a batch's count in each reading that is not ruled out, by its place."""
        counts = self._readings(index)
        places = range(len(counts)) if self._open is None else self._open
        if self._factor is _AS_COUNTED:  # Nearly always; fractions take their time.
            return {at: counts[at] for at in places}
        return {at: ceil(counts[at] * self._factor) for at in places}


def _total(counts: dict[int, int], size: int, told: int) -> int:
    """Return how many SMS the whole batch needed, by the readings where the answer may mean two things."""
    meant = [total for total in (told, told * size) if total >= size]
    likely = [total for total in meant if min(counts.values()) <= total <= max(counts.values())]
    return max(likely) if likely else min(meant)
