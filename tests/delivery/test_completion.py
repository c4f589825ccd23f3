"""When a campaign is complete: everybody who was accepted has a final status, and silence is never success."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voicepartner.delivery.completion import AwaitedBatch, Progress
from airflow_provider_voicepartner.delivery.inbound import of_gateway_id, of_reference
from airflow_provider_voicepartner.delivery.store import KnownCampaign
from airflow_provider_voicepartner.gateways.model import CampaignDeliveryReport
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from tests.support.tasks import CALM

PENDING, DELIVERED, FAILED = DeliveryStatus.PENDING, DeliveryStatus.DELIVERED, DeliveryStatus.FAILED
UNCONFIRMED = DeliveryStatus.UNCONFIRMED
ONE, TWO = "k3v9x0q2w7ha", "aaaaaaaaaaa2"


def batch(accepted: int = 3, reference: str = ONE, gateway_id: str | None = "8001") -> AwaitedBatch:
    return AwaitedBatch(gateway="voicepartner", reference=reference, gateway_id=gateway_id, accepted=accepted)


def told(reference: str = ONE, **counts: int) -> dict[Any, KnownCampaign]:
    known = KnownCampaign(counts={DeliveryStatus(status): count for status, count in counts.items()})
    return {of_reference("voicepartner", reference): known}


def drop(delivered: int, total: int) -> dict[Any, KnownCampaign]:
    report = CampaignDeliveryReport(
        gateway="voicepartner", campaign_ids=("8001",), delivered=delivered, total=total
    )
    return {of_reference("voicepartner", ONE): KnownCampaign(report=report)}


@pytest.mark.parametrize(("delivered", "total"), [(-1, 3), (0, -3), (-5, -3)])
def test_no_total_makes_less_than_nobody(delivered: int, total: int) -> None:
    progress = Progress.of_batches([batch()], drop(delivered, total))
    assert (progress.delivered, progress.counts[DeliveryStatus.FAILED], progress.is_complete) == (0, 3, True)


def test_without_reports_everybody_is_pending() -> None:
    progress = Progress.of_batches([batch()], {})
    assert (progress.expected, progress.pending, progress.is_complete) == (3, 3, False)


def test_a_partial_list_is_not_complete_however_good_it_looks() -> None:
    progress = Progress.of_batches([batch()], told(delivered=2))
    assert not progress.is_complete
    assert progress.pending == 1


def test_who_is_reported_as_pending_is_pending_and_not_twice() -> None:
    progress = Progress.of_batches([batch()], told(delivered=1, pending=2))
    assert (progress.pending, progress.delivered) == (2, 1)


def test_it_is_complete_when_all_are_final_also_when_none_got_it() -> None:
    progress = Progress.of_batches([batch(2)], told(failed=1, opted_out=1))
    assert progress.is_complete
    assert progress.delivery_rate == 0


def test_a_campaign_that_nobody_accepted_is_complete_and_delivered_to_nobody() -> None:
    progress = Progress.of_batches([batch(0)], {})
    assert progress.is_complete
    assert (progress.delivery_rate, progress.best_possible_rate) == (0.0, 0.0)


def test_reports_by_our_reference_and_by_the_gateways_id_add_up() -> None:
    by_id = {of_gateway_id("voicepartner", "8001"): KnownCampaign(counts={FAILED: 1})}
    progress = Progress.of_batches([batch()], {**told(delivered=2), **by_id})
    assert (progress.delivered, progress.counts[FAILED], progress.is_complete) == (2, 1, True)


def test_all_batches_must_be_complete() -> None:
    batches = [batch(2), batch(2, TWO, None)]
    assert not Progress.of_batches(batches, told(delivered=2)).is_complete
    assert Progress.of_batches(batches, {**told(delivered=2), **told(TWO, failed=2)}).is_complete


def test_another_campaigns_reports_mean_nothing() -> None:
    assert Progress.of_batches([batch(2)], told(TWO, delivered=2)).pending == 2


@pytest.mark.parametrize(
    ("delivered", "total", "counts"),
    [(3, 3, (3, 0)), (1, 3, (1, 2)), (0, 3, (0, 3)), (2, 2, (2, 1)), (9, 9, (3, 0)), (0, 0, (0, 3))],
)
def test_one_call_about_a_whole_voicemail_campaign_ends_it(
    delivered: int, total: int, counts: tuple[int, int]
) -> None:
    progress = Progress.of_batches([batch()], drop(delivered, total))
    assert progress.is_complete
    assert (progress.delivered, progress.counts[FAILED]) == counts


def test_recipients_without_a_final_report_are_unconfirmed_and_never_delivered() -> None:
    batches = [batch(3), batch(2, TWO, None)]
    settled = Progress.of_batches(batches, told(delivered=1), over={1})
    assert (settled.counts[UNCONFIRMED], settled.pending, settled.is_complete) == (2, 2, False)
    over = Progress.of_batches(batches, told(delivered=1, pending=1), over={0, 1})
    assert (over.unconfirmed, over.delivered, over.is_complete) == (4, 1, True)
    assert over.delivery_rate == 0.2


def test_a_gateway_that_reports_more_people_than_it_accepted_gives_no_rate_above_one() -> None:
    progress = Progress.of_batches([batch(1)], told(delivered=3))
    assert progress.is_complete
    assert (progress.delivery_rate, progress.best_possible_rate) == (1.0, 1.0)


def test_its_text_is_one_line_without_zeros() -> None:
    assert str(Progress.of_batches([batch()], told(delivered=1))) == "2 pending, 1 delivered of 3"
    assert str(Progress.of_batches([batch(0)], {})) == "nothing of 0"


def test_its_json_names_every_status_and_is_read_back() -> None:
    progress = Progress.of_batches([batch()], told(delivered=1))
    data = json.loads(json.dumps(progress.to_json()))
    assert set(data) == {"expected", "delivery_rate", *(status.value for status in DeliveryStatus)}
    assert Progress.from_json(data) == progress


@pytest.mark.parametrize("data", [None, {}, [], {"expected": 3}, {"expected": "x"}, "text"])
def test_other_json_is_refused(data: Any) -> None:
    with pytest.raises(ValueError, match="not the counts"):
        Progress.from_json(data)


@CALM
@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.dictionaries(st.sampled_from(DeliveryStatus), st.integers(0, 9)))
    ),
    st.booleans(),
)
def test_counts_always_add_up_and_rates_stay_between_0_and_1(
    batches: list[tuple[int, dict[DeliveryStatus, int]]], is_over: bool
) -> None:
    awaited = [batch(accepted, f"r{index}", None) for index, (accepted, _) in enumerate(batches)]
    known = {
        of_reference("voicepartner", f"r{index}"): KnownCampaign(counts=counts)
        for index, (_, counts) in enumerate(batches)
    }
    progress = Progress.of_batches(awaited, known, over=range(len(batches)) if is_over else ())
    assert sum(progress.counts.values()) >= progress.expected == sum(accepted for accepted, _ in batches)
    assert 0 <= progress.delivery_rate <= progress.best_possible_rate <= 1
    assert progress.is_complete == (progress.pending == 0)
    assert not (is_over and progress.pending)
