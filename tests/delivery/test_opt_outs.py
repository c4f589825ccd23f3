"""A STOP is one event, whether the person tells, or the report on the message, or both; two STOPs are two."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pendulum
import pytest

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.delivery.inbound import CampaignKey, InboundRecord, of_reference
from airflow_provider_voicepartner.delivery.store import DeliveryStore
from airflow_provider_voicepartner.gateways.model import DeliveryReport, OptOut
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from tests.support.deliveries import events
from tests.support.receiver import RunningReceiver

ANNA, BEN = "+33612345678", "+33612345679"
KEY, OTHER_KEY = of_reference("smspartner", "a"), of_reference("smspartner", "b")
NOON = pendulum.datetime(2026, 5, 1, 12)


@pytest.fixture(params=["sqlite", "postgres"])
def delivery(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DeliveryStore]:
    is_sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path}/delivery.db" if is_sqlite else request.getfixturevalue("postgres_url")
    opened = DeliveryStore(open_store(url))
    yield opened
    opened.close()


def stop(
    text: str = "STOP", *, key: CampaignKey | None = KEY, received_at: float = 1.0, **more: Any
) -> InboundRecord:
    told = {"gateway": "smspartner", "campaign_id": None, "phone_number": ANNA, **more}
    return InboundRecord(key=key, event=OptOut(text=text, **told), received_at=received_at)


def report(*, key: CampaignKey | None = KEY, received_at: float = 2.0, **more: Any) -> InboundRecord:
    told = {"gateway": "smspartner", "campaign_id": None, "phone_number": ANNA, **more}
    event = DeliveryReport(status=DeliveryStatus.DELIVERED, opted_out=True, **told)
    return InboundRecord(key=key, event=event, received_at=received_at)


def texts(delivery: DeliveryStore) -> list[str]:
    return sorted(event.text for event in events(delivery) if event.kind == "opt_out")


@pytest.mark.sampled(10)
@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("order", list(itertools.permutations([stop(), report(), stop("Stop svp", at=NOON)])))
def test_in_any_order_a_report_adds_nothing_to_what_the_person_wrote(
    delivery: DeliveryStore, order: tuple[InboundRecord, ...], at_once: bool
) -> None:
    for group in [[*order, *order]] if at_once else [[arrival] for arrival in (*order, *order)]:
        delivery.write(group)
    assert texts(delivery) == ["STOP", "Stop svp"]


def test_an_event_that_was_told_keeps_its_place_and_gets_the_words(delivery: DeliveryStore) -> None:
    delivery.write([report(at=NOON)])
    (before,) = events(delivery)
    delivery.write([stop(at=NOON.add(seconds=7))])
    (after,) = events(delivery)
    assert (before.text, after.text, after.at) == ("", "STOP", NOON.add(seconds=7))
    assert (after.id, after.seq) == (before.id, before.seq)


def test_a_later_stop_is_never_lost(delivery: DeliveryStore) -> None:
    """The person may have been put back on the list meanwhile."""
    for day in range(3):
        for arrival in (report(), stop(received_at=86_400.0 * day)):
            delivery.write([arrival])
    assert texts(delivery) == ["STOP"] * 3


def test_stops_without_words_are_kept_too(delivery: DeliveryStore) -> None:
    for arrival in (stop(""), report(), stop(""), stop("", received_at=86_400.0)):
        delivery.write([arrival])
    assert texts(delivery) == ["", ""]


def test_other_people_campaigns_and_what_names_none_are_events_of_their_own(delivery: DeliveryStore) -> None:
    delivery.write([stop(), report(phone_number=BEN), report(key=OTHER_KEY), stop(key=None)])
    assert len(texts(delivery)) == 4


def test_both_calls_of_one_stop_through_the_receiver(receiver: RunningReceiver) -> None:
    path = receiver.batch_path("smspartner")
    answered = {"type": "stop", "phone_number": ANNA, "text": "STOP", "message_id": 8123456}
    told = {"status": "delivered", "msgId": "8123456", "phone": ANNA, "stopSms": True}
    for fields in (answered, told, told, answered):
        assert receiver.post(path, fields).status == 200
    (row,) = receiver.rows("event")
    assert (row["kind"], row["text"]) == ("opt_out", "STOP")
    assert receiver.rows("delivery_report")[0]["opted_out"]
