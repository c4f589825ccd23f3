"""A clock that all processes of one machine share, and that nobody sets; and the name of what it counts from."""

from __future__ import annotations

import re
import time
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_ID = re.compile(r"[0-9a-f]{32}")


def machine_clock() -> float:
    """
    Return seconds since the machine was started, which only go forward.

    Time in which the machine slept counts too, where the system can tell: what was about to leave then is late.
    """
    # Not there but on Linux.
    boot_time: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot_time is None else time.clock_gettime(boot_time)


def boot_id() -> str | None:
    """Return what names this start of the machine, 32 hexadecimal digits; None where the system does not tell."""
    try:
        text = _BOOT_ID.read_text(encoding="ascii").strip().replace("-", "")
    except (OSError, ValueError):
        return None
    return text if _ID.fullmatch(text) else None
