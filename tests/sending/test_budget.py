"""No batch with a known price passes the limit; what nobody told is reckoned, and what nobody can reckon stops."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voicepartner.exceptions import BudgetExceededError, ConfigurationError
from airflow_provider_voicepartner.sending.budget import Budget
from airflow_provider_voicepartner.sending.ledger import BatchRecord, Phase
from tests.support.tasks import CALM


def sent(size: int = 10, cost: str | None = None, **more: Any) -> BatchRecord:
    return BatchRecord(
        phase=Phase.SENT,
        reference="r",
        size=size,
        accepted=more.get("accepted", size),
        cost=None if cost is None else Decimal(cost),
    )


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
    with pytest.raises(BudgetExceededError, match=r"3\.0 spent or under way, and 1\.0 for the next 10"):
        budget.reserve(3, 10)
    budget.settle(0, sent())
    with pytest.raises(BudgetExceededError):
        budget.reserve(3, 10)


def test_a_batch_that_was_refused_frees_its_price() -> None:
    budget = Budget(Decimal(1), Decimal("0.1"))
    budget.reserve(0, 10)
    budget.settle(0, None)
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
    with pytest.raises(BudgetExceededError, match=r"8\.0 spent or under way, and 4\.0 for the next"):
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
    with pytest.raises(BudgetExceededError, match=r"5\.0 spent or under way"):
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
    with pytest.raises(BudgetExceededError, match=r"6\.0 spent or under way"):
        budget.reserve(3, 10)


def test_what_is_in_doubt_counts_as_sent_until_it_is_settled() -> None:
    budget = Budget(Decimal(2), Decimal("0.1"))
    budget.count([(1, BatchRecord(phase=Phase.CLAIMED, reference="r", size=10))])
    budget.reserve(0, 10)
    with pytest.raises(BudgetExceededError):
        budget.reserve(2, 10)
    budget.settle(1, None)
    budget.reserve(2, 10)


def test_what_was_refused_costs_nothing() -> None:
    budget = Budget(Decimal(1), Decimal("0.1"))
    budget.count([(1, BatchRecord(phase=Phase.REFUSED, reference="r", size=10))])
    budget.reserve(0, 10)


@pytest.mark.parametrize("phase", [Phase.SENT, Phase.ASSUMED_SENT, Phase.CLAIMED])
def test_an_earlier_batch_whose_price_nobody_told_lets_no_second_one_leave(phase: Phase) -> None:
    budget = Budget(Decimal(5), None)
    budget.count([(0, BatchRecord(phase=phase, reference="r", size=10))])
    with pytest.raises(BudgetExceededError, match="give unit_price"):
        budget.reserve(1, 10)


def test_batches_are_priced_by_their_weight() -> None:
    weights = [10, 30, 10]
    budget = Budget(Decimal(5), None, weights.__getitem__)
    budget.reserve(0, 10)
    budget.settle(0, sent(size=10, cost="1"))
    assert budget.unit_price == Decimal("0.1")
    budget.reserve(1, 30)
    budget.settle(1, sent(size=10, cost="3"))
    assert budget.unit_price == Decimal("0.1")
    budget.reserve(2, 10)
    assert budget.committed == 5


def test_of_several_prices_the_dearest_counts_for_what_follows() -> None:
    budget = Budget(Decimal(5), Decimal("0.9"))
    budget.settle(0, sent(cost="2"))
    assert budget.unit_price == Decimal("0.2")  # told by an answer, so better than what the user gave
    budget.settle(1, sent(cost="1"))
    budget.reserve(2, 10)
    assert budget.committed == 5


def test_a_price_told_for_a_batch_is_believed_until_an_answer_tells_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    budget = Budget(Decimal(10), Decimal("0.1"))
    budget.reserve(0, 10, Decimal(2))
    assert budget.committed == 2
    budget.settle(0, sent(cost="2"))
    budget.reserve(1, 10, Decimal(1))
    budget.settle(1, sent(cost="4"))
    assert "cost 4 where 1 was told" in caplog.text
    with pytest.raises(BudgetExceededError):
        budget.reserve(2, 11, Decimal(1))


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
            budget.settle(index, None)
        elif fate != "under way":
            budget.settle(index, sent(size, str(price * size) if fate == "cost" else None))
    assert spent <= limit
