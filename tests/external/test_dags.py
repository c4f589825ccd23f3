"""A gateway of another distribution sends, is waited for, called back, taken back and alerts, from DAGs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.hooks.registry import every_gateway
from tests.external.server import ACCOUNT, KEY, Acme
from tests.support.receiver import SECRET, running_receiver

pytestmark = pytest.mark.airflow3

HERE = Path(__file__).resolve().parent
NUMBERS = {f"+336123{number:05d}" for number in range(600)}
BLOCKED, STOPPED, FAILED = "+33612300007", "+33612300300", "+33612300599"


@pytest.fixture(scope="module")
def dags(airflow_home: Path, installed: Path) -> Iterator[Any]:
    from airflow.dag_processing.dagbag import DagBag
    from airflow.utils.db import initdb

    folder = airflow_home / "dags" / "external"
    shutil.copytree(HERE / "dags", folder, dirs_exist_ok=True)
    initdb()
    bag = DagBag(dag_folder=str(folder), bundle_name="dags-folder")
    assert bag.import_errors == {}
    yield bag.dags
    shutil.rmtree(folder)


@pytest.fixture
def run(dags: Any) -> Callable[[str], tuple[dict[str, str], dict[str, Any]]]:
    """Run a DAG to its end; return the states and the XComs of its tasks."""

    def run(dag_id: str) -> tuple[dict[str, str], dict[str, Any]]:
        done = dags[dag_id].test().get_task_instances()
        return (
            {ti.task_id: str(ti.state) for ti in done},
            {ti.task_id: ti.xcom_pull(ti.task_id) for ti in done},
        )

    return run


Run = Callable[[str], tuple[dict[str, str], dict[str, Any]]]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_600_people_are_sent_to_and_waited_for_in_every_mode(
    acme: Acme, run: Run, set_connection: Callable[..., str]
) -> None:
    # Fewer than would pass without a rate limiter: 600 take 15 s at least.
    limits = {"rate_limits": {"messages": "150/5"}}
    set_connection("acme", host=acme.url, login=ACCOUNT, password=KEY, extra=limits)
    acme.refused = {BLOCKED: "blocked", STOPPED: "stopped"}
    acme.states = {FAILED: "failed"}
    states, xcoms = run("acme_many")
    assert states == dict.fromkeys(("send", "poke", "reschedule", "deferrable"), "success")
    # Everybody once, but those whom it refused by name; nobody else was kept from it.
    assert acme.taken == dict.fromkeys(NUMBERS - {BLOCKED, STOPPED}, 1)
    assert {message["text"] for message in acme.messages.values()} >= {"Bonjour n° 0", "Bonjour n° 599"}
    counts = xcoms["send"]["counts"]
    assert (counts["recipients"], counts["accepted"]) == (600, 598)
    assert (counts["refused"], counts["opted_out"]) == (1, 1)
    arrivals = sorted(acme.arrivals)
    assert acme.most_within(5) <= 150
    assert arrivals[450] - arrivals[0] >= 3 * 5
    for mode in ("poke", "reschedule", "deferrable"):
        assert (xcoms[mode]["expected"], xcoms[mode]["delivered"], xcoms[mode]["failed"]) == (598, 597, 1)
    assert acme.polls >= 598


@pytest.mark.timeout(900)
def test_it_calls_back_about_each_message(
    acme: Acme, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with running_receiver(f"sqlite:///{tmp_path / 'store.db'}", gateways=every_gateway()) as receiver:
        monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CALLBACK_SECRET", SECRET)
        monkeypatch.setenv("AIRFLOW__VOICEPARTNER__PUBLIC_URL", receiver.url)
        acme.calls_back = True
        acme.states = {FAILED: "failed"}
        states, xcoms = run("acme_many")
        assert set(states.values()) == {"success"}
        assert (xcoms["poke"]["delivered"], xcoms["poke"]["failed"]) == (599, 1)
        assert acme.called == {200: 600}
        assert len(receiver.rows("delivery_report")) == 600
        assert receiver.rows("dead_letter") == []


def test_what_is_planned_is_taken_back(acme: Acme, run: Run) -> None:
    states, xcoms = run("acme_planned")
    assert states == {"send": "success", "take_back": "success"}
    assert xcoms["take_back"]["cancelled"] == 3
    assert {message["state"] for message in acme.messages.values()} == {"cancelled"}


def test_an_alert_to_two_people_reaches_both(acme: Acme, run: Run) -> None:
    states, _ = run("acme_alert")
    assert states == {"work": "failed"}
    assert acme.taken == {"+33612345601": 1, "+33612345602": 1}
    assert {message["text"] for message in acme.messages.values()} == {"acme_alert failed"}


def test_an_alert_reaches_one_where_the_other_is_refused(
    acme: Acme, run: Run, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    acme.refused = {"+33612345601": "blocked"}
    run("acme_alert")
    said = caplog.text + "".join(capfd.readouterr())
    assert acme.taken == {"+33612345602": 1}
    assert "one request was not accepted" in said
    assert "+33612345601" not in said
