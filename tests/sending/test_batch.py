"""A batch that was in doubt once is never called refused: the first time it may have arrived."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.exceptions import (
    CampaignInterruptedError,
    ConfigurationError,
    RejectedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.gateways.model import Receipt, SmsMessage
from airflow_provider_voicepartner.gateways.wire import ApiRequest
from airflow_provider_voicepartner.sending.batch import AttemptResult, BatchAttempt, BatchSender, check_claim
from airflow_provider_voicepartner.sending.records import BatchRecord, Evidence, Phase
from airflow_provider_voicepartner.sending.store_memory import StoreMemory, TaskInstanceKey
from airflow_provider_voicepartner.sending.transport import Slot
from tests.support.campaigns import SIZE, attempt, campaign, first_of, people, record_of
from tests.support.ledgers import phases
from tests.support.tasks import FakeStore
from tests.support.transport import NOW, FakeTransport, changes

CLAIM = BatchRecord(phase=Phase.CLAIMED, reference="k3v9x0q2w7ha", size=SIZE, at=NOW.isoformat())
MESSAGE = SmsMessage(text="Bonjour")
LATER = NOW + timedelta(hours=3)


# What is claimed


@pytest.mark.parametrize(
    ("unresolved", "claim"),
    [
        (None, BatchRecord(phase=Phase.CLAIMED, reference="new", size=SIZE)),
        # In doubt: the same reference and the first moment, for a gateway that recognises a repeat.
        (CLAIM, replace(CLAIM, resent=1)),
        (replace(CLAIM, resent=2, again_at="then"), replace(CLAIM, resent=3, again_at="then")),
        # Of a try that left no trace.
        (
            BatchRecord(phase=Phase.CLAIMED, reference="", size=SIZE),
            BatchRecord(phase=Phase.CLAIMED, reference="new", size=SIZE, resent=1),
        ),
        # Disputed: the gateway knows the reference, and would refuse it again and again.
        (
            replace(CLAIM, phase=Phase.DISPUTED, accepted=2, gateway_id="8", cost=Decimal(1)),
            BatchRecord(phase=Phase.CLAIMED, reference="new", size=SIZE, resent=1),
        ),
    ],
    ids=["first", "in doubt", "in doubt again", "without a trace", "disputed"],
)
def test_what_is_claimed_of_a_batch_that_leaves(unresolved: BatchRecord | None, claim: BatchRecord) -> None:
    assert BatchAttempt.claim_for(unresolved, SIZE, lambda: "new") == claim


def attempt_of(claim: BatchRecord, unresolved: BatchRecord | None = None) -> BatchAttempt:
    request = ApiRequest(
        endpoint="send", method="POST", path="send", safe_to_repeat=False,
        body={"simulate": False, "reference": claim.reference},
    )  # fmt: skip
    return BatchAttempt(
        index=4,
        recipients=people(SIZE),
        request=request,
        claim=claim,
        slot=Slot(0.0, "ticket"),
        due=0.0,
        unresolved=unresolved,
    )


def test_a_claim_keeps_when_it_was_made_first_and_when_it_was_made_last() -> None:
    batch_attempt = attempt_of(replace(CLAIM, at=None))
    batch_attempt.claim_now(NOW)
    assert (batch_attempt.claim.at, batch_attempt.claim.again_at) == (NOW.isoformat(), None)
    batch_attempt.claim_now(LATER)
    assert (batch_attempt.claim.at, batch_attempt.claim.again_at) == (NOW.isoformat(), LATER.isoformat())


def test_what_was_not_taken_is_refused_or_what_it_was_before() -> None:
    assert attempt_of(CLAIM).not_sent == replace(CLAIM, phase=Phase.REFUSED)
    assert attempt_of(replace(CLAIM, resent=1), CLAIM).not_sent is CLAIM


# How an attempt ends


def result_of(transport: FakeTransport, batch_attempt: BatchAttempt) -> AttemptResult:
    return BatchSender(transport=transport, message=SmsMessage(text="Bonjour"), now=lambda: LATER).send(
        batch_attempt
    )


@pytest.mark.parametrize("unresolved", [None, CLAIM], ids=["first", "sent again"])
def test_an_answer_is_a_record_of_it(unresolved: BatchRecord | None) -> None:
    transport = FakeTransport()
    result = result_of(transport, attempt_of(CLAIM, unresolved))
    assert transport.slots == [Slot(0.0, "ticket")]
    assert result.record is not None
    assert (result.record.phase, result.record.accepted, result.record.at) == (
        Phase.SENT,
        SIZE,
        LATER.isoformat(),
    )
    assert result.record.evidence is (Evidence.SENT_AGAIN if unresolved else None)
    assert (result.error, result.unknown_because) == (None, None)


@pytest.mark.parametrize(
    "error",
    [RejectedError("no credit", kind=ErrorKind.CREDIT), RetryableNotSentError("429"), ConfigurationError("unusable"),
     CampaignInterruptedError("stopped in a wait")],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
@pytest.mark.parametrize("unresolved", [None, CLAIM], ids=["first", "sent again"])
def test_what_was_provably_not_taken_is_an_error_and_never_a_doubt(
    error: Exception, unresolved: BatchRecord | None
) -> None:
    batch_attempt = attempt_of(CLAIM, unresolved)
    assert result_of(FakeTransport(failures=[error]), batch_attempt) == AttemptResult(
        attempt=batch_attempt, record=batch_attempt.not_sent, error=error
    )


def test_an_answer_that_did_not_come_leaves_the_claim() -> None:
    batch_attempt = attempt_of(CLAIM)
    result = result_of(FakeTransport(failures=[SendOutcomeUnknownError("no answer")]), batch_attempt)
    assert result == AttemptResult(attempt=batch_attempt, unknown_because="no answer")


@pytest.mark.parametrize(
    ("unresolved", "proves"),
    [
        (None, False),
        (CLAIM, True),
        (BatchRecord(phase=Phase.CLAIMED, reference="", size=SIZE), False),
        (replace(CLAIM, phase=Phase.DISPUTED), False),
    ],
    ids=["first", "in doubt", "without a trace", "disputed"],
)
def test_a_refusal_as_a_repeat_proves_something_only_of_a_reference_that_has_flown(
    unresolved: BatchRecord | None, proves: bool, caplog: pytest.LogCaptureFixture
) -> None:
    refusal = RejectedError("used before", kind=ErrorKind.DUPLICATE)
    claim = replace(CLAIM, again_at=LATER.isoformat())
    result = result_of(FakeTransport(failures=[refusal], finds=True), attempt_of(claim, unresolved))
    assert result.error is None
    assert result.record is not None
    if proves:
        assert result.unknown_because is None
        assert result.record == replace(
            CLAIM, phase=Phase.SENT, accepted=SIZE, tag=f"tag-{CLAIM.reference}", at=LATER.isoformat(),
            evidence=Evidence.REPEAT_REFUSED,
        )  # fmt: skip
        assert not caplog.records
    else:
        assert result.record == replace(claim, phase=Phase.DISPUTED)
        assert "used before" in str(result.unknown_because)
        assert CLAIM.reference in caplog.text


def test_a_receipt_for_nobody_is_no_doubt() -> None:
    class Nobody(FakeTransport):
        def deliver(self, *args: Any, **more: Any) -> Receipt:
            return Receipt(gateway_id=None, accepted=0)

    result = result_of(Nobody(), attempt_of(CLAIM))
    assert result.record is not None
    assert result.record.reached_nobody


# Through the whole loop


LOST = SendOutcomeUnknownError("lost")
ENDINGS = {
    "refused": RejectedError("no credit", kind=ErrorKind.CREDIT),
    "refused for now": RetryableNotSentError("429"),
    "unusable": ConfigurationError("cannot be put on the wire"),
    "interrupted": CampaignInterruptedError("stopped in a wait for the rate limit"),
}
NO_EVIDENCE = RejectedError("maintenance")
"""The repeat is refused for another reason, which proves nothing."""


def taken_and_lost(store: Any, batch: int = 0, **gateway: Any) -> FakeTransport:
    """Run a first attempt of which the gateway takes a batch, while no answer and no evidence comes back."""
    transport = FakeTransport(lost={first_of(batch): LOST}, **gateway)
    with pytest.MonkeyPatch.context() as patch:
        if transport.recognises:
            patch.setattr(transport, "repeats_safely", lambda age: False)
        with pytest.raises(SendOutcomeUnknownError):
            attempt(transport, store, campaign(batch + 1))
    assert phases(store)[batch] == "claimed"
    assert transport.messaged[first_of(batch)] == 1
    return transport


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Compare records whoever wrote them."""
    return BatchRecord.from_json(one) == BatchRecord.from_json(other)


@pytest.mark.parametrize("recognises", [False, True], ids=["no evidence", "recognises repeats"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_doubt_that_is_sent_again_and_does_not_get_through_stays_the_same_doubt(
    ending: str, recognises: bool
) -> None:
    store = FakeStore()
    transport = taken_and_lost(store, recognises=recognises)
    before = record_of(store, 0)
    failure = ENDINGS[ending]
    transport.trouble[first_of(0)] = [NO_EVIDENCE, failure] if recognises else [failure]
    later = NOW + timedelta(minutes=5)
    with pytest.raises(type(failure)):
        attempt(transport, store, campaign(1, on_unknown="resend"), try_number=2, now=lambda: later)
    assert same(record_of(store, 0), before)  # its reference and its moment, too
    if recognises:
        [record] = attempt(transport, store, campaign(1), try_number=3)
        assert record.reference == before["reference"]
    else:
        with pytest.raises(SendOutcomeUnknownError, match=before["reference"]):
            attempt(transport, store, campaign(1), try_number=3)
    assert set(transport.messaged.values()) == {1}


class Forgetful(FakeStore):
    """Loses one claim that is made again, with all that travels with it."""

    losses = 0

    def set(self, key: str, value: Any, **more: Any) -> None:
        if "claimed" in changes(value) and self.losses:
            self.losses -= 1
            raise ConnectionError("the state store is gone")
        super().set(key, value, **more)


@pytest.mark.parametrize("recognises", [False, True], ids=["no evidence", "recognises repeats"])
def test_a_claim_that_is_taken_back_leaves_the_doubt_that_was_there_before(recognises: bool) -> None:
    """One memory took the claim of a repeat and the other did not; nothing has left."""
    state, store = Forgetful(), open_store("sqlite://")
    memory = StoreMemory(store, TaskInstanceKey("dag", "run", "send"))
    transport = taken_and_lost(state, recognises=recognises)
    before = record_of(state, 0)
    state.losses = 1
    if recognises:
        transport.trouble[first_of(0)] = [NO_EVIDENCE]
    with pytest.raises(ConnectionError):
        attempt(transport, state, campaign(1, on_unknown="resend"), try_number=2, memories=[memory])
    assert same(record_of(state, 0), before)
    again = StoreMemory(store, TaskInstanceKey("dag", "run", "send"))
    if recognises:
        attempt(transport, state, campaign(1), try_number=3, memories=[again])
    else:
        with pytest.raises(SendOutcomeUnknownError, match=before["reference"]):
            attempt(transport, state, campaign(1), try_number=3, memories=[again])
        assert again.recall().records[0] == BatchRecord.from_json(before)
    assert transport.messaged[first_of(0)] == 1
    store.close()


def test_a_repeat_is_recognised_for_as_long_as_the_first_request_is_and_no_longer() -> None:
    """Each attempt keeps the reference, so the gateway's day begins with the first one and not with the last."""
    store = FakeStore()
    transport = taken_and_lost(store, recognises=True)
    claimed_at = record_of(store, 0)["at"]
    for number, hours in ((2, 12), (3, 22)):
        # No answer to the repeat, to the resend, to the same two after it, nor to a last repeat.
        transport.trouble[first_of(0)] = [LOST] * 5
        with pytest.raises(SendOutcomeUnknownError):
            attempt(
                transport, store, campaign(1, on_unknown="resend"), try_number=number,
                now=lambda hours=hours: NOW + timedelta(hours=hours),
            )  # fmt: skip
        assert record_of(store, 0)["at"] == claimed_at
    # A day after the first request the gateway has forgotten it, and would take a repeat for something new.
    transport.trouble.clear()
    transport.taken.clear()
    with pytest.raises(SendOutcomeUnknownError, match="in doubt"):
        attempt(transport, store, campaign(1), try_number=4, now=lambda: NOW + timedelta(hours=25))
    assert set(transport.messaged.values()) == {1}


def test_a_batch_that_was_refused_is_claimed_anew_with_a_moment_of_its_own() -> None:
    store, transport = FakeStore(), FakeTransport(failures=[RetryableNotSentError("429")])
    with pytest.raises(RetryableNotSentError):
        attempt(transport, store, campaign(1))
    later = NOW + timedelta(hours=30)
    seen: list[dict[str, Any]] = []
    transport.check = lambda first: seen.append(record_of(store, 0))
    attempt(transport, store, campaign(1), try_number=2, now=lambda: later)
    assert [datetime.fromisoformat(record["at"]) for record in seen] == [later]


# A worker that stood still


@pytest.mark.parametrize(
    ("stood_still", "leaves"),
    [(timedelta(minutes=4), True), (timedelta(minutes=5), False), (LATER - NOW, False)],
)
@pytest.mark.parametrize("claimed", ["once", "again"])
def test_a_batch_whose_claim_is_stale_does_not_leave(
    stood_still: timedelta, leaves: bool, claimed: str
) -> None:
    """Suspended between its claim and its request, it would wake up when others have sent the batch again."""
    now = NOW if claimed == "once" else LATER
    claim = CLAIM if claimed == "once" else replace(CLAIM, again_at=LATER.isoformat())

    class Gateway(FakeTransport):
        def deliver(self, *arguments: Any, **more: Any) -> Receipt:
            check_claim()
            return super().deliver(*arguments, **more)

    gateway = Gateway()
    request = gateway.build_batch(MESSAGE, people(SIZE), reference=claim.reference)
    batch_attempt = BatchAttempt(
        index=0, recipients=people(SIZE), request=request, claim=claim, slot=Slot(0.0), due=0.0
    )
    result = BatchSender(transport=gateway, message=MESSAGE, now=lambda: now + stood_still).send(
        batch_attempt
    )
    assert (result.error is None) == leaves
    assert gateway.messaged.total() == (SIZE if leaves else 0)
    if not leaves:
        assert isinstance(result.error, CampaignInterruptedError)
        assert result.record is not None
        assert result.record.phase is Phase.REFUSED
    check_claim()  # of no attempt
