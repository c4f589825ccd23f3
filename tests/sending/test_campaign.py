"""Nobody is messaged twice, whatever dies when; and nobody is forgotten without a word."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.exceptions import (
    BudgetExceededError,
    CampaignInterruptedError,
    ConfigurationError,
    RejectedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.gateways.model import Recipient, SmsMessage
from airflow_provider_voicepartner.gateways.wire import Credentials
from airflow_provider_voicepartner.hooks.octopush import OctopushHook
from airflow_provider_voicepartner.hooks.smspartner import SmsPartnerHook
from airflow_provider_voicepartner.sending.campaign import Campaign, CampaignSender, in_batches
from airflow_provider_voicepartner.sending.evidence import Evidence
from airflow_provider_voicepartner.sending.fingerprint import fingerprint
from airflow_provider_voicepartner.sending.lanes import Lanes
from airflow_provider_voicepartner.sending.records import BatchRecord, Phase
from airflow_provider_voicepartner.sending.stop import StopSign
from tests.support.gateways import fault
from tests.support.ledgers import known, phases, registered
from tests.support.messenger import (
    NOW,
    CountingStore,
    CrashError,
    Crashes,
    CrashingStore,
    FakeMessenger,
    FakeTurnstile,
)
from tests.support.servers import FakeTime
from tests.support.tasks import CALM, FakeStore

KEY, TEXT = "planted-key-4711", "Le texte planté de Zoé"
CREDENTIALS = Credentials(api_key=KEY)
SIZE = 2
"""Recipients a batch: the loop does not care, and 500 are tried elsewhere."""


def people(count: int, start: int = 0) -> tuple[Recipient, ...]:
    return tuple(Recipient(f"+336{start + index:08}", {"name": "Zoé"}) for index in range(count))


def first_of(batch: int) -> str:
    """Return the first number of a batch."""
    return people(1, batch * SIZE)[0].phone_number


def campaign(batches: int = 3, start: int = 0, **settings: Any) -> Campaign:
    everybody = people(batches * SIZE, start)
    cut = tuple(everybody[at : at + SIZE] for at in range(0, len(everybody), SIZE))
    return of_batches(cut, **{"max_in_flight": 1, **settings})


def of_batches(batches: Any, **settings: Any) -> Campaign:
    message = SmsMessage(text=TEXT)
    everybody = [recipient for batch in batches for recipient in batch]
    mark = fingerprint("smspartner", CREDENTIALS, message, everybody, settings.get("send_at"))
    return Campaign(message=message, batches=batches, recipients=len(everybody), fingerprint=mark, **settings)


def attempt(
    messenger: Any, store: Any, campaign: Campaign, *, try_number: int = 1, **settings: Any
) -> list[BatchRecord]:
    ledger = registered(store, try_number=try_number)
    settings = {"now": lambda: NOW, "sleep": lambda seconds: None} | settings
    return CampaignSender(messenger=messenger, ledger=ledger, **settings).send(campaign)


def record_of(store: Any, index: int) -> dict[str, Any]:
    return known(store)[index].to_json()


# What is written when


def test_a_batch_is_claimed_before_its_request_leaves_and_recorded_after_the_answer() -> None:
    store, messenger = FakeStore(), FakeMessenger()
    seen: list[dict[int, str]] = []
    messenger.check = lambda first: seen.append(phases(store))
    records = attempt(messenger, store, campaign(2))
    assert seen == [{0: "claimed"}, {0: "sent", 1: "claimed"}]
    assert phases(store) == {0: "sent", 1: "sent"}
    assert [(record.phase, record.accepted, record.at) for record in records] == [
        (Phase.SENT, SIZE, NOW.isoformat())
    ] * 2
    assert record_of(store, 0)["gateway_id"]


def test_recipients_travel_in_batches_of_at_most_500_each_with_a_reference_of_its_own() -> None:
    assert [len(batch) for batch in in_batches(people(1203))] == [500, 500, 203]
    assert in_batches(people(1203)) == in_batches(list(people(1203)))
    messenger = FakeMessenger()
    everybody = of_batches(in_batches(people(1203)), max_in_flight=4)
    records = attempt(messenger, FakeStore(), everybody)
    assert [record.size for record in records] == [500, 500, 203]
    assert len({record.reference for record in records}) == 3
    assert set(messenger.messaged.values()) == {1}
    assert len(messenger.messaged) == 1203


def test_the_record_of_one_batch_and_the_claim_of_the_next_are_one_write() -> None:
    store = CountingStore()
    attempt(FakeMessenger(), store, campaign(6, unit_price=Decimal("0.045")))
    assert store.changed == [
        "claimed 0", "sent 0, claimed 1", "sent 1, claimed 2", "sent 2, claimed 3", "sent 3, claimed 4",
        "sent 4, claimed 5", "sent 5",
    ]  # fmt: skip
    assert len(store.writes) == 1 + 6 + 1  # with the plan


def test_a_retry_that_has_nothing_to_send_writes_nothing() -> None:
    store = CountingStore()
    attempt(FakeMessenger(), store, campaign(3))
    store.writes.clear()
    attempt(FakeMessenger(), store, campaign(3), try_number=2)
    assert not store.writes


@pytest.mark.parametrize("lanes", [1, 2, 4])
def test_no_more_batches_are_claimed_than_may_be_under_way(lanes: int) -> None:
    store, messenger = CountingStore(), FakeMessenger()
    attempt(messenger, store, campaign(20, max_in_flight=lanes))
    assert store.most_claimed <= lanes
    assert messenger.most_under_way <= lanes
    assert set(messenger.messaged.values()) == {1}


def test_as_many_batches_as_allowed_are_really_under_way_at_once_and_never_more() -> None:
    messenger = FakeMessenger()
    together = threading.Barrier(4, timeout=10)
    messenger.check = lambda first: together.wait() and None
    attempt(messenger, FakeStore(), campaign(12, max_in_flight=4))
    assert messenger.most_under_way == 4
    assert len(messenger.messaged) == 12 * SIZE


def test_records_are_in_the_order_of_the_batches_however_they_land() -> None:
    messenger, gate = FakeMessenger(), threading.Event()

    def first_comes_last(first: str) -> None:
        if first == first_of(0):
            assert gate.wait(10)
        elif first == first_of(3):
            gate.set()

    messenger.check = first_comes_last
    store = CountingStore()
    records = attempt(messenger, store, campaign(4, max_in_flight=2))
    assert [record.reference for record in records] == [record_of(store, n)["reference"] for n in range(4)]
    assert len(messenger.messaged) == 4 * SIZE


def test_the_state_holds_no_number_no_text_and_no_key() -> None:
    store = FakeStore()
    messenger = FakeMessenger(finds=True, failures=[None, RejectedError(f"refused {TEXT}")])
    messenger.lost[first_of(2)] = SendOutcomeUnknownError(f"lost {TEXT}")
    for number in (1, 2):
        try:
            attempt(messenger, store, campaign(4), try_number=number)
        except RejectedError:
            continue
    assert phases(store) == dict.fromkeys(range(4), "sent")
    kept = json.dumps(store.values, ensure_ascii=False)
    for secret in (KEY, TEXT, "Zoé", "3600000", "600000"):
        assert secret not in kept


def test_what_an_earlier_attempt_sent_is_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    store, messenger = FakeStore(), FakeMessenger()
    [record] = attempt(messenger, store, campaign(1))
    attempt(messenger, store, campaign(1), try_number=2)
    assert f"Batch 1 ({record.reference}) was sent by an earlier attempt; it is not sent again" in caplog.text


# Crashes


# What a crash at each point leaves: how many batches were messaged, and which one is in doubt.
CRASHES = {
    "before plan": (0, None),
    "after plan": (0, None),
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
    attempt(FakeMessenger(crashes=rehearsal), CrashingStore(FakeStore(), rehearsal), campaign())
    assert rehearsal.passed == [name.partition(" (")[0] for name in CRASHES]


def crash_at(point: str, store: FakeStore) -> FakeMessenger:
    """Run a first attempt that dies at a point, and return the gateway that it spoke to."""
    crashes = Crashes(frozenset({list(CRASHES).index(point)}))
    messenger = FakeMessenger(crashes=crashes)
    with pytest.raises(CrashError):
        attempt(messenger, CrashingStore(store, crashes), campaign())
    messenger.crashes = Crashes()
    return messenger


@pytest.mark.parametrize("point", CRASHES)
def test_after_a_crash_the_next_attempt_is_in_doubt_exactly_when_it_must_be(point: str) -> None:
    messaged, doubtful = CRASHES[point]
    store = FakeStore()
    messenger = crash_at(point, store)
    assert len(messenger.messaged) == messaged * SIZE
    if doubtful is None:
        attempt(messenger, store, campaign(), try_number=2)
        assert len(messenger.messaged) == 3 * SIZE
    else:
        with pytest.raises(SendOutcomeUnknownError) as caught:
            attempt(messenger, store, campaign(), try_number=2)
        assert f"batch {doubtful + 1} " in str(caught.value)
        assert record_of(store, doubtful)["reference"] in str(caught.value)  # by which it can be looked up
        assert len(messenger.messaged) == messaged * SIZE
    assert not messenger.messaged or set(messenger.messaged.values()) == {1}


IN_DOUBT = [name for name, (_, doubtful) in CRASHES.items() if doubtful is not None]


@pytest.mark.parametrize("point", IN_DOUBT)
def test_what_is_in_doubt_can_be_assumed_sent_once_and_for_all(point: str) -> None:
    store = FakeStore()
    messenger = crash_at(point, store)
    for number in (2, 3):
        records = attempt(messenger, store, campaign(on_unknown="assume_sent"), try_number=number)
        assumed = [record for record in records if record.phase is Phase.ASSUMED_SENT]
        assert [(record.size, record.gateway_id) for record in assumed] == [(SIZE, None)]
    # Decided is decided: an attempt with the default setting is not in doubt again.
    attempt(messenger, store, campaign(), try_number=4)
    assert set(messenger.messaged.values()) == {1}
    assert len(messenger.messaged) >= 2 * SIZE


@pytest.mark.parametrize("point", IN_DOUBT)
def test_what_is_in_doubt_can_be_sent_again_under_its_reference(point: str) -> None:
    messaged, doubtful = CRASHES[point]
    assert doubtful is not None
    store = FakeStore()
    messenger = crash_at(point, store)
    reference = record_of(store, doubtful)["reference"]
    for number in (2, 3):  # and only once: it is recorded as sent now
        records = attempt(messenger, store, campaign(on_unknown="resend"), try_number=number)
        assert records[doubtful].reference == reference
        assert records[doubtful].evidence is Evidence.SENT_AGAIN
        assert len(messenger.messaged) == 3 * SIZE
        twice = SIZE if messaged > doubtful else 0
        assert messenger.messaged.total() == 3 * SIZE + twice


@pytest.mark.parametrize("point", IN_DOUBT)
@pytest.mark.parametrize("evidence", ["finds", "recognises"])
def test_with_evidence_nobody_has_to_choose(point: str, evidence: str) -> None:
    store = FakeStore()
    messenger = crash_at(point, store)
    messenger.finds, messenger.recognises = evidence == "finds", evidence == "recognises"
    messaged, doubtful = CRASHES[point]
    assert doubtful is not None
    if evidence == "finds" and messaged == doubtful:
        # It was not sent, and a gateway that does not know a batch proves nothing.
        with pytest.raises(SendOutcomeUnknownError):
            attempt(messenger, store, campaign(), try_number=2)
        return
    records = attempt(messenger, store, campaign(), try_number=2)
    assert [record.phase for record in records] == [Phase.SENT] * 3
    was_taken = messaged > doubtful
    repeated = Evidence.REPEAT_REFUSED if was_taken else Evidence.REPEAT_ACCEPTED
    why = Evidence.LOOK_UP if evidence == "finds" else repeated
    assert [record.evidence for record in records] == [why if n == doubtful else None for n in range(3)]
    assert len(messenger.messaged) == 3 * SIZE
    assert set(messenger.messaged.values()) == {1}


@pytest.mark.parametrize("where", range(30))
def test_with_three_lanes_a_crash_anywhere_loses_and_repeats_nobody(where: int) -> None:
    store, crashes = FakeStore(), Crashes(frozenset({where}))
    messenger = FakeMessenger(crashes=crashes)
    wanted = campaign(6, max_in_flight=3)
    with contextlib.suppress(CrashError):
        attempt(messenger, CrashingStore(store, crashes), wanted)
    left = phases(store)
    claimed = [index for index, phase in left.items() if phase == "claimed"]
    assert len(claimed) <= 3
    done = {index for index, phase in left.items() if phase == "sent"}
    assert all(messenger.messaged[first_of(index)] == 1 for index in done)
    messenger.crashes = Crashes()
    if claimed:
        with pytest.raises(SendOutcomeUnknownError):
            attempt(messenger, store, wanted, try_number=2)
    records = attempt(messenger, store, campaign(6, max_in_flight=3, on_unknown="assume_sent"), try_number=3)
    assert set(messenger.messaged.values()) == {1}
    missing = {index for index in range(6) if first_of(index) not in messenger.messaged}
    assert missing <= {n for n, record in enumerate(records) if record.phase is Phase.ASSUMED_SENT}
    assert missing <= set(claimed)


FATES = st.sampled_from(["crash", "retryable", "rejected", "no answer", "answer lost", "stop"])
SEEN = (
    CrashError,
    RetryableNotSentError,
    RejectedError,
    SendOutcomeUnknownError,
    CampaignInterruptedError,
)


@hypothesis_settings(CALM, max_examples=120)
@given(
    batches=st.integers(1, 6),
    history=st.lists(st.tuples(FATES, st.integers(0, 20)), max_size=6),
    decision=st.sampled_from(["fail", "assume_sent", "resend"]),
    lanes=st.sampled_from([1, 3]),
    evidence=st.sampled_from(["none", "finds", "recognises"]),
)
def test_whatever_happens_nobody_is_messaged_twice_and_nobody_is_lost_unnoticed(
    batches: int, history: list[tuple[str, int]], decision: Any, lanes: int, evidence: str
) -> None:
    """Attempts die at any point or fail in any way; then one attempt goes through undisturbed, and tells all."""
    store = FakeStore()
    messenger = FakeMessenger(finds=evidence == "finds", recognises=evidence == "recognises")
    tries = 0
    for fate, where in history:
        tries += 1
        messenger.crashes = crashes = Crashes(frozenset({where}) if fate == "crash" else frozenset())
        failure = {
            "retryable": RetryableNotSentError("429"),
            "rejected": RejectedError("no"),
            "no answer": SendOutcomeUnknownError("silence"),
        }.get(fate)
        messenger.failures = [None] * (where % 4) + [failure] if failure else []
        messenger.lost = (
            {first_of(where % batches): SendOutcomeUnknownError("lost")} if fate == "answer lost" else {}
        )
        stop = StopSign()
        messenger.check = _stopping(stop, where % batches) if fate == "stop" else lambda first: None
        try:
            attempt(
                messenger,
                CrashingStore(store, crashes),
                campaign(batches, max_in_flight=lanes),
                try_number=tries,
                stop=stop,
            )
        except SEEN:
            continue
    assert not messenger.messaged or set(messenger.messaged.values()) == {1}

    messenger.crashes, messenger.failures, messenger.lost = Crashes(), [], {}
    messenger.check = lambda first: None
    records: list[BatchRecord] = []
    for _ in range(2):  # the second round changes nothing
        tries += 1
        try:
            records = attempt(
                messenger,
                store,
                campaign(batches, on_unknown=decision, max_in_flight=lanes),
                try_number=tries,
            )
        except SendOutcomeUnknownError:
            assert decision == "fail"
            assert evidence != "recognises"
            assert "claimed" in phases(store).values()
            assert not messenger.messaged or set(messenger.messaged.values()) == {1}
            return
    assert [record.size for record in records] == [SIZE] * batches
    assumed = {n for n, record in enumerate(records) if record.phase is Phase.ASSUMED_SENT}
    missing = {n for n in range(batches) if first_of(n) not in messenger.messaged}
    assert missing <= assumed  # whoever was not messaged is in a batch that the report calls assumed sent
    assert evidence != "recognises" or not assumed
    most = max(messenger.messaged.values(), default=0)
    assert most <= (2 if decision == "resend" and evidence == "none" else 1) or evidence == "finds"
    if decision == "resend":
        assert not missing
    else:
        assert most <= 1


def _stopping(stop: StopSign, batch: int) -> Callable[[str], None]:
    def check(first: str) -> None:
        if first == first_of(batch):
            stop.raise_()

    return check


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


# Somebody says stop


@pytest.mark.parametrize("lanes", [1, 3])
def test_a_stop_sign_lets_land_what_is_under_way_and_claims_nothing_more(lanes: int) -> None:
    store, stop = CountingStore(), StopSign()
    messenger = FakeMessenger(check=_stopping(stop, 2))
    with pytest.raises(CampaignInterruptedError, match=r"stopped as asked, after [3-5] of 9 batches"):
        attempt(messenger, store, campaign(9, max_in_flight=lanes), stop=stop)
    left = phases(store)
    assert set(left.values()) == {"sent"}
    assert len(left) <= 2 + lanes
    assert len(messenger.messaged) == SIZE * len(left)
    messenger.check = lambda first: None
    attempt(messenger, store, campaign(9, max_in_flight=lanes), try_number=2)
    assert set(messenger.messaged.values()) == {1}
    assert len(messenger.messaged) == 9 * SIZE


def test_a_stop_sign_while_the_last_batch_is_under_way_changes_nothing() -> None:
    store, stop = FakeStore(), StopSign()
    records = attempt(FakeMessenger(check=_stopping(stop, 2)), store, campaign(3), stop=stop)
    assert stop.is_up
    assert [record.phase for record in records] == [Phase.SENT] * 3


def test_a_stop_sign_gives_what_is_under_way_its_time_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow kills a task a minute after it asked it to stop."""
    monkeypatch.setattr("airflow_provider_voicepartner.sending.campaign.GRACE_SECONDS", 0.01)
    store, stop, answers = FakeStore(), StopSign(), threading.Event()

    def check(first: str) -> None:
        stop.raise_()
        assert answers.wait(10)

    with pytest.raises(CampaignInterruptedError, match="0 of 3 batches"):
        attempt(FakeMessenger(check=check), store, campaign(3), stop=stop)
    assert phases(store) == {0: "claimed"}
    answers.set()


def test_a_stop_sign_ends_the_settling_of_a_doubt_and_leaves_it_in_doubt() -> None:
    store, stop = FakeStore(), StopSign()
    with pytest.raises(SendOutcomeUnknownError):
        attempt(FakeMessenger(failures=[SendOutcomeUnknownError("lost")]), store, campaign(2))
    messenger = FakeMessenger(finds=True, recognises=True)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        stop.raise_()

    with pytest.raises(CampaignInterruptedError):
        attempt(messenger, store, campaign(2), try_number=2, stop=stop, sleep=sleep)
    assert len(slept) == 1
    assert slept[0] <= 0.5
    assert phases(store) == {0: "claimed"}
    assert not messenger.messaged


def test_a_batch_that_is_stopped_before_it_left_is_not_in_doubt() -> None:
    store = FakeStore()
    messenger = FakeMessenger(failures=[CampaignInterruptedError("stopped in a wait for the rate limit")])
    with pytest.raises(CampaignInterruptedError):
        attempt(messenger, store, campaign(2))
    assert phases(store) == {0: "refused"}
    attempt(messenger, store, campaign(2), try_number=2)
    assert set(messenger.messaged.values()) == {1}


def test_a_stop_sign_ends_a_wait_for_the_rate_limit_and_gives_the_turn_back() -> None:
    time, stop, store = FakeTime(), StopSign(), FakeStore()
    turnstile = FakeTurnstile(time, gap=3600)

    def sleep(seconds: float) -> None:
        time.sleep(seconds)
        if len(time.slept) == 3:
            stop.raise_()

    with pytest.raises(CampaignInterruptedError):
        attempt(
            FakeMessenger(), store, campaign(), turnstile=turnstile, sleep=sleep, clock=lambda: time.moment,
            stop=stop,
        )  # fmt: skip
    assert len(time.slept) == 3
    assert max(time.slept) <= 0.5  # so soon is a stop seen
    assert turnstile.given_back == turnstile.taken[1:]
    assert phases(store) == {0: "sent"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, TimeoutError, CrashError])
def test_an_interrupt_in_the_middle_lets_land_what_is_under_way(error: type[BaseException]) -> None:
    """A time-out or a signal handler raises wherever the main thread is."""
    store, entered, answers = FakeStore(), threading.Event(), threading.Event()

    def check(first: str) -> None:
        entered.set()
        assert answers.wait(10)

    messenger, turnstile = FakeMessenger(check=check), FakeTurnstile(FakeTime())

    def clock() -> float:
        if phases(store) == {0: "claimed"}:
            assert entered.wait(10)
            answers.set()
            raise error
        return turnstile.time.moment

    with pytest.raises(error):
        attempt(messenger, store, campaign(9, max_in_flight=3), turnstile=turnstile, clock=clock)
    assert phases(store) == {0: "sent"}
    assert len(messenger.messaged) == SIZE
    assert turnstile.given_back == turnstile.taken[1:]
    attempt(messenger, store, campaign(9, max_in_flight=3), try_number=2)
    assert set(messenger.messaged.values()) == {1}
    assert len(messenger.messaged) == 9 * SIZE


def test_what_is_still_unanswered_after_the_grace_stays_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_voicepartner.sending.campaign.GRACE_SECONDS", 0.01)
    store, answers = FakeStore(), threading.Event()
    messenger = FakeMessenger(check=lambda first: answers.wait(10) and None)
    turnstile = FakeTurnstile(FakeTime())

    def clock() -> float:
        if phases(store):
            raise KeyboardInterrupt
        return turnstile.time.moment

    with pytest.raises(KeyboardInterrupt):
        attempt(messenger, store, campaign(2, max_in_flight=2), turnstile=turnstile, clock=clock)
    assert phases(store) == {0: "claimed"}
    answers.set()


def test_what_was_told_to_stop_gets_its_time_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once more when the campaign falls: Airflow kills a task a minute after it asked it to stop."""
    monkeypatch.setattr("airflow_provider_voicepartner.sending.campaign.GRACE_SECONDS", 0.01)
    given: list[float] = []
    wait_for_all = Lanes.wait_for_all

    def noting(lanes: Lanes, tasks: Any, seconds: float) -> None:
        given.append(seconds)
        wait_for_all(lanes, tasks, seconds)

    monkeypatch.setattr(Lanes, "wait_for_all", noting)
    stop, answers = StopSign(), threading.Event()

    def check(first: str) -> None:
        stop.raise_()
        assert answers.wait(10)

    with pytest.raises(CampaignInterruptedError):
        attempt(FakeMessenger(check=check), FakeStore(), campaign(3), stop=stop)
    assert max(given) <= 0
    answers.set()


def test_a_campaign_that_falls_tells_its_waiting_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    store, stop = FakeStore(), StopSign()
    waiting, never = threading.Event(), threading.Event()
    sleep = stop.sleeper(lambda seconds: waiting.set() or (never.wait(0.01) and None))
    messenger = FakeMessenger(check=lambda first: sleep(600))
    turnstile = FakeTurnstile(FakeTime())

    def clock() -> float:
        if phases(store):
            assert waiting.wait(10)
            raise KeyboardInterrupt
        return turnstile.time.moment

    with pytest.raises(KeyboardInterrupt):
        attempt(messenger, store, campaign(2, max_in_flight=2), turnstile=turnstile, clock=clock, stop=stop)
    assert phases(store) == {0: "refused"}
    assert stop.is_up


# The rate limit


def paced(
    turnstile: FakeTurnstile, messenger: FakeMessenger, store: Any, wanted: Campaign, **settings: Any
) -> list[BatchRecord]:
    time = turnstile.time
    settings = {"sleep": time.sleep} | settings
    return attempt(
        messenger, store, wanted, turnstile=turnstile, clock=lambda: time.moment, now=time.now, **settings
    )


def test_a_batch_that_waits_for_its_turn_is_not_claimed() -> None:
    time, store = FakeTime(), FakeStore()
    turnstile, messenger = FakeTurnstile(time), FakeMessenger()
    left: list[float] = []
    messenger.check = lambda first: left.append(time.moment)

    def sleep(seconds: float) -> None:
        assert "claimed" not in phases(store).values()
        time.sleep(seconds)

    paced(turnstile, messenger, store, campaign(4), sleep=sleep)
    assert left == turnstile.taken
    assert [at - left[0] for at in left] == [0, 10, 20, 30]
    assert not turnstile.confirmed  # who sends does so, right before the request leaves
    assert [turn.ticket for turn in messenger.turns] == turnstile.taken
    assert not turnstile.given_back
    assert [record_of(store, n)["at"] for n in range(4)] == [
        datetime.fromtimestamp(at, NOW.tzinfo).isoformat() for at in left
    ]


def test_a_turn_that_is_too_far_hands_the_campaign_back_with_the_time_to_wait() -> None:
    time, store, messenger = FakeTime(), FakeStore(), FakeMessenger()
    turnstile = FakeTurnstile(time, gap=600)
    with pytest.raises(
        RetryableNotSentError, match=r"rate limit: the next batch may leave in 600 s"
    ) as caught:
        paced(turnstile, messenger, store, campaign(3, longest_wait=30))
    assert caught.value.retry_after == 600
    assert phases(store) == {0: "sent"}
    assert not time.slept
    time.sleep(600)
    with pytest.raises(RetryableNotSentError):
        paced(turnstile, messenger, store, campaign(3, longest_wait=30), try_number=1)
    assert phases(store) == {0: "sent", 1: "sent"}
    assert set(messenger.messaged.values()) == {1}


def test_a_turn_of_a_batch_that_cannot_leave_is_given_back() -> None:
    time, store, answers = FakeTime(), FakeStore(), threading.Event()
    failure = RejectedError("no credit")
    messenger = FakeMessenger(trouble={first_of(0): [failure]}, check=lambda first: answers.wait(10) and None)
    turnstile = FakeTurnstile(time)

    def clock() -> float:
        if phases(store):
            answers.set()
        return time.moment

    with pytest.raises(RejectedError):
        attempt(messenger, store, campaign(3, max_in_flight=2), turnstile=turnstile, clock=clock)
    assert turnstile.given_back == turnstile.taken[1:] != []


def test_a_claim_that_cannot_be_written_gives_its_turn_back_and_sends_nothing() -> None:
    store, messenger = FakeStore(), FakeMessenger()
    turnstile = FakeTurnstile(FakeTime(), gap=0)
    turnstile.check = lambda taken: setattr(store, "fenced", True)
    with pytest.raises(PermissionError):
        paced(turnstile, messenger, store, campaign(3, max_in_flight=3))
    assert turnstile.given_back == turnstile.taken
    assert len(turnstile.taken) == 3
    assert not messenger.messaged


class FullStore(FakeStore):
    """Loses one write: that of the second page, the first time."""

    def __init__(self) -> None:
        super().__init__()
        self.failures = 1

    def set(self, key: str, value: Any, **more: Any) -> None:
        if key == key_of(50) and self.failures:
            self.failures -= 1
            raise ConnectionError("the state store is gone")
        super().set(key, value, **more)


def test_claims_of_which_one_could_not_be_written_are_taken_back_and_not_in_doubt() -> None:
    """Two claims on two pages are two writes, of which the second may fail; neither batch has left then."""
    store, messenger = FullStore(), FakeMessenger()
    with pytest.raises(ConnectionError):
        attempt(
            messenger, store, campaign(52, max_in_flight=7)
        )  # 7 times 7 is 49: the eighth claim spans pages
    assert set(phases(store).values()) == {"sent", "refused"}
    assert phases(store)[49] == "refused"
    attempt(messenger, store, campaign(52), try_number=2)
    assert set(messenger.messaged.values()) == {1}
    assert len(messenger.messaged) == 52 * SIZE


def test_a_turnstile_that_breaks_does_not_hide_why_the_campaign_stopped() -> None:
    store, answers = FakeStore(), threading.Event()
    messenger = FakeMessenger(
        trouble={first_of(0): [RejectedError("no credit")]},
        check=lambda first: answers.wait(10) and None,
    )

    class Broken(FakeTurnstile):
        def give_back(self, turn: Any) -> None:
            raise ConnectionError("the store is gone")

    turnstile = Broken(FakeTime())

    def clock() -> float:
        if phases(store):
            answers.set()
        return turnstile.time.moment

    with pytest.raises(RejectedError):
        attempt(messenger, store, campaign(3, max_in_flight=2), turnstile=turnstile, clock=clock)


def test_a_store_that_fails_in_the_middle_stops_the_campaign_with_its_records() -> None:
    class Broken(FakeTurnstile):
        def take_turn(self, endpoint: str, longest_wait: float | None) -> Any:
            if self.taken:
                raise ConnectionError("gone")
            return super().take_turn(endpoint, longest_wait)

    store, messenger = FakeStore(), FakeMessenger()
    with pytest.raises(ConnectionError):
        paced(Broken(FakeTime()), messenger, store, campaign(3))
    assert phases(store) == {0: "sent"}


def test_nobody_with_a_turn_waits_while_an_older_doubt_is_settled() -> None:
    """Looking up takes seconds; a request that left so late would run into the turns of others."""
    time, store = FakeTime(), FakeStore()
    messenger = FakeMessenger(finds=True, trouble={first_of(0): [RetryableNotSentError("429")]})
    messenger.lost[first_of(1)] = SendOutcomeUnknownError("lost")
    with pytest.raises((RetryableNotSentError, SendOutcomeUnknownError)):
        attempt(
            FakeMessenger(trouble=messenger.trouble, lost=messenger.lost), store, campaign(3, max_in_flight=2)
        )
    assert phases(store) == {0: "refused", 1: "claimed"}
    left: list[float] = []
    messenger.check = lambda first: left.append(time.moment)
    turnstile = FakeTurnstile(time, gap=0)
    with pytest.raises(SendOutcomeUnknownError, match="batch 2 "):
        paced(turnstile, messenger, store, campaign(3, max_in_flight=2), try_number=2)
    assert left == turnstile.taken[:1]
    assert sum(time.slept) >= 7  # the look-ups came after it


# An attempt that Airflow gave up


def test_an_attempt_that_airflow_gave_up_stops_before_it_sends() -> None:
    store, messenger = FakeStore(fenced=True), FakeMessenger()
    with pytest.raises(PermissionError):
        attempt(messenger, store, campaign())
    assert not messenger.messaged


def test_an_attempt_that_loses_its_right_between_two_batches_stops_there() -> None:
    store, messenger = FakeStore(), FakeMessenger()

    def fence(first: str) -> None:
        store.fenced = first == first_of(1)

    messenger.check = fence
    with pytest.raises(PermissionError):
        # The second batch was claimed and is sent, but cannot be recorded; the third is not even claimed.
        attempt(messenger, store, campaign())
    assert len(messenger.messaged) == 2 * SIZE
    store.fenced = False
    with pytest.raises(SendOutcomeUnknownError, match="batch 2 "):
        attempt(messenger, store, campaign(), try_number=2)


# Input that changed, and state that cannot be read


def test_changed_input_is_refused_and_nothing_is_sent() -> None:
    store, messenger = FakeStore(), FakeMessenger()
    attempt(messenger, store, campaign(3))
    with pytest.raises(ConfigurationError, match=r"sent 3 of 3 batches.*Restore the earlier input") as caught:
        attempt(messenger, store, campaign(3, start=1), try_number=2)
    assert "+336" not in str(caught.value)
    assert messenger.messaged.total() == 3 * SIZE


@pytest.mark.parametrize("choice", ["fail", "assume_sent", "resend"])
def test_what_to_do_with_a_doubt_is_no_leave_to_send_a_changed_input(choice: Any) -> None:
    """With a template of the present time, every retry would send everything again."""
    store, messenger = FakeStore(), FakeMessenger()
    attempt(messenger, store, campaign(3, on_unknown=choice))
    for number in (2, 3):
        with pytest.raises(ConfigurationError, match="send_again"):
            attempt(messenger, store, campaign(3, start=10 * number, on_unknown=choice), try_number=number)
    assert messenger.messaged.total() == 3 * SIZE


@pytest.mark.parametrize("start", [0, 10], ids=["unchanged input", "changed input"])
def test_a_new_send_again_sends_everything_once_more_and_a_retry_goes_on(start: int) -> None:
    store, messenger = FakeStore(), FakeMessenger()
    attempt(messenger, store, campaign(3))
    references = list(messenger.taken)
    again = campaign(3, start=start, send_again="the first text was wrong")
    messenger.trouble = {people(1, start + 2 * SIZE)[0].phone_number: [RetryableNotSentError("429")]}
    with pytest.raises(RetryableNotSentError):
        attempt(messenger, store, again, try_number=2)
    assert messenger.messaged.total() == 5 * SIZE
    for number in (3, 4):
        attempt(messenger, store, again, try_number=number)
    assert messenger.messaged.total() == 6 * SIZE
    assert len(set(messenger.taken)) == 6
    assert not set(messenger.taken[3:]) & set(references)


def test_a_new_send_again_sends_what_is_in_doubt_too_under_a_new_reference() -> None:
    store, messenger = FakeStore(), FakeMessenger(lost={first_of(0): SendOutcomeUnknownError("lost")})
    with pytest.raises(SendOutcomeUnknownError):
        attempt(messenger, store, campaign(1))
    doubtful = record_of(store, 0)["reference"]
    [record] = attempt(messenger, store, campaign(1, send_again="all of it"), try_number=2)
    assert record.phase is Phase.SENT
    assert record.reference != doubtful
    assert messenger.messaged.total() == 2 * SIZE


def test_state_that_cannot_be_read_stops_everything() -> None:
    store, messenger = FakeStore(), FakeMessenger()
    attempt(messenger, store, campaign())
    store.values[key_of(0)]["1"] = {"phase": "whatever"}
    with pytest.raises(ConfigurationError, match="nobody knows what was sent"):
        attempt(messenger, store, campaign(), try_number=2)
    assert messenger.messaged.total() == 3 * SIZE


def test_a_source_that_breaks_in_the_middle_lets_land_what_left() -> None:
    class Breaking:
        def __len__(self) -> int:
            return 3

        def __iter__(self) -> Any:
            yield people(SIZE)
            raise ConfigurationError("the file changed while it was sent")

    store, messenger = FakeStore(), FakeMessenger()
    ledger = Ledger(store, fingerprint="f", try_number=1)
    sender = CampaignSender(messenger=messenger, ledger=ledger, now=lambda: NOW)
    with pytest.raises(ConfigurationError, match="the file changed"):
        sender.send(Campaign(message=SmsMessage(text=TEXT), batches=Breaking(), recipients=6))
    assert phases(store) == {0: "sent"}


def test_before_airflow_3_3_the_first_try_sends_and_the_second_refuses() -> None:
    messenger = FakeMessenger()
    assert len(attempt(messenger, None, campaign())) == 3
    with pytest.raises(SendOutcomeUnknownError, match=r"before 3\.3 keeps nothing"):
        attempt(messenger, None, campaign(), try_number=2)
    assumed = attempt(messenger, None, campaign(on_unknown="assume_sent"), try_number=2)
    assert [(one.phase, one.size, one.gateway_id) for one in assumed] == [
        (Phase.ASSUMED_SENT, SIZE, None)
    ] * 3
    assert messenger.messaged.total() == 3 * SIZE
    attempt(messenger, None, campaign(on_unknown="resend", max_in_flight=2), try_number=2)
    assert messenger.messaged.total() == 6 * SIZE


def test_a_date_that_has_passed_does_not_keep_a_retry_from_telling_what_was_sent() -> None:
    store, messenger = FakeStore(), FakeMessenger()
    planned = campaign(send_at=datetime(2031, 5, 6, 12, 5, tzinfo=NOW.tzinfo))
    attempt(messenger, store, planned)
    built = len(messenger.built)
    records = attempt(messenger, store, planned, try_number=2)
    assert [record.phase for record in records] == [Phase.SENT] * 3
    assert len(messenger.built) == built  # no second request is even built, so its date is not judged again


# What it may cost


def test_a_budget_is_kept_with_the_price_that_a_simulation_tells() -> None:
    messenger, store = FakeMessenger(price=Decimal("0.05"), tells_price=True), FakeStore()
    with pytest.raises(BudgetExceededError, match=r"max_cost: 0\.29 would be passed"):
        attempt(messenger, store, campaign(3, max_cost=Decimal("0.29"), max_in_flight=3))
    assert (messenger.simulated, len(messenger.messaged)) == (1, 2 * SIZE)
    attempt(messenger, store, campaign(3, max_cost=Decimal("0.30")), try_number=2)
    assert set(messenger.messaged.values()) == {1}
    assert len(messenger.messaged) == 3 * SIZE


@pytest.mark.parametrize("lanes", [1, 4])
@pytest.mark.parametrize("told", [Decimal("0.1"), None], ids=["receipts tell", "receipts do not tell"])
def test_the_limit_counts_what_is_spent_and_what_is_under_way(told: Decimal | None, lanes: int) -> None:
    messenger, store = FakeMessenger(price=told), FakeStore()
    limited = campaign(9, max_cost=Decimal("0.9"), unit_price=Decimal("0.1"), max_in_flight=lanes)
    with pytest.raises(BudgetExceededError, match=r"0\.8 spent or under way, and 0\.2 for the next 2"):
        attempt(messenger, store, limited)
    assert len(messenger.messaged) == 4 * SIZE
    # A retry is held to the same sum, and sends nobody again.
    with pytest.raises(BudgetExceededError):
        attempt(messenger, store, limited, try_number=2)
    assert len(messenger.messaged) == 4 * SIZE
    attempt(messenger, store, campaign(9, max_cost=Decimal("1.8"), unit_price=Decimal("0.1")), try_number=3)
    assert set(messenger.messaged.values()) == {1}
    assert len(messenger.messaged) == 9 * SIZE
    assert messenger.simulated == 0


def test_with_an_unknown_price_the_first_batch_goes_alone_and_teaches_it() -> None:
    messenger = FakeMessenger(price=Decimal("0.1"))
    store = CountingStore()
    with pytest.raises(BudgetExceededError):
        attempt(messenger, store, campaign(9, max_cost=Decimal("0.9"), max_in_flight=4))
    assert len(messenger.messaged) == 4 * SIZE
    assert store.changed[0] == "claimed 0"
    assert store.changed[1] == "sent 0"  # what it cost is recorded before the balance is asked for
    assert store.changed[2].startswith("claimed 1")


def test_a_gateway_that_takes_a_batch_and_tells_no_price_stops_a_limited_campaign() -> None:
    messenger, store = FakeMessenger(price=None), FakeStore()
    with pytest.raises(BudgetExceededError, match="give unit_price"):
        attempt(messenger, store, campaign(9, max_cost=Decimal(1), max_in_flight=4))
    assert len(messenger.messaged) == SIZE
    attempt(messenger, store, campaign(9, max_cost=Decimal(2), unit_price=Decimal("0.1")), try_number=2)
    assert set(messenger.messaged.values()) == {1}
    assert len(messenger.messaged) == 9 * SIZE


def spent(store: Any) -> Decimal:
    return sum(
        (
            Decimal(record.get("cost", 0))
            for key, page in store.values.items()
            if key != PLAN_KEY
            for record in page.values()
        ),
        Decimal(0),
    )


@pytest.mark.parametrize("told", [True, False])
def test_a_retry_knows_what_later_batches_cost_before_it_fills_a_hole(told: bool) -> None:
    store = FakeStore()
    messenger = FakeMessenger(price=Decimal("1.5"), trouble={first_of(0): [RetryableNotSentError("429")]})
    limited = campaign(3, max_cost=Decimal(6), unit_price=Decimal(1), max_in_flight=3)
    with pytest.raises(RetryableNotSentError):
        attempt(messenger, store, limited)
    assert spent(store) == 6
    messenger.tells_price = told
    with pytest.raises(BudgetExceededError, match=r"6\.0 spent or under way"):
        attempt(messenger, store, limited, try_number=2)
    assert spent(store) == 6
    assert messenger.messaged.total() == 2 * SIZE


def test_a_limit_that_is_set_for_a_retry_counts_what_was_sent_without_one() -> None:
    store = FakeStore()
    messenger = FakeMessenger(price=Decimal(1), trouble={first_of(0): [RetryableNotSentError("429")]})
    with pytest.raises(RetryableNotSentError):
        attempt(messenger, store, campaign(3, max_in_flight=3))
    assert spent(store) == 4
    with pytest.raises(BudgetExceededError):
        attempt(messenger, store, campaign(3, max_cost=Decimal(4)), try_number=2)
    assert spent(store) == 4
    attempt(messenger, store, campaign(3, max_cost=Decimal(6)), try_number=3)
    assert set(messenger.messaged.values()) == {1}
    assert messenger.messaged.total() == 3 * SIZE


def test_what_is_in_doubt_behind_a_hole_counts_against_the_limit() -> None:
    store = FakeStore()
    messenger = FakeMessenger(price=Decimal(1), trouble={first_of(0): [RetryableNotSentError("429")]})
    messenger.lost[first_of(1)] = SendOutcomeUnknownError("lost")
    with pytest.raises((RetryableNotSentError, SendOutcomeUnknownError)):
        attempt(messenger, store, campaign(2, max_in_flight=2))
    assert phases(store) == {0: "refused", 1: "claimed"}
    limited = {"max_cost": Decimal(3), "unit_price": Decimal(1)}
    with pytest.raises(BudgetExceededError, match="2 spent or under way"):
        attempt(messenger, store, campaign(2, **limited), try_number=2)
    assert messenger.messaged.total() == SIZE


def test_a_campaign_of_2000_batches_is_counted_with_one_read_of_each_page() -> None:
    store = CountingStore()
    messenger = FakeMessenger(trouble={first_of(1999): [RetryableNotSentError("429")]})
    with pytest.raises(RetryableNotSentError):
        attempt(messenger, store, campaign(2000))
    store.reads.clear()
    attempt(messenger, store, campaign(2000, max_cost=Decimal(10_000)), try_number=2)
    assert len(store.reads) == 1 + 2000 // 50  # the plan, and each page once
    assert messenger.messaged.total() == 2000 * SIZE


def test_without_any_price_no_retry_sends_one_more_batch() -> None:
    messenger, store = FakeMessenger(price=None), FakeStore()
    for number in (1, 2, 3, 4):
        with pytest.raises(BudgetExceededError, match="give unit_price"):
            attempt(messenger, store, campaign(9, max_cost=Decimal(1)), try_number=number)
        assert messenger.messaged.total() == SIZE


def test_the_gateways_own_price_goes_before_the_users() -> None:
    messenger, store = FakeMessenger(price=Decimal(1), tells_price=True), FakeStore()
    with pytest.raises(BudgetExceededError):
        attempt(messenger, store, campaign(3, max_cost=Decimal(3), unit_price=Decimal("0.1")))
    assert (messenger.simulated, messenger.messaged.total()) == (1, SIZE)


@pytest.mark.parametrize("limit", [None, Decimal(1)])
def test_the_users_price_counts_where_a_simulation_tells_none(limit: Decimal | None) -> None:
    messenger = FakeMessenger(price=None, tells_price=True, money=Decimal("0.5"))
    with pytest.raises(RejectedError, match=r"has 0\.5 and the campaign costs about 0\.6 for the 6"):
        attempt(messenger, FakeStore(), campaign(3, max_cost=limit, unit_price=Decimal("0.1")))
    assert not messenger.messaged


def test_the_balance_is_compared_as_soon_as_the_first_answer_tells_a_price() -> None:
    messenger, store = FakeMessenger(price=Decimal(1), money=Decimal(4)), FakeStore()
    with pytest.raises(RejectedError, match="has 4 and the campaign costs about 16 for the 16") as caught:
        attempt(messenger, store, campaign(9))
    assert caught.value.kind is ErrorKind.CREDIT
    assert messenger.messaged.total() == SIZE
    assert phases(store) == {0: "sent"}
    messenger.money = Decimal(16)
    attempt(messenger, store, campaign(9), try_number=2)
    assert messenger.messaged.total() == 9 * SIZE


def test_a_balance_is_compared_with_what_is_left_and_not_with_what_is_under_way() -> None:
    """What is under way may have been paid for already."""
    messenger = FakeMessenger(price=Decimal(1))
    messenger.check = lambda first: setattr(messenger, "money", Decimal(18) - messenger.under_way * SIZE)
    attempt(messenger, FakeStore(), campaign(9, max_in_flight=3))
    assert messenger.messaged.total() == 9 * SIZE


def test_a_campaign_that_its_limit_will_stop_says_so_before_it_begins(
    caplog: pytest.LogCaptureFixture,
) -> None:
    messenger = FakeMessenger(price=Decimal(1), tells_price=True)
    with pytest.raises(BudgetExceededError):
        attempt(messenger, FakeStore(), campaign(9, max_cost=Decimal(4)))
    assert "About 18 is needed for what is left, which max_cost does not allow" in caplog.text


@pytest.mark.parametrize("tells", [True, False])
def test_what_has_landed_is_recorded_before_the_gateway_is_asked_for_anything(tells: bool) -> None:
    """A crash in a question that takes long must leave nothing in doubt that was answered."""
    store = FakeStore()
    asked: list[dict[int, str]] = []

    class Asked(FakeMessenger):
        def deliver(self, request: Any, message: Any, recipients: Any, *, turn: Any = None) -> Any:
            if request.body["simulate"]:
                asked.append(phases(store))
            return super().deliver(request, message, recipients, turn=turn)

        def money_left(self) -> Decimal | None:
            asked.append(phases(store))
            return None

    wanted = campaign(3, max_cost=Decimal(100)) if tells else campaign(3)
    wanted = replace(wanted, message=SmsMessage(text="Bonjour {name}"))
    attempt(Asked(tells_price=tells), store, wanted)
    sent: list[dict[int, str]] = [{}, {0: "sent"}, {0: "sent", 1: "sent"}]
    assert asked == ([sent[0], *sent] if tells else sent[1:2])


def test_nobody_with_a_turn_waits_while_the_price_of_another_batch_is_asked_for() -> None:
    time = FakeTime()
    turnstile, left = FakeTurnstile(time, gap=0), []

    class Slow(FakeMessenger):
        def deliver(self, request: Any, message: Any, recipients: Any, *, turn: Any = None) -> Any:
            if request.body["simulate"]:
                time.sleep(5)
            return super().deliver(request, message, recipients, turn=turn)

    messenger = Slow(tells_price=True)
    messenger.check = lambda first: left.append(time.moment)
    wanted = campaign(3, max_cost=Decimal(100), max_in_flight=3)
    paced(turnstile, messenger, FakeStore(), replace(wanted, message=SmsMessage(text="Bonjour {name}")))
    assert left == turnstile.taken
    assert messenger.simulated == 3


WEIGHTS = (2, 6, 2)
"""Segments of three batches of two people: the second gets texts of three segments."""


class Weighing(FakeMessenger):
    """Charges by the segment, like every gateway of SMS."""

    def deliver(self, request: Any, message: Any, recipients: Any, *, turn: Any = None) -> Any:
        receipt = super().deliver(request, message, recipients, turn=turn)
        assert self.price is not None
        batch = (int(recipients[0].phone_number[4:]) - int(first_of(0)[4:])) // SIZE
        return replace(receipt, cost=self.price * WEIGHTS[batch])


@pytest.mark.parametrize("tells", [True, False])
def test_batches_are_priced_by_their_segments(tells: bool) -> None:
    messenger, store = Weighing(price=Decimal(1), tells_price=tells), FakeStore()
    limited = campaign(3, max_cost=Decimal(7), unit_price=Decimal(1), weigh=WEIGHTS.__getitem__)
    with pytest.raises(BudgetExceededError, match="2 spent or under way, and 6 for the next 6 SMS segments"):
        attempt(messenger, store, limited)
    assert spent(store) == 2
    messenger.money = Decimal(7)
    with pytest.raises(RejectedError, match="costs about 8 for the 8"):
        attempt(messenger, store, replace(limited, max_cost=None), try_number=2)
    messenger.money = None
    attempt(messenger, store, replace(limited, max_cost=Decimal(10)), try_number=3)
    assert spent(store) == 10


@pytest.mark.parametrize("limited", [True, False])
@pytest.mark.parametrize(
    ("text", "countries", "asked"), [(TEXT, "+33", 1), ("Bonjour {name}", "+33", 3), (TEXT, "mixed", 3)]
)
def test_with_a_limit_each_batch_that_may_cost_another_price_is_asked_for(
    limited: bool, text: str, countries: str, asked: int
) -> None:
    """One simulation tells for all batches of one text to one country."""
    messenger = FakeMessenger(price=Decimal(1), tells_price=True)
    wanted = campaign(3, max_cost=Decimal(6) if limited else None)
    batches = [list(batch) for batch in wanted.batches]
    if countries == "mixed":
        for number, batch in enumerate(batches):
            batch[1] = Recipient(f"+3247012345{number}")
    wanted = replace(wanted, message=SmsMessage(text=text), batches=[tuple(batch) for batch in batches])
    attempt(messenger, FakeStore(), wanted)
    assert messenger.simulated == (asked if limited else 1)
    assert messenger.messaged.total() == 3 * SIZE


def test_no_batch_passes_the_limit_whose_price_the_gateway_tells() -> None:
    """People of another country cost ten times as much, and only the gateway knows."""

    class Abroad(FakeMessenger):
        def deliver(self, request: Any, message: Any, recipients: Any, *, turn: Any = None) -> Any:
            receipt = super().deliver(request, message, recipients, turn=turn)
            abroad = sum(person.phone_number.startswith("+32") for person in recipients)
            return replace(receipt, cost=Decimal(len(recipients) + 9 * abroad))

    messenger, store = Abroad(tells_price=True), FakeStore()
    wanted = campaign(3, max_cost=Decimal(13), unit_price=Decimal(1))
    first, second, third = wanted.batches
    batches = [first, (second[0], Recipient("+32470123456")), third]
    with pytest.raises(BudgetExceededError, match="2 spent or under way, and 11 for"):
        attempt(messenger, store, replace(wanted, batches=batches, max_cost=Decimal(12)))
    assert spent(store) == 2
    attempt(messenger, store, replace(wanted, batches=batches, max_cost=Decimal(15)), try_number=2)
    assert spent(store) == 15


@pytest.mark.parametrize("simulates", [True, False])
def test_a_single_batch_without_a_price_is_refused(simulates: bool) -> None:
    messenger = FakeMessenger(price=None, tells_price=simulates)
    with pytest.raises(ConfigurationError, match=r"max_cost: .* give unit_price"):
        attempt(messenger, FakeStore(), campaign(1, max_cost=Decimal(1)))
    assert (messenger.simulated, messenger.messaged.total()) == (simulates, 0)


def test_a_price_that_nobody_answered_is_not_a_send_in_doubt() -> None:
    store = FakeStore()
    messenger = FakeMessenger(tells_price=True, failures=[SendOutcomeUnknownError("read timeout")])
    with pytest.raises(RetryableNotSentError, match="nothing was sent"):
        attempt(messenger, store, campaign(3, max_cost=Decimal(1)))
    attempt(messenger, store, campaign(3, max_cost=Decimal(1)), try_number=2)
    assert messenger.messaged.total() == 3 * SIZE


def test_without_a_limit_a_price_that_nobody_answered_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    messenger = FakeMessenger(tells_price=True, failures=[SendOutcomeUnknownError("read timeout")])
    attempt(messenger, FakeStore(), campaign(3))
    assert messenger.messaged.total() == 3 * SIZE
    assert "the balance is not compared" in caplog.text


# The same with a real hook, over HTTP


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
        for number in (1, 2):
            with pytest.raises(SendOutcomeUnknownError, match="on_unknown"):
                attempt(hook, store, campaign(1), try_number=number)
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
    hook.sender.longest_wait = 1.0  # so that the long wait is not slept through
    fault(sandbox, "429", retry_after=90, skip=3, gateway="smspartner")
    with pytest.raises(RetryableNotSentError) as caught:
        attempt(hook, store, campaign(6, max_in_flight=3, unit_price=Decimal("0.045")))
    assert caught.value.retry_after == 90
    records = attempt(hook, store, campaign(6, max_in_flight=3), try_number=2)
    assert [record.accepted for record in records] == [SIZE] * 6
    assert set(sandbox.world.tallies["smspartner"].numbers.values()) == {1}
    assert sandbox.world.tallies["smspartner"].messages == 6 * SIZE
    hook.close()


# A planned time that passes on the way


class StrictMessenger(FakeMessenger):
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
    messenger, turnstile = StrictMessenger(time, recognises=True), FakeTurnstile(time, gap=40)
    planned = campaign(5, send_at=time.now() + timedelta(seconds=100))
    with pytest.raises(ConfigurationError, match=r"has passed, and 1 of 5 batches.*on_late='send_now'"):
        paced(turnstile, messenger, store, planned)
    assert messenger.messaged.total() == 4 * SIZE  # the fourth was built in time
    with pytest.raises(ConfigurationError, match=r"1 of 5 batches had not left.*Leave send_at as it is"):
        paced(turnstile, messenger, store, planned, try_number=2)
    with pytest.raises(ConfigurationError, match="has changed since"):
        paced(turnstile, messenger, store, replace(planned, send_at=None), try_number=3)
    records = paced(turnstile, messenger, store, replace(planned, on_late="send_now"), try_number=4)
    assert [record.phase for record in records] == [Phase.SENT] * 5
    assert messenger.messaged.total() == 5 * SIZE
    assert set(messenger.messaged.values()) == {1}
    assert messenger.planned == [planned.send_at] * 4 + [None]


def test_what_is_late_may_leave_at_once_without_a_second_attempt(caplog: pytest.LogCaptureFixture) -> None:
    time = FakeTime()
    messenger, turnstile = StrictMessenger(time), FakeTurnstile(time, gap=40)
    planned = campaign(6, send_at=time.now() + timedelta(seconds=100), on_late="send_now")
    paced(turnstile, messenger, FakeStore(), planned)
    assert messenger.messaged.total() == 6 * SIZE
    assert messenger.planned == [planned.send_at] * 4 + [None] * 2
    assert caplog.text.count("send_at has passed; what is left is sent at once") == 1


def test_a_time_that_had_passed_before_anything_was_sent_may_be_changed() -> None:
    time, store = FakeTime(), FakeStore()
    planned = campaign(2, send_at=time.now())
    messenger = StrictMessenger(time)
    with pytest.raises(
        ConfigurationError, match=r"^send_at: .* is in the past, and nothing was sent; give a later"
    ):
        paced(FakeTurnstile(time), messenger, store, planned)
    later = replace(planned, send_at=time.now() + timedelta(hours=1))
    paced(FakeTurnstile(time), messenger, store, later, try_number=2)
    assert messenger.messaged.total() == 2 * SIZE


@pytest.mark.parametrize(("on_late", "settled"), [("send_now", True), ("fail", False)])
def test_a_doubt_of_which_the_time_has_passed_is_settled_by_a_repeat_only_if_it_may_leave_now(
    on_late: Any, settled: bool
) -> None:
    time, store = FakeTime(), FakeStore()
    messenger = StrictMessenger(time, trouble={first_of(0): [SendOutcomeUnknownError("lost")] * 2})
    planned = campaign(1, send_at=time.now() + timedelta(seconds=100), on_late=on_late)
    with pytest.raises(SendOutcomeUnknownError):
        paced(FakeTurnstile(time), messenger, store, planned)
    time.sleep(200)
    messenger.recognises, messenger.trouble = True, {}
    if settled:
        paced(FakeTurnstile(time), messenger, store, planned, try_number=2)
    else:
        with pytest.raises(SendOutcomeUnknownError):
            paced(FakeTurnstile(time), messenger, store, planned, try_number=2)
    assert messenger.messaged.total() == (SIZE if settled else 0)
