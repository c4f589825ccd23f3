"""Silences keep people from being told, for what they match and as long as they last."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.incidents.model import Outcome
from airflow_provider_voicepartner.incidents.silences import Silences, read_matchers
from airflow_provider_voicepartner.incidents.store import IncidentStore
from tests.incidents.conftest import Clock
from tests.support.alerts import failure


@pytest.fixture
def silences(store: Store) -> Silences:
    """Return the store's silences."""
    return Silences(store)


def test_a_silence_holds_from_its_beginning_to_its_end(
    silences: Silences, incidents: IncidentStore, clock: Clock
) -> None:
    silence = silences.add({"dag_id": "et*"}, begins_at=clock.now + 60, seconds=600, comment="upgrade")
    outcomes = []
    for seconds in (0, 60, 599, 1):
        clock.advance(seconds)
        decision = incidents.report(failure(f"task{clock.now}"))
        outcomes.append(decision.outcome)
        if decision.outcome is Outcome.SILENCED:
            assert decision.by == f"silence {silence.id} (dag_id=et*)"
    assert outcomes == [Outcome.CLAIMED, Outcome.SILENCED, Outcome.SILENCED, Outcome.CLAIMED]


def test_what_was_silenced_is_not_told_afterwards(
    silences: Silences, incidents: IncidentStore, clock: Clock
) -> None:
    silences.add({"dag_id": "etl"}, seconds=600)
    incidents.report(failure())
    clock.advance(3_600)
    assert incidents.due_messages() == []
    assert incidents.find() == []
    assert incidents.known([failure().occurrence])


@pytest.mark.parametrize(
    ("matchers", "is_silenced"),
    [
        ({"dag_id": "etl", "task_id": "load"}, True),
        ({"dag_id": "etl", "task_id": "extract"}, False),
        ({"dag_id": "ETL"}, False),
        ({"what": "failure"}, True),
        ({"what": "retry"}, False),
        ({"key": "*task_id=load"}, True),
        ({"run_id": "run[12]"}, True),
        ({"run_id": "run?x"}, False),
    ],
)
def test_all_matchers_must_match(
    silences: Silences, incidents: IncidentStore, matchers: dict[str, str], is_silenced: bool
) -> None:
    silences.add(matchers, seconds=600)
    assert (incidents.report(failure()).outcome is Outcome.SILENCED) == is_silenced


def test_a_silence_is_ended_once(silences: Silences, incidents: IncidentStore) -> None:
    silence = silences.add({"dag_id": "etl"}, seconds=600, author="anne")
    assert silences.find() == [silence]
    assert silences.end(silence.id)
    assert not silences.end(silence.id)
    assert not silences.end(4711)
    assert silences.find() == []
    assert [one.id for one in silences.find(ended=True)] == [silence.id]
    assert incidents.report(failure()).outcome is Outcome.CLAIMED


def test_one_that_somebody_changed_by_hand_silences_nothing(
    silences: Silences, incidents: IncidentStore, store: Store
) -> None:
    for text in ("[", "[]", "{}", '{"dag_id": 3}', '{"nonsense": "*"}'):
        silence = silences.add({"dag_id": "etl"}, seconds=600)
        with store.write() as connection:
            connection.exec_driver_sql(
                f"UPDATE voicepartner_silence SET matchers = '{text}' WHERE id = {silence.id}"
            )
    assert incidents.report(failure()).outcome is Outcome.CLAIMED


@pytest.mark.parametrize(
    "given",
    [
        [],
        ["dag_id"],
        ["dag=etl"],
        ["dag_id="],
        ["=etl"],
        ["dag_id=a", "dag_id=b"],
        ["dag_id=" + "x" * 251],
        ["dag_id=\x00"],
    ],
)
def test_a_matcher_that_says_nothing_is_refused(given: list[str]) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^match: "):
        read_matchers(given)


@given(st.lists(st.text()))
def test_no_text_breaks_the_reading_of_matchers(given: list[str]) -> None:
    try:
        matchers = read_matchers(given)
    except InvalidArgumentError:
        return
    assert read_matchers([f"{name}={pattern}" for name, pattern in matchers.items()]) == matchers


@pytest.mark.parametrize("seconds", [0, -1, 91 * 86_400, float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(silences: Silences, seconds: float) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^for: "):
        silences.add({"dag_id": "etl"}, seconds=seconds)


def test_a_silence_that_is_over_before_it_begins_is_refused(silences: Silences, clock: Clock) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^from: "):
        silences.add({"dag_id": "etl"}, begins_at=clock.now - 60, seconds=60)
