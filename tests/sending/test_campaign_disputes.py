"""Answers that contradict each other or themselves, and batches of which everybody is refused by name."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_voicepartner.exceptions import (
    OutcomePendingError,
    RejectedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.gateways.model import RefusedRecipient
from airflow_provider_voicepartner.sending.cancellation import CancellationToken
from airflow_provider_voicepartner.sending.records import Evidence, Phase
from tests.support.campaigns import (
    SIZE,
    attempt,
    campaign,
    first_of,
    people,
    record_of,
    stopping,
)
from tests.support.doubts import doubts_in
from tests.support.ledgers import phases
from tests.support.tasks import FakeStore
from tests.support.transport import FakeTransport

# Answers that contradict each other, or themselves


DUPLICATE = RejectedError("request_id was used", kind=ErrorKind.DUPLICATE)


@pytest.mark.parametrize("recognises", [True, False])
def test_a_first_flight_that_is_refused_as_a_repeat_is_in_doubt_and_loud(
    recognises: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Its id was made a moment ago: somebody else has it, or the refusal was misread. It proves nothing."""
    store, transport = FakeStore(), FakeTransport(trouble={first_of(0): [DUPLICATE]}, recognises=recognises)
    for number in (1, 2):
        with pytest.raises(SendOutcomeUnknownError, match=r"batch 1 .* is in doubt"):
            attempt(transport, store, campaign(2), try_number=number)
        assert phases(store) == {0: "disputed", 1: "sent"}
    [loud] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert "although its id is new" in loud
    assert loud.startswith("Batch 1 (reference ")
    assert first_of(0) not in transport.messaged
    first = record_of(store, 0)["reference"]
    [record, _] = attempt(transport, store, campaign(2, on_unknown="resend"), try_number=3)
    assert record.phase is Phase.SENT
    assert record.reference != first  # which the gateway would refuse for ever
    assert set(transport.messaged.values()) == {1}


def test_a_repeat_under_an_id_that_has_flown_and_is_refused_as_one_proves_that_it_was_sent() -> None:
    store, transport = FakeStore(), FakeTransport(lost={first_of(0): SendOutcomeUnknownError("lost")})
    with pytest.raises(SendOutcomeUnknownError):
        attempt(transport, store, campaign(2))
    transport.trouble[first_of(0)] = [DUPLICATE]
    records = attempt(transport, store, campaign(2, on_unknown="resend"), try_number=2)
    assert [record.evidence for record in records] == [Evidence.REPEAT_REFUSED, None]
    assert [record.accepted for record in records] == [SIZE] * 2
    assert set(transport.messaged.values()) == {1}


class SameIds(FakeTransport):
    """Answers some batches with one id."""

    same: tuple[int, ...] = (0, 2)

    def deliver(self, request: Any, message: Any, recipients: Any, **more: Any) -> Any:
        receipt = super().deliver(request, message, recipients, **more)
        if recipients[0].phone_number in map(first_of, self.same):
            return replace(receipt, gateway_id="8123")
        return receipt


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_that_are_answered_with_the_same_id_are_in_doubt_all_of_them(
    workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    store, transport = FakeStore(), SameIds()
    transport.same = (0, 2, 3)
    with pytest.raises(SendOutcomeUnknownError) as caught:
        attempt(transport, store, campaign(5, max_in_flight=workers))
    assert doubts_in(str(caught.value)) == {0, 2, 3}
    assert phases(store) == {0: "disputed", 1: "sent", 2: "disputed", 3: "disputed", 4: "sent"}
    assert "were answered with the same id" in caplog.text
    assert transport.messaged.total() == 5 * SIZE


@pytest.mark.parametrize("workers", [1, 3])
def test_a_campaign_that_was_told_to_stop_when_everything_had_left_ends_with_what_is_in_doubt(
    workers: int,
) -> None:
    """Nothing is left to be sent, so what a human has to know is the doubt and not the stop."""
    stop = CancellationToken()
    with pytest.raises(SendOutcomeUnknownError) as caught:
        attempt(SameIds(check=stopping(stop, 2)), FakeStore(), campaign(3, max_in_flight=workers), stop=stop)
    assert stop.is_cancelled
    assert doubts_in(str(caught.value)) == {0, 2}


def test_an_id_that_an_earlier_attempt_was_answered_with_disputes_both() -> None:
    store, transport = FakeStore(), SameIds(trouble={first_of(2): [RetryableNotSentError("429")]})
    with pytest.raises(RetryableNotSentError):
        attempt(transport, store, campaign())
    assert phases(store)[0] == "sent"
    with pytest.raises(SendOutcomeUnknownError) as caught:
        attempt(transport, store, campaign(), try_number=2)
    assert doubts_in(str(caught.value)) == {0, 2}


@pytest.mark.parametrize(
    ("choice", "evidence"),
    [("fail", Evidence.LOOK_UP), ("assume_sent", Evidence.ASSUMED), ("resend", Evidence.SENT_AGAIN)],
)
def test_a_dispute_ends(choice: Any, evidence: Evidence) -> None:
    store, transport = FakeStore(), SameIds(finds=choice == "fail")
    with pytest.raises((OutcomePendingError, SendOutcomeUnknownError)):
        attempt(transport, store, campaign())
    transport.same = ()
    for number in (2, 3):
        records = attempt(transport, store, campaign(on_unknown=choice), try_number=number)
        assert [record.evidence for record in records] == [evidence, None, evidence]
    assert transport.messaged.total() == (5 if choice == "resend" else 3) * SIZE


# Everybody refused by name


class Naming(FakeTransport):
    """Refuses recipients by name; a batch of which it refuses everybody gets no id."""

    named: frozenset[str] = frozenset()

    def deliver(self, request: Any, message: Any, recipients: Any, **more: Any) -> Any:
        receipt = super().deliver(request, message, recipients, **more)
        refused = tuple(
            RefusedRecipient(phone_number=one.phone_number, code="1", reason="STOP", opted_out=True)
            for one in recipients
            if one.phone_number in self.named
        )
        accepted = len(recipients) - len(refused)
        return replace(
            receipt, accepted=accepted, refused=refused, gateway_id=receipt.gateway_id if accepted else None
        )


def test_a_batch_of_which_nobody_is_left_is_a_receipt_for_nobody() -> None:
    transport = Naming()
    transport.named = frozenset(person.phone_number for person in people(SIZE, SIZE))
    records = attempt(transport, FakeStore(), campaign())
    assert [(record.accepted, record.opted_out, record.gateway_id is None) for record in records] == [
        (2, 0, False), (0, 2, True), (2, 0, False),
    ]  # fmt: skip


def test_a_campaign_of_which_everybody_is_refused_fails_and_a_corrected_list_is_sent() -> None:
    store, transport = FakeStore(), Naming()
    transport.named = frozenset(person.phone_number for person in people(2 * SIZE))
    for number in (1, 2):  # and is not tried again
        with pytest.raises(RejectedError, match=r"all 4 recipients by name; 4 of them opted out") as caught:
            attempt(transport, store, campaign(2), try_number=number)
        assert "sent none, refused by name 2 (4 recipients), in doubt none, left none" in str(caught.value)
    assert transport.messaged.total() == 2 * SIZE
    records = attempt(transport, store, campaign(2, start=100), try_number=3)
    assert [record.accepted for record in records] == [SIZE] * 2


def test_an_id_that_was_disputed_before_disputes_a_batch_of_a_later_attempt_too() -> None:
    store, transport = FakeStore(), SameIds(trouble={first_of(3): [RetryableNotSentError("429")]})
    transport.same = (0, 2, 3)
    with pytest.raises(RetryableNotSentError):
        attempt(transport, store, campaign(4))
    assert phases(store) == {0: "disputed", 1: "sent", 2: "disputed", 3: "refused"}
    with pytest.raises(SendOutcomeUnknownError) as caught:
        attempt(transport, store, campaign(4), try_number=2)
    assert doubts_in(str(caught.value)) == {0, 2, 3}
