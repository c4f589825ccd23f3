"""
The clocks of the store: a machine's own, which nobody sets, and the time in which slots of a rate limit are counted.

On PostgreSQL slots are counted in the database's time. A SQLite file belongs to one machine, whose processes share the
machine's clock: so a wall clock that is wrong in one of them, or is corrected, breaks no limit. That clock begins anew
with each start of the machine, and the database stores for each start what has to be added to it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from airflow_provider_voicepartner.constants import LONGEST_PENALTY

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_ID: Final = re.compile(r"[0-9a-f]{32}")
_MICROSECONDS: Final = 1_000_000


def machine_clock() -> float:
    """
    Return seconds since the machine was started, which only go forward.

    Time in which the machine was suspended counts too, where the system measures it: a request that was due is late.
    """
    # Only on Linux.
    boot_time: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot_time is None else time.clock_gettime(boot_time)


def boot_id() -> str | None:
    """Return the id of this start of the machine, 32 hexadecimal digits; None where the system has none."""
    try:
        text = _BOOT_ID.read_text(encoding="ascii").strip().replace("-", "")
    except (OSError, ValueError):
        return None
    return text if _ID.fullmatch(text) else None


class Transactions(Protocol):
    """The transactions of a store."""

    def read(self) -> AbstractContextManager[Connection]:
        """Run a block that only reads."""

    def write(self) -> AbstractContextManager[Connection]:
        """Run a block in one write transaction."""


def slot_clock_offset(
    store: Transactions, boot: str, *, machine_clock: Callable[[], float], wall_clock: Callable[[], float]
) -> float:
    """
    Return the seconds to add to the machine's clock; the first process after a start of the machine decides.

    The sum begins as Unix time, but never before a slot that was reserved: such a slot counts as a request that left
    just now. So requests before the start still count if the wall clock was set back meanwhile, and nothing blocks for
    longer than one window, or one penalty. It may run ahead of Unix time, which does no harm: only distances count.

    :param boot: the id of this start of the machine.
    """
    from sqlalchemy import text

    from airflow_provider_voicepartner.db.schema import rate_limit, rate_slot, sequence

    name = {"name": f"pace:{boot}"}
    find = text(f"SELECT value FROM {sequence.name} WHERE name = :name")
    with store.read() as connection:
        found = connection.execute(find, name).scalar()
    if found is None:
        with store.write() as connection:
            # Read again with the write lock: another process may have written it.
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
