"""What an attempt knows of those before it, on every Airflow: nobody is sent to twice, and nobody is left out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voicepartner.compat import (
    AirflowFailException,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferred,
)
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.db.transactions import StoreRetry
from airflow_provider_voicepartner.exceptions import (
    CampaignInterruptedError,
    ConfigurationError,
    RejectedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.hooks.rate_limiter import StoreRateLimiter
from airflow_provider_voicepartner.operators import ledger
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.sending.store_memory import StoreMemory
from tests.operators.conftest import SET
from tests.support.gateways import fault, requests, sent
from tests.support.ledgers import phases
from tests.support.tasks import FakeStore, Logs, TaskRun, context

ANNA, BEN, CLEO = "+33612345678", "+33612345679", "+33612345680"
ALL = {ANNA: 1, BEN: 1}
ONE_SMS = Decimal("0.05")
"""Of credit: enough for one, and too little for two."""


def sms(**arguments: Any) -> SendSmsOperator:
    return SendSmsOperator(**{"task_id": "send", "to": [ANNA, BEN], "message": "Bonjour", **arguments})


# Retries


@pytest.mark.parametrize("numbers", [(1, 2, 3), (0, 0, 0), (1, 1, 1), (0, 1, 2), (1, 0, 1)], ids=str)
def test_an_attempt_after_success_sends_nothing_and_returns_the_same_report(
    sandbox: Any, task: TaskRun, numbers: tuple[int, ...]
) -> None:
    """Airflow's number is never believed alone: on a command line it may be 0 each time."""
    first = sms().execute(task.attempt(numbers[0]))
    for number in numbers[1:]:
        assert sms().execute(task.attempt(number)) == first
    assert requests(sandbox) == 1


def test_other_runs_and_other_instances_are_no_attempts_of_this_task(sandbox: Any) -> None:
    run = TaskRun()
    sms().execute(run.attempt())
    for name, value in {
        "dag_id": "another",
        "run_id": "another",
        "task_id": "another",
        "map_index": 3,
    }.items():
        given = run.attempt()
        setattr(given["ti"], name, value)
        sms().execute(given)
    assert sent(sandbox, "smspartner") == {ANNA: 5, BEN: 5}


@pytest.mark.usefixtures("single")
def test_a_retry_sends_what_is_left(sandbox: Any, task: TaskRun) -> None:
    fault(sandbox, "429", retry_after=90, skip=1, method="POST", path="/send")
    with pytest.raises(RetryableNotSentError):
        sms(max_in_flight=1).execute(task.attempt())
    assert sent(sandbox, "smspartner") == {ANNA: 1}
    sandbox.world.faults.clear()
    with pytest.MonkeyPatch.context() as patch:
        # In the store everybody waits because of the 429.
        patch.setattr("airflow_provider_voicepartner.hooks.rate_limiter.StoreRateLimiter.acquire", _no_limit)
        patch.setattr("airflow_provider_voicepartner.hooks.rate_limiter.RateLimitGate.pass_through", _pass)
        sms(max_in_flight=1).execute(task.attempt(2))
    assert sent(sandbox, "smspartner") == ALL


def _no_limit(rate_limiter: Any, endpoint: str, longest_wait: float | None) -> Any:
    return rate_limiter._slot(endpoint, rate_limiter.window_log.reserve("no limit", ()))


def _pass(gate: Any, endpoint: str, slot: Any) -> Any:
    return slot


MISTAKES: dict[str, dict[str, Any]] = {
    "no such connection": {"conn_id": "nowhere"},
    "a bad argument": {"max_cost": 0},
    "nobody to send to": {"to": []},
    "a file that is not there": {"to": "/nowhere/people.csv"},
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_try_that_failed_before_it_planned_does_not_make_the_next_one_blind(
    sandbox: Any, task: TaskRun, mistake: str
) -> None:
    with pytest.raises(Exception, match=r"nowhere|^max_cost|^to:"):
        sms(**MISTAKES[mistake]).execute(task.attempt())
    assert sms().execute(task.attempt(2))["counts"]["accepted"] == 2
    assert sent(sandbox, "smspartner") == ALL


def test_a_dry_run_claims_nothing_and_does_not_make_the_next_attempt_blind(
    sandbox: Any, task: TaskRun
) -> None:
    sms(dry_run=True).execute(task.attempt())
    if task.state is not None:
        assert not any("/log/" in key for key in task.state.values)
    sms().execute(task.attempt(2))
    assert sent(sandbox, "smspartner") == ALL
    assert sms(dry_run=True).execute(task.attempt(3))["dry_run"] == "simulated"
    sms().execute(task.attempt(4))
    assert sent(sandbox, "smspartner") == ALL


def test_a_store_that_is_not_there_at_the_start_is_waited_for(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Or the try could not register, and the next one would be blind before Airflow 3.3."""
    folder = tmp_path / "store"
    folder.write_text("in the way")
    monkeypatch.setenv(SET, f"sqlite:///{folder}/voicepartner.db")
    monkeypatch.setattr(
        "time.sleep", lambda seconds: folder.unlink(missing_ok=True) if folder.is_file() else None
    )
    assert sms().execute(TaskRun().attempt())["counts"]["accepted"] == 2
    assert sent(sandbox, "smspartner") == ALL


# Where nothing is known of the tries before


@pytest.fixture(params=["in memory", "another file"])
def strange_store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Give each attempt a store that the others do not see: of its process alone, or of its machine."""
    made = 0

    def change() -> None:
        nonlocal made
        made += 1
        url = "sqlite://" if request.param == "in memory" else f"sqlite:///{tmp_path / f'{made}.db'}"
        monkeypatch.setenv(SET, url)

    change()
    return change


def test_before_3_3_a_second_try_elsewhere_never_sends_by_itself(
    sandbox: Any, strange_store: Any, logs: Logs
) -> None:
    run = TaskRun()
    sms().execute(run.attempt())
    strange_store()
    with pytest.raises(
        SendOutcomeUnknownError, match=r"try 1 of this task left no trace .*store_url"
    ) as caught:
        sms().execute(run.attempt(2))
    assert "batch 1 (2 recipients, reference not known)" in str(caught.value)
    assert "Of 1 batches (2 recipients): sent none, in doubt 1 (2 recipients), left none" in str(caught.value)
    assert run.pushed["campaign"]["counts"]["in_doubt"] == 2
    assert "store_url" in logs.text
    assert requests(sandbox) == 1


@pytest.mark.parametrize(("choice", "times"), [("assume_sent", 1), ("resend", 2)])
def test_before_3_3_the_user_decides_on_what_was_sent_elsewhere(
    sandbox: Any, strange_store: Any, choice: Any, times: int
) -> None:
    run = TaskRun()
    sms().execute(run.attempt())
    strange_store()
    report = sms(on_unknown=choice).execute(run.attempt(2))
    assert report["counts"]["in_doubt"] == (2 if choice == "assume_sent" else 0)
    assert sent(sandbox, "smspartner") == {ANNA: times, BEN: times}


def test_on_3_3_the_task_state_knows_what_was_sent_elsewhere(sandbox: Any, strange_store: Any) -> None:
    run = TaskRun(FakeStore())
    first = sms().execute(run.attempt())
    strange_store()
    assert sms().execute(run.attempt(2)) == first
    assert requests(sandbox) == 1


def test_an_emptied_store_is_noticed_by_the_task_state_or_nothing_is_guessed(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    both, alone = TaskRun(FakeStore()), TaskRun()
    for run in (both, alone):
        sms().execute(run.attempt())
    monkeypatch.setenv(SET, f"sqlite:///{tmp_path / 'empty.db'}")
    assert sms().execute(both.attempt(2))["counts"]["accepted"] == 2
    with pytest.raises(SendOutcomeUnknownError, match="left no trace"):
        sms().execute(alone.attempt(2))
    assert requests(sandbox) == 2
    # What the task state knew has gone over to the new store.
    both.state = None
    assert sms().execute(both.attempt(3))["counts"]["accepted"] == 2
    assert requests(sandbox) == 2


# Clearing


@pytest.fixture(params=["state is kept", "state is discarded"])
def clear(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[TaskRun], None]:
    """Clear a task, as Airflow does until 3.3 and from 3.4 on."""
    if request.param == "state is kept":
        return lambda task: None
    monkeypatch.setattr(ledger, "state_survives_clearing", lambda: False)
    return lambda task: task.state.values.clear() if task.state else None


@pytest.mark.usefixtures("single")
def test_clearing_sends_what_is_left_and_nothing_twice(
    sandbox: Any, task: TaskRun, clear: Callable[[TaskRun], None]
) -> None:
    credit, sandbox.world.credit["smspartner"] = sandbox.world.credit["smspartner"], ONE_SMS
    with pytest.raises(RejectedError, match="clear the task: it sends what is left"):
        sms(max_in_flight=1).execute(task.attempt())
    assert sent(sandbox, "smspartner") == {ANNA: 1}
    sandbox.world.credit["smspartner"] = credit
    clear(task)
    if task.state is not None and not task.state.values and _is_in_memory():
        # Nothing is left that could know: asked, and not guessed.
        with pytest.raises(SendOutcomeUnknownError, match="left no trace"):
            sms().execute(task.attempt(2))
        return
    assert sms().execute(task.attempt(2))["counts"]["accepted"] == 2
    clear(task)
    assert sms().execute(task.attempt(3))["counts"]["accepted"] == 2
    assert sent(sandbox, "smspartner") == ALL


def _is_in_memory() -> bool:
    from airflow_provider_voicepartner.settings import store_url

    return store_url() == "sqlite://"


def test_everything_is_sent_again_when_the_user_asks_for_it_and_not_when_a_retry_does(
    sandbox: Any, task: TaskRun
) -> None:
    sms().execute(task.attempt())
    for number in (2, 3):
        sms(send_again="the first text was wrong").execute(task.attempt(number))
        assert sent(sandbox, "smspartner") == {ANNA: 2, BEN: 2}
    sms(to=ANNA, send_again="Anna got nothing").execute(task.attempt(4))
    assert sent(sandbox, "smspartner") == {ANNA: 3, BEN: 2}


# What must stay the same


def test_changed_recipients_are_refused_after_something_was_sent(sandbox: Any, task: TaskRun) -> None:
    sms(to=ANNA).execute(task.attempt())
    with pytest.raises(ConfigurationError, match="has changed since an earlier attempt"):
        sms(to=BEN).execute(task.attempt(2))
    assert sent(sandbox, "smspartner") == {ANNA: 1}
    assert task.pushed == {}  # nothing to say of the new list, and nothing new of the old one


EMPTY: dict[str, dict[str, Any]] = {
    "an empty list": {"to": []},
    "a list of which no recipients are left": {"to": ["0123456789"], "on_invalid": "skip"},
}


@pytest.mark.usefixtures("single")
@pytest.mark.parametrize("emptied", EMPTY)
def test_a_list_that_was_emptied_before_all_of_it_was_sent_is_not_skipped_in_silence(
    sandbox: Any, task: TaskRun, emptied: str
) -> None:
    sandbox.world.credit["smspartner"] = ONE_SMS
    with pytest.raises(RejectedError):
        sms(max_in_flight=1).execute(task.attempt())
    with pytest.raises(ConfigurationError, match="has changed since an earlier attempt sent 1 of 2 batches"):
        sms(**EMPTY[emptied], on_empty="skip").execute(task.attempt(2))
    with pytest.raises(AirflowSkipException):
        sms(**EMPTY[emptied], on_empty="skip", send_again="for nobody").execute(task.attempt(3))
    assert sent(sandbox, "smspartner") == {ANNA: 1}


@pytest.mark.parametrize("choice", ["fail", "assume_sent", "resend", "resend_unlisted"])
def test_a_template_of_the_present_time_sends_nothing_again_on_a_retry(
    sandbox: Any, task: TaskRun, choice: Any
) -> None:
    sms(message="Il est 12:00", on_unknown=choice).execute(task.attempt())
    for number in (2, 3):
        with pytest.raises(ConfigurationError, match="send_again"):
            sms(message=f"Il est 12:0{number}", on_unknown=choice).execute(task.attempt(number))
    assert sent(sandbox, "smspartner") == ALL


@pytest.mark.usefixtures("single")
def test_a_rotated_key_goes_on_with_the_rest(
    sandbox: Any, task: TaskRun, set_connection: Callable[..., str]
) -> None:
    settings, credit = sandbox.world.settings.smspartner, sandbox.world.credit["smspartner"]
    sandbox.world.credit["smspartner"] = ONE_SMS
    with pytest.raises(RejectedError):
        sms(max_in_flight=1).execute(task.attempt())
    sandbox.world.credit["smspartner"] = credit
    settings.api_key = "planted-key-rotated-4714"
    with pytest.raises(RejectedError):
        sms().execute(task.attempt(2))
    set_connection("smspartner", host=sandbox.gateway_url("smspartner"), password=settings.api_key)
    assert sms().execute(task.attempt(3))["counts"]["accepted"] == 2
    assert sent(sandbox, "smspartner") == ALL


def test_a_dry_run_does_not_use_the_wish_to_send_again_up(sandbox: Any, task: TaskRun) -> None:
    sms().execute(task.attempt())
    sms(send_again="x", dry_run=True).execute(task.attempt(2))
    sms(send_again="x").execute(task.attempt(3))
    assert sent(sandbox, "smspartner") == {ANNA: 2, BEN: 2}


@pytest.mark.usefixtures("no_backoff")
def test_what_could_not_be_sent_at_all_is_known_as_such(set_connection: Callable[..., str]) -> None:
    store = FakeStore()
    set_connection("smspartner", host="http://127.0.0.1:1")
    with pytest.raises(RetryableNotSentError) as caught:
        sms().execute(context(store))
    assert not isinstance(caught.value, AirflowFailException)
    assert phases(store) == {0: "refused"}


# Airflow's side of it


@pytest.mark.airflow3
@pytest.mark.usefixtures("sandbox")
def test_no_part_of_the_ledger_expires_before_another() -> None:
    """Airflow's clean-up drops a key 30 days after its last write; a plan without its batches would be sent again."""
    from airflow.sdk import NEVER_EXPIRE

    store = FakeStore()
    sms().execute(context(store))
    assert len(store.retention) >= 2
    assert all(kept is NEVER_EXPIRE for kept in store.retention.values())


@pytest.mark.parametrize(
    ("version", "survives"),
    [("2.11.2", True), ("3.3.0", True), ("3.3.2rc1", True), ("3.4.0", False), ("3.4.0.dev0", False), ("3.10.1", False),
     ("4.0.0", False)],
)  # fmt: skip
def test_from_airflow_3_4_on_a_clearing_discards_the_task_state(
    monkeypatch: pytest.MonkeyPatch, version: str, survives: bool
) -> None:
    monkeypatch.setattr("airflow.__version__", version)
    assert ledger.state_survives_clearing() is survives


# A store that goes away in mid-campaign


class Away:
    """A store that takes no more writes of the ledger from when the first batch was sent, and the time it is waited."""

    def __init__(self, sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waited = 0.0
        self.back_after = math.inf
        self._sandbox, self._write = sandbox, StoreMemory._write
        monkeypatch.setattr(StoreMemory, "_write", lambda *given: self.write(*given))
        monkeypatch.setattr(ledger, "StoreRetry", partial(StoreRetry, clock=lambda: self.waited))
        monkeypatch.setattr(
            "airflow_provider_voicepartner.operators.base.time",
            SimpleNamespace(time=time.time, sleep=self.sleep),
        )

    def write(self, *given: Any) -> None:
        if sent(self._sandbox, "smspartner") and self.waited < self.back_after:
            raise StoreUnavailableError("it is away")
        self._write(*given)

    def sleep(self, seconds: float) -> None:
        self.waited += seconds


@pytest.fixture
def away(sandbox: Any, single: None, one_look_up: None, monkeypatch: pytest.MonkeyPatch) -> Away:
    return Away(sandbox, monkeypatch)


def test_a_store_that_goes_away_is_waited_for(sandbox: Any, away: Away, logs: Logs) -> None:
    away.back_after = 10
    assert sms(max_in_flight=1).execute(TaskRun().attempt())["counts"]["accepted"] == 2
    assert sent(sandbox, "smspartner") == ALL
    assert 10 <= away.waited < 15
    assert "it is away. Will try again for 60 s at most" in logs.text


@pytest.mark.parametrize("setting", [None, 0, 7])
def test_a_store_that_stays_away_is_waited_for_once_and_then_it_is_the_documented_error(
    sandbox: Any, away: Away, monkeypatch: pytest.MonkeyPatch, setting: int | None
) -> None:
    """Not once more for each of the last words, which would be three times as long."""
    if setting is not None:
        monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_WAIT", str(setting))
    run = TaskRun()
    with pytest.raises(
        RetryableNotSentError, match=r"^the ledger: it is away\. What was sent is recorded there; retry"
    ):
        sms(max_in_flight=1).execute(run.attempt())
    assert away.waited == pytest.approx(60 if setting is None else setting)
    assert sent(sandbox, "smspartner") == {ANNA: 1}
    away.back_after = away.waited
    assert sms(max_in_flight=1).execute(run.attempt(2))["counts"]["accepted"] == 2
    assert sent(sandbox, "smspartner") == ALL


def test_a_part_after_a_wait_waits_for_the_store_no_longer_than_the_time_that_is_left(
    sandbox: Any, away: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow counts each part of a try from its own beginning."""
    run, began = TaskRun(), datetime(2031, 5, 6, 12, 0, tzinfo=UTC)
    allowed = timedelta(seconds=100)
    # 80 s of it went by before this part.
    clock = SimpleNamespace(time=lambda: began.timestamp() + 80 + away.waited)
    monkeypatch.setattr("airflow_provider_voicepartner.operators.waiting.time", clock)
    # What was learnt from the 429 is tried elsewhere; here it would only make this part wait, too.
    monkeypatch.setattr(StoreRateLimiter, "on_response", lambda *_: None)
    fault(sandbox, "429", retry_after=45, method="POST", path="/send")
    given = run.attempt()
    given["ti"].start_date = began
    operator = sms(max_in_flight=1, deferrable=True, execution_timeout=allowed)
    with pytest.raises(TaskDeferred):
        operator.execute(given)
    with pytest.raises(AirflowTaskTimeout, match=r"^execution_timeout is over"):
        operator.resume(given, {"status": "due"})
    assert 20 <= away.waited < 22
    assert sent(sandbox, "smspartner") == {ANNA: 1}


@pytest.mark.parametrize("setting", [0, 7])
def test_a_store_that_cannot_be_opened_is_waited_for_as_long_as_the_setting_says(
    sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: int
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(SET, f"sqlite:///{tmp_path}/file/store.db")
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_WAIT", str(setting))
    waited: list[float] = []
    monkeypatch.setattr(
        "airflow_provider_voicepartner.db.transactions.StoreRetry",
        partial(StoreRetry, clock=lambda: sum(waited)),
    )
    monkeypatch.setattr(
        "airflow_provider_voicepartner.operators.base.time",
        SimpleNamespace(time=time.time, sleep=waited.append),
    )
    with pytest.raises(RetryableNotSentError, match=r"^\[voicepartner\] store_url: "):
        sms().execute(TaskRun().attempt())
    assert sum(waited) == pytest.approx(setting)
    assert requests(sandbox) == 0


@pytest.mark.parametrize("end", ["killed", "out of time"])
def test_whatever_ends_the_attempt_ends_the_wait_for_its_store(
    sandbox: Any, away: Away, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """Airflow says it once."""
    operator, told = sms(max_in_flight=1), list[str]()

    def sleep(seconds: float) -> None:
        away.waited += seconds
        if away.waited < 3 or told:
            return
        told.append(end)
        if end == "out of time":
            raise AirflowTaskTimeout("over")
        operator.on_kill()

    monkeypatch.setattr(away, "sleep", sleep)
    monkeypatch.setattr(
        "airflow_provider_voicepartner.operators.base.time", SimpleNamespace(time=time.time, sleep=sleep)
    )
    with pytest.raises(CampaignInterruptedError if end == "killed" else AirflowTaskTimeout):
        operator.execute(TaskRun().attempt())
    assert away.waited < 6
    assert sent(sandbox, "smspartner") == {ANNA: 1}
