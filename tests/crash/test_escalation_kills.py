"""SIGKILL at drawn moments of an escalation: nobody is paged twice for one step, and no step is lost."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest

from airflow_provider_voicepartner.contacts.policy import By, Policy, Step
from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.hooks.page_sending import hook_of_way
from airflow_provider_voicepartner.hooks.paging import Pager
from tests.support.escalations import incident_row, open_incident, page_rows
from tests.support.gateways import sent

PEOPLE = ("anne", "bruno", "chloe", "boss")
NUMBERS = {name: f"+3361234560{place}" for place, name in enumerate(PEOPLE, 1)}
CONTACTS = 'last_resort = "boss"\n' + "".join(
    f'[people.{name}]\nphone = "{number}"\n' for name, number in NUMBERS.items()
)
# Far shorter than any user may write: an escalation of a second.
POLICY = Policy(
    name="night",
    steps=tuple(Step((name,), By.SMS, 0.25) for name in PEOPLE[:3]),
    sms="smspartner_default",
)
MOST_KILLS = 40


def run_until_killed(url: str) -> int:
    """Start a runner in a process of its own; return its id."""
    process = os.fork()
    if process:
        return process
    try:  # pragma: no cover - in the child
        pager = Pager(open_store(url))
        while True:
            pager.run_due()
            time.sleep(0.01)
    finally:
        os._exit(1)


def is_over(store: Any, incident: int) -> bool:
    row = incident_row(store, incident)
    return row.escalation is not None and row.due_at is None


def trial(sandbox: Any, url: str, draw: Random) -> tuple[int, list[Any], dict[str, int]]:
    """Kill runners of one escalation until it is over; return how often, its pages, and what arrived."""
    before = sent(sandbox, "smspartner")
    store = open_store(url)
    incident = open_incident(store)
    pager = Pager(store)
    # What is imported and read once, so that the runners die over their work.
    assert pager.numbers(PEOPLE)
    hook_of_way("smspartner_default", By.SMS).close()
    pager.pages.start(incident, POLICY)
    kills = 0
    while not is_over(store, incident):
        process = run_until_killed(url)
        # Half of them die amid a request, the others wherever they are.
        time.sleep(draw.uniform(0.0, 0.5) if kills < MOST_KILLS else 5.0)
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        kills += 1
    pages = page_rows(store, incident)
    store.close()
    after = sent(sandbox, "smspartner")
    return (
        kills,
        pages,
        {name: after.get(number, 0) - before.get(number, 0) for name, number in NUMBERS.items()},
    )


def check(pages: list[Any], arrived: dict[str, int]) -> None:
    places = [(row.round, row.step, row.person) for row in pages]
    # No step is lost, none is done twice, and each is in its order.
    assert places == [(0, step, name) for step, name in enumerate(PEOPLE)]
    for row in pages:
        assert arrived[row.person] <= 1
        if row.phase == "sent":
            assert arrived[row.person] == 1
        if row.phase == "not_sent":
            assert arrived[row.person] == 0


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    path = tmp_path / "contacts.toml"
    path.write_text(CONTACTS)
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CONTACTS", str(path))
    return f"sqlite:///{tmp_path / 'store.db'}"


def kill(sandbox: Any, url: str, trials: int, seed: int) -> tuple[int, int]:
    draw, kills, doubts = Random(seed), 0, 0
    for _ in range(trials):
        count, pages, arrived = trial(sandbox, url, draw)
        check(pages, arrived)
        kills += count
        doubts += sum(row.phase == "claimed" for row in pages)
    return kills, doubts


def test_a_few_kills(sandbox: Any, url: str) -> None:
    kills, _ = kill(sandbox, url, trials=2, seed=1)
    assert kills >= 2


@pytest.mark.slow
def test_kills_at_fifty_moments_and_more(sandbox: Any, url: str) -> None:
    kills, doubts = kill(sandbox, url, trials=25, seed=2)
    assert kills >= 50
    # Some died between a claim and its result, or nothing was tried.
    assert doubts > 0
