"""The waits of a try and its parts count together, and a wait goes to the triggerer from 30 s on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voicepartner.compat import AirflowTaskTimeout, TaskDeferred
from airflow_provider_voicepartner.hooks.http import HttpSender
from airflow_provider_voicepartner.hooks.rate_limiter import StoreRateLimiter
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.operators.waiting import TimeLimit
from airflow_provider_voicepartner.sending.transport import Slot
from tests.support.batches import cut_batches
from tests.support.gateways import fault, requests, sent
from tests.support.ledgers import phases
from tests.support.tasks import FakeStore, Logs, context

ANNA, BEN = "+33612345678", "+33612345679"
BEGAN = datetime(2031, 5, 6, 12, 0, tzinfo=UTC)
ALLOWED = timedelta(seconds=100)
DUE = {"status": "due"}
SetClock = Callable[[Callable[[], float]], None]


def sms(**arguments: Any) -> SendSmsOperator:
    return SendSmsOperator(
        **{
            "task_id": "send", "to": [ANNA, BEN], "message": "Bonjour", "max_in_flight": 1, "deferrable": True,
            "execution_timeout": ALLOWED, **arguments,
        }
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    cut_batches(1, monkeypatch)
    # What was learnt from a 429 is tried elsewhere; here it would only make the next part wait, too.
    monkeypatch.setattr(StoreRateLimiter, "on_response", lambda *_: None)
    # Nor does the campaign ask what it costs first: each request is a batch.
    monkeypatch.setattr("airflow_provider_voicepartner.sending.pricing.Pricing._is_worth_it", False)


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> SetClock:
    """Say how many seconds have passed since the try began."""

    def define(passed: Callable[[], float]) -> None:
        clock = SimpleNamespace(time=lambda: BEGAN.timestamp() + passed())
        monkeypatch.setattr("airflow_provider_voicepartner.operators.waiting.time", clock)

    return define


def deferred(sandbox: Any, store: FakeStore, **arguments: Any) -> TaskDeferred:
    """Run the first part of a try, which sends to one and then has to wait."""
    fault(sandbox, "429", retry_after=45, skip=1, method="POST", path="/send")
    with pytest.raises(TaskDeferred) as caught:
        sms(**arguments).execute(context(store, start_date=BEGAN))
    assert sent(sandbox, "smspartner") == {ANNA: 1}
    return caught.value


def test_a_wait_in_the_triggerer_ends_with_what_is_left_of_the_time(
    sandbox: Any, set_clock: SetClock, logs: Logs
) -> None:
    set_clock(lambda: 60)
    assert deferred(sandbox, FakeStore()).timeout == timedelta(seconds=40)
    assert "Waiting 45 s in the triggerer: smspartner send" in logs.text


def test_without_a_limit_a_wait_has_none(sandbox: Any, set_clock: SetClock) -> None:
    set_clock(lambda: 1e9)
    assert deferred(sandbox, FakeStore(), execution_timeout=None).timeout is None


def test_a_try_whose_time_ends_before_the_wait_does_not_begin_to_wait(
    sandbox: Any, set_clock: SetClock
) -> None:
    store = FakeStore()
    fault(sandbox, "429", retry_after=45, method="POST", path="/send")
    # Over as soon as the gateway has refused.
    set_clock(lambda: 100 if "refused" in str(store.values) else 0)
    with pytest.raises(AirflowTaskTimeout):
        sms().execute(context(store, start_date=BEGAN))


@pytest.mark.parametrize("passed", [100, 100.5, 5000])
def test_a_resume_after_the_time_sends_nothing_and_the_next_try_goes_on(
    sandbox: Any, set_clock: SetClock, passed: float
) -> None:
    store = FakeStore()
    set_clock(lambda: 0)
    deferred(sandbox, store)
    set_clock(lambda: passed)
    with pytest.raises(AirflowTaskTimeout, match=r"^execution_timeout is over"):
        sms().resume(context(store, start_date=BEGAN), DUE)
    assert sent(sandbox, "smspartner") == {ANNA: 1}
    later = BEGAN + timedelta(seconds=passed)
    sms().execute(context(store, try_number=2, start_date=later))
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1}


def test_a_resume_within_the_time_goes_on(sandbox: Any, set_clock: SetClock) -> None:
    store = FakeStore()
    set_clock(lambda: 0)
    deferred(sandbox, store)
    set_clock(lambda: 99)
    report = sms().resume(context(store, start_date=BEGAN), DUE)
    assert report["counts"]["accepted"] == 2


def test_a_part_in_which_the_sum_is_over_stops_after_it_has_recorded(
    sandbox: Any, set_clock: SetClock
) -> None:
    """Airflow would give each part after a wait all of the time again."""
    store = FakeStore()
    before = requests(sandbox)
    # The time is over while the first request is under way.
    set_clock(lambda: 100 if requests(sandbox) > before else 0)
    with pytest.raises(AirflowTaskTimeout):
        sms().resume(context(store, start_date=BEGAN), DUE)
    assert sent(sandbox, "smspartner") == {ANNA: 1}
    assert phases(store) == {0: "sent"}
    sms().execute(context(store, try_number=2, start_date=BEGAN + 2 * ALLOWED))
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1}


@pytest.mark.parametrize(
    "arguments", [{"deferrable": False}, {"dry_run": True}], ids=["not deferrable", "dry run"]
)
def test_a_try_that_is_never_cut_into_parts_is_left_to_airflows_own_clock(
    sandbox: Any, set_clock: SetClock, arguments: dict[str, Any]
) -> None:
    set_clock(lambda: 5000)
    assert sms(**arguments).execute(context(FakeStore(), start_date=BEGAN))["counts"]["recipients"] == 2


@pytest.mark.parametrize("knows", ["nothing", "no such field"])
def test_where_airflow_does_not_say_when_a_try_began_nothing_ends(
    sandbox: Any, set_clock: SetClock, knows: str
) -> None:
    set_clock(lambda: 5000)
    given = context(FakeStore())
    if knows == "nothing":
        given["ti"].start_date = None
    else:
        del given["ti"].start_date
    limit = TimeLimit.of(ALLOWED, given)
    limit.check()
    assert (limit.is_over, limit.left) == (False, None)
    assert sms().execute(given)["counts"]["accepted"] == 2
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1}


@pytest.mark.parametrize(
    ("passed", "is_over", "left"), [(0, False, 100), (99.5, False, 0.5), (100, True, 0), (200, True, 0)]
)
def test_what_is_left_is_never_less_than_nothing(
    set_clock: SetClock, passed: float, is_over: bool, left: float
) -> None:
    set_clock(lambda: passed)
    limit = TimeLimit(ALLOWED, BEGAN)
    assert (limit.is_over, limit.left) == (is_over, timedelta(seconds=left))


# From which length on a wait is handed over


def test_a_wait_that_a_gateway_asks_for_is_slept_below_30_s_and_deferred_from_30_s_on(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(
        "airflow_provider_voicepartner.hooks.connected.HttpSender", partial(HttpSender, sleep=slept.append)
    )
    for asked in (29.9, 30.0):
        monkeypatch.setattr("airflow_provider_voicepartner.hooks.http.asked_wait", lambda *_, s=asked: s)
        fault(sandbox, "429", method="POST", path="/send")
        operator = sms(to=ANNA, execution_timeout=None)
        if asked < 30:
            operator.execute(context(FakeStore()))
            assert sum(slept) == pytest.approx(29.9)
            slept.clear()
        else:
            with pytest.raises(TaskDeferred):
                operator.execute(context(FakeStore()))
            assert not slept
    assert sent(sandbox, "smspartner") == {ANNA: 1}


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_turn_is_waited_for_below_30_s_and_without_end_where_nothing_is_deferred(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, deferrable: bool
) -> None:
    asked: list[float | None] = []

    acquire = StoreRateLimiter.acquire

    def note(rate_limiter: StoreRateLimiter, endpoint: str, longest_wait: float | None) -> Slot:
        asked.append(longest_wait)
        return acquire(rate_limiter, endpoint, longest_wait)

    monkeypatch.setattr(StoreRateLimiter, "acquire", note)
    sms(deferrable=deferrable).execute(context(FakeStore()))
    assert len(asked) >= 2
    for longest in asked:
        assert (longest is not None and 29.9 < longest < 30.0) if deferrable else longest is None
