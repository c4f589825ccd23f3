"""A page from a callback: the first step goes at once, the rest is in the store, and a callback never suffers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voicepartner.compat import DAG
from airflow_provider_voicepartner.db.engine import open_store as open_engine
from airflow_provider_voicepartner.exceptions import ConfigurationError, VoicePartnerProviderError
from airflow_provider_voicepartner.hooks import incidents
from airflow_provider_voicepartner.hooks.paging import Pager, Run
from airflow_provider_voicepartner.incidents.answers import Channel
from airflow_provider_voicepartner.incidents.escalation import Action
from airflow_provider_voicepartner.notifications.all_clear import AllClearNotifier
from airflow_provider_voicepartner.notifications.page import PageNotifier
from airflow_provider_voicepartner.settings import open_store
from tests.support.escalations import incident_row, page_rows
from tests.support.gateways import fault, last_body, sent
from tests.support.tasks import Logs

ANNE, BRUNO = "+33612345601", "+33612345602"
CONTACTS = """
[people.anne]
phone = "0612345601"
[people.bruno]
phone = "0612345602"
[policies.night]
steps = [{ who = "anne", by = "sms", wait = "5m" }, { who = "bruno", by = "sms", wait = "5m" }]
sms = "smspartner_default"
quiet_hours = "00:00-23:59"
"""


@pytest.fixture(autouse=True)
def contacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "contacts.toml"
    path.write_text(CONTACTS)
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CONTACTS", str(path))
    return path


def failed(task: str = "load", **more: Any) -> dict[str, Any]:
    ti = SimpleNamespace(
        dag_id="sales", task_id=task, run_id="r1", try_number=1, map_index=-1, state="failed"
    )
    return {
        "ti": ti,
        "run_id": "r1",
        "dag": DAG("sales", schedule=None),
        "exception": ValueError("no rows"),
        **more,
    }


def rows() -> Any:
    store = open_store("a test")
    found = page_rows(store)
    incident = incident_row(store, 1) if found else None
    store.close()
    return found, incident


def test_the_first_step_is_paged_at_once_and_the_rest_is_in_the_store(sandbox: Any, logs: Logs) -> None:
    PageNotifier(policy="night")(failed())
    assert sent(sandbox, "smspartner") == {ANNE: 1}
    body = last_body(sandbox)
    assert str(body.get("message") or body["text"]).startswith("sales.load failed")
    [page], incident = rows()
    assert (page.phase, page.person) == ("sent", "anne")
    assert (incident.policy, incident.state) == ("night", "open")
    assert json.loads(incident.escalation)["step"] == 0
    assert ANNE[-8:] not in logs.text


def test_a_store_that_opens_slowly_is_waited_for(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = incidents.incident_store

    def slow() -> Any:
        time.sleep(1.2)
        return real()

    monkeypatch.setattr(incidents, "incident_store", slow)
    PageNotifier(policy="night")(failed())
    [page], incident = rows()
    assert (page.phase, incident.policy, incident.state) == ("sent", "night", "open")


@pytest.mark.parametrize("store_url", [None, "postgresql://nobody@127.0.0.1:1/nowhere"])
def test_somebody_who_speaks_french_is_paged_in_french(
    sandbox: Any, contacts: Path, store_url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    contacts.write_text(CONTACTS.replace("[people.bruno]", 'language = "fr"\n[people.bruno]'))
    if store_url is not None:
        monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_URL", store_url)
    PageNotifier(policy="night")(failed())
    body = last_body(sandbox)
    assert str(body.get("message") or body["text"]).startswith("sales.load a échoué: ValueError: no rows. ")


def test_a_storm_and_a_repeat_page_once(sandbox: Any) -> None:
    notifier = PageNotifier(policy="night")
    for _ in range(3):
        notifier(failed())
    for index in range(5):
        context = failed()
        context["ti"].map_index = index
        notifier(context)
    assert sent(sandbox, "smspartner") == {ANNE: 1}
    assert rows()[1].alerts == 6


def test_another_task_is_another_incident_unless_a_key_says_otherwise(sandbox: Any) -> None:
    PageNotifier(policy="night")(failed())
    PageNotifier(policy="night")(failed("other"))
    assert sent(sandbox, "smspartner") == {ANNE: 2}
    for task in ("one", "two"):
        PageNotifier(policy="night", dedup_key="nightly {{ run_id }}")(failed(task))
    assert sent(sandbox, "smspartner") == {ANNE: 3}


def test_low_urgency_waits(sandbox: Any) -> None:
    PageNotifier(policy="night", urgency="low")(failed())
    assert sent(sandbox, "smspartner") == {}


def test_an_urgent_alert_of_what_waits_for_the_morning_pages_at_once(sandbox: Any) -> None:
    for task, urgency in (("a", "low"), ("b", "high"), ("c", "high"), ("d", "low")):
        PageNotifier(policy="night", urgency=urgency, dedup_key="same")(failed(task))  # type: ignore[arg-type]
    assert sent(sandbox, "smspartner") == {ANNE: 1}


@pytest.mark.parametrize(("urgency", "pages"), [("low", 0), ("high", 1)])
def test_a_runner_that_begins_what_the_notifier_could_not_keeps_its_urgency(
    sandbox: Any, contacts: Path, urgency: Any, pages: int
) -> None:
    contacts.write_text("[people")
    PageNotifier(policy="night", urgency=urgency)(failed())
    contacts.write_text(CONTACTS)
    with closing(open_store("a test")) as store:
        assert Pager(store).run_due().pages == pages
    assert sum(sent(sandbox, "smspartner").values()) == pages


def test_without_a_store_the_first_step_is_paged(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    monkeypatch.setenv(
        "AIRFLOW__VOICEPARTNER__STORE_URL", "postgresql://nobody:planted-pw@127.0.0.1:1/nowhere"
    )
    PageNotifier(policy="night")(failed())
    assert sent(sandbox, "smspartner") == {ANNE: 1}
    assert "no answer is heard" in logs.text
    assert "planted-pw" not in logs.text


def test_a_policy_that_is_not_there_is_an_error_of_the_dag_file() -> None:
    with pytest.raises(ConfigurationError, match=r"policy: 'nigth' is no policy of .*did you mean 'night'"):
        PageNotifier(policy="nigth")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"urgency": "medium"}, "urgency"), ({"dedup_key": 3}, "dedup_key"), ({"group_by": ["x"]}, "group_by"),
     ({"policy": ""}, "policy"), ({"policy": None}, "policy")],
)  # fmt: skip
def test_arguments_that_cannot_be_are_errors_of_the_dag_file(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        PageNotifier(**{"policy": "night", **arguments})


@pytest.mark.parametrize("make", [PageNotifier, PageNotifier.checked])
def test_a_misspelt_argument_is_an_error_of_the_dag_file(make: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="polcy"):
        make(policy="night", polcy="x")
    with pytest.raises(ConfigurationError, match="did you mean 'night'"):
        make(policy="nigth")


def test_arguments_of_a_deadline_alert_come_back_as_they_were() -> None:
    assert PageNotifier.checked(policy="night", urgency="low") == {"policy": "night", "urgency": "low"}


def test_contacts_that_are_gone_are_logged_and_a_callback_does_not_fail(
    sandbox: Any, contacts: Path, logs: Logs
) -> None:
    notifier = PageNotifier(policy="night")
    contacts.write_text("[people.anne]\nphone = '0612345601'\n")
    notifier(failed())
    assert sent(sandbox, "smspartner") == {}
    assert "a runner begins the escalation of incident 1 when it can" in logs.text


@pytest.mark.airflow3
def test_a_deadline_callback_fails_where_nobody_can_be_paged(sandbox: Any, contacts: Path) -> None:
    contacts.write_text("[people.anne]\nphone = '0612345601'\n")
    other = {"deadline": {"deadline_time": "2026-01-01"}, "dag_run": {"dag_id": "other", "run_id": "r"}}
    with pytest.raises(VoicePartnerProviderError):
        PageNotifier(policy="night", context={}).notify(other)


@pytest.mark.airflow3
def test_in_the_triggerer(sandbox: Any) -> None:
    asyncio.run(PageNotifier(policy="night", context={}).async_notify(failed()))
    assert sent(sandbox, "smspartner") == {ANNE: 1}


@pytest.mark.parametrize("context", [{}, {"ti": None}, {"dag": None}])
def test_any_context_pages(sandbox: Any, context: dict[str, Any]) -> None:
    PageNotifier(policy="night")(dict(context))
    assert sent(sandbox, "smspartner") == {ANNE: 1}


def test_a_store_that_fails_amid_a_page_does_not_page_again(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    from airflow_provider_voicepartner.db.errors import StoreUnavailableError
    from airflow_provider_voicepartner.incidents.pages import PageStore

    def fail(*_: Any, **__: Any) -> None:
        raise StoreUnavailableError("the store went away")

    monkeypatch.setattr(PageStore, "record", fail)
    PageNotifier(policy="night")(failed())
    assert sent(sandbox, "smspartner") == {ANNE: 1}
    assert "failed amid its first step, and a runner goes on" in logs.text


# All clear


def succeeded() -> dict[str, Any]:
    context = failed()
    context["ti"].state = "success"
    del context["exception"]
    return context


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Callable[[float], Pager]]:
    """Return what runs escalations so many seconds from now."""
    opened = []

    def at(seconds: float) -> Pager:
        opened.append(open_engine(f"sqlite:///{tmp_path / 'store.db'}", clock=lambda: time.time() + seconds))
        return Pager(opened[-1])

    yield at
    for store in opened:
        store.close()


def test_everybody_who_was_paged_is_told_all_clear_once_and_nobody_is_paged_any_more(
    sandbox: Any, runner: Callable[[float], Pager]
) -> None:
    PageNotifier(policy="night")(failed())
    assert runner(301).run_due().pages == 1
    assert sent(sandbox, "smspartner") == {ANNE: 1, BRUNO: 1}
    for _ in range(2):
        AllClearNotifier()(succeeded())
        assert sent(sandbox, "smspartner") == {ANNE: 2, BRUNO: 2}
        assert last_body(sandbox)["message"] == "Airflow: all clear, sales.load succeeded, run r1"
    assert runner(86_400).run_due() == Run(next_due=None)
    assert sent(sandbox, "smspartner") == {ANNE: 2, BRUNO: 2}


def test_who_was_not_paged_yet_hears_nothing(sandbox: Any, runner: Callable[[float], Pager]) -> None:
    PageNotifier(policy="night")(failed())
    AllClearNotifier()(succeeded())
    assert runner(301).run_due().pages == 0
    assert sent(sandbox, "smspartner") == {ANNE: 2}


def test_a_page_in_doubt_is_followed_by_the_all_clear_and_one_that_was_refused_is_not(
    sandbox: Any, runner: Callable[[float], Pager]
) -> None:
    fault(sandbox, "drop_after", path="/send")
    PageNotifier(policy="night")(failed())
    assert [page.phase for page in rows()[0]] == ["in_doubt"]
    fault(sandbox, "429", path="/send", times=None, retry_after=600)
    runner(301).run_due()
    assert {page.phase for page in rows()[0] if page.person == "bruno"} == {"not_sent"}
    sandbox.world.faults.clear()
    before = sent(sandbox, "smspartner")
    AllClearNotifier()(succeeded())
    assert sent(sandbox, "smspartner") == before | {ANNE: before.get(ANNE, 0) + 1}


def test_what_somebody_closed_needs_no_all_clear(sandbox: Any, runner: Callable[[float], Pager]) -> None:
    PageNotifier(policy="night")(failed())
    assert runner(301).run_due().pages == 1
    assert runner(302).act(1, Action.CLOSE, "bruno", Channel.CLI, digest="one") is not None
    said = sent(sandbox, "smspartner")
    AllClearNotifier()(succeeded())
    assert sent(sandbox, "smspartner") == said


# Keys and policies

OTHER = """
[policies.day]
steps = [{ who = "bruno", by = "sms", wait = "5m" }]
sms = "smspartner_default"
"""


@pytest.mark.parametrize("dedup_key", ["{{ params.missing }}", "None", "  ", "", "{{ none }}"])
def test_a_key_that_says_nothing_is_none(dedup_key: str, sandbox: Any) -> None:
    for task in ("one", "two"):
        PageNotifier(policy="night", dedup_key=dedup_key)(failed(task, params={"missing": None}))
    assert sent(sandbox, "smspartner") == {ANNE: 2}


@pytest.mark.parametrize("rendered", [5, 0, ["a"], {"b": 1}, "é" * 10_000, "\x00\ud800"])
def test_a_key_may_be_rendered_to_anything(rendered: Any, sandbox: Any) -> None:
    notifier = PageNotifier(policy="night", dedup_key="{{ key }}")
    for task in ("one", "two"):
        notifier.dedup_key = rendered
        notifier.notify(failed(task))
    assert sent(sandbox, "smspartner") == {ANNE: 1}


def test_two_policies_with_one_key_both_page(sandbox: Any, contacts: Path) -> None:
    contacts.write_text(CONTACTS + OTHER)
    for policy in ("night", "day", "night"):
        PageNotifier(policy=policy, dedup_key="nightly")(failed())
    assert sent(sandbox, "smspartner") == {ANNE: 1, BRUNO: 1}


@pytest.mark.parametrize("left", ["", OTHER], ids=["no policy is left", "another is left"])
@pytest.mark.parametrize("has_store", [True, False])
def test_without_its_policy_the_last_resort_is_paged(
    has_store: bool, left: str, sandbox: Any, contacts: Path, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    notifier = PageNotifier(policy="night")
    if not has_store:
        monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_URL", "postgresql://somebody@127.0.0.1:1/store")
    contacts.write_text(f'last_resort = "bruno"\n{CONTACTS.partition("[policies")[0]}{left}')
    notifier(failed())
    assert sent(sandbox, "smspartner") == {BRUNO: 1}
    if has_store:
        assert "The last resort is paged: policy: 'night' is no policy of" in logs.text
