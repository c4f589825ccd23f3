"""A campaign and its times: slots at the rate limit, and a planned time that passes on the way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.exceptions import (
    ConfigurationError,
    OutcomePendingError,
    RejectedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.sending.campaign_run import CampaignRun
from airflow_provider_voicepartner.sending.records import Phase
from airflow_provider_voicepartner.sending.store_memory import StoreMemory, TaskInstanceKey
from tests.support.campaigns import (
    SIZE,
    attempt,
    campaign,
    first_of,
    paced,
    record_of,
)
from tests.support.ledgers import phases
from tests.support.servers import FakeTime
from tests.support.tasks import FakeStore
from tests.support.transport import (
    NOW,
    FakeRateLimiter,
    FakeTransport,
    changes,
)

# The rate limit


def test_a_batch_that_waits_for_its_turn_is_not_claimed() -> None:
    time, store = FakeTime(), FakeStore()
    rate_limiter, transport = FakeRateLimiter(time), FakeTransport()
    left: list[float] = []
    transport.check = lambda first: left.append(time.moment)

    def sleep(seconds: float) -> None:
        assert "claimed" not in phases(store).values()
        time.sleep(seconds)

    paced(rate_limiter, transport, store, campaign(4), sleep=sleep)
    assert left == rate_limiter.taken
    assert [at - left[0] for at in left] == [0, 10, 20, 30]
    assert not rate_limiter.confirmed  # who sends does so, right before the request leaves
    assert [slot.ticket for slot in transport.slots] == rate_limiter.taken
    assert not rate_limiter.given_back
    assert [record_of(store, n)["at"] for n in range(4)] == [
        datetime.fromtimestamp(at, NOW.tzinfo).isoformat() for at in left
    ]


def test_a_turn_that_is_too_far_hands_the_campaign_back_with_the_time_to_wait() -> None:
    time, store, transport = FakeTime(), FakeStore(), FakeTransport()
    rate_limiter = FakeRateLimiter(time, gap=600)
    with pytest.raises(
        RetryableNotSentError, match=r"rate limit: the next batch may leave in 600 s"
    ) as caught:
        paced(rate_limiter, transport, store, campaign(3, longest_wait=30))
    assert caught.value.retry_after == 600
    assert phases(store) == {0: "sent"}
    assert not time.slept
    time.sleep(600)
    with pytest.raises(RetryableNotSentError):
        paced(rate_limiter, transport, store, campaign(3, longest_wait=30), try_number=1)
    assert phases(store) == {0: "sent", 1: "sent"}
    assert set(transport.messaged.values()) == {1}


def test_a_turn_of_a_batch_that_cannot_leave_is_given_back() -> None:
    time, store, answers = FakeTime(), FakeStore(), threading.Event()
    failure = RejectedError("no credit")
    transport = FakeTransport(trouble={first_of(0): [failure]}, check=lambda first: answers.wait(10) and None)
    rate_limiter = FakeRateLimiter(time)

    def clock() -> float:
        if phases(store):
            answers.set()
        return time.moment

    with pytest.raises(RejectedError):
        attempt(transport, store, campaign(3, max_in_flight=2), rate_limiter=rate_limiter, clock=clock)
    assert rate_limiter.given_back == rate_limiter.taken[1:] != []


def test_a_claim_that_cannot_be_written_gives_its_turn_back_and_sends_nothing() -> None:
    store, transport = FakeStore(), FakeTransport()
    rate_limiter = FakeRateLimiter(FakeTime(), gap=0)
    rate_limiter.check = lambda taken: setattr(store, "fenced", True)
    with pytest.raises(PermissionError):
        paced(rate_limiter, transport, store, campaign(3, max_in_flight=3))
    assert rate_limiter.given_back == rate_limiter.taken
    assert len(rate_limiter.taken) == 3
    assert not transport.messaged


class FullStore(FakeStore):
    """Loses one write: that of a claim of the third batch."""

    failures = 1

    def set(self, key: str, value: Any, **more: Any) -> None:
        if "claimed 2" in changes(value) and self.failures:
            self.failures -= 1
            raise ConnectionError("the state store is gone")
        super().set(key, value, **more)


@pytest.mark.parametrize("fails", ["the state", "the commit of the store"])
@pytest.mark.parametrize("workers", [1, 3])
def test_claims_that_one_memory_did_not_take_are_taken_back_and_not_in_doubt(
    fails: str, workers: int
) -> None:
    """Neither batch has left then; what the other memory, or this one after all, has taken says so."""
    store, transport = open_store("sqlite://"), FakeTransport()
    state, lost = (FullStore() if fails == "the state" else FakeStore()), [ConnectionError("gone")]

    def patiently(transaction: Callable[[], Any]) -> Any:
        done = transaction()
        if fails != "the state" and phases(state).get(0) == "sent" and lost:
            raise lost.pop()
        return done

    def memory() -> StoreMemory:
        return StoreMemory(store, TaskInstanceKey("dag", "run", "send"), patiently=patiently)

    with pytest.raises(ConnectionError):
        attempt(transport, state, campaign(7, max_in_flight=workers), memories=[memory()])
    assert "refused" in phases(state).values()
    assert "claimed" not in phases(state).values()
    assert len(transport.messaged) == SIZE * list(phases(state).values()).count("sent")
    attempt(transport, state, campaign(7), memories=[memory()], try_number=2)
    assert set(transport.messaged.values()) == {1}
    assert len(transport.messaged) == 7 * SIZE
    store.close()


def test_a_rate_limiter_that_breaks_does_not_hide_why_the_campaign_stopped() -> None:
    store, answers = FakeStore(), threading.Event()
    transport = FakeTransport(
        trouble={first_of(0): [RejectedError("no credit")]},
        check=lambda first: answers.wait(10) and None,
    )

    class Broken(FakeRateLimiter):
        def release(self, slot: Any) -> None:
            raise ConnectionError("the store is gone")

    rate_limiter = Broken(FakeTime())

    def clock() -> float:
        if phases(store):
            answers.set()
        return rate_limiter.time.moment

    with pytest.raises(RejectedError):
        attempt(transport, store, campaign(3, max_in_flight=2), rate_limiter=rate_limiter, clock=clock)


def test_a_store_that_fails_in_the_middle_stops_the_campaign_with_its_records() -> None:
    class Broken(FakeRateLimiter):
        def acquire(self, endpoint: str, longest_wait: float | None) -> Any:
            if self.taken:
                raise ConnectionError("gone")
            return super().acquire(endpoint, longest_wait)

    store, transport = FakeStore(), FakeTransport()
    with pytest.raises(ConnectionError):
        paced(Broken(FakeTime()), transport, store, campaign(3))
    assert phases(store) == {0: "sent"}


def test_nobody_with_a_turn_waits_while_an_older_doubt_is_settled() -> None:
    """Looking up takes seconds; a request that left so late would run into the slots of others."""
    time, store = FakeTime(), FakeStore()
    transport = FakeTransport(finds=True, trouble={first_of(0): [RetryableNotSentError("429")]})
    transport.lost[first_of(1)] = SendOutcomeUnknownError("lost")
    with pytest.raises((RetryableNotSentError, SendOutcomeUnknownError)):
        attempt(
            FakeTransport(trouble=transport.trouble, lost=transport.lost), store, campaign(3, max_in_flight=2)
        )
    assert phases(store) == {0: "refused", 1: "claimed"}
    left: list[float] = []
    transport.check = lambda first: left.append(time.moment)
    rate_limiter = FakeRateLimiter(time, gap=0)
    with pytest.raises(OutcomePendingError, match="batch 2 "):
        paced(rate_limiter, transport, store, campaign(3, max_in_flight=2), try_number=2)
    assert left == rate_limiter.taken
    assert len(left) == 2
    assert sum(time.slept) >= 7  # the look-ups came after them


# A planned time that passes on the way


class StrictTransport(FakeTransport):
    """Takes no time that has passed, as every gateway's builder, and notes for when each batch was built."""

    def __init__(self, time: FakeTime, **more: Any) -> None:
        super().__init__(**more)
        self.time, self.planned = time, []

    def build_batch(self, *args: Any, send_at: datetime | None = None, **more: Any) -> Any:
        if send_at is not None and send_at <= self.time.now():
            raise ConfigurationError("send_at: is in the past")
        self.planned.append(send_at)
        return super().build_batch(*args, send_at=send_at, **more)


def test_a_time_that_passes_on_the_way_strands_nobody_without_a_word() -> None:
    time, store = FakeTime(), FakeStore()
    transport, rate_limiter = StrictTransport(time, recognises=True), FakeRateLimiter(time, gap=40)
    planned = campaign(5, send_at=time.now() + timedelta(seconds=100))
    with pytest.raises(ConfigurationError, match=r"has passed, and 2 of 5 batches.*on_late='send_now'"):
        paced(rate_limiter, transport, store, planned)
    assert transport.messaged.total() == 3 * SIZE  # the fourth was built in time, and its slot came too late
    with pytest.raises(ConfigurationError, match=r"2 of 5 batches had not been sent.*Do not change send_at"):
        paced(rate_limiter, transport, store, planned, try_number=2)
    with pytest.raises(ConfigurationError, match="has changed since"):
        paced(rate_limiter, transport, store, campaign(5), try_number=3)
    records = paced(rate_limiter, transport, store, replace(planned, on_late="send_now"), try_number=4)
    assert [record.phase for record in records] == [Phase.SENT] * 5
    assert transport.messaged.total() == 5 * SIZE
    assert set(transport.messaged.values()) == {1}
    assert transport.planned == [planned.send_at] * 4 + [None] * 2


def test_what_is_late_may_leave_at_once_without_a_second_attempt(caplog: pytest.LogCaptureFixture) -> None:
    time = FakeTime()
    transport, rate_limiter = StrictTransport(time), FakeRateLimiter(time, gap=40)
    planned = campaign(6, send_at=time.now() + timedelta(seconds=100), on_late="send_now")
    paced(rate_limiter, transport, FakeStore(), planned)
    assert transport.messaged.total() == 6 * SIZE
    assert transport.planned == [planned.send_at] * 4 + [None] * 3  # the fourth was built twice
    assert caplog.text.count("send_at has passed; the batches that are left are sent now") == 1


@pytest.mark.parametrize("on_late", ["fail", "send_now"])
def test_a_time_that_passes_while_a_batch_waits_for_its_turn_is_noticed_before_it_leaves(
    on_late: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    time, transport, built = FakeTime(), FakeTransport(), list[tuple[str, Any]]()
    build, planned = transport.build_batch, time.now() + timedelta(minutes=5)

    def note_and_build(*args: Any, **more: Any) -> Any:
        built.append((more["reference"], more["send_at"]))
        return build(*args, **more)

    monkeypatch.setattr(transport, "build_batch", note_and_build)
    rate_limiter = FakeRateLimiter(time, gap=240.0)
    wanted = campaign(4, send_at=planned, on_late=on_late)
    if on_late == "fail":
        with pytest.raises(ConfigurationError, match="has passed, and 2 of 4 batches had not been sent"):
            paced(rate_limiter, transport, FakeStore(), wanted)
        assert len(rate_limiter.given_back) == 1
    else:
        paced(rate_limiter, transport, FakeStore(), wanted)
    sent_for = [dict(built)[reference] for reference in transport.taken]
    assert sent_for == [planned, planned] + ([None, None] if on_late == "send_now" else [])


def test_a_time_that_had_passed_before_anything_was_sent_may_be_changed() -> None:
    time, store = FakeTime(), FakeStore()
    planned = campaign(2, send_at=time.now())
    transport = StrictTransport(time)
    with pytest.raises(
        ConfigurationError, match=r"^send_at: .* is in the past, and nothing was sent; give a later"
    ):
        paced(FakeRateLimiter(time), transport, store, planned)
    later = campaign(2, send_at=time.now() + timedelta(hours=1))
    paced(FakeRateLimiter(time), transport, store, later, try_number=2)
    assert transport.messaged.total() == 2 * SIZE


@pytest.mark.parametrize(("on_late", "settled"), [("send_now", True), ("fail", False)])
def test_a_doubt_of_which_the_time_has_passed_is_settled_by_a_repeat_only_if_it_may_leave_now(
    on_late: Any, settled: bool
) -> None:
    time, store = FakeTime(), FakeStore()
    transport = StrictTransport(time, trouble={first_of(0): [SendOutcomeUnknownError("lost")] * 2})
    planned = campaign(1, send_at=time.now() + timedelta(seconds=100), on_late=on_late)
    with pytest.raises(SendOutcomeUnknownError):
        paced(FakeRateLimiter(time), transport, store, planned)
    time.sleep(200)
    transport.recognises, transport.trouble = True, {}
    if settled:
        paced(FakeRateLimiter(time), transport, store, planned, try_number=2)
    else:
        with pytest.raises(SendOutcomeUnknownError):
            paced(FakeRateLimiter(time), transport, store, planned, try_number=2)
    assert transport.messaged.total() == (SIZE if settled else 0)


@pytest.mark.parametrize("taken", [False, True])
def test_a_time_that_passes_in_the_very_attempt_that_settles_the_doubt(taken: bool) -> None:
    """Two batches: the first takes 61 s, in which the planned time passes, and the second's answer is lost."""
    time, store = FakeTime(), FakeStore()
    transport = StrictTransport(time, recognises=True)
    lost = SendOutcomeUnknownError("lost")
    if taken:
        transport.lost = {first_of(1): lost}
    else:
        transport.trouble = {first_of(1): [lost]}
    # Both leave in time, and the answer of the first comes when the time has passed.
    slots = iter([0.0, 61.0])
    transport.check = lambda first: time.sleep(next(slots, 0.0))
    planned = campaign(2, send_at=time.now() + timedelta(seconds=60), on_late="send_now")
    records = paced(FakeRateLimiter(time, gap=0), transport, store, planned)
    assert [record.phase for record in records] == [Phase.SENT] * 2
    assert records[1].evidence is not None
    assert str(records[1].evidence.value).startswith("repeat_")
    assert set(transport.messaged.values()) == {1}
    assert transport.messaged.total() == 2 * SIZE
    assert transport.planned[-1] is None


@pytest.mark.parametrize(
    ("due", "waited"), [(None, 0.52), (100.1, 0.1), (100.01, 0.01), (99.0, 0.0), (200.0, 0.52)]
)
def test_the_loop_waits_until_the_next_slot_and_no_longer(due: float | None, waited: float) -> None:
    """Where no answer comes meanwhile, a batch that leaves late has lost its slot."""
    now = [100.0]

    def wait(seconds: float) -> bool:
        now[0] += seconds
        return False

    run: Any = CampaignRun.__new__(CampaignRun)
    run.ready = None if due is None else SimpleNamespace(due=due)
    run.sender = SimpleNamespace(clock=lambda: now[0])
    run.under_way = {0: (None, SimpleNamespace(is_done=False))}
    run.pool = SimpleNamespace(wait=wait, ends_within=wait)
    run._work_ahead = lambda: None
    run._wait()
    assert now[0] - 100.0 == pytest.approx(waited)


@pytest.mark.parametrize(("due", "read"), [(None, 9), (101.0, 9), (100.05, 5), (99.0, 0)])
def test_no_more_of_the_list_is_read_once_a_slot_is_due(due: float | None, read: int) -> None:
    """A part of the list takes 10 ms; the batch that waits for its slot would leave late, and lose it."""
    now, parts = [100.0], iter(range(9))

    def read_one() -> bool:
        now[0] += 0.01
        return next(parts, None) is not None

    run: Any = CampaignRun.__new__(CampaignRun)
    run.ready = None if due is None else SimpleNamespace(due=due)
    run.sender = SimpleNamespace(clock=lambda: now[0], stop=SimpleNamespace(is_cancelled=False))
    run.under_way = {0: (None, SimpleNamespace(is_done=False))}
    run.batches = SimpleNamespace(ready=(), read_one=read_one)
    run.requests = SimpleNamespace(build_ahead=lambda batches: False)
    run._work_ahead()
    assert 9 - len(list(parts)) == read
