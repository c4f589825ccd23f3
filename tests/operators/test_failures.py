"""Whatever ends a campaign early says who was sent to and what a retry will do, and leaves the report so far."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_voicepartner.exceptions import (
    BudgetExceededError,
    CampaignInterruptedError,
    ConfigurationError,
    OutcomePendingError,
    RejectedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.sending.batch import WorkerPool
from tests.operators.conftest import SET, HookClock
from tests.support.gateways import fault, requests, sent
from tests.support.tasks import FakeStore, Logs, TaskRun, assert_plain

PEOPLE = [f"+3361234567{digit}" for digit in range(4)]
CLEAR = "Airflow does not retry this error. Fix the cause and clear the task: it sends what is left, and nothing twice"
ASK_AGAIN = (
    "Airflow does not retry this error. Clear the task without changing on_unknown to ask once more: it sends what "
    "is left, and nothing twice"
)
Trouble = Callable[[Any, HookClock, TaskRun], None]
RETRY = "A retry, or clearing the task, sends what is left, and nothing twice"


def count(batches: int) -> str:
    return f"{batches} ({batches} recipients)" if batches else "none"


pytestmark = pytest.mark.usefixtures("single", "one_look_up")


def sms(**arguments: Any) -> SendSmsOperator:
    given = {"task_id": "send", "to": PEOPLE, "message": "Bonjour", "max_in_flight": 1, **arguments}
    return SendSmsOperator(**given)


def no_credit(sandbox: Any, clock: HookClock, task: TaskRun) -> None:
    sandbox.world.credit["smspartner"] = Decimal("0.10")


def rate_limit(sandbox: Any, clock: HookClock, task: TaskRun) -> None:
    fault(sandbox, "429", retry_after=90, skip=2, method="POST", path="/send")


def lost(sandbox: Any, clock: HookClock, task: TaskRun) -> None:
    fault(sandbox, "drop_before", skip=2, method="POST", path="/send")


def lost_long_ago(sandbox: Any, clock: HookClock, task: TaskRun) -> None:
    lost(sandbox, clock, task)
    with pytest.raises(OutcomePendingError):
        sms().execute(task.attempt())
    clock.forward(minutes=16)


def lost_and_no_credit(sandbox: Any, clock: HookClock, task: TaskRun) -> None:
    fault(sandbox, "drop_before", skip=1, method="POST", path="/send")
    sandbox.world.credit["smspartner"] = Decimal("0.10")


# What happens: the trouble, arguments, the error, and of the batches how many are sent, in doubt and left.
TABLE: dict[str, tuple[Trouble, dict[str, Any], type[Exception], tuple[int, int, int]]] = {
    "no credit left": (no_credit, {}, RejectedError, (2, 0, 2)),
    "the rate limit": (rate_limit, {}, RetryableNotSentError, (2, 0, 2)),
    "a young doubt": (lost, {}, OutcomePendingError, (3, 1, 0)),
    "an old doubt": (lost_long_ago, {}, SendOutcomeUnknownError, (3, 1, 0)),
    "a doubt, and no credit left": (lost_and_no_credit, {}, RejectedError, (2, 1, 1)),
    "the budget": (lambda *_: None, {"max_cost": "0.10", "unit_price": "0.045"}, BudgetExceededError, (2, 0, 2)),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE)
def test_an_early_end_says_where_things_stand_and_leaves_the_report(
    sandbox: Any, clock: HookClock, task: TaskRun, case: str
) -> None:
    trouble, arguments, error, counts = TABLE[case]
    trouble(sandbox, clock, task)
    with pytest.raises(error) as caught:
        sms(**arguments).execute(task.attempt(2 if case == "an old doubt" else 1))
    done, in_doubt, left = counts
    told = str(caught.value)
    assert told.count("Of 4 batches") == 1
    assert (
        f"Of 4 batches (4 recipients): sent {count(done)}, in doubt {count(in_doubt)}, left {count(left)}. "
    ) in told
    ends = {SendOutcomeUnknownError: ASK_AGAIN, RetryableNotSentError: RETRY, OutcomePendingError: RETRY}
    assert told.endswith(ends.get(error, CLEAR))
    report = task.pushed["campaign"]
    assert_plain(report)
    assert report["counts"]["recipients"] == 4
    assert [report["counts"].get(name, 0) for name in ("accepted", "in_doubt", "left")] == list(counts)
    assert [batch["state"] for batch in report["batches"]].count("in_doubt") == in_doubt
    assert sum(sent(sandbox, "smspartner").values()) == done


def test_a_kill_leaves_the_report_too(sandbox: Any, task: TaskRun, monkeypatch: pytest.MonkeyPatch) -> None:
    operator, waits = sms(), WorkerPool.wait

    def wait(workers: WorkerPool, seconds: float) -> None:
        waits(workers, seconds)
        if len(sent(sandbox, "smspartner")) == 2:
            operator.on_kill()

    monkeypatch.setattr(WorkerPool, "wait", wait)
    with pytest.raises(CampaignInterruptedError, match=RETRY):
        operator.execute(task.attempt())
    counts = task.pushed["campaign"]["counts"]
    done = sum(sent(sandbox, "smspartner").values())
    assert (counts["accepted"], counts["in_doubt"], counts.get("left", 0)) == (done, 0, 4 - done)
    assert done < 4


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, TimeoutError])
def test_a_foreign_error_keeps_its_words_and_the_log_says_where_things_stand(
    sandbox: Any, task: TaskRun, monkeypatch: pytest.MonkeyPatch, logs: Logs, error: type[BaseException]
) -> None:
    waits = WorkerPool.wait

    def wait(workers: WorkerPool, seconds: float) -> None:
        waits(workers, seconds)
        if sent(sandbox, "smspartner"):
            raise error("its own words")

    monkeypatch.setattr(WorkerPool, "wait", wait)
    with pytest.raises(error, match=r"^its own words$"):
        sms().execute(task.attempt())
    assert (
        "Of 4 batches (4 recipients): sent 1 (1 recipients), in doubt none, left 3 (3 recipients)"
        in logs.text
    )
    assert task.pushed["campaign"]["counts"]["left"] == 3


def test_a_report_that_cannot_be_pushed_hides_no_failure(sandbox: Any, task: TaskRun, logs: Logs) -> None:
    no_credit(sandbox, HookClock(), task)

    def refuse(key: str, value: Any) -> None:
        raise ConnectionError("the API server is away")

    given = task.attempt()
    given["ti"].xcom_push = refuse
    with pytest.raises(RejectedError, match="sent 2 \\(2 recipients\\)"):
        sms().execute(given)
    assert "The report so far could not be pushed to XCom: ConnectionError" in logs.text


def test_before_it_is_planned_there_is_nothing_to_tell(sandbox: Any, task: TaskRun) -> None:
    with pytest.raises(ConfigurationError) as caught:
        sms(max_cost=0).execute(task.attempt())
    assert "batches" not in str(caught.value)
    assert task.pushed == {}
    assert requests(sandbox) == 0


def test_where_nothing_outlives_the_attempt_no_retry_is_promised(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SET, "sqlite://")
    run = TaskRun()
    fault(sandbox, "429", retry_after=0, times=4, skip=2, method="POST", path="/send")
    with pytest.raises(RetryableNotSentError, match=r"a retry would find in doubt whatever was sent$"):
        sms().execute(run.attempt())
    assert run.pushed["campaign"]["counts"]["left"] == 2


def test_a_campaign_that_ends_well_leaves_only_what_it_returns(sandbox: Any) -> None:
    run = TaskRun(FakeStore())
    assert "left" not in sms().execute(run.attempt())["counts"]
    assert run.pushed == {}
