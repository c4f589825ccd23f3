"""How many segments batches have: the highest count until answers show which is right."""

from __future__ import annotations

import pytest

from airflow_provider_voicepartner.sending.budget import SegmentCounts

# Three batches of ten people, in three readings: the likeliest, one between, the dearest.
READINGS = ((10, 20, 30), (12, 20, 40), (10, 10, 30))


def segment_counts(*readings: tuple[int, ...]) -> SegmentCounts:
    return SegmentCounts((readings or READINGS).__getitem__)


def test_before_any_answer_the_dearest_counts_and_the_likeliest_is_known() -> None:
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
