"""The runner of escalations in trouble: at the same second, with changed contacts, odd clocks, without its store."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.constants import HELD_FOR_CONNECTION
from airflow_provider_voicepartner.contacts.policy import By
from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.hooks import page_sending, paging
from airflow_provider_voicepartner.hooks.complaints import Complaints
from airflow_provider_voicepartner.hooks.contacts import known_contacts
from airflow_provider_voicepartner.hooks.page_sending import hook_of_way
from airflow_provider_voicepartner.hooks.paging import Pager, Run
from tests.hooks import test_paging
from tests.hooks.test_paging import ANNE, BOSS, BRUNO, CHLOE, CONTACTS, Night
from tests.support.escalations import answer_rows, incident_row, page_rows
from tests.support.gateways import outcome, sent

night = test_paging.night


@pytest.fixture
def other_store(night: Night, tmp_path: Path) -> Callable[..., Store]:
    """Open the store for another runner, whose clock may be ahead."""
    return lambda ahead=0.0: open_store(
        f"sqlite:///{tmp_path / 'store.db'}", clock=lambda: night.clock() + ahead
    )


@pytest.fixture
def contacts(night: Night, tmp_path: Path) -> Callable[[str], object]:
    """Change the contacts."""
    return (tmp_path / "contacts.toml").write_text


def without(name: str, text: str = CONTACTS) -> str:
    """Return contacts without a table."""
    before, _, after = text.partition(f"[{name}]")
    return before + "".join(after.partition("\n[")[1:]).lstrip("\n")


def test_two_runners_and_an_answer_at_the_second_of_the_step(
    night: Night, other_store: Callable[..., Store]
) -> None:
    outcome(night.sandbox, ANNE, "delivered", reply="1", after=100.0)
    incident = night.open()
    night.pager.run_due()
    night.wait(300)
    begin, problems = threading.Barrier(2), list[BaseException]()

    def run(pager: Pager) -> None:
        begin.wait()
        try:
            pager.run_due()
        except BaseException as error:
            problems.append(error)

    with closing(other_store()) as store:
        runners = [threading.Thread(target=run, args=(one,)) for one in (night.pager, Pager(store))]
        for runner in runners:
            runner.start()
        for runner in runners:
            runner.join()
    assert problems == []
    assert incident_row(night.store, incident).owner == "anne"
    assert len(answer_rows(night.store)) == 1
    assert sent(night.sandbox, "octopush") == {}
    assert sent(night.sandbox, "smspartner") == {ANNE: 2}


def test_a_number_of_two_people_answers_for_whoever_was_paged_last_and_hears_it_once(
    night: Night, contacts: Callable[[str], object]
) -> None:
    shared = CONTACTS.replace('"0612345602"', '"0612345601"').replace(
        'who = "@team", by = "call"', 'who = "@bruno", by = "sms"'
    )
    contacts(shared)
    incident = night.open()
    night.pager.run_due()
    night.wait(300)
    outcome(night.sandbox, ANNE, "delivered", reply="1", after=10.0)
    night.pager.run_due()
    night.wait(200)
    night.pager.run_due()
    assert incident_row(night.store, incident).owner == "bruno"
    assert len(night.texts(ANNE)) == 3
    assert night.texts(ANNE)[-1].startswith("sales.load failed. ")


def test_a_policy_that_is_changed_or_gone_loses_no_step(
    night: Night, contacts: Callable[[str], object]
) -> None:
    night.open()
    night.pager.run_due()
    contacts(without("policies.night"))
    night.wait(300)
    assert night.pager.run_due().pages == 2
    assert sent(night.sandbox, "octopush") == {BRUNO: 1, CHLOE: 1}


def test_a_person_who_is_removed_may_still_answer_and_is_told(
    night: Night, contacts: Callable[[str], object]
) -> None:
    outcome(night.sandbox, ANNE, "delivered", reply="1", after=10.0)
    incident = night.open()
    night.pager.run_due()
    contacts(without("people.anne"))
    night.wait(200)
    night.pager.run_due()
    assert incident_row(night.store, incident).owner == "anne"
    assert len(night.texts(ANNE)) == 2


def test_in_place_of_people_who_are_removed_the_last_resort_is_paged(
    night: Night, contacts: Callable[[str], object]
) -> None:
    night.open()
    night.pager.run_due()
    contacts(without("groups.team", without("people.chloe", without("people.bruno"))))
    night.wait(300)
    assert night.pager.run_due().pages == 1
    assert sent(night.sandbox, "octopush") == {BOSS: 1}


@pytest.mark.parametrize("ahead", [30.0, -30.0])
def test_clocks_that_are_apart_page_nobody_twice_and_leave_nobody_out(
    ahead: float, night: Night, other_store: Callable[..., Store]
) -> None:
    night.open()
    with closing(other_store(ahead)) as store:
        other = Pager(store)
        for _ in range(20):
            night.pager.run_due()
            other.run_due()
            night.wait(100)
    assert sent(night.sandbox, "smspartner") == {ANNE: 1, BOSS: 1}
    assert sent(night.sandbox, "octopush") == {BRUNO: 1, CHLOE: 1, BOSS: 1}
    assert {row.phase for row in page_rows(night.store)} == {"sent"}


class Breaking:
    """A store that may be away for a while, for reads, writes or both."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.away: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def read(self) -> AbstractContextManager[Any]:
        """Read, if it is there."""
        return self._work("read")

    def write(self) -> AbstractContextManager[Any]:
        """Write, if it is there."""
        return self._work("write")

    def _work(self, how: str) -> Any:
        if how in self.away:
            raise StoreUnavailableError("the store is away")
        return getattr(self._store, how)()


@pytest.mark.parametrize(
    ("away", "phase", "calls"),
    [
        (("write",), "sent", {BRUNO: 1, CHLOE: 1}),
        (("read", "write"), "not_sent", {BOSS: 1}),
    ],
    ids=["after the pages left", "before they left"],
)
def test_a_store_that_is_away_amid_a_step(
    away: tuple[str, ...],
    phase: str,
    calls: dict[str, int],
    night: Night,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Breaking(night.store)
    pager = Pager(store)  # type: ignore[arg-type]
    find_ways, is_back = pager.ways, False

    def ways(claimed: Any, info: Any) -> Any:
        # Asked when a page was claimed, right before it leaves.
        if claimed.page.conn_id == "octopush_default" and not is_back:
            store.away = away
        return find_ways(claimed, info)

    monkeypatch.setattr(pager, "ways", ways)
    night.open()
    pager.run_due()
    night.wait(300)
    with pytest.raises(StoreUnavailableError):
        pager.run_due()
    for _ in range(2):
        with pytest.raises(StoreUnavailableError):
            pager.run_due()
    store.away, is_back = (), True
    pager.run_due()
    assert {row.phase for row in page_rows(night.store) if row.person in ("bruno", "chloe")} == {phase}
    pager.run_due()
    assert sent(night.sandbox, "octopush") == calls
    assert sent(night.sandbox, "smspartner") == ({ANNE: 1} if phase == "sent" else {ANNE: 1, BOSS: 1})


class Held:
    """No look-up of the connection for calls ends before it is given."""

    def __init__(self) -> None:
        self.given, self.asked = threading.Event(), 0

    def make_hook(self, conn_id: str, by: By) -> Any:
        if conn_id == "octopush_default":
            self.asked += 1
            self.given.wait()
        return hook_of_way(conn_id, by)


@pytest.fixture
def held(night: Night, monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    monkeypatch.setattr(paging, "ALERT_QUESTION_TIMEOUT", 2.0)
    monkeypatch.setattr(page_sending, "ALERT_TIMEOUT", 2.0)
    found = Held()
    night.pager = Pager(night.store, contacts=known_contacts, make_hook=found.make_hook)
    yield found
    found.given.set()


def test_a_step_waits_for_a_connection_that_airflow_does_not_give(night: Night, held: Held) -> None:
    night.open()
    night.open()
    night.pager.run_due()
    night.wait(300)
    assert night.pager.run_due() == Run(next_due=0.0)
    # Once for all incidents: each would hold up the answers to the others.
    assert held.asked == 1
    assert [row.person for row in page_rows(night.store)] == ["anne", "anne"]
    held.given.set()
    assert night.pager.run_due().pages == 4
    assert sent(night.sandbox, "octopush") == {BRUNO: 2, CHLOE: 2}


def test_but_not_for_long_and_not_where_another_way_is_left(night: Night, held: Held) -> None:
    night.open()
    night.pager.run_due()
    night.wait(300 + HELD_FOR_CONNECTION)
    # The last resort is paged in both ways, and one of them is known.
    assert night.pager.run_due().pages == 1
    assert sent(night.sandbox, "smspartner") == {ANNE: 1, BOSS: 1}
    assert {(row.person, row.phase) for row in page_rows(night.store)} == {
        ("anne", "sent"), ("bruno", "not_sent"), ("chloe", "not_sent"), ("boss", "sent"), ("boss", "not_sent"),
    }  # fmt: skip


def test_what_lasts_is_logged_ever_more_seldom_and_again_when_it_comes_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 0.0
    complaints, logged = Complaints(clock=lambda: now), list[float]()
    for now in [*range(0, 20_000, 2), *range(20_100, 20_130, 2)]:
        caplog.clear()
        complaints.say("the policy is gone")
        logged += [now] * caplog.text.count("the policy is gone")
    assert logged == [0, 60, 180, 420, 900, 1860, 3780, 7380, 10_980, 14_580, 18_180, 20_100]
