"""What the log says of a campaign on its way."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_voicepartner.constants import EACH_BATCH_UP_TO, PROGRESS_INTERVAL
from airflow_provider_voicepartner.exceptions import RetryableNotSentError
from airflow_provider_voicepartner.sending.ledger import BatchRecord, Phase
from airflow_provider_voicepartner.sending.progress import Count, ProgressLog, Standing
from airflow_provider_voicepartner.sending.records import Evidence
from tests.support.servers import FakeTime

SENT = BatchRecord(phase=Phase.SENT, reference="k3v9x0q2w7ha", size=500, accepted=499, gateway_id="812")


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def test_of_a_short_campaign_every_batch_is_told(told: pytest.LogCaptureFixture) -> None:
    log = ProgressLog(EACH_BATCH_UP_TO)
    log.known(0, SENT)
    log.sent(1, SENT)
    assert told.messages == [
        "Batch 1 (k3v9x0q2w7ha) was sent by an earlier attempt; it is not sent again",
        "Batch 2 (k3v9x0q2w7ha): 499 of 500 recipients accepted as 812",
    ]


def test_of_a_long_campaign_it_is_told_now_and_then_how_far_it_is(told: pytest.LogCaptureFixture) -> None:
    time = FakeTime()
    log = ProgressLog(2_000, clock=lambda: time.moment)
    for index in range(1_900):
        log.known(index, SENT)
    for index in range(1_900, 2_000):
        time.moment += PROGRESS_INTERVAL / 50
        log.sent(index, SENT)
    assert told.messages == [
        "1900 of 2000 batches were sent by earlier attempts; they are not sent again",
        "50 of 2000 batches sent now, 24950 recipients accepted",
        "100 of 2000 batches sent now, 49900 recipients accepted",
    ]


def test_on_demand_every_batch_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ProgressLog(2_000).sent(7, SENT)
    assert caplog.messages == ["Batch 8 (k3v9x0q2w7ha): 499 of 500 recipients accepted as 812"]


def test_what_settled_a_doubt_is_told_with_the_batch(told: pytest.LogCaptureFixture) -> None:
    log = ProgressLog(EACH_BATCH_UP_TO)
    log.known(0, replace(SENT, evidence=Evidence.CALLED_BACK))
    log.sent(1, replace(SENT, gateway_id=None, evidence=Evidence.LOOK_UP))
    assert told.messages == [
        "Batch 1 (k3v9x0q2w7ha) was sent by an earlier attempt (it was in doubt; evidence: called_back); it is not "
        "sent again",
        "Batch 2 (k3v9x0q2w7ha): 499 of 500 recipients accepted (it was in doubt; evidence: look_up)",
    ]


@pytest.mark.parametrize(
    ("on_unknown", "doubts", "said"),
    [
        ("fail", 1, "and nothing twice"),
        ("assume_sent", 1, "and nothing twice"),
        ("resend", 0, "and nothing twice"),
        ("resend", 1, "and what is in doubt once more (on_unknown='resend'), so these recipients may get it twice"),
        ("resend_unlisted", 1, "and what is in doubt once more where the gateway does not list it "
            "(on_unknown='resend_unlisted'), so these recipients may get it twice"),
    ],
)  # fmt: skip
def test_a_failure_says_whom_a_retry_may_message_twice(on_unknown: Any, doubts: int, said: str) -> None:
    error = RetryableNotSentError("the gateway is away")
    Standing(
        whole=Count(3, 3), sent=Count(2 - doubts, 2 - doubts), in_doubt=Count(doubts, doubts), refused=Count(),
        left=Count(1, 1), is_durable=True, on_unknown=on_unknown,
    ).add_to(error)  # fmt: skip
    assert str(error).endswith(f"A retry, or clearing the task, sends what is left, {said}")
