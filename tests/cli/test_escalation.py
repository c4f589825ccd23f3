"""``incident ack|escalate|close``: what a page asks for, from a shell."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voicepartner.cli import incidents
from airflow_provider_voicepartner.cli.commands import CommandError
from airflow_provider_voicepartner.hooks.paging import Pager
from airflow_provider_voicepartner.notifications.sms import SmsNotifier
from airflow_provider_voicepartner.settings import open_store
from tests.support.escalations import POLICY, incident_row, open_incident
from tests.support.gateways import sent

CONTACTS = "".join(
    f'[people.{name}]\nphone = "061234560{place}"\n'
    for place, name in enumerate(("anne", "bruno", "chloe", "boss"), 1)
)


@pytest.fixture
def incident(sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    path = tmp_path / "contacts.toml"
    path.write_text(CONTACTS)
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CONTACTS", str(path))
    store = open_store("a test")
    number = open_incident(store)
    pager = Pager(store)
    pager.pages.start(number, POLICY)
    pager.run_due()
    store.close()
    return number


def owner(incident: int) -> Any:
    store = open_store("a test")
    row = incident_row(store, incident)
    store.close()
    return row.state, row.owner


def test_taken_passed_on_and_closed(incident: int, sandbox: Any, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = Namespace(incident=incident, who="ops")
    incidents.acknowledge(arguments)
    assert owner(incident) == ("acknowledged", "ops")
    assert sent(sandbox, "smspartner") == {"+33612345601": 2}
    incidents.acknowledge(Namespace(incident=incident, who="other"))
    incidents.escalate(arguments)
    assert sent(sandbox, "octopush") == {"+33612345602": 1, "+33612345603": 1}
    incidents.close(arguments)
    incidents.close(arguments)
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("incident")]
    assert said == [
        f"incident {incident}: ops has it",
        f"incident {incident}: ops has it already",
        f"incident {incident}: passed on",
        f"incident {incident}: closed",
        f"incident {incident}: closed already",
    ]
    assert owner(incident)[0] == "closed"


def test_one_that_pages_nobody_is_closed_by_hand_and_the_next_alert_is_told(
    incident: int, sandbox: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = {"ti": SimpleNamespace(dag_id="etl", task_id="load", run_id="r1", try_number=1, state="failed")}
    again = {"ti": SimpleNamespace(dag_id="etl", task_id="load", run_id="r2", try_number=1, state="failed")}
    SmsNotifier(to="@bruno")(failed)
    plain = Namespace(incident=incident + 1, who="ops")
    with pytest.raises(CommandError, match=f"no incident {plain.incident} that pages people"):
        incidents.acknowledge(plain)
    incidents.close(plain)
    incidents.close(plain)
    SmsNotifier(to="@bruno")(again)
    assert sent(sandbox, "smspartner")["+33612345602"] == 2
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("incident")]
    assert said == [f"incident {plain.incident}: closed", f"incident {plain.incident}: closed already"]
    with pytest.raises(CommandError, match=r"there is no incident 99$"):
        incidents.close(Namespace(incident=99, who="ops"))


@pytest.mark.parametrize("who", ["x" * 41, "a\nb"])
def test_a_name_that_cannot_be(incident: int, who: str) -> None:
    with pytest.raises(CommandError, match="--as"):
        incidents.acknowledge(Namespace(incident=incident, who=who))


def test_an_incident_that_is_not_there(incident: int) -> None:
    with pytest.raises(CommandError, match="there is no incident 99"):
        incidents.close(Namespace(incident=99, who="ops"))
