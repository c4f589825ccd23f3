"""A question by SMS or call that can be answered by phone, from the notifier to Airflow, over real sockets."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from airflow_provider_voicepartner.constants import ANSWER_HOLD, MOST_OWN_LINKS
from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.delivery.tokens import PREFIX
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.hooks.callbacks import callback_config
from airflow_provider_voicepartner.hooks.octopush import OctopushHook
from airflow_provider_voicepartner.hooks.question_pages import question_routes
from airflow_provider_voicepartner.incidents.links import QUESTIONS, PageLink, PageLinks
from airflow_provider_voicepartner.incidents.question_model import Question, Stage
from airflow_provider_voicepartner.incidents.questions import QuestionStore
from airflow_provider_voicepartner.notifications.question import QuestionNotifier
from airflow_provider_voicepartner.watchdog.questions import QuestionRunner
from airflow_provider_voicepartner.watchdog.telling import Connections
from tests.notifications.test_questions import HITLOperator, context
from tests.support.asked_airflow import AskedAirflow
from tests.support.gateways import bodies, fault, last_body, outcome, sent
from tests.support.receiver import SECRET, running_receiver
from tests.support.tasks import Logs

ANNA, BRUNO = "+33612345601", "+33612345602"
SUBJECT = "Déployer la version plantée 4711 ?"
CONTACTS = """
last_resort = "anna"
[people.anna]
phone = "0612345601"
language = "fr"
[people.bruno]
phone = "0612345602"
language = "fr"
"""


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Logs:
    return Logs(caplog, capfd)


@pytest.fixture
def no_way(sandbox: Any, set_connection: Any) -> str:
    """Return a connection that the gateway refuses."""
    return str(
        set_connection("smspartner", "refused", host=sandbox.gateway_url("smspartner"), password="wrong")
    )


class Office:
    """A store whose clock can be put forward, its receiver, and a watchdog."""

    def __init__(self, url: str, sandbox: Any) -> None:
        self.ahead = 0.0
        self.store = open_store(url, clock=lambda: time.time() + self.ahead)
        self.questions = QuestionStore(self.store)
        self.airflow = AskedAirflow()
        self.sandbox = sandbox
        self.runner = QuestionRunner(self.store, self.airflow, Connections(), clock=UTC)

    def run(self, seconds: float = 0.0) -> None:
        self.ahead += seconds
        self.runner.run()

    def asked(self) -> Question:
        (question,) = self.questions.find()
        self.airflow.ask(question)
        return question

    def deliver(self) -> None:
        self.sandbox.advance(400.0)
        assert self.sandbox.wait_for_callbacks(60)


@pytest.fixture
def office(
    sandbox: Any, set_connection: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Office]:
    url = f"sqlite:///{tmp_path}/store.db"
    file = tmp_path / "contacts.toml"
    file.write_text(CONTACTS)
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CONTACTS", str(file))
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CALLBACK_SECRET", SECRET)
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_URL", url)
    routes = question_routes(lambda: open_store(url), PREFIX)
    with running_receiver(url, routes=routes) as calls:
        monkeypatch.setenv("AIRFLOW__VOICEPARTNER__PUBLIC_URL", calls.url)
        config = callback_config()
        assert config is not None
        account = config.for_connection("octopush", "octopush_default")
        OctopushHook().edit_campaign_parameters(
            callback_url_for_deliveries=account, callback_url_for_inbounds=account
        )
        made = Office(url, sandbox)
        made.run()
        yield made
        made.store.close()


def ask(to: Any = "@anna", *, task: Any = None, **more: Any) -> None:
    QuestionNotifier(to=to, **more)(context(task or HITLOperator(subject=SUBJECT), id="ti-1"))


def test_a_question_by_sms_is_answered_by_a_reply(office: Office, logs: Logs) -> None:
    outcome(office.sandbox, ANNA, "delivered", reply="1 merci", after=5.0)
    ask(["@anna", "@bruno"])
    text = str(last_body(office.sandbox)["message"])
    question = office.asked()
    code = question.code
    assert text.startswith(
        "Airflow: release.approve demande: Déployer la version plantée 4711 ? 1 Approve 2 Reject."
    )
    assert f"Répondez {code} 1 ou {code} 2, ou ici: http" in text
    office.deliver()
    office.run()
    assert office.questions.get(question.id).state is Stage.DECIDED  # type: ignore[union-attr]
    office.run(ANSWER_HOLD)
    assert office.airflow.answers == [("ti-1", ("Approve",))]
    assert last_body(office.sandbox)["message"] == "release.approve : Approve, c'est noté."
    assert sent(office.sandbox, "smspartner") == {ANNA: 2, BRUNO: 1}
    for secret in (ANNA[1:], BRUNO[1:], "plantée", "merci", SECRET):
        assert secret not in logs.text
    stored = b"".join(
        file.read_bytes()
        for file in Path(office.store.name.removeprefix("sqlite:///")).parent.glob("store.db*")
    )
    assert "plantée".encode() not in stored


LINK = re.compile(r"http://127\.0\.0\.1:\d+/voicepartner/q/[A-Za-z0-9_-]+")


def test_a_link_answers_by_a_button_and_not_by_being_opened(office: Office) -> None:
    ask(task=HITLOperator(subject=SUBJECT, options=["<Approve>", "Reject"]))
    found = LINK.search(str(last_body(office.sandbox)["message"]))
    assert found is not None
    question = office.asked()
    for method in ("GET", "HEAD", "GET"):
        page = requests.request(method, found[0], timeout=30)
        assert page.status_code == 200
    assert "&lt;Approve&gt;" in page.text
    assert "Nobody has decided yet." in page.text
    assert ANNA[1:] not in page.text
    assert office.questions.get(question.id).state is Stage.OPEN  # type: ignore[union-attr]
    assert requests.post(found[0], data={"option": "7"}, timeout=30).status_code == 200
    assert requests.post(found[0], data={"option": "x"}, timeout=30).status_code == 400
    assert requests.post(f"{found[0][:-2]}AA", data={"option": "1"}, timeout=30).status_code == 404
    assert requests.put(found[0], timeout=30).status_code == 405
    assert office.questions.get(question.id).state is Stage.OPEN  # type: ignore[union-attr]
    page = requests.post(found[0], data={"option": "1"}, headers={"accept-language": "fr"}, timeout=30)
    assert "anna a décidé : &lt;Approve&gt;" in page.text
    assert "<button" not in page.text
    second = requests.post(found[0], data={"option": "2"}, timeout=30)
    assert "anna decided: &lt;Approve&gt;" in second.text
    office.run(ANSWER_HOLD)
    assert office.airflow.answers == [("ti-1", ("<Approve>",))]


def test_where_a_link_does_not_fit_nothing_is_said_of_it(office: Office) -> None:
    ask(max_segments=1)
    text, (question,) = str(last_body(office.sandbox)["message"]), office.questions.find()
    assert text.endswith(f"Répondez {question.code} 1 ou {question.code} 2, ou dans Airflow")


def test_each_of_several_has_a_link_of_their_own_and_their_language(office: Office, tmp_path: Path) -> None:
    (tmp_path / "contacts.toml").write_text(CONTACTS.replace('02"\nlanguage = "fr"', '02"\nlanguage = "en"'))
    ask(["@anna", "@bruno", "+33612345603"])
    world = office.sandbox.world.campaigns["smspartner"].values()
    texts = {line.number: str(one.text or line.text) for one in world for line in one.lines}
    links = {number: found[0] for number, text in texts.items() if (found := LINK.search(text))}
    assert len(links) == len(set(links.values())) == 3
    assert {number for number, text in texts.items() if "Répondez" in text} == {ANNA}
    assert sent(office.sandbox, "smspartner") == {ANNA: 1, BRUNO: 1, "+33612345603": 1}
    office.asked()
    page = requests.post(links[BRUNO], data={"option": "1"}, timeout=30)
    assert "bruno decided: Approve" in page.text
    office.run(ANSWER_HOLD)
    assert office.airflow.answers == [("ti-1", ("Approve",))]


def test_those_who_share_a_call_are_known_by_its_reference_whatever_their_clock(
    office: Office, tmp_path: Path
) -> None:
    zones = CONTACTS.replace("[people.bruno]", '[people.bruno]\ntime_zone = "Asia/Tokyo"')
    (tmp_path / "contacts.toml").write_text(zones.replace('02"\nlanguage = "fr"', '02"\nlanguage = "en"'))
    ask(["@anna", "@bruno", "+33612345603"], by="call")
    calls = office.sandbox.world.campaigns["octopush"].values()
    with office.store.read() as connection:
        rows = connection.exec_driver_sql("SELECT phone_number, reference FROM voicepartner_question_asked")
        stored = {row[0]: row[1] for row in rows}
    assert stored == {line.number: one.reference for one in calls for line in one.lines}
    assert len(calls) == 2  # French and English


def test_a_text_to_many_has_no_link_and_is_one_request(office: Office) -> None:
    ask(["@anna", *(f"+336123456{number}" for number in range(10, 10 + MOST_OWN_LINKS))])
    texts = [str(body["message"]) for body in bodies(office.sandbox) if "message" in body]
    assert len(texts) == 2  # French and English
    assert not any(LINK.search(text) for text in texts)
    assert len(sent(office.sandbox, "smspartner")) == MOST_OWN_LINKS + 1


def test_a_link_is_not_believed_after_its_time(office: Office) -> None:
    links = PageLinks([SECRET], salt=QUESTIONS)
    token = links.make(PageLink(1, 1), expires=1_000.0)
    assert links.read(token, now=900.0) == PageLink(1, 1)
    assert links.read(token, now=1_100.0) is None
    assert PageLinks([SECRET]).read(token, now=900.0) is None


def test_a_question_by_call_is_answered_by_a_key(office: Office, logs: Logs) -> None:
    outcome(office.sandbox, ANNA, "delivered", pressed_keys="2", after=5.0)
    ask(by="call")
    body = last_body(office.sandbox)
    assert body["get_back_pressed_keys"] is True
    assert "Choix 1 : Approve. Choix 2 : Reject. Appuyez sur le numéro de votre choix." in body["text"]
    question = office.asked()
    office.deliver()
    office.run()
    office.run(ANSWER_HOLD)
    assert office.airflow.answers == [(question.ti_id, ("Reject",))]
    assert ANNA[1:] not in logs.text


def test_a_gateway_that_tells_no_keys_asks_for_an_answer_in_airflow(office: Office, logs: Logs) -> None:
    ask(by="call", conn_id="voicepartner_default")
    assert "Répondez dans Airflow" in str(last_body(office.sandbox)["text"])
    assert office.questions.find() == []
    assert "is answered in Airflow only" in logs.text


@pytest.mark.parametrize(
    "task",
    [
        HITLOperator(subject=SUBJECT, options=[f"option {number}" for number in range(10)]),
        HITLOperator(subject=SUBJECT, options=["2", "1"]),
        HITLOperator(subject=SUBJECT, params={"comment": "?"}),
    ],
    ids=["many", "digits", "form"],
)
def test_what_a_phone_cannot_answer_is_answered_in_airflow(office: Office, task: Any) -> None:
    ask(task=task)
    text = str(last_body(office.sandbox)["message"])
    assert "Répondre dans Airflow" in text
    assert "Répondez" not in text
    assert office.questions.find() == []


def test_without_a_watchdog_nobody_is_told_to_reply(office: Office, logs: Logs) -> None:
    with office.store.write() as connection:
        connection.exec_driver_sql("UPDATE voicepartner_watch SET at = at - 1000")
    ask()
    assert "Répondre dans Airflow" in str(last_body(office.sandbox)["message"])
    assert "no watchdog has read answers lately" in logs.text
    assert office.questions.find() == []


def test_without_a_store_the_plain_question_goes_out(
    office: Office, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_URL", "sqlite:////dev/null/store.db")
    ask()
    assert "Répondre dans Airflow" in str(last_body(office.sandbox)["message"])
    assert sent(office.sandbox, "smspartner") == {ANNA: 1}


def test_a_store_that_hangs_opens_no_question_behind_the_message(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_voicepartner.hooks.questions.QUESTION_STORE_TIMEOUT", 0.0)
    ask()
    assert "Répondre dans Airflow" in str(last_body(office.sandbox)["message"])
    outcome(office.sandbox, ANNA, "delivered", reply="1", after=5.0)
    end = time.monotonic() + 30
    while time.monotonic() < end and not office.questions.find():
        time.sleep(0.05)
    # It may have been opened late, and then nobody may answer it.
    office.deliver()
    office.run()
    assert all(one.state is Stage.OPEN for one in office.questions.find())


def test_a_number_that_was_not_reached_may_not_answer(office: Office, no_way: str) -> None:
    ask(conn_id=no_way)
    question = office.asked()
    with office.store.read() as connection:
        asked = connection.exec_driver_sql("SELECT count(*) FROM voicepartner_question_asked").scalar()
    assert (question.state, asked) == (Stage.OPEN, 0)


def test_two_notifiers_ask_one_question(office: Office) -> None:
    notifiers = [QuestionNotifier(to="@anna"), QuestionNotifier(to="@bruno", by="call")]
    for notifier in notifiers:
        notifier(context(HITLOperator(subject=SUBJECT), id="ti-1"))
    office.asked()
    assert sent(office.sandbox, "smspartner") == {ANNA: 1}
    assert sent(office.sandbox, "octopush") == {BRUNO: 1}


def test_the_text_fits_into_three_segments_and_still_says_how_to_answer(office: Office) -> None:
    ask(task=HITLOperator(subject="mot " * 300, response_timeout=timedelta(hours=1)))
    text = str(last_body(office.sandbox)["message"])
    question = office.asked()
    assert f"Répondez {question.code} 1 ou {question.code} 2" in text
    assert question.ends_at is not None
    assert question.ends_at - question.asked_at == pytest.approx(3600, abs=1)


@pytest.mark.parametrize("wrong", [{"by": "letter"}, {"max_segments": 0}])
def test_a_wrong_argument_fails_when_the_dag_is_parsed(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        QuestionNotifier(to=ANNA, **wrong)
    with pytest.raises(TypeError, match="no argument 'subjet'"):
        QuestionNotifier(to=ANNA, subjet="x")


def test_a_message_in_doubt_may_be_answered(office: Office) -> None:
    fault(office.sandbox, "drop_after")
    outcome(office.sandbox, ANNA, "delivered", reply="2", after=5.0)
    ask()
    office.asked()
    office.deliver()
    office.run()
    office.run(ANSWER_HOLD)
    assert office.airflow.answers == [("ti-1", ("Reject",))]


def test_a_fallback_asks_where_the_question_reached_nobody(office: Office, no_way: str) -> None:
    ask(conn_id=no_way, fallback=[QuestionNotifier(to="@bruno")])
    question = office.asked()
    assert str(question.code) in str(last_body(office.sandbox)["message"])
    assert sent(office.sandbox, "smspartner") == {BRUNO: 1}


def test_a_callback_that_is_no_question_is_a_plain_alert(office: Office) -> None:
    QuestionNotifier(to=ANNA)({"ti": SimpleNamespace(state="failed", task_id="t", dag_id="d", run_id="r")})
    assert str(last_body(office.sandbox)["message"]).startswith("Airflow: d.t failed")
