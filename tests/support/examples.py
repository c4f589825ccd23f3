"""How many examples a property is tried with: all that its test asks for in `make test-all`, fewer in `make test`."""

from __future__ import annotations

import os

_ONE_IN = 1 if os.environ.get("ALL_EXAMPLES") else 4
_LEAST = 25


def examples(number: int) -> int:
    """Return a number of examples for ``hypothesis.settings``; they are drawn anew in each run."""
    return max(number // _ONE_IN, min(number, _LEAST))
