"""Batch by batch: what is written when, who goes on where another stopped, and what is refused."""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_voicepartner.constants import MAX_RECIPIENTS_PER_BATCH
from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.exceptions import (
    ConfigurationError,
    OutcomePendingError,
    RejectedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.gateways.model import SmsMessage
from airflow_provider_voicepartner.hooks.octopush import OctopushHook
from airflow_provider_voicepartner.hooks.smspartner import SmsPartnerHook
from airflow_provider_voicepartner.sending.campaign import CampaignSender
from airflow_provider_voicepartner.sending.campaign_spec import Campaign
from airflow_provider_voicepartner.sending.records import Phase
from airflow_provider_voicepartner.sending.store_memory import StoreMemory, TaskInstanceKey
from airflow_provider_voicepartner.sending.task_state import attempt_key
from tests.support.campaigns import (
    KEY,
    SIZE,
    TEXT,
    attempt,
    campaign,
    first_of,
    of_batches,
    people,
    record_of,
)
from tests.support.gateways import fault
from tests.support.ledgers import phases, registered
from tests.support.tasks import FakeStore
from tests.support.transport import (
    NOW,
    CountingStore,
    FakeTransport,
)

# What is written when


def test_a_batch_is_claimed_before_its_request_leaves_and_recorded_after_the_answer() -> None:
    store, transport = FakeStore(), FakeTransport()
    seen: list[dict[int, str]] = []
    transport.check = lambda first: seen.append(phases(store))
    records = attempt(transport, store, campaign(2))
    assert seen == [{0: "claimed"}, {0: "sent", 1: "claimed"}]
    assert phases(store) == {0: "sent", 1: "sent"}
    assert [(record.phase, record.accepted, record.at) for record in records] == [
        (Phase.SENT, SIZE, NOW.isoformat())
    ] * 2
    assert record_of(store, 0)["gateway_id"]


def test_recipients_travel_in_batches_of_at_most_500_each_with_a_reference_of_its_own() -> None:
    transport, most = FakeTransport(), MAX_RECIPIENTS_PER_BATCH
    cut = tuple(people(min(most, 1203 - start), start) for start in range(0, 1203, most))
    everybody = of_batches(cut, max_in_flight=4)
    records = attempt(transport, FakeStore(), everybody)
    assert [record.size for record in records] == [500, 500, 203]
    assert len({record.reference for record in records}) == 3
    assert set(transport.messaged.values()) == {1}
    assert len(transport.messaged) == 1203


def test_the_record_of_one_batch_and_the_claim_of_the_next_are_one_write() -> None:
    store = CountingStore()
    attempt(FakeTransport(), store, campaign(6, unit_price=Decimal("0.045")))
    assert store.changed == [
        "claimed 0", "sent 0, claimed 1", "sent 1, claimed 2", "sent 2, claimed 3", "sent 3, claimed 4",
        "sent 4, claimed 5", "sent 5",
    ]  # fmt: skip
    assert len(store.writes) == 1 + 6 + 1  # with the plan


def test_a_retry_that_has_nothing_to_send_writes_nothing_but_that_it_began() -> None:
    store = CountingStore()
    attempt(FakeTransport(), store, campaign(3))
    store.writes.clear()
    attempt(FakeTransport(), store, campaign(3), try_number=2)
    assert store.writes == [attempt_key(2)]


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_no_more_batches_are_claimed_than_may_be_under_way(workers: int) -> None:
    store, transport = CountingStore(), FakeTransport()
    attempt(transport, store, campaign(20, max_in_flight=workers))
    assert store.most_claimed <= workers
    assert transport.most_under_way <= workers
    assert set(transport.messaged.values()) == {1}


@pytest.mark.parametrize("workers", [1, 3])
def test_a_long_campaign_needs_no_more_threads_than_batches_may_be_under_way(workers: int) -> None:
    threads = set[str]()
    transport = FakeTransport(check=lambda first: threads.add(threading.current_thread().name))
    attempt(transport, FakeStore(), campaign(30, max_in_flight=workers))
    assert 1 <= len(threads) <= workers


def test_as_many_batches_as_allowed_are_really_under_way_at_once_and_never_more() -> None:
    transport = FakeTransport()
    together = threading.Barrier(4, timeout=10)
    transport.check = lambda first: together.wait() and None
    attempt(transport, FakeStore(), campaign(12, max_in_flight=4))
    assert transport.most_under_way == 4
    assert len(transport.messaged) == 12 * SIZE


def test_records_are_in_the_order_of_the_batches_however_they_land() -> None:
    transport, gate = FakeTransport(), threading.Event()

    def first_comes_last(first: str) -> None:
        if first == first_of(0):
            assert gate.wait(10)
        elif first == first_of(3):
            gate.set()

    transport.check = first_comes_last
    store = CountingStore()
    records = attempt(transport, store, campaign(4, max_in_flight=2))
    assert [record.reference for record in records] == [record_of(store, n)["reference"] for n in range(4)]
    assert len(transport.messaged) == 4 * SIZE


def test_the_state_holds_no_number_no_text_and_no_key() -> None:
    store = FakeStore()
    transport = FakeTransport(finds=True, failures=[None, RejectedError(f"refused {TEXT}")])
    transport.lost[first_of(2)] = SendOutcomeUnknownError(f"lost {TEXT}")
    for number in (1, 2):
        try:
            attempt(transport, store, campaign(4), try_number=number)
        except RejectedError:
            continue
    assert phases(store) == dict.fromkeys(range(4), "sent")
    kept = json.dumps(store.values, ensure_ascii=False)
    for secret in (KEY, TEXT, "Zoé", "3600000", "600000"):
        assert secret not in kept


def test_what_an_earlier_attempt_sent_is_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    store, transport = FakeStore(), FakeTransport()
    [record] = attempt(transport, store, campaign(1))
    attempt(transport, store, campaign(1), try_number=2)
    assert f"Batch 1 ({record.reference}) was sent by an earlier attempt; it is not sent again" in caplog.text


# An attempt that Airflow gave up


def test_an_attempt_that_airflow_gave_up_stops_before_it_sends() -> None:
    store, transport = FakeStore(fenced=True), FakeTransport()
    with pytest.raises(PermissionError):
        attempt(transport, store, campaign())
    assert not transport.messaged


def test_an_attempt_that_loses_its_right_between_two_batches_stops_there() -> None:
    store, transport = FakeStore(), FakeTransport()

    def fence(first: str) -> None:
        store.fenced = first == first_of(1)

    transport.check = fence
    with pytest.raises(PermissionError):
        # The second batch was claimed and is sent, but cannot be recorded; the third is not even claimed.
        attempt(transport, store, campaign())
    assert len(transport.messaged) == 2 * SIZE
    store.fenced = False
    with pytest.raises(SendOutcomeUnknownError, match="batch 2 "):
        attempt(transport, store, campaign(), try_number=2)


# Input that changed, and state that cannot be read


def test_changed_input_is_refused_and_nothing_is_sent() -> None:
    store, transport = FakeStore(), FakeTransport()
    attempt(transport, store, campaign(3))
    with pytest.raises(ConfigurationError, match=r"sent 3 of 3 batches.*Restore the earlier input") as caught:
        attempt(transport, store, campaign(3, start=1), try_number=2)
    assert "+336" not in str(caught.value)
    assert transport.messaged.total() == 3 * SIZE


@pytest.mark.parametrize("choice", ["fail", "assume_sent", "resend"])
def test_what_to_do_with_a_doubt_is_no_leave_to_send_a_changed_input(choice: Any) -> None:
    """With a template of the present time, every retry would send everything again."""
    store, transport = FakeStore(), FakeTransport()
    attempt(transport, store, campaign(3, on_unknown=choice))
    for number in (2, 3):
        with pytest.raises(ConfigurationError, match="send_again"):
            attempt(transport, store, campaign(3, start=10 * number, on_unknown=choice), try_number=number)
    assert transport.messaged.total() == 3 * SIZE


@pytest.mark.parametrize("start", [0, 10], ids=["unchanged input", "changed input"])
def test_a_new_send_again_sends_everything_once_more_and_a_retry_goes_on(start: int) -> None:
    store, transport = FakeStore(), FakeTransport()
    attempt(transport, store, campaign(3))
    references = list(transport.taken)
    again = campaign(3, start=start, send_again="the first text was wrong")
    transport.trouble = {people(1, start + 2 * SIZE)[0].phone_number: [RetryableNotSentError("429")]}
    with pytest.raises(RetryableNotSentError):
        attempt(transport, store, again, try_number=2)
    assert transport.messaged.total() == 5 * SIZE
    for number in (3, 4):
        attempt(transport, store, again, try_number=number)
    assert transport.messaged.total() == 6 * SIZE
    assert len(set(transport.taken)) == 6
    assert not set(transport.taken[3:]) & set(references)


def test_a_new_send_again_sends_what_is_in_doubt_too_under_a_new_reference() -> None:
    store, transport = FakeStore(), FakeTransport(lost={first_of(0): SendOutcomeUnknownError("lost")})
    with pytest.raises(SendOutcomeUnknownError):
        attempt(transport, store, campaign(1))
    doubtful = record_of(store, 0)["reference"]
    [record] = attempt(transport, store, campaign(1, send_again="all of it"), try_number=2)
    assert record.phase is Phase.SENT
    assert record.reference != doubtful
    assert transport.messaged.total() == 2 * SIZE


def test_state_that_cannot_be_read_stops_everything() -> None:
    store, transport = FakeStore(), FakeTransport()
    attempt(transport, store, campaign())
    key = next(key for key, value in store.values.items() if "1" in value.get("batches", {}))
    store.values[key]["batches"]["1"] = {"phase": "whatever"}
    with pytest.raises(ConfigurationError, match="nobody knows what was sent"):
        attempt(transport, store, campaign(), try_number=2)
    assert transport.messaged.total() == 3 * SIZE


def test_a_source_that_breaks_in_the_middle_lets_land_what_left() -> None:
    class Breaking:
        def __len__(self) -> int:
            return 3

        def __iter__(self) -> Any:
            yield people(SIZE)
            raise ConfigurationError("the file changed while it was sent")

    store, transport = FakeStore(), FakeTransport()
    sender = CampaignSender(transport=transport, ledger=registered(store), now=lambda: NOW)
    with pytest.raises(ConfigurationError, match="the file changed"):
        sender.send(
            Campaign(message=SmsMessage(text=TEXT), batches=Breaking(), recipients=6, fingerprint="f")
        )
    assert phases(store) == {0: "sent"}


def test_without_any_memory_the_first_try_sends_and_the_second_is_in_doubt_of_everything() -> None:
    transport = FakeTransport()
    assert len(attempt(transport, None, campaign())) == 3
    with pytest.raises(
        SendOutcomeUnknownError, match=r"batches 1 to 3 \(6 .*try 1 .* left no trace"
    ) as caught:
        attempt(transport, None, campaign(), try_number=2)
    assert "a retry would find in doubt whatever was sent" in str(caught.value)
    assumed = attempt(transport, None, campaign(on_unknown="assume_sent"), try_number=2)
    assert [(one.phase, one.size, one.gateway_id) for one in assumed] == [
        (Phase.ASSUMED_SENT, SIZE, None)
    ] * 3
    assert transport.messaged.total() == 3 * SIZE
    attempt(transport, None, campaign(on_unknown="resend", max_in_flight=2), try_number=2)
    assert transport.messaged.total() == 6 * SIZE


def test_before_airflow_3_3_the_store_lets_a_retry_go_on() -> None:
    store, task = open_store("sqlite://"), TaskInstanceKey("dag", "run", "send")
    transport = FakeTransport(trouble={first_of(1): [RetryableNotSentError("429")]})
    with pytest.raises(RetryableNotSentError):
        attempt(transport, None, campaign(), memories=[StoreMemory(store, task)])
    records = attempt(transport, None, campaign(), try_number=2, memories=[StoreMemory(store, task)])
    assert [record.phase for record in records] == [Phase.SENT] * 3
    assert transport.messaged.total() == 3 * SIZE
    assert set(transport.messaged.values()) == {1}
    store.close()


def test_a_date_that_has_passed_does_not_keep_a_retry_from_telling_what_was_sent() -> None:
    store, transport = FakeStore(), FakeTransport()
    planned = campaign(send_at=datetime(2031, 5, 6, 12, 5, tzinfo=NOW.tzinfo))
    attempt(transport, store, planned)
    built = len(transport.built)
    records = attempt(transport, store, planned, try_number=2)
    assert [record.phase for record in records] == [Phase.SENT] * 3
    assert len(transport.built) == built  # no second request is even built, so its date is not judged again


# The same with a real hook, over HTTP


def later(minutes: float) -> datetime:
    return datetime.now(UTC) + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("kind", "taken"),
    [("drop_before", 0), ("drop_after", 2), ("drop_mid_answer", 2), ("500", 0), ("truncated_json", 2)],
)
def test_over_http_a_lost_answer_is_looked_up_by_its_tag(sandbox: Any, kind: str, taken: int) -> None:
    store, hook = FakeStore(), SmsPartnerHook()
    fault(sandbox, kind, gateway="smspartner")
    counts = sandbox.world.tallies["smspartner"]
    if taken:
        # By the clock that the gateway has, too: what is dated long before its claim is about another send.
        [record] = attempt(hook, store, campaign(1), now=lambda: datetime.now(UTC))
        assert (record.phase, record.accepted, record.gateway_id) == (Phase.SENT, SIZE, None)
        assert record.tag == record.reference  # by which a sensor asks what became of it
        assert set(counts.references) == {record.reference}
    else:
        # While it may still be listed, a retry asks again; then somebody has to decide.
        for number, minutes in ((1, 0), (2, 14)):
            with pytest.raises(OutcomePendingError):
                attempt(hook, store, campaign(1), try_number=number, now=lambda at=minutes: later(at))
        with pytest.raises(SendOutcomeUnknownError, match="on_unknown"):
            attempt(hook, store, campaign(1), try_number=3, now=lambda: later(16))
    assert counts.messages == taken
    hook.close()


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "drop_mid_answer", "truncated_json"])
def test_over_http_octopush_is_asked_by_the_same_request_again(sandbox: Any, kind: str) -> None:
    store, hook = FakeStore(), OctopushHook()
    fault(sandbox, kind, gateway="octopush")
    records = attempt(hook, store, campaign(2))
    assert [record.phase for record in records] == [Phase.SENT] * 2
    assert set(sandbox.world.tallies["octopush"].numbers.values()) == {1}
    assert sandbox.world.tallies["octopush"].messages == 2 * SIZE
    hook.close()


def test_over_http_batches_go_on_where_the_first_attempt_was_refused(sandbox: Any) -> None:
    store, hook = FakeStore(), SmsPartnerHook()
    hook.sender.retry = replace(
        hook.sender.retry, longest_wait=1.0
    )  # so that the long wait is not slept through
    fault(sandbox, "429", retry_after=90, skip=3, gateway="smspartner")
    with pytest.raises(RetryableNotSentError) as caught:
        attempt(hook, store, campaign(6, max_in_flight=3, unit_price=Decimal("0.045")))
    assert caught.value.retry_after == 90
    records = attempt(hook, store, campaign(6, max_in_flight=3), try_number=2)
    assert [record.accepted for record in records] == [SIZE] * 6
    assert set(sandbox.world.tallies["smspartner"].numbers.values()) == {1}
    assert sandbox.world.tallies["smspartner"].messages == 6 * SIZE
    hook.close()
