"""
Thousands of campaigns that wait in one event loop, as in a triggerer, beside one task for each that polls on its own.

Run by ``benchmarks`` as a process of its own, so that its memory is its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.memory import resident_megabytes
from benchmarks.results import Row

if TYPE_CHECKING:
    from airflow_provider_voicepartner.delivery.store import DeliveryStore
    from benchmarks.environment import Child

INTERVAL = 5.0
INTERVALS = 3
GOAL_P99_MS = 50.0
GOAL_MEGABYTES = 200
_NAP = 0.005
_AT_ONCE = 500
GATEWAY = "voicepartner"


def reference(number: int) -> str:
    """Name a batch."""
    return f"b{number:011d}"


def campaign(number: int) -> dict[str, Any]:
    """Return the report of a campaign, as an operator would."""
    batch = {"reference": reference(number), "gateway_id": str(number), "accepted": 1, "state": "sent"}
    return {
        "gateway": GATEWAY, "conn_id": "voicepartner_default", "kind": "tts", "scheduled_for": None,
        "sent_at": datetime.now(UTC).isoformat(), "counts": {"accepted": 1}, "segments": None, "cost": None,
        "currency": None, "batches": [batch],
    }  # fmt: skip


def report_about(store: DeliveryStore, numbers: range) -> None:
    """Let the gateway tell the end of campaigns."""
    from airflow_provider_voicepartner.delivery.store import Arrival, of_reference
    from airflow_provider_voicepartner.gateways.model import DeliveryReport
    from airflow_provider_voicepartner.gateways.status import DeliveryStatus

    event = DeliveryReport(
        gateway=GATEWAY, campaign_id=None, phone_number="+33612345678", status=DeliveryStatus.DELIVERED
    )
    now = time.time()
    for start in range(numbers.start, numbers.stop, _AT_ONCE):
        some = range(start, min(start + _AT_ONCE, numbers.stop))
        store.write(
            [Arrival(key=of_reference(GATEWAY, reference(n)), event=event, received_at=now) for n in some]
        )


async def delays(found: list[float]) -> None:
    """Note again and again how much later than wanted the loop goes on."""
    while True:
        wanted = time.perf_counter() + _NAP
        await asyncio.sleep(_NAP)
        found.append(time.perf_counter() - wanted)


async def by_trigger(number: int) -> None:
    """Wait as the provider does."""
    from airflow_provider_voicepartner.hooks.completion import CompletionOptions
    from airflow_provider_voicepartner.triggers.campaign import CampaignCompletionTrigger

    trigger = CampaignCompletionTrigger(campaign(number), CompletionOptions().to_json(), INTERVAL)
    async for event in trigger.run():
        assert event.payload["status"] == "complete", event


async def alone(store: DeliveryStore, number: int) -> None:
    """Wait by asking on one's own, in the loop's threads."""
    from airflow_provider_voicepartner.delivery.store import of_reference

    key = of_reference(GATEWAY, reference(number))
    while not await asyncio.to_thread(store.counts, [key]):
        await asyncio.sleep(INTERVAL)


async def measure(
    waiting: int, wait: Callable[[int], Awaitable[None]], store: DeliveryStore
) -> dict[str, Any]:
    """Let many wait for some intervals, then end them all; return delays in ms, queries and megabytes."""
    before, queries = resident_megabytes(), count_queries()
    found: list[float] = []
    watching = asyncio.create_task(delays(found))
    started = time.perf_counter()
    tasks = []
    for number in range(waiting):
        tasks.append(asyncio.create_task(wait(number)))
        if number % 10 == 9:
            await asyncio.sleep(0)  # a triggerer is given its triggers a few at a time, too
    await asyncio.sleep(max(0.0, started + INTERVALS * INTERVAL - time.perf_counter()))
    asked, took = queries(), time.perf_counter() - started
    megabytes = resident_megabytes() - before
    await asyncio.to_thread(report_about, store, range(waiting))
    await asyncio.gather(*tasks)
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    found.sort()
    return {
        "p99": found[int(len(found) * 0.99)] * 1000,
        "worst": found[-1] * 1000,
        "queries": asked / (took / INTERVAL),
        "megabytes": megabytes,
        "ended": time.perf_counter() - started - took,
    }


def count_queries() -> Callable[[], int]:
    """Count the questions to the store from now on."""
    from airflow_provider_voicepartner.delivery.store import DeliveryStore

    asked = [0]

    def counted(question: Callable[..., Any]) -> Callable[..., Any]:
        def ask(*args: Any, **kwargs: Any) -> Any:
            asked[0] += 1
            return question(*args, **kwargs)

        return ask

    for name in ("changes", "counts"):
        question = getattr(DeliveryStore, name)
        setattr(DeliveryStore, name, counted(getattr(question, "plain", question)))
        getattr(DeliveryStore, name).plain = getattr(question, "plain", question)
    return lambda: asked[0]


def main() -> None:
    """Write what was measured, as JSON; one way a process."""
    from airflow_provider_voicepartner.hooks.stores import open_delivery_store

    logging.disable(logging.INFO)
    way, waiting = sys.argv[1], int(sys.argv[2])
    store = open_delivery_store()

    async def wait(number: int) -> None:
        await (by_trigger(number) if way == "together" else alone(store, number))

    sys.stdout.write("\n" + json.dumps(asyncio.run(measure(waiting, wait, store))) + "\n")


def row(child: Child, folder: Path, waiting: int) -> Row:
    """Measure both ways."""
    told = {}
    for way in ("together", "alone"):
        url = f"sqlite:///{folder / f'waiting-{way}.db'}"
        told[way] = child.run(
            "benchmarks.waiting", way, waiting,
            env={
                "AIRFLOW__VOICEPARTNER__STORE_URL": url,
                "AIRFLOW__VOICEPARTNER__PUBLIC_URL": "https://hooks.example.org",
                "AIRFLOW__VOICEPARTNER__CALLBACK_SECRET": "what signs the benchmark's URLs",
            },
        )  # fmt: skip
    ours, theirs = told["together"], told["alone"]
    few = ours["queries"] <= 1.01 and ours["megabytes"] < GOAL_MEGABYTES
    return Row(
        what=f"{waiting:,} campaigns wait in one event loop: its delay, 99th percentile",
        ours=f"{ours['queries']:.1f} questions to the store an interval, {ours['megabytes']:.0f} MB; all ended "
        f"{ours['ended']:.1f} s after the last report",
        beside=f"a task for each that asks on its own: {theirs['p99']:.0f} ms, {theirs['queries']:,.0f} questions, "
        f"{theirs['megabytes']:.0f} MB, {theirs['ended']:.1f} s",
        measured=ours["p99"],
        goal=GOAL_P99_MS,
        at_least=False,
        unit=" ms",
        also=(f"one question an interval, under {GOAL_MEGABYTES} MB", few),
    )


if __name__ == "__main__":
    os.environ.setdefault("NO_PROXY", "127.0.0.1")
    main()
