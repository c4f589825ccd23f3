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

from benchmarks.environment import GATEWAY
from benchmarks.gateway import NUMBER, Gateway
from benchmarks.memory import resident_megabytes
from benchmarks.results import Row

if TYPE_CHECKING:
    from airflow_provider_voicepartner.delivery.store import DeliveryStore
    from benchmarks.environment import Child

INTERVAL = 5.0
INTERVALS = 3
MOST_REQUESTS = 20
GOAL_P99_MS = 50.0
GOAL_MEGABYTES = 200
_NAP = 0.005
_AT_ONCE = 500
KINDS = {"voicepartner": "tts", "smspartner": "sms"}


def reference(number: int) -> str:
    """Name a batch."""
    return f"b{number:011d}"


def campaign(gateway: str, number: int) -> dict[str, Any]:
    """Return the report of a campaign, as an operator would."""
    batch = {"reference": reference(number), "gateway_id": str(number + 1), "accepted": 1, "state": "sent"}
    return {
        "gateway": gateway, "conn_id": f"{gateway}_default", "kind": KINDS[gateway], "scheduled_for": None,
        "sent_at": datetime.now(UTC).isoformat(), "counts": {"accepted": 1}, "segments": None, "cost": None,
        "currency": None, "batches": [batch],
    }  # fmt: skip


def report_about(gateway: str, store: DeliveryStore, numbers: range) -> None:
    """Let the gateway tell the end of campaigns."""
    from airflow_provider_voicepartner.delivery.inbound import InboundRecord, of_reference
    from airflow_provider_voicepartner.gateways.model import DeliveryReport
    from airflow_provider_voicepartner.gateways.status import DeliveryStatus

    event = DeliveryReport(
        gateway=gateway, campaign_id=None, phone_number=NUMBER, status=DeliveryStatus.DELIVERED
    )
    now = time.time()
    for start in range(numbers.start, numbers.stop, _AT_ONCE):
        some = range(start, min(start + _AT_ONCE, numbers.stop))
        store.write(
            [
                InboundRecord(key=of_reference(gateway, reference(n)), event=event, received_at=now)
                for n in some
            ]
        )


async def delays(found: list[float]) -> None:
    """Note again and again how much later than wanted the loop goes on."""
    while True:
        wanted = time.perf_counter() + _NAP
        await asyncio.sleep(_NAP)
        found.append(time.perf_counter() - wanted)


async def by_trigger(gateway: str, interval: float, number: int) -> None:
    """Wait as the provider does."""
    from airflow_provider_voicepartner.hooks.completion_options import CompletionOptions
    from airflow_provider_voicepartner.triggers.campaign import CampaignCompletionTrigger

    trigger = CampaignCompletionTrigger(campaign(gateway, number), CompletionOptions().to_json(), interval)
    async for event in trigger.run():
        assert event.payload["status"] == "complete", event


async def alone(store: DeliveryStore, gateway: str, interval: float, number: int) -> None:
    """Wait by asking on one's own, in the loop's threads."""
    from airflow_provider_voicepartner.delivery.inbound import of_reference

    key = of_reference(gateway, reference(number))
    while not await asyncio.to_thread(store.has_report, key):
        await asyncio.sleep(interval)


async def measure(
    waiting: int,
    wait: Callable[[int], Awaitable[None]],
    end: Callable[[range], None],
    *,
    interval: float,
    requests: Callable[[], int],
) -> dict[str, Any]:
    """
    Let many wait for some intervals, then end them all.

    :param wait: for the campaign of a number.
    :param end: campaigns of these numbers.
    :param requests: that the gateway has seen.
    :returns: delays in ms, megabytes, and queries to the store and requests to the gateway in an interval; of requests
        in the last one, when no campaign is new any more.
    """
    before, queries = resident_megabytes(), count_queries()
    found: list[float] = []
    watching = asyncio.create_task(delays(found))
    started = time.perf_counter()
    tasks = []
    for number in range(waiting):
        tasks.append(asyncio.create_task(wait(number)))
        if number % 10 == 9:
            await asyncio.sleep(0)  # a triggerer is given its triggers a few at a time, too
    await asyncio.sleep(max(0.0, started + (INTERVALS - 1) * interval - time.perf_counter()))
    earlier = await asyncio.to_thread(requests)
    await asyncio.sleep(max(0.0, started + INTERVALS * interval - time.perf_counter()))
    asked, took, later = queries(), time.perf_counter() - started, await asyncio.to_thread(requests)
    megabytes = resident_megabytes() - before
    await asyncio.to_thread(end, range(waiting))
    await asyncio.gather(*tasks)
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    found.sort()
    return {
        "p99": found[int(len(found) * 0.99)] * 1000,
        "worst": found[-1] * 1000,
        "queries": asked / (took / interval),
        "requests": later - earlier,
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

    for name in ("changes", "has_report"):
        question = getattr(DeliveryStore, name)
        setattr(DeliveryStore, name, counted(getattr(question, "plain", question)))
        getattr(DeliveryStore, name).plain = getattr(question, "plain", question)
    return lambda: asked[0]


def main() -> None:
    """Write what was measured, as JSON; one way a process."""
    from airflow_provider_voicepartner.settings import open_delivery_store

    logging.disable(logging.INFO)
    way, gateway, waiting, interval = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    store, seen = open_delivery_store(), Gateway(os.environ[GATEWAY])

    async def wait(number: int) -> None:
        await (
            by_trigger(gateway, interval, number)
            if way == "together"
            else alone(store, gateway, interval, number)
        )

    found = asyncio.run(
        measure(
            waiting,
            wait,
            lambda numbers: report_about(gateway, store, numbers),
            interval=interval,
            requests=lambda: int(seen.stats()["questions"]),
        )
    )
    sys.stdout.write("\n" + json.dumps(found) + "\n")


def rows(child: Child, folder: Path, waiting: int, *, asked_interval: float) -> list[Row]:
    """
    Measure campaigns whose gateway calls, beside a task for each; and such as a gateway is asked about.

    :param asked_interval: of the latter, in seconds: in the first, each of them is asked about by itself.
    """
    ours, theirs = (
        _run(child, folder, way, "voicepartner", waiting, INTERVAL) for way in ("together", "alone")
    )
    asked = _run(child, folder, "together", "smspartner", waiting, asked_interval)
    return [
        _row(
            ours,
            what=f"{waiting:,} campaigns wait in one event loop: its delay, 99th percentile",
            beside=f"a task for each that asks on its own: {theirs['p99']:.0f} ms, {theirs['queries']:,.0f} questions, "
            f"{theirs['megabytes']:.0f} MB, {theirs['ended']:.1f} s",
            also="one question an interval",
            is_few=True,
        ),
        _row(
            asked,
            what=f"the same where the gateway is asked too, every {asked_interval:.0f} s",
            beside=f"{asked['requests']:.0f} requests to the gateway an interval, once each has been asked about",
            also=f"one question and {MOST_REQUESTS} requests and a few an interval",
            is_few=asked["requests"] <= MOST_REQUESTS * 3,
        ),
    ]


def _run(
    child: Child, folder: Path, way: str, gateway: str, waiting: int, interval: float
) -> dict[str, float]:
    found: dict[str, float] = child.run(
        "benchmarks.waiting", way, gateway, waiting, interval,
        env={
            "AIRFLOW__VOICEPARTNER__STORE_URL": f"sqlite:///{folder / f'waiting-{way}-{gateway}.db'}",
            "AIRFLOW__VOICEPARTNER__PUBLIC_URL": "https://hooks.example.org",
            "AIRFLOW__VOICEPARTNER__CALLBACK_SECRET": "what signs the benchmark's URLs",
        },
    )  # fmt: skip
    return found


def _row(found: dict[str, float], *, what: str, beside: str, also: str, is_few: bool) -> Row:
    few = is_few and found["queries"] <= 1.01 and found["megabytes"] < GOAL_MEGABYTES
    return Row(
        what=what,
        ours=f"{found['queries']:.1f} questions to the store an interval, {found['megabytes']:.0f} MB; all ended "
        f"{found['ended']:.1f} s after the last report",
        beside=beside,
        measured=found["p99"],
        goal=GOAL_P99_MS,
        at_least=False,
        unit=" ms",
        also=(f"{also}, under {GOAL_MEGABYTES} MB", few),
    )


if __name__ == "__main__":
    os.environ.setdefault("NO_PROXY", "127.0.0.1")
    main()
