"""``silence`` and ``incident``, ``db purge`` and ``person`` of incidents, as somebody runs them."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from airflow_provider_voicepartner.__main__ import main
from airflow_provider_voicepartner.hooks.incidents import incident_store
from airflow_provider_voicepartner.incidents.model import Outcome, State
from airflow_provider_voicepartner.settings import open_store
from tests.support.alerts import ANNE, PLAIN, failure

NUMBER = PLAIN.phone_number


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command; return what it printed."""
    main(list(arguments))
    return capsys.readouterr().out


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that fails; return its one line."""
    with pytest.raises(SystemExit):
        main(list(arguments))
    return capsys.readouterr().err


def test_a_silence_is_added_listed_and_ended(capsys: pytest.CaptureFixture[str]) -> None:
    added = run(capsys, "silence", "add", "--match", "dag_id=et*", "--for", "2h", "--comment", "upgrade")
    assert added.startswith("Silence 1 lasts from ")
    assert incident_store().report(failure()).outcome is Outcome.SILENCED
    (line,) = run(capsys, "silence", "list").splitlines()
    assert line.startswith("1  ")
    assert "dag_id=et*" in line
    assert line.endswith(": upgrade")
    assert run(capsys, "silence", "end", "1") == "Silence 1 has ended.\n"
    assert run(capsys, "silence", "list") == "There is no silence.\n"
    assert "dag_id=et*" in run(capsys, "silence", "list", "--ended")
    assert incident_store().report(failure()).outcome is Outcome.CLAIMED


def test_a_silence_may_begin_later(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "silence", "add", "--match", "dag_id=*", "--for", "1d", "--from", "2099-01-01T00:00+01:00")
    assert "2098-12-31T23:00:00" in run(capsys, "silence", "list")
    assert incident_store().report(failure()).outcome is Outcome.CLAIMED


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--match", "dag=x", "--for", "2h"], "error: match: "),
        (["--match", "dag_id=x", "--for", "2 hours"], "error: --for "),
        (["--match", "dag_id=x", "--for", "52w"], "error: for: "),
        (["--match", "dag_id=x", "--for", "2h", "--from", "22:00"], "error: --from: "),
        (["--match", "dag_id=x", "--for", "2h", "--from", "2001-01-01T00:00Z"], "error: from: "),
        (["--match", "dag_id=x", "--for", "2h", "--comment", "x" * 251], "error: comment: "),
    ],
)
def test_a_silence_that_is_none_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    said = fails(capsys, "silence", "add", *arguments)
    assert said.startswith(says)
    assert len(said.splitlines()) == 1
    assert "no silence 7" in fails(capsys, "silence", "end", "7")


def test_incidents_are_listed_and_shown_without_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "incident", "list") == "There is no open incident.\n"
    incidents = incident_store()
    incidents.told(incidents.report(failure()), [ANNE, PLAIN])
    incidents.report(failure(index=1))
    listed, shown = run(capsys, "incident", "list"), run(capsys, "incident", "show", "1")
    assert listed.startswith("1  open  ")
    assert listed.endswith("2 alerts  etl.load failure\n")
    assert "told: anne by sms through smspartner_default" in shown
    assert "told: +336••••••78 by sms" in shown
    assert "alerts that nobody was told of yet: 1" in shown
    assert NUMBER[3:] not in listed + shown
    incidents.close(failure().key)
    assert run(capsys, "incident", "list") == "There is no open incident.\n"
    assert "closed" in run(capsys, "incident", "list", "--closed")
    assert "there is no incident 9" in fails(capsys, "incident", "show", "9")


def test_a_purge_deletes_closed_incidents_and_open_ones_that_nobody_reports_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    incidents = incident_store()
    for task in ("closed", "quiet", "fresh"):
        incidents.told(incidents.report(failure(task)), [PLAIN])
    incidents.report(failure("paged", policy="night"))
    incidents.close(failure("closed").key)
    run(capsys, "silence", "add", "--match", "task_id=nothing", "--for", "1s", "--from", "2099-01-01T00:00Z")
    with closing(open_store("a test")) as store, store.write() as connection:
        old = "id IN (SELECT incident FROM voicepartner_incident_alert WHERE task_id <> 'fresh')"
        connection.exec_driver_sql(f"UPDATE voicepartner_incident SET changed_at = 1 WHERE {old}")
        connection.exec_driver_sql("UPDATE voicepartner_silence SET ends_at = 1")
    would = run(capsys, "db", "purge", "--older-than", "30d", "--dry-run")
    done = run(capsys, "db", "purge", "--older-than", "30d")
    for counted in (
        "2 incidents",
        "2 alerts of incidents",
        "2 counts of incidents",
        "2 people told",
        "1 silences",
    ):
        assert counted in would
        assert counted in done
    assert sorted(one.task_id for one in incidents.find(list(State))) == ["fresh", "paged"]
    assert incidents.report(failure("fresh")).outcome is Outcome.COUNTED


def test_a_person_is_shown_and_forgotten(capsys: pytest.CaptureFixture[str]) -> None:
    incidents = incident_store()
    incidents.told(incidents.report(failure()), [PLAIN, ANNE])
    (told,) = json.loads(run(capsys, "person", "show", NUMBER))["told_of_incidents"]
    assert (told["incident"], told["phone_number"]) == (1, NUMBER)
    assert "1 told incidents" in run(capsys, "person", "forget", NUMBER, "--dry-run")
    assert "1 told incidents" in run(capsys, "person", "forget", NUMBER)
    assert json.loads(run(capsys, "person", "show", NUMBER))["told_of_incidents"] == []
    assert incidents.told_of(1) == (ANNE,)
