"""What one attempt leaves for the next, in two memories: the further record counts, and nothing is guessed."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voicepartner.exceptions import CampaignInterruptedError, ConfigurationError
from airflow_provider_voicepartner.gateways.wire import Credentials
from airflow_provider_voicepartner.sending.fingerprint import account_key
from airflow_provider_voicepartner.sending.ledger import Ledger, Try
from airflow_provider_voicepartner.sending.records import (
    Attempt,
    BatchRecord,
    Memory,
    Phase,
    Plan,
    Recollection,
)
from airflow_provider_voicepartner.sending.task_state import TaskStateMemory
from tests.support.tasks import CALM, FakeStore, assert_plain
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


# From one attempt to the next


def test_a_second_attempt_finds_what_the_first_one_wrote(task: Task) -> None:
    first = task.opened()
    first.write({0: CLAIM})
    first.write({0: SENT, 1: CLAIM})
    second = task.opened(2)
    assert second.is_durable
    assert not second.is_blind
    assert (second.find(0, 3), second.find(1, 3)) == (SENT, CLAIM)
    assert dict(second.known()) == {0: SENT, 1: CLAIM}
    assert (first.attempt, second.attempt) == (1, 2)


@pytest.mark.parametrize("writes", [1, 2, 3, 4])
def test_what_an_attempt_said_last_of_a_batch_counts_also_where_the_phase_is_the_same(
    task: Task, writes: int
) -> None:
    """Claimed, claimed again when it was in doubt, in doubt as before since the repeat was refused, and so on."""
    again = replace(CLAIM, resent=1, again_at="2031-05-06T14:00:00+00:00")
    ledger = task.opened()
    for record in (CLAIM, again, CLAIM, again)[:writes]:
        ledger.write({0: record})
    assert task.opened(2).find(0, 3) == record


MEANT = {"oncall": ("anne",), "team": ("anne", "bruno")}


@pytest.mark.parametrize(
    ("record", "send_again", "expected"),
    [
        (CLAIM, None, MEANT),
        (SENT, None, MEANT),
        (SENT, "new", {}),
        (REFUSED, None, {}),
        (None, None, {}),
    ],
)
def test_whom_names_meant_is_known_unless_provably_nobody_was_sent_anything(
    task: Task, record: BatchRecord | None, send_again: str | None, expected: Mapping[str, Any]
) -> None:
    first = task.registered()
    assert first.people_by_name(None) == {}
    first.open("f1", 2, names=MEANT)
    if record is not None:
        first.write({0: CLAIM})
        first.write({0: record})
    second = task.registered(2)
    assert second.people_by_name(send_again) == expected
    # Another list, which nothing keeps from being sent now.
    if not expected:
        second.open("f2", 2, send_again=send_again, names={"oncall": ("bruno",)})
        second.write({0: SENT})
        assert task.registered(3).people_by_name(send_again) == {"oncall": ("bruno",)}


@pytest.mark.parametrize("names", ["{", "[]", '{"oncall": [3]}', '{"oncall": 3}'])
def test_names_that_somebody_changed_by_hand_are_refused(names: str) -> None:
    plan = Plan.from_json(
        {**Plan.of("f", batches=1, generation=1, send_again=None, since=1).to_json(), "names": names}
    )
    with pytest.raises(ConfigurationError, match="cannot be read"):
        plan.people_by_name()


def test_nothing_is_known_of_a_batch_that_was_never_claimed(task: Task) -> None:
    task.opened().write({0: SENT})
    assert task.opened(2).find(1, 3) is None


def test_an_attempt_that_is_not_open_writes_nothing(task: Task) -> None:
    ledger = task.registered()
    assert not ledger.is_open
    with pytest.raises(ConfigurationError, match="records before their plan"):
        ledger.write({0: CLAIM})


def test_the_plan_travels_with_the_first_claim(task: Task) -> None:
    ledger = task.registered()
    before = task.content()
    ledger.open("f1", 2)
    assert ledger.is_open
    assert task.content() == before
    ledger.write({0: CLAIM})
    assert found(task.opened(2)) == [Phase.CLAIMED, None]


def test_the_memories_hold_no_number_no_fingerprint_and_no_text_of_send_again(both: Task) -> None:
    both.opened(fingerprint="planted fingerprint", send_again="because of +33612345678 " * 100).write(
        {0: SENT}
    )
    assert_plain(both.state.values)
    for secret in ("planted", "because", "3361234"):
        assert secret not in both.content()


def test_without_any_memory_an_attempt_knows_its_own_records() -> None:
    ledger = Task(uses=()).opened()
    assert ledger.find(0, 3) is None
    ledger.write({0: SENT})
    assert ledger.find(0, 3) == SENT
    assert not ledger.is_durable


# Two memories


@pytest.mark.parametrize(("known", "unknown"), [("store", "state"), ("state", "store")])
def test_what_only_one_memory_knows_is_known_and_the_other_one_learns_it(
    known: str, unknown: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    task = Task(uses=(known,))
    task.opened().write({0: SENT, 1: CLAIM})
    task.uses = ("store", "state")
    name = {"store": "the store", "state": "Airflow's task state"}[unknown]
    ledger = task.opened(2)
    assert (ledger.find(0, 3), ledger.find(1, 3)) == (SENT, CLAIM)
    assert f"{name} was behind in 2 batches" in caplog.text
    task.uses = (unknown,)
    assert dict(task.opened(3).known()) == {0: SENT, 1: CLAIM}


@pytest.mark.parametrize("further", ["store", "state"])
def test_of_two_records_the_further_one_counts_whoever_has_it(further: str) -> None:
    task = Task()
    first = task.opened()
    first.write({0: CLAIM, 1: CLAIM})
    lost = task.memories()
    # The record of the first batch reaches one of them only.
    first._memories = tuple(
        memory for memory, name in zip(first._memories, task.uses, strict=True) if name == further
    )
    first.write({0: SENT})
    assert len(lost) == 2
    second = task.opened(2)
    assert (second.find(0, 3), second.find(1, 3)) == (SENT, CLAIM)
    for name in ("store", "state"):  # and now both have it
        task.uses = (name,)
        assert task.opened(3).find(0, 3) == SENT


def test_where_memories_agree_nothing_is_written_anew(both: Task, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    both.opened().write({0: SENT})
    before = both.content()
    both.opened(2)
    assert both.content() == before
    assert (
        "Attempt 2 at this campaign (Airflow's try 2); the ledger is in the store and Airflow's task state; they "
        "agree" in caplog.text
    )


@pytest.mark.parametrize(
    ("uses", "told"),
    [
        (("store", "state"), "the store and Airflow's task state; they agree"),
        (("store",), "the store"),
        (("state",), "Airflow's task state"),
        ((), "nothing that outlives this attempt"),
    ],
)
def test_the_log_says_once_which_memories_there_are(
    uses: tuple[str, ...], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    Task(uses=uses).opened()
    lines = [record.getMessage() for record in caplog.records if "the ledger is in" in record.getMessage()]
    assert lines == [f"Attempt 1 at this campaign (Airflow's try 1); the ledger is in {told}"]


class Failing:
    """A memory that refuses writes when it is told to, and notes what it was asked to write."""

    name = "a failing memory"

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.asked: list[dict[int, Phase]] = []

    def register(self, attempt: Attempt) -> int:
        return attempt.number

    def recall(self) -> Recollection:
        return Recollection()

    def write(self, records: Mapping[int, BatchRecord], plan: Plan) -> None:
        self.asked.append({position: record.phase for position, record in records.items()})
        if self.error is not None:
            raise self.error


def ledger_of(*memories: Memory) -> Ledger:
    ledger = Ledger(memories, Try(1))
    ledger.register()
    ledger.open("f1", 2)
    return ledger


@pytest.mark.parametrize("failing", [0, 1])
def test_a_claim_counts_only_when_every_memory_took_it(failing: int) -> None:
    memories = [Failing(), Failing()]
    ledger = ledger_of(*memories)
    memories[failing].error = ConnectionError("gone")
    with pytest.raises(ConnectionError):
        ledger.write({0: CLAIM})
    assert dict(ledger.known()) == {}
    assert not ledger.may_have_sent
    # What never counted is not told to those behind.
    assert memories[1].asked == ([] if failing == 0 else [{0: Phase.CLAIMED}])


@pytest.mark.parametrize("failing", [0, 1])
def test_what_has_left_is_told_to_every_memory_that_takes_it(failing: int) -> None:
    memories = [Failing(), Failing()]
    ledger = ledger_of(*memories)
    memories[failing].error = ConnectionError("gone")
    with pytest.raises(ConnectionError):
        ledger.write({0: SENT, 1: CLAIM})
    assert dict(ledger.known()) == {0: SENT}
    other = memories[1 - failing]
    assert other.asked == [{0: Phase.SENT} if failing == 0 else {0: Phase.SENT, 1: Phase.CLAIMED}]


def test_an_attempt_that_one_memory_did_not_register_is_known_to_those_behind_it() -> None:
    """What it would have sent, it would have written to all of them; so nothing is in doubt."""

    class Unreachable(Failing):
        def register(self, attempt: Attempt) -> int:
            raise ConnectionError("gone")

    state = FakeStore()
    with pytest.raises(ConnectionError):
        Ledger([Unreachable(), TaskStateMemory(state)], Try(1)).register()
    ledger = Ledger([TaskStateMemory(state)], Try(2))
    ledger.register()
    assert not ledger.is_blind


def test_the_first_failure_is_the_one_that_is_raised() -> None:
    memories = [Failing(KeyError("first")), Failing(ValueError("second"))]
    with pytest.raises(KeyError):
        ledger_of(*memories).write({0: SENT})


def test_an_attempt_that_was_replaced_claims_nothing_and_still_tells_what_it_sent(both: Task) -> None:
    zombie = both.opened()
    zombie.write({0: CLAIM})
    both.opened(2)
    with pytest.raises(CampaignInterruptedError):
        zombie.write({0: SENT, 1: CLAIM})
    zombie.write({0: SENT, 1: REFUSED})
    assert found(both.opened(3)) == [Phase.SENT, Phase.REFUSED]


def test_an_attempt_that_airflow_gave_up_is_told() -> None:
    task = Task(uses=("state",))
    ledger = task.opened()
    task.state.fenced = True
    with pytest.raises(PermissionError):
        ledger.write({0: CLAIM})


def test_a_store_on_another_machine_is_noticed(both: Task) -> None:
    both.opened(store="here").write({0: SENT})
    assert both.opened(2, store="here").other_stores == frozenset()
    both.empty_store()
    assert both.registered(3, store="there").other_stores == {"here"}
    assert both.registered(4, store=None).other_stores == {"here", "there"}


KNOWN = st.dictionaries(
    st.integers(0, 4), st.tuples(st.integers(1, 3), st.integers(1, 9), st.sampled_from(Phase)), max_size=5
)


@CALM
@given(KNOWN, KNOWN)
def test_whatever_two_memories_know_they_know_the_same_and_all_of_it_afterwards(
    one: dict[int, Any], other: dict[int, Any]
) -> None:
    task, plan = Task(), Plan.of("f1", batches=5, generation=1, send_again=None, since=1)
    memories = task.memories()
    for memory, known in zip(memories, (one, other), strict=True):
        memory.register(Attempt(1, 1))
        memory.write(
            {
                at: replace(CLAIM, phase=phase, attempt=attempt, step=step)
                for at, (attempt, step, phase) in known.items()
            },
            plan,
        )
    expected = {
        at: max((known[at] for known in (one, other) if at in known), key=lambda told: told[:2])[:2]
        for at in one.keys() | other.keys()
    }
    for uses in (("store", "state"), ("store",), ("state",)):
        task.uses = uses
        ledger = task.opened(2, batches=5)
        assert {at: (record.attempt, record.step) for at, record in ledger.known()} == expected
    # What is written now is further than all of it, however the memories count.
    assert ledger.attempt > max((attempt for attempt, _ in expected.values()), default=0)
    task.store.close()


# Input that changed


@pytest.mark.parametrize(
    "left", [SENT, CLAIM, replace(CLAIM, phase=Phase.ASSUMED_SENT), replace(SENT, phase=Phase.DISPUTED)],
    ids=lambda record: record.phase,
)  # fmt: skip
def test_changed_input_is_refused_once_anything_may_have_left(task: Task, left: BatchRecord) -> None:
    task.opened().write({1: left})
    before = task.content()
    ledger = task.registered(2)
    with pytest.raises(ConfigurationError) as caught:
        ledger.open("f2", 2)
    assert not ledger.is_open
    assert "sent 1 of 2 batches" in str(caught.value)
    assert "Nothing was sent now" in str(caught.value)
    assert "give send_again a text" in str(caught.value)
    assert "on_unknown" not in str(caught.value)  # which is about doubts, and not about this
    assert task.content() == before


def test_another_number_of_batches_is_changed_input_too(task: Task) -> None:
    task.opened().write({0: SENT})
    with pytest.raises(ConfigurationError, match="has changed"):
        task.opened(2, batches=1)


@pytest.mark.parametrize(
    "left", [None, REFUSED, replace(SENT, accepted=0, gateway_id=None)], ids=["nothing", "refused", "by name"]
)
def test_changed_input_is_taken_as_long_as_certainly_nobody_was_reached(
    task: Task, left: BatchRecord | None
) -> None:
    first = task.opened()
    if left is not None:
        first.write({0: left})
    second = task.opened(2, fingerprint="f2", batches=1)
    assert second.find(0, 3) is None
    second.write({0: SENT})
    assert task.opened(3, fingerprint="f2", batches=1).find(0, 3) == SENT
    with pytest.raises(ConfigurationError, match="has changed"):
        task.opened(4)


def test_two_memories_that_know_of_different_input_are_not_reconciled() -> None:
    """Of one generation, but begun on machines that knew nothing of each other."""
    task = Task(uses=("store",))
    task.opened(fingerprint="f1").write({0: SENT})
    task.uses = ("state",)
    task.opened(fingerprint="f2").write({1: SENT})
    task.uses = ("store", "state")
    for fingerprint in ("f1", "f2"):
        with pytest.raises(ConfigurationError, match="has changed since an earlier attempt sent 2 of 2"):
            task.opened(2, fingerprint=fingerprint)


def test_the_fingerprint_is_compared_through_a_salt_of_each_campaigns_own() -> None:
    plans = [Plan.of("f1", batches=2, generation=1, send_again=None, since=1) for _ in range(2)]
    assert plans[0].fingerprint != plans[1].fingerprint
    assert plans[0].salt != plans[1].salt
    for plan in plans:
        assert plan.is_about("f1", 2)
        assert not plan.is_about("f2", 2)
        assert not plan.is_about("f1", 3)
        assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_an_attempt_knows_whether_the_campaign_was_begun_with_its_own_key(task: Task) -> None:
    """Another account lists nothing of what was sent, so that it lists nothing proves nothing."""
    keys = [account_key("smspartner", Credentials(api_key=key)) for key in ("k", "another")]
    for number, (key, is_own) in enumerate(
        [(keys[0], True), (keys[1], False), (None, False), (keys[0], True)], 1
    ):
        ledger = task.registered(number)
        ledger.open("f1", 2, account=key)
        assert ledger.is_of_this_account is is_own
        ledger.write({0: CLAIM})


def test_a_plan_that_an_earlier_version_stored_is_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a retry after an upgrade would take the same campaign for changed input."""
    # As it is outside of tests.
    monkeypatch.setattr("airflow_provider_voicepartner.sending.records.COST", 2**14)
    plan = Plan.from_json(
        {
            "generation": 1,
            "fingerprint": "68ebd3797c53959e5ed2aec78e5a3ecca5ff1b2aa63744bb4c72c78c08573344",
            "salt": "salt",
            "batches": 3,
            "account": "4b20f6ba32640bf1f385a7e4e96217bdf38f2755f4708eb6d63639b0542e1b98",
        }
    )
    assert plan.is_about("f" * 32, 3)
    assert plan.is_of(account_key("smspartner", Credentials(api_key="k")))
    assert not plan.is_of(account_key("smspartner", Credentials(api_key="another")))


@pytest.mark.parametrize(
    "change",
    [{"generation": 0}, {"generation": True}, {"batches": -1}, {"batches": "2"}, {"since": None}, {"salt": 3},
     {"fingerprint": None}, {"send_again": 5}, {"send_again": ["x"]}],
    ids=str,
)  # fmt: skip
def test_a_plan_that_somebody_changed_into_something_else_is_refused(change: dict[str, Any]) -> None:
    plan = Plan.of("f1", batches=2, generation=1, send_again="x", since=1).to_json()
    with pytest.raises(ConfigurationError, match="a plan that cannot be read"):
        Plan.from_json({**plan, **change})


@pytest.mark.parametrize("data", [None, 3, "text", "generation", [], {}, {"generation": 1}])
def test_what_is_no_plan_is_refused(data: Any) -> None:
    with pytest.raises(ConfigurationError, match="a plan that cannot be read"):
        Plan.from_json(data)


def test_whoever_else_must_agree_is_asked_before_anything_is_written(task: Task) -> None:
    class OthersError(Exception):
        pass

    def refuse() -> None:
        raise OthersError

    task.opened().write({0: SENT})
    before = task.content()
    for send_again in (None, "x"):
        ledger = task.registered(2, ask_others=refuse)
        with pytest.raises(OthersError):
            ledger.open("f1", 2, send_again=send_again)
        assert not ledger.is_open
        assert task.content() == before


def test_nobody_else_is_asked_about_an_input_that_is_refused_anyhow(task: Task) -> None:
    task.opened().write({0: SENT})
    asked: list[bool] = []
    with pytest.raises(ConfigurationError):
        task.opened(2, fingerprint="f2", ask_others=lambda: asked.append(True))
    assert not asked
