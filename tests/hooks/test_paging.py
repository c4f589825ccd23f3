"""The runner of escalations over real sockets: it pages, hears answers, tells the others, and shows no number."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.delivery.tokens import PREFIX
from airflow_provider_voicepartner.hooks.answer_pages import answer_routes
from airflow_provider_voicepartner.hooks.callbacks import callback_config
from airflow_provider_voicepartner.hooks.octopush import OctopushHook
from airflow_provider_voicepartner.hooks.paging import Pager
from airflow_provider_voicepartner.incidents.answers import Channel
from airflow_provider_voicepartner.incidents.escalation import Action
from tests.support.escalations import (
    Clock,
    answer_rows,
    incident_row,
    open_incident,
    page_rows,
)
from tests.support.gateways import fault, outcome, requests, sent
from tests.support.receiver import SECRET, running_receiver
from tests.support.tasks import Logs

ANNE, BRUNO, CHLOE, BOSS = "+33612345601", "+33612345602", "+33612345603", "+33612345604"

CONTACTS = """
last_resort = "boss"
[people.anne]
phone = "0612345601"
language = "fr"
[people.bruno]
phone = "0612345602"
[people.chloe]
phone = "0612345603"
[people.boss]
phone = "0612345604"
[groups.team]
members = ["bruno", "chloe"]
[policies.night]
steps = [
  { who = "@anne", by = "sms", wait = "5m" },
  { who = "@team", by = "call", wait = "10m" },
]
sms = "smspartner_default"
call = "octopush_default"
"""


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Logs:
    return Logs(caplog, capfd)


class Night:
    """A store, its receiver, the sandbox, and a runner whose clock the test sets."""

    def __init__(self, store: Store, clock: Clock, sandbox: Any) -> None:
        self.store, self.clock, self.sandbox = store, clock, sandbox
        self.pager = Pager(store)

    def open(self, **more: Any) -> int:
        return open_incident(self.store, **more)

    def wait(self, seconds: float) -> None:
        """Let time pass for the store and the sandbox, until all calls were made."""
        self.clock.advance(seconds)
        self.sandbox.advance(seconds)
        assert self.sandbox.wait_for_callbacks(60)

    def texts(self, number: str, gateway: str = "smspartner") -> list[str]:
        """Return what was said to a number, in order."""
        world = self.sandbox.world
        with world.lock:
            found = [
                (campaign.serial, campaign.text if line.text is None else line.text)
                for campaign in world.campaigns[gateway].values()
                for line in campaign.lines
                if line.number == number
            ]
        return [text for _, text in sorted(found)]


@pytest.fixture
def night(sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Night]:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    contacts = tmp_path / "contacts.toml"
    contacts.write_text(CONTACTS)
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CONTACTS", str(contacts))
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CALLBACK_SECRET", SECRET)
    routes = answer_routes(lambda: open_store(url), PREFIX)
    with running_receiver(url, routes=routes) as receiver:
        monkeypatch.setenv("AIRFLOW__VOICEPARTNER__PUBLIC_URL", receiver.url)
        config = callback_config()
        assert config is not None
        account = config.for_connection("octopush", "octopush_default")
        OctopushHook().edit_campaign_parameters(
            callback_url_for_deliveries=account, callback_url_for_inbounds=account
        )
        clock = Clock(time.time())
        store = open_store(url, clock=clock)
        yield Night(store, clock, sandbox)
        store.close()


def test_nobody_answers_and_everybody_is_asked_as_agreed(night: Night, logs: Logs) -> None:
    night.open(title="sales.load failed: ValueError: no rows")
    assert night.pager.run_due().pages == 1
    assert sent(night.sandbox, "smspartner") == {ANNE: 1}
    [text] = night.texts(ANNE)
    assert text.startswith("sales.load failed: ValueError: no rows. Répondez 1 pour prendre, 2 pour passer")
    assert night.pager.run_due().pages == 0
    night.wait(300)
    assert night.pager.run_due().pages == 2
    assert sent(night.sandbox, "octopush") == {BRUNO: 1, CHLOE: 1}
    assert "Press 1 to take it, 2 to pass it on." in night.texts(BRUNO, "octopush")[0]
    night.wait(600)
    assert night.pager.run_due().pages == 2
    assert sent(night.sandbox, "smspartner") == {ANNE: 1, BOSS: 1}
    assert sent(night.sandbox, "octopush") == {BRUNO: 1, CHLOE: 1, BOSS: 1}
    night.wait(600)
    assert night.pager.run_due().pages == 0
    assert night.pager.run_due().next_due is None
    assert {row.phase for row in page_rows(night.store)} == {"sent"}
    assert all(row.gateway_id for row in page_rows(night.store))
    assert not any(number[-8:] in logs.text for number in (ANNE, BRUNO, CHLOE, BOSS))


def test_a_reply_acknowledges_and_the_others_are_told(night: Night) -> None:
    outcome(night.sandbox, ANNE, "delivered", reply="1 je prends", after=350.0)
    incident = night.open()
    night.pager.run_due()
    night.wait(300)
    night.pager.run_due()
    night.wait(280)
    run = night.pager.run_due()
    assert (run.answers, run.pages) == (1, 0)
    row = incident_row(night.store, incident)
    assert (row.state, row.owner) == ("acknowledged", "anne")
    assert night.texts(BRUNO) == ["sales.load failed. anne has it."]
    assert night.texts(CHLOE) == ["sales.load failed. anne has it."]
    assert night.texts(ANNE)[1].startswith("sales.load failed. C'est pour vous.")
    night.wait(3000)
    assert night.pager.run_due().pages == 0
    assert sent(night.sandbox, "octopush") == {BRUNO: 1, CHLOE: 1}


def test_a_pressed_key_acknowledges(night: Night) -> None:
    outcome(night.sandbox, CHLOE, "delivered", pressed_keys="1", after=20.0)
    outcome(night.sandbox, BRUNO, "busy", after=20.0)
    incident = night.open()
    night.pager.run_due()
    night.wait(300)
    night.pager.run_due()
    night.wait(30)
    night.pager.run_due()
    assert incident_row(night.store, incident).owner == "chloe"
    [noted] = answer_rows(night.store)
    assert (noted.channel, noted.person, noted.result) == ("call", "chloe", "acknowledged")


def test_a_stranger_on_the_accounts_number_does_nothing(night: Night) -> None:
    incident = night.open()
    night.pager.run_due()
    world = night.sandbox.world
    with world.lock:
        facts = {"text": "1", "stop": False, "number": "+33612345699"}
        world.plan(world.now(), ("inbound", "octopush", "", 0, facts))
        world.settle()
        world.changed.notify_all()
    night.wait(10)
    assert night.pager.run_due().answers == 0
    assert incident_row(night.store, incident).state == "open"
    assert answer_rows(night.store) == []


def test_a_gateway_that_is_down_brings_the_next_step_forward(night: Night, logs: Logs) -> None:
    fault(night.sandbox, "429", gateway="smspartner")
    night.open()
    assert night.pager.run_due().pages == 2
    assert [(row.person, row.phase) for row in page_rows(night.store)] == [
        ("anne", "not_sent"), ("bruno", "sent"), ("chloe", "sent"),
    ]  # fmt: skip
    assert "page 1 to anne by sms was not sent" in logs.text


def test_an_answer_that_is_lost_is_a_doubt_and_no_second_page(night: Night, logs: Logs) -> None:
    fault(night.sandbox, "drop_after", gateway="smspartner")
    night.open()
    night.pager.run_due()
    assert [row.phase for row in page_rows(night.store)] == ["in_doubt"]
    assert sent(night.sandbox, "smspartner") == {ANNE: 1}
    assert "may have arrived, nobody knows" in logs.text
    night.wait(200)
    night.pager.run_due()
    assert requests(night.sandbox) == 2  # the account's URLs, and the page


def test_contacts_that_cannot_be_read_now_lose_no_step(
    night: Night, monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    incident = night.open()
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CONTACTS", "/nowhere/contacts.toml")
    assert night.pager.run_due().pages == 0
    assert incident_row(night.store, incident).escalation is None
    monkeypatch.undo()


def test_whoever_is_logged_in_acts_and_the_others_are_told(night: Night) -> None:
    incident = night.open()
    night.pager.run_due()
    done = night.pager.act(incident, Action.ACKNOWLEDGE, "ops", Channel.CLI, digest="x")
    assert done is not None
    assert done.owner == "ops"
    assert night.texts(ANNE)[1] == "sales.load failed. ops s'en occupe."


def test_a_page_that_is_claimed_before_an_acknowledgement_does_not_leave_after_it(night: Night) -> None:
    incident = night.open()
    night.pager.run_due()
    night.clock.advance(300)
    claimed = night.pager.pages.take_turn(incident, night.pager._resolve)
    assert len(claimed) == 2
    night.pager.act(incident, Action.ACKNOWLEDGE, "anne", Channel.CLI, digest="x")
    assert night.pager.send(claimed) == 0
    assert sent(night.sandbox, "octopush") == {}


def test_two_runners_page_once(night: Night, tmp_path: Path) -> None:
    night.open()
    other = Pager(night.store)
    assert night.pager.run_due().pages + other.run_due().pages == 1
    night.wait(300)
    assert other.run_due().pages + night.pager.run_due().pages == 2
    assert sent(night.sandbox, "smspartner") == {ANNE: 1}


def test_one_that_cannot_be_read_does_not_stop_the_others(night: Night, logs: Logs) -> None:
    from sqlalchemy import text

    broken = night.open()
    night.pager.run_due()
    with night.store.write() as connection:
        connection.execute(
            text(
                "UPDATE voicepartner_incident SET escalation = '{\"policy\": 3}', due_at = 0 WHERE id = :id"
            ),
            {"id": broken},
        )
    outcome(night.sandbox, ANNE, "delivered", reply="1", after=1.0)
    night.open()
    assert night.pager.run_due().pages == 1
    night.wait(100)
    night.pager.run_due()
    assert f"incident {broken} cannot be worked on" in logs.text
    assert sent(night.sandbox, "smspartner")[ANNE] >= 2


def test_what_stays_wrong_is_logged_once_and_not_with_each_look(
    night: Night, caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "others.toml").write_text(CONTACTS.replace('last_resort = "boss"', ""))
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CONTACTS", str(tmp_path / "others.toml"))
    night.open(policy="gone")
    for _ in range(5):
        assert night.pager.run_due().pages == 0
    assert caplog.text.count("Nobody can be paged: policy: 'gone' is no policy of") == 1
    # What is wrong besides is said as well.
    night.open(policy="lost")
    night.pager.run_due()
    assert caplog.text.count("Nobody can be paged: policy: 'lost'") == 1


def test_a_preview_of_the_link_changes_nothing_and_its_button_does(night: Night) -> None:
    outcome(night.sandbox, ANNE, "delivered", link="open", after=1.0)
    first = night.open()
    night.pager.run_due()
    night.wait(60)
    assert incident_row(night.store, first).state == "open"
    outcome(night.sandbox, ANNE, "delivered", link="press", after=1.0)
    second = night.open()
    night.pager.run_due()
    night.wait(60)
    assert incident_row(night.store, first).state == "open"
    assert incident_row(night.store, second).owner == "anne"
    [noted] = answer_rows(night.store)
    assert noted.channel == "link"


def test_whoever_answers_three_times_has_it_once(night: Night) -> None:
    outcome(night.sandbox, ANNE, "delivered", reply="1", reply_times=3, after=1.0)
    incident = night.open()
    night.pager.run_due()
    night.wait(100)
    night.pager.run_due()
    assert incident_row(night.store, incident).owner == "anne"
    # The receiver takes the same words within a short time for one call that was repeated.
    assert [row.result for row in answer_rows(night.store)].count("acknowledged") == 1
    assert sent(night.sandbox, "smspartner") == {ANNE: 2}
