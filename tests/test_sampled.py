"""Of a sampled test, so many cases are run by ``make test``, always the same; the rest are slow."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CASES_ON_AIRFLOW_2, PROJECT, part_sampled


@dataclass
class Case:
    nodeid: str
    cases: int | None
    markers: list[Any] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return PROJECT / self.nodeid.split("::")[0]

    def get_closest_marker(self, name: str) -> Any:
        return pytest.mark.sampled(self.cases).mark if name == "sampled" and self.cases else None

    def add_marker(self, marker: Any) -> None:
        self.markers.append(marker.name)


def drawn(cases: list[Any], *, is_airflow_2: bool = False) -> set[str]:
    part_sampled(cases, is_airflow_2=is_airflow_2)
    assert {name for case in cases for name in case.markers} <= {"slow"}
    return {case.nodeid for case in cases if not case.markers}


@pytest.mark.parametrize(("cases", "kept"), [(1, 1), (3, 3), (12, 12), (40, 12)])
def test_so_many_cases_are_drawn(cases: int, kept: int) -> None:
    assert len(drawn([Case(f"test_a.py::test[{at}]", cases) for at in range(12)])) == kept


def test_the_same_ones_are_drawn_whatever_the_order_and_other_tests() -> None:
    some = [Case(f"test_a.py::test[{at}]", 3) for at in range(12)]
    again = [Case(f"test_a.py::test[{at}]", 3) for at in reversed(range(12))]
    others = [Case(f"test_a.py::test_other[{at}]", 2) for at in range(5)]
    assert drawn(some) == {name for name in drawn([*others, *again]) if "::test[" in name}
    assert len([case for case in others if not case.markers]) == 2


def test_what_is_not_sampled_stays() -> None:
    assert len(drawn([Case(f"test_a.py::test[{at}]", None) for at in range(12)])) == 12


@pytest.mark.parametrize(
    ("file", "cases", "kept"),
    [
        ("tests/test_a.py", None, CASES_ON_AIRFLOW_2),
        ("tests/test_a.py", 9, 9),
        ("tests/versions/test_a.py", None, 12),
    ],
)
def test_on_airflow_2_a_few_cases_of_each_test_are_drawn(file: str, cases: int | None, kept: int) -> None:
    all_cases = [Case(f"{file}::test[{at}]", cases) for at in range(12)]
    assert len(drawn(all_cases, is_airflow_2=True)) == kept
