"""Batches in doubt: the rest is sent, they are asked about while that may help, and then a user decides on them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_voicepartner.constants import LONGEST_SILENCE
from airflow_provider_voicepartner.exceptions import (
    ConfigurationError,
    OutcomePendingError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.operators.voice import TtsCallOperator, VoicemailDropOperator
from tests.operators.conftest import HookClock
from tests.support.gateways import fault, requests, sent
from tests.support.servers import counting_server, never_answer
from tests.support.tasks import FakeStore, Logs, TaskRun, context

ANNA, BEN, CLEO = "+33612345678", "+33612345679", "+33612345680"
ALL = {ANNA: 1, BEN: 1}


def sms(**arguments: Any) -> SendSmsOperator:
    return SendSmsOperator(**{"task_id": "send", "to": [ANNA, BEN], "message": "Bonjour", **arguments})


def lose(sandbox: Any, **more: Any) -> None:
    """Let one send not arrive, so that nobody can know of it."""
    fault(sandbox, "drop_before", method="POST", path="/send", **more)


@pytest.mark.usefixtures("one_look_up")
def test_a_doubt_may_be_asked_about_again_while_it_is_young_and_is_nobodys_guess_later(
    sandbox: Any, clock: HookClock, task: TaskRun
) -> None:
    lose(sandbox)
    for number in (1, 2):
        with pytest.raises(OutcomePendingError, match="may still come to know it") as pending:
            sms().execute(task.attempt(number))
        assert 30 <= pending.value.retry_after <= 300
        clock.forward(minutes=7)
    clock.forward(minutes=2)
    with pytest.raises(
        SendOutcomeUnknownError, match=r"^on_unknown: batch 1 \(2 recipients, reference \w{12}\)"
    ):
        sms().execute(task.attempt(3))
    assert sent(sandbox, "smspartner") == {}
    report = sms(on_unknown="assume_sent").execute(task.attempt(4))
    assert report["counts"]["in_doubt"] == 2
    assert (report["batches"][0]["state"], report["batches"][0]["evidence"]) == ("assumed_sent", "assumed")
    assert sent(sandbox, "smspartner") == {}


@pytest.mark.usefixtures("one_look_up", "no_backoff")
def test_a_send_that_the_gateway_lists_late_is_found_by_the_retry(
    sandbox: Any, clock: HookClock, task: TaskRun
) -> None:
    fault(sandbox, "drop_after", method="POST", path="/send")
    fault(sandbox, "500", path="status", times=None)
    with pytest.raises(OutcomePendingError):
        sms().execute(task.attempt())
    sandbox.world.faults.clear()
    clock.forward(minutes=1)
    report = sms().execute(task.attempt(2))
    assert (report["counts"]["accepted"], report["batches"][0]["evidence"]) == (2, "look_up")
    assert sent(sandbox, "smspartner") == ALL


@pytest.mark.usefixtures("one_look_up", "single")
@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_doubt_holds_up_nobody_else(sandbox: Any, clock: HookClock, task: TaskRun, position: int) -> None:
    people = [ANNA, BEN, CLEO]
    lose(sandbox, skip=position)
    with pytest.raises(OutcomePendingError) as pending:
        sms(to=people, max_in_flight=1).execute(task.attempt())
    others = {number: 1 for number in people if number != people[position]}
    assert sent(sandbox, "smspartner") == others
    for part in (
        rf"^batch {position + 1} \(1 recipients, reference \w{{12}}\) is in doubt",
        r"Of 3 batches \(3 recipients\): sent 2 \(2 recipients\), in doubt 1 \(1 recipients\), left none",
        r"A retry, or clearing the task, sends what is left",
    ):
        pending.match(part)
    report = task.pushed["campaign"]
    assert (report["counts"]["accepted"], report["counts"]["in_doubt"]) == (2, 1)
    assert [batch["state"] for batch in report["batches"]].count("in_doubt") == 1
    assert report["batches"][position]["reference"] in str(pending.value)
    clock.forward(minutes=16)
    with pytest.raises(SendOutcomeUnknownError, match="Airflow does not retry this error"):
        sms(to=people, max_in_flight=1).execute(task.attempt(2))
    sms(to=people, on_unknown="resend").execute(task.attempt(3))
    assert sent(sandbox, "smspartner") == dict.fromkeys(people, 1)


@pytest.mark.usefixtures("one_look_up", "single")
def test_every_doubtful_batch_is_named_and_one_choice_decides_on_all(
    sandbox: Any, clock: HookClock, task: TaskRun
) -> None:
    lose(sandbox)
    lose(sandbox, skip=1)
    people = [ANNA, BEN, CLEO]
    with pytest.raises(OutcomePendingError):
        sms(to=people, max_in_flight=1).execute(task.attempt())
    clock.forward(minutes=16)
    with pytest.raises(SendOutcomeUnknownError, match="One on_unknown decides on all") as caught:
        sms(to=people).execute(task.attempt(2))
    doubtful = [batch for batch in task.pushed["campaign"]["batches"] if batch["state"] == "in_doubt"]
    assert len(doubtful) == 2
    assert all(batch["reference"] in str(caught.value) for batch in doubtful)


@pytest.mark.usefixtures("one_look_up")
def test_resend_sends_again_because_the_user_said_so(sandbox: Any, task: TaskRun, logs: Logs) -> None:
    lose(sandbox)
    with pytest.raises(OutcomePendingError, match=r"until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, so a retry"):
        sms().execute(task.attempt())
    assert "Batch 1 (" in logs.text
    assert ") is in doubt: smspartner send: the request was sent and no answer came" in logs.text
    report = sms(on_unknown="resend").execute(task.attempt(2))
    assert sent(sandbox, "smspartner") == ALL
    # Both in that batch, whom the first sending may have reached.
    assert report["perhaps_twice"] == 2
    assert "2 recipients were sent to again while in doubt, perhaps for the second time" in logs.text
    assert "perhaps_twice" in sms().execute(task.attempt(3)), "a later attempt tells it too"


@pytest.mark.usefixtures("one_look_up")
def test_what_was_assumed_sent_is_final_and_a_later_resend_says_so(
    sandbox: Any, task: TaskRun, logs: Logs
) -> None:
    lose(sandbox)
    with pytest.raises(OutcomePendingError):
        sms().execute(task.attempt())
    sms(on_unknown="assume_sent").execute(task.attempt(2))
    assert "2 recipients are assumed to have been reached" in logs.text
    report = sms(on_unknown="resend").execute(task.attempt(3))
    assert not sent(sandbox, "smspartner")
    assert "1 batches, the first of them batch 1 (" in logs.text
    assert (
        "were assumed to have been sent, and that is final: on_unknown='resend' does not send them"
        in logs.text
    )
    assert report["counts"]["in_doubt"] == 2
    assert "perhaps_twice" not in report


@pytest.mark.usefixtures("one_look_up")
def test_resend_unlisted_believes_a_gateway_that_had_its_time(
    sandbox: Any, clock: HookClock, task: TaskRun
) -> None:
    lose(sandbox)
    for number in (1, 2):
        with pytest.raises(OutcomePendingError):  # too early to believe it
            sms(on_unknown="resend_unlisted").execute(task.attempt(number))
    clock.forward(minutes=16)
    report = sms(on_unknown="resend_unlisted").execute(task.attempt(3))
    assert report["counts"]["accepted"] == 2
    assert sent(sandbox, "smspartner") == ALL


@pytest.mark.usefixtures("one_look_up", "no_backoff")
def test_resend_unlisted_does_not_take_no_answer_for_an_empty_one(
    sandbox: Any, clock: HookClock, task: TaskRun
) -> None:
    """A look-up that fails may be made again for a long time, and is never believed to list nothing."""
    fault(sandbox, "drop_after", method="POST", path="/send")
    fault(sandbox, "html", path="status", times=None)
    for number in (1, 2):
        with pytest.raises(OutcomePendingError):
            sms(on_unknown="resend_unlisted").execute(task.attempt(number))
        clock.forward(minutes=16)
    clock.forward(minutes=LONGEST_SILENCE.total_seconds() / 60)
    with pytest.raises(SendOutcomeUnknownError):
        sms(on_unknown="resend_unlisted").execute(task.attempt(3))
    assert sent(sandbox, "smspartner") == ALL


def test_the_listing_time_is_a_field_of_the_connection(
    sandbox: Any, set_connection: Callable[..., str], one_look_up: None
) -> None:
    set_connection("smspartner", host=sandbox.gateway_url("smspartner"), extra={"listed_within": 0.001})
    lose(sandbox)
    with pytest.raises(SendOutcomeUnknownError):
        sms().execute(context(FakeStore()))


@pytest.mark.usefixtures("one_look_up", "no_backoff")
def test_a_gateway_that_never_answers_is_in_doubt(set_connection: Callable[..., str]) -> None:
    with counting_server(never_answer) as server:
        set_connection("smspartner", host=server.url, extra={"read_timeout": 0.3})
        with pytest.raises(OutcomePendingError):
            sms().execute(context(FakeStore()))
        # Look-ups are reads and may be repeated; the send is not.
        assert sum(request.startswith(b"POST") for request in server.received) == 1


# Where a gateway cannot be asked

TTS = {"operator": TtsCallOperator, "text": "Bonjour"}
WAYS: dict[str, tuple[str, dict[str, Any], bool]] = {
    "SMS Partner": ("smspartner", {}, True),
    "SMS Partner, planned": ("smspartner", {"send_at": datetime.now(UTC) + timedelta(hours=3)}, True),
    "Octopush": ("octopush", {"conn_id": "octopush_default"}, True),
    "a call of Octopush": ("octopush", {"conn_id": "octopush_default", **TTS}, True),
    "a call of Voice Partner": ("voicepartner", {"conn_id": "voicepartner_default", **TTS}, False),
    "a voicemail": (
        "voicepartner",
        {
            "conn_id": "voicepartner_default", "operator": VoicemailDropOperator, "audio_token": "a1b2c3d4",
            "email_for_notification": "ops@example.org",
        },
        False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_resend_unlisted_is_for_gateways_that_know_what_they_took(sandbox: Any, way: str) -> None:
    gateway, arguments, is_allowed = WAYS[way]
    given = {"task_id": "send", "to": [ANNA, BEN], "on_unknown": "resend_unlisted", **arguments}
    operator = given.pop("operator", SendSmsOperator)
    if operator is SendSmsOperator:
        given["message"] = "Bonjour"
    if is_allowed:
        operator(**given).execute(context(FakeStore()))
        assert sent(sandbox, gateway) == ALL
        return
    store = FakeStore()
    with pytest.raises(
        ConfigurationError, match=r"^on_unknown: 'resend_unlisted' needs .* this one does not"
    ):
        operator(**given).execute(context(store))
    assert requests(sandbox) == 0
    # What was refused as it is leaves nothing in doubt.
    given["on_unknown"] = "fail"
    operator(**given).execute(context(store, 2))
    assert sent(sandbox, gateway) == ALL


def test_at_octopush_the_repeat_settles_it_and_resend_unlisted_changes_nothing(
    sandbox: Any, task: TaskRun
) -> None:
    for kind in ("drop_before", "drop_after"):
        sandbox.world.reset(seed=1)
        run = TaskRun(task.state and FakeStore())
        fault(sandbox, kind)
        octopush = sms(conn_id="octopush_default", on_unknown="resend_unlisted")
        report = octopush.execute(run.attempt())
        assert report["batches"][0]["evidence"].startswith("repeat_")
        assert sent(sandbox, "octopush") == ALL
