"""A campaign that is killed near its end, and how soon its retry sends what is left."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks.environment import LONGEST, STORE, Child
from benchmarks.gateway import Gateway

IN_FLIGHT = 4


def measure(
    child: Child, gateway: Gateway, to: Path, *, answered: int, store: str | None = None
) -> dict[str, Any]:
    """
    Kill the task while it waits for the answers behind the last one that it gets, and retry it.

    :param answered: batches that are answered; the next ones arrive and stay in doubt.
    :param store: the URL of the store; None for the usual file.
    :returns: seconds until the first new send reached the gateway, and how many recipients were reached in all.
    """
    gateway.reset(answers=answered)
    env = None if store is None else {STORE: store}
    process = child.start("benchmarks.airflow_run", f"both={to}", env=env)
    deadline = time.monotonic() + LONGEST
    try:
        while gateway.stats()["sends"] < answered + IN_FLIGHT:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the campaign did not come so far")
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    before = gateway.stats()
    gateway.reset()
    (told,) = child.run("benchmarks.airflow_run", f"again={to}", env=env)
    after = gateway.stats()
    return {
        "seconds": after["first"] - told["began"],
        "sends": before["sends"] + after["sends"],
        "recipients": before["recipients"] + after["recipients"],
        "counts": told["counts"],
    }
