"""The wait for campaigns as a triggerer has it: many at once, and killed at any time."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.delivery.inbound import InboundRecord, of_reference
from airflow_provider_voicepartner.delivery.store import DeliveryStore
from airflow_provider_voicepartner.gateways.model import DeliveryReport
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from airflow_provider_voicepartner.hooks.completion_options import CompletionOptions
from airflow_provider_voicepartner.triggers import campaign as module
from airflow_provider_voicepartner.triggers.campaign import CampaignCompletionTrigger
from tests.support.gateways import outcome
from tests.support.postgres import PostgresServer

NUMBER = "+33612345678"
PROJECT = Path(__file__).resolve().parents[2]


def report(gateway: str, place: int, *, sent_at: float) -> dict[str, Any]:
    batch = {"reference": f"b{place:011d}", "gateway_id": str(place + 1), "accepted": 1, "state": "sent"}
    return {
        "gateway": gateway, "conn_id": f"{gateway}_default", "kind": "sms", "scheduled_for": None, "currency": None,
        "sent_at": datetime.fromtimestamp(sent_at, UTC).isoformat(), "counts": {"accepted": 1}, "segments": None,
        "cost": None, "batches": [batch],
    }  # fmt: skip


def tell(store: DeliveryStore, gateway: str, *places: int, times: int = 1) -> None:
    event = DeliveryReport(
        gateway=gateway, campaign_id=None, phone_number=NUMBER, status=DeliveryStatus.DELIVERED
    )
    for _ in range(times):
        keys = [of_reference(gateway, f"b{place:011d}") for place in places]
        store.write([InboundRecord(key=key, event=event, received_at=time.time()) for key in keys])


def test_sixty_who_wait_share_a_few_connections(
    sandbox: Any, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SMS Partner is asked about each of them, and what it tells is written; a server has a hundred connections."""
    from airflow_provider_voicepartner.hooks.registry import hook_for

    url = postgres.new_database()
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_URL", url)
    monkeypatch.setattr(module, "SHORTEST_DEFERRAL", 0.0)
    outcome(sandbox, NUMBER, "delivered", after=10_000)
    store = open_store(url, upgrade=True)
    hook = hook_for("smspartner_default")
    ids = [hook.send_sms(NUMBER, "Bonjour", reference=f"b{n:011d}").gateway_id for n in range(60)]

    def connections() -> int:
        with store.read() as connection:
            asked = connection.exec_driver_sql(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            )
            return int(asked.scalar_one())

    async def wait(place: int) -> dict[str, Any]:
        campaign = report("smspartner", place, sent_at=time.time())
        campaign["batches"][0]["gateway_id"] = ids[place]
        async for event in CampaignCompletionTrigger(campaign, CompletionOptions().to_json(), 0.3).run():
            return dict(event.payload)
        raise AssertionError

    async def main() -> int:
        tasks = [asyncio.create_task(wait(place)) for place in range(60)]
        await asyncio.sleep(2.0)
        assert not any(task.done() for task in tasks)
        open_ones = await asyncio.to_thread(connections)
        sandbox.advance(20_000)
        for event in await asyncio.wait_for(asyncio.gather(*tasks), 60):
            assert event["progress"]["delivered"] == 1
        return open_ones

    assert asyncio.run(main()) <= 6
    hook.close()
    store.close()


def start(trigger: CampaignCompletionTrigger) -> subprocess.Popen[str]:
    """Run a trigger in a process of its own, built from what Airflow has stored of it."""
    program = (
        "import asyncio, json, sys\n"
        "from airflow_provider_voicepartner.triggers.campaign import CampaignCompletionTrigger\n"
        "async def main():\n"
        "    print('waiting', flush=True)\n"
        "    async for event in CampaignCompletionTrigger(**json.loads(sys.argv[1])).run():\n"
        "        print(json.dumps([__import__('time').time(), event.payload]), flush=True)\n"
        "asyncio.run(main())\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, json.dumps(trigger.serialize()[1])],
        stdout=subprocess.PIPE, text=True, cwd=PROJECT, env=dict(os.environ),
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    return process


@pytest.mark.slow
@pytest.mark.usefixtures("sandbox")
def test_a_killed_triggerer_counts_no_report_twice_and_keeps_deadlines(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_URL", url)
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__PUBLIC_URL", "https://hooks.example.org")
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CALLBACK_SECRET", "a-planted-secret-of-32-characters")
    opened = open_store(url, upgrade=True)
    store, began = DeliveryStore(opened), time.time()
    campaign = report("voicepartner", 1, sent_at=began) | {"kind": "tts", "counts": {"accepted": 2}}
    campaign["batches"][0]["accepted"] = 2
    options = CompletionOptions(unconfirmed_after=20.0, on_unconfirmed="succeed")
    trigger = CampaignCompletionTrigger(campaign, options.to_json(), 0.2)
    for _ in range(3):
        process = start(trigger)
        try:
            time.sleep(0.5)
            tell(store, "voicepartner", 1, times=2)
            time.sleep(0.5)
        finally:
            process.kill()
            process.wait()
    process = start(trigger)
    started_last = time.time()
    output, _ = process.communicate(timeout=60)
    ended, payload = json.loads(output)
    assert payload["status"] == "complete"
    assert (payload["progress"]["delivered"], payload["progress"]["unconfirmed"]) == (1, 1)
    assert ended - began >= 20.0
    # A wait that began anew with its last process would take 20 s from there, however slowly the others started.
    assert ended - started_last < 20.0
    opened.close()
