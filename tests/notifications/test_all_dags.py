"""One setting alerts for all DAGs: those without a notifier of their own get one, and no DAG ever suffers from it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voicepartner import settings
from airflow_provider_voicepartner.compat import DAG
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.notifications import all_dags
from airflow_provider_voicepartner.notifications.all_dags import AlertForAllDags, dag_policy, is_meant
from airflow_provider_voicepartner.notifications.page import PageNotifier
from airflow_provider_voicepartner.notifications.sms import SmsNotifier
from airflow_provider_voicepartner.notifications.voice import TtsCallNotifier
from tests.support.gateways import fault, last_body, requests, sent
from tests.support.tasks import CALM, Logs

ANNE, BRUNO = "+33612345601", "+33612345602"
PREFIX = "AIRFLOW__VOICEPARTNER__"

Set = Callable[..., None]


@pytest.fixture(autouse=True)
def contacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "contacts.json"
    people = {"anne": {"phone": ANNE}, "bruno": {"phone": BRUNO}}
    night = {"steps": [{"who": "@bruno", "by": "sms", "wait": "5m"}], "sms": "smspartner_default"}
    data = {"last_resort": "bruno", "people": people, "policies": {"night": night}}
    path.write_text(json.dumps(data), encoding="utf-8")
    monkeypatch.setenv(f"{PREFIX}CONTACTS", str(path))
    monkeypatch.setattr(all_dags, "_logged", set())


@pytest.fixture
def option(monkeypatch: pytest.MonkeyPatch) -> Set:
    """Set options of ``[voicepartner]`` for one test."""

    def use(**options: str) -> None:
        for name, value in options.items():
            monkeypatch.setenv(f"{PREFIX}{name.upper()}", value)

    return use


def dag(on_failure_callback: Any = None, **own: Any) -> DAG:
    """Return a DAG; keywords are tasks with a callback each."""
    from airflow_provider_voicepartner.compat import BaseOperator

    with DAG("etl_sales", schedule=None, on_failure_callback=on_failure_callback) as made:
        for name, callback in {"load": None, **own}.items():
            BaseOperator(task_id=name, on_failure_callback=callback)
    return made


def alerts(made: DAG) -> list[Any]:
    """Return the alerts that the policy added."""
    found = made.on_failure_callback
    return [
        one for one in (found if isinstance(found, list) else [found]) if isinstance(one, AlertForAllDags)
    ]


def failed(*tasks: str, reason: str = "task_failure", dag_id: str = "etl_sales") -> dict[str, Any]:
    """Return the context of a DAG callback."""
    ti = SimpleNamespace(
        dag_id=dag_id,
        run_id="r1",
        task_id=tasks[-1] if tasks else "load",
        state="failed",
        get_task_states=lambda dag_id, run_ids: {run_ids[0]: dict.fromkeys(tasks, "failed")},
    )
    return {"ti": ti, "run_id": "r1", "reason": reason}


# Which DAGs get it


def test_a_dag_without_a_notifier_gets_the_alert(option: Set) -> None:
    option(alert_to="@anne")
    made = dag()
    dag_policy(made)
    assert len(alerts(made)) == 1
    assert made.has_on_failure_callback is True


def test_without_the_option_nothing_changes() -> None:
    made = dag()
    dag_policy(made)
    assert made.on_failure_callback is None
    assert made.has_on_failure_callback is False


OWN: dict[str, Callable[[], Any]] = {
    "sms": lambda: SmsNotifier(to="@bruno"),
    "call": lambda: TtsCallNotifier(to="@bruno"),
    "page": lambda: PageNotifier(policy="night"),
}


@pytest.mark.parametrize("kind", OWN)
@pytest.mark.parametrize("as_list", [True, False])
def test_a_dag_with_a_notifier_of_its_own_gets_none(option: Set, kind: str, as_list: bool) -> None:
    option(alert_to="@anne")
    own = OWN[kind]()
    made = dag([own] if as_list else own)
    dag_policy(made)
    assert alerts(made) == []


def test_other_callbacks_stay_and_a_list_that_dags_share_is_left_alone(option: Set) -> None:
    option(alert_to="@anne")
    shared: list[Any] = [print]
    first, second = dag(shared), dag(print)
    dag_policy(first)
    dag_policy(second)
    assert shared == [print]
    for made in (first, second):
        assert made.on_failure_callback[0] is print
        assert len(made.on_failure_callback) == 2


def test_it_is_added_once(option: Set) -> None:
    option(alert_to="@anne")
    made = dag()
    dag_policy(made)
    dag_policy(made)
    assert len(alerts(made)) == 1


@pytest.mark.parametrize(
    ("globs", "meant"),
    [
        ("", True), ("etl_*", True), ("other, etl_sales", True), ("other", False), ("ETL_*", False),
        ("!etl_*", False), ("!other", True), ("etl_* !etl_sales", False), ("[e]tl_sale?", True),
    ],
)  # fmt: skip
def test_globs_say_for_which_dags_it_is(option: Set, globs: str, meant: bool) -> None:
    option(alert_to="@anne", alert_dags=globs)
    made = dag()
    dag_policy(made)
    assert bool(alerts(made)) is meant


@CALM
@given(dag_id=st.text(), globs=st.lists(st.text()))
def test_any_glob_is_read(dag_id: str, globs: list[str]) -> None:
    assert is_meant(dag_id, ()) is True
    assert is_meant(dag_id, globs) in (True, False)
    assert is_meant(dag_id, [*globs, "!*"]) is False


# It never hurts


@pytest.mark.parametrize("hostile", [None, object(), SimpleNamespace(dag_id=3), SimpleNamespace(dag_id="a")])
def test_the_policy_never_raises(option: Set, logs: Logs, hostile: Any) -> None:
    option(alert_to="@anne")
    dag_policy(hostile)
    assert "could not be added" in logs.text


def test_the_policy_never_raises_where_the_configuration_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    def fail() -> str:
        raise RuntimeError(f"planted {ANNE}")

    monkeypatch.setattr(settings, "alert_to", fail)
    made = dag()
    dag_policy(made)
    AlertForAllDags()(failed("load"))
    assert "RuntimeError" in logs.text
    assert ANNE[3:] not in logs.text


def test_a_mistake_in_the_options_is_logged_once_and_the_alert_stays(option: Set, logs: Logs) -> None:
    option(alert_to="@anna")
    said = set()
    for _ in range(2):
        made = dag()
        dag_policy(made)
        assert len(alerts(made)) == 1
        said.add(logs.text)
    assert len(said) == 1
    assert "@anna is not in the contacts" in said.pop()


def test_airflow_imports_it_everywhere_and_nothing_of_ours_with_it() -> None:
    code = (
        "import sys, pluggy; import airflow_provider_voicepartner.notifications.all_dags; "
        "print(sorted(name for name in sys.modules if name.startswith('airflow')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    ours = "airflow_provider_voicepartner"
    assert done.stdout.strip() == str([ours, f"{ours}.notifications", f"{ours}.notifications.all_dags"])


# The alert


def test_the_alert_says_what_failed(sandbox: Any, option: Set) -> None:
    option(alert_to="@anne")
    AlertForAllDags()(failed("load", "check_3"))
    assert sent(sandbox, "smspartner") == {ANNE: 1}
    assert "Airflow: DAG etl_sales failed in check_3, load" in last_body(sandbox)["message"]


def test_it_uses_the_connection_and_the_fallback_of_the_options(sandbox: Any, option: Set) -> None:
    option(alert_to="@anne", alert_conn_id="octopush_default", alert_fallback="sms:smspartner_default")
    AlertForAllDags()(failed("load"))
    assert (sent(sandbox, "octopush"), sent(sandbox, "smspartner")) == ({ANNE: 1}, {})
    fault(sandbox, "500", times=None, gateway="octopush", taken=False)
    option(alert_fallback="call:voicepartner_default")
    AlertForAllDags()(failed("load", dag_id="etl_stock"))
    assert sent(sandbox, "voicepartner") == {ANNE: 1}


def test_a_name_that_leads_to_nobody_falls_to_the_last_resort(sandbox: Any, option: Set, logs: Logs) -> None:
    option(alert_to="@nobody", alert_fallback="letter:x")
    AlertForAllDags()(failed("load"))
    assert sent(sandbox, "smspartner") == {BRUNO: 1}
    assert "letter:x" in logs.text


@pytest.mark.parametrize(
    ("options", "told"),
    [({}, 2), ({"alert_group_by": "none"}, 1), ({"alert_group_by": "none", "alert_at_most": "none"}, 3),
     ({"alert_at_most": "none"}, 3), ({"alert_at_most": "often", "alert_group_by": "day"}, 2)],
)  # fmt: skip
def test_one_outage_of_many_dags_is_as_many_messages_as_the_options_say(
    sandbox: Any, option: Set, options: dict[str, str], told: int, logs: Logs
) -> None:
    option(alert_to="@anne", **options)
    for dag_id, run_id in (("etl", "r1"), ("etl", "r2"), ("sales", "r1")):
        context = failed("load")
        context["ti"].dag_id, context["ti"].run_id, context["run_id"] = dag_id, run_id, run_id
        AlertForAllDags()(context)
    assert sum(sent(sandbox, "smspartner").values()) == told
    assert ("The defaults are taken" in logs.text) is ("often" in options.values())


@pytest.mark.parametrize("wrong", ["sms", "sms:", "letter:x", "smspartner_default", "sms:a, :b"])
def test_a_fallback_that_is_none_is_refused(option: Set, wrong: str) -> None:
    option(alert_fallback=wrong)
    with pytest.raises(ConfigurationError, match="alert_fallback"):
        settings.alert_fallback()


# No double alert


def own_fails(kind: str, name: str) -> None:
    """Let the notifier of a task tell, as it does in the task's process."""
    task, _, index = name.partition("_")
    ti = SimpleNamespace(
        dag_id="etl_sales",
        task_id=task,
        run_id="r1",
        try_number=1,
        map_index=int(index or -1),
        state="failed",
    )
    OWN[kind]()({"ti": ti, "run_id": "r1", "dag": None, "exception": ValueError("no rows")})


@pytest.fixture
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less long for notifiers of tasks that never come."""
    monkeypatch.setattr("airflow_provider_voicepartner.constants.TASK_ALERTS_WAIT", 0.3)
    monkeypatch.setattr("airflow_provider_voicepartner.constants.TASK_ALERT_INTERVAL", 0.1)


@pytest.mark.parametrize(
    ("tasks", "told", "is_sent"),
    [
        (("own",), ("own",), False),
        (("own_3",), ("own_3",), False),
        (("own", "own_2"), ("own", "own_2"), False),
        (("load",), (), True),
        (("own", "load"), ("own",), True),
        (("own_7",), ("own_7",), True),
        (("own",), (), True),
        (("own_3", "own_4"), ("own_3",), True),
    ],
    ids=[
        "told",
        "an instance",
        "several",
        "without",
        "with and without",
        "another name",
        "killed",
        "one killed",
    ],
)
@pytest.mark.parametrize("kind", ["sms", "page"])
def test_a_run_that_fails_by_tasks_whose_notifiers_told_is_told_by_them(
    sandbox: Any, option: Set, short_wait: None, tasks: Any, told: Any, is_sent: bool, kind: str
) -> None:
    option(alert_to="@anne")
    made = dag(own=OWN[kind](), own_7=None)
    dag_policy(made)
    for name in told:
        own_fails(kind, name)
    before = requests(sandbox)
    alerts(made)[0](failed(*tasks))
    assert requests(sandbox) - before == is_sent


def test_where_the_notifier_of_a_task_reached_nobody_the_alert_is_sent(
    sandbox: Any, option: Set, short_wait: None
) -> None:
    option(alert_to="@anne")
    made = dag(own=OWN["sms"]())
    dag_policy(made)
    fault(sandbox, "429", times=2, retry_after=600)
    own_fails("sms", "own")
    sandbox.world.faults.clear()
    assert sent(sandbox, "smspartner") == {}
    alerts(made)[0](failed("own"))
    assert sent(sandbox, "smspartner") == {ANNE: 1}


def test_a_message_of_a_task_that_is_under_way_is_waited_for(sandbox: Any, option: Set) -> None:
    option(alert_to="@anne")
    made = dag(own=OWN["sms"]())
    dag_policy(made)
    threading.Timer(0.3, own_fails, ("sms", "own")).start()
    alerts(made)[0](failed("own"))
    assert sent(sandbox, "smspartner") == {BRUNO: 1}


def test_without_a_store_the_alert_is_sent(
    sandbox: Any, option: Set, short_wait: None, tmp_path: Path
) -> None:
    (tmp_path / "dead.db").mkdir()
    option(alert_to="@anne", store_url=f"sqlite:///{tmp_path / 'dead.db'}")
    made = dag(own=OWN["sms"]())
    dag_policy(made)
    own_fails("sms", "own")
    alerts(made)[0](failed("own"))
    assert sent(sandbox, "smspartner") == {ANNE: 1, BRUNO: 1}


def test_where_airflow_does_not_say_which_tasks_failed_the_alert_is_sent(sandbox: Any, option: Set) -> None:
    option(alert_to="@anne")
    made = dag(own=SmsNotifier(to="@bruno"))
    dag_policy(made)
    context = failed("own")
    del context["ti"].get_task_states
    alerts(made)[0](context)
    assert sent(sandbox, "smspartner") == {ANNE: 1}


def test_a_run_that_times_out_is_told_whatever_its_tasks_have(sandbox: Any, option: Set) -> None:
    option(alert_to="@anne")
    made = dag(load_all=SmsNotifier(to="@bruno"))
    dag_policy(made)
    alerts(made)[0](failed(reason="timed_out"))
    assert sent(sandbox, "smspartner") == {ANNE: 1}
