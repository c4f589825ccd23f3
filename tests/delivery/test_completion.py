"""When a campaign is complete: everybody who was accepted has a final status, and silence is never success."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voicepartner.delivery.completion import Progress
from airflow_provider_voicepartner.gateways.model import DeliveryReport
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from tests.support.tasks import CALM

PENDING, DELIVERED, FAILED = DeliveryStatus.PENDING, DeliveryStatus.DELIVERED, DeliveryStatus.FAILED


def told(status: DeliveryStatus, person: int = 1, campaign: str | None = "8000001") -> DeliveryReport:
    return DeliveryReport(
        gateway="smspartner", campaign_id=campaign, phone_number=f"+3361234{person:04}", status=status
    )


def test_nothing_told_is_everybody_pending() -> None:
    progress = Progress.of_reports([], expected=3)
    assert (progress.pending, progress.delivered, progress.is_complete) == (3, 0, False)


def test_a_partial_list_is_not_complete_however_good_it_looks() -> None:
    progress = Progress.of_reports([told(DELIVERED, 1), told(DELIVERED, 2)], expected=3)
    assert not progress.is_complete
    assert progress.pending == 1


def test_it_is_complete_when_all_are_final_also_when_none_got_it() -> None:
    progress = Progress.of_reports([told(FAILED, 1), told(DeliveryStatus.OPTED_OUT, 2)], expected=2)
    assert progress.is_complete
    assert progress.delivery_rate == 0


def test_a_campaign_that_nobody_accepted_is_complete_and_delivered_to_nobody() -> None:
    progress = Progress.of_reports([], expected=0)
    assert progress.is_complete
    assert (progress.delivery_rate, progress.best_possible_rate) == (0.0, 0.0)


@pytest.mark.parametrize(
    "order", [[PENDING, DELIVERED], [DELIVERED, PENDING], [DELIVERED, PENDING, PENDING, DELIVERED]]
)
def test_reports_may_come_in_any_order_and_more_than_once(order: list[DeliveryStatus]) -> None:
    progress = Progress.of_reports([told(status) for status in order], expected=1)
    assert (progress.delivered, progress.is_complete) == (1, True)


def test_a_final_status_is_not_taken_back() -> None:
    assert Progress.of_reports([told(DELIVERED), told(FAILED)], expected=1).delivered == 1


def test_a_person_in_two_batches_counts_twice() -> None:
    progress = Progress.of_reports([told(DELIVERED, 1, "1"), told(FAILED, 1, "2")], expected=2)
    assert (progress.delivered, progress.counts[FAILED], progress.is_complete) == (1, 1, True)


def test_those_of_whom_nobody_will_tell_are_unconfirmed_and_never_delivered() -> None:
    progress = Progress.of_reports([told(DELIVERED)], expected=4, unconfirmed=3)
    assert progress.is_complete
    assert progress.counts[DeliveryStatus.UNCONFIRMED] == 3
    assert progress.delivery_rate == 0.25
    assert progress.best_possible_rate == 0.25


def test_a_gateway_that_reports_more_people_than_it_accepted_gives_no_rate_above_one() -> None:
    progress = Progress.of_reports([told(DELIVERED, person) for person in range(5)], expected=3)
    assert (progress.delivery_rate, progress.best_possible_rate, progress.is_complete) == (1.0, 1.0, True)


def test_it_is_told_in_one_line_without_zeros() -> None:
    assert str(Progress.of_reports([told(DELIVERED)], expected=3)) == "2 pending, 1 delivered of 3"
    assert str(Progress.of_reports([], expected=0)) == "nothing of 0"


def test_its_json_names_every_status() -> None:
    data = Progress.of_reports([told(DELIVERED, 1), told(FAILED, 2)], expected=3).to_json()
    assert data == {
        "expected": 3, "pending": 1, "delivered": 1, "failed": 1, "undeliverable": 0, "opted_out": 0, "cancelled": 0,
        "unconfirmed": 0, "delivery_rate": 0.333333,
    }  # fmt: skip
    assert json.loads(json.dumps(data)) == data


REPORTS = st.lists(
    st.builds(told, st.sampled_from(DeliveryStatus), st.integers(0, 6), st.sampled_from(["1", "2", None])),
    max_size=20,
)


@CALM
@given(REPORTS, st.integers(0, 12), st.integers(0, 3))
def test_counts_always_add_up_and_rates_stay_between_0_and_1(
    reports: list[DeliveryReport], more: int, unconfirmed: int
) -> None:
    expected = more + unconfirmed
    progress = Progress.of_reports(reports, expected=expected, unconfirmed=unconfirmed)
    people = len({(report.campaign_id, report.phone_number) for report in reports})
    assert sum(progress.counts.values()) == max(expected, people + unconfirmed)
    assert 0 <= progress.delivery_rate <= progress.best_possible_rate <= 1
    if progress.is_complete and expected:
        assert progress.delivery_rate == progress.best_possible_rate
    assert progress.is_complete is (progress.counts[PENDING] == 0)
