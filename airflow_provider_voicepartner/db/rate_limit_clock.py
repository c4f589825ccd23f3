"""
The time in which turns at a rate limit are counted.

On PostgreSQL it is the database's own. A SQLite file is one machine's, whose processes share a clock that nobody sets:
so a wall clock that is wrong in one of them, or is corrected, breaks no limit. That clock begins anew with each start
of the machine, and the database keeps for each start what has to be added to it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final, Protocol

from airflow_provider_voicepartner.constants import LONGEST_PENALTY

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

_MICROSECONDS: Final = 1_000_000


class Transactions(Protocol):
    """What a store offers."""

    def read(self) -> AbstractContextManager[Connection]:
        """Run a block that only reads."""

    def write(self) -> AbstractContextManager[Connection]:
        """Run a block in one write transaction."""


def anchor(
    store: Transactions, boot: str, *, machine_clock: Callable[[], float], wall_clock: Callable[[], float]
) -> float:
    """
    Return the seconds to add to the machine's clock since this start; who asks first after a start decides.

    The sum begins as Unix time, but never before a slot that was given out: such a slot counts as a request that left
    just now. So what left before the start is not forgotten where the wall clock was set back meanwhile, and nothing
    blocks for longer than one window, or one penalty. It may run ahead of Unix time, which harms nothing: only
    distances count.

    :param boot: names this start of the machine.
    """
    from sqlalchemy import text

    from airflow_provider_voicepartner.db.schema import rate_limit, rate_slot, sequence

    name = {"name": f"pace:{boot}"}
    find = text(f"SELECT value FROM {sequence.name} WHERE name = :name")
    with store.read() as connection:
        found = connection.execute(find, name).scalar()
    if found is None:
        with store.write() as connection:
            # Only now nobody writes it between two looks.
            found = connection.execute(find, name).scalar()
            if found is None:
                newest = connection.execute(text(f"SELECT max(at) FROM {rate_slot.name}")).scalar()
                start = max(wall_clock(), newest or 0.0)
                found = round((start - machine_clock()) * _MICROSECONDS)
                connection.execute(
                    text(f"INSERT INTO {sequence.name} (name, value) VALUES (:name, :value)"),
                    {**name, "value": found},
                )
                connection.execute(
                    text(f"UPDATE {rate_limit.name} SET blocked_until = :most WHERE blocked_until > :most"),
                    {"most": start + LONGEST_PENALTY},
                )
    return float(found) / _MICROSECONDS
