"""
A campaign to a gateway that answers at once, against a bare loop that posts the same bodies, built beforehand.

Run by ``benchmarks`` as a process of its own, so that its memory is its own.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.memory import resident_megabytes
from benchmarks.people import write_mobiles

BATCH = 500
TEXT = "Votre commande est prete, elle vous attend au magasin."
_WARM = 100


@dataclass
class MemoryStore:
    """A ledger's store that outlives nothing; it also looks at the memory at each write."""

    values: dict[str, Any] = field(default_factory=dict)
    megabytes: list[float] = field(default_factory=list)

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value."""
        return self.values.get(key, default)

    def set(self, key: str, value: Any) -> None:
        """Keep a copy of the value."""
        self.values[key] = dict(value)
        self.megabytes.append(resident_megabytes())


def set_environment(home: Path, url: str) -> None:
    """Give Airflow a home of its own, and a connection to the gateway."""
    for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
        del os.environ[name]
    os.environ |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW_CONN_SMSPARTNER_DEFAULT": json.dumps(
            {"conn_type": "smspartner", "host": f"{url}/v1", "password": "a-key-of-a-benchmark"}
        ),
        "NO_PROXY": "127.0.0.1",
    }
    (home / "dags").mkdir(parents=True, exist_ok=True)


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


def bare_loop(url: str, bodies: list[bytes]) -> float:
    """Return the seconds that it takes to post bodies one after another, as briefly as requests can."""
    import requests

    started = time.monotonic()
    with requests.Session() as session:
        session.trust_env = False
        for body in bodies:
            answer = session.post(
                f"{url}/v1/send", data=body, headers={"Content-Type": "application/json"}, timeout=30
            )
            answer.raise_for_status()
    return time.monotonic() - started


def measure(path: Path, url: str) -> dict[str, Any]:
    """Run the campaign between two halves of the loop; return seconds of each, and the growth of memory in MB."""
    from airflow_provider_voicepartner.operators.sending import campaign_of, plan_of, send_campaign
    from airflow_provider_voicepartner.operators.sms import SendSmsOperator

    operator = SendSmsOperator(task_id="send", to=str(path), message=TEXT)
    hook = operator._hook()
    message = hook.with_defaults(operator.message_to_send())
    started = time.monotonic()
    plan = plan_of(operator, hook, message)
    planning = time.monotonic() - started
    assert plan is not None
    bodies = prebuilt(operator, plan)
    half = len(bodies) // 2
    bare_loop(url, bodies[:20])
    gc.collect()

    first_half = bare_loop(url, bodies[:half])
    store = MemoryStore()
    context: Any = {"task_state_store": store, "ti": SimpleNamespace(try_number=1)}
    campaign = campaign_of(operator, message, plan, longest_wait=None)
    started = time.monotonic()
    report = send_campaign(campaign, plan, hook, context, stop=operator._stop, dry_run=False)
    sending = time.monotonic() - started
    second_half = bare_loop(url, bodies[half:])
    assert report.counts["accepted"] == plan.recipients
    settled = store.megabytes[min(_WARM, len(store.megabytes) - 1) :]
    return {
        "batches": len(bodies),
        "planning": planning,
        "sending": sending,
        "bare": first_half + second_half,
        "megabytes": max(settled) - settled[0],
    }


def main() -> None:
    """Write what was measured, as JSON."""
    url, rows = sys.argv[1], int(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        set_environment(Path(folder, "airflow"), url)
        found = measure(write_mobiles(Path(folder, "people.csv"), rows), url)
    sys.stdout.write("\n" + json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
