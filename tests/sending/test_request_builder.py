"""The next requests are built while answers are awaited, and never sent with what has changed since."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest

from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.model import Recipient, SmsMessage
from airflow_provider_voicepartner.sending.records import BatchRecord, Phase
from airflow_provider_voicepartner.sending.request_builder import RequestBuilder
from tests.support.campaigns import attempt, campaign, people
from tests.support.tasks import FakeStore
from tests.support.transport import NOW, FakeTransport

LATER = NOW + timedelta(hours=1)


class Times:
    """A schedule that a test moves."""

    def __init__(self, send_at: datetime | None = None) -> None:
        self.send_at, self.is_late = send_at, False

    def for_repeats(self) -> datetime | None:
        return self.send_at

    def for_next(self) -> datetime | None:
        if self.is_late:
            raise ConfigurationError("send_at: has passed")
        return self.send_at


def builder(transport: Any, schedule: Any = None, known: Any = None) -> RequestBuilder:
    numbers = count(1)
    return RequestBuilder(
        transport=transport,
        message=SmsMessage(text="Hello"),
        schedule=schedule or Times(),
        new_reference=lambda: f"r{next(numbers)}",
        find=lambda index, size: (known or {}).get(index),
    )


def batches(*positions: int) -> list[tuple[int, list[Recipient]]]:
    return [(position, people(2)) for position in positions]


def test_each_request_is_built_once_and_the_next_one_first() -> None:
    transport = FakeTransport()
    requests = builder(transport)
    ahead = batches(4, 5)
    assert [requests.build_ahead(ahead) for _ in range(3)] == [True, True, False]
    assert transport.built == ["r1", "r2"]
    assert [requests.build(at, who, None).claim.reference for at, who in ahead] == ["r1", "r2"]
    assert transport.built == ["r1", "r2"]
    # What was given out is built anew: a batch that is sent again has another reference.
    assert requests.build(4, ahead[0][1], None).claim.reference == "r3"


def test_request_and_claim_have_the_same_reference() -> None:
    requests = builder(FakeTransport())
    [batch] = batches(0)
    requests.build_ahead([batch])
    built = requests.build(*batch, None)
    assert built.request.body == {"simulate": False, "reference": built.claim.reference}
    assert (built.claim.phase, built.claim.size) == (Phase.CLAIMED, 2)


def test_another_planned_time_is_another_request() -> None:
    transport, schedule = FakeTransport(), Times(LATER)
    requests = builder(transport, schedule)
    [batch] = batches(0)
    requests.build_ahead([batch])
    schedule.send_at = None
    assert requests.build(*batch, None).send_at is None
    assert transport.built == ["r1", "r2"]


def test_nothing_is_built_ahead_once_the_planned_time_has_passed() -> None:
    transport, schedule = FakeTransport(), Times(LATER)
    requests = builder(transport, schedule)
    schedule.is_late = True
    assert not requests.build_ahead(batches(0))
    with pytest.raises(ConfigurationError, match="has passed"):
        requests.build(0, people(2), None)
    assert transport.built == []


def test_a_batch_in_doubt_keeps_its_reference() -> None:
    requests = builder(FakeTransport())
    [batch] = batches(0)
    requests.build_ahead([batch])
    doubt = BatchRecord(phase=Phase.CLAIMED, reference="before", size=2)
    assert requests.build(*batch, doubt).claim.reference == "before"


def test_what_the_ledger_knows_is_left_for_its_turn() -> None:
    transport = FakeTransport()
    requests = builder(transport, known={0: BatchRecord(phase=Phase.SENT, reference="before", size=2)})
    assert requests.build_ahead(batches(0, 1))
    assert not requests.build_ahead(batches(0, 1))
    assert requests.build(*batches(1)[0], None).claim.reference == "r1"
    assert transport.built == ["r1"]


def test_an_error_is_raised_when_the_batch_comes_and_not_before() -> None:
    class Refusing(FakeTransport):
        def build_batch(self, *arguments: Any, **options: Any) -> Any:
            raise ConfigurationError("message: is too long")

    requests = builder(Refusing())
    ahead = batches(0)
    assert requests.build_ahead(ahead)
    assert not requests.build_ahead(ahead), "it is tried once"
    with pytest.raises(ConfigurationError, match="too long"):
        requests.build(*ahead[0], None)


def test_a_campaign_builds_the_next_requests_while_it_awaits_answers() -> None:
    transport, store = FakeTransport(), FakeStore()
    built_early = threading.Event()

    def check(first: str) -> None:
        """Answer none of the first two before the two after them are built."""
        if len(transport.taken) == 0:
            while len(transport.built) < 4:
                if built_early.wait(0.01):
                    return
            built_early.set()

    transport.check = check
    records = attempt(transport, store, campaign(6, max_in_flight=2))
    assert built_early.is_set()
    assert len(records) == 6
    assert len(transport.built) == len(set(transport.built)) == 6
    assert sorted(transport.taken) == sorted(transport.built)
    assert set(transport.messaged.values()) == {1}
