"""Campaigns that were sent to the sandbox, and what a trigger says when it waits for one."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from airflow_provider_voicepartner.delivery.inbound import InboundRecord, of_gateway_id, of_reference
from airflow_provider_voicepartner.gateways.model import DeliveryReport
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.operators.voice import TtsCallOperator
from airflow_provider_voicepartner.settings import open_delivery_store
from airflow_provider_voicepartner.triggers.campaign import CampaignCompletionTrigger
from tests.support.tasks import FakeStore, context

ANNA, BEN = "+33612345678", "+33612345679"
DELIVERED, FAILED, PENDING = DeliveryStatus.DELIVERED, DeliveryStatus.FAILED, DeliveryStatus.PENDING
SECRET = "a-planted-secret-of-32-characters"


def first_event(trigger: Any) -> dict[str, Any]:
    """Run a trigger as the triggerer does: built anew from what was stored."""

    async def run() -> dict[str, Any]:
        path, arguments = trigger.serialize()
        assert path.endswith(".CampaignCompletionTrigger")
        again = CampaignCompletionTrigger(**json.loads(json.dumps(arguments)))
        async with asyncio.timeout(20):
            async for event in again.run():
                payload: dict[str, Any] = event.payload
                return payload
        raise AssertionError("no event")

    return asyncio.run(run())


def keep(report: dict[str, Any], *statuses: DeliveryStatus) -> None:
    """Let the gateway call back about people of a campaign."""
    store, batch, gateway = open_delivery_store(), report["batches"][0], report["gateway"]
    key = (
        of_gateway_id(gateway, batch["gateway_id"])
        if gateway == "octopush"
        else of_reference(gateway, batch["reference"])
    )
    events = [
        DeliveryReport(gateway=gateway, campaign_id=None, phone_number=f"+3361234567{index}", status=status)
        for index, status in enumerate(statuses, start=8)
    ]
    store.write([InboundRecord(key=key, event=event, received_at=time.time()) for event in events])
    store.close()


def call(conn_id: str = "voicepartner_default") -> dict[str, Any]:
    operator = TtsCallOperator(task_id="call", to=[ANNA, BEN], text="Bonjour", conn_id=conn_id)
    return operator.execute(context(FakeStore()))


def sms(**arguments: Any) -> dict[str, Any]:
    operator = SendSmsOperator(task_id="send", to=[ANNA, BEN], message="Bonjour", **arguments)
    return operator.execute(context(FakeStore()))
