"""What is read ahead comes in order, and what goes wrong comes in its slot."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_voicepartner.sending.campaign_spec import ReadAhead


def broken(read: list[int]) -> Iterator[int]:
    for number in range(3):
        read.append(number)
        yield number
    raise OSError("gone")


def test_some_are_ready_before_they_are_needed() -> None:
    read: list[int] = []
    items = ReadAhead(broken(read), 2)
    assert [items.read_one() for _ in range(4)] == [True, True, False, False]
    assert read == [0, 1]
    assert next(items) == 0
    assert items.read_one()
    assert read == [0, 1, 2]


@pytest.mark.parametrize("ahead", [0, 1, 9])
def test_what_goes_wrong_is_raised_in_its_turn(ahead: int) -> None:
    items = ReadAhead(broken([]), 9)
    for expected in range(3):
        for _ in range(ahead):
            items.read_one()
        assert next(items) == expected
    with pytest.raises(OSError, match="gone"):
        next(items)
    assert list(items) == []


def test_nothing_is_read_behind_the_end() -> None:
    items = ReadAhead(iter("ab"), 9)
    assert [items.read_one() for _ in range(4)] == [True, True, False, False]
    assert list(items) == ["a", "b"]


def test_what_stops_the_process_is_not_kept() -> None:
    def stopped() -> Iterator[int]:
        raise KeyboardInterrupt
        yield 0

    with pytest.raises(KeyboardInterrupt):
        ReadAhead(stopped(), 1).read_one()
