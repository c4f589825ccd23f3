"""A storm of failures in many processes: one message, one with the count, and never none."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.hooks.incidents import incident_store
from airflow_provider_voicepartner.notifications.sms import SmsNotifier
from tests.support.gateways import last_body, sent
from tests.support.storm import NUMBER, context

PROCESSES = 8
FAILURES = [64, pytest.param(500, marks=pytest.mark.slow)]


def storm(failures: int) -> None:
    """Let so many tasks fail in eight processes."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.storm", str(PROCESSES), str(failures)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).resolve().parents[2],
    )
    took = json.loads(done.stdout.splitlines()[-1])
    assert len(took) == failures, done.stderr[-2000:]
    assert NUMBER[3:] not in done.stdout + done.stderr


@pytest.mark.parametrize("failures", FAILURES)
def test_one_message_goes_out_and_the_next_says_how_many_there_were(
    sandbox: Any, failures: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident_store()  # makes the tables
    storm(failures)
    assert sent(sandbox, "smspartner") == {NUMBER: 1}
    (incident,) = incident_store().find()
    assert (incident.alerts, incident.untold) == (failures, failures - 1)
    store = incident_store()._store
    now = store._clock
    assert now is not None
    monkeypatch.setattr(store, "_clock", lambda: now() + 901)
    SmsNotifier(to=NUMBER)(context(failures))
    assert sent(sandbox, "smspartner") == {NUMBER: 2}
    assert f" failed and {failures - 1} more" in str(last_body(sandbox))


@pytest.mark.slow  # on a machine that does other work too, a process may wait too long for its first connection
@pytest.mark.parametrize("failures", FAILURES)
def test_one_message_goes_out_where_each_process_has_to_connect_to_a_server_first(
    sandbox: Any, failures: int, monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_URL", postgres_url)
    incident_store()  # makes the tables
    storm(failures)
    assert sent(sandbox, "smspartner") == {NUMBER: 1}
    (incident,) = incident_store().find()
    assert (incident.alerts, incident.untold) == (failures, failures - 1)


@pytest.mark.parametrize("failures", FAILURES)
def test_with_the_store_dead_each_process_tells_once_at_most_and_somebody_does(
    sandbox: Any, failures: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "dead.db").mkdir()
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_URL", f"sqlite:///{tmp_path / 'dead.db'}")
    storm(failures)
    assert 1 <= sent(sandbox, "smspartner")[NUMBER] <= PROCESSES
