"""What one attempt leaves for the next: records that are plain, private, and read back strictly."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.model import Receipt, RefusedRecipient
from airflow_provider_voicepartner.sending.evidence import Evidence
from airflow_provider_voicepartner.sending.ledger import (
    BATCHES_PER_KEY,
    PLAN_KEY,
    BatchRecord,
    Ledger,
    Phase,
    key_of,
)
from tests.support.messenger import CountingStore
from tests.support.tasks import CALM, FakeStore, assert_plain

CLAIM = BatchRecord(phase=Phase.CLAIMED, reference="k3v9x0q2w7ha", size=3, at="2031-05-06T12:00:00+00:00")
SENT = replace(
    CLAIM, phase=Phase.SENT, accepted=2, opted_out=1, gateway_id="8123456", segments=2, cost=Decimal("0.090"),
    currency="EUR"
)  # fmt: skip

RECORDS = st.builds(
    BatchRecord,
    phase=st.sampled_from(Phase),
    reference=st.text(max_size=20),
    size=st.integers(0, 500),
    accepted=st.integers(0, 500),
    opted_out=st.integers(0, 500),
    gateway_id=st.none() | st.text(max_size=20),
    segments=st.none() | st.integers(0, 5000),
    cost=st.none() | st.decimals(allow_nan=False, allow_infinity=False, places=3),
    currency=st.none() | st.just("EUR"),
    at=st.none() | st.just("2031-05-06T12:00:00+00:00"),
    evidence=st.none() | st.sampled_from(Evidence),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def opened(
    store: FakeStore,
    *,
    fingerprint: str = "f1",
    batches: int = 2,
    send_again: str | None = None,
    try_number: int = 1,
    is_resumed: bool = False,
) -> Ledger:
    ledger = Ledger(store, fingerprint=fingerprint, try_number=try_number, is_resumed=is_resumed)
    ledger.open(batches, send_again=send_again)
    return ledger


@CALM
@given(RECORDS)
def test_a_record_comes_back_as_it_was_written_and_is_plain_json(record: BatchRecord) -> None:
    data = record.to_json()
    assert_plain(data)
    assert BatchRecord.from_json(json.loads(json.dumps(data))) == record


def test_a_record_of_a_version_that_kept_no_evidence_is_read_without() -> None:
    assert "evidence" not in SENT.to_json()
    assert BatchRecord.from_json(SENT.to_json()).evidence is None


def test_a_word_that_is_no_evidence_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        BatchRecord.from_json({**SENT.to_json(), "evidence": "hearsay"})


def test_a_record_of_a_later_version_is_read_without_its_new_names() -> None:
    assert BatchRecord.from_json({**SENT.to_json(), "invented_later": [1]}) == SENT


@CALM
@given(JSON)
def test_a_record_changed_by_hand_is_read_or_refused_and_nothing_else(data: Any) -> None:
    store = FakeStore({PLAN_KEY: {"fingerprint": "f1", "batches": 2}, key_of(0): {"0": data}})
    if data is not None:
        with pytest.raises(ConfigurationError, match=r"voicepartner/\*"):  # says where to look
            opened(store).find(0, 3)
    else:
        assert opened(store).find(0, 3) is None


@CALM
@given(st.sampled_from(list(SENT.to_json())), JSON)
def test_a_value_of_another_type_in_a_record_is_refused(name: str, value: Any) -> None:
    data = SENT.to_json()
    if type(value) is not type(data[name]):
        with pytest.raises(ConfigurationError, match="cannot be read"):
            BatchRecord.from_json({**data, name: value})


@CALM
@given(JSON)
def test_a_plan_changed_by_hand_is_read_or_refused_and_nothing_else(data: Any) -> None:
    store = FakeStore({PLAN_KEY: data})
    if isinstance(data, dict) and type(data.get("batches")) is int and data["batches"] >= 0:
        return
    if data is None:
        opened(store)
        assert store.values[PLAN_KEY] == {"fingerprint": "f1", "batches": 2}
    else:
        with pytest.raises(ConfigurationError, match=r"a plan that cannot be read.*voicepartner/\*"):
            opened(store)


@pytest.mark.parametrize("mark", [5, ["x"], {}, True], ids=repr)
def test_a_plan_whose_send_again_is_no_text_is_refused(mark: Any) -> None:
    store = FakeStore({PLAN_KEY: {"fingerprint": "f1", "batches": 2, "send_again": mark}})
    with pytest.raises(ConfigurationError, match=r"a plan that cannot be read"):
        opened(store)


def test_a_receipt_is_recorded_without_the_numbers_that_it_names() -> None:
    receipt = Receipt(
        gateway_id="8123456",
        accepted=1,
        cost=Decimal("0.045"),
        currency="EUR",
        segments=1,
        refused=(
            RefusedRecipient(phone_number="+33699887766", code="14", reason="STOP", opted_out=True),
            RefusedRecipient(phone_number="+33699887755", code="9", reason="not valid"),
        ),
        raw={"number": "+33699887766"},
    )
    record = BatchRecord.of_receipt(receipt, reference="r", size=3, at="now")
    assert (record.accepted, record.opted_out, record.cost) == (1, 1, Decimal("0.045"))
    assert "336998877" not in json.dumps(record.to_json())


def test_a_second_attempt_finds_what_the_first_one_wrote() -> None:
    store = FakeStore()
    first = opened(store)
    first.write({0: SENT})
    first.write({1: CLAIM})
    second = opened(store, try_number=2)
    assert second.is_durable
    assert (second.find(0, 3), second.find(1, 3)) == (SENT, CLAIM)


def test_nothing_is_known_of_a_batch_that_was_never_claimed() -> None:
    assert opened(FakeStore(), try_number=4).find(0, 3) is None


@pytest.mark.parametrize(
    "left", [SENT, CLAIM, replace(CLAIM, phase=Phase.ASSUMED_SENT)], ids=lambda r: r.phase
)
def test_changed_input_is_refused_once_anything_may_have_left(left: BatchRecord) -> None:
    store = FakeStore()
    opened(store).write({1: left})
    before = dict(store.values)
    with pytest.raises(ConfigurationError) as caught:
        opened(store, fingerprint="f2", try_number=2)
    assert "sent 1 of 2 batches" in str(caught.value)
    assert "Nothing was sent now" in str(caught.value)
    assert "give send_again a text" in str(caught.value)
    assert "on_unknown" not in str(caught.value)  # which is about doubts, and not about this
    assert store.values == before


def test_another_number_of_batches_is_changed_input_too() -> None:
    store = FakeStore()
    opened(store).write({0: SENT})
    with pytest.raises(ConfigurationError, match="has changed"):
        opened(store, batches=1)


@pytest.mark.parametrize("left", [None, replace(CLAIM, phase=Phase.REFUSED)], ids=["nothing", "refused"])
def test_changed_input_is_taken_as_long_as_provably_nothing_left(left: BatchRecord | None) -> None:
    store = FakeStore()
    first = opened(store)
    if left is not None:
        first.write({0: left})
    second = opened(store, fingerprint="f2", batches=1)
    assert second.find(0, 3) is None
    assert opened(store, fingerprint="f2", batches=1).find(0, 3) is None
    assert store.values[PLAN_KEY] == {"fingerprint": "f2", "batches": 1}


@pytest.mark.parametrize("fingerprint", ["f1", "f2"], ids=["unchanged input", "changed input"])
def test_a_new_send_again_begins_anew_once_and_forgets_every_old_record(
    fingerprint: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = FakeStore()
    opened(store, batches=3).write({0: SENT, 1: CLAIM, 2: replace(CLAIM, phase=Phase.REFUSED)})
    second = opened(store, fingerprint=fingerprint, batches=2, send_again="once more")
    assert "2 of 3 batches that earlier attempts sent are sent again, of which 1 were in doubt" in caplog.text
    assert [second.find(index, 3) for index in range(2)] == [None, None]
    second.write({0: SENT})
    # Retries and resumes have the same text, or none, and go on.
    for text in ("once more", None, "once more"):
        for is_resumed in (False, True):
            later = opened(
                store,
                fingerprint=fingerprint,
                batches=2,
                send_again=text,
                try_number=3,
                is_resumed=is_resumed,
            )
            assert (later.find(0, 3), later.find(1, 3)) == (SENT, None)
    assert opened(store, fingerprint=fingerprint, send_again="and again").find(0, 3) is None


def test_the_first_send_again_of_a_task_that_has_none_yet_begins_anew_too() -> None:
    store = FakeStore()
    opened(store).write({0: SENT})
    assert opened(store, send_again="x").find(0, 3) is None


@pytest.mark.parametrize("text", [None, "x"], ids=["none", "the same"])
def test_changed_input_is_refused_without_a_new_send_again(text: str | None) -> None:
    store = FakeStore()
    opened(store, send_again="x").write({0: SENT})
    before = dict(store.values)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="has changed since an earlier attempt"):
            opened(store, fingerprint="f2", send_again=text)
    assert store.values == before


def test_a_send_again_that_changes_while_the_task_waits_is_refused() -> None:
    """A template of the present time would send everything again after each wait, endlessly."""
    store = FakeStore()
    opened(store, send_again="12:00").write({0: SENT})
    before = dict(store.values)
    with pytest.raises(ConfigurationError, match=r"^send_again: has changed while the task waited"):
        opened(store, send_again="12:01", is_resumed=True)
    assert store.values == before


def test_the_state_knows_a_send_again_by_a_short_hash() -> None:
    store = FakeStore()
    opened(store, send_again="because of +33612345678 " * 1000)
    assert len(store.values[PLAN_KEY]["send_again"]) == 16
    assert_plain(store.values)


def test_a_crash_while_beginning_anew_leaves_nothing_that_looks_sent() -> None:
    """The old pages are emptied before the new plan is written, so a crash in between can only mean: begin anew."""

    class Dying(FakeStore):
        left = 0

        def set(self, key: str, value: Any) -> None:
            if self.left == 0:
                raise ConnectionError("crash")
            self.left -= 1
            super().set(key, value)

    old = FakeStore()
    opened(old, batches=60).write({0: SENT, 1: SENT, 55: SENT})
    for allowed in range(4):  # two pages and the plan
        dying = Dying(json.loads(json.dumps(old.values)))
        dying.left = allowed
        with pytest.raises(ConnectionError) if allowed < 3 else nullcontext():
            opened(dying, fingerprint="f2", batches=60, send_again="x")
        again = opened(FakeStore(dying.values), fingerprint="f2", batches=60, send_again="x")
        assert [again.find(index, 3) for index in (0, 1, 55)] == [None, None, None]


@pytest.mark.parametrize("send_again", [None, "x"])
def test_records_without_a_plan_are_refused_whatever_is_asked(send_again: str | None) -> None:
    """A clean-up of old state may drop the plan first; then nobody knows what the records stand for."""
    store = FakeStore()
    opened(store).write({1: SENT})
    del store.values[PLAN_KEY]
    before = dict(store.values)
    with pytest.raises(ConfigurationError, match="records without their plan"):
        opened(store, try_number=2, send_again=send_again)
    assert store.values == before


@pytest.mark.parametrize("page", [[1], "text", 3, True])
def test_a_page_that_is_no_object_is_refused(page: Any) -> None:
    store = FakeStore({PLAN_KEY: {"fingerprint": "f1", "batches": 2}, key_of(0): page})
    with pytest.raises(ConfigurationError, match="batch records that cannot be read"):
        opened(store).find(0, 3)


@pytest.mark.parametrize("page", [[1], {"0": {"phase": "whatever"}}, {"1": 5}])
def test_what_cannot_be_read_also_stops_a_changed_input(page: Any) -> None:
    store = FakeStore({PLAN_KEY: {"fingerprint": "f1", "batches": 2}, key_of(0): page})
    for text in (None, "x"):
        with pytest.raises(ConfigurationError, match="nobody knows what was sent"):
            opened(store, fingerprint="f2", send_again=text)


# Pages


def test_fifty_batches_share_a_key() -> None:
    assert BATCHES_PER_KEY == 50
    keys = {index: key_of(index) for index in range(101)}
    assert len(set(keys.values())) == 3
    assert keys[0] == keys[49] == "voicepartner/batches/0"
    assert keys[50] == keys[99] == "voicepartner/batches/1"
    assert keys[100] == "voicepartner/batches/2"


def test_records_of_one_key_travel_in_one_write_and_others_in_one_each() -> None:
    store = CountingStore()
    ledger = opened(store, batches=120)
    store.writes.clear()
    ledger.write({3: SENT, 4: CLAIM, 5: CLAIM})
    assert store.writes == [key_of(0)]
    store.writes.clear()
    ledger.write({49: SENT, 50: CLAIM})
    assert store.writes == [key_of(49), key_of(50)]
    again = opened(store, batches=120, try_number=2)
    assert [again.find(index, 3) for index in (3, 4, 5, 6, 49, 50, 51)] == [
        SENT, CLAIM, CLAIM, None, SENT, CLAIM, None,
    ]  # fmt: skip


@pytest.mark.parametrize("kept", [50, 100, 1950])
def test_records_of_a_later_page_without_a_plan_are_refused_too(kept: int) -> None:
    store = FakeStore()
    opened(store, batches=2000).write({0: SENT, kept: SENT})
    del store.values[PLAN_KEY], store.values[key_of(0)]
    with pytest.raises(ConfigurationError, match="records without their plan"):
        opened(store, batches=2000, try_number=2, send_again="x")


def test_a_campaign_that_begins_reads_each_page_once() -> None:
    store = CountingStore()
    ledger = opened(store, batches=2000)
    for index in range(2000):
        assert ledger.find(index, 500) is None
        ledger.write({index: CLAIM})
    assert store.reads == [PLAN_KEY, *(key_of(page * 50) for page in range(40))]


def test_a_retry_reads_each_page_once() -> None:
    store = CountingStore()
    opened(store, batches=2000).write(dict.fromkeys(range(1900), SENT))
    store.reads.clear()
    ledger = opened(store, batches=2000, try_number=2)
    found = [ledger.find(index, 500) for index in range(2000)]
    ledger.write({1900: CLAIM})
    assert found == [SENT] * 1900 + [None] * 100
    assert store.reads == [PLAN_KEY, *(key_of(page * 50) for page in range(40))]


def test_no_value_comes_near_the_size_that_the_store_warns_of() -> None:
    """The longest record: in doubt once, with a user's tag, a long gateway id and a price."""
    longest = replace(
        SENT, reference="k" * 20, size=500, accepted=500, opted_out=500, gateway_id="9" * 36, segments=5000,
        cost=Decimal("12345.678901"), tag="t" * 20, evidence=Evidence.REPEAT_ACCEPTED,
    )  # fmt: skip
    store = FakeStore()
    opened(store, batches=2000).write(dict.fromkeys(range(2000), longest))
    assert len(store.values) == 41
    assert max(len(json.dumps(value)) for value in store.values.values()) < 20_000 < 65_535


def test_a_write_that_failed_leaves_no_trace_in_the_next_one() -> None:
    store = FakeStore()
    ledger = opened(store)
    ledger.write({0: CLAIM})
    store.fenced = True
    with pytest.raises(PermissionError):
        ledger.write({0: SENT, 1: CLAIM})
    store.fenced = False
    ledger.write({0: SENT})
    assert list(store.values[key_of(0)]) == ["0"]  # what never left is not claimed by a later record


def test_a_phase_is_kept_as_plain_text() -> None:
    store = FakeStore()
    opened(store).write({0: SENT, 1: replace(CLAIM, phase=Phase.ASSUMED_SENT)})
    assert_plain(store.values)
    assert [record["phase"] for record in store.values[key_of(0)].values()] == ["sent", "assumed_sent"]


# Without a store, and with one that says no


def test_without_a_store_the_first_attempt_knows_its_own_records() -> None:
    ledger = Ledger(None, fingerprint="f1", try_number=1)
    ledger.open(1)
    assert ledger.find(0, 3) is None
    ledger.write({0: SENT})
    assert ledger.find(0, 3) == SENT
    assert not ledger.is_durable


def test_without_a_store_a_second_attempt_finds_every_batch_in_doubt() -> None:
    ledger = Ledger(None, fingerprint="f1", try_number=2)
    ledger.open(2)
    found = ledger.find(1, 3)
    assert found is not None
    assert (found.phase, found.size, found.reference) == (Phase.CLAIMED, 3, "")


def test_an_attempt_that_lost_its_right_to_write_is_told() -> None:
    store = FakeStore()
    ledger = opened(store)
    store.fenced = True
    with pytest.raises(PermissionError):
        ledger.write({0: CLAIM})
