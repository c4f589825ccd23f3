"""The words of an alert that nobody wrote: they name what failed, and come out of any context at all."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from enum import StrEnum
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voicepartner.gateways.gsm import BASIC, EXTENSION, count_segments
from airflow_provider_voicepartner.incidents.titles import readable
from airflow_provider_voicepartner.notifications.message import default_text, spoken_text
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


def late(begun: str | None) -> dict[str, Any]:
    """Return a run in the words of Airflow's REST API, as a deadline's context has it."""
    return {
        "dag_id": "sales", "dag_run_id": "r1", "queued_at": "2031-05-06T08:55:00Z",
        "start_date": begun and f"2031-05-06T{begun}:00Z", "state": "running" if begun else "queued",
    }  # fmt: skip


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
        "Airflow: sales.load succeeded, run manual__2031-05-06",
    ),
    "a task in Airflow 2's words": ({"task_instance": ti()}, "Airflow: sales.load failed, run r1"),
    "a Dag": (
        {"dag_run": RUN, "reason": "task_failure", "ti": ti()},
        "Airflow: DAG sales failed in load, run manual__2031-05-06",
    ),
    "a Dag without a task": (
        {"dag": SimpleNamespace(dag_id="sales"), "run_id": "r1", "reason": "timed_out"},
        "Airflow: DAG sales failed, run r1: timed out",
    ),
    "a deadline": (
        {
            "dag_run": {"dag_id": "sales", "run_id": "r1"},
            "deadline": {"id": "x", "deadline_time": datetime(2031, 5, 6, 12, tzinfo=UTC)},
        },
        "Airflow: sales missed its deadline of 2031-05-06 12:00 UTC, run r1",
    ),
    "a deadline as Airflow 3.3 tells it": (
        {"dag_run": late("11:30"), "deadline": {"id": "x", "deadline_time": "2031-05-06T12:00:00Z"}},
        "Airflow: sales missed its deadline of 2031-05-06 12:00 UTC, running for 30 min, run r1",
    ),
    "a deadline of a run that was not begun": (
        {"dag_run": late(None), "deadline": {"id": "x", "deadline_time": "2031-05-06T12:00:00Z"}},
        "Airflow: sales missed its deadline of 2031-05-06 12:00 UTC, queued for 3 h 5 min, run r1",
    ),
    "a deadline of a run that began after it": (
        {"dag_run": late("12:05"), "deadline": {"id": "x", "deadline_time": "2031-05-06T12:00:00Z"}},
        "Airflow: sales missed its deadline of 2031-05-06 12:00 UTC, queued for 3 h 5 min, run r1",
    ),
    "a deadline just after the run began": (
        {"dag_run": {**late("11:59"), "start_date": "2031-05-06T11:59:59.900Z"},
         "deadline": {"deadline_time": "2031-05-06T12:00:00Z"}},
        "Airflow: sales missed its deadline of 2031-05-06 12:00 UTC, running for 1 s, run r1",
    ),
    "a deadline of a run that has ended": (
        {"dag_run": {**late("11:30"), "state": "failed"}, "deadline": {"deadline_time": "2031-05-06T12:00:00Z"}},
        "Airflow: sales missed its deadline of 2031-05-06 12:00 UTC, run r1",
    ),
    "a deadline with times that are none": (
        {"dag_run": {**late("11:30"), "start_date": "noon"}, "deadline": {"deadline_time": "soon"}},
        "Airflow: sales missed its deadline of soon, run r1",
    ),
    "a deadline without its time": ({"dag_run": {"dag_id": "sales"}, "deadline": {}},
        "Airflow: sales missed its deadline"),
    "nothing": ({}, "Airflow: a DAG needs attention"),
    "lines and blanks": (
        {"ti": ti(), "exception": ValueError("one\n\n  two\t three")},
        "Airflow: sales.load failed, run r1: ValueError: one",
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


NAMES = ["task", "dag_run", "ti", "task_instance", "dag", "run_id", "reason", "exception", "deadline"]
INNER = [
    "dag_id", "run_id", "task_id", "state", "try_number", "map_index", "deadline_time", "value", "log_url",
    "max_tries", "subject", "options", "generate_link_to_ui", "generate_link_to_ui_from_context", "get_task_states",
    "get_task_instances",
]  # fmt: skip
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
    for language in ("en", "fr"):
        text = default_text(context, language)
        assert text.startswith("Airflow: ")
        assert "\n" not in text
        assert count_segments(text).segments <= (3 if " asks" in text or " demande" in text else 1)
        assert set(text) <= BASIC | EXTENSION
        assert len(spoken_text(context, language)) <= 300


@CALM
@given(VALUES)
def test_not_even_what_is_no_context(context: Any) -> None:
    assert default_text(context).startswith("Airflow: ")


# What is left out where room is short

LOG = "https://airflow.example.com/dags/sales/runs/r1/tasks/load"
LONG = "word " * 100


def failure(error: str = "no rows", **more: Any) -> dict[str, Any]:
    return {"ti": ti(log_url=f"{LOG}?try_number=2", **more), "exception": ValueError(error)}


def test_the_link_to_the_log_ends_the_text() -> None:
    assert default_text(failure(try_number=2, max_tries=2)) == (
        f"Airflow: sales.load failed (try 2 of 3), run r1: ValueError: no rows {LOG}"
    )


def test_first_the_run_goes_then_the_end_of_the_error() -> None:
    text = default_text(failure(LONG))
    assert text.startswith("Airflow: sales.load failed: ValueError: word word ")
    assert text.endswith(f"... {LOG}")
    assert count_segments(text).segments == 1
    assert count_segments(text + "x" * 4).segments == 2


@pytest.mark.parametrize("length", range(1, 160, 7))
@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("segments", [1, 2])
def test_the_link_is_whole_or_missing(length: int, language: str, segments: int) -> None:
    link = "https://a.example/" + "x" * length
    text = default_text(
        {"ti": ti(log_url=link), "exception": ValueError(LONG * 3)}, language, segments=segments
    )
    assert count_segments(text).segments == segments
    assert text.endswith(link) or "https" not in text
    assert "ValueError: word wor" in text


@pytest.mark.parametrize(
    "link",
    [
        "http://localhost:8080/dags/x",
        "http://127.0.0.1/x",
        "http://[::1]/x",
        "no link",
        "http://a b",
        "https://ê",
    ],
)
def test_a_link_that_no_phone_opens_is_left_out(link: str) -> None:
    text = default_text({"ti": ti(log_url=link), "exception": ValueError("no rows")})
    assert text == "Airflow: sales.load failed, run r1: ValueError: no rows"


def test_a_name_that_is_too_long_is_cut() -> None:
    text = default_text({"ti": ti(task_id="x" * 250), "exception": ValueError("no rows")})
    assert count_segments(text).segments == 1
    assert text.endswith("...")


@pytest.mark.airflow3
def test_a_deadline_has_a_link_to_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.com/")
    context = {
        "dag_run": {"dag_id": "sales", "run_id": "r+1"},
        "deadline": {"deadline_time": "2031-05-06T12:00:00Z"},
    }
    assert default_text(context) == (
        "Airflow: sales missed its deadline of 2031-05-06 12:00 UTC, run r+1 "
        "https://airflow.example.com/dags/sales/runs/r%2B1"
    )


# Which tasks made a DAG fail


def test_a_dags_failure_names_all_failing_tasks_as_airflow_3_tells_them() -> None:
    def states(dag_id: str, run_ids: list[str]) -> dict[str, dict[str, str]]:
        assert (dag_id, run_ids) == ("sales", ["r1"])
        return {"r1": {"load": "failed", "ok": "success", "after": "upstream_failed", "check_3": "failed"}}

    context = {"ti": ti(state=None, get_task_states=states), "reason": "task_failure"}
    assert default_text(context) == "Airflow: DAG sales failed in check_3, load, run r1"


def test_a_dags_failure_names_all_failing_tasks_as_airflow_2_tells_them() -> None:
    failed = [SimpleNamespace(task_id=f"t{number}") for number in range(8)]
    run = SimpleNamespace(dag_id="sales", run_id="r1", get_task_instances=lambda state: failed)
    text = default_text({"dag_run": run, "reason": "task_failure", "ti": ti(state="success")})
    assert text == "Airflow: DAG sales failed in t0, t1, t2, t3, t4, +3, run r1"


def test_it_does_not_wait_long_for_the_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_voicepartner.notifications.event.ALERT_QUESTION_TIMEOUT", 0.05)
    never = threading.Event()
    context = {"ti": ti(get_task_states=lambda **_: never.wait(5)), "reason": "task_failure"}
    assert default_text(context) == "Airflow: DAG sales failed in load, run r1"
    never.set()


class RuntimeTaskInstance(SimpleNamespace):
    """What Airflow 3's DAG processor gives for a task that was killed: there is no state in it."""


ALL: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "failed": (
        {"ti": ti(task_id="daily_load", map_index=7, try_number=2, max_tries=2), "exception": KeyError("a_b")},
        "Airflow: sales.daily_load[7] a échoué (essai 2 sur 3), run r1: KeyError: 'a_b'",
        "Airflow. Task daily load of DAG sales, number 7, failed, try 2 of 3. Key Error: 'a b'.",
        "Airflow. La tâche daily load du DAG sales, numéro 7, a échoué, essai 2 sur 3. Key Error: 'a b'.",
    ),
    "retried": (
        {"ti": ti(state=State.RETRY, max_tries=2), "exception": ValueError("x")},
        "Airflow: sales.load a échoué, nouvel essai prévu (essai 1 sur 3), run r1: ValueError: x",
        "Airflow. Task load of DAG sales failed, will be retried, try 1 of 3. Value Error: x.",
        "Airflow. La tâche load du DAG sales a échoué, nouvel essai prévu, essai 1 sur 3. Value Error: x.",
    ),
    "killed or ended by a trigger": (
        {"ti": RuntimeTaskInstance(**vars(ti(state=None)))},
        "Airflow: sales.load a échoué sans erreur : tuée, ou terminée par un trigger, run r1",
        "Airflow. Task load of DAG sales failed without an error: killed, or ended by a trigger.",
        "Airflow. La tâche load du DAG sales a échoué sans erreur : tuée, ou terminée par un trigger.",
    ),
    "skipped": (
        {"ti": ti(state="skipped")},
        "Airflow: sales.load a été ignorée, run r1",
        "Airflow. Task load of DAG sales skipped.",
        "Airflow. La tâche load du DAG sales a été ignorée.",
    ),
    "succeeded": (
        {"ti": ti(state="success")},
        "Airflow: sales.load a réussi, run r1",
        "Airflow. Task load of DAG sales succeeded.",
        "Airflow. La tâche load du DAG sales a réussi.",
    ),
    "running": (
        {"ti": ti(state="running")},
        "Airflow: sales.load running, run r1",
        "Airflow. Task load of DAG sales running.",
        "Airflow. La tâche load du DAG sales running.",
    ),
    "a DAG failed": (
        {"ti": ti(task_id="daily_load"), "reason": "task_failure"},
        "Airflow: le DAG sales a échoué : daily_load, run r1",
        "Airflow. DAG sales failed in daily load.",
        "Airflow. Le DAG sales a échoué : daily load.",
    ),
    "a DAG succeeded": (
        {"ti": ti(state="success"), "reason": "success"},
        "Airflow: le DAG sales a réussi, run r1",
        "Airflow. DAG sales succeeded.",
        "Airflow. Le DAG sales a réussi.",
    ),
    "deadline of a run that is late": (
        {"dag_run": late("11:00"), "deadline": {"deadline_time": "2031-05-06T12:00:00+00:00"}},
        "Airflow: sales a dépassé son échéance du 2031-05-06 12:00 UTC, en cours depuis 60 min, run r1",
        "Airflow. DAG sales missed its deadline of 6 May at 12:00 UTC, running for 60 minutes.",
        "Airflow. Le DAG sales a dépassé son échéance du 6 mai à 12:00 UTC, en cours depuis 60 minutes.",
    ),
    "deadline": (
        {"dag_run": {"dag_id": "daily-sales"}, "deadline": {"deadline_time": "2031-05-06T12:00:00+00:00"}},
        "Airflow: daily-sales a dépassé son échéance du 2031-05-06 12:00 UTC",
        "Airflow. DAG daily sales missed its deadline of 6 May at 12:00 UTC.",
        "Airflow. Le DAG daily sales a dépassé son échéance du 6 mai à 12:00 UTC.",
    ),
}  # fmt: skip


@pytest.mark.airflow3
def test_a_killed_task_is_told_by_what_airflow_3_makes_in_its_dag_processor() -> None:
    runner = pytest.importorskip("airflow.sdk.execution_time.task_runner")
    made = runner.RuntimeTaskInstance.model_construct(
        dag_id="sales", task_id="load", run_id="r1", try_number=1, map_index=-1, task=None, max_tries=2
    )
    assert default_text({"ti": made}) == (
        "Airflow: sales.load failed without an error: killed, or ended by a trigger (try 1 of 3), run r1"
    )
    assert default_text({"ti": made, "reason": "task_failure"}) == "Airflow: DAG sales failed in load, run r1"


@pytest.mark.parametrize("case", ALL)
def test_each_context_has_french_words_and_sentences_to_be_heard(case: str) -> None:
    context, french, spoken, spoken_french = ALL[case]
    assert default_text(context, "fr-FR") == french
    assert spoken_text(context) == f"{spoken} I repeat. {spoken}"
    assert spoken_text(context, "fr") == f"{spoken_french} Je répète. {spoken_french}"


@pytest.mark.parametrize(
    ("due", "time_zone", "written", "spoken"),
    [
        ("2031-05-06T12:00:00Z", "Europe/Paris", "2031-05-06 14:00", "6 May at 14:00"),
        ("2031-12-06T12:00:00Z", "Europe/Paris", "2031-12-06 13:00", "6 December at 13:00"),
        ("2031-12-31T23:30:00Z", "Asia/Tokyo", "2032-01-01 08:30", "1 January at 08:30"),
        ("2031-05-06T14:00:00+02:00", None, "2031-05-06 12:00 UTC", "6 May at 12:00 UTC"),
        ("2031-05-06T12:00:00Z", "Mars/Olympus", "2031-05-06 12:00 UTC", "6 May at 12:00 UTC"),
        ("9999-12-31T23:59:00Z", "Asia/Tokyo", "9999-12-31 23:59 UTC", "9999-12-31 23:59 UTC"),
    ],
)
def test_a_deadline_is_told_by_the_clock_of_those_who_are_told(
    due: str, time_zone: str | None, written: str, spoken: str
) -> None:
    context = {"dag_run": {"dag_id": "sales"}, "deadline": {"deadline_time": due}}
    text = default_text(context, time_zone=time_zone)
    assert text == f"Airflow: sales missed its deadline of {written}"
    once = f"Airflow. DAG sales missed its deadline of {spoken}."
    assert spoken_text(context, time_zone=time_zone) == f"{once} I repeat. {once}"


def test_what_is_spoken_stays_short_and_is_said_twice_whole() -> None:
    text = spoken_text({"ti": ti(), "exception": ValueError(LONG)})
    first, _, second = text.partition(" I repeat. ")
    assert first == second
    assert first.endswith("word.")
    assert 250 < len(text) <= 300


@pytest.mark.parametrize(
    ("identifier", "spoken"),
    [
        ("daily_load", "daily load"), ("daily-load.v2", "daily load v2"), ("DailyLoad", "Daily Load"),
        ("ETL_job", "ETL job"),
        ("group.task_1", "group task 1"), ("took 1.5 s", "took 1.5 s"), ("", ""), ("__x__", "x"),
    ],
)  # fmt: skip
def test_identifiers_are_readable(identifier: str, spoken: str) -> None:
    assert readable(identifier) == spoken
