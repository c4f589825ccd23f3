"""Nobody is messaged twice, whatever dies when; and nobody is forgotten without a word."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.exceptions import (
    CampaignInterruptedError,
    ConfigurationError,
    OutcomePendingError,
    RejectedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.sending.cancellation import CancellationToken
from airflow_provider_voicepartner.sending.records import BatchRecord, Evidence, Phase
from tests.support.campaigns import (
    SIZE,
    attempt,
    campaign,
    first_of,
    record_of,
    stopping,
)
from tests.support.doubts import doubts_in
from tests.support.examples import examples
from tests.support.ledgers import phases
from tests.support.tasks import CALM, FakeStore
from tests.support.transport import (
    NOW,
    CrashError,
    Crashes,
    CrashingStore,
    FakeTransport,
)

# Crashes


# What a crash at each point leaves: how many batches were messaged, and which one is in doubt.
CRASHES = {
    "before attempt": (0, None),
    "after attempt": (0, None),
    "before claimed 0": (0, None),
    "after claimed 0": (0, 0),
    "before deliver": (0, 0),
    "after deliver": (1, 0),
    "before sent 0": (1, 0),  # alone: the first answer told a price, and the balance is asked for next
    "after sent 0": (1, None),
    "before claimed 1": (1, None),
    "after claimed 1": (1, 1),
    "before deliver (2)": (1, 1),
    "after deliver (2)": (2, 1),
    "before sent 1, claimed 2": (2, 1),
    "after sent 1, claimed 2": (2, 2),
    "before deliver (3)": (2, 2),
    "after deliver (3)": (3, 2),
    "before sent 2": (3, 2),
    "after sent 2": (3, None),
}


def test_the_table_of_crashes_has_every_step_of_the_loop() -> None:
    rehearsal = Crashes()
    attempt(FakeTransport(crashes=rehearsal), CrashingStore(FakeStore(), rehearsal), campaign())
    assert rehearsal.passed == [name.partition(" (")[0] for name in CRASHES]


def crash_at(point: str, store: FakeStore) -> FakeTransport:
    """Run a first attempt that dies at a point, and return the gateway that it spoke to."""
    crashes = Crashes(frozenset({list(CRASHES).index(point)}))
    transport = FakeTransport(crashes=crashes)
    with pytest.raises(CrashError):
        attempt(transport, CrashingStore(store, crashes), campaign())
    transport.crashes = Crashes()
    return transport


@pytest.mark.parametrize("point", CRASHES)
def test_after_a_crash_the_next_attempt_is_in_doubt_exactly_when_it_must_be(point: str) -> None:
    messaged, doubtful = CRASHES[point]
    store = FakeStore()
    transport = crash_at(point, store)
    assert len(transport.messaged) == messaged * SIZE
    if doubtful is None:
        attempt(transport, store, campaign(), try_number=2)
        assert len(transport.messaged) == 3 * SIZE
    else:
        with pytest.raises(SendOutcomeUnknownError) as caught:
            attempt(transport, store, campaign(), try_number=2)
        assert doubts_in(str(caught.value)) == {doubtful}
        assert record_of(store, doubtful)["reference"] in str(caught.value)  # by which it can be looked up
        # It kept no other batch here.
        left = 0 if messaged > doubtful else SIZE
        assert len(transport.messaged) == 3 * SIZE - left
        assert "sent 2 (4 recipients), in doubt 1 (2 recipients), left none" in str(caught.value)
    assert set(transport.messaged.values()) == {1}


IN_DOUBT = [name for name, (_, doubtful) in CRASHES.items() if doubtful is not None]


@pytest.mark.parametrize("point", IN_DOUBT)
def test_what_is_in_doubt_can_be_assumed_sent_once_and_for_all(point: str) -> None:
    store = FakeStore()
    transport = crash_at(point, store)
    for number in (2, 3):
        records = attempt(transport, store, campaign(on_unknown="assume_sent"), try_number=number)
        assumed = [record for record in records if record.phase is Phase.ASSUMED_SENT]
        assert [(record.size, record.gateway_id) for record in assumed] == [(SIZE, None)]
    # Decided is decided: an attempt with the default setting is not in doubt again.
    attempt(transport, store, campaign(), try_number=4)
    assert set(transport.messaged.values()) == {1}
    assert len(transport.messaged) >= 2 * SIZE


@pytest.mark.parametrize("point", IN_DOUBT)
def test_what_is_in_doubt_can_be_sent_again_under_its_reference(point: str) -> None:
    messaged, doubtful = CRASHES[point]
    assert doubtful is not None
    store = FakeStore()
    transport = crash_at(point, store)
    reference = record_of(store, doubtful)["reference"]
    for number in (2, 3):  # and only once: it is recorded as sent now
        records = attempt(transport, store, campaign(on_unknown="resend"), try_number=number)
        assert records[doubtful].reference == reference
        assert records[doubtful].evidence is Evidence.SENT_AGAIN
        assert len(transport.messaged) == 3 * SIZE
        twice = SIZE if messaged > doubtful else 0
        assert transport.messaged.total() == 3 * SIZE + twice


@pytest.mark.parametrize("point", IN_DOUBT)
@pytest.mark.parametrize("evidence", ["finds", "recognises"])
def test_with_evidence_nobody_has_to_choose(point: str, evidence: str) -> None:
    store = FakeStore()
    transport = crash_at(point, store)
    transport.finds, transport.recognises = evidence == "finds", evidence == "recognises"
    messaged, doubtful = CRASHES[point]
    assert doubtful is not None
    if evidence == "finds" and messaged == doubtful:
        # It was not sent, and a gateway that does not know a batch proves nothing, however late it is asked.
        with pytest.raises(OutcomePendingError):
            attempt(transport, store, campaign(), try_number=2)
        with pytest.raises(SendOutcomeUnknownError):
            attempt(transport, store, campaign(), try_number=3, now=lambda: NOW + timedelta(hours=1))
        assert len(transport.messaged) == 2 * SIZE
        assert set(transport.messaged.values()) == {1}
        return
    records = attempt(transport, store, campaign(), try_number=2)
    assert [record.phase for record in records] == [Phase.SENT] * 3
    was_taken = messaged > doubtful
    repeated = Evidence.REPEAT_REFUSED if was_taken else Evidence.REPEAT_ACCEPTED
    why = Evidence.LOOK_UP if evidence == "finds" else repeated
    assert [record.evidence for record in records] == [why if n == doubtful else None for n in range(3)]
    assert len(transport.messaged) == 3 * SIZE
    assert set(transport.messaged.values()) == {1}


@pytest.mark.parametrize("where", range(30))
def test_with_three_lanes_a_crash_anywhere_loses_and_repeats_nobody(where: int) -> None:
    store, crashes = FakeStore(), Crashes(frozenset({where}))
    transport = FakeTransport(crashes=crashes)
    wanted = campaign(6, max_in_flight=3)
    with contextlib.suppress(CrashError):
        attempt(transport, CrashingStore(store, crashes), wanted)
    left = phases(store)
    claimed = {index for index, phase in left.items() if phase == "claimed"}
    assert len(claimed) <= 3
    done = {index for index, phase in left.items() if phase == "sent"}
    assert all(transport.messaged[first_of(index)] == 1 for index in done)
    transport.crashes = Crashes()
    if claimed:
        with pytest.raises(SendOutcomeUnknownError) as caught:
            attempt(transport, store, wanted, try_number=2)
        assert doubts_in(str(caught.value)) == claimed
        assert {index for index, phase in phases(store).items() if phase == "sent"} == set(range(6)) - claimed
    records = attempt(transport, store, campaign(6, max_in_flight=3, on_unknown="assume_sent"), try_number=3)
    assert set(transport.messaged.values()) == {1}
    missing = {index for index in range(6) if first_of(index) not in transport.messaged}
    assert missing <= {n for n, record in enumerate(records) if record.phase is Phase.ASSUMED_SENT}
    assert missing <= claimed


FATES = st.sampled_from(["crash", "retryable", "rejected", "no answer", "answer lost", "stop"])
SEEN = (
    CrashError,
    RetryableNotSentError,
    RejectedError,
    SendOutcomeUnknownError,
    OutcomePendingError,
    CampaignInterruptedError,
)


@hypothesis_settings(CALM, max_examples=examples(120))
@given(
    batches=st.integers(1, 6),
    history=st.lists(st.tuples(FATES, st.integers(0, 20)), max_size=6),
    decision=st.sampled_from(["fail", "assume_sent", "resend", "resend_unlisted"]),
    workers=st.sampled_from([1, 3]),
    evidence=st.sampled_from(["none", "finds", "recognises"]),
)
def test_whatever_happens_nobody_is_messaged_twice_and_nobody_is_lost_unnoticed(
    batches: int, history: list[tuple[str, int]], decision: Any, workers: int, evidence: str
) -> None:
    """Attempts die at any point or fail in any way; then one attempt goes through undisturbed, and tells all."""
    store = FakeStore()
    transport = FakeTransport(finds=evidence == "finds", recognises=evidence == "recognises")
    transport.disproves = transport.finds
    tries = 0
    for fate, where in history:
        tries += 1
        transport.crashes = crashes = Crashes(frozenset({where}) if fate == "crash" else frozenset())
        failure = {
            "retryable": RetryableNotSentError("429"),
            "rejected": RejectedError("no"),
            "no answer": SendOutcomeUnknownError("silence"),
        }.get(fate)
        transport.failures = [None] * (where % 4) + [failure] if failure else []
        transport.lost = (
            {first_of(where % batches): SendOutcomeUnknownError("lost")} if fate == "answer lost" else {}
        )
        stop = CancellationToken()
        transport.check = stopping(stop, where % batches) if fate == "stop" else lambda first: None
        try:
            attempt(
                transport,
                CrashingStore(store, crashes),
                campaign(batches, max_in_flight=workers),
                try_number=tries,
                stop=stop,
            )
        except SEEN:
            continue
    assert not transport.messaged or set(transport.messaged.values()) == {1}

    transport.crashes, transport.failures, transport.lost = Crashes(), [], {}
    transport.check = lambda first: None
    records: list[BatchRecord] = []
    if decision == "resend_unlisted" and evidence == "none":
        with pytest.raises(ConfigurationError, match="resend_unlisted"):
            attempt(transport, store, campaign(batches, on_unknown=decision), try_number=tries + 1)
        return
    # At first the gateway may still come to know what it took; the last round changes nothing.
    for hours in (0, 1, 1):
        tries += 1
        try:
            records = attempt(
                transport,
                store,
                campaign(batches, on_unknown=decision, max_in_flight=workers),
                try_number=tries,
                now=lambda hours=hours: NOW + timedelta(hours=hours),
            )
        except (SendOutcomeUnknownError, OutcomePendingError) as error:
            failure: Exception = error
        else:
            continue
        assert decision == "fail" or (decision == "resend_unlisted" and not hours)
        assert evidence != "recognises"
        assert isinstance(failure, OutcomePendingError) is (evidence == "finds" and not hours)
        # All that is not in doubt was sent, and what is, is named.
        doubtful = {index for index, phase in phases(store).items() if phase == "claimed"}
        assert doubtful
        assert doubts_in(str(failure)) == doubtful
        assert {n for n in range(batches) if first_of(n) not in transport.messaged} <= doubtful
        assert set(transport.messaged.values()) <= {1}
    if decision == "fail" and "claimed" in phases(store).values():
        return
    assert [record.size for record in records] == [SIZE] * batches
    assumed = {n for n, record in enumerate(records) if record.phase is Phase.ASSUMED_SENT}
    missing = {n for n in range(batches) if first_of(n) not in transport.messaged}
    assert missing <= assumed  # whoever was not messaged is in a batch that the report calls assumed sent
    assert evidence != "recognises" or not assumed
    most = max(transport.messaged.values(), default=0)
    assert most <= (2 if decision == "resend" and evidence == "none" else 1)
    if decision.startswith("resend"):
        assert not missing
    else:
        assert most <= 1
