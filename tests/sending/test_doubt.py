"""A batch in doubt is settled in one order: a look-up, a repeat that the gateway recognises, the user's choice."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_voicepartner.exceptions import (
    CampaignInterruptedError,
    ConfigurationError,
    DeliveryUnconfirmedError,
    RejectedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.gateways.model import Recipient, SmsMessage
from airflow_provider_voicepartner.hooks.octopush import OctopushHook
from airflow_provider_voicepartner.sending.doubt import LOOK_UP_AFTER, Doubt, DoubtSettler
from airflow_provider_voicepartner.sending.evidence import Evidence, Proof
from airflow_provider_voicepartner.sending.ledger import BatchRecord, Phase
from tests.support.messenger import NOW, FakeMessenger

MESSAGE = SmsMessage(text="Bonjour")
EVERYBODY = (Recipient("+33612345678"), Recipient("+33612345679"))
CLAIM = BatchRecord(phase=Phase.CLAIMED, reference="k3v9x0q2w7ha", size=2, at=NOW.isoformat())


@dataclass
class Gateway(FakeMessenger):
    """Also tells what it was asked, in order, and can fail to answer a look-up."""

    steps: list[str] = field(default_factory=list)
    trouble_asked: list[BaseException | Proof | None] = field(default_factory=list)

    def find_proof(self, message: Any, reference: str, recipients: Any, since: Any) -> Any:
        self.steps.append("look up")
        known = super().find_proof(message, reference, recipients, since)
        answer = self.trouble_asked.pop(0) if self.trouble_asked else known
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def deliver(self, request: Any, message: Any, recipients: Any, *, turn: Any = None) -> Any:
        assert turn is None
        self.steps.append("repeat")
        return super().deliver(request, message, recipients)


def settler(messenger: Any, **settings: Any) -> DoubtSettler:
    settings = {"on_unknown": "fail", "now": lambda: NOW, "sleep": lambda seconds: None} | settings
    return DoubtSettler(messenger=messenger, message=MESSAGE, send_at=None, **settings)


def doubt(claim: BatchRecord = CLAIM) -> Doubt:
    return Doubt(index=4, claim=claim, recipients=EVERYBODY, why="the worker died")


def test_a_look_up_that_finds_the_batch_proves_that_it_was_sent() -> None:
    messenger = Gateway(finds=True, recognises=True, taken=[CLAIM.reference])
    record = settler(messenger).settle(doubt())
    assert record == replace(
        CLAIM, phase=Phase.SENT, accepted=2, tag="tag-k3v9x0q2w7ha", evidence=Evidence.LOOK_UP
    )
    assert messenger.steps == ["look up"]


def test_a_batch_that_is_not_known_at_once_is_looked_up_again() -> None:
    slept: list[float] = []
    messenger = Gateway(finds=True, trouble_asked=[None, None, Proof(Evidence.CALLED_BACK, 2)])
    record = settler(messenger, sleep=slept.append).settle(doubt())
    assert record is not None
    assert (record.phase, record.evidence) == (Phase.SENT, Evidence.CALLED_BACK)
    assert tuple(slept) == LOOK_UP_AFTER == (0.0, 2.0, 5.0)


@pytest.mark.parametrize(
    "error",
    [
        RetryableNotSentError("no connection"),
        RejectedError("wrong key"),
        ConfigurationError("cannot be put on the wire"),
        SendOutcomeUnknownError("no answer"),
        DeliveryUnconfirmedError("cannot be asked"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_look_up_that_fails_is_tried_again_and_then_passed_over(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    messenger = Gateway(finds=True, trouble_asked=[error, Proof(Evidence.LOOK_UP, 2)])
    assert settler(messenger).settle(doubt()) is not None
    messenger = Gateway(finds=True, trouble_asked=[error] * 3)
    with pytest.raises(SendOutcomeUnknownError, match="is in doubt"):
        settler(messenger).settle(doubt())
    assert messenger.steps == ["look up"] * 3
    assert "could not be looked up" in caplog.text


def test_the_order_is_look_up_then_repeat_then_choice() -> None:
    messenger = Gateway(finds=True, recognises=True, failures=[RejectedError("no credit")])
    record = settler(messenger, on_unknown="assume_sent").settle(doubt())
    assert messenger.steps == ["look up"] * 3 + ["repeat"]
    assert record is not None
    assert (record.phase, record.evidence) == (Phase.ASSUMED_SENT, Evidence.ASSUMED)


def test_a_repeat_that_is_accepted_sends_now_under_the_same_reference() -> None:
    messenger = Gateway(recognises=True)
    record = settler(messenger).settle(doubt())
    assert record is not None
    assert (record.phase, record.reference, record.accepted) == (Phase.SENT, CLAIM.reference, 2)
    assert record.evidence is Evidence.REPEAT_ACCEPTED
    assert record.gateway_id
    assert messenger.taken == [CLAIM.reference]
    assert set(messenger.messaged.values()) == {1}


def test_a_repeat_that_is_refused_as_one_proves_that_it_was_sent() -> None:
    messenger = Gateway(recognises=True, taken=[CLAIM.reference])
    record = settler(messenger).settle(doubt())
    assert record == replace(CLAIM, phase=Phase.SENT, accepted=2, evidence=Evidence.REPEAT_REFUSED)
    assert not messenger.messaged


@pytest.mark.parametrize(
    "error",
    [
        RejectedError("no credit", kind=ErrorKind.CREDIT),
        RejectedError("refused"),
        SendOutcomeUnknownError("no answer again"),
        ConfigurationError("send_at has passed"),
    ],
    ids=["no credit", "refused", "unknown again", "cannot be built"],
)
def test_any_other_end_of_a_repeat_proves_nothing(error: Exception) -> None:
    for choice, phase in (("assume_sent", Phase.ASSUMED_SENT), ("resend", None)):
        record = settler(Gateway(recognises=True, failures=[error]), on_unknown=choice).settle(doubt())
        assert (record.phase if record else None) is phase
    with pytest.raises(SendOutcomeUnknownError, match="is in doubt"):
        settler(Gateway(recognises=True, failures=[error])).settle(doubt())


@pytest.mark.parametrize("choice", ["fail", "assume_sent", "resend"])
def test_a_repeat_that_must_wait_leaves_the_doubt_to_a_later_attempt(choice: Any) -> None:
    """Neither is it settled, nor may the choice decide while there is still evidence to be had."""
    wait = RetryableNotSentError("429", retry_after=40)
    with pytest.raises(RetryableNotSentError) as caught:
        settler(Gateway(recognises=True, failures=[wait]), on_unknown=choice).settle(doubt())
    assert caught.value is wait


@pytest.mark.parametrize(
    ("age", "repeats"),
    [(timedelta(0), True), (timedelta(hours=22, minutes=59), True), (timedelta(hours=23), False),
     (timedelta(days=2), False), (timedelta(minutes=-1), False)],
)  # fmt: skip
def test_an_old_batch_is_not_repeated_because_the_gateway_has_forgotten_it(
    age: timedelta, repeats: bool
) -> None:
    claim = replace(CLAIM, at=(NOW - age).isoformat())
    messenger = Gateway(recognises=True)
    if repeats:
        assert settler(messenger).settle(doubt(claim)) is not None
    else:
        with pytest.raises(SendOutcomeUnknownError):
            settler(messenger).settle(doubt(claim))
        assert not messenger.steps
    assert OctopushHook(conn_id="x").repeats_safely(age) is repeats


@pytest.mark.parametrize("claim", [replace(CLAIM, reference=""), replace(CLAIM, at=None)])
def test_without_a_reference_or_a_time_nothing_is_repeated(claim: BatchRecord) -> None:
    messenger = Gateway(finds=bool(claim.reference), recognises=True)
    record = settler(messenger, on_unknown="assume_sent").settle(doubt(claim))
    assert record is not None
    assert (record.phase, record.evidence) == (Phase.ASSUMED_SENT, Evidence.ASSUMED)
    assert "repeat" not in messenger.steps


def test_to_fail_names_the_batch_its_reference_and_the_choices() -> None:
    with pytest.raises(SendOutcomeUnknownError) as caught:
        settler(Gateway()).settle(doubt())
    told = str(caught.value)
    assert told.startswith(
        "on_unknown: batch 5 (2 recipients, reference k3v9x0q2w7ha) is in doubt: the worker died"
    )
    assert "on_unknown='assume_sent'" in told
    assert "on_unknown='resend'" in told
    assert "+336" not in told


def test_a_batch_without_a_reference_says_so() -> None:
    assert str(doubt(replace(CLAIM, reference=""))) == "batch 5 (2 recipients, reference not known)"


def test_to_assume_records_what_a_sensor_can_ask_by(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    record = settler(Gateway(finds=True), on_unknown="assume_sent").settle(doubt())
    assert record == replace(
        CLAIM, phase=Phase.ASSUMED_SENT, tag="tag-k3v9x0q2w7ha", evidence=Evidence.ASSUMED
    )
    assert "on_unknown='assume_sent' decides" in caplog.text
    assert "+336" not in caplog.text


def test_to_resend_leaves_the_sending_to_the_loop() -> None:
    messenger = Gateway()
    assert settler(messenger, on_unknown="resend").settle(doubt()) is None
    assert not messenger.steps


@pytest.mark.parametrize("choice", ["fail", "assume_sent", "resend"])
def test_a_look_up_that_is_stopped_decides_nothing(choice: Any) -> None:
    messenger = Gateway(finds=True, trouble_asked=[CampaignInterruptedError("stopped")])
    with pytest.raises(CampaignInterruptedError):
        settler(messenger, on_unknown=choice).settle(doubt())
