"""Refusals, and answers that never came: one doubt holds nobody else up, and ends where it can."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_voicepartner.exceptions import (
    CampaignInterruptedError,
    ConfigurationError,
    OutcomePendingError,
    RejectedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.sending.records import Evidence, Phase
from tests.support.campaigns import (
    SIZE,
    attempt,
    campaign,
    first_of,
    record_of,
)
from tests.support.doubts import doubts_in
from tests.support.ledgers import phases
from tests.support.tasks import FakeStore
from tests.support.transport import (
    NOW,
    CountingStore,
    FakeTransport,
)

# Refusals, and answers that never came


@pytest.mark.parametrize(
    "failure",
    [
        RetryableNotSentError("429", retry_after=3),
        RejectedError("no credit", kind=ErrorKind.CREDIT),
        ConfigurationError("cannot be put on the wire"),
    ],
    ids=["retryable", "rejected", "unusable"],
)
def test_what_was_provably_not_sent_is_sent_by_the_next_attempt(failure: Exception) -> None:
    store, transport = FakeStore(), FakeTransport(trouble={first_of(1): [failure]})
    with pytest.raises(type(failure)) as caught:
        attempt(transport, store, campaign())
    assert caught.value is failure
    assert phases(store) == {0: "sent", 1: "refused"}
    first = record_of(store, 1)["reference"]
    records = attempt(transport, store, campaign(), try_number=2)
    assert [record.phase for record in records] == [Phase.SENT] * 3
    assert records[1].reference != first  # the gateway may have kept the one that it refused
    assert set(transport.messaged.values()) == {1}
    assert len(transport.messaged) == 3 * SIZE


class TellingStore(CountingStore):
    """Says when the refusal of the second batch has landed and is written."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = threading.Event()

    def set(self, key: str, value: Any) -> None:
        super().set(key, value)
        if self.changed and "refused 1" in self.changed[-1]:
            self.refused.set()


def test_a_refusal_lets_the_others_land_and_nothing_more_leaves() -> None:
    store, together = TellingStore(), threading.Barrier(3, timeout=10)
    failure = RejectedError("no credit", kind=ErrorKind.CREDIT)
    transport = FakeTransport(trouble={first_of(1): [failure]})

    def check(first: str) -> None:
        together.wait()
        if first != first_of(1):
            assert store.refused.wait(10)

    transport.check = check
    with pytest.raises(RejectedError) as caught:
        attempt(transport, store, campaign(9, max_in_flight=3))
    assert caught.value is failure
    assert phases(store) == {0: "sent", 1: "refused", 2: "sent"}
    assert len(transport.messaged) == 2 * SIZE
    transport.check = lambda first: None
    attempt(transport, store, campaign(9, max_in_flight=3), try_number=2)
    assert set(transport.messaged.values()) == {1}
    assert len(transport.messaged) == 9 * SIZE


def test_the_first_failure_is_raised_and_not_a_later_one() -> None:
    store = TellingStore()
    early, late = RetryableNotSentError("first"), SendOutcomeUnknownError("second")
    transport = FakeTransport(trouble={first_of(0): [late], first_of(1): [early]})

    def check(first: str) -> None:
        if first == first_of(0):
            assert store.refused.wait(10)

    transport.check = check
    with pytest.raises(RetryableNotSentError) as caught:
        attempt(transport, store, campaign(2, max_in_flight=2))
    assert caught.value is early
    assert phases(store) == {0: "claimed", 1: "refused"}


def test_an_answer_that_never_came_leaves_the_batch_in_doubt_and_the_others_leave() -> None:
    store, transport = FakeStore(), FakeTransport(failures=[SendOutcomeUnknownError("no answer")])
    with pytest.raises(SendOutcomeUnknownError, match=r"batch 1 .* is in doubt: no answer"):
        attempt(transport, store, campaign())
    assert phases(store) == {0: "claimed", 1: "sent", 2: "sent"}
    with pytest.raises(SendOutcomeUnknownError, match="recorded no answer"):
        attempt(transport, store, campaign(), try_number=2)
    assert transport.messaged.total() == 2 * SIZE


def test_every_batch_in_doubt_is_named_at_the_end_with_where_things_stand() -> None:
    store, transport = FakeStore(), FakeTransport()
    transport.lost = {first_of(index): SendOutcomeUnknownError("lost") for index in (1, 4, 5)}
    with pytest.raises(SendOutcomeUnknownError) as caught:
        attempt(transport, store, campaign(7, max_in_flight=3))
    assert doubts_in(str(caught.value)) == {1, 4, 5}
    for index in (1, 4, 5):
        assert record_of(store, index)["reference"] in str(caught.value)
    assert str(caught.value).endswith(
        "Of 7 batches (14 recipients): sent 4 (8 recipients), in doubt 3 (6 recipients), left none. Airflow does "
        "not retry this error. Clear the task without changing on_unknown to ask once more: it sends what is left, "
        "and nothing twice"
    )
    assert len(transport.messaged) == 7 * SIZE


def test_doubts_are_settled_when_everything_else_has_landed() -> None:
    store, transport = FakeStore(), FakeTransport(finds=True)
    transport.lost = {first_of(index): SendOutcomeUnknownError("lost") for index in (0, 2)}
    asked: list[dict[int, str]] = []
    slept: list[float] = []

    class Asked(FakeTransport):
        def find_proof(self, *args: Any) -> Any:
            asked.append(phases(store))
            return super().find_proof(*args)

    transport = Asked(finds=True, lost=transport.lost)
    attempt(transport, store, campaign(5, max_in_flight=2), sleep=slept.append)
    assert asked == [{0: "claimed", 1: "sent", 2: "claimed", 3: "sent", 4: "sent"}] * 2
    assert not slept  # both are known at once


@pytest.mark.parametrize("taken", [True, False])
def test_while_the_gateway_may_still_come_to_know_it_a_retry_asks_again(
    taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, transport = FakeStore(), FakeTransport(finds=True)
    lost = SendOutcomeUnknownError("lost")
    transport.lost, transport.trouble = ({first_of(0): lost}, {}) if taken else ({}, {first_of(0): [lost]})
    known = transport.find_proof
    monkeypatch.setattr(transport, "find_proof", lambda *args: None)
    for number, (minutes, ask_in) in enumerate([(0, 30.0), (2, 120.0), (14, 61.0)], 1):
        with pytest.raises(OutcomePendingError) as caught:
            attempt(
                transport, store, campaign(), try_number=number,
                now=lambda minutes=minutes: NOW + timedelta(minutes=minutes),
            )  # fmt: skip
        assert caught.value.retry_after == ask_in
        assert "A retry, or clearing the task, sends what is left, and nothing twice" in str(caught.value)
    monkeypatch.setattr(transport, "find_proof", known)
    if taken:
        records = attempt(transport, store, campaign(), try_number=4)
        assert records[0].evidence is Evidence.LOOK_UP
    else:
        with pytest.raises(SendOutcomeUnknownError):
            attempt(transport, store, campaign(), try_number=4, now=lambda: NOW + timedelta(minutes=15))
    assert set(transport.messaged.values()) == {1}


@pytest.mark.parametrize("evidence", ["finds", "recognises"])
def test_a_lost_answer_is_settled_at_once_where_there_is_evidence(evidence: str) -> None:
    store, transport = FakeStore(), FakeTransport(**{evidence: True})
    transport.lost = {first_of(index): SendOutcomeUnknownError("lost") for index in range(4)}
    records = attempt(transport, store, campaign(4, max_in_flight=2))
    assert [(record.phase, record.accepted, record.gateway_id) for record in records] == [
        (Phase.SENT, SIZE, None)
    ] * 4
    assert set(transport.messaged.values()) == {1}


@pytest.mark.parametrize(("choice", "messaged"), [("assume_sent", 0), ("resend", SIZE)])
def test_a_lost_answer_follows_the_users_choice_at_once(choice: Any, messaged: int) -> None:
    store = FakeStore()
    transport = FakeTransport(trouble={first_of(0): [SendOutcomeUnknownError("lost")]})
    records = attempt(transport, store, campaign(2, on_unknown=choice))
    assert records[0].phase is (Phase.SENT if messaged else Phase.ASSUMED_SENT)
    assert records[0].evidence is (Evidence.SENT_AGAIN if messaged else Evidence.ASSUMED)
    assert transport.messaged.total() == SIZE + messaged
    assert phases(store) == {0: records[0].phase.value, 1: "sent"}


def test_a_lost_answer_is_sent_again_once_in_an_attempt_and_not_endlessly() -> None:
    store, transport = FakeStore(), FakeTransport()
    transport.trouble[first_of(0)] = [SendOutcomeUnknownError("lost") for _ in range(2)]
    with pytest.raises(SendOutcomeUnknownError, match="batch 1 "):
        attempt(transport, store, campaign(on_unknown="resend"))
    assert record_of(store, 0)["resent"] == 1
    assert phases(store) == {0: "claimed", 1: "sent", 2: "sent"}
    attempt(transport, store, campaign(on_unknown="resend"), try_number=2)
    assert set(transport.messaged.values()) == {1}
    assert record_of(store, 0)["resent"] == 2


def test_a_batch_sent_again_and_then_refused_stays_in_doubt() -> None:
    """The first time it may have arrived: a refusal of the second time proves nothing."""
    store = FakeStore()
    transport = FakeTransport(
        trouble={first_of(0): [SendOutcomeUnknownError("lost"), RejectedError("no credit")]}
    )
    with pytest.raises(RejectedError):
        attempt(transport, store, campaign(on_unknown="resend"))
    assert phases(store) == {0: "claimed", 1: "sent", 2: "sent"}
    assert "resent" not in record_of(store, 0)  # that one was not taken


@pytest.mark.parametrize("taken", [True, False])
def test_what_a_gateway_does_not_list_is_sent_again_when_it_would_have_been_listed(taken: bool) -> None:
    store, transport = FakeStore(), FakeTransport(finds=True, disproves=True)
    lost = SendOutcomeUnknownError("lost")
    transport.lost, transport.trouble = ({first_of(0): lost}, {}) if taken else ({}, {first_of(0): [lost]})
    wanted = campaign(on_unknown="resend_unlisted")
    if not taken:
        with pytest.raises(OutcomePendingError):
            attempt(transport, store, wanted)
        assert transport.messaged.total() == 2 * SIZE
    records = attempt(transport, store, wanted, try_number=2, now=lambda: NOW + timedelta(minutes=15))
    assert records[0].evidence is (Evidence.LOOK_UP if taken else Evidence.SENT_AGAIN)
    assert set(transport.messaged.values()) == {1}
    assert len(transport.messaged) == 3 * SIZE


def test_a_batch_that_waited_long_before_it_left_may_be_listed_as_long_as_any_other() -> None:
    """A 429 or a penalty may keep it for an hour after it was claimed; the gateway knows of it after it left."""
    store, now, renewed = FakeStore(), [NOW], threading.Event()
    lost = SendOutcomeUnknownError("cut")

    class Slow(FakeTransport):
        """Lists nothing yet."""

        def find_proof(self, *asked: Any) -> None:
            return None

    class Watching(FakeStore):
        def set(self, key: str, value: Any, **more: Any) -> None:
            store.set(key, value)
            if "again_at" in str(value):
                renewed.set()

        def get(self, key: str, default: Any = None) -> Any:
            return store.get(key, default)

    def check(first: str) -> None:
        now[0] += timedelta(minutes=20)
        renewed.wait(10)

    transport = Slow(finds=True, disproves=True, lost={first_of(0): lost}, check=check)
    wanted = campaign(1, on_unknown="resend_unlisted")
    for state, number in ((Watching(), 1), (store, 2)):
        with pytest.raises(OutcomePendingError):
            attempt(transport, state, wanted, try_number=number, now=lambda: now[0])
    assert set(transport.messaged.values()) == {1}
    now[0] += timedelta(minutes=16)
    attempt(transport, store, wanted, try_number=3, now=lambda: now[0])
    assert set(transport.messaged.values()) == {2}, "it lists nothing in all that time, and is believed"


def test_a_repeat_that_may_still_be_listed_is_not_sent_a_third_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway's time begins with the last claim, also where one attempt made both."""
    store, transport = FakeStore(), FakeTransport(finds=True, disproves=True)
    monkeypatch.setattr(transport, "find_proof", lambda *args: None)  # it is late with everything
    moments = iter([NOW, *[NOW + timedelta(hours=2)] * 20])
    transport.trouble[first_of(0)] = [SendOutcomeUnknownError("lost")]
    transport.lost[first_of(0)] = SendOutcomeUnknownError("lost again")
    with pytest.raises(OutcomePendingError):
        attempt(transport, store, campaign(1, on_unknown="resend_unlisted"), now=lambda: next(moments))
    assert transport.messaged[first_of(0)] == 1
    for minutes in (1, 14):
        with pytest.raises(OutcomePendingError):
            attempt(
                transport, store, campaign(1, on_unknown="resend_unlisted"), try_number=2,
                now=lambda minutes=minutes: NOW + timedelta(hours=2, minutes=minutes),
            )  # fmt: skip
    assert transport.messaged[first_of(0)] == 1


@pytest.mark.parametrize(
    ("gateway", "refused"),
    [
        ({}, True),
        ({"finds": True}, True),
        ({"finds": True, "disproves": True}, False),
        ({"recognises": True}, False),
    ],
    ids=[
        "nothing to ask",
        "an empty list proves nothing",
        "an empty list may be believed",
        "recognises repeats",
    ],
)
def test_a_choice_that_a_gateway_has_no_way_to_follow_is_refused_at_the_start(
    gateway: dict[str, Any], refused: bool
) -> None:
    store, transport = CountingStore(), FakeTransport(**gateway)
    if refused:
        with pytest.raises(
            ConfigurationError, match=r"^on_unknown: 'resend_unlisted' needs .*Nothing was sent"
        ):
            attempt(transport, store, campaign(on_unknown="resend_unlisted"))
        assert not store.changed
    else:
        attempt(transport, store, campaign(on_unknown="resend_unlisted"))
    assert transport.messaged.total() == (0 if refused else 3 * SIZE)


@pytest.mark.parametrize("choice", ["fail", "assume_sent", "resend"])
def test_evidence_of_a_part_is_a_receipt_for_that_part(choice: Any) -> None:
    store, transport = FakeStore(), FakeTransport(finds=True, shows=1)
    transport.lost[first_of(0)] = SendOutcomeUnknownError("lost")
    wanted = campaign(2, on_unknown=choice)
    late = NOW + timedelta(minutes=15)
    if choice == "fail":
        with pytest.raises(OutcomePendingError):
            attempt(transport, store, wanted)
    records = attempt(transport, store, wanted, try_number=2, now=lambda: late)
    assert [(record.accepted, record.in_doubt) for record in records] == [(1, 1), (2, 0)]
    assert set(transport.messaged.values()) == {1}


def test_what_a_repeat_has_sent_is_recorded_although_the_next_one_is_stopped() -> None:
    store, transport = FakeStore(), FakeTransport(recognises=True)
    lost = [SendOutcomeUnknownError("lost")]
    transport.trouble = {first_of(0): [*lost], first_of(1): [*lost, CampaignInterruptedError("stopped")]}
    with pytest.raises(CampaignInterruptedError):
        attempt(transport, store, campaign(2))
    assert phases(store) == {0: "sent", 1: "claimed"}
    assert transport.messaged.total() == SIZE


def test_a_repeat_that_must_wait_fails_the_attempt_with_the_wait_and_a_retry_makes_it() -> None:
    store, transport = FakeStore(), FakeTransport(recognises=True)
    wait = RetryableNotSentError("the rate limit", retry_after=40)
    transport.trouble = {first_of(0): [SendOutcomeUnknownError("lost"), wait]}
    with pytest.raises(RetryableNotSentError, match="the rate limit") as caught:
        attempt(transport, store, campaign(2))
    assert caught.value.retry_after == 40
    assert phases(store) == {0: "claimed", 1: "sent"}
    records = attempt(transport, store, campaign(2), try_number=2)
    assert records[0].evidence is Evidence.REPEAT_ACCEPTED
    assert set(transport.messaged.values()) == {1}


def test_an_unforeseen_error_while_sending_leaves_the_batch_in_doubt() -> None:
    store, transport = FakeStore(), FakeTransport(failures=[ZeroDivisionError()])
    with pytest.raises(ZeroDivisionError):
        attempt(transport, store, campaign())
    with pytest.raises(SendOutcomeUnknownError):
        attempt(transport, store, campaign(), try_number=2)
    assert len(transport.messaged) == 2 * SIZE
    assert first_of(0) not in transport.messaged
