"""Refusals, and answers that never came: one doubt holds nobody else up, and ends where it can."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from airflow_provider_voicepartner.exceptions import (
    ConfigurationError,
    RejectedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.sending.evidence import Evidence
from airflow_provider_voicepartner.sending.records import Phase
from tests.support.campaigns import (
    SIZE,
    attempt,
    campaign,
    first_of,
    people,
    record_of,
)
from tests.support.ledgers import phases
from tests.support.messenger import (
    CountingStore,
    FakeMessenger,
)
from tests.support.tasks import FakeStore

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
    store, messenger = FakeStore(), FakeMessenger(trouble={first_of(1): [failure]})
    with pytest.raises(type(failure)) as caught:
        attempt(messenger, store, campaign())
    assert caught.value is failure
    assert phases(store) == {0: "sent", 1: "refused"}
    first = record_of(store, 1)["reference"]
    records = attempt(messenger, store, campaign(), try_number=2)
    assert [record.phase for record in records] == [Phase.SENT] * 3
    assert records[1].reference != first  # the gateway may have kept the one that it refused
    assert set(messenger.messaged.values()) == {1}
    assert len(messenger.messaged) == 3 * SIZE


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
    messenger = FakeMessenger(trouble={first_of(1): [failure]})

    def check(first: str) -> None:
        together.wait()
        if first != first_of(1):
            assert store.refused.wait(10)

    messenger.check = check
    with pytest.raises(RejectedError) as caught:
        attempt(messenger, store, campaign(9, max_in_flight=3))
    assert caught.value is failure
    assert phases(store) == {0: "sent", 1: "refused", 2: "sent"}
    assert len(messenger.messaged) == 2 * SIZE
    messenger.check = lambda first: None
    attempt(messenger, store, campaign(9, max_in_flight=3), try_number=2)
    assert set(messenger.messaged.values()) == {1}
    assert len(messenger.messaged) == 9 * SIZE


def test_the_first_failure_is_raised_and_not_a_later_one() -> None:
    store = TellingStore()
    early, late = RetryableNotSentError("first"), SendOutcomeUnknownError("second")
    messenger = FakeMessenger(trouble={first_of(0): [late], first_of(1): [early]})

    def check(first: str) -> None:
        if first == first_of(0):
            assert store.refused.wait(10)

    messenger.check = check
    with pytest.raises(RetryableNotSentError) as caught:
        attempt(messenger, store, campaign(2, max_in_flight=2))
    assert caught.value is early
    assert phases(store) == {0: "claimed", 1: "refused"}


def test_an_answer_that_never_came_leaves_the_batch_in_doubt() -> None:
    store, messenger = FakeStore(), FakeMessenger(failures=[SendOutcomeUnknownError("no answer")])
    with pytest.raises(SendOutcomeUnknownError, match=r"batch 1 .* is in doubt: no answer"):
        attempt(messenger, store, campaign())
    with pytest.raises(SendOutcomeUnknownError, match="stopped between"):
        attempt(messenger, store, campaign(), try_number=2)
    assert not messenger.messaged


@pytest.mark.parametrize("evidence", ["finds", "recognises"])
def test_a_lost_answer_is_settled_at_once_where_there_is_evidence(evidence: str) -> None:
    store, messenger = FakeStore(), FakeMessenger(**{evidence: True})
    messenger.lost = {first_of(index): SendOutcomeUnknownError("lost") for index in range(4)}
    records = attempt(messenger, store, campaign(4, max_in_flight=2))
    assert [(record.phase, record.accepted, record.gateway_id) for record in records] == [
        (Phase.SENT, SIZE, None)
    ] * 4
    assert set(messenger.messaged.values()) == {1}


@pytest.mark.parametrize(("choice", "messaged"), [("assume_sent", 0), ("resend", SIZE)])
def test_a_lost_answer_follows_the_users_choice_at_once(choice: Any, messaged: int) -> None:
    store = FakeStore()
    messenger = FakeMessenger(trouble={first_of(0): [SendOutcomeUnknownError("lost")]})
    records = attempt(messenger, store, campaign(2, on_unknown=choice))
    assert records[0].phase is (Phase.SENT if messaged else Phase.ASSUMED_SENT)
    assert records[0].evidence is (Evidence.SENT_AGAIN if messaged else Evidence.ASSUMED)
    assert messenger.messaged.total() == SIZE + messaged
    assert phases(store) == {0: records[0].phase.value, 1: "sent"}


def test_a_batch_sent_again_and_then_refused_stays_in_doubt() -> None:
    """The first time it may have arrived: a refusal of the second time proves nothing."""
    store = FakeStore()
    messenger = FakeMessenger(
        trouble={first_of(0): [SendOutcomeUnknownError("lost"), RejectedError("no credit")]}
    )
    with pytest.raises(RejectedError):
        attempt(messenger, store, campaign(on_unknown="resend"))
    assert phases(store) == {0: "claimed"}


def test_an_unforeseen_error_while_sending_leaves_the_batch_in_doubt() -> None:
    store, messenger = FakeStore(), FakeMessenger(failures=[ZeroDivisionError()])
    with pytest.raises(ZeroDivisionError):
        attempt(messenger, store, campaign())
    with pytest.raises(SendOutcomeUnknownError):
        attempt(messenger, store, campaign(), try_number=2)
    assert not messenger.messaged


def test_a_gateway_that_says_it_had_this_very_batch_before_proves_that_it_took_it() -> None:
    store = FakeStore()
    refusal = RejectedError("request_id was used", kind=ErrorKind.DUPLICATE)
    messenger = FakeMessenger(trouble={first_of(0): [refusal]})
    records = attempt(messenger, store, campaign(2))
    assert [(record.phase, record.accepted) for record in records] == [(Phase.SENT, SIZE)] * 2
    assert [record.evidence for record in records] == [Evidence.REPEAT_REFUSED, None]
    assert list(messenger.messaged) == [person.phone_number for person in people(SIZE, SIZE)]
    attempt(messenger, store, campaign(2), try_number=2)
    assert messenger.messaged.total() == SIZE
