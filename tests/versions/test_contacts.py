"""Names in a DAG, on each Airflow: an operator and a failing task reach people, and no number is left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.versions.conftest import Airflow

pytestmark = pytest.mark.timeout(900)
ANNE, BRUNO = "+33613572461", "+33613572462"
CONTACTS = f"""
[people.anne]
phone = "{ANNE}"

[people.bruno]
phone = "{BRUNO}"

[groups.data-team]
members = ["anne", "bruno"]

[rotas.oncall]
members = ["bruno"]
hand_over = "09:00"
start = 2026-01-05
"""


@pytest.mark.slow
def test_an_operator_and_a_failing_task_reach_people_by_name(
    airflow: Airflow, airflow_home: Path, sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "contacts.toml"
    path.write_text(CONTACTS, encoding="utf-8")
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CONTACTS", str(path))
    said = airflow("dags", "test", "on_call", "2026-04-01")
    assert dict(sandbox.world.tallies["smspartner"].numbers) == {ANNE: 1, BRUNO: 2}, said
    assert "@data-team is anne, bruno" in said
    assert "@oncall is bruno" in said
    kept = [said.encode(), *(path.read_bytes() for path in files_of(airflow_home))]
    assert any(b"@data-team" in text for text in kept[1:])
    assert [secret for secret in (ANNE, BRUNO) if any(secret[3:].encode() in text for text in kept)] == []


def files_of(home: Path) -> list[Path]:
    """Return everything that Airflow keeps: its database, its logs, its copies of DAGs."""
    return [path for path in home.rglob("*") if path.is_file()]
