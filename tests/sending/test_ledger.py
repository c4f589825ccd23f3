"""What one attempt leaves for the next: records that are plain, private, and read back strictly."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.model import Receipt, RefusedRecipient
from airflow_provider_voicepartner.sending.ledger import (
    PLAN_KEY,
    BatchRecord,
    Ledger,
    Phase,
    batch_key,
)
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
    on_unknown: Any = "fail",
    try_number: int = 1,
) -> Ledger:
    ledger = Ledger(store, fingerprint=fingerprint, try_number=try_number)
    ledger.open(batches, on_unknown=on_unknown)
    return ledger


@CALM
@given(RECORDS)
def test_a_record_comes_back_as_it_was_written_and_is_plain_json(record: BatchRecord) -> None:
    data = record.to_json()
    assert_plain(data)
    assert BatchRecord.from_json(json.loads(json.dumps(data))) == record


def test_a_record_of_a_later_version_is_read_without_its_new_names() -> None:
    assert BatchRecord.from_json({**SENT.to_json(), "invented_later": [1]}) == SENT


@CALM
@given(JSON)
def test_a_record_changed_by_hand_is_read_or_refused_and_nothing_else(data: Any) -> None:
    store = FakeStore({PLAN_KEY: {"fingerprint": "f1", "batches": 2}, batch_key(0): data})
    if data:
        with pytest.raises(ConfigurationError, match="voicepartner/batch/0"):  # says where to look
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
        with pytest.raises(ConfigurationError, match=PLAN_KEY):
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
    first.write(0, SENT)
    first.write(1, CLAIM)
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
    opened(store).write(1, left)
    before = dict(store.values)
    with pytest.raises(ConfigurationError) as caught:
        opened(store, fingerprint="f2", try_number=2)
    assert "sent 1 of 2 batches" in str(caught.value)
    assert "Nothing was sent now" in str(caught.value)
    assert "on_unknown='resend'" in str(caught.value)
    assert store.values == before


def test_another_number_of_batches_is_changed_input_too() -> None:
    store = FakeStore()
    opened(store).write(0, SENT)
    with pytest.raises(ConfigurationError, match="has changed"):
        opened(store, batches=1)


@pytest.mark.parametrize("left", [None, replace(CLAIM, phase=Phase.REFUSED)], ids=["nothing", "refused"])
def test_changed_input_is_taken_as_long_as_provably_nothing_left(left: BatchRecord | None) -> None:
    store = FakeStore()
    first = opened(store)
    if left is not None:
        first.write(0, left)
    second = opened(store, fingerprint="f2", batches=1)
    assert second.find(0, 3) is None
    assert opened(store, fingerprint="f2", batches=1).find(0, 3) is None
    assert store.values[PLAN_KEY]["fingerprint"] == "f2"


def test_resend_begins_anew_with_changed_input_and_forgets_every_old_record() -> None:
    store = FakeStore()
    first = opened(store, batches=3)
    for index in range(3):
        first.write(index, SENT)
    second = opened(store, fingerprint="f2", batches=2, on_unknown="resend")
    assert [second.find(index, 3) for index in range(2)] == [None, None]
    second.write(0, SENT)
    # The attempt after that goes on and does not begin anew once more, though resend is still set.
    third = opened(store, fingerprint="f2", batches=2, on_unknown="resend")
    assert (third.find(0, 3), third.find(1, 3)) == (SENT, None)


def test_a_crash_while_beginning_anew_leaves_nothing_that_looks_sent() -> None:
    """The store is wiped before the new plan is written, so a crash in between can only mean to begin anew again."""
    for allowed in range(4):
        store = FakeStore()
        first = opened(store)
        first.write(0, SENT)
        first.write(1, SENT)

        class Dying(FakeStore):
            left = allowed

            def set(self, key: str, value: Any) -> None:
                if self.left == 0:
                    raise ConnectionError("crash")
                self.left -= 1
                super().set(key, value)

        dying = Dying(store.values)
        if allowed < 3:  # two records and the plan
            with pytest.raises(ConnectionError):
                opened(dying, fingerprint="f2", on_unknown="resend")
        else:
            opened(dying, fingerprint="f2", on_unknown="resend")
        again = opened(FakeStore(dying.values), fingerprint="f2", on_unknown="resend")
        assert (again.find(0, 3), again.find(1, 3)) == (None, None)


def test_records_without_a_plan_are_not_trusted() -> None:
    """A clean-up of old state may drop the plan first; then nobody knows what the records stand for."""
    store = FakeStore()
    opened(store).write(1, SENT)
    del store.values[PLAN_KEY]
    with pytest.raises(ConfigurationError, match="without a plan"):
        opened(store, try_number=2)
    assert opened(store, try_number=2, on_unknown="resend").find(1, 3) is None


def test_without_a_store_the_first_attempt_knows_its_own_records() -> None:
    ledger = Ledger(None, fingerprint="f1", try_number=1)
    ledger.open(1, on_unknown="fail")
    assert ledger.find(0, 3) is None
    ledger.write(0, SENT)
    assert ledger.find(0, 3) == SENT
    assert not ledger.is_durable


def test_without_a_store_a_second_attempt_finds_every_batch_in_doubt() -> None:
    ledger = Ledger(None, fingerprint="f1", try_number=2)
    ledger.open(2, on_unknown="fail")
    found = ledger.find(1, 3)
    assert found is not None
    assert (found.phase, found.size, found.reference) == (Phase.CLAIMED, 3, "")


def test_an_attempt_that_lost_its_right_to_write_is_told() -> None:
    store = FakeStore()
    ledger = opened(store)
    store.fenced = True
    with pytest.raises(PermissionError):
        ledger.write(0, CLAIM)
