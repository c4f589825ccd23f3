"""``example_dags/on_call.py`` under real Airflow: a failure pages, a DAG goes on with the steps, a reply ends it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.settings import open_store
from airflow_provider_voicepartner.triggers.page import PageTrigger
from tests.support.escalations import answer_rows, incident_row, let_it_be_due, page_rows
from tests.support.gateways import outcome
from tests.support.receiver import SECRET, RunningReceiver, running_receiver

pytestmark = pytest.mark.airflow3

ANNE, BRUNO = "+33612345601", "+33612345602"
CONTACTS = """
[people.anne]
phone = "0612345601"
[people.bruno]
phone = "0612345602"
[policies.night]
steps = [
  { who = "@anne", by = "sms", wait = "5m" },
  { who = "@bruno", by = "sms", wait = "5m" },
]
acknowledged_for = "never"
sms = "smspartner_default"
"""


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningReceiver]:
    """Run the receiver that the sandbox calls."""
    with running_receiver(f"sqlite:///{tmp_path / 'store.db'}") as receiver:
        monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CALLBACK_SECRET", SECRET)
        monkeypatch.setenv("AIRFLOW__VOICEPARTNER__PUBLIC_URL", receiver.url)
        yield receiver


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the 5 minutes of the first wait pass at once; note with what each wait of the escalation ended."""
    ended: list[str] = []
    run = PageTrigger.run

    async def noting(self: PageTrigger) -> Any:
        if not ended:
            assert self.until > time.time() + 60
            await asyncio.to_thread(_let_it_be_due)
            self.until = time.time() + 0.1
        async for event in run(self):
            ended.append(event.payload["status"])
            yield event

    monkeypatch.setattr(PageTrigger, "run", noting)
    return ended


def _let_it_be_due() -> None:
    with closing(open_store("a test")) as store:
        let_it_be_due(store)


def test_a_failure_pages_the_next_step_follows_and_a_reply_ends_it(
    run_dag: Callable[..., Any],
    ticking: Any,
    office: RunningReceiver,
    waits: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    contacts = tmp_path / "people.toml"
    contacts.write_text(CONTACTS)
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CONTACTS", str(contacts))
    outcome(ticking, ANNE, "delivered", after=10.0)
    outcome(ticking, BRUNO, "delivered", reply="1 je prends", after=100.0)

    failed = run_dag("nightly_load")
    assert failed.state == "failed"
    with closing(open_store("a test")) as store:
        assert [(row.person, row.phase) for row in page_rows(store)] == [("anne", "sent")]

    onward = run_dag("on_call")
    assert onward.tasks == {"page": "success"}
    assert (waits[0], waits[-1]) == ("due", "answered")
    with closing(open_store("a test")) as store:
        row = incident_row(store, 1)
        assert (row.state, row.owner, row.due_at) == ("acknowledged", "bruno", None)
        pages = [(one.purpose, one.person, one.phase) for one in page_rows(store)]
        assert pages == [
            ("page", "anne", "sent"), ("page", "bruno", "sent"), ("owned", "anne", "sent"), ("answer", "bruno", "sent"),
        ]  # fmt: skip
        assert [(one.channel, one.person) for one in answer_rows(store)] == [("sms", "bruno")]
    assert not any(number[-8:] in text for number in (ANNE, BRUNO) for text in (failed.log, onward.log))
    assert not any(
        number[-8:] in json.dumps(one.xcoms, default=str)
        for number in (ANNE, BRUNO)
        for one in (failed, onward)
    )
