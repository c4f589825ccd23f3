"""
How the sensor ends, on each Airflow that is promised: in the triggerer as in a worker.

The table is Airflow's own loop of pokes, which is the same on all of them; what they make of a resumed sensor is not.
"""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_voicepartner.compat import (
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferred,
)
from airflow_provider_voicepartner.exceptions import (
    DeliveryFailedError,
    DeliveryUnconfirmedError,
    RejectedError,
    WaitGivenUpError,
)
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.sensors.campaign import CampaignCompletionSensor
from airflow_provider_voicepartner.triggers.campaign import CampaignCompletionTrigger
from tests.support.gateways import outcome
from tests.support.tasks import context

ANNA, BEN = "+33612345678", "+33612345679"
SKIP = AirflowSkipException

FLAGS = [{"soft_fail": True}, {"never_fail": True}, {}]
ENDS: dict[str, tuple[dict[str, Any], tuple[type[Exception], ...]]] = {
    # what is wrong: arguments of the sensor, and what it ends with for soft_fail, never_fail and neither
    "too late": ({"timeout": 0.3}, (SKIP, AirflowSensorTimeout, AirflowSensorTimeout)),
    "too few got it": ({"min_delivery_rate": 0.9}, (SKIP, SKIP, DeliveryFailedError)),
    "silence": ({"unconfirmed_after": 0}, (SKIP, SKIP, DeliveryUnconfirmedError)),
    "a wrong key": ({}, (SKIP, SKIP, RejectedError)),
}
CASES = [
    pytest.param(trouble, arguments, flags, end, id=f"{trouble}, {next(iter(flags), 'neither')}")
    for trouble, (arguments, ends) in ENDS.items()
    for flags, end in zip(FLAGS, ends, strict=True)
]


def sent(sandbox: Any, trouble: str) -> dict[str, Any]:
    """Send to two people, and let the trouble come."""
    statuses = {"too late": "silent", "silence": "silent", "too few got it": "not_delivered"}
    if trouble in statuses:
        outcome(sandbox, BEN, statuses[trouble])
    operator = SendSmsOperator(task_id="send", to=[ANNA, BEN], message="Bonjour")
    report: dict[str, Any] = operator.execute(context())
    sandbox.advance(86_400)
    if trouble == "a wrong key":
        sandbox.world.settings.smspartner.api_key = "another"
    return report


def sensor(report: dict[str, Any], **arguments: Any) -> CampaignCompletionSensor:
    given: dict[str, Any] = {"poke_interval": 0.1, "timeout": 60, **arguments}
    return CampaignCompletionSensor(task_id="wait", campaign=report, **given)


def event_of(trigger: Any) -> dict[str, Any]:
    """Run a trigger as the triggerer does: built anew from what was stored."""
    arguments = json.loads(json.dumps(trigger.serialize()[1]))

    async def first() -> dict[str, Any]:
        async with asyncio.timeout(30):
            async for event in CampaignCompletionTrigger(**arguments).run():
                payload: dict[str, Any] = event.payload
                return payload
        raise AssertionError("no event")

    return asyncio.run(first())


def resume(waiting: CampaignCompletionSensor, event: Any, method: str = "execute_complete") -> Any:
    """Go on as a worker of this Airflow does."""
    kwargs = event if method == "__fail__" else {"event": event}
    return waiting.resume_execution(method, kwargs, context())


def in_a_worker(waiting: CampaignCompletionSensor) -> Any:
    return waiting.execute(context())


def in_the_triggerer(waiting: CampaignCompletionSensor) -> Any:
    """Let the trigger find out all by itself."""
    with pytest.raises(TaskDeferred) as deferred:
        waiting._hand_over(time.time() + waiting.timeout)
    return resume(waiting, event_of(deferred.value.trigger))


@pytest.mark.parametrize("wait", [in_a_worker, in_the_triggerer])
@pytest.mark.parametrize(("trouble", "arguments", "flags", "end"), CASES)
def test_it_ends_as_the_table_says(
    sandbox: Any, wait: Any, trouble: str, arguments: Any, flags: Any, end: Any
) -> None:
    waiting = sensor(sent(sandbox, trouble), **arguments, **flags)
    with pytest.raises(end) as caught:
        wait(waiting)
    assert type(caught.value) is end


def test_what_came_in_time_is_no_time_out(sandbox: Any) -> None:
    report = sent(sandbox, "nothing")
    waiting = sensor(report, timeout=0.0)
    assert in_the_triggerer(waiting)["delivered"] == 2


def test_a_time_out_says_how_far_it_came(sandbox: Any) -> None:
    waiting = sensor(sent(sandbox, "too late"), timeout=0.5)
    with pytest.raises(AirflowSensorTimeout, match=r"^timeout: .* after 0\.5 s: .*1 delivered of 2"):
        in_the_triggerer(waiting)


FAILED = {"error": "Trigger failure", "traceback": ["Traceback", "OSError"]}
GIVEN_UP: list[Any] = [
    ("execute_complete", {"status": "error", "message": "OSError"}),
    ("execute_complete", {"status": "error"}),
    ("execute_complete", {"status": "complete"}),
    ("execute_complete", {"status": "news"}),
    ("execute_complete", "text"),
    ("execute_complete", None),
    ("__fail__", FAILED),
    ("__fail__", None),
]


@pytest.mark.parametrize(("method", "event"), GIVEN_UP, ids=repr)
def test_a_wait_that_was_given_up_obeys_the_flags(sandbox: Any, method: str, event: Any) -> None:
    report = sent(sandbox, "nothing")
    for flags, end in zip(FLAGS, (SKIP, SKIP, WaitGivenUpError), strict=True):
        with pytest.raises(end) as caught:
            resume(sensor(report, **flags), event, method)
        assert "None" not in str(caught.value).replace("status None", "")


@pytest.mark.parametrize("said", ["Trigger timeout", "Trigger/execution timeout"])
def test_where_the_triggerer_is_gone_airflow_ends_the_wait_alike(sandbox: Any, said: str) -> None:
    report, late = sent(sandbox, "nothing"), {"error": said}
    ends = zip(FLAGS, (SKIP, AirflowSensorTimeout, AirflowSensorTimeout), strict=True)
    for flags, end in ends:
        with pytest.raises(end):
            resume(sensor(report, **flags), late, "__fail__")
    for flags, end in zip(FLAGS, (SKIP, SKIP, AirflowTaskTimeout), strict=True):
        waiting = sensor(report, execution_timeout=timedelta(seconds=30), **flags)
        with pytest.raises(end):
            resume(waiting, late, "__fail__")


def test_a_refusal_without_a_word_is_put_into_words(sandbox: Any) -> None:
    with pytest.raises(RejectedError, match=r"^the gateway refuses to report"):
        resume(sensor(sent(sandbox, "nothing")), {"status": "rejected"})


def test_silent_fail_looks_again_up_to_the_same_deadline(sandbox: Any) -> None:
    waiting = sensor(sent(sandbox, "nothing"), silent_fail=True)
    deadline = time.time() + 20
    with pytest.raises(TaskDeferred) as deferred:
        resume(waiting, {"status": "error", "message": "OSError", "deadline": deadline})
    assert deferred.value.trigger.deadline == deadline
    assert resume(waiting, event_of(deferred.value.trigger))["delivered"] == 2
    outcome(sandbox, "*", "silent")
    waiting.campaign = sent(sandbox, "nothing")
    with pytest.raises(AirflowSensorTimeout):
        resume(waiting, {"status": "timeout", "deadline": deadline})


def test_an_error_that_a_retry_may_mend_is_the_same_in_both(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``soft_fail`` does not cover it: the cause is not the campaign."""
    report = sent(sandbox, "nothing")
    ready = event_of(CampaignCompletionTrigger.of(_completion_check(report), poke_interval=0.1))

    def broken(*_: Any, **__: Any) -> Any:
        raise OSError("disk")

    monkeypatch.setattr("airflow_provider_voicepartner.hooks.completion.CompletionCheck.judge", broken)
    for flags, end in zip(FLAGS, (OSError, SKIP, OSError), strict=True):
        with pytest.raises(end):
            in_a_worker(sensor(report, **flags))
        with pytest.raises(end):
            sensor(report, deferrable=True, **flags).execute(context())
        with pytest.raises(end):
            resume(sensor(report, **flags), ready)


def _completion_check(report: dict[str, Any]) -> Any:
    waiting = sensor(report)
    return waiting.completion_check(waiting.campaign_report())


def test_the_deadline_is_the_moment_when_it_began_and_its_timeout(sandbox: Any) -> None:
    outcome(sandbox, "*", "silent")
    report = sent(sandbox, "nothing")
    report["sent_at"] = datetime.now(UTC).isoformat()
    with pytest.raises(TaskDeferred) as deferred:
        sensor(report, deferrable=True, timeout=30).execute(context())
    assert 25 < deferred.value.trigger.deadline - time.time() <= 30
    assert deferred.value.timeout > timedelta(seconds=600)
