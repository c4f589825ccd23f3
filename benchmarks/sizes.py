"""How much a run measures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is measured: rows, batches of 500, seconds; ``slow_runs`` of each kind, one after the other in turn."""

    planned: int
    sample: int
    planning_runs: int
    sent: int
    sending_runs: int
    texts_in_flight: int
    alerts: int
    failures: int
    slow_batches: int
    slow_runs: int
    crash_at: int
    crash_of: int
    import_rounds: int
    peer_batches: int
    single_requests: int
    installs: bool
    reports: int
    receiver_runs: int
    waiting: int
    asked_interval: float


FULL = Sizes(
    planned=1_000_000, sample=100_000, planning_runs=3, sent=1_000_000, sending_runs=5,
    texts_in_flight=200_000, alerts=20, failures=500, slow_batches=200, slow_runs=2,
    crash_at=1900, crash_of=2000, import_rounds=3, peer_batches=20, single_requests=30, installs=True,
    reports=20_000, receiver_runs=5, waiting=10_000, asked_interval=30.0,
)  # fmt: skip
QUICK = Sizes(
    planned=50_000, sample=2_000, planning_runs=1, sent=50_000, sending_runs=1,
    texts_in_flight=8_000, alerts=2, failures=40, slow_batches=12, slow_runs=1,
    crash_at=40, crash_of=60, import_rounds=1, peer_batches=4, single_requests=3, installs=False,
    reports=1_000, receiver_runs=1, waiting=500, asked_interval=3.0,
)  # fmt: skip
