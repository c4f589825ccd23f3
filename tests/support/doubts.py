"""Which batches an error names as being in doubt, for tests that take the user's place."""

from __future__ import annotations

import re

_NAMED = re.compile(r"\bbatch(?:es)? (\d[\d, to]*) \(")
_SPAN = re.compile(r"(\d+)(?: to (\d+))?")


def doubts_in(error: str) -> set[int]:
    """
    Return the batches, from 0, that an error names.

    :param error: its text, such as ``batch 2 (500 recipients, …), batches 4 to 6, 9 (…) are in doubt: …``; the user
        counts from 1.
    """
    found: set[int] = set()
    for named in _NAMED.findall(error.partition(" in doubt: ")[0]):
        for first, last in _SPAN.findall(named):
            found.update(range(int(first) - 1, int(last or first)))
    return found
