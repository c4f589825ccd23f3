"""What the instances of a mapped task ask each other: whoever may have sent to somebody keeps them, and nobody else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.model import Recipient
from airflow_provider_voicepartner.gateways.wire import Credentials
from airflow_provider_voicepartner.operators.ledger import comparing_lists, expansion_of, is_mapped
from airflow_provider_voicepartner.sending.ledger import Ledger
from airflow_provider_voicepartner.sending.mapped import ALONE, MappedList
from airflow_provider_voicepartner.sending.records import BatchRecord, Phase
from tests.support.ledgers import registered
from tests.support.tasks import CALM, FakeStore

CLAIM = BatchRecord(phase=Phase.CLAIMED, reference="k3v9x0q2w7ha", size=1)
SENT = replace(CLAIM, phase=Phase.SENT, accepted=1)
REFUSED = replace(CLAIM, phase=Phase.REFUSED)
MOVED = "before what the task is mapped over was made anew"
HOOK: Any = SimpleNamespace(conn_type="smspartner", credentials=Credentials(api_key="k"))


class StoppedError(Exception):
    """Whatever ends an attempt."""


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    in_file = f"sqlite:///{tmp_path}/store.db"
    opened = open_store(in_file if request.param == "sqlite" else request.getfixturevalue("postgres_url"))
    yield opened
    opened.close()


def context_of(map_index: int, cleared: int | None = 0) -> Any:
    ti = SimpleNamespace(dag_id="dag", run_id="run", task_id="send", map_index=map_index)
    return {"ti": ti, "dag_run": None if cleared is None else SimpleNamespace(clear_number=cleared)}


def plan_of(people: str) -> Any:
    """Return a plan of one batch, a letter for each person."""
    recipients = [Recipient(f"+3361234560{ord(name) - 64}") for name in people]
    return SimpleNamespace(fingerprint=people, batches=lambda: iter([SimpleNamespace(recipients=recipients)]))


@dataclass
class Instance:
    """An instance of the mapped task, and what its attempts remember."""

    store: Store
    map_index: int
    state: Any

    @contextmanager
    def attempt(
        self, people: str, *, cleared: int = 0, try_number: int = 1, send_again: str | None = None
    ) -> Iterator[Ledger]:
        """Make an attempt with a list; the block is what happens once its ledger is open."""
        ledger = registered(self.state, try_number=try_number)
        with comparing_lists(
            ledger,
            plan_of(people),
            context=context_of(self.map_index, cleared),
            store=self.store,
            hook=HOOK,
        ):
            ledger.open(people, 1, send_again=send_again)
            yield ledger


def taken(store: Store) -> list[tuple[int, int]]:
    """Return how many people each instance has taken."""
    with store.read() as connection:
        rows = connection.execute(
            text("SELECT map_index, people FROM voicepartner_mapped_list ORDER BY map_index, fingerprint")
        )
        # Behind a mark of the key that the people are marked with.
        return [(index, len(bytes(people)[8:]) // 8 if people else 0) for index, people in rows]


def one(store: Store, map_index: int = 0, *, state: bool = True) -> Instance:
    return Instance(store, map_index, FakeStore() if state else None)


def stopped(instance: Instance, people: str, *records: BatchRecord) -> None:
    """Make an attempt that writes records of its batch and is stopped then."""
    with instance.attempt(people) as ledger:
        for record in records:
            ledger.write({0: record})
        raise StoppedError


def test_a_list_is_taken_and_kept_once_something_may_have_gone(store: Store) -> None:
    with one(store).attempt("A"):
        assert taken(store) == [(0, 1)]
    with pytest.raises(StoppedError):
        stopped(one(store), "A", CLAIM)
    assert taken(store) == [(0, 1)]


@pytest.mark.parametrize("state", [True, False], ids=["Airflow 3.3", "without a memory"])
@pytest.mark.parametrize(
    "record", [None, REFUSED, replace(SENT, accepted=0)], ids=["nothing", "refused", "by name"]
)
def test_a_list_of_which_certainly_nobody_was_reached_is_given_back(
    store: Store, state: bool, record: BatchRecord | None
) -> None:
    with pytest.raises(StoppedError):
        stopped(one(store, state=state), "A", *([] if record is None else [CLAIM, record]))
    assert taken(store) == [(0, 0)]


def test_a_list_that_was_sent_is_kept(store: Store) -> None:
    with one(store).attempt("A") as ledger:
        ledger.write({0: SENT})
    assert taken(store) == [(0, 1)]


def test_an_attempt_that_cannot_know_what_was_sent_keeps_its_list(store: Store) -> None:
    with pytest.raises(StoppedError), one(store, state=False).attempt("A", try_number=2):
        raise StoppedError
    assert taken(store) == [(0, 1)]


def test_changed_input_is_refused_before_the_list_is_looked_at(store: Store) -> None:
    mine = one(store)
    with mine.attempt("A") as ledger:
        ledger.write({0: CLAIM})
    with pytest.raises(ConfigurationError, match="has changed since an earlier attempt"), mine.attempt("B"):
        pytest.fail("it was opened")
    assert taken(store) == [(0, 1)]


def test_a_wish_to_send_again_that_others_refuse_forgets_nothing(store: Store) -> None:
    mine = one(store)
    with mine.attempt("A") as ledger:
        ledger.write({0: SENT})
    with one(store, 1).attempt("B") as ledger:
        ledger.write({0: CLAIM})
    with (
        pytest.raises(ConfigurationError, match=MOVED),
        mine.attempt("B", cleared=1, try_number=2, send_again="once more"),
    ):
        pytest.fail("it was opened")
    assert taken(store) == [(0, 1), (1, 1)]
    with mine.attempt("A", cleared=1, try_number=3) as ledger:
        assert ledger.find(0, 1) == SENT


def test_a_refused_list_is_not_given_back_for_others(store: Store) -> None:
    with one(store, 0).attempt("A") as ledger:
        ledger.write({0: CLAIM})
    with pytest.raises(ConfigurationError, match=MOVED), one(store, 1).attempt("A", cleared=1):
        pytest.fail("it was opened")
    assert taken(store) == [(0, 1)]


def test_a_store_that_fails_at_the_end_changes_nothing_and_hides_no_error(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise StoreUnavailableError("gone")

    monkeypatch.setattr(MappedList, "release", fail)
    with pytest.raises(StoppedError), one(store).attempt("A"):
        raise StoppedError
    assert "could not be released for other instances: StoreUnavailableError" in caplog.text


def test_a_rotated_key_lets_an_instance_go_on_and_hides_nobody_who_moved(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = one(store)
    with mine.attempt("A") as ledger:
        ledger.write({0: SENT})
    monkeypatch.setattr(HOOK, "credentials", Credentials(api_key="another"))
    with mine.attempt("A", try_number=2) as ledger:
        assert ledger.find(0, 1) == SENT
    monkeypatch.setattr(HOOK, "credentials", Credentials(api_key="a third"))
    with (
        pytest.raises(ConfigurationError, match="was sent with another key of the account"),
        one(store, 1).attempt("A", cleared=1),
    ):
        pytest.fail("it was opened")


def test_a_task_that_is_not_mapped_asks_nobody(store: Store) -> None:
    with one(store, -1).attempt("A") as ledger:
        ledger.write({0: SENT})
    assert taken(store) == []


@pytest.mark.parametrize(("map_index", "mapped"), [(None, False), (-1, False), (0, True), (7, True)])
def test_which_tasks_are_mapped(map_index: Any, mapped: bool) -> None:
    assert is_mapped(context_of(map_index)) is mapped
    assert not is_mapped({"ti": SimpleNamespace()})  # type: ignore[typeddict-item]  # what it reads


def test_lists_that_were_made_together_are_told_by_how_often_the_run_was_cleared() -> None:
    assert expansion_of(context_of(0, cleared=3)) == expansion_of(context_of(7, cleared=3))
    names = [expansion_of(context_of(0, cleared=cleared)) for cleared in (0, 1, 2)]
    assert len(set(names)) == 3
    assert {len(name) for name in names} == {32}  # which the store has room for
    assert expansion_of(context_of(0, cleared=None)) == ALONE


FATES = ("waits", "is refused", "is in doubt", "is killed", "sends")
ROUND = st.tuples(
    st.permutations("ABCDE"),
    st.lists(st.integers(1, 3), min_size=1, max_size=4),
    st.lists(st.sampled_from(FATES), min_size=8, max_size=8),
)


@CALM
@given(st.lists(ROUND, max_size=5))
def test_nobody_is_sent_to_twice_however_often_the_lists_are_made_anew(rounds: list[Any]) -> None:
    store = open_store("sqlite://")
    instances = [one(store, index) for index in range(4)]
    sent: Counter[str] = Counter()
    for cleared, (order, sizes, fates) in enumerate(rounds):
        ends = list(accumulate(sizes))
        groups = ["".join(order[end - size : end]) for end, size in zip(ends, sizes, strict=True)]
        runs = [(index, group) for index, group in enumerate(groups) if group] * 2
        for (map_index, group), fate in zip(runs, fates, strict=False):
            sent += send(instances[map_index], group, fate, cleared)
    store.close()
    assert not [person for person, times in sent.items() if times > 1]


def send(instance: Instance, group: str, fate: str, cleared: int) -> Counter[str]:
    """Let one attempt go as it is fated to; return who got the message."""
    if fate == "waits":
        return Counter()
    if fate == "is killed":
        return killed(instance, group, cleared)
    try:
        with instance.attempt(group, cleared=cleared) as ledger:
            known = ledger.find(0, len(group))
            if known is not None and known.phase is not Phase.REFUSED:
                return Counter()
            ledger.write({0: CLAIM})
            if fate == "is refused":
                ledger.write({0: REFUSED})
            if fate == "sends":
                ledger.write({0: SENT})
                return Counter(group)
            raise StoppedError
    except ConfigurationError:
        return Counter()
    except StoppedError:
        return Counter() if fate == "is refused" else Counter(group)


def killed(instance: Instance, group: str, cleared: int) -> Counter[str]:
    """Let one attempt send, and be killed before it can give anything back."""
    attempt = instance.attempt(group, cleared=cleared)
    try:
        ledger = attempt.__enter__()
    except ConfigurationError:
        return Counter()
    known = ledger.find(0, len(group))
    if known is not None and known.phase is not Phase.REFUSED:
        return Counter()
    ledger.write({0: CLAIM})
    return Counter(group)
