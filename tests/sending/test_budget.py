"""No batch with a known price passes the limit; what nobody told is reckoned, and what nobody can reckon stops."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voicepartner.exceptions import BudgetExceededError, ConfigurationError
from airflow_provider_voicepartner.gateways.model import SmsMessage, Voicemail, VoiceMessage
from airflow_provider_voicepartner.sending.budget import Budget, SegmentCounts, unit_of
from airflow_provider_voicepartner.sending.ledger import BatchRecord, Phase
from tests.support.tasks import CALM


def sent(size: int = 10, cost: str | None = None, **more: Any) -> BatchRecord:
    return BatchRecord(
        phase=Phase.SENT,
        reference="r",
        size=size,
        accepted=more.pop("accepted", size),
        cost=None if cost is None else Decimal(cost),
        **more,
    )


def claimed(size: int = 10, **more: Any) -> BatchRecord:
    return BatchRecord(phase=Phase.CLAIMED, reference="r", size=size, **more)


def test_without_a_limit_nothing_is_forbidden_and_no_price_is_needed() -> None:
    budget = Budget(None, None)
    assert not budget.is_limited
    assert not budget.needs_price
    budget.require_price(1)
    for index in range(1000):
        budget.reserve(index, 500)


def test_what_is_under_way_counts_until_it_has_landed() -> None:
    budget = Budget(Decimal(3), Decimal("0.1"))
    for index in range(3):
        budget.reserve(index, 10)
    with pytest.raises(BudgetExceededError, match=r"3\.0 spent or in flight, and 1\.0 for the next 10"):
        budget.reserve(3, 10)
    budget.settle(0, sent())
    with pytest.raises(BudgetExceededError):
        budget.reserve(3, 10)


def test_a_batch_that_was_refused_frees_its_price() -> None:
    budget = Budget(Decimal(1), Decimal("0.1"))
    budget.reserve(0, 10)
    budget.free(0)
    budget.reserve(1, 10)


def test_the_limit_itself_may_be_reached() -> None:
    Budget(Decimal("0.3"), Decimal("0.1")).reserve(0, 3)
    with pytest.raises(BudgetExceededError):
        Budget(Decimal("0.29"), Decimal("0.1")).reserve(0, 3)


def test_what_a_receipt_tells_takes_over_from_what_was_reckoned() -> None:
    budget = Budget(Decimal(10), Decimal("0.1"))
    budget.reserve(0, 10)
    budget.settle(0, sent(cost="4"))
    assert budget.unit_price == Decimal("0.4")
    budget.reserve(1, 10)
    with pytest.raises(BudgetExceededError, match=r"8\.0 spent or in flight, and 4\.0 for the next"):
        budget.reserve(2, 10)


def test_the_price_is_that_of_those_who_were_accepted() -> None:
    budget = Budget(Decimal(10), None)
    budget.reserve(0, 10)
    budget.settle(0, sent(cost="2", accepted=5))
    assert budget.unit_price == Decimal("0.4")
    budget.settle(1, sent(cost="0", accepted=0))  # nobody accepted teaches nothing
    assert budget.unit_price == Decimal("0.4")


def test_the_first_batch_teaches_an_unknown_price() -> None:
    budget = Budget(Decimal(2), None)
    assert budget.needs_price
    budget.require_price(2)
    budget.reserve(0, 10)
    budget.settle(0, sent(cost="1.5"))
    assert not budget.needs_price
    with pytest.raises(BudgetExceededError):
        budget.reserve(1, 10)


def test_a_single_batch_whose_price_nobody_knows_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"max_cost: .* give unit_price"):
        Budget(Decimal(2), None).require_price(1)
    Budget(Decimal(2), Decimal(1)).require_price(1)
    learnt = Budget(Decimal(2), None)
    learnt.learn(Decimal("0.1"))
    learnt.require_price(1)


def test_batches_of_earlier_attempts_count_with_their_cost() -> None:
    budget = Budget(Decimal(5), Decimal("0.1"))
    for index in range(4):
        budget.settle(index, sent(cost="1"))
    budget.reserve(4, 10)
    with pytest.raises(BudgetExceededError):
        budget.reserve(5, 10)


@pytest.mark.parametrize("known_before", [True, False])
def test_earlier_batches_without_a_cost_are_reckoned_at_the_price_of_the_day(known_before: bool) -> None:
    """Those that were proven or assumed sent; also when the price is learnt only after they were counted."""
    budget = Budget(Decimal(5), Decimal("0.1") if known_before else None)
    for index in range(3):
        budget.settle(index, sent())
    budget.settle(3, sent(cost="1"))
    budget.reserve(4, 10)
    with pytest.raises(BudgetExceededError, match=r"5\.0 spent or in flight"):
        budget.reserve(5, 10)


def test_a_gateway_that_tells_no_price_at_all_ends_a_limited_campaign_after_one_batch() -> None:
    budget = Budget(Decimal(5), None)
    budget.reserve(0, 10)
    budget.settle(0, sent())
    with pytest.raises(BudgetExceededError, match="give unit_price"):
        budget.reserve(1, 10)


def test_what_stands_behind_a_hole_counts_before_the_hole_is_filled() -> None:
    budget = Budget(Decimal(6), Decimal("0.1"))
    budget.count([(1, sent(cost="2")), (2, sent(cost="2"))])
    budget.settle(1, sent(cost="2"))  # the loop comes by: once is enough
    budget.reserve(0, 10)
    with pytest.raises(BudgetExceededError, match=r"6\.0 spent or in flight"):
        budget.reserve(3, 10)


def test_what_is_in_doubt_counts_as_sent_whatever_settles_it() -> None:
    budget = Budget(Decimal(2), Decimal("0.1"))
    budget.count([(1, claimed())])
    budget.reserve(0, 10)
    with pytest.raises(BudgetExceededError):
        budget.reserve(2, 10)
    budget.settle(1, sent())
    assert (budget.committed, budget.unresolved) == (2, 0)
    budget.settle(1, sent())
    assert budget.committed == 2


# A doubt, and its repeat


@pytest.mark.parametrize("place", [0, 1, 2], ids=["first", "middle", "last"])
@pytest.mark.parametrize("known_from", ["the ledger", "this attempt"])
def test_a_doubt_counts_as_spent_and_its_repeat_counts_again_at_every_place(
    place: int, known_from: str
) -> None:
    budget = Budget(Decimal(4), Decimal("0.1"))
    for index in range(3):
        if index == place and known_from == "the ledger":
            budget.count([(index, claimed())])
        elif index == place:
            budget.reserve(index, 10)
            budget.leave_in_doubt(index)
        else:
            budget.reserve(index, 10)
            budget.settle(index, sent(cost="1"))
    assert (budget.committed, budget.unresolved) == (3, 1)
    budget.reserve(place, 10, is_resent=True)
    assert (budget.committed, budget.unresolved) == (4, 1)
    budget.leave_in_doubt(place)
    with pytest.raises(
        BudgetExceededError,
        match=r"4 would be exceeded: 4\.0 spent or in flight \(2\.0 of it for batches in doubt, which count as sent\), "
        rf"and 1\.0 for sending batch {place + 1} again, which counts once more\. .*raise max_cost",
    ):
        budget.reserve(place, 10, is_resent=True)
    # What is sent in the end is paid for; the first sending may have to be.
    budget.settle(place, sent(cost="1", resent=1))
    assert (budget.committed, budget.unresolved, budget.committed_units) == (4, 1, 30)


def test_a_repeat_that_the_limit_forbids_leaves_the_doubt_counted() -> None:
    budget = Budget(Decimal("1.9"), Decimal("0.1"))
    budget.count([(0, claimed())])
    for _ in range(3):
        with pytest.raises(BudgetExceededError, match="1 again"):
            budget.reserve(0, 10, is_resent=True)
        assert (budget.committed, budget.unresolved, budget.committed_units) == (1, 1, 10)


def test_a_repeat_that_is_answered_leaves_the_first_sending_counted() -> None:
    budget = Budget(Decimal(2), Decimal("0.1"))
    budget.count([(0, claimed())])
    budget.reserve(0, 10, is_resent=True)
    budget.settle(0, sent(cost="1"))
    assert (budget.committed, budget.unresolved, budget.committed_units) == (2, 1, 10)


def test_a_repeat_that_provably_did_not_leave_is_free_and_the_doubt_is_not() -> None:
    budget = Budget(Decimal(2), Decimal("0.1"))
    budget.count([(0, claimed())])
    budget.reserve(0, 10, is_resent=True)
    assert budget.committed == 2
    budget.free(0)
    assert (budget.committed, budget.unresolved) == (1, 1)
    budget.settle(0, sent())  # A look-up found it after all.
    assert (budget.committed, budget.unresolved) == (1, 0)


def test_a_batch_that_is_known_not_to_have_left_counts_once() -> None:
    """A claim that is no doubt any more, because its gateway would know of it."""
    budget = Budget(Decimal(1), Decimal("0.1"))
    budget.count([(0, claimed())])
    budget.reserve(0, 10)
    assert (budget.committed, budget.unresolved) == (1, 0)
    budget.free(0)
    assert budget.committed == 0
    budget.count([(0, claimed(size=11))])
    with pytest.raises(BudgetExceededError):
        budget.reserve(0, 11)
    assert budget.unresolved == Decimal("1.1")


@pytest.mark.parametrize("cost", ["1", None])
@pytest.mark.parametrize(
    ("record", "sendings"),
    [
        (lambda **more: sent(**more), 1),
        (lambda **more: sent(**more, resent=1), 2),
        (lambda **more: sent(**more, resent=3), 4),
        (lambda **more: claimed(resent=2), 3),
        (lambda **more: replace(claimed(resent=1), phase=Phase.REFUSED), 1),
        (lambda **more: replace(claimed(), phase=Phase.ASSUMED_SENT), 1),
        (lambda **more: replace(claimed(resent=1), phase=Phase.ASSUMED_SENT), 2),
    ],
)
def test_a_retry_counts_every_sending_that_earlier_attempts_made(
    record: Any, sendings: int, cost: str | None
) -> None:
    budget = Budget(Decimal(100), Decimal("0.1"))
    budget.count([(0, record(cost=cost))])
    budget.count([])
    assert budget.committed == sendings


def test_a_doubt_of_an_attempt_that_left_no_record_counts_like_any_other() -> None:
    budget = Budget(Decimal("1.9"), Decimal("0.1"))
    with pytest.raises(BudgetExceededError):
        budget.reserve(0, 10, is_resent=True)
    assert budget.unresolved == 1


def test_a_doubt_is_never_sent_again_while_nobody_knows_a_price() -> None:
    budget = Budget(Decimal(100), None)
    budget.reserve(0, 10)
    budget.leave_in_doubt(0)
    with pytest.raises(BudgetExceededError, match="give unit_price"):
        budget.reserve(0, 10, is_resent=True)
    with pytest.raises(BudgetExceededError, match="give unit_price"):
        budget.reserve(1, 10)


def test_a_repeat_costs_what_was_told_for_the_batch() -> None:
    budget = Budget(Decimal(5), Decimal("0.1"))
    budget.reserve(0, 10, Decimal(2))
    budget.leave_in_doubt(0)
    budget.reserve(0, 10, Decimal(2), is_resent=True)
    assert budget.committed == 4
    budget.leave_in_doubt(0)
    assert (budget.committed, budget.unresolved) == (4, 4)


def test_people_in_doubt_of_a_batch_count_as_reached() -> None:
    budget = Budget(Decimal(5), None)
    budget.settle(0, sent(cost="0.8", accepted=8, in_doubt=2))
    assert (budget.committed, budget.unit_price) == (1, Decimal("0.1"))
    budget.settle(1, sent(accepted=0, in_doubt=10))
    assert budget.committed == 2


def test_a_batch_of_which_everybody_was_refused_by_name_costs_nothing() -> None:
    budget = Budget(Decimal(5), Decimal("0.1"))
    budget.reserve(0, 10)
    budget.settle(0, sent(accepted=0))
    assert budget.committed == 0
    budget.settle(1, sent(accepted=0, cost="0.7"))  # unless the gateway says otherwise
    assert budget.committed == Decimal("0.7")


# What an answer tells

NOT_TOLD = [None, "0", "0.00", "-1", "-0", "NaN", "Infinity"]


@pytest.mark.parametrize("cost", NOT_TOLD)
def test_a_cost_of_nothing_or_less_is_not_told(cost: str | None) -> None:
    budget = Budget(Decimal(2), Decimal("0.1"))
    budget.reserve(0, 10)
    budget.settle(0, sent(cost=cost))
    assert (budget.committed, budget.unit_price) == (1, Decimal("0.1"))
    budget.reserve(1, 10, None if cost is None else Decimal(cost))
    with pytest.raises(BudgetExceededError):
        budget.reserve(2, 10)


@pytest.mark.parametrize("cost", NOT_TOLD)
def test_a_first_answer_that_tells_nothing_ends_a_campaign_whose_price_nobody_knows(cost: str | None) -> None:
    budget = Budget(Decimal(60), None)
    budget.reserve(0, 500)
    budget.settle(0, sent(500, cost=cost))
    assert budget.unit_price is None
    with pytest.raises(BudgetExceededError, match="give unit_price"):
        budget.reserve(1, 500)


@pytest.mark.parametrize("cost", NOT_TOLD)
def test_a_price_that_was_learnt_outlives_an_answer_that_tells_none(cost: str | None) -> None:
    budget = Budget(Decimal(3), None)
    for index, told in enumerate(("1", cost)):
        budget.reserve(index, 10)
        budget.settle(index, sent(cost=told))
    assert (budget.committed, budget.unit_price) == (2, Decimal("0.1"))


def test_what_was_refused_costs_nothing() -> None:
    budget = Budget(Decimal(1), Decimal("0.1"))
    budget.count([(1, BatchRecord(phase=Phase.REFUSED, reference="r", size=10))])
    budget.reserve(0, 10)


@pytest.mark.parametrize("phase", [Phase.SENT, Phase.ASSUMED_SENT, Phase.CLAIMED])
def test_an_earlier_batch_whose_price_nobody_told_lets_no_second_one_leave(phase: Phase) -> None:
    budget = Budget(Decimal(5), None)
    budget.count([(0, BatchRecord(phase=phase, reference="r", size=10, accepted=10))])
    with pytest.raises(BudgetExceededError, match="give unit_price"):
        budget.reserve(1, 10)


def test_batches_are_priced_by_their_weight() -> None:
    segment_counts = [10, 30, 10]
    budget = Budget(Decimal(5), None, SegmentCounts(lambda index: (segment_counts[index],)))
    budget.reserve(0, 10)
    budget.settle(0, sent(size=10, cost="1"))
    assert budget.unit_price == Decimal("0.1")
    budget.reserve(1, 30)
    budget.settle(1, sent(size=10, cost="3"))
    assert budget.unit_price == Decimal("0.1")
    budget.reserve(2, 10)
    assert budget.committed == 5


@pytest.mark.parametrize(
    ("unit_price", "costs", "price"),
    [
        (None, ["2", "1"], "0.2"),
        (None, ["1", "2"], "0.2"),
        # What one batch cost says nothing about the next; whoever gives the dearest price is never charged more.
        ("0.9", ["2", "1"], "0.9"),
        ("0.1", ["2", "1"], "0.2"),
        ("0.2", ["2", "0"], "0.2"),
    ],
)
def test_of_several_prices_the_dearest_counts_for_what_follows(
    unit_price: str | None, costs: list[str], price: str
) -> None:
    budget = Budget(Decimal(100), None if unit_price is None else Decimal(unit_price))
    for index, cost in enumerate(costs):
        budget.settle(index, sent(cost=cost))
    assert budget.unit_price == Decimal(price)


def test_a_price_that_a_gateway_tells_without_sending_goes_before_the_users() -> None:
    budget = Budget(Decimal(100), Decimal("0.9"))
    budget.learn(Decimal("0.2"))
    assert budget.unit_price == Decimal("0.2")


def test_who_gives_a_price_that_no_answer_reaches_is_told_so() -> None:
    budget = Budget(Decimal(5), Decimal("0.9"))
    budget.settle(0, sent(cost="2"))
    with pytest.raises(
        BudgetExceededError,
        match=r"and 9\.0 for the next 10 .* at 0\.9 each, where no answer reported more than 0\.2 ",
    ):
        budget.reserve(1, 10)


def test_a_price_told_for_a_batch_is_believed_until_an_answer_tells_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    budget = Budget(Decimal(10), Decimal("0.1"))
    budget.reserve(0, 10, Decimal(2))
    assert budget.committed == 2
    budget.settle(0, sent(cost="2"))
    budget.reserve(1, 10, Decimal(1))
    budget.settle(1, sent(cost="4"))
    assert "cost 4, and the gateway had quoted 1" in caplog.text
    with pytest.raises(BudgetExceededError):
        budget.reserve(2, 11, Decimal(1))


def test_what_nobody_can_price_counts_for_nothing_yet() -> None:
    budget = Budget(Decimal(5), None)
    budget.reserve(0, 10)
    assert budget.committed == 0
    budget.settle(0, sent())
    assert (budget.committed, budget.committed_units) == (0, 10)
    budget.settle(1, sent(cost="1"))
    assert (budget.committed, budget.committed_units) == (2, 20)


def test_who_gives_a_limit_is_warned_that_the_first_batch_leaves_without_a_price(
    caplog: pytest.LogCaptureFixture,
) -> None:
    Budget(Decimal(5), None).require_price(2)
    assert (
        "The price is unknown until the first batch is answered; max_cost applies from the second batch on"
        in caplog.text
    )
    caplog.clear()
    Budget(None, None).require_price(1)
    Budget(Decimal(5), Decimal("0.1")).require_price(2)
    assert caplog.text == ""


def test_a_told_price_counts_where_the_answer_tells_none() -> None:
    budget = Budget(Decimal(5), Decimal("0.1"))
    budget.reserve(0, 10, Decimal(2))
    budget.settle(0, sent())
    assert budget.committed == 2


def test_half_a_batch_in_doubt_counts_as_the_whole() -> None:
    budget = Budget(Decimal(5), Decimal("0.1"))
    budget.settle(0, sent(accepted=5, in_doubt=5))
    assert budget.committed == 1


@CALM
@given(
    limit=st.decimals(1, 100, places=2),
    price=st.decimals("0.01", 1, places=3),
    sizes=st.lists(st.integers(1, 500), max_size=20),
    fates=st.lists(st.sampled_from(["cost", "silent", "refused", "under way"]), min_size=20, max_size=20),
)
def test_the_limit_is_never_passed(
    limit: Decimal, price: Decimal, sizes: list[int], fates: list[str]
) -> None:
    budget, spent = Budget(limit, price), Decimal(0)
    for index, (size, fate) in enumerate(zip(sizes, fates, strict=False)):
        try:
            budget.reserve(index, size)
        except BudgetExceededError:
            assert spent + price * size > limit
            continue
        spent += 0 if fate == "refused" else price * size
        if fate == "refused":
            budget.free(index)
        elif fate != "under way":
            budget.settle(index, sent(size, str(price * size) if fate == "cost" else None))
    assert spent <= limit


@pytest.mark.parametrize(
    ("message", "unit"),
    [
        (SmsMessage(text="x"), "SMS segments"), (VoiceMessage(text="x"), "calls"),
        (Voicemail(audio_token="t"), "voicemail drops"),
    ],
)  # fmt: skip
def test_what_is_counted_is_named_by_what_it_is(message: Any, unit: str) -> None:
    assert unit_of(message) == unit
    with pytest.raises(BudgetExceededError, match=f"for the next 4 {unit}"):
        Budget(Decimal(1), Decimal(1), unit=unit).reserve(0, 4)


def test_a_price_is_learnt_where_nobody_gave_one() -> None:
    assert Budget(Decimal(1), None).has_learnt_its_price
    assert not Budget(Decimal(1), Decimal(1)).has_learnt_its_price
