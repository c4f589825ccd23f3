"""The watchdog's texts: short enough, in plain letters, and whole sentences when they are spoken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voicepartner.constants import LONGEST_SPOKEN
from airflow_provider_voicepartner.gateways.gsm import count_segments
from airflow_provider_voicepartner.watchdog.airflow_api import FailedRun, ImportProblem
from airflow_provider_voicepartner.watchdog.findings import (
    Kind,
    Links,
    Recovery,
    broken_file,
    failed_dag,
    missing_run,
    silent_parts,
)
from airflow_provider_voicepartner.watchdog.messages import (
    of_finding,
    of_many,
    of_recoveries,
    of_title,
    sms,
    spoken,
    words_of,
)

LINKS = Links("https://airflow.example.org", "v2")


def failed(*tasks: str, dag_id: str = "etl", run_id: str = "run1"):  # type: ignore[no-untyped-def]
    return failed_dag(FailedRun(dag_id=dag_id, run_id=run_id), tasks, LINKS)


def test_a_link_that_a_phone_cannot_open_is_left_out() -> None:
    assert Links("http://localhost:8080", "v2").run("a", "b") == ""
    assert Links("", "v2").home() == ""
    assert (
        Links("https://a.example", "v1").run("a b", "c/d")
        == "https://a.example/dags/a%20b/grid?dag_run_id=c%2Fd"
    )


def test_many_tasks_are_counted_and_a_long_link_is_left_out() -> None:
    tasks = [f"a_task_with_a_name_{number}" for number in range(40)]
    text = sms(of_finding(failed(*tasks)), "en", is_repeat=False)
    assert "a_task_with_a_name_4 +35" in text
    text = sms(of_finding(failed("load", run_id="r" * 300)), "fr", is_repeat=True)
    assert text == "Doublon possible : Airflow (watchdog) : le DAG etl a échoué : load"


def test_parts_have_names_in_each_language() -> None:
    finding = silent_parts([("metadatabase", ""), ("dag_processor", "")], "", LINKS)
    assert "base de données, DAG processor" in sms(of_finding(finding), "fr", is_repeat=False)
    assert spoken(of_finding(finding), "en", is_repeat=True).startswith("This may be a repeat. Airflow.")


@pytest.mark.parametrize(
    ("needs_success", "english", "french"),
    [
        (False, "no run of DAG sales by 10:00", "pas de run du DAG sales à 10:00"),
        (True, "no successful run of DAG sales by 10:00", "pas de run réussi du DAG sales à 10:00"),
    ],
)
def test_a_run_that_came_and_failed_is_not_said_to_be_missing(
    needs_success: bool, english: str, french: str
) -> None:
    due = "2031-05-06T10:00:00Z"
    finding = missing_run("sales", "10:00", due, "k", needs_success=needs_success, link="")
    message = of_finding(finding)
    assert (message.english, message.french) == (english, french)
    assert finding.alerts[0].title == english
    over = of_recoveries([Recovery(kind=finding.kind, key="k", names=("sales",))])
    assert over.english == f"all clear, DAG sales has {'succeeded' if needs_success else 'run'}"


def test_what_is_said_of_an_incident_later_is_in_french_too() -> None:
    finding = silent_parts([("scheduler", ""), ("dag_processor", "")], "", LINKS)
    words = [words_of(finding, alert) for alert in finding.alerts]
    assert [one.french for one in words] == [
        "plus de signe de vie : scheduler",
        "plus de signe de vie : DAG processor",
    ]
    assert words[1].spoken_french == "Airflow. Plus de signe de vie : DAG processor."
    finding = failed("daily_load", dag_id="sales")
    words = [words_of(finding, finding.alerts[0])]
    assert words[0].spoken == "Airflow. DAG sales failed: daily load."
    message = of_title(finding.alerts[0].title, words[0], 3, "")
    assert message.french == "le DAG sales a échoué : daily_load, et 3 autres alertes"
    assert finding.kind is Kind.DAG_FAILED


@given(
    st.lists(st.text(), min_size=1, max_size=8),
    st.integers(0, 10_000),
    st.sampled_from(["en", "fr"]),
    st.booleans(),
)
def test_any_names_make_a_text_that_gateways_take(
    names: list[str], more: int, language: str, is_repeat: bool
) -> None:
    file = ImportProblem(file=names[0], error=names[-1])
    findings = [failed(*names, dag_id=names[0]), broken_file(file, names, "", LINKS)]
    messages = [
        *(of_finding(one, more) for one in findings),
        of_many(findings, more),
        of_title(names[0], words_of(findings[0], findings[0].alerts[0]), more, "x"),
    ]
    for message in messages:
        text = sms(message, language, is_repeat=is_repeat)  # type: ignore[arg-type]
        assert count_segments(text).segments <= 2
        assert count_segments(text).encoding == count_segments("a").encoding
        assert not set("{}\n") & set(text)
        said = spoken(message, language, is_repeat=is_repeat)  # type: ignore[arg-type]
        assert len(said) <= LONGEST_SPOKEN + 60
        assert not set("{}") & set(said)
