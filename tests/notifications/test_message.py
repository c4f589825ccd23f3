"""The words of an alert that nobody wrote: they name what failed, and come out of any context at all."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voicepartner.notifications.message import default_text
from tests.support.tasks import CALM


class State(StrEnum):
    FAILED = "failed"
    RETRY = "up_for_retry"
    SUCCESS = "success"


def ti(**more: Any) -> SimpleNamespace:
    known = {
        "dag_id": "sales",
        "task_id": "load",
        "run_id": "r1",
        "try_number": 1,
        "map_index": -1,
        "state": State.FAILED,
    }
    return SimpleNamespace(**{**known, **more})


RUN = SimpleNamespace(dag_id="sales", run_id="manual__2031-05-06", state=State.FAILED)
CONTEXTS: dict[str, tuple[dict[str, Any], str]] = {
    "a task that failed": (
        {"ti": ti(), "dag_run": RUN, "exception": ValueError("no rows")},
        "Airflow: sales.load failed, run manual__2031-05-06: ValueError: no rows",
    ),
    "after the third try": (
        {"ti": ti(try_number=3), "dag_run": RUN, "exception": ValueError("no rows")},
        "Airflow: sales.load failed (try 3), run manual__2031-05-06: ValueError: no rows",
    ),
    "a task that will be retried": (
        {"ti": ti(state=State.RETRY), "dag_run": RUN, "exception": KeyError()},
        "Airflow: sales.load failed, will be retried, run manual__2031-05-06: KeyError",
    ),
    "a mapped task": (
        {"ti": ti(map_index=7), "dag_run": RUN, "exception": "killed"},
        "Airflow: sales.load[7] failed, run manual__2031-05-06: killed",
    ),
    "a task that succeeded": (
        {"ti": ti(state=State.SUCCESS), "dag_run": RUN},
        "Airflow: sales.load success, run manual__2031-05-06",
    ),
    "a task in Airflow 2's words": ({"task_instance": ti()}, "Airflow: sales.load failed, run r1"),
    "a Dag": (
        {"dag_run": RUN, "reason": "task_failure", "ti": ti()},
        "Airflow: DAG sales failed, run manual__2031-05-06: task failure",
    ),
    "a Dag without a task": (
        {"dag": SimpleNamespace(dag_id="sales"), "run_id": "r1", "reason": "timed_out"},
        "Airflow: DAG sales needs attention, run r1: timed out",
    ),
    "a deadline": (
        {
            "dag_run": {"dag_id": "sales", "run_id": "r1"},
            "deadline": {"id": "x", "deadline_time": datetime(2031, 5, 6, 12, tzinfo=UTC)},
        },
        "Airflow: sales missed its deadline of 2031-05-06 12:00:00+00:00, run r1",
    ),
    "a deadline without its time": ({"dag_run": {"dag_id": "sales"}, "deadline": {}},
        "Airflow: sales missed its deadline"),
    "nothing": ({}, "Airflow: a DAG needs attention"),
    "lines and blanks": (
        {"ti": ti(), "exception": ValueError("one\n\n  two\t three")},
        "Airflow: sales.load failed, run r1: ValueError: one two three",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CONTEXTS)
def test_each_context_is_told_in_one_line(case: str) -> None:
    context, text = CONTEXTS[case]
    assert default_text(context) == text


def test_secrets_that_airflow_knows_are_taken_out_of_the_error() -> None:
    from airflow_provider_voicepartner.compat import mask_secret

    mask_secret("planted-secret-0815")
    text = default_text({"ti": ti(), "exception": ValueError("cannot log in with planted-secret-0815")})
    assert "planted-secret-0815" not in text
    assert "cannot log in with" in text


class Hostile:
    """An object of which nothing can be asked: a lazy or detached one of a database."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("detached")

    def __bool__(self) -> bool:
        raise RuntimeError("detached")

    def __str__(self) -> str:
        raise RuntimeError("detached")

    __repr__ = __str__


class HostileError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("detached")


class HostileMapping(dict[str, Any]):
    def get(self, *args: Any) -> Any:
        raise RuntimeError("detached")


NAMES = ["dag_run", "ti", "task_instance", "dag", "run_id", "reason", "exception", "deadline"]
INNER = ["dag_id", "run_id", "task_id", "state", "try_number", "map_index", "deadline_time", "value"]
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.builds(Hostile)
    | st.builds(HostileError)
    | st.builds(ValueError, st.text())
    | st.just(Hostile)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.dictionaries(st.sampled_from(INNER), inner)
        | st.dictionaries(st.sampled_from(INNER), inner).map(lambda names: SimpleNamespace(**names))
        | st.dictionaries(st.sampled_from(INNER), inner).map(HostileMapping)
    ),
    max_leaves=12,
)


@CALM
@given(st.dictionaries(st.sampled_from(NAMES), VALUES))
def test_no_context_makes_it_fail(context: dict[str, Any]) -> None:
    text = default_text(context)
    assert text.startswith("Airflow: ")
    assert "\n" not in text


@CALM
@given(VALUES)
def test_not_even_what_is_no_context(context: Any) -> None:
    assert default_text(context).startswith("Airflow: ")
