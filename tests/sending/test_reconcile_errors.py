"""What is said of batches that are still in doubt: which they are, why, and what decides."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_voicepartner.exceptions import (
    OutcomePendingError,
    SendOutcomeUnknownError,
    ends_retries,
)
from airflow_provider_voicepartner.sending.reconcile import (
    Verdict,
    unresolved,
)
from tests.support.reconciling import CLAIM, OLD, Gateway, outcome, settled
from tests.support.transport import NOW


def verdict_of(reference: str = CLAIM.reference, index: int = 4, **more: Any) -> Verdict:
    why = more.pop("why", "the worker died")
    return Verdict(outcome(replace(CLAIM, reference=reference), index, why=why), **more)


def test_to_fail_names_the_batch_its_reference_and_the_choices() -> None:
    error = unresolved([verdict_of()], None)
    assert isinstance(error, SendOutcomeUnknownError)
    told = str(error)
    assert told.startswith(
        "on_unknown: batch 5 (2 recipients, reference k3v9x0q2w7ha) is in doubt: the worker died"
    )
    assert "on_unknown='assume_sent' if it was sent" in told
    assert "on_unknown='resend'" in told
    assert "One on_unknown decides on all that are in doubt" in told
    assert "+336" not in told
    assert ends_retries(error)


def test_every_batch_in_doubt_is_named_and_each_reason_once() -> None:
    error = unresolved(
        [verdict_of("a", 0), verdict_of("b", 3), verdict_of("c", 7, why="the answer was lost")], None
    )
    assert (
        "batch 1 (2 recipients, reference a), batch 4 (2 recipients, reference b), batch 8 (2 recipients, reference c) "
        "are in doubt: the worker died; the answer was lost. Look them up"
    ) in str(error)


@pytest.mark.parametrize(
    ("indexes", "named"),
    [
        ([0], "batch 1 (2 recipients, reference not known) is"),
        ([0, 1, 2], "batches 1 to 3 (6 recipients, reference not known) are"),
        ([4, 0, 1, 7, 8], "batches 1 to 2, 5, 8 to 9 (10 recipients, reference not known) are"),
    ],
)
def test_batches_without_a_reference_are_named_together(indexes: list[int], named: str) -> None:
    error = unresolved([verdict_of("", index, why="not told") for index in indexes], "try 1 left no trace")
    assert f"on_unknown: {named} in doubt: try 1 left no trace." in str(error)
    assert "not told" not in str(error)


def test_batches_with_and_without_a_reference_are_told_apart() -> None:
    error = unresolved([verdict_of("a", 0), verdict_of("", 1)], "try 1 left no trace")
    assert (
        "batch 1 (2 recipients, reference a), batch 2 (2 recipients, reference not known) are in doubt: the worker "
        "died; try 1 left no trace"
    ) in str(error)


def test_while_a_gateway_may_still_come_to_know_one_of_them_a_retry_asks_it_again() -> None:
    error = unresolved(
        [verdict_of("a", 0), verdict_of("b", 1, ask_in=200.0), verdict_of("c", 2, ask_in=40.0)], None
    )
    assert isinstance(error, OutcomePendingError)
    assert error.retry_after == 40
    assert not ends_retries(error)
    assert "batch 1 (2 recipients, reference a), batch 2" in str(error)
    assert "a retry asks it again, and nothing is sent twice" in str(error)
    assert "on_unknown" not in str(error)


@pytest.mark.parametrize(
    ("choice", "then"),
    [
        (
            "fail",
            "a retry asks it again, and nothing is sent twice. If no retry is left by then, clear the task after",
        ),
        (
            "resend_unlisted",
            "what it does not list by then is sent again (on_unknown='resend_unlisted'). If no retry",
        ),
    ],
)
def test_a_doubt_that_may_end_by_itself_says_when_and_what_comes_then(choice: Any, then: str) -> None:
    """15 minutes after the claim a gateway would know it."""
    claim = replace(CLAIM, at=(NOW - timedelta(minutes=4)).isoformat())
    verdict = settled(
        Gateway(finds=True, disproves=True, listed_within=timedelta(minutes=15)), claim, on_unknown=choice
    )
    assert verdict.until == NOW + timedelta(minutes=11)
    error = str(unresolved([verdict], None, choice))
    assert f"until {verdict.until:%Y-%m-%d %H:%M:%S} UTC" in error
    assert then in error
    assert ("nothing is sent twice" in error) == (choice == "fail")
    # A try that left no trace may have sent it, so what is not listed is not sent again.
    overtaken = settled(Gateway(finds=True, disproves=True, listed_within=timedelta(minutes=15)), claim,
                        on_unknown=choice, is_overtaken=True)  # fmt: skip
    assert "nothing is sent twice" in str(unresolved([overtaken], None, choice))


@pytest.mark.parametrize(
    ("disproves", "choice", "is_offered"),
    [(True, "fail", True), (True, "resend_unlisted", False), (False, "fail", False)],
)
def test_to_send_again_what_is_not_listed_is_offered_where_it_can_be_done(
    disproves: bool, choice: Any, is_offered: bool
) -> None:
    verdict = settled(
        Gateway(finds=True, disproves=disproves, shows=0, taken=[CLAIM.reference]), OLD, on_unknown="fail"
    )
    error = str(unresolved([verdict], None, choice))
    assert ("on_unknown='resend_unlisted' to have sent again" in error) == is_offered
    assert "'assume_sent' is final" in error


def test_a_batch_without_a_reference_says_so() -> None:
    assert str(outcome(replace(CLAIM, reference=""))) == "batch 5 (2 recipients, reference not known)"


def test_nobody_in_a_doubt_is_shown() -> None:
    assert "+336" not in repr(outcome())
