"""An all clear reaches everybody who was told once, though a gateway is down, a sender dies, or many send."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.contacts.directory import Directory, Person
from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.delivery.personal_data import PersonalData
from airflow_provider_voicepartner.exceptions import SendOutcomeUnknownError
from airflow_provider_voicepartner.gateways import smspartner
from airflow_provider_voicepartner.hooks.all_clears import AllClears
from airflow_provider_voicepartner.hooks.contacts import KnownContacts
from airflow_provider_voicepartner.hooks.smspartner import SmsPartnerHook
from airflow_provider_voicepartner.incidents.clearing import (
    AllClearStore,
    ClaimedClear,
    ClearPhase,
    ClearText,
)
from airflow_provider_voicepartner.incidents.model import Success, Told
from airflow_provider_voicepartner.incidents.store import IncidentStore
from tests.support.alerts import failure
from tests.support.escalations import Clock
from tests.support.gateways import fault, sent
from tests.support.tasks import Logs

ANNE, BRUNO, PLAIN = "+33612345601", "+33612345602", "+33612345603"
DIRECTORY = Directory(
    people={
        "anne": Person(name="anne", phones=(ANNE,), mobiles=(ANNE,), language="fr"),
        "bruno": Person(name="bruno", phones=(BRUNO,), mobiles=(BRUNO,), language="en"),
    }
)
TEXT = ClearText(english="etl works", french="etl marche", spoken="It works.", spoken_french="Il marche.")


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Logs:
    return Logs(caplog, capfd)


def told(person: str = "", number: str = "", kind: Any = "sms") -> Told:
    conn_id = "smspartner_default" if kind == "sms" else "octopush_default"
    return Told(conn_id=conn_id, kind=kind, person=person, phone_number=number)


class Room:
    """A store, the sandbox's gateways, and those who send."""

    def __init__(self, sandbox: Any, store: Store, clock: Clock) -> None:
        self.sandbox, self.store, self.clock = sandbox, store, clock
        self.incidents = IncidentStore(store)
        self.known = KnownContacts(DIRECTORY)
        self.runs = 0

    def fail(self, people: Sequence[Told], task: str = "load") -> None:
        self.runs += 1
        self.incidents.told(self.incidents.report(failure(task, run=f"run{self.runs}")), people)

    def succeed(self) -> int:
        return len(self.incidents.resolve(Success(dag_id="etl"), lambda _: TEXT))

    def sender(self, store: Store | None = None) -> AllClears:
        clears = IncidentStore(store or self.store).all_clears
        return AllClears(clears, contacts=lambda: self.known)

    def looks(self, times: int, seconds: float = 61.0) -> None:
        for _ in range(times):
            self.clock.advance(seconds)
            self.sender().send_due()

    def sent(self, gateway: str = "smspartner") -> dict[str, int]:
        return dict(sent(self.sandbox, gateway))

    def phases(self) -> list[str]:
        with self.store.read() as connection:
            found = connection.exec_driver_sql("SELECT phase FROM voicepartner_all_clear").scalars().all()
        return sorted(found)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path}/clears.db"


@pytest.fixture
def room(sandbox: Any, url: str) -> Iterator[Room]:
    clock = Clock()
    with closing(open_store(url, clock=clock)) as store:
        yield Room(sandbox, store, clock)


def test_each_is_told_in_their_language_by_the_way_that_told_them(room: Room) -> None:
    room.fail([told("anne"), told("anne", kind="tts"), told("bruno", kind="tts"), told(number=PLAIN)])
    room.fail([told("bruno")], task="check")
    assert room.succeed() == 2
    room.sender().send_due()
    world = room.sandbox.world.campaigns
    texts = {one.lines[0].number: one.text or one.lines[0].text for one in world["smspartner"].values()}
    assert texts == {ANNE: "etl marche", BRUNO: "etl works", PLAIN: "etl works"}
    assert (room.sent(), room.sent("octopush")) == ({ANNE: 1, BRUNO: 1, PLAIN: 1}, {})
    assert room.phases() == ["told"] * 4
    room.looks(3)
    assert sum(room.sent().values()) == 3


def test_who_was_only_called_is_called(room: Room) -> None:
    room.fail([told("anne", kind="tts")])
    room.succeed()
    room.sender().send_due()
    assert (room.sent(), room.sent("octopush")) == ({}, {ANNE: 1})
    (call,) = room.sandbox.world.campaigns["octopush"].values()
    assert (call.text or call.lines[0].text) == "Il marche."


def test_a_gateway_that_was_down_for_hours_tells_them_once_when_it_is_back(room: Room, logs: Logs) -> None:
    room.fail([told("anne"), told(number=PLAIN)])
    fault(room.sandbox, "429", path="/send", times=None, retry_after=600)
    room.succeed()
    assert room.sender().send_due() is False
    room.looks(180)
    assert room.sent() == {}
    asked = len(list(room.sandbox.world.requests))
    assert asked < 2 * 10
    room.sandbox.world.faults.clear()
    room.looks(300)
    assert room.sent() == {ANNE: 1, PLAIN: 1}
    assert "was not sent" in logs.text
    assert (ANNE[3:] in logs.text, PLAIN[3:] in logs.text) == (False, False)


def test_what_failed_and_worked_again_while_the_gateway_was_down_is_one_all_clear(room: Room) -> None:
    fault(room.sandbox, "429", path="/send", times=None, retry_after=600)
    room.fail([told("anne"), told("bruno")])
    room.succeed()
    room.sender().send_due()
    room.clock.advance(10.0)
    room.fail([told("anne"), told(number=PLAIN)])
    room.succeed()
    room.sandbox.world.faults.clear()
    room.looks(3)
    # Bruno knows of the first failure only, and Anne of both.
    assert room.sent() == {ANNE: 1, BRUNO: 1, PLAIN: 1}
    assert room.phases() == ["dropped", "told", "told", "told"]


def test_after_two_days_it_is_given_up_and_that_is_said(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    room.fail([told("anne")])
    fault(room.sandbox, "429", path="/send", times=None, retry_after=600)
    room.succeed()
    room.looks(100, 1_800)
    room.sandbox.world.faults.clear()
    room.looks(100, 3_600)
    assert (room.sent(), room.phases()) == ({}, ["dropped"])
    assert caplog.text.count("All clears that could not be sent in time are given up: 1") == 1


def test_of_two_only_the_one_who_was_not_told_is_told_later(room: Room) -> None:
    room.fail([told("anne"), told(number=PLAIN)])
    fault(room.sandbox, "429", path="/send", times=1, retry_after=600)
    room.succeed()
    assert room.sender().send_due() is True
    assert (len(room.sent()), room.phases()) == (1, ["not_sent", "told"])
    room.looks(5)
    assert (room.sent(), room.phases()) == ({ANNE: 1, PLAIN: 1}, ["told", "told"])


def test_of_two_numbers_one_refused_and_one_in_doubt_are_no_reason_to_send_again(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Through a gateway that takes one recipient a request.
    monkeypatch.setattr(smspartner, "INFO", replace(smspartner.INFO, most_recipients=1))
    second = "+33612345604"

    class LostAnswers(SmsPartnerHook):
        def send_batch(self, message: Any, recipients: Any, **more: Any) -> Any:
            receipt = super().send_batch(message, recipients, **more)
            if recipients[0].phone_number == second:
                raise SendOutcomeUnknownError("the answer was lost")
            return receipt

    person = Person(name="anne", phones=(), mobiles=(ANNE, second), language="fr")
    room.known = KnownContacts(Directory(people={"anne": person}))
    room.sandbox.world.stop_list["7"] = (ANNE, room.sandbox.world.clock.now())
    room.fail([told("anne")])
    room.succeed()
    for _ in range(3):
        clears = AllClears(
            room.incidents.all_clears,
            contacts=lambda: room.known,
            make_hook=lambda conn_id, by: LostAnswers(conn_id),
        )
        clears.send_due()
        room.clock.advance(600.0)
    assert (room.sent(), room.phases()) == ({second: 1}, ["in_doubt"])


def test_a_sender_that_dies_before_it_sent_is_followed_by_another(room: Room) -> None:
    room.fail([told("anne")])
    room.succeed()
    assert len(room.incidents.all_clears.claim_due().claimed) == 1
    room.sender().send_due()  # it may still be at work
    assert room.sent() == {}
    room.looks(3)
    assert room.sent() == {ANNE: 1}


def test_what_may_have_left_before_its_sender_died_is_never_sent_again(room: Room) -> None:
    room.fail([told("anne")])
    room.succeed()
    (claimed,) = room.incidents.all_clears.claim_due().claimed
    assert room.incidents.all_clears.leave(claimed)
    room.looks(300, 600)
    assert (room.sent(), room.phases()) == ({}, ["in_doubt"])


def test_a_sender_that_dies_once_it_sent_is_followed_by_nobody(room: Room) -> None:
    class Dying(AllClearStore):
        def record(self, claimed: ClaimedClear, phase: ClearPhase) -> None:
            """Die before it."""

    room.fail([told("anne")])
    room.succeed()
    AllClears(Dying(room.store), contacts=lambda: room.known).send_due()
    room.looks(30)
    assert (room.sent(), room.phases()) == ({ANNE: 1}, ["in_doubt"])


def test_an_answer_that_got_lost_is_no_reason_to_send_again(room: Room, logs: Logs) -> None:
    room.fail([told("anne")])
    fault(room.sandbox, "drop_after", path="/send", times=1)
    room.succeed()
    room.sender().send_due()
    room.looks(30)
    assert (room.sent(), room.phases()) == ({ANNE: 1}, ["in_doubt"])
    assert "may have arrived, and is not sent again" in logs.text


def test_a_late_sender_is_stopped_by_the_one_that_took_over(room: Room) -> None:
    room.fail([told("anne")])
    room.succeed()
    clears = room.incidents.all_clears
    (late,) = clears.claim_due().claimed
    room.looks(2)
    assert not clears.leave(late)
    clears.record(late, ClearPhase.NOT_SENT)
    room.looks(5)
    assert (room.sent(), room.phases()) == ({ANNE: 1}, ["told"])


@pytest.mark.parametrize("is_claimed", [False, True])
def test_what_failed_again_meanwhile_is_not_said_to_work(room: Room, is_claimed: bool) -> None:
    room.fail([told("anne")])
    room.succeed()
    claimed = room.incidents.all_clears.claim_due().claimed if is_claimed else ()
    room.fail([told("anne")])
    assert [room.incidents.all_clears.leave(one) for one in claimed] == [False] * len(claimed)
    room.looks(5)
    assert (room.sent(), room.phases()) == ({}, ["dropped"])
    room.succeed()
    room.looks(5)
    assert room.sent() == {ANNE: 1}


def test_contacts_that_cannot_be_read_are_read_later(room: Room) -> None:
    room.fail([told("anne"), told("carl")])
    room.known = KnownContacts(None, ("the file cannot be read",))
    room.succeed()
    room.sender().send_due()
    assert room.phases() == ["not_sent", "not_sent"]
    room.known = KnownContacts(DIRECTORY)
    room.looks(3)
    assert (room.sent(), room.phases()) == ({ANNE: 1}, ["dropped", "told"])


def test_senders_at_once_tell_once(room: Room, url: str) -> None:
    people = [told(number=f"+336123457{number:02}") for number in range(20)]
    room.fail(people)
    room.fail(people[:10], task="check")
    room.succeed()
    with closing(open_store(url, clock=room.clock)) as other:
        work: list[Callable[[], Any]] = [room.sender().send_due, room.sender(other).send_due]
        threads = [threading.Thread(target=one) for one in work * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert room.sent() == {one.phone_number: 1 for one in people}


def test_nobody_is_owed_what_nobody_was_told(room: Room) -> None:
    room.fail([])
    assert room.succeed() == 1
    assert room.phases() == []
    assert room.sender().send_due() is None


def test_a_person_who_is_forgotten_is_owed_nothing(room: Room) -> None:
    room.fail([told(number=PLAIN), told("anne")])
    room.succeed()
    data = PersonalData(room.store)
    assert [row["phase"] for row in data.find(PLAIN).to_json()["all_clears"]] == ["owed"]
    assert data.erase(PLAIN)["all clears"] == 1
    room.sender().send_due()
    assert room.sent() == {ANNE: 1}


def test_the_text_is_in_the_store_only_while_it_is_owed(room: Room) -> None:
    room.fail([told("anne")])
    room.succeed()
    room.sender().send_due()
    with room.store.read() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM voicepartner_all_clear").all()
    assert "etl" not in repr(rows)
