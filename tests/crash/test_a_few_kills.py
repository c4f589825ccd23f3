"""A task that is killed and retried messages everybody once: one kill of each sort, quick enough for every day."""

from __future__ import annotations

import pytest

from tests.support.crash import WAYS, Stage, Trial



SMS, OCTOPUSH_SMS, _, CALL, VOICEMAIL = WAYS


def test_between_batches_nothing_is_in_doubt(stage: Stage) -> None:
    trial = Trial(stage, VOICEMAIL)
    trial.finish(resolve="assume_sent", orders=[{"write batches: before": "kill worker"}])
    assert [ending.state for ending in trial.endings] == ["up_for_retry", "success"]


def test_after_the_gateway_took_it_the_tag_proves_it(stage: Stage) -> None:
    # One at a time: of several, another one might be killed on its way, which no tag proves.
    trial = Trial(stage, SMS)
    trial.finish(resolve="assume_sent", orders=[{"send 2: answered": "kill"}])
    assert [ending.state for ending in trial.endings] == ["up_for_retry", "success"]


def test_after_the_gateway_took_it_a_repeat_proves_it(stage: Stage) -> None:
    trial = Trial(stage, OCTOPUSH_SMS)
    trial.finish(resolve="assume_sent", orders=[{"send 2: in the answer": "kill worker"}])
    assert [ending.state for ending in trial.endings] == ["up_for_retry", "success"]


def test_what_nothing_proves_is_left_to_the_user(stage: Stage) -> None:
    trial = Trial(stage, CALL)
    trial.finish(resolve="assume_sent", orders=[{"send 2: after": "kill"}])
    assert [ending.state for ending in trial.endings] == ["up_for_retry", "failed", "success"]
    assert trial.reached_by_batch() == [1, 1, 1]


def test_a_batch_that_never_left_reaches_nobody_until_the_user_says_resend(stage: Stage) -> None:
    trial = Trial(stage, SMS)
    trial.finish(resolve="resend", orders=[{"send 1: before": "kill"}])
    assert [ending.state for ending in trial.endings] == ["up_for_retry", "failed", "success"]
    assert trial.reached_by_batch() == [1, 1, 1]


def test_killed_again_while_it_settles_what_the_first_left(stage: Stage) -> None:
    trial = Trial(stage, SMS)
    trial.finish(
        resolve="assume_sent", orders=[{"send 2: answered": "kill"}, {"write batches: before": "kill worker"}]
    )
    assert [ending.state for ending in trial.endings] == ["up_for_retry", "up_for_retry", "success"]
