"""A planned time that passes on the way: who is told what, and when the rest leaves."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.sending.campaign_spec import Campaign, Schedule
from airflow_provider_voicepartner.sending.ledger import BatchRecord, Phase

PLANNED = datetime(2031, 5, 6, 12, 0, tzinfo=UTC)
EARLY, LATE = PLANNED - timedelta(microseconds=1), PLANNED + timedelta(seconds=1)


def schedule(
    now: datetime,
    on_late: str = "fail",
    send_at: datetime | None = PLANNED,
    gone: tuple[Phase, ...] = (),
    lead: timedelta = timedelta(0),
) -> Schedule:
    campaign: Any = SimpleNamespace(send_at=send_at, on_late=on_late, batches=range(5), shortest_lead=lead)
    records = [
        (i, BatchRecord(phase=phase, reference="r", size=1, accepted=1)) for i, phase in enumerate(gone)
    ]
    ledger: Any = SimpleNamespace(known=lambda: iter(records))
    return Schedule(campaign, ledger, lambda: now)


@pytest.mark.parametrize("on_late", ["fail", "send_now"])
@pytest.mark.parametrize(("send_at", "now"), [(PLANNED, EARLY), (None, EARLY), (None, LATE)])
def test_a_campaign_in_time_leaves_as_planned_and_nothing_is_said(
    send_at: datetime | None, now: datetime, on_late: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    plan = schedule(now, on_late, send_at)
    assert [plan.for_next(), plan.for_next(), plan.for_repeats()] == [send_at] * 3
    assert caplog.text == ""


@pytest.mark.parametrize("now", [PLANNED, LATE])
def test_what_is_late_leaves_at_once_where_the_user_said_so_and_is_told_once(
    now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    plan = schedule(now, "send_now")
    assert [plan.for_repeats(), plan.for_next(), plan.for_next()] == [None] * 3
    assert [record.getMessage() for record in caplog.records] == [
        "send_at has passed; the batches that are left are sent now (on_late='send_now')"
    ]
    assert caplog.records[0].levelno == logging.WARNING


@pytest.mark.parametrize("now", [PLANNED, LATE])
def test_a_late_repeat_keeps_its_planned_time_where_nothing_may_leave_at_once(now: datetime) -> None:
    """It is the same request, or its gateway would not recognise it."""
    assert schedule(now).for_repeats() == PLANNED


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ((), r"^send_at: 2031-05-06T12:00:00\+00:00 is in the past, and nothing was sent; give a later date"),
        ((Phase.REFUSED,), "is in the past, and nothing was sent"),
        (
            (Phase.SENT,),
            r"^send_at: 2031-05-06T12:00:00\+00:00 has passed, and 4 of 5 batches had not been sent\. .*'send_now'",
        ),
        (
            (Phase.SENT, Phase.CLAIMED, Phase.REFUSED, Phase.ASSUMED_SENT),
            "and 2 of 5 batches had not been sent",
        ),
    ],
)
@pytest.mark.parametrize("now", [PLANNED, LATE])
def test_a_refusal_says_how_much_had_not_left(now: datetime, gone: tuple[Phase, ...], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        schedule(now, gone=gone).for_next()


QUARTER = timedelta(minutes=15)


def test_a_gateway_that_wants_batches_early_makes_them_late_early(caplog: pytest.LogCaptureFixture) -> None:
    in_time = PLANNED - QUARTER - timedelta(microseconds=1)
    assert schedule(in_time, lead=QUARTER).for_next() == PLANNED
    with pytest.raises(
        ConfigurationError, match=r"12:00:00\+00:00 is less than 15 minutes ahead.* and nothing was sent"
    ):
        schedule(PLANNED - QUARTER, lead=QUARTER).for_next()
    with pytest.raises(ConfigurationError, match=r"15 minutes ahead.* and 4 of 5 batches had not been sent"):
        schedule(PLANNED - QUARTER, lead=QUARTER, gone=(Phase.SENT,)).for_next()
    assert schedule(PLANNED - QUARTER, "send_now", lead=QUARTER).for_next() is None
    assert "send_at is less than 15 minutes ahead" in caplog.text


def test_a_campaign_shows_no_key_of_its_account() -> None:
    message: Any = SimpleNamespace()
    campaign = Campaign(message=message, batches=[], recipients=0, fingerprint="f", account=b"planted")
    assert "planted" not in repr(campaign)
