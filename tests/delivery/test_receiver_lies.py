"""A gateway of another distribution may read a call into anything: that call is kept, and no other one suffers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voicepartner.delivery.dead_letters import DeadLetters
from airflow_provider_voicepartner.delivery.inbound import DeadLetter
from airflow_provider_voicepartner.delivery.store import DeliveryStore
from airflow_provider_voicepartner.gateways import smspartner
from airflow_provider_voicepartner.gateways.gateway import own_modules
from airflow_provider_voicepartner.gateways.model import DeliveryReport
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from tests.support.receiver import rows, running_receiver

NUMBER = "+33612345678"
GOOD: Any = DeliveryReport(
    gateway="acme", campaign_id="1", phone_number=NUMBER, status=DeliveryStatus.DELIVERED, raw={"id": "1"}
)

LIES: dict[str, Any] = {
    "nothing": None,
    "a report instead of reports": GOOD,
    "a list of nothing": (None,),
    "a dict": ({"status": "delivered"},),
    "a number": 5,
    "a text": "delivered",
    "a status that is a text": (replace(GOOD, status="delivered"),),
    "no number": (replace(GOOD, phone_number=None),),
    "a date that is a text": (replace(GOOD, at="today"),),
    "a duration that is a text": (replace(GOOD, duration="long"),),
    "another's report": (replace(GOOD, gateway="smspartner"),),
    "nobody's report": (replace(GOOD, gateway=None),),
    "raw that is no JSON": (replace(GOOD, status=None, raw={("a",): object()}),),
}


@pytest.mark.parametrize("account", [False, True])
@pytest.mark.parametrize("lie", LIES)
def test_what_is_no_report_is_kept_as_it_came_and_stops_no_replay(
    lie: str, account: bool, tmp_path: Path
) -> None:
    acme: Any = SimpleNamespace(
        INFO=replace(smspartner.INFO, name="acme"), parse_callback=lambda call: LIES[lie]
    )
    url = f"sqlite:///{tmp_path / 'store.db'}"
    with running_receiver(url, gateways={**own_modules(), "acme": acme}) as receiver:
        path = receiver.account_path(gateway="acme") if account else receiver.batch_path("acme")
        assert receiver.post(path, {"id": "1", "to": NUMBER}).status == 200
        honest = {"message_id": "1", "phone": NUMBER, "status": "Delivered"}
        assert receiver.post(receiver.batch_path("smspartner"), honest).status == 200
        letters = rows(receiver.store, "dead_letter")
        assert [(letter["gateway"], letter["body"]) for letter in letters] == [
            ("acme", b'{"id": "1", "to": "+33612345678"}')
        ]
        reports = rows(receiver.store, "delivery_report")
        assert [(report["gateway"], report["status"]) for report in reports] == [("smspartner", "delivered")]
        good = DeadLetter(
            gateway="smspartner", campaign="ref:k3v9", method="POST", content_type="", query="", why="odd",
            body=b'{"message_id": "2", "phone": "+33612345679", "status": "Delivered"}', received_at=1.0,
        )  # fmt: skip
        DeliveryStore(receiver.store).write([good])
        replayed = DeadLetters(receiver.store, {**own_modules(), "acme": acme})
        kept, read = replayed.replay(replayed.all())
        assert kept.problem
        assert read.problem == ""
        assert [letter.gateway for letter in replayed.all()] == ["acme"]
        assert {report["gateway"] for report in rows(receiver.store, "delivery_report")} == {"smspartner"}
