"""What is told after a look, and what is not: each look as a watchdog would make it, with a clock of the test."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voicepartner.incidents.model import Happened, Occurrence
from airflow_provider_voicepartner.watchdog.airflow_api import ImportProblem
from airflow_provider_voicepartner.watchdog.checks import check, unsettled
from airflow_provider_voicepartner.watchdog.config import WatchdogConfig
from airflow_provider_voicepartner.watchdog.findings import Finding, Kind, of_run, of_task
from airflow_provider_voicepartner.watchdog.observing import observe
from airflow_provider_voicepartner.watchdog.rest import ApiRefusedError, ApiSilentError
from airflow_provider_voicepartner.watchdog.state import Seen, WatchState
from tests.support.tasks import CALM
from tests.support.watched import START, Clock, WatchedAirflow, configured


class Watch:
    """A watchdog without people and store."""

    def __init__(self, config: WatchdogConfig | None = None, *, looks: bool = True) -> None:
        self.config = config or configured()
        self.clock = Clock()
        self.airflow = WatchedAirflow(self.clock)
        self.state = WatchState()
        self.known: set[Occurrence] = set()
        self.recovered: list[tuple[Kind, tuple[str, ...]]] = []
        self.beats: dict[str, str] = {}
        self.is_store_down = False
        self.late_by: float | None = 0.0
        if looks:
            assert self.look() == []

    def look(self, after: float = 10.0) -> list[Finding]:
        """Look after some seconds; return what is told."""
        self.clock.advance(after)
        seen = observe(self.airflow, self.config, self.state, self.clock.now)
        asked = unsettled(self.state, seen, self.config)
        checked = check(
            self.state,
            seen,
            self.known.intersection(asked),
            self.config,
            beats=self.beats,
            is_store_down=self.is_store_down,
            late_by=self.late_by,
        )
        # As it comes back from the store.
        self.state = WatchState.from_json(checked.state.to_json())
        assert self.state == checked.state
        self.recovered = [(one.kind, one.names) for one in checked.recoveries]
        return checked.findings

    def looks(self, seconds: float) -> list[Finding]:
        """Look every 10 seconds for so long."""
        return [finding for _ in range(int(seconds // 10)) for finding in self.look()]


def names(findings: list[Finding]) -> list[tuple[str, ...]]:
    return [(finding.kind.name, *finding.names) for finding in findings]


def test_a_failed_run_is_told_once_with_its_tasks() -> None:
    watch = Watch()
    for index in range(3):
        watch.airflow.fail_task("load", map_index=index)
    watch.airflow.fail_task("check")
    watch.airflow.fail_run()
    assert watch.look() == []  # its callback may be at work
    findings = watch.looks(1200)
    assert names(findings) == [("DAG_FAILED", "etl", "load", "check")]
    (alert,) = findings[0].alerts
    assert alert.occurrence == Occurrence(
        dag_id="etl", run_id="run1", what="failure", moment="2026-11-30T08:00:00Z"
    )
    assert alert.link == "https://airflow.example.org/dags/etl/runs/run1"


def test_a_failure_is_told_within_grace_and_two_looks() -> None:
    watch = Watch()
    watch.airflow.fail_run()
    begun = watch.clock.now
    while not watch.look():
        pass
    assert watch.clock.now - begun <= watch.config.times.grace + 2 * watch.config.times.interval


@pytest.mark.parametrize("by", ["dag", "dag without a start", "tasks", "tasks without a try"])
def test_what_a_callback_told_is_not_told_again(by: str) -> None:
    watch = Watch()
    tasks = [watch.airflow.fail_task("load"), watch.airflow.fail_task("check", map_index=3)]
    run = watch.airflow.fail_run()
    if by == "dag":
        watch.known.add(of_run(run))
    elif by == "dag without a start":
        watch.known.add(replace(of_run(run), moment=""))
    else:
        tries = {"tasks": 1, "tasks without a try": 0}[by]
        watch.known.update(replace(of_task(task), try_number=tries) for task in tasks)
    assert watch.looks(1200) == []


def test_a_task_that_no_callback_told_makes_its_run_told() -> None:
    watch = Watch()
    watch.known.add(of_task(watch.airflow.fail_task("load")))
    watch.airflow.fail_task("check")
    watch.airflow.fail_run()
    # what nobody knows comes first
    assert names(watch.looks(60)) == [("DAG_FAILED", "etl", "check", "load")]


def test_a_retry_or_another_run_that_was_told_is_not_this_failure() -> None:
    watch = Watch()
    task = watch.airflow.fail_task(try_number=2)
    run = watch.airflow.fail_run()
    watch.known = {
        replace(of_task(task), what=Happened.RETRY.value),
        replace(of_task(task), try_number=1),
        replace(of_task(task), run_id="run0"),
        replace(of_run(run), moment="2026-11-29T08:00:00Z"),
    }
    assert len(watch.looks(60)) == 1


def test_a_killed_task_is_told_while_its_run_goes_on_and_the_run_is_not_told_then() -> None:
    watch = Watch()
    watch.airflow.fail_task("load")
    watch.airflow.fail_task("load", map_index=1)
    watch.airflow.fail_task("check")
    (finding,) = watch.looks(60)
    assert names([finding]) == [("TASKS_FAILED", "etl", "load", "check")]
    assert [alert.occurrence.task_id for alert in finding.alerts] == ["load", "check"]
    watch.airflow.fail_run()
    assert watch.looks(1200) == []


def test_a_task_of_the_same_run_that_fails_later_is_told() -> None:
    watch = Watch()
    watch.airflow.fail_task("load")
    assert len(watch.looks(60)) == 1
    watch.airflow.fail_task("check")
    assert names(watch.looks(60)) == [("TASKS_FAILED", "etl", "check")]
    watch.airflow.fail_task("export")
    watch.airflow.fail_run()
    assert names(watch.looks(60)) == [("DAG_FAILED", "etl", "export", "load", "check")]


def test_a_task_that_is_cleared_within_the_grace_is_not_told() -> None:
    watch = Watch()
    watch.airflow.fail_task()
    assert watch.look(1) == []
    watch.airflow.tasks.clear()
    assert watch.looks(60) == []


def test_a_cleared_run_that_fails_again_is_told_again() -> None:
    watch = Watch()
    watch.airflow.fail_run()
    assert len(watch.looks(60)) == 1
    watch.airflow.runs = [
        replace(watch.airflow.runs[0], began_at="2026-11-30T09:00:00Z", ended_at=watch.clock.now)
    ]
    assert len(watch.looks(60)) == 1


def test_what_failed_before_the_first_look_is_no_news() -> None:
    watch = Watch(looks=False)
    watch.airflow.fail_task()
    watch.airflow.fail_run()
    assert watch.looks(1200) == []


def test_a_watchdog_that_was_away_tells_what_failed_meanwhile_and_not_what_is_older_than_a_day() -> None:
    watch = Watch()
    watch.airflow.fail_run(run_id="long ago")
    watch.clock.advance(2 * 86_400)
    watch.airflow.fail_run(run_id="today")
    watch.clock.advance(7_200)
    findings = watch.looks(60)
    assert [finding.alerts[0].occurrence.run_id for finding in findings] == ["today"]


def test_an_api_that_was_down_makes_nothing_be_missed() -> None:
    watch = Watch()
    watch.airflow.error = ApiSilentError("no answer")
    watch.look()
    watch.airflow.fail_run()
    watch.looks(3_600)
    watch.airflow.error = None
    assert ("DAG_FAILED", "etl") in names(watch.looks(60))


def test_dags_that_are_not_watched() -> None:
    watch = Watch(configured("[dags]\nexclude = ['etl*']\n"))
    watch.airflow.fail_task()
    watch.airflow.fail_run()
    watch.airflow.dags["etl.py"] = ["etl"]
    watch.airflow.files = [ImportProblem(file="etl.py")]
    assert watch.looks(60) == []


# Airflow's parts


@pytest.mark.parametrize("part", ["scheduler", "triggerer", "dag_processor", "metadatabase"])
def test_a_silent_part_is_told_once_within_a_minute_and_so_is_its_return(part: str) -> None:
    watch = Watch()
    watch.airflow.kill(part)
    assert names(watch.looks(60)) == [("SILENT", part)]
    assert watch.looks(600) == []
    watch.airflow.revive(part)
    assert watch.look() == []
    assert watch.recovered == [(Kind.SILENT, (part,))]
    watch.look()
    assert watch.recovered == []
    watch.airflow.kill(part)
    assert names(watch.looks(60)) == [("SILENT", part)]


def test_two_outages_are_two_occurrences_of_one_incident() -> None:
    watch, alerts = Watch(), []
    for _ in range(2):
        watch.airflow.kill("scheduler")
        alerts += [alert for finding in watch.looks(60) for alert in finding.alerts]
        watch.airflow.revive("scheduler")
        watch.looks(60)
    assert alerts[0].key == alerts[1].key
    assert alerts[0].occurrence != alerts[1].occurrence


def test_a_restart_is_no_news() -> None:
    watch = Watch()
    watch.airflow.kill("scheduler")
    assert watch.looks(20) == []
    watch.airflow.revive("scheduler")
    watch.looks(10)
    assert watch.recovered == []


def test_parts_that_die_together_are_told_together_and_without_a_database_nothing_else_is_told() -> None:
    watch = Watch()
    for part in ("scheduler", "triggerer"):
        watch.airflow.kill(part)
    assert names(watch.looks(60)) == [("SILENT", "scheduler", "triggerer")]
    watch = Watch()
    for part in ("metadatabase", "scheduler", "triggerer", "dag_processor"):
        watch.airflow.kill(part)
    assert names(watch.looks(60)) == [("SILENT", "metadatabase")]


def test_a_part_that_there_is_not_is_not_missed() -> None:
    watch = Watch()
    watch.airflow.none = {"triggerer", "dag_processor"}
    assert watch.looks(600) == []


def test_a_part_that_was_never_alive_is_told() -> None:
    watch = Watch(looks=False)
    watch.airflow.dead["scheduler"] = ""
    assert names(watch.looks(60)) == [("SILENT", "scheduler")]


@pytest.mark.parametrize(
    ("error", "kind"),
    [(ApiSilentError("Airflow's API does not answer"), "SILENT"),
     (ApiRefusedError("Airflow's API answers 401", status=401), "REFUSED")],
)  # fmt: skip
def test_an_api_that_does_not_answer(error: ApiSilentError, kind: str) -> None:
    watch = Watch()
    watch.airflow.error = error
    (finding,) = watch.looks(600)
    assert finding.kind.name == kind
    watch.airflow.error = None
    watch.look()
    assert watch.recovered == [(Kind.SILENT, ("api",))]


def test_a_scheduler_is_not_silent_because_nobody_could_ask() -> None:
    watch = Watch()
    watch.airflow.error = ApiSilentError("down")
    watch.looks(600)
    watch.airflow.error = None
    assert watch.looks(60) == []


# Files


def broken(watch: Watch, file: str = "etl.py") -> None:
    watch.airflow.files = [
        ImportProblem(file=file, since="2026-11-30T09:00:00Z", error="ImportError: pandas")
    ]


def test_a_file_that_used_to_work_is_told_and_so_is_its_repair() -> None:
    watch = Watch()
    watch.airflow.dags["etl.py"] = ["etl", "etl2"]
    broken(watch)
    assert names(watch.looks(60)) == [("IMPORT_ERROR", "etl.py", "ImportError: pandas", "etl", "etl2")]
    assert watch.looks(600) == []
    watch.airflow.files = []
    watch.look()
    assert watch.recovered == [(Kind.IMPORT_ERROR, ("etl.py",))]
    broken(watch)
    assert len(watch.looks(60)) == 1


def test_a_file_that_is_being_copied_or_never_worked_or_was_broken_before_is_not_told() -> None:
    watch = Watch()
    watch.airflow.dags["etl.py"] = ["etl"]
    broken(watch)
    watch.look()
    watch.airflow.files = []
    assert watch.looks(60) == []
    broken(watch, "new.py")
    assert watch.looks(60) == []
    watch = Watch(looks=False)
    watch.airflow.dags["etl.py"] = ["etl"]
    broken(watch)
    assert watch.looks(60) == []


# Runs by a time

EXPECT = "[[expect]]\ndag_id = 'daily'\nby = '10:00'\ntime_zone = 'Europe/Paris'\n"


def at_nine(text: str = EXPECT) -> Watch:
    watch = Watch(configured(text), looks=False)
    watch.clock.now = datetime(2026, 11, 30, 8, 0, tzinfo=UTC).timestamp()  # 9:00 in Paris
    assert watch.look(0) == []
    return watch


def test_a_run_that_did_not_come_is_told_when_it_was_due_and_again_when_it_comes() -> None:
    watch = at_nine()
    assert watch.looks(3_590) == []
    (finding,) = watch.looks(3_600)
    assert names([finding]) == [("NO_RUN", "daily", "10:00")]
    assert finding.alerts[0].occurrence.moment == "2026-11-30T09:00:00Z"
    watch.airflow.ran.add("daily")
    watch.look()
    assert watch.recovered == [(Kind.NO_RUN, ("daily",))]
    assert watch.looks(60) == []


def test_a_run_that_came_is_no_news_and_the_next_day_counts_anew() -> None:
    watch = at_nine()
    watch.airflow.ran.add("daily")
    assert watch.look(4_000) == []
    watch.airflow.ran.clear()
    assert watch.looks(3_600) == []
    watch.clock.advance(86_400)
    assert len(watch.looks(60)) == 1
    watch.clock.advance(86_400)
    assert len(watch.looks(60)) == 1  # nor did it come the next day


def test_while_nobody_can_be_asked_a_run_is_not_missing() -> None:
    watch = at_nine()
    watch.airflow.error = ApiSilentError("down")
    assert "NO_RUN" not in [finding.kind.name for finding in watch.looks(7_200)]
    watch.airflow.error = None
    watch.airflow.ran.add("daily")
    assert watch.looks(60) == []


def test_an_expectation_that_is_taken_out_of_the_file_is_forgotten() -> None:
    watch = at_nine()
    assert len(watch.looks(4_000)) == 1
    watch.config = configured()
    watch.airflow.ran.add("daily")
    watch.look()
    assert (watch.state.missing, watch.state.expected, watch.recovered) == ({}, {}, [])


# Others


def test_another_watchdog_that_is_silent() -> None:
    watch = Watch(configured("[heartbeat]\npeers = ['lyon']\n"))
    for beat in range(20):
        watch.beats = {"lyon": f"{beat}"}
        assert watch.look() == []
    assert names(watch.looks(300)) == [("PEER_SILENT", "lyon")]
    watch.beats = {"lyon": "x"}
    watch.look()
    assert watch.recovered == [(Kind.PEER_SILENT, ("lyon",))]


def test_another_watchdog_that_never_lived() -> None:
    watch = Watch(configured("[heartbeat]\npeers = ['lyon']\n"))
    assert names(watch.looks(300)) == [("PEER_SILENT", "lyon")]


def test_a_store_that_is_down() -> None:
    watch = Watch()
    watch.is_store_down = True
    assert names(watch.looks(300)) == [("STORE_DOWN",)]
    watch.is_store_down = False
    watch.look()
    assert watch.recovered == [(Kind.STORE_DOWN, ())]


@pytest.mark.parametrize(
    ("late_by", "is_told"), [(0.0, False), (59.0, False), (60.0, True), (9e6, True), (None, False)]
)
def test_pages_that_are_late(late_by: float | None, is_told: bool) -> None:
    watch = Watch()
    watch.late_by = late_by
    assert names(watch.looks(300)) == ([("PAGES_LATE",)] if is_told else [])
    watch.late_by = None  # the store does not say
    assert names(watch.looks(60)) == []
    assert watch.recovered == []
    watch.late_by = 1.0
    watch.look()
    assert watch.recovered == ([(Kind.PAGES_LATE, ())] if is_told else [])


def test_a_page_that_is_late_for_a_moment_is_nobodys_business() -> None:
    watch = Watch()
    for late_by in (61.0, 71.0, 0.0) * 5:
        watch.late_by = late_by
        assert watch.look() == []


# Everything


@given(st.lists(st.tuples(st.sampled_from("trkslafe"), st.integers(1, 40)), max_size=30))
@CALM
def test_nothing_is_told_twice_and_every_failure_is_told(steps: list[tuple[str, int]]) -> None:
    watch = Watch()
    told: list[Finding] = []
    for number, (step, seconds) in enumerate(steps):
        if step == "t":
            watch.airflow.fail_task(f"task{number}", run_id=f"run{number % 3}")
        elif step == "r" and not any(run.run_id == f"run{number % 3}" for run in watch.airflow.runs):
            watch.airflow.fail_run(run_id=f"run{number % 3}")
        elif step == "k" and "scheduler" not in watch.airflow.dead:
            watch.airflow.kill("scheduler")
        elif step == "l" and "scheduler" in watch.airflow.dead:
            watch.airflow.revive("scheduler")
        elif step == "a":
            watch.airflow.error = ApiSilentError("down") if watch.airflow.error is None else None
        told += watch.look(seconds)
    watch.airflow.error = None
    told += watch.looks(120)
    occurrences = [alert.occurrence for finding in told for alert in finding.alerts]
    assert len(set(occurrences)) == len(occurrences)
    for task in watch.airflow.tasks:
        assert any(
            finding.alerts[0].occurrence.run_id == task.run_id
            and (task.task_id in finding.names or finding.kind is Kind.DAG_FAILED)
            for finding in told
        )
    for run in watch.airflow.runs:
        assert any(finding.alerts[0].occurrence.run_id == run.run_id for finding in told)


# What is remembered


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_any_text_is_read_as_a_state(text: str) -> None:
    WatchState.from_json(text)
    WatchState.from_json(f'{{"looked_at": {text}}}')


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(_JSON, _JSON, _JSON)
def test_any_json_is_read_as_a_state(parts: object, done: object, looked_at: object) -> None:
    import json

    state = WatchState.from_json(json.dumps({"parts": parts, "done": {"x": done}, "looked_at": looked_at}))
    assert WatchState.from_json(state.to_json()) == state


def test_a_state_comes_back_as_it_was() -> None:
    state = WatchState(
        looked_at=START, waiting={"a": 1.5}, done={"b": 2.0}, parts={"scheduler": Seen("x", 3.0, True)}
    )
    assert WatchState.from_json(state.to_json()) == state
