"""Which alerts belong together, and how ``at_most`` is written."""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.incidents.keys import (
    at_most_text,
    fit,
    incident_key,
    moment_of,
    parse_at_most,
    read_group_by,
)
from airflow_provider_voicepartner.incidents.model import AtMost, Happened, Occurrence


@pytest.mark.parametrize(
    ("text", "messages", "seconds"),
    [("1/15m", 1, 900), ("3/1h", 3, 3_600), (" 2 / d ", 2, 86_400), ("100/7d", 100, 604_800), ("1/1S", 1, 1)],
)
def test_at_most_says_how_many_messages_in_which_time(text: str, messages: int, seconds: float) -> None:
    assert parse_at_most(text) == AtMost(messages=messages, seconds=seconds)


def test_none_holds_nothing_back() -> None:
    assert parse_at_most(None) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0/1h",
        "1/0m",
        "101/1h",
        "1/8d",
        "1",
        "1/15",
        "1/15min",
        "-1/1h",
        "1.5/h",
        "1/15m x",
        3,
        True,
        [],
        "١/1h",
    ],
)
def test_anything_else_fails_and_names_the_argument(text: object) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^at_most: is .*'1/15m'"):
        parse_at_most(text)


@given(st.integers(1, 100), st.integers(1, 604_800))
def test_what_the_store_holds_is_read_back(messages: int, seconds: int) -> None:
    known = AtMost(messages=messages, seconds=float(seconds))
    assert parse_at_most(at_most_text(known)) == known


@given(st.text())
def test_no_text_breaks_the_reading(text: str) -> None:
    with contextlib.suppress(InvalidArgumentError):
        assert parse_at_most(text) is not None


def test_alerts_of_one_task_belong_together_whatever_run_they_are_of() -> None:
    first = Occurrence(dag_id="etl", task_id="load", run_id="1", map_index=3, what=Happened.FAILURE)
    other = Occurrence(dag_id="etl", task_id="load", run_id="2", try_number=2, what=Happened.FAILURE)
    assert incident_key(first) == incident_key(other) == "failure dag_id=etl task_id=load"


@pytest.mark.parametrize("dedup_key", [None, "warehouse"])
def test_a_retry_never_joins_the_incident_of_a_failure(dedup_key: str | None) -> None:
    failed = Occurrence(dag_id="etl", task_id="load", what=Happened.FAILURE)
    retried = Occurrence(dag_id="etl", task_id="load", what=Happened.RETRY)
    assert incident_key(failed, dedup_key=dedup_key) != incident_key(retried, dedup_key=dedup_key)


def test_a_failure_and_a_missed_deadline_with_the_same_dedup_key_are_one() -> None:
    failed = Occurrence(dag_id="etl", task_id="load", what=Happened.FAILURE)
    late = Occurrence(dag_id="etl", what=Happened.DEADLINE)
    assert incident_key(failed, dedup_key="etl") == incident_key(late, dedup_key="etl") == "etl"
    assert incident_key(failed) != incident_key(late)


def test_group_by_chooses_what_tells_incidents_apart() -> None:
    happened = Occurrence(dag_id="etl", task_id="load", run_id="r", map_index=0, what=Happened.FAILURE)
    assert incident_key(happened, group_by=read_group_by("dag_id")) == "failure dag_id=etl"
    assert (
        incident_key(happened, group_by=read_group_by(["map_index", "run_id"]))
        == "failure run_id=r map_index=0"
    )
    assert incident_key(happened, group_by=read_group_by([])) == "failure"
    assert read_group_by(None) == ("dag_id", "task_id")


@pytest.mark.parametrize("value", [["dag"], "owner", 3, b"dag_id", [None], [["dag_id"]]])
def test_an_unknown_field_fails_and_names_the_argument(value: object) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^group_by: "):
        read_group_by(value)


@given(st.text(), st.text())
def test_keys_fit_their_column_and_stay_different(one: str, other: str) -> None:
    long, longer = fit("x" * 300 + one), fit("x" * 300 + other)
    assert len(long.encode()) <= 250
    assert "\x00" not in fit(one)
    assert (long == longer) == (one == other)
    assert (fit(one) == fit(other)) == (one == other)


def test_a_moment_is_the_same_from_airflows_object_and_from_its_api() -> None:
    moment = datetime(2031, 5, 6, 14, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    assert moment_of(moment) == moment_of("2031-05-06T12:00:00.123456Z") == "2031-05-06T12:00:00Z"
    assert moment_of(None) == moment_of("soon") == moment_of(datetime(2031, 5, 6)) == moment_of(7) == ""
