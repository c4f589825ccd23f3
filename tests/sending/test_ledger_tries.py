"""Which try is the first, which cannot know what was sent, and when everything is sent again: nothing is guessed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.sending.ledger import Try
from airflow_provider_voicepartner.sending.records import Phase
from tests.support.two_memories import CLAIM, REFUSED, SENT, Task, found


@pytest.fixture(params=[("store", "state"), ("store",), ("state",)], ids="+".join)
def task(request: pytest.FixtureRequest) -> Iterator[Task]:
    made = Task(uses=request.param)
    yield made
    made.store.close()


@pytest.fixture
def both() -> Iterator[Task]:
    made = Task()
    yield made
    made.store.close()


# Which attempt is the first, and which cannot know what was sent


@pytest.mark.sampled(36)
@pytest.mark.parametrize("is_complete", [False, True], ids=["3.4, or before 3.3", "3.3"])
@pytest.mark.parametrize(
    ("before", "this", "missing"),
    [
        ([], Try(0), set()),
        ([], Try(1), set()),
        ([], Try(2), {1}),
        ([], Try(3), {1, 2}),
        ([], Try(0, is_resumed=True), {0}),
        ([], Try(1, is_resumed=True), {1}),
        ([0], Try(0), set()),
        ([0], Try(1), set()),
        ([0], Try(2), {1}),
        ([1], Try(1), set()),
        ([1], Try(1, is_resumed=True), set()),
        ([1], Try(2), set()),
        ([1], Try(2, is_resumed=True), {2}),
        ([1], Try(3), {2}),
        ([2], Try(3), {1}),
        ([1, 2], Try(3), set()),
        ([1, 1, 2, 2], Try(2), set()),
        ([3], Try(1), set()),
    ],
    ids=str,
)
def test_tries_that_left_no_trace_may_have_sent_anything(
    task: Task, before: list[int], this: Try, missing: set[int], is_complete: bool
) -> None:
    for try_number in before:
        task.registered(try_number)
    task.is_complete = is_complete
    ledger = task.opened(this.number, is_resumed=this.is_resumed)
    assert ledger.is_blind is bool(missing and not is_complete)
    assert found(ledger) == ([Phase.CLAIMED] * 2 if ledger.is_blind else [None] * 2)
    assert ledger.may_have_sent is ledger.is_blind
    if ledger.is_blind:
        tries = ", ".join(map(str, sorted(missing)))
        assert f"try {tries} of this task left no trace" in ledger.why_blind()
        assert "store_url" in ledger.why_blind()


@pytest.mark.parametrize(
    ("before", "this", "is_overtaken"),
    [
        ([], Try(2), False), ([1], Try(2), False), ([1], Try(3), True), ([2], Try(3), False), ([2], Try(4), True),
        ([1, 3], Try(4), True), ([2, 3], Try(4), False), ([1], Try(1, is_resumed=True), False),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_known_was_overtaken_where_a_later_try_left_no_trace(
    task: Task, before: list[int], this: Try, is_overtaken: bool
) -> None:
    """It may have sent again what an earlier one had claimed, so a repeat of that is no proof."""
    for number in before:
        task.registered(number)
    assert task.registered(this.number, is_resumed=this.is_resumed).is_overtaken == is_overtaken


def test_a_batch_that_may_have_been_sent_without_a_trace_is_claimed_without_a_reference(task: Task) -> None:
    record = task.opened(2).find(1, 3)
    assert record is not None
    assert (record.phase, record.size, record.reference, record.at) == (Phase.CLAIMED, 3, "", None)


def test_an_attempt_that_died_while_it_planned_sent_nothing_and_that_is_known(task: Task) -> None:
    task.registered(1)
    assert found(task.opened(2)) == [None, None]


def test_tries_without_a_trace_are_told_in_the_log(task: Task, caplog: pytest.LogCaptureFixture) -> None:
    task.opened(3)
    [warning] = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warning.startswith("try 1, 2 of this task left no trace where this one looks")


@pytest.mark.parametrize(
    ("uses", "is_complete", "emptied", "blind", "knows"),
    [
        # Before 3.3 there is only the store.
        (("store",), False, "nothing", False, True),
        (("store",), False, "store", True, False),
        # On 3.3 what the store has forgotten, the state knows, and the other way round.
        (("store", "state"), True, "store", False, True),
        (("store", "state"), True, "state", False, True),
        # An empty state proves there that nothing was claimed; so somebody who empties both has to know it.
        (("store", "state"), True, "both", False, False),
        (("state",), True, "nothing", False, True),
        # On 3.4 clearing a task empties its state.
        (("store", "state"), False, "store", False, True),
        (("store", "state"), False, "state", False, True),
        (("store", "state"), False, "both", True, False),
        (("state",), False, "nothing", False, True),
        (("state",), False, "state", True, False),
    ],
)
def test_what_was_emptied_is_known_by_the_other_memory_or_not_guessed(
    uses: tuple[str, ...], is_complete: bool, emptied: str, blind: bool, knows: bool
) -> None:
    task = Task(uses=uses, is_complete=is_complete)
    task.opened().write({0: SENT, 1: CLAIM})
    if emptied in ("store", "both"):
        task.empty_store()
    if emptied in ("state", "both"):
        task.clear()
    ledger = task.opened(2)
    assert ledger.is_blind is blind
    expected = [Phase.SENT, Phase.CLAIMED] if knows else [Phase.CLAIMED] * 2 if blind else [None] * 2
    assert found(ledger) == expected


@pytest.mark.parametrize(("uses", "blind"), [(("store",), True), (("store", "state"), False)])
def test_an_older_store_that_was_restored_is_noticed(
    uses: tuple[str, ...], blind: bool, tmp_path: Any
) -> None:
    path = tmp_path / "ledger.db"
    task = Task(uses=uses, store=open_store(f"sqlite:///{path}"))
    task.opened(batches=3).write({0: SENT})
    task.store.close()
    backup = path.read_bytes()
    task.opened(2, batches=3).write({1: SENT})
    task.store.close()
    for old in tmp_path.glob("ledger.db*"):
        old.unlink()
    path.write_bytes(backup)
    task.store = open_store(f"sqlite:///{path}")
    ledger = task.opened(3, batches=3)
    assert ledger.is_blind is blind
    # What the backup knows is sent all the same; the rest is in doubt, or known by the other memory.
    assert found(ledger, 3) == [Phase.SENT, *([Phase.CLAIMED] * 2 if blind else [Phase.SENT, None])]
    task.store.close()


def test_a_try_that_left_no_trace_is_missed_until_everything_begins_anew(task: Task) -> None:
    task.registered(1)
    second = task.opened(3)
    assert second.is_blind
    second.write({0: SENT})
    assert task.opened(4).is_blind
    assert found(task.opened(4)) == [Phase.SENT, Phase.CLAIMED]
    anew = task.opened(5, send_again="all of it")
    assert not anew.is_blind
    anew.write({0: SENT})
    assert found(task.opened(6)) == [Phase.SENT, None]


# Sending everything again


@pytest.mark.parametrize("fingerprint", ["f1", "f2"], ids=["unchanged input", "changed input"])
def test_a_new_send_again_begins_anew_once_and_forgets_every_old_record(
    task: Task, fingerprint: str, caplog: pytest.LogCaptureFixture
) -> None:
    task.opened(batches=3).write({0: SENT, 1: CLAIM, 2: REFUSED})
    second = task.opened(2, fingerprint=fingerprint, batches=2, send_again="once more")
    assert "2 of 3 batches that earlier attempts sent are sent again; 1 of them were in doubt" in caplog.text
    assert found(second) == [None, None]
    second.write({0: SENT})
    # Retries and resumes have the same text, or none, and go on.
    for text in ("once more", None, "once more"):
        for is_resumed in (False, True):
            later = task.opened(
                3, fingerprint=fingerprint, batches=2, send_again=text, is_resumed=is_resumed,
                is_complete=True,
            )  # fmt: skip
            assert (later.find(0, 3), later.find(1, 3)) == (SENT, None)
    assert task.opened(4, fingerprint=fingerprint, send_again="and again").find(0, 3) is None


def test_the_first_send_again_of_a_task_that_has_none_yet_begins_anew_too(task: Task) -> None:
    task.opened().write({0: SENT})
    assert task.opened(2, send_again="x").find(0, 3) is None


def test_a_send_again_that_was_there_from_the_start_begins_nothing_anew(task: Task) -> None:
    task.opened(send_again="x").write({0: SENT})
    assert task.opened(2, send_again="x").find(0, 3) == SENT


def test_an_attempt_that_dies_before_its_first_claim_has_not_begun_anew(task: Task) -> None:
    task.opened().write({0: SENT})
    task.opened(2, send_again="x")
    assert task.opened(3).find(0, 3) == SENT
    assert task.opened(3, send_again="x").find(0, 3) is None


@pytest.mark.parametrize(
    "texts", [("a", "b", "a"), ("a", "b", "c", "b", None, "a"), (None, "a", None, "b", "a")], ids=str
)
def test_a_text_that_was_used_before_sends_nothing_again_however_long_ago(
    task: Task, texts: tuple[str | None, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """Who sets a variable back does not want everybody messaged once more."""
    used: list[str | None] = [None]
    for number, text in enumerate(texts, start=1):
        caplog.clear()
        ledger = task.opened(number, send_again=text)
        assert (ledger.find(0, 3) is None) == (number == 1 or text not in used), number
        assert ("has already sent everything again once" in caplog.text) == (
            text is not None and text in used
        ), number
        ledger.write({0: SENT})
        used.append(text)


@pytest.mark.parametrize("text", [None, "x"], ids=["none", "the same"])
def test_changed_input_is_refused_without_a_new_send_again(task: Task, text: str | None) -> None:
    task.opened(send_again="x").write({0: SENT})
    before = task.content()
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="has changed since an earlier attempt"):
            task.opened(2, fingerprint="f2", send_again=text)
    assert task.content() == before


def test_a_send_again_that_changes_while_the_task_waits_is_refused(task: Task) -> None:
    """A template of the present time would send everything again after each wait, endlessly."""
    task.opened(send_again="12:00").write({0: SENT})
    before = task.content()
    with pytest.raises(ConfigurationError, match=r"^send_again: has changed while the task waited"):
        task.opened(1, send_again="12:01", is_resumed=True)
    assert task.content() == before


def test_a_new_send_again_counts_where_only_one_memory_knows_it() -> None:
    for knows in ("store", "state"):
        task = Task()
        task.opened().write({0: SENT, 1: SENT})
        task.uses = (knows,)
        task.opened(2, send_again="x").write({0: SENT})
        task.uses = ("store", "state")
        later = task.opened(3, send_again="x")
        assert found(later) == [Phase.SENT, None]
        later.write({1: CLAIM})
        for uses in ("store", "state"):
            task.uses = (uses,)
            assert found(task.opened(4, send_again="x")) == [Phase.SENT, Phase.CLAIMED]


@pytest.mark.parametrize(
    ("known", "this", "blind"),
    [
        ([2], 3, False),  # try 1 came before one that is known, and which had another text
        ([1, 2], 3, False),
        ([1], 3, True),  # try 2 may have had the new text, and have sent everything again itself
        ([1], 2, False),
        ([2, 4], 6, True),
    ],
    ids=str,
)
def test_a_new_send_again_does_not_trust_that_a_try_without_a_trace_had_another_text(
    known: list[int], this: int, blind: bool
) -> None:
    task = Task(uses=("store",))
    for try_number in known:
        task.opened(try_number).write({0: SENT})
    ledger = task.opened(this, send_again="x")
    assert ledger.is_blind is blind
    assert found(ledger) == ([Phase.CLAIMED] * 2 if blind else [None] * 2)
    # And so it stays, until somebody has decided.
    ledger.write({0: SENT})
    later = task.opened(this + 1, send_again="x")
    assert found(later) == [Phase.SENT, Phase.CLAIMED if blind else None]


def test_a_send_again_of_which_no_memory_knows_whether_it_is_new_sends_nothing_twice() -> None:
    task = Task(uses=("store",))
    ledger = task.opened(2, send_again="x")
    assert found(ledger) == [Phase.CLAIMED] * 2
