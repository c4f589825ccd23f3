"""What is known of one batch: records that are plain, private, read back strictly, and ranked."""

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
from airflow_provider_voicepartner.sending.records import BatchRecord, Evidence, Phase
from tests.support.tasks import CALM, assert_plain

CLAIM = BatchRecord(phase=Phase.CLAIMED, reference="k3v9x0q2w7ha", size=3, at="2031-05-06T12:00:00+00:00")
SENT = replace(
    CLAIM, phase=Phase.SENT, accepted=2, opted_out=1, gateway_id="8123456", segments=2, cost=Decimal("0.090"),
    currency="EUR", attempt=2, step=7,
)  # fmt: skip

RECORDS = st.builds(
    BatchRecord,
    phase=st.sampled_from(Phase),
    reference=st.text(max_size=20),
    size=st.integers(0, 500),
    accepted=st.integers(0, 500),
    opted_out=st.integers(0, 500),
    in_doubt=st.integers(0, 500),
    gateway_id=st.none() | st.text(max_size=20),
    segments=st.none() | st.integers(0, 5000),
    cost=st.none() | st.decimals(allow_nan=False, allow_infinity=False, places=3),
    currency=st.none() | st.just("EUR"),
    tag=st.none() | st.text(max_size=20),
    at=st.none() | st.just("2031-05-06T12:00:00+00:00"),
    again_at=st.none() | st.just("2031-05-06T12:30:00+00:00"),
    evidence=st.none() | st.sampled_from(Evidence),
    resent=st.integers(0, 9),
    attempt=st.integers(0, 2**30 - 1),
    step=st.integers(0, 2**32 - 1),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@CALM
@given(RECORDS)
def test_a_record_comes_back_as_it_was_written_and_is_plain_json(record: BatchRecord) -> None:
    data = record.to_json()
    assert_plain(data)
    back = BatchRecord.from_json(json.loads(json.dumps(data)))
    assert back == record
    assert (back.attempt, back.step) == (record.attempt, record.step)  # which do not count for being equal


def test_a_record_without_evidence_is_read_without() -> None:
    assert "evidence" not in SENT.to_json()
    assert BatchRecord.from_json(SENT.to_json()).evidence is None


@pytest.mark.parametrize("name", ["opted_out", "in_doubt", "resent", "step"])
def test_what_is_nothing_most_of_the_time_takes_no_room_then(name: str) -> None:
    assert name not in replace(SENT, **{name: 0}).to_json()
    assert replace(SENT, **{name: 1}).to_json()[name] == 1


def test_a_word_that_is_no_evidence_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        BatchRecord.from_json({**SENT.to_json(), "evidence": "hearsay"})


def test_a_record_of_a_later_version_is_read_without_its_new_names() -> None:
    assert BatchRecord.from_json({**SENT.to_json(), "invented_later": [1]}) == SENT


@CALM
@given(JSON)
def test_anything_else_than_a_record_is_refused_and_says_where_to_look(data: Any) -> None:
    with pytest.raises(
        ConfigurationError, match=r"nobody knows what was sent.*voicepartner_batch.*voicepartner/\*"
    ):
        BatchRecord.from_json(data)


@CALM
@given(st.sampled_from(list(SENT.to_json())), JSON)
def test_a_value_of_another_type_in_a_record_is_refused(name: str, value: Any) -> None:
    data = SENT.to_json()
    if type(value) is not type(data[name]):
        with pytest.raises(ConfigurationError, match="cannot be read"):
            BatchRecord.from_json({**data, name: value})


@pytest.mark.parametrize("name", ["phase", "reference", "size"])
def test_a_record_without_what_each_has_is_refused(name: str) -> None:
    data = SENT.to_json()
    del data[name]
    with pytest.raises(ConfigurationError, match="cannot be read"):
        BatchRecord.from_json(data)


@pytest.mark.parametrize(
    ("name", "value"), [("attempt", -1), ("attempt", 2**30), ("step", -1), ("step", 2**32)]
)
def test_a_number_that_no_database_has_room_for_is_refused(name: str, value: int) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        BatchRecord.from_json({**SENT.to_json(), name: value})


def test_a_phase_is_kept_as_plain_text() -> None:
    assert [replace(CLAIM, phase=phase).to_json()["phase"] for phase in Phase] == [
        "claimed", "refused", "assumed_sent", "sent", "disputed",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("phase", "in_doubt"),
    [(Phase.CLAIMED, True), (Phase.DISPUTED, True), (Phase.REFUSED, False), (Phase.ASSUMED_SENT, False),
     (Phase.SENT, False)],
)  # fmt: skip
def test_which_phases_leave_a_batch_in_doubt(phase: Phase, in_doubt: bool) -> None:
    assert phase.is_in_doubt is in_doubt


@pytest.mark.parametrize(
    ("record", "nobody"),
    [
        (CLAIM, False),
        (replace(CLAIM, phase=Phase.REFUSED), True),
        (replace(CLAIM, phase=Phase.ASSUMED_SENT), False),
        (SENT, False),
        (replace(SENT, accepted=0), True),
        (replace(SENT, accepted=0, in_doubt=1), False),
        (replace(SENT, phase=Phase.DISPUTED, accepted=0), False),
    ],
    ids=[
        "claimed",
        "refused",
        "assumed sent",
        "sent",
        "everybody refused",
        "nobody accepted, one in doubt",
        "disputed",
    ],
)
def test_which_records_prove_that_nobody_was_reached(record: BatchRecord, nobody: bool) -> None:
    assert record.reached_nobody is nobody


# From what is less far to what is further: the attempt, then which of its writes it was, whatever was written.
RANKS = [
    (0, 0, Phase.SENT),
    (1, 0, Phase.CLAIMED),
    (1, 1, Phase.SENT),
    (1, 2, Phase.CLAIMED),  # claimed again, after it was in doubt
    (1, 3, Phase.CLAIMED),  # and the doubt as it was, after the repeat was refused
    (1, 2**32 - 1, Phase.DISPUTED),
    (2, 0, Phase.CLAIMED),
    (3, 1, Phase.REFUSED),
    (2**30 - 1, 2**32 - 1, Phase.SENT),
]


def test_of_two_records_the_one_that_was_written_later_is_further() -> None:
    ranks = [replace(CLAIM, phase=phase, attempt=attempt, step=step).rank for attempt, step, phase in RANKS]
    assert ranks == sorted(set(ranks))
    assert ranks[-1] < 2**63  # a database's integer


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
    record = BatchRecord.of_receipt(receipt, replace(CLAIM, resent=1), at="now")
    assert (record.phase, record.accepted, record.opted_out, record.in_doubt) == (Phase.SENT, 1, 1, 0)
    assert (record.reference, record.size, record.resent, record.at) == (CLAIM.reference, 3, 1, "now")
    assert (record.cost, record.currency, record.segments) == (Decimal("0.045"), "EUR", 1)
    assert "336998877" not in json.dumps(record.to_json())


def test_a_receipt_for_nobody_is_recorded_as_sent_to_nobody() -> None:
    refused = tuple(
        RefusedRecipient(phone_number=f"+3369988776{n}", code="14", reason="STOP") for n in range(3)
    )
    record = BatchRecord.of_receipt(Receipt(gateway_id=None, accepted=0, refused=refused), CLAIM, at="now")
    assert (record.phase, record.gateway_id, record.accepted) == (Phase.SENT, None, 0)
    assert record.reached_nobody


def test_what_is_disputed_is_claimed_again_without_what_its_answer_said() -> None:
    disputed = replace(
        SENT, phase=Phase.DISPUTED, resent=1, in_doubt=1, tag="t", again_at="2031-05-06T12:30:00+00:00"
    )
    assert disputed.as_claimed == replace(CLAIM, resent=1, again_at="2031-05-06T12:30:00+00:00")
