"""How many segments batches have: the highest count until answers show which is right."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_voicepartner.exceptions import BudgetExceededError
from airflow_provider_voicepartner.sending.budget import Budget, SegmentCounts
from airflow_provider_voicepartner.sending.ledger import BatchRecord, Phase

# Three batches of ten people, counted in three ways: the most likely, one between, the highest.
READINGS = ((10, 20, 30), (12, 20, 40), (10, 10, 30))


def sent(size: int = 10, cost: str | None = None, **more: Any) -> BatchRecord:
    return BatchRecord(
        phase=Phase.SENT,
        reference="r",
        size=size,
        accepted=more.pop("accepted", size),
        cost=None if cost is None else Decimal(cost),
        **more,
    )


def segment_counts(*readings: tuple[int, ...]) -> SegmentCounts:
    return SegmentCounts((readings or READINGS).__getitem__)


def test_before_any_answer_the_highest_counts_and_the_most_likely_is_known() -> None:
    of = segment_counts()
    assert [of.most(index) for index in range(3)] == [30, 40, 30]
    assert [of.likely(index) for index in range(3)] == [10, 12, 10]


@pytest.mark.parametrize(
    ("told", "rest"),
    [
        (10, [12, 10]), (1, [12, 10]),  # of the batch, or of each
        (20, [20, 10]), (2, [20, 10]),
        (30, [40, 30]), (3, [40, 30]),
        (15, [20, 10]),  # between two: the dearer
        (60, [80, 60]), (6, [80, 60]),  # more than any: in proportion
        (31, [42, 31]),
    ],
)  # fmt: skip
def test_the_first_answer_corrects_the_rest(told: int, rest: list[int]) -> None:
    of = segment_counts()
    of.learn(0, 10, told)
    assert [of.most(1), of.most(2)] == rest
    assert [of.likely(1), of.likely(2)] == rest


def test_readings_that_say_the_same_stay_open() -> None:
    of = segment_counts((10, 10, 20), (10, 20, 30), (10, 20, 30))
    assert of.learn(0, 10, 10)
    assert (of.most(1), of.likely(1)) == (20, 10)
    assert of.learn(1, 10, 10)
    assert of.most(2) == 10
    assert not of.learn(2, 10, 10)


def test_a_later_answer_that_says_more_makes_the_rest_dearer() -> None:
    of = segment_counts((10, 20), (10, 20), (10, 20))
    of.learn(0, 10, 10)
    assert of.learn(1, 10, 20)
    assert of.most(2) == 20


@pytest.mark.parametrize(("size", "told", "rest"), [(2, 2, 4), (2, 4, 4), (2, 1, 2), (1, 2, 2), (1, 1, 1)])
def test_what_may_be_of_each_or_of_all_is_the_dearer(size: int, told: int, rest: int) -> None:
    of = segment_counts((size, 2 * size), (size, 2 * size))
    of.learn(0, size, told)
    assert of.most(1) == rest


@pytest.mark.parametrize("told", [0, -1])
def test_a_count_of_nothing_says_nothing(told: int) -> None:
    of = segment_counts()
    assert not of.learn(0, 10, told)
    assert of.most(1) == 40


def test_a_single_reading_is_the_gateways_own_rule() -> None:
    of = segment_counts((10,), (20,))
    assert not of.learn(0, 10, 20)
    assert (of.most(1), of.likely(1)) == (20, 20)


# Where a gateway's counting is not known until it answers


def counted(readings: Sequence[tuple[int, ...]], limit: str, price: str | None = "1") -> Budget:
    return Budget(
        Decimal(limit), None if price is None else Decimal(price), SegmentCounts(readings.__getitem__)
    )


def test_the_dearest_reading_is_set_aside_and_both_are_said() -> None:
    budget = counted([(10, 20)], "19")
    with pytest.raises(
        BudgetExceededError,
        match=r"20 for the next 20 SMS .* \(by the highest count .*; 10 are more likely\)",
    ):
        budget.reserve(0, budget.units_of(0, 10))
    allowed = counted([(10, 20)], "20")
    allowed.reserve(0, allowed.units_of(0, 10))
    assert allowed.committed == 20


def test_an_answer_corrects_what_is_under_way_in_doubt_and_to_come() -> None:
    budget = counted([(10, 20)] * 5, "60")
    for index in range(3):
        budget.reserve(index, budget.units_of(index, 10))
    budget.leave_in_doubt(2)
    assert (budget.committed, budget.unresolved, budget.committed_units) == (60, 20, 60)
    budget.settle(0, sent(size=10, segments=10, cost="10"))
    assert (budget.committed, budget.unresolved, budget.committed_units) == (30, 10, 30)
    assert (budget.unit_price, budget.units_of(3, 10)) == (1, 10)
    assert budget.committed_batches == {0, 1, 2}


def test_a_price_that_was_learnt_by_the_dearest_reading_is_learnt_again() -> None:
    """Else the rest would be counted at half its price, and pass the limit."""
    budget = counted([(10, 20)] * 4, "40", None)
    budget.reserve(0, 20)
    budget.settle(0, sent(size=10, cost="10"))
    assert (budget.unit_price, budget.units_of(2, 10)) == (Decimal("0.5"), 20)
    budget.reserve(1, 20)
    budget.settle(1, sent(size=10, segments=10, cost="10"))
    assert (budget.unit_price, budget.units_of(2, 10), budget.committed) == (1, 10, 20)


def test_what_was_written_off_and_what_has_no_price_is_weighed_again() -> None:
    budget = counted([(10, 20)] * 4, "100")
    budget.reserve(0, 20)
    budget.leave_in_doubt(0)
    budget.reserve(0, 20, is_resent=True)
    budget.settle(0, sent(size=10))
    assert (budget.committed, budget.unresolved) == (40, 20)
    budget.reserve(1, 20)
    budget.settle(1, sent(size=10, segments=10, cost="10"))
    assert (budget.committed, budget.unresolved) == (30, 10)


def test_an_answer_about_fewer_people_says_nothing_about_how_sms_are_counted() -> None:
    budget = counted([(10, 20)] * 2, "100")
    budget.reserve(0, 20)
    budget.settle(0, sent(size=10, accepted=5, segments=10, cost="10"))
    assert budget.units_of(1, 10) == 20
