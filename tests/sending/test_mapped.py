"""What the instances of a mapped task know of each other: nobody moves to another one and is sent the same again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.exceptions import ConfigurationError, RetryableNotSentError
from airflow_provider_voicepartner.gateways.model import Recipient
from airflow_provider_voicepartner.gateways.wire import Credentials
from airflow_provider_voicepartner.sending.fingerprint import account_key
from airflow_provider_voicepartner.sending.ledger import BatchRecord, Phase
from airflow_provider_voicepartner.sending.mapped import (
    ALONE,
    MappedList,
    mark_key,
    mark_recipients,
    task_name,
)

KEY = account_key("smspartner", Credentials(api_key="k"))
CLAIM = BatchRecord(phase=Phase.CLAIMED, reference="k3v9x0q2w7ha", size=1)
MOVED = "before what the task is mapped over was made anew"


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    urls = {"memory": "sqlite://", "sqlite": f"sqlite:///{tmp_path}/store.db"}
    opened = open_store(urls.get(request.param) or request.getfixturevalue("postgres_url"))
    yield opened
    opened.close()


def marks(people: str) -> bytes:
    return mark_recipients(KEY, [[Recipient(f"+3361234560{ord(name) - 64}") for name in people]])


def a_list(store: Store, map_index: int, people: str, *, cleared: object = 0, **more: Any) -> MappedList:
    """Return the list of an instance, a letter for each person."""
    values: dict[str, Any] = {
        "task": task_name("dag", "run", "send"),
        "fingerprint": people,
        "marks": marks(people),
        "expansion": str(cleared),
        "attempt": 1,
    }
    return MappedList(store=store, map_index=map_index, **(values | more))


def taken(store: Store) -> dict[tuple[int, str], int]:
    """Return how many people stand behind each list, by instance and fingerprint."""
    with store.read() as connection:
        rows = connection.execute(text("SELECT map_index, fingerprint, people FROM voicepartner_mapped_list"))
        return {(index, name): len(bytes(people or b"")) // 8 for index, name, people in rows}


class TestTake:
    def test_lists_that_were_made_together_may_be_equal_or_name_the_same_people(self, store: Store) -> None:
        for map_index, people in enumerate(["AB", "AB", "BC"]):
            a_list(store, map_index, people).claim()
        assert taken(store) == {(0, "AB"): 2, (1, "AB"): 2, (2, "BC"): 2}

    @pytest.mark.parametrize("people", ["A", "BC"], ids=["the same list", "somebody of it"])
    def test_who_moved_to_another_instance_is_refused(self, store: Store, people: str) -> None:
        a_list(store, 0, "A").claim()
        a_list(store, 1, "CD").claim()
        before = taken(store)
        with pytest.raises(
            ConfigurationError, match=f"1 of the {len(people)} recipients of map_index 2.*{MOVED}"
        ):
            a_list(store, 2, people, cleared=1).claim()
        assert taken(store) == before

    def test_the_error_names_the_other_instance_and_no_number(self, store: Store) -> None:
        a_list(store, 7, "A").claim()
        with pytest.raises(ConfigurationError, match="in the list of map_index 7 ") as caught:
            a_list(store, 1, "A", cleared=1).claim()
        assert "start a new run" in str(caught.value)
        assert "612345" not in str(caught.value)

    def test_others_may_be_sent_after_a_clearing(self, store: Store) -> None:
        a_list(store, 0, "AB").claim()
        a_list(store, 1, "CD", cleared=1).claim()
        assert taken(store) == {(0, "AB"): 2, (1, "CD"): 2}

    def test_an_instance_goes_on_with_its_own_list_whatever_was_cleared(self, store: Store) -> None:
        for map_index in (0, 1):
            a_list(store, map_index, "A").claim()
        for map_index in (0, 1):
            a_list(store, map_index, "A", cleared=5, attempt=2).claim()

    def test_a_list_that_changed_without_a_clearing_was_not_made_with_the_others(self, store: Store) -> None:
        a_list(store, 0, "A").claim()
        a_list(store, 1, "B").claim()
        a_list(store, 1, "B").release()
        with pytest.raises(ConfigurationError, match=MOVED):
            a_list(store, 1, "A", attempt=2).claim()
        a_list(store, 1, "C", attempt=3).claim()
        with pytest.raises(ConfigurationError, match=MOVED):
            a_list(store, 2, "C").claim()

    def test_where_nobody_knows_what_was_made_together_everybody_is_compared(self, store: Store) -> None:
        a_list(store, 0, "A", cleared=ALONE).claim()
        a_list(store, 1, "B", cleared=ALONE).claim()
        with pytest.raises(ConfigurationError, match=MOVED):
            a_list(store, 2, "A", cleared=ALONE).claim()
        a_list(store, 0, "A", cleared=ALONE, attempt=2).claim()

    def test_other_tasks_and_runs_are_nobodys_concern(self, store: Store) -> None:
        a_list(store, 0, "A").claim()
        for name in (("dag", "run", "call"), ("dag", "another", "send"), ("another", "run", "send")):
            a_list(store, 1, "A", cleared=1, task=task_name(*name)).claim()

    def test_a_store_that_fails_sends_nothing_and_may_be_tried_again(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            raise StoreUnavailableError("gone")

        monkeypatch.setattr(MappedList, "_claim", fail)
        with pytest.raises(RetryableNotSentError, match=r"another mapped instance.*gone\. Nothing was sent"):
            a_list(store, 0, "A").claim()


class TestGiveBack:
    def test_lets_any_instance_have_the_list(self, store: Store) -> None:
        a_list(store, 0, "A").claim()
        a_list(store, 0, "A").release()
        assert taken(store) == {(0, "A"): 0}
        a_list(store, 1, "A", cleared=1).claim()

    def test_does_not_let_the_first_one_have_it_too(self, store: Store) -> None:
        a_list(store, 0, "A").claim()
        a_list(store, 0, "A").release()
        a_list(store, 1, "A", cleared=1).claim()
        with pytest.raises(ConfigurationError, match="in the list of map_index 1 "):
            a_list(store, 0, "A", cleared=2, attempt=2).claim()

    def test_keeps_what_was_made_together_together(self, store: Store) -> None:
        for map_index in (0, 1):
            a_list(store, map_index, "A").claim()
        a_list(store, 1, "A").release()
        a_list(store, 1, "A", cleared=1, attempt=2).claim()
        assert taken(store) == {(0, "A"): 1, (1, "A"): 1}

    @pytest.mark.parametrize("order", [(1, 2), (2, 1)])
    def test_of_an_attempt_that_was_given_up_leaves_what_a_later_one_took(
        self, store: Store, order: tuple[int, ...]
    ) -> None:
        for attempt in order:
            a_list(store, 0, "A", attempt=attempt).claim()
        a_list(store, 0, "A", attempt=1).release()
        assert taken(store) == {(0, "A"): 1}


def test_of_two_instances_that_meet_one_is_refused(store: Store) -> None:
    for slot in range(5):
        lists = [a_list(store, index, "AB", cleared=index, task=task_name(str(slot))) for index in range(4)]
        together, refused = threading.Barrier(len(lists)), []

        def take(mine: MappedList, together: Any = together, refused: list[Any] = refused) -> None:
            together.wait()
            try:
                mine.claim()
            except ConfigurationError as error:
                refused.append(error)

        threads = [threading.Thread(target=take, args=(mine,)) for mine in lists]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(refused) == 3


def test_what_is_kept_names_nobody_and_nothing(store: Store) -> None:
    names = ("a dag of clinics", "manual__2026-05-01", "remind_of_cancer")
    a_list(store, 0, "AB", task=task_name(*names), fingerprint="f" * 32).claim()
    with store.read() as connection:
        told = repr(connection.execute(text("SELECT * FROM voicepartner_mapped_list")).all())
    assert not [word for word in (*names, "612345", "dag") if word in told]


def test_marks_tell_the_same_person_of_the_same_account_and_nothing_more() -> None:
    assert marks("AB") == marks("A") + marks("B")
    assert len({marks("A"), marks("B")}) == 2
    anna = [[Recipient("+33612345601", {"name": "Anna"})]]
    assert mark_recipients(KEY, anna) == marks("A")
    # They are compared with those that an earlier version stored, so the same person keeps hers.
    assert marks("AB").hex() == "58c4b1f30e70e2864ae26eed017f8606"
    assert mark_key(KEY).hex() == "a3d7ad9c3c2c5edc"
    other = account_key("smspartner", Credentials(api_key="another"))
    assert mark_recipients(other, anna) != marks("A")


def test_task_names_do_not_run_into_each_other() -> None:
    assert task_name("a", "bc", "d") != task_name("ab", "c", "d")
    assert len(task_name("a")) == 32
