"""
A campaign, against a bare loop that posts the same bodies, built beforehand, one after another.

Run by ``benchmarks`` as a process of its own, so that its memory is its own.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.environment import PERSONAL_TEXT, TEXT
from benchmarks.memory import resident_megabytes

_LOOK_EVERY = 10
_UNPOOLED = 300
_IN_THREADS = 80


@dataclass
class MemoryStore:
    """A task state that keeps nothing; it also looks at the memory at each write."""

    megabytes: list[float] = field(default_factory=list)
    writes: int = 0

    def get(self, key: str, default: Any = None) -> Any:
        """Return nothing."""
        return default

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        """Count the write."""
        self.writes += 1
        if self.writes % _LOOK_EVERY == 0:
            self.megabytes.append(resident_megabytes())


def prebuilt(operator: Any, plan: Any) -> list[bytes]:
    """Return the bodies that a plan leads to, as they stand on the wire."""
    hook = operator._hook()
    message = hook.with_defaults(operator.message_to_send())
    requests = [
        hook.gateway.authenticate(
            hook.build_batch(message, batch.recipients, reference=f"{batch.index:012d}"), hook.credentials
        )
        for batch in plan.batches()
    ]
    return [json.dumps(request.body).encode() for request in requests]


def bare_loop(url: str, bodies: list[bytes], endpoint: str) -> float:
    """Return the seconds that it takes to post bodies one after another, as briefly as requests can."""
    import requests

    started = time.monotonic()
    with requests.Session() as session:
        session.trust_env = False
        for body in bodies:
            answer = session.post(
                f"{url}/v1/{endpoint}", data=body, headers={"Content-Type": "application/json"}, timeout=30
            )
            answer.raise_for_status()
    return time.monotonic() - started


def threaded_loop(url: str, bodies: list[bytes], endpoint: str, *, threads: int) -> float:
    """Return the seconds that it takes to post bodies from several threads, and to read the JSON of the answers."""
    import requests
    from requests.adapters import HTTPAdapter

    with requests.Session() as session, ThreadPoolExecutor(threads) as pool:
        session.trust_env = False
        session.mount("http://", HTTPAdapter(pool_maxsize=threads))

        def post(body: bytes) -> None:
            headers = {"Content-Type": "application/json"}
            answer = session.post(f"{url}/v1/{endpoint}", data=body, headers=headers, timeout=30)
            answer.raise_for_status()
            answer.json()

        list(pool.map(post, bodies[:threads]))
        started = time.monotonic()
        list(pool.map(post, bodies))
        return time.monotonic() - started


def unpooled_loop(url: str, bodies: list[bytes], endpoint: str) -> float:
    """Return the seconds that the same takes with a connection for each body, as in most examples."""
    import requests

    started = time.monotonic()
    for body in bodies:
        answer = requests.post(
            f"{url}/v1/{endpoint}", data=body, headers={"Content-Type": "application/json"}, timeout=30
        )
        answer.raise_for_status()
    return time.monotonic() - started


def measure(path: Path, url: str, what: str, *, at_once: bool) -> dict[str, Any]:
    """
    Run the campaign, between two halves of the loop where the gateway answers at once.

    :param what: ``numbers`` or ``personal``.
    :returns: seconds of each, and the growth of memory in MB.
    """
    from airflow_provider_voicepartner.db.engine import open_store
    from airflow_provider_voicepartner.operators.planning import plan_of
    from airflow_provider_voicepartner.operators.sending import campaign_of, send_campaign
    from airflow_provider_voicepartner.operators.sms import SendSmsOperator
    from airflow_provider_voicepartner.sending.cancellation import CancellationToken
    from airflow_provider_voicepartner.sending.ledger import Ledger, Try
    from airflow_provider_voicepartner.sending.task_state import TaskStateMemory

    operator = SendSmsOperator(
        task_id="send", to=str(path), message=PERSONAL_TEXT if what == "personal" else TEXT
    )
    hook = operator._hook()
    message = hook.with_defaults(operator.message_to_send())
    started = time.monotonic()
    plan = plan_of(operator.sending_arguments(), hook, message)
    planning = time.monotonic() - started
    assert plan is not None
    bodies = prebuilt(operator, plan)
    in_threads, bodies = bodies[:_IN_THREADS], bodies if at_once else []
    half, endpoint = len(bodies) // 2, "bulk-send" if what == "personal" else "send"
    bare_loop(url, bodies[:20], endpoint)
    gc.collect()

    bare_cpu = time.process_time()
    first_half = bare_loop(url, bodies[:half], endpoint)
    bare_cpu = time.process_time() - bare_cpu
    store = MemoryStore()
    context: Any = {"ti": SimpleNamespace(map_index=-1)}
    ledger = Ledger([TaskStateMemory(store)], Try(1), is_complete=True)
    ledger.register()
    campaign = campaign_of(operator.sending_arguments(), message, plan, longest_wait=None)
    started, cpu = time.monotonic(), time.process_time()
    report = send_campaign(
        campaign, plan, hook, context,
        ledger=ledger, store=open_store("sqlite://"), stop=CancellationToken(), dry_run=False,
    )  # fmt: skip
    sending, cpu = time.monotonic() - started, time.process_time() - cpu
    second_half = bare_loop(url, bodies[half:], endpoint)
    assert report.counts["accepted"] == plan.recipients
    threaded = 0.0 if at_once else threaded_loop(url, in_threads, endpoint, threads=campaign.max_in_flight)
    return {
        "batches": plan.batch_count,
        "planning": planning,
        "sending": sending,
        "sending_cpu": cpu,
        "threaded": threaded / len(in_threads),
        "bare": first_half + second_half,
        "bare_cpu": bare_cpu * 2,
        "unpooled": unpooled_loop(url, bodies[:_UNPOOLED], endpoint)
        / max(1, min(_UNPOOLED, len(bodies)))
        * len(bodies),
        "megabytes": max(store.megabytes) - store.megabytes[0],
    }


def main() -> None:
    """Write what was measured, as JSON."""
    url, path, what, speed = sys.argv[1:]
    sys.stdout.write("\n" + json.dumps(measure(Path(path), url, what, at_once=speed == "at_once")) + "\n")


if __name__ == "__main__":
    main()
