"""A mapped task whose list was made anew: nobody is sent to twice, and what failed before is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from airflow_provider_voicepartner import settings
from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.exceptions import (
    ConfigurationError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.operators import ledger
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.sending.mapped import MappedList
from tests.support.gateways import fault, requests, sent
from tests.support.tasks import FakeStore, Logs, context

ANNA, BEN, CLEO = "+33612345678", "+33612345679", "+33612345680"
MOVED = "before what the task is mapped over was made anew"


class Mapped:
    """A mapped task and the state of its instances; ``state`` is False for Airflow before 3.3."""

    def __init__(self, *, state: bool = True, **arguments: Any) -> None:
        self.states = [FakeStore() if state else None for _ in range(4)]
        self.arguments = {"task_id": "send", "message": "Bonjour", **arguments}
        self.dag_run: Any = SimpleNamespace(clear_number=0)
        self.node: Any = None

    def run(self, map_index: int, to: Any, *, try_number: int = 1, **arguments: Any) -> Any:
        """Run one instance once."""
        operator = SendSmsOperator(**{**self.arguments, "to": to, **arguments})
        given = context(self.states[map_index], try_number, run_id="r", dag_run=self.dag_run)
        given["ti"].map_index = map_index
        given["ti"].task = self.node
        return operator.execute(given)

    def fail(self, sandbox: Any, map_index: int, to: Any, **more: Any) -> None:
        """Run one instance that the gateway refuses to the end."""
        fault(sandbox, "429", path="/send", times=4, retry_after=0)
        with pytest.raises(RetryableNotSentError):
            self.run(map_index, to, **more)

    def clear(self) -> None:
        """Do what a clearing does to the run."""
        self.dag_run.clear_number += 1


MakeMapped = Callable[..., Mapped]


@pytest.fixture(params=[True, False], ids=["Airflow 3.3", "before"])
def mapped(request: pytest.FixtureRequest) -> MakeMapped:
    """Return what makes mapped tasks, with Airflow's task state and without."""
    return partial(Mapped, state=request.param)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"sqlite:///{tmp_path / 'store.db'}")


def lists(store: Store) -> int:
    with store.read() as connection:
        return int(connection.execute(text("SELECT count(*) FROM voicepartner_mapped_list")).scalar_one())


def test_another_order_after_a_failure_sends_to_nobody_again(mapped: MakeMapped, sandbox: Any) -> None:
    task = mapped()
    task.run(0, ANNA)
    task.fail(sandbox, 1, BEN)
    task.clear()
    with pytest.raises(ConfigurationError, match=r"has changed since an earlier.*or start a new run"):
        task.run(0, BEN, try_number=2)
    with pytest.raises(ConfigurationError, match=f"map_index 1 were in the list of map_index 0 {MOVED}"):
        task.run(1, ANNA, try_number=2)
    assert sent(sandbox, "smspartner") == {ANNA: 1}
    task.clear()
    task.run(0, ANNA, try_number=3)
    task.run(1, BEN, try_number=3)
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1}


def test_one_more_at_the_front_sends_to_nobody_again(mapped: MakeMapped, sandbox: Any) -> None:
    task = mapped()
    task.run(0, [ANNA])
    task.run(1, [BEN])
    task.clear()
    before = requests(sandbox)
    with pytest.raises(ConfigurationError, match=MOVED):
        task.run(2, [BEN])
    assert requests(sandbox) == before, "it asked the gateway for a price or a balance first"
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1}


def test_the_advice_for_changed_input_is_one_that_an_instance_may_follow(
    mapped: MakeMapped, sandbox: Any
) -> None:
    """Where a list moved, ``send_again`` is refused like the list itself; a new text for the same list is sent."""
    task = mapped()
    task.run(0, ANNA)
    task.run(1, BEN)
    task.clear()
    with pytest.raises(ConfigurationError, match=r"or start a new run.*If only the text .* send_again"):
        task.run(0, BEN, try_number=2)
    with pytest.raises(ConfigurationError, match=MOVED):
        task.run(0, BEN, try_number=2, send_again="once more")
    task.run(0, ANNA, try_number=2, message="Bonsoir", send_again="once more")
    assert sent(sandbox, "smspartner") == {ANNA: 2, BEN: 1}


def test_groups_that_are_cut_otherwise_send_to_nobody_again(mapped: MakeMapped, sandbox: Any) -> None:
    task = mapped()
    task.run(0, [ANNA, BEN])
    task.clear()
    with pytest.raises(ConfigurationError, match="1 of the 2 recipients"):
        task.run(1, [BEN, CLEO])
    task.run(1, [CLEO])
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1, CLEO: 1}


def test_equal_lists_that_were_made_together_are_all_sent(mapped: MakeMapped, sandbox: Any) -> None:
    task = mapped()
    task.run(0, ANNA)
    task.fail(sandbox, 1, ANNA)
    task.run(1, ANNA, try_number=2)
    task.run(2, ANNA)
    assert sent(sandbox, "smspartner") == {ANNA: 3}


@pytest.mark.parametrize("clear", [True, False], ids=["cleared", "retried"])
def test_what_sent_nothing_goes_on_with_its_list(mapped: MakeMapped, sandbox: Any, clear: bool) -> None:
    task = mapped()
    task.run(0, ANNA)
    task.fail(sandbox, 1, BEN)
    if clear:
        task.clear()
    task.run(1, BEN, try_number=2)
    task.run(0, ANNA, try_number=2)
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1}


def test_where_nothing_was_sent_at_all_any_order_will_do(mapped: MakeMapped, sandbox: Any) -> None:
    task = mapped()
    task.fail(sandbox, 0, ANNA)
    task.fail(sandbox, 1, BEN)
    task.clear()
    task.run(0, BEN, try_number=2)
    task.run(1, ANNA, try_number=2)
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1}


def test_people_with_fields_of_their_own_are_known_again(mapped: MakeMapped, sandbox: Any) -> None:
    task = mapped(message="Bonjour {first_name}")
    task.run(0, [{"phone_number": ANNA, "first_name": "Anna"}])
    task.clear()
    with pytest.raises(ConfigurationError, match=MOVED):
        task.run(1, [{"phone_number": ANNA, "first_name": "A."}])
    assert sent(sandbox, "smspartner") == {ANNA: 1}


def test_what_is_in_doubt_is_nobody_elses(mapped: MakeMapped, sandbox: Any) -> None:
    task = mapped(conn_id="octopush_default")
    fault(sandbox, "drop_before", gateway="octopush", path="/send", times=9)
    with pytest.raises(SendOutcomeUnknownError):
        task.run(0, ANNA)
    sandbox.world.faults.clear()
    task.clear()
    with pytest.raises(ConfigurationError, match=MOVED):
        task.run(1, ANNA)


def test_a_run_that_does_not_tell_how_often_it_was_cleared_has_its_lists_compared(
    mapped: MakeMapped, sandbox: Any
) -> None:
    task = mapped()
    task.dag_run = None
    task.run(0, ANNA)
    task.run(1, BEN)
    with pytest.raises(ConfigurationError, match=MOVED):
        task.run(2, ANNA)


def test_a_run_that_was_deleted_and_made_anew_has_its_lists_compared(
    mapped: MakeMapped, sandbox: Any
) -> None:
    """It counts its clearings from 0 again, as ``dag.test`` for the same date does."""
    task = mapped()
    task.dag_run.start_date = "2031-05-06T01:00"
    task.run(0, ANNA)
    task.run(1, BEN)
    task.dag_run.start_date = "2031-05-06T02:00"
    with pytest.raises(ConfigurationError, match=MOVED):
        task.run(2, BEN)
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1}


@pytest.mark.parametrize("is_known", [False, True], ids=["somebody moved", "the same lists"])
def test_under_a_rotated_key_an_instance_goes_on_with_its_own_list_and_no_other(
    mapped: MakeMapped, sandbox: Any, set_connection: Callable[..., str], is_known: bool
) -> None:
    """Who is in a list is written down with the key, so another key cannot tell whether somebody moved."""
    task = mapped()
    task.run(0, ANNA)
    task.fail(sandbox, 1, BEN)
    task.run(1, BEN, try_number=2)
    settings = sandbox.world.settings.smspartner
    settings.api_key = "planted-key-rotated-4714"
    set_connection("smspartner", host=sandbox.gateway_url("smspartner"), password=settings.api_key)
    task.clear()
    if is_known:
        task.run(1, BEN, try_number=3)
    else:
        with pytest.raises(ConfigurationError, match="with another key"):
            task.run(2, BEN)
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1}


@pytest.fixture
def airflow_2(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a session of Airflow's database, as far as it knows when tasks began."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with Session(engine) as session:
        session.execute(
            text("CREATE TABLE task_instance (dag_id, run_id, task_id, map_index, start_date TIMESTAMP)")
        )
        monkeypatch.setattr("airflow.utils.session.create_session", lambda: nullcontext(session))
        yield session


def test_airflow_2_does_not_count_the_clearings_of_a_run_at_work_so_the_makers_of_lists_are_looked_at(
    sandbox: Any, airflow_2: Any
) -> None:
    def begin(task_id: str, at: str) -> None:
        row = {"task": task_id, "at": f"2031-05-06 {at}:00.000000"}
        airflow_2.execute(text("DELETE FROM task_instance WHERE task_id = :task"), row)
        airflow_2.execute(
            text("INSERT INTO task_instance VALUES ('dag', 'r', :task, -1, :at)"),
            row,
        )

    task = Mapped(state=False)
    task.dag_run.get_task_instances = list
    node = SimpleNamespace(upstream_task_ids={"make"}, get_closest_mapped_task_group=lambda: None)
    task.node = node
    begin("make", "01:00")
    task.run(0, ANNA)
    begin("another", "01:10")
    task.run(1, [ANNA, BEN])  # made together, and so it was wanted
    begin("make", "02:00")
    for mapped_in_group in (False, True):
        if mapped_in_group:
            task.node = SimpleNamespace(upstream_task_ids=set(), get_closest_mapped_task_group=lambda: node)
        with pytest.raises(ConfigurationError, match=MOVED):
            task.run(2, [BEN])
    assert sent(sandbox, "smspartner") == {ANNA: 2, BEN: 1}


def test_other_tasks_and_dry_runs_leave_no_trace(mapped: MakeMapped, sandbox: Any, store: Store) -> None:
    SendSmsOperator(task_id="send", to=ANNA, message="Bonjour").execute(context(FakeStore()))
    task = mapped()
    task.run(-1, ANNA)
    task.run(0, BEN, dry_run=True)
    assert lists(store) == 0
    task.run(0, BEN)
    assert lists(store) == 1


def test_a_configured_store_that_fails_sends_nothing(
    mapped: MakeMapped, sandbox: Any, set_connection: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_URL", "postgresql://x@127.0.0.1:1/x")
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_WAIT", "0")
    with pytest.raises(RetryableNotSentError, match="Nothing was sent"):
        mapped().run(0, ANNA)
    assert requests(sandbox) == 0


def test_a_mapped_task_does_not_send_where_no_store_can_be_kept(
    mapped: MakeMapped, sandbox: Any, monkeypatch: pytest.MonkeyPatch, logs: Logs, tmp_path: Path
) -> None:
    (tmp_path / "home").write_text("a file")
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_URL", "")
    monkeypatch.setattr(settings, "default_store_url", lambda: f"sqlite:///{tmp_path}/home/voicepartner.db")
    with pytest.raises(ConfigurationError, match=r"store_url: the store is in memory.*nothing was sent"):
        mapped().run(0, ANNA)
    assert requests(sandbox) == 0
    assert "instances do not know of each other's lists" in logs.text


@pytest.mark.parametrize("executor", ["CeleryExecutor", "KubernetesExecutor"])
def test_several_machines_without_a_shared_store_send_no_mapped_list(
    mapped: MakeMapped,
    sandbox: Any,
    monkeypatch: pytest.MonkeyPatch,
    executor: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A store for each machine: one instance would not know whom another one has sent to."""
    monkeypatch.setattr("airflow_provider_voicepartner.settings._warned_of", set())
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    with pytest.raises(
        ConfigurationError, match=rf"^{executor} .*\[voicepartner\] store_url.*nothing was sent$"
    ):
        mapped().run(0, ANNA)
    assert requests(sandbox) == 0
    mapped().run(0, ANNA, dry_run=True)
    mapped().run(-1, BEN)
    assert sent(sandbox, "smspartner") == {BEN: 1}
    [told] = [record for record in caplog.records if "several machines" in record.getMessage()]
    assert told.levelname == "WARNING"
    assert told.getMessage().startswith(f"{executor} runs tasks on several machines")
    assert "Set [voicepartner] store_url to one PostgreSQL database" in told.getMessage()


def test_an_attempt_on_another_store_sends_no_mapped_list_and_warns_any_other_task(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, logs: Logs
) -> None:
    """Only the task's state can tell it, so before Airflow 3.3 nobody does."""
    task = Mapped()
    for map_index in (0, -1):
        task.fail(sandbox, map_index, ANNA)
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_URL", f"sqlite:///{tmp_path / 'other.db'}")
    assert "another store" not in logs.text
    with pytest.raises(ConfigurationError, match=r"^\[voicepartner\] store_url: .*another store.*a new run"):
        task.run(0, ANNA, try_number=2)
    assert sent(sandbox, "smspartner") == {}
    task.run(-1, ANNA, try_number=2)
    assert sent(sandbox, "smspartner") == {ANNA: 1}
    assert (
        logs.text.count("[voicepartner] store_url: an earlier attempt of this task wrote to another store")
        >= 2
    )


def test_a_kill_before_the_first_claim_keeps_the_list(
    mapped: MakeMapped, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, take = mapped(), MappedList.claim

    def claim_and_die(mapped: MappedList) -> None:
        take(mapped)
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(MappedList, "claim", claim_and_die)
        killed.setattr(ledger, "_release_list", lambda _: None)  # which a kill leaves no time for
        with pytest.raises(KeyboardInterrupt):
            task.run(0, ANNA)
    task.clear()
    with pytest.raises(ConfigurationError, match=MOVED):
        task.run(1, ANNA)
    task.run(0, ANNA, try_number=2)
    assert sent(sandbox, "smspartner") == {ANNA: 1}
