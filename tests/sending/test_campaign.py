"""Nobody is messaged twice, whatever dies when; and nobody is forgotten without a word."""

from __future__ import annotations

import json
import logging
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.exceptions import (
    BudgetExceededError,
    ConfigurationError,
    RejectedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.gateways.model import Recipient, SmsMessage
from airflow_provider_voicepartner.gateways.wire import Credentials
from airflow_provider_voicepartner.hooks.smspartner import SmsPartnerHook
from airflow_provider_voicepartner.sending.campaign import Campaign, CampaignSender
from airflow_provider_voicepartner.sending.fingerprint import fingerprint
from airflow_provider_voicepartner.sending.ledger import BatchRecord, Ledger, Phase, batch_key
from tests.support.messenger import NOW, CrashError, Crashes, CrashingStore, FakeMessenger
from tests.support.tasks import FakeStore

KEY, TEXT = "planted-key-4711", "Le texte planté de Zoé"
CREDENTIALS = Credentials(api_key=KEY)


def people(count: int, start: int = 0) -> tuple[Recipient, ...]:
    return tuple(Recipient(f"+336{start + index:08}", {"name": "Zoé"}) for index in range(count))


def campaign(count: int = 3, start: int = 0, **settings: Any) -> Campaign:
    return Campaign(message=SmsMessage(text=TEXT), recipients=people(count, start), **settings)


def attempt(
    messenger: Any, store: Any, campaign: Campaign, *, try_number: int = 1, **settings: Any
) -> list[BatchRecord]:
    mark = fingerprint("smspartner", CREDENTIALS, campaign.message, campaign.recipients, campaign.send_at)
    ledger = Ledger(store, fingerprint=mark, try_number=try_number)
    return CampaignSender(messenger=messenger, ledger=ledger, now=lambda: NOW, **settings).send(campaign)


def test_a_batch_is_claimed_before_its_request_leaves_and_recorded_after_the_answer() -> None:
    store, messenger = FakeStore(), FakeMessenger()
    seen: list[str] = []
    messenger.check = lambda: seen.append(store.values[batch_key(0)]["phase"])
    [record] = attempt(messenger, store, campaign())
    assert seen == ["claimed"]
    assert store.values[batch_key(0)]["phase"] == "sent"
    assert (record.phase, record.accepted, record.gateway_id) == (Phase.SENT, 3, "8000001")
    assert record.at == NOW.isoformat()


def test_recipients_travel_in_batches_of_at_most_500_each_with_a_reference_of_its_own() -> None:
    messenger = FakeMessenger()
    records = attempt(messenger, FakeStore(), campaign(1203))
    assert [record.size for record in records] == [500, 500, 203]
    assert len({record.reference for record in records}) == 3
    assert set(messenger.messaged.values()) == {1}
    assert len(messenger.messaged) == 1203


CRASHES = {
    "before claimed of 0": ("sends", 0),
    "after claimed of 0": ("in doubt", 0),
    "before deliver": ("in doubt", 0),
    "after deliver": ("in doubt", 3),
    "before sent of 0": ("in doubt", 3),
    "after sent of 0": ("done", 3),
}


def crash_at(point: str, store: FakeStore) -> FakeMessenger:
    """Run a first attempt that dies at a point, and return the gateway that it spoke to."""
    rehearsal = Crashes()
    attempt(FakeMessenger(crashes=rehearsal), CrashingStore(FakeStore(), rehearsal), campaign())
    assert set(CRASHES) <= set(rehearsal.passed), "the loop's steps changed: this table must follow"
    crashes = Crashes(frozenset({rehearsal.passed.index(point)}))
    messenger = FakeMessenger(crashes=crashes)
    with pytest.raises(CrashError, match=point):
        attempt(messenger, CrashingStore(store, crashes), campaign())
    return messenger


@pytest.mark.parametrize("point", CRASHES)
def test_after_a_crash_the_next_attempt_is_in_doubt_exactly_when_it_must_be(point: str) -> None:
    then, messaged = CRASHES[point]
    store = FakeStore()
    messenger = crash_at(point, store)
    assert messenger.messaged.total() == messaged
    if then == "in doubt":
        reference = store.values[batch_key(0)]["reference"]
        with pytest.raises(SendOutcomeUnknownError) as caught:
            attempt(messenger, store, campaign(), try_number=2)
        assert reference in str(caught.value)  # by which it can be looked up
        assert "on_unknown='assume_sent'" in str(caught.value)
        assert "on_unknown='resend'" in str(caught.value)
        assert messenger.messaged.total() == messaged
    else:
        [record] = attempt(messenger, store, campaign(), try_number=2)
        assert record.phase is Phase.SENT
        assert set(messenger.messaged.values()) == {1}
        assert messenger.messaged.total() == 3


@pytest.mark.parametrize("point", [name for name, (then, _) in CRASHES.items() if then == "in doubt"])
def test_what_is_in_doubt_can_be_assumed_sent_once_and_for_all(point: str) -> None:
    store = FakeStore()
    messenger = crash_at(point, store)
    before = dict(messenger.messaged)
    for number in (2, 3):
        [record] = attempt(messenger, store, campaign(on_unknown="assume_sent"), try_number=number)
        assert (record.phase, record.size, record.gateway_id) == (Phase.ASSUMED_SENT, 3, None)
    # Decided is decided: an attempt with the default setting is not in doubt again.
    [record] = attempt(messenger, store, campaign(), try_number=4)
    assert record.phase is Phase.ASSUMED_SENT
    assert messenger.messaged == before


@pytest.mark.parametrize("point", ["after claimed of 0", "after deliver"])
def test_what_is_in_doubt_can_be_sent_again_with_a_new_reference(point: str) -> None:
    store = FakeStore()
    messenger = crash_at(point, store)
    first = store.values[batch_key(0)]["reference"]
    [record] = attempt(messenger, store, campaign(on_unknown="resend"), try_number=2)
    assert record.phase is Phase.SENT
    assert record.reference != first
    assert messenger.messaged.total() == (3 if point == "after claimed of 0" else 6)
    # And only once: it is recorded as sent now.
    attempt(messenger, store, campaign(on_unknown="resend"), try_number=3)
    assert messenger.messaged.total() == (3 if point == "after claimed of 0" else 6)


@pytest.mark.parametrize(
    "failure",
    [RetryableNotSentError("429", retry_after=3), RejectedError("no credit", kind=ErrorKind.CREDIT)],
    ids=["retryable", "rejected"],
)
def test_what_was_provably_not_sent_is_sent_by_the_next_attempt(failure: Exception) -> None:
    store, messenger = FakeStore(), FakeMessenger(failures=[failure])
    with pytest.raises(type(failure)):
        attempt(messenger, store, campaign())
    [record] = attempt(messenger, store, campaign(), try_number=2)
    assert record.phase is Phase.SENT
    assert messenger.messaged.total() == 3


def test_an_answer_that_never_came_leaves_the_batch_in_doubt() -> None:
    store, messenger = FakeStore(), FakeMessenger(failures=[SendOutcomeUnknownError("no answer")])
    with pytest.raises(SendOutcomeUnknownError, match="no answer"):
        attempt(messenger, store, campaign())
    with pytest.raises(SendOutcomeUnknownError, match="on_unknown"):
        attempt(messenger, store, campaign(), try_number=2)
    assert not messenger.messaged


def test_an_unforeseen_error_while_sending_leaves_the_batch_in_doubt() -> None:
    store, messenger = FakeStore(), FakeMessenger(failures=[ZeroDivisionError()])
    with pytest.raises(ZeroDivisionError):
        attempt(messenger, store, campaign())
    with pytest.raises(SendOutcomeUnknownError):
        attempt(messenger, store, campaign(), try_number=2)


def test_a_gateway_that_says_it_had_this_very_batch_before_proves_that_it_took_it() -> None:
    store = FakeStore()
    messenger = FakeMessenger(failures=[RejectedError("request_id was used", kind=ErrorKind.DUPLICATE)])
    with pytest.raises(RejectedError):
        attempt(messenger, store, campaign())
    with pytest.raises(SendOutcomeUnknownError):  # sent again it would be sent twice
        attempt(messenger, store, campaign(), try_number=2)
    assert not messenger.messaged


def test_an_attempt_that_airflow_gave_up_stops_before_it_sends() -> None:
    store, messenger = FakeStore(), FakeMessenger()
    with pytest.raises(PermissionError):
        FakeStore(fenced=True).set("x", 1)
    store.fenced = True
    with pytest.raises(PermissionError):
        attempt(messenger, store, campaign())
    assert not messenger.messaged


def test_an_attempt_that_loses_its_right_between_two_batches_stops_there() -> None:
    store, messenger = FakeStore(), FakeMessenger()

    def fence_after_the_first() -> None:
        store.fenced = len(messenger.messaged) >= 500

    messenger.check = fence_after_the_first
    with pytest.raises(PermissionError):
        # The second batch can be claimed and sent, but not recorded; the third is not even claimed.
        attempt(messenger, store, campaign(1500))
    assert messenger.messaged.total() == 1000
    store.fenced = False
    with pytest.raises(SendOutcomeUnknownError, match="batch 2"):
        attempt(messenger, store, campaign(1500), try_number=2)


def test_changed_input_is_refused_and_nothing_is_sent() -> None:
    store, messenger = FakeStore(), FakeMessenger()
    attempt(messenger, store, campaign(3))
    with pytest.raises(ConfigurationError, match="Restore the earlier input") as caught:
        attempt(messenger, store, campaign(3, start=1), try_number=2)
    assert "+336" not in str(caught.value)
    assert messenger.messaged.total() == 3


def test_resend_sends_all_of_a_changed_input() -> None:
    store, messenger = FakeStore(), FakeMessenger()
    attempt(messenger, store, campaign(3))
    attempt(messenger, store, campaign(3, start=10, on_unknown="resend"), try_number=2)
    assert len(messenger.messaged) == 6


def test_state_that_cannot_be_read_stops_everything() -> None:
    store, messenger = FakeStore(), FakeMessenger()
    attempt(messenger, store, campaign())
    store.values[batch_key(0)] = {"phase": "whatever"}
    with pytest.raises(ConfigurationError, match="nobody knows what was sent"):
        attempt(messenger, store, campaign(), try_number=2)
    assert messenger.messaged.total() == 3


def test_before_airflow_3_3_the_first_try_sends_and_the_second_refuses() -> None:
    messenger = FakeMessenger()
    assert len(attempt(messenger, None, campaign())) == 1
    with pytest.raises(SendOutcomeUnknownError, match=r"before 3\.3 keeps nothing"):
        attempt(messenger, None, campaign(), try_number=2)
    [assumed] = attempt(messenger, None, campaign(on_unknown="assume_sent"), try_number=2)
    assert (assumed.phase, assumed.size, assumed.gateway_id) == (Phase.ASSUMED_SENT, 3, None)
    assert messenger.messaged.total() == 3
    attempt(messenger, None, campaign(on_unknown="resend"), try_number=2)
    assert messenger.messaged.total() == 6


def test_the_state_holds_no_number_no_text_and_no_key() -> None:
    store, messenger = FakeStore(), FakeMessenger(failures=[RejectedError(f"refused {TEXT}")])
    for number in (1, 2):
        try:
            attempt(messenger, store, campaign(700), try_number=number)
        except RejectedError:
            continue
    kept = json.dumps(store.values, ensure_ascii=False)
    assert kept.count('"sent"') == 2
    for secret in (KEY, TEXT, "Zoé", "3600000", "600000"):
        assert secret not in kept


def test_what_an_earlier_attempt_sent_is_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    store, messenger = FakeStore(), FakeMessenger()
    [record] = attempt(messenger, store, campaign())
    attempt(messenger, store, campaign(), try_number=2)
    assert f"Batch 1 ({record.reference}) was sent by an earlier attempt; it is not sent again" in caplog.text


# What it may cost


def test_a_budget_is_kept_with_the_price_that_a_simulation_tells() -> None:
    messenger = FakeMessenger(price=Decimal("0.045"))
    attempt(messenger, FakeStore(), campaign(3, max_cost=Decimal("0.135")))
    assert (messenger.simulated, messenger.messaged.total()) == (1, 3)

    messenger = FakeMessenger(price=Decimal("0.045"))
    store = FakeStore()
    with pytest.raises(BudgetExceededError, match=r"max_cost: 0\.134 would be passed: 0 spent and 0\.135"):
        attempt(messenger, store, campaign(3, max_cost=Decimal("0.134")))
    assert not messenger.messaged
    # Nothing was claimed: a higher limit sends.
    attempt(messenger, store, campaign(3, max_cost=Decimal(1)), try_number=2)
    assert messenger.messaged.total() == 3


def test_a_budget_is_kept_with_the_users_unit_price_without_asking_the_gateway() -> None:
    messenger = FakeMessenger(price=None)
    with pytest.raises(BudgetExceededError):
        attempt(messenger, FakeStore(), campaign(3, max_cost=Decimal("0.29"), unit_price=Decimal("0.1")))
    assert (messenger.simulated, messenger.messaged.total()) == (0, 0)
    attempt(messenger, FakeStore(), campaign(3, max_cost=Decimal("0.30"), unit_price=Decimal("0.1")))
    assert messenger.messaged.total() == 3


@pytest.mark.parametrize("told", [Decimal("0.1"), None], ids=["receipts tell", "receipts do not tell"])
def test_what_earlier_batches_cost_counts_also_where_nobody_told(told: Decimal | None) -> None:
    messenger, store = FakeMessenger(price=told), FakeStore()
    limited = campaign(1500, max_cost=Decimal("100"), unit_price=Decimal("0.1"))
    with pytest.raises(BudgetExceededError, match=r"100\.0 spent and 50\.0 for the next 500"):
        attempt(messenger, store, limited)
    assert messenger.messaged.total() == 1000
    # A retry is held to the same sum, and sends nobody again.
    with pytest.raises(BudgetExceededError):
        attempt(messenger, store, limited, try_number=2)
    attempt(messenger, store, campaign(1500, max_cost=Decimal(150), unit_price=Decimal("0.1")), try_number=3)
    assert set(messenger.messaged.values()) == {1}
    assert len(messenger.messaged) == 1500


def test_a_gateway_that_tells_no_price_needs_one_from_the_user() -> None:
    messenger = FakeMessenger(price=None)
    with pytest.raises(ConfigurationError, match=r"max_cost: .* give unit_price"):
        attempt(messenger, FakeStore(), campaign(3, max_cost=Decimal(1)))
    assert not messenger.messaged


def test_invented_prices_of_a_simulation_are_not_asked_for() -> None:
    messenger = FakeMessenger(price=Decimal("0.001"))
    with pytest.raises(ConfigurationError, match="give unit_price"):
        attempt(messenger, FakeStore(), campaign(3, max_cost=Decimal(1)), simulation_tells_price=False)
    assert (messenger.simulated, messenger.messaged.total()) == (0, 0)


def test_a_price_that_nobody_answered_is_not_a_send_in_doubt() -> None:
    store = FakeStore()
    messenger = FakeMessenger(failures=[SendOutcomeUnknownError("read timeout")])
    with pytest.raises(RetryableNotSentError, match="nothing was sent"):
        attempt(messenger, store, campaign(3, max_cost=Decimal(1)))
    attempt(messenger, store, campaign(3, max_cost=Decimal(1)), try_number=2)
    assert messenger.messaged.total() == 3


# Any history


FATES = st.sampled_from(["crash", "retryable", "rejected", "no answer"])


@settings(max_examples=150, deadline=None)
@given(
    size=st.sampled_from([1, 500, 501, 1300]),
    history=st.lists(st.tuples(FATES, st.integers(0, 20)), max_size=6),
    decision=st.sampled_from(["fail", "assume_sent", "resend"]),
)
def test_whatever_happens_nobody_is_messaged_twice_and_nobody_is_lost_unnoticed(
    size: int, history: list[tuple[str, int]], decision: Any
) -> None:
    """Attempts die at any point or fail in any way; then one attempt goes through undisturbed, and tells all."""
    store, messenger = FakeStore(), FakeMessenger()
    tries = 0
    for fate, where in history:
        tries += 1
        crashes = Crashes(frozenset({where}) if fate == "crash" else frozenset())
        messenger.crashes = crashes
        failure = {
            "retryable": RetryableNotSentError("429"),
            "rejected": RejectedError("no"),
            "no answer": SendOutcomeUnknownError("silence"),
        }.get(fate)
        messenger.failures = [None] * (where % 4) + [failure] if failure else []
        try:
            attempt(messenger, CrashingStore(store, crashes), campaign(size), try_number=tries)
        except (CrashError, RetryableNotSentError, RejectedError, SendOutcomeUnknownError):
            continue
    assert not messenger.messaged or set(messenger.messaged.values()) == {1}

    messenger.crashes, messenger.failures = Crashes(), []
    records: list[BatchRecord] = []
    for _ in range(2):  # the second round changes nothing
        tries += 1
        try:
            records = attempt(messenger, store, campaign(size, on_unknown=decision), try_number=tries)
        except SendOutcomeUnknownError:
            assert decision == "fail"
            phases = [value["phase"] for key, value in store.values.items() if "batch" in key and value]
            assert "claimed" in phases
            assert not messenger.messaged or set(messenger.messaged.values()) == {1}
            return
    assert sum(record.size for record in records) == size
    assumed = sum(record.size for record in records if record.phase is Phase.ASSUMED_SENT)
    missing = size - len(messenger.messaged)
    assert missing <= assumed  # whoever was not messaged is in a batch that the report calls assumed sent
    most = max(messenger.messaged.values(), default=0)
    assert most <= (2 + len(history) if decision == "resend" else 1)
    if decision == "resend":
        assert missing == 0


# The same with a real hook, over HTTP


def fault(sandbox: Any, kind: str, **more: Any) -> None:
    from airflow_provider_voicepartner.sandbox.faults import Fault

    sandbox.world.faults.add(Fault.model_validate({"kind": kind, "gateway": "smspartner", **more}))


@pytest.mark.parametrize(
    ("kind", "taken"),
    [("drop_before", 0), ("drop_after", 3), ("drop_mid_answer", 3), ("500", 0), ("truncated_json", 3)],
)
def test_over_http_a_lost_answer_is_never_sent_again(sandbox: Any, kind: str, taken: int) -> None:
    store, hook = FakeStore(), SmsPartnerHook()
    fault(sandbox, kind)
    with pytest.raises(SendOutcomeUnknownError):
        attempt(hook, store, campaign())
    with pytest.raises(SendOutcomeUnknownError, match="on_unknown"):
        attempt(hook, store, campaign(), try_number=2)
    counts = sandbox.world.tallies["smspartner"]
    assert counts.messages == taken
    assert sandbox.world.requests.total == 1
    [record] = attempt(hook, store, campaign(on_unknown="assume_sent"), try_number=3)
    assert record.phase is Phase.ASSUMED_SENT
    # The reference in the record is the one that the gateway knows: with it the batch can be looked up.
    assert set(counts.references) == ({record.reference} if taken else set())
    hook.close()


def test_over_http_several_batches_go_on_where_the_first_attempt_was_refused(sandbox: Any) -> None:
    store, hook = FakeStore(), SmsPartnerHook()
    hook.sender.longest_wait = 1.0  # so that the long wait is not slept through
    fault(sandbox, "429", retry_after=90, skip=1)
    with pytest.raises(RetryableNotSentError) as caught:
        attempt(hook, store, campaign(1100))
    assert caught.value.retry_after == 90
    records = attempt(hook, store, campaign(1100), try_number=2)
    assert [record.accepted for record in records] == [500, 500, 100]
    assert set(sandbox.world.tallies["smspartner"].numbers.values()) == {1}
    assert sandbox.world.tallies["smspartner"].messages == 1100
    hook.close()


def test_over_http_a_budget_asks_the_gateway_and_sends_nothing_beyond_it(sandbox: Any) -> None:
    hook = SmsPartnerHook()
    with pytest.raises(BudgetExceededError, match=r"0\.135 for the next 3"):
        attempt(hook, FakeStore(), campaign(max_cost=Decimal("0.1")))
    assert sandbox.world.tallies["smspartner"].messages == 0
    attempt(hook, FakeStore(), campaign(max_cost=Decimal("0.135")))
    assert sandbox.world.tallies["smspartner"].messages == 3
    hook.close()


def test_a_date_that_has_passed_does_not_keep_a_retry_from_telling_what_was_sent() -> None:
    store, messenger = FakeStore(), FakeMessenger()
    planned = campaign(send_at=datetime(2031, 5, 6, 12, 5, tzinfo=NOW.tzinfo))
    attempt(messenger, store, planned)
    built = len(messenger.built)
    [record] = attempt(messenger, store, planned, try_number=2)
    assert record.phase is Phase.SENT
    assert len(messenger.built) == built  # no second request is even built, so its date is not judged again
