"""``question list`` and ``question answer``: what is open, and an answer from the command line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_voicepartner.__main__ import main
from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.incidents.question_model import Stage
from tests.support.escalations import Clock
from tests.support.questions import ANNA, Asker


@pytest.fixture
def asker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asker]:
    url = f"sqlite:///{tmp_path}/store.db"
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_URL", url)
    store = open_store(url)
    clock = Clock()
    yield Asker(store, clock)
    store.close()


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["airflow-provider-voicepartner", "question", *arguments])
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def test_open_questions_are_listed_without_numbers(
    asker: Asker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asker.ask(ANNA)
    assert run(monkeypatch, "list") == 0
    out = capsys.readouterr().out
    assert "release.approve" in out
    assert "code 47  open" in out
    assert '["Approve", "Reject"]' in out
    assert "1 of 1 questions wait" in out
    assert ANNA[1:] not in out


def test_an_answer_decides_once(
    asker: Asker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    question = asker.ask(ANNA)
    assert run(monkeypatch, "answer", str(question.id), "Perhaps", "--as", "zoe") == 1
    assert "its options are: 1 Approve, 2 Reject" in capsys.readouterr().err
    assert run(monkeypatch, "answer", str(question.id), "2", "--as", "zoe") == 0
    out = capsys.readouterr().out
    assert "release.approve: Reject, decided by zoe." in out
    assert "No watchdog is running" in out
    assert asker.get(question).state is Stage.DECIDED
    assert (asker.get(question).who, asker.get(question).how) == ("zoe", "cli")
    assert run(monkeypatch, "answer", str(question.id), "1", "--as", "yves") == 1
    assert "zoe decided Reject" in capsys.readouterr().err
    assert run(monkeypatch, "answer", "99", "1") == 1
    assert "there is no question 99" in capsys.readouterr().err


def test_what_is_over_is_listed_too(
    asker: Asker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    question = asker.ask(ANNA)
    asker.says(ANNA, "1")
    asker.questions.delivered(asker.get(question))
    assert run(monkeypatch, "list") == 0
    out = capsys.readouterr().out
    assert "delivered" in out
    assert "0 of 1 questions wait" in out
