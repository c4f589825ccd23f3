"""All clear goes once to those who were told, when the same DAG or task succeeds again."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voicepartner.compat import DAG
from airflow_provider_voicepartner.hooks.incidents import incident_store
from airflow_provider_voicepartner.incidents.clearing import one_each
from airflow_provider_voicepartner.incidents.model import Told
from airflow_provider_voicepartner.notifications.all_clear import (
    AllClearNotifier,
    send_all_clear_notification,
)
from airflow_provider_voicepartner.notifications.sms import SmsNotifier
from airflow_provider_voicepartner.notifications.voice import TtsCallNotifier
from tests.support.gateways import fault, last_body, requests, sent
from tests.support.tasks import Logs

ANNA, BEN = "+33612345678", "+33612345679"
NOW = datetime.now(UTC)


def task(state: str, *, index: int = -1, run_id: str = "r1", began: datetime | None = None) -> dict[str, Any]:
    """Return the context of a task callback."""
    ti = SimpleNamespace(
        dag_id="sales", task_id="load", run_id=run_id, try_number=1, map_index=index, state=state, start_date=began
    )  # fmt: skip
    context = {"ti": ti, "run_id": run_id, "dag": DAG("sales", schedule=None)}
    return {**context, "exception": ValueError("no rows")} if state == "failed" else context


def dag_succeeded(**more: Any) -> dict[str, Any]:
    """Return the context of a DAG's success."""
    return {"dag": DAG("sales", schedule=None), "run_id": "r1", "reason": "success", **more}


@pytest.fixture(autouse=True)
def _contacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    people = {"last_resort": "ben", "people": {
        "anne": {"phone": ANNA, "language": "fr"}, "ben": {"phone": BEN, "language": "en"},
    }}  # fmt: skip
    (tmp_path / "contacts.json").write_text(json.dumps(people), encoding="utf-8")
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CONTACTS", str(tmp_path / "contacts.json"))


def said(sandbox: Any) -> str:
    return str(last_body(sandbox).get("message") or last_body(sandbox)["text"])


def test_those_who_were_told_are_told_all_clear_once(sandbox: Any, logs: Logs) -> None:
    SmsNotifier(to=ANNA)(task("failed"))
    for _ in range(2):
        AllClearNotifier()(task("success"))
    assert sent(sandbox, "smspartner") == {ANNA: 2}
    assert said(sandbox) == "Airflow: all clear, sales.load succeeded, run r1"
    assert "incidents closed: 1 (id 1); people to be told all clear: 1" in logs.text
    assert ANNA[3:] not in logs.text


def test_nothing_is_said_where_nothing_was_wrong(sandbox: Any) -> None:
    AllClearNotifier()(task("success"))
    AllClearNotifier()(dag_succeeded())
    assert requests(sandbox) == 0


@pytest.mark.parametrize(
    "context", [{}, task("failed"), task("up_for_retry"), {"reason": "success"}, {"deadline": 1}]
)
def test_what_is_no_success_clears_nothing(sandbox: Any, context: dict[str, Any]) -> None:
    SmsNotifier(to=ANNA)(task("failed"))
    AllClearNotifier()(context)
    assert requests(sandbox) == 1
    assert len(incident_store().find()) == 1


def test_each_person_is_told_once_in_their_language_and_by_the_way_that_told_them(sandbox: Any) -> None:
    SmsNotifier(to=["@anne", "@ben"])(task("failed"))
    TtsCallNotifier(to="@anne")(task("failed"))
    TtsCallNotifier(to="+33145678901")(task("failed"))
    before = requests(sandbox)
    AllClearNotifier()(task("success"))
    texts = {
        json.loads(one.body).get("message") or json.loads(one.body)["text"]
        for one in list(sandbox.world.requests)[before:]
    }
    assert sent(sandbox, "smspartner") == {ANNA: 2, BEN: 2}
    assert sent(sandbox, "voicepartner") == {ANNA: 1, "+33145678901": 2}
    assert texts == {
        "Airflow: retour à la normale, sales.load a réussi, run r1",
        "Airflow: all clear, sales.load succeeded, run r1",
        "Airflow. All clear. Task load of DAG sales succeeded. I repeat. "
        "Airflow. All clear. Task load of DAG sales succeeded.",
    }


def test_a_dag_that_succeeds_clears_its_tasks(sandbox: Any) -> None:
    SmsNotifier(to=ANNA)(task("failed", index=3))
    AllClearNotifier()(task("success", index=1))
    assert requests(sandbox) == 1
    send_all_clear_notification()(dag_succeeded())
    assert said(sandbox) == "Airflow: all clear, DAG sales succeeded, run r1"


def test_a_run_that_began_before_the_failure_of_another_clears_nothing(sandbox: Any) -> None:
    SmsNotifier(to=ANNA)(task("failed", run_id="r2"))
    AllClearNotifier()(task("success", run_id="r1", began=NOW - timedelta(days=1)))
    assert requests(sandbox) == 1
    AllClearNotifier()(task("success", run_id="r3", began=datetime.now(UTC) + timedelta(seconds=1)))
    assert requests(sandbox) == 2


def test_who_is_no_contact_any_more_is_not_told_and_nobody_in_their_place(
    sandbox: Any, tmp_path: Path, logs: Logs
) -> None:
    SmsNotifier(to="@anne")(task("failed"))
    (tmp_path / "contacts.json").write_text(json.dumps({"people": {"ben": {"phone": BEN}}}), encoding="utf-8")
    AllClearNotifier()(task("success"))
    assert requests(sandbox) == 1
    assert "anne is not told: not among the contacts any more" in logs.text


def test_a_gateway_that_refuses_is_logged_and_the_callback_goes_on(sandbox: Any, logs: Logs) -> None:
    SmsNotifier(to=ANNA)(task("failed"))
    fault(sandbox, "429", retry_after=600, times=None)
    AllClearNotifier()(task("success"))
    assert "the all clear of incident 1 to a number was not sent" in logs.text


def test_what_could_not_be_sent_the_next_all_clear_notifier_sends(sandbox: Any) -> None:
    SmsNotifier(to=["@anne", "@ben"])(task("failed"))
    fault(sandbox, "429", path="/send", times=2, retry_after=600)
    AllClearNotifier()(task("success"))
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1}
    with incident_store()._store.write() as connection:
        connection.exec_driver_sql("UPDATE voicepartner_all_clear SET next_at = 0")
    for _ in range(2):
        AllClearNotifier()(task("success", run_id="r9"))
    assert sent(sandbox, "smspartner") == {ANNA: 2, BEN: 2}
    assert said(sandbox).endswith("run r1")


def test_without_a_store_nothing_is_said_and_the_callback_goes_on(
    sandbox: Any, logs: Logs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dead.db").mkdir()
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_URL", f"sqlite:///{tmp_path / 'dead.db'}")
    AllClearNotifier()(task("success"))
    assert "perhaps not everybody was told all clear" in logs.text


def test_where_callbacks_are_awaited_too(sandbox: Any) -> None:
    SmsNotifier(to=ANNA)(task("failed"))
    asyncio.run(AllClearNotifier().async_notify(task("success")))  # type: ignore[arg-type]
    assert sent(sandbox, "smspartner") == {ANNA: 2}


def test_a_misspelt_argument_fails_when_the_dag_is_parsed() -> None:
    with pytest.raises(TypeError, match="AllClearNotifier has no argument 'to'"):
        AllClearNotifier(to=ANNA)


def test_a_person_is_named_once_and_by_sms_first() -> None:
    call, sms = (Told(conn_id="c", kind=kind, person="anne") for kind in ("tts", "sms"))
    assert one_each([call, sms, call]) == [sms]
