"""A task that is killed and retried messages everybody once: one kill of each sort, quick enough for every day."""

from __future__ import annotations

import pytest

from tests.support.crash import ON_AIRFLOW_2, WAYS, Cell, Stage, Trial

SMS, OCTOPUSH_SMS, _, CALL, VOICEMAIL = WAYS

FEW = (
    (
        Cell("store"),
        Cell("store", "postgres"),
        Cell("store", machines=2),
        Cell("store", by_hand=True),
        Cell("state"),
    )
    if ON_AIRFLOW_2
    else (
        Cell("both", "postgres", discard=True),
        Cell("both", machines=2),
        Cell("store"),
        Cell("store", machines=2),
        Cell("state", discard=True),
    )
)
"""One of each sort; all are in the slow tests."""


def test_before_the_first_claim_nothing_is_in_doubt(stage: Stage) -> None:
    trial = Trial(stage, VOICEMAIL)
    point = "write store: before (2)" if ON_AIRFLOW_2 else "write attempt: after"
    trial.finish(resolve="assume_sent", orders=[{point: "kill worker"}])
    assert [ending.state for ending in trial.endings] == ["up_for_retry", "success"]


@pytest.mark.slow
def test_while_it_asks_for_the_price_nothing_is_in_doubt(stage: Stage) -> None:
    trial = Trial(stage, SMS)
    trial.finish(resolve="assume_sent", orders=[{"simulate: before": "kill worker"}])
    assert [ending.state for ending in trial.endings] == ["up_for_retry", "success"]


def test_after_the_gateway_took_it_the_tag_proves_it(stage: Stage) -> None:
    # One at a time: of several, another one might be killed on its way, which no tag proves.
    trial = Trial(stage, SMS)
    trial.finish(resolve="assume_sent", orders=[{"send 2: answered": "kill"}])
    assert [ending.state for ending in trial.endings] == ["up_for_retry", "success"]


@pytest.mark.slow
def test_after_the_gateway_took_it_a_repeat_proves_it(stage: Stage) -> None:
    trial = Trial(stage, OCTOPUSH_SMS)
    trial.finish(resolve="assume_sent", orders=[{"send 2: in the answer": "kill worker"}])
    assert [ending.state for ending in trial.endings] == ["up_for_retry", "success"]


@pytest.mark.slow
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


@pytest.mark.slow
def test_killed_again_while_it_settles_what_the_first_left(stage: Stage) -> None:
    trial = Trial(stage, SMS)
    trial.finish(
        resolve="assume_sent", orders=[{"send 2: answered": "kill"}, {"send 3: before": "kill worker"}]
    )
    assert [ending.state for ending in trial.endings] == ["up_for_retry", "up_for_retry", "failed", "success"]
    assert trial.reached_by_batch() == [1, 1, 0]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("cell", FEW, ids=str)
def test_a_kill_leaves_only_what_was_in_flight_in_doubt_where_anything_is_known(
    stage: Stage, cell: Cell
) -> None:
    trial = Trial(stage, CALL, cell=cell)
    trial.finish(resolve="assume_sent", orders=[{"send 2: before": "kill"}])
    killed, failed, *_ = trial.endings
    assert (killed.state, failed.state) == ("up_for_retry", "failed")
    assert failed.doubtful == ({1} if cell.knows.after_a_kill else {0, 1, 2})
    # What came after the doubt was sent all the same, and the user's word is about the doubt alone.
    assert trial.reached_by_batch()[:2] == [1, 0]
    if cell.knows.after_a_kill and (cell.knows.after_discarding or not cell.discard):
        assert trial.reached_by_batch() == [1, 0, 1]
