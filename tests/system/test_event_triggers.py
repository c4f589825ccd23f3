"""A real triggerer, killed again and again while people answer; and the example DAGs, which read what they answered."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.delivery.inbound import InboundRecord, of_reference
from airflow_provider_voicepartner.delivery.store import DeliveryStore
from airflow_provider_voicepartner.gateways.model import OptOut, Reply
from tests.support.deliveries import last_event
from tests.support.triggerer import NUMBER, TEXT, Gateways

pytestmark = pytest.mark.airflow3

PROJECT = Path(__file__).resolve().parent.parent.parent
KILLS = 2
MOST_SECONDS = 90

REPLIES, OPT_OUTS = "voicepartner_replies", "voicepartner_opt_outs"
A, B, C = (f"+336123456{tail:02d}" for tail in range(1, 4))

PREPARE = """
import sys
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.utils.db import initdb
from airflow.utils.session import create_session
initdb()
DagBundlesManager().sync_bundles_to_db()
bag = DagBag(dag_folder=sys.argv[1], bundle_name="dags-folder")
assert bag.import_errors == {}, bag.import_errors
with create_session() as session:
    sync_bag_to_db(bag, "dags-folder", None, session=session)
"""


@dataclass
class SmallAirflow:
    """A database with the example DAGs in it, and a triggerer that can be started and killed."""

    home: Path
    environment: dict[str, str]
    triggerer: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        done = subprocess.run(
            [sys.executable, "-c", PREPARE, str(self.home / "dags")],
            env=self.environment, cwd=PROJECT, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]

    def start(self) -> None:
        with open(self.home / "triggerer.log", "ab") as log:
            self.triggerer = subprocess.Popen(
                [sys.executable, "-m", "airflow", "triggerer", "--skip-serve-logs"],
                env=self.environment, cwd=PROJECT, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def end(self, how: signal.Signals) -> None:
        """End the triggerer and its child, which is in its process group."""
        if self.triggerer is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.triggerer.pid, how)
            self.triggerer.wait(30)
            self.triggerer = None

    def ask(self, statement: str) -> list[Any]:
        with contextlib.closing(sqlite3.connect(self.home / "airflow.db", timeout=30)) as connection:
            return connection.execute(statement).fetchall()

    def told(self, asset: str) -> list[int]:
        rows = self.ask(
            "SELECT e.extra FROM asset_event e JOIN asset a ON a.id = e.asset_id "
            f"WHERE a.name = '{asset}' ORDER BY e.id"
        )
        return [json.loads(extra)["payload"]["id"] for (extra,) in rows]

    def cursors(self) -> int:
        return len(self.ask("SELECT 1 FROM asset_state_store"))


@pytest.fixture
def small_airflow(tmp_path: Path) -> Iterator[SmallAirflow]:
    home = tmp_path / "airflow"
    shutil.copytree(PROJECT / "example_dags" / "data", home / "dags" / "data")
    for name in ("on_reply.py", "opt_out.py"):
        shutil.copy(PROJECT / "example_dags" / name, home / "dags" / name)
    settings = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "4",
        "AIRFLOW__VOICEPARTNER__STORE_URL": f"sqlite:///{tmp_path / 'store' / 'store.db'}",
        "PYTHONPATH": str(PROJECT),
    }
    airflow = SmallAirflow(home, {**os.environ, **settings})
    airflow.prepare()
    yield airflow
    airflow.end(signal.SIGKILL)


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + MOST_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def the_last_is_told(airflow: SmallAirflow, asset: str, ids: list[int]) -> Callable[[], bool]:
    return lambda: ids[-1] in airflow.told(asset)


def has_told_more(airflow: SmallAirflow, asset: str) -> Callable[[], bool]:
    before = len(airflow.told(asset))
    return lambda: len(airflow.told(asset)) > before


@pytest.mark.slow
def test_a_triggerer_that_is_killed_loses_no_answer_and_goes_on_where_it_was(
    small_airflow: SmallAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    from airflow_provider_voicepartner.constants import EVENTS_UNDER_WAY

    chance = random.Random(4)
    store = open_store(small_airflow.environment["AIRFLOW__VOICEPARTNER__STORE_URL"])
    gateways = Gateways(store)
    small_airflow.start()
    wait_until(lambda: small_airflow.cursors() == 2, "both watchers have begun")
    for _ in range(KILLS):
        tells = has_told_more(small_airflow, REPLIES)
        for _ in range(20):
            gateways.tell("reply", "opt_out", "reply")
            time.sleep(0.05)
        wait_until(tells, "it tells")
        time.sleep(chance.uniform(0, 2))
        small_airflow.end(signal.SIGKILL)
        gateways.tell("reply", "opt_out")  # while nobody is there
        small_airflow.start()
    gateways.tell("reply", "opt_out")
    every = gateways.delivery.events(since=0, limit=10_000)
    wanted = {
        REPLIES: [event.id for event in every if event.kind == "reply"],
        OPT_OUTS: [event.id for event in every if event.kind == "opt_out"],
    }
    for asset, ids in wanted.items():
        wait_until(the_last_is_told(small_airflow, asset, ids), f"{asset}: the last one is told")
    time.sleep(3)  # until the cursor has moved behind it
    told = {asset: small_airflow.told(asset) for asset in wanted}
    small_airflow.end(signal.SIGTERM)
    small_airflow.start()
    gateways.tell("reply")  # a restart in good order tells this, and nothing anew
    last = last_event(gateways.delivery)
    wait_until(the_last_is_told(small_airflow, REPLIES, [last]), "it goes on")
    assert small_airflow.told(REPLIES) == [*told[REPLIES], last]
    assert small_airflow.told(OPT_OUTS) == told[OPT_OUTS]
    small_airflow.end(signal.SIGKILL)
    for asset, ids in wanted.items():
        again = len(told[asset]) - len(ids)
        assert list(dict.fromkeys(told[asset])) == ids, asset  # every one, and in order
        assert again <= KILLS * EVENTS_UNDER_WAY, asset
        with capsys.disabled():
            print(f"\n{asset}: {len(ids)} events, {again} told again after {KILLS} kills")
    written = b"".join(path.read_bytes() for path in small_airflow.home.rglob("*") if path.is_file())
    assert b"Trigger fired event" in written  # the log is in it
    for secret in (NUMBER, NUMBER[1:], TEXT, "STOP 1"):
        assert secret.encode() not in written
    store.close()


# The example DAGs, in this process.


@pytest.fixture
def delivery() -> DeliveryStore:
    return DeliveryStore(open_store(os.environ["AIRFLOW__VOICEPARTNER__STORE_URL"]))


def answer(delivery: DeliveryStore, *events: Reply | OptOut) -> None:
    delivery.write(
        [
            InboundRecord(key=of_reference(event.gateway, "b1"), event=event, received_at=1.0)
            for event in events
        ]
    )


def test_an_answer_is_read_where_it_is(
    run_dag: Callable[..., Any], delivery: DeliveryStore, airflow_files: Callable[[], dict[str, bytes]]
) -> None:
    assert run_dag("on_reply").xcoms["count_answers"] == {}
    answer(
        delivery,
        *(
            Reply(gateway="octopush", campaign_id=None, phone_number=number, text=text)
            for number, text in [(A, "oui "), (B, "1"), (C, "non"), (NUMBER, TEXT)]
        ),
    )
    run = run_dag("on_reply")
    assert run.state == "success"
    assert run.xcoms["count_answers"] == {"comes": 2, "does not": 1, "unclear": 1}
    assert run_dag("on_reply").xcoms["count_answers"] == {}
    for written in (run.log.encode(), *airflow_files().values()):
        assert NUMBER[1:].encode() not in written
        assert TEXT.encode() not in written


def test_who_said_stop_to_one_gateway_is_left_out_by_all(
    run_dag: Callable[..., Any],
    delivery: DeliveryStore,
    reached: Callable[[str], dict[str, int]],
    tmp_path: Path,
) -> None:
    from airflow_provider_voicepartner.hooks.smspartner import SmsPartnerHook

    folder = str(tmp_path)
    run_dag("opt_out", folder=folder)
    answer(delivery, OptOut(gateway="octopush", campaign_id=None, phone_number=A, text="STOP"))
    run = run_dag("opt_out", folder=folder)
    assert run.xcoms["record"] == 1
    assert [entry.phone_number for entry in SmsPartnerHook().list_stops().entries] == [A]
    assert (tmp_path / "opted_out.csv").read_text() == f"{A}\n"
    run = run_dag("after_opt_outs", folder=folder)
    assert run.state == "success"
    assert run.xcoms["leave_out"] == 2  # twice in the list of people
    assert A not in reached("octopush")
    assert reached("octopush")[B] == 1


def test_a_number_that_is_refused_keeps_no_other_off_the_stop_list(
    dags: Any, sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from airflow_provider_voicepartner.hooks.delivery import DeliveryHook
    from airflow_provider_voicepartner.hooks.smspartner import SmsPartnerHook

    landline, no_number = "+33142685308", "33612"
    events = [SimpleNamespace(phone_number=number) for number in (landline, no_number, B, A)]
    monkeypatch.setattr(DeliveryHook, "take_events", lambda *arguments: events)
    with pytest.raises(RuntimeError, match=r"^2 of 4 are not on SMS Partner's STOP list yet$"):
        dags["opt_out"].get_task("record").python_callable(str(tmp_path))
    assert {entry.phone_number for entry in SmsPartnerHook().list_stops().entries} == {A, B}
    assert len((tmp_path / "opted_out.csv").read_text().split()) == 4
    assert "SMS Partner did not take a STOP" in caplog.text
    for number in (landline, A, B):
        assert number[1:] not in caplog.text
