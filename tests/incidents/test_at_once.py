"""Several senders at once, in threads and processes, and one that is killed between its claim and its word."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.incidents.model import Outcome, Success
from airflow_provider_voicepartner.incidents.store import IncidentStore
from tests.incidents.conftest import Clock
from tests.support.alerts import ANNE, failure

PROJECT = Path(__file__).resolve().parents[2]
SENDERS = 6

CLAIM = """
import sys, time
from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.incidents.store import IncidentStore
from tests.support.alerts import failure
decision = IncidentStore(open_store(sys.argv[1], clock=lambda: float(sys.argv[2]))).report(failure(index=0))
print(decision.outcome.value, flush=True)
time.sleep(600)
"""


def at_once(work: Callable[[int], object]) -> list[BaseException]:
    """Run something in several threads that begin together; return what went wrong."""
    begin, problems = threading.Barrier(SENDERS), list[BaseException]()

    def run(number: int) -> None:
        begin.wait()
        try:
            work(number)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return problems


def test_of_many_senders_one_claims_and_each_alert_counts_once(url: str, clock: Clock) -> None:
    stores = [open_store(url, clock=clock) for _ in range(SENDERS)]
    outcomes: list[Outcome] = []

    def report(number: int) -> None:
        incidents = IncidentStore(stores[number])
        # Each alert is reported by two of them.
        outcomes.extend(incidents.report(failure(index=index // 2)).outcome for index in range(number, 12, 3))

    assert at_once(report) == []
    assert Counter(outcomes)[Outcome.CLAIMED] == 1
    (incident,) = IncidentStore(stores[0]).find()
    assert (incident.alerts, incident.untold) == (6, 5)
    for store in stores:
        store.close()


def test_failures_and_successes_at_once_end_and_say_all_clear_once(url: str, clock: Clock) -> None:
    stores = [open_store(url, clock=clock) for _ in range(SENDERS)]
    cleared: list[int] = []

    def work(number: int) -> None:
        incidents = IncidentStore(stores[number])
        for turn in range(8):
            decision = incidents.report(failure(f"task{turn % 3}", index=number, tries=turn + 1))
            if decision.outcome is Outcome.CLAIMED:
                incidents.told(decision, [ANNE])
            incidents.report(failure("", run=f"run{turn}"))
            found = incidents.resolve(Success(dag_id="etl", run_id="run1"))
            cleared.extend(one.incident.id for one in found)

    assert at_once(work) == []
    assert len(cleared) == len(set(cleared))
    for store in stores:
        store.close()


def test_who_is_killed_after_its_claim_keeps_nobody_from_being_told(
    url: str, clock: Clock, incidents: IncidentStore
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CLAIM, url, str(clock.now)],
        stdout=subprocess.PIPE,
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    ) as sender:
        assert sender.stdout is not None
        assert sender.stdout.readline() == b"claimed\n"
        sender.send_signal(signal.SIGKILL)
    assert incidents.report(failure(index=1)).outcome is Outcome.COUNTED
    clock.advance(61)
    (due,) = incidents.due_messages()
    assert (due.alerts, due.may_be_repeat) == (2, True)
    decision = incidents.report(failure(index=2))
    assert (decision.outcome, decision.more, decision.may_be_repeat) == (Outcome.CLAIMED, 2, True)
