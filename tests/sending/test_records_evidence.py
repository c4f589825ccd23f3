"""Evidence is compared with the batch: others' numbers and what is older than its claim do not count."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voicepartner.constants import CLOCK_TOLERANCE
from airflow_provider_voicepartner.gateways.model import DeliveryReport
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from airflow_provider_voicepartner.sending.records import accepted_numbers

A, B, C = NUMBERS = ("+33600000001", "+33600000002", "+33600000003")
STRANGER = "+33699999999"
CLAIMED = datetime(2031, 5, 6, 12, 0, 30, tzinfo=UTC)


def report(number: str, at: datetime | None = None) -> DeliveryReport:
    moment = None if at is None else pendulum.instance(at).in_timezone("Europe/Paris")
    return DeliveryReport(
        gateway="smspartner", campaign_id=None, phone_number=number, status=DeliveryStatus.PENDING, at=moment
    )


def test_each_number_of_the_batch_counts_once() -> None:
    reports = [report(A), report(A), report(STRANGER), report(C), report("")]
    assert accepted_numbers(reports, NUMBERS) == {A, C}
    assert accepted_numbers([], NUMBERS) == set()
    assert accepted_numbers(reports, []) == set()


def test_clocks_may_differ_by_ten_minutes() -> None:
    assert timedelta(minutes=10) == CLOCK_TOLERANCE


@pytest.mark.parametrize(
    ("at", "counts"),
    [
        (None, True),
        (CLAIMED, True),
        (CLAIMED.replace(second=0), True),  # cut to the minute
        (CLAIMED + timedelta(days=3), True),
        (CLAIMED - CLOCK_TOLERANCE, True),
        (CLAIMED - CLOCK_TOLERANCE - timedelta(seconds=1), False),
        (CLAIMED - timedelta(hours=1), False),
        (CLAIMED - timedelta(days=1), False),
        (datetime(2001, 5, 6, 12, tzinfo=UTC), False),
        (datetime(9999, 12, 30, tzinfo=UTC), True),
        (datetime(1970, 1, 1, tzinfo=UTC), True),  # how some write "not yet"
        (datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), False),
    ],
)
def test_what_is_older_than_the_claim_does_not_count(at: datetime | None, counts: bool) -> None:
    assert accepted_numbers([report(A, at)], NUMBERS, since=CLAIMED) == ({A} if counts else set())
    assert accepted_numbers([report(A, at)], NUMBERS) == {A}


def test_one_young_report_among_old_ones_is_enough() -> None:
    old = datetime(2001, 5, 6, tzinfo=UTC)
    assert accepted_numbers([report(A, old), report(A, CLAIMED), report(B, old)], NUMBERS, since=CLAIMED) == {
        A
    }


@given(st.lists(st.sampled_from([*NUMBERS, STRANGER, "", "x"]), max_size=20))
def test_never_more_than_the_batch(numbers: list[str]) -> None:
    assert accepted_numbers(map(report, numbers), NUMBERS) == set(numbers) & set(NUMBERS)
