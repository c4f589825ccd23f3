"""Every fault that the sandbox can make, on every request of a campaign, for every way of sending."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any, get_args

import pytest

from airflow_provider_voicepartner.exceptions import (
    RejectedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.operators.voice import TtsCallOperator, VoicemailDropOperator
from airflow_provider_voicepartner.sandbox.faults import Kind
from tests.support.batches import cut_batches
from tests.support.gateways import fault, requests, sent
from tests.support.tasks import FakeStore, context

NUMBERS = [f"+3361234567{tail}" for tail in range(6)]
NAMED = [{"phone_number": number, "name": f"Zoé {number[-1]}"} for number in NUMBERS]
READ_TIMEOUT = 0.2
"""Of the connection, where the gateway lets it run out; elsewhere a busy machine must not."""

WAYS: dict[str, tuple[str, Callable[..., Any], dict[str, Any]]] = {
    "smspartner sms": ("smspartner", SendSmsOperator, {"message": "Bonjour"}),
    "smspartner personal sms": ("smspartner", SendSmsOperator, {"message": "Bonjour {name}", "to": NAMED}),
    "smspartner long number": (
        "smspartner", SendSmsOperator,
        {"message": "Bonjour", "to": NUMBERS[:3], "options": {"virtual_number": "33644630000"}},
    ),
    "octopush sms": ("octopush", SendSmsOperator, {"message": "Bonjour"}),
    "octopush personal sms": ("octopush", SendSmsOperator, {"message": "Bonjour {name}", "to": NAMED}),
    "octopush call": ("octopush", TtsCallOperator, {"text": "Bonjour"}),
    "voicepartner call": ("voicepartner", TtsCallOperator, {"text": "Bonjour"}),
    "voicepartner voicemail": ("voicepartner", VoicemailDropOperator, {"audio_token": "a1b2c3d4"}),
}  # fmt: skip
ENDPOINTS = {"smspartner personal sms": "bulk-send", "smspartner long number": "vn/send"}
"""Where a way's sends go, for those that must not go elsewhere unnoticed."""
SLOW = "smspartner long number", "octopush personal sms", "octopush call", "voicepartner voicemail"
"""Ways that are like another one but for a detail; they run apart."""
BATCHES = 3


def marks_of(way: str) -> list[Any]:
    """Return what a way is marked with: of those that are not slow, one is run on each Airflow."""
    newest = [] if way == "smspartner sms" else [pytest.mark.newest]
    return [*newest, *([pytest.mark.slow] if way in SLOW else [])]


# What a kind may be told besides; "slow" is slow, and not too late, so it is no trouble.
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "timeout": [{"seconds": 2 * READ_TIMEOUT}],
    "slow": [{"seconds": 0.03}],
    "drop_before": [{}, {"reset": True}],
    "drop_after": [{}, {"reset": True}],
    "drop_mid_answer": [{}],
    "429": [{"retry_after": 0}, {"retry_after": 0, "times": 4}],
    "500": [{}, {"taken": True}],
    "503": [{"retry_after": 0}, {"retry_after": 0, "taken": True}],
    "html": [{}, {"taken": True}],
    "queued_without_id": [{}, {"taken": True}],
    "wrong_json": [{}],
    "truncated_json": [{}],
    "empty": [{}],
}


@pytest.fixture
def campaigns(sandbox: Any, set_connection: Any, monkeypatch: pytest.MonkeyPatch, one_look_up: None) -> Any:
    """Campaigns that wait for nothing."""
    monkeypatch.setattr("airflow_provider_voicepartner.hooks.http.RetryPolicy.wait_after", lambda *_: 0.0)
    # What was learnt from a 429 is tried elsewhere; here it would only make everybody wait.
    monkeypatch.setattr(
        "airflow_provider_voicepartner.hooks.rate_limiter.StoreRateLimiter.on_response", lambda *_: None
    )

    def connect(read_timeout: float) -> Any:
        for gateway in ("smspartner", "octopush", "voicepartner"):
            extra: dict[str, Any] = {"read_timeout": read_timeout}
            if gateway == "smspartner":
                extra["listed_within"] = 0.001  # A doubt is nobody's guess at once, and needs no waiting for.
            if gateway == "voicepartner":
                extra["rate_limits"] = dict.fromkeys(("tts/send", "campaign/send", "me"), "none")
                extra["email_for_notification"] = "ops@example.org"
            set_connection(gateway, host=sandbox.gateway_url(gateway), extra=extra)
        return sandbox

    return connect


def start_anew(sandbox: Any) -> None:
    sandbox.world.reset(seed=1)
    sandbox.world.settings.voicepartner.rate_limits = False


class Task:
    """One task that is tried until it ends, by a user who settles each doubt in the same way."""

    def __init__(self, sandbox: Any, way: str, choice: str) -> None:
        self.gateway, self.operator, arguments = WAYS[way]
        self.arguments = {"to": NUMBERS, **arguments}
        self.numbers = NUMBERS[: len(self.arguments["to"])]
        self.sandbox, self.choice, self.store = sandbox, choice, FakeStore()
        self.doubted = False

    def arrived(self) -> Counter[str]:
        return Counter(sent(self.sandbox, self.gateway))

    def run(self) -> dict[str, Any]:
        for number in range(1, 9):
            operator = self.operator(
                task_id="send", conn_id=f"{self.gateway}_default", max_in_flight=2,
                on_unknown=self.choice if self.doubted else "fail", **self.arguments,
            )  # fmt: skip
            try:
                report: dict[str, Any] = operator.execute(context(self.store, try_number=number))
            except (RetryableNotSentError, RejectedError):
                pass  # Airflow tries again, or a user reads the refusal and clears the task
            except SendOutcomeUnknownError:
                self.doubted = True
            else:
                return report
            assert max(self.arrived().values(), default=0) <= (2 if self.doubted else 1)
        raise AssertionError("no end")


def assert_kept(task: Task, report: dict[str, Any], story: str) -> None:
    """Assert that nobody got it twice whom the user did not choose to send to again, and nobody was forgotten."""
    arrived = task.arrived()
    states = [batch["state"] for batch in report["batches"]]
    assert len(states) == BATCHES, story
    size = len(task.numbers) // BATCHES
    for index, state in enumerate(states):
        times = {arrived[number] for number in task.numbers[index * size : (index + 1) * size]}
        assert len(times) == 1, story  # a batch arrives as a whole
        most = 2 if task.doubted and task.choice == "resend" else 1
        assert (0 if state == "assumed_sent" else 1) <= times.pop() <= most, story
    assert report["counts"]["accepted"] == states.count("sent") * size, story
    assert report["counts"]["in_doubt"] == states.count("assumed_sent") * size, story


def test_the_table_names_every_fault_of_the_sandbox() -> None:
    assert set(VARIANTS) == set(get_args(Kind))


@pytest.mark.sampled(16)
@pytest.mark.parametrize("kind", sorted(VARIANTS))
@pytest.mark.parametrize("way", [pytest.param(way, marks=marks_of(way)) for way in WAYS])
def test_a_fault_in_any_position_reaches_nobody_twice_and_forgets_nobody(
    campaigns: Any, monkeypatch: pytest.MonkeyPatch, way: str, kind: str
) -> None:
    people = WAYS[way][2].get("to", NUMBERS)
    cut_batches(len(people) // BATCHES, monkeypatch)
    sandbox = campaigns(read_timeout=30)
    start_anew(sandbox)
    undisturbed = Task(sandbox, way, "assume_sent")
    assert_kept(undisturbed, undisturbed.run(), "undisturbed")
    assert not undisturbed.doubted
    if way in ENDPOINTS:
        assert list(sandbox.world.requests)[-1].path.endswith(ENDPOINTS[way])
    positions = requests(sandbox)
    assert positions >= 3
    doubts = 0
    if kind == "timeout":
        campaigns(read_timeout=READ_TIMEOUT)
    for variant in VARIANTS[kind]:
        for position in range(positions):
            for choice in ("assume_sent", "resend"):
                start_anew(sandbox)
                fault(sandbox, kind, skip=position, **variant)
                task = Task(sandbox, way, choice)
                story = f"{way}: {kind} {variant} on request {position + 1}, {choice}"
                assert_kept(task, task.run(), story)
                if not task.doubted:
                    break  # the choice was not asked for
                doubts += 1
        if kind == "timeout":
            time.sleep(READ_TIMEOUT)  # until the last request that hangs is released
    if kind in ("429", "slow"):
        assert doubts == 0
    elif way.startswith("voicepartner"):
        assert doubts >= 2  # it can be asked for no proof
