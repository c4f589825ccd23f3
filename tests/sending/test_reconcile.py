"""Batches in doubt are settled in one order: look-ups, a repeat that the gateway recognises, the user's choice."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_voicepartner.constants import (
    LEAST_LOOK_UP_INTERVAL,
    LONGEST_SILENCE,
    LOOK_UP_AFTER,
    MOST_LOOK_UP_INTERVAL,
)
from airflow_provider_voicepartner.exceptions import (
    CampaignInterruptedError,
    ConfigurationError,
    DeliveryUnconfirmedError,
    RejectedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.hooks.octopush import OctopushHook
from airflow_provider_voicepartner.sending.reconcile import Verdict
from airflow_provider_voicepartner.sending.records import BatchRecord, Evidence, Phase, Proof
from tests.support.reconciling import CLAIM, OLD, Gateway, outcome, reconciler, settled
from tests.support.transport import NOW

DISPUTED = replace(
    OLD, phase=Phase.DISPUTED, accepted=1, opted_out=1, gateway_id="8123", segments=2, cost=Decimal("0.09"),
    currency="EUR",
)  # fmt: skip
CHOICES = ["fail", "assume_sent", "resend_unlisted", "resend"]


def proven(claim: BatchRecord, evidence: Evidence, **more: Any) -> BatchRecord:
    return replace(
        claim, **{"phase": Phase.SENT, "accepted": 2, "at": NOW.isoformat(), "evidence": evidence, **more}
    )


# Look-ups


def test_a_look_up_that_finds_the_batch_proves_that_it_was_sent() -> None:
    transport = Gateway(finds=True, recognises=True, taken=[CLAIM.reference])
    verdict = settled(transport)
    assert verdict.record == proven(CLAIM, Evidence.LOOK_UP, tag="tag-k3v9x0q2w7ha")
    assert (verdict.is_to_be_sent, verdict.ask_in, verdict.failure) == (False, None, None)
    assert transport.steps == ["look up"]
    assert transport.since == [NOW]


def test_a_batch_that_is_not_known_at_once_is_looked_up_again() -> None:
    slept: list[float] = []
    transport = Gateway(finds=True, trouble_asked=[None, None, Proof(Evidence.CALLED_BACK, 2)])
    record = settled(transport, sleep=slept.append).record
    assert record is not None
    assert (record.phase, record.evidence) == (Phase.SENT, Evidence.CALLED_BACK)
    assert tuple(slept) == LOOK_UP_AFTER == (0.0, 2.0, 5.0)


def test_several_doubts_share_the_waits_and_each_is_asked_until_it_is_answered() -> None:
    slept: list[float] = []
    claims = [replace(CLAIM, reference=f"k{number}") for number in range(3)]
    transport = Gateway(finds=True, taken=["k0", "k2"])
    transport.trouble_asked = [None]  # the first is not known the first time
    verdicts = list(
        reconciler(transport, sleep=slept.append).reconcile(
            outcome(claim, index) for index, claim in enumerate(claims)
        )
    )
    assert transport.asked == ["k0", "k1", "k2", "k0", "k1", "k1"]
    assert tuple(slept) == LOOK_UP_AFTER
    assert [verdict.outcome.index for verdict in verdicts] == [0, 1, 2]
    assert [verdict.record is not None for verdict in verdicts] == [True, False, True]


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
    transport = Gateway(finds=True, trouble_asked=[error, Proof(Evidence.LOOK_UP, 2)])
    assert settled(transport).record is not None
    transport = Gateway(finds=True, disproves=True, trouble_asked=[error] * 3)
    verdict = settled(transport, OLD, on_unknown="resend_unlisted")
    assert transport.steps == ["look up"] * 3
    assert "could not be looked up" in caplog.text
    assert verdict.record is None
    assert not verdict.is_to_be_sent  # silence is not an empty list
    # An empty list from before it fell silent says nothing of now.
    transport = Gateway(finds=True, disproves=True, trouble_asked=[None, error, error])
    assert not settled(transport, OLD, on_unknown="resend_unlisted").is_to_be_sent
    # What could not be asked now may be asked later, for a day; what is refused will be refused again.
    assert verdict.ask_in == (MOST_LOOK_UP_INTERVAL if isinstance(error, RetryableNotSentError) else None)


@pytest.mark.parametrize(
    ("age", "asks"), [(LONGEST_SILENCE - timedelta(seconds=1), True), (LONGEST_SILENCE, False)]
)
def test_a_gateway_that_does_not_answer_is_not_asked_for_ever(age: timedelta, asks: bool) -> None:
    transport = Gateway(finds=True, trouble_asked=[RetryableNotSentError("no connection")] * 3)
    verdict = settled(transport, replace(CLAIM, at=(NOW - age).isoformat()))
    assert (verdict.ask_in is not None) is asks


@pytest.mark.parametrize("choice", CHOICES)
def test_a_look_up_that_is_stopped_decides_nothing(choice: Any) -> None:
    transport = Gateway(finds=True, trouble_asked=[CampaignInterruptedError("stopped")])
    with pytest.raises(CampaignInterruptedError):
        settled(transport, on_unknown=choice)


# Evidence of a part


@pytest.mark.parametrize("choice", CHOICES)
def test_evidence_of_a_part_counts_the_others_as_in_doubt_once_nothing_more_can_come(
    choice: Any, caplog: pytest.LogCaptureFixture
) -> None:
    transport = Gateway(finds=True, disproves=True, shows=1, taken=[CLAIM.reference])
    verdict = settled(transport, OLD, on_unknown=choice)
    assert verdict.record == proven(OLD, Evidence.LOOK_UP, accepted=1, in_doubt=1, tag="tag-k3v9x0q2w7ha")
    assert not verdict.is_to_be_sent  # or somebody would get it twice
    assert "knows its reference for only 1 of them" in caplog.text


@pytest.mark.parametrize(
    ("choice", "waits"),
    [("fail", True), ("resend_unlisted", True), ("assume_sent", False), ("resend", False)],
)
def test_evidence_of_a_part_of_a_young_batch_may_become_more(choice: Any, waits: bool) -> None:
    transport = Gateway(finds=True, shows=1, taken=[CLAIM.reference])
    verdict = settled(transport, on_unknown=choice)
    assert (verdict.ask_in is not None) is waits
    assert (verdict.record is None) is waits


def test_the_best_evidence_of_several_look_ups_counts() -> None:
    proofs = [Proof(Evidence.LOOK_UP, 1), Proof(Evidence.LOOK_UP, 0), None]
    record = settled(Gateway(finds=True, trouble_asked=proofs), OLD).record
    assert record is not None
    assert (record.accepted, record.in_doubt) == (1, 1)


@pytest.mark.parametrize("choice", ["fail", "resend_unlisted"])
def test_something_that_is_listed_and_does_not_count_proves_neither(choice: Any) -> None:
    transport = Gateway(finds=True, disproves=True, shows=0, taken=[CLAIM.reference])
    verdict = settled(transport, OLD, on_unknown=choice)
    assert verdict == Verdict(verdict.outcome, may_be_unlisted=True)


@pytest.mark.parametrize("choice", ["fail", "resend_unlisted"])
@pytest.mark.parametrize("recognises", [False, True])
def test_what_was_overtaken_by_a_try_without_a_trace_is_not_sent_for_want_of_evidence(
    choice: Any, recognises: bool
) -> None:
    """That try may have sent it under a reference of its own."""
    transport = Gateway(finds=True, disproves=True, recognises=recognises)
    verdict = settled(transport, OLD, on_unknown=choice, is_overtaken=True)
    assert verdict == Verdict(verdict.outcome)
    assert "repeat" not in transport.steps
    # What is shown is proof all the same.
    taken = Gateway(finds=True, taken=[CLAIM.reference])
    assert settled(taken, OLD, on_unknown=choice, is_overtaken=True).record is not None


def test_more_evidence_than_there_are_recipients_counts_as_all_of_them() -> None:
    record = settled(Gateway(finds=True, shows=9, taken=[CLAIM.reference])).record
    assert record is not None
    assert (record.accepted, record.in_doubt) == (2, 0)


# Repeats


def test_the_order_is_look_up_then_repeat_then_choice() -> None:
    transport = Gateway(finds=True, recognises=True, failures=[RejectedError("no credit")])
    record = settled(transport, on_unknown="assume_sent").record
    assert transport.steps == ["look up"] * 3 + ["repeat"]
    assert record is not None
    assert (record.phase, record.evidence) == (Phase.ASSUMED_SENT, Evidence.ASSUMED)


def test_a_repeat_that_is_accepted_sends_now_under_the_same_reference() -> None:
    transport = Gateway(recognises=True)
    record = settled(transport).record
    assert record is not None
    assert (record.phase, record.reference, record.accepted) == (Phase.SENT, CLAIM.reference, 2)
    assert record.evidence is Evidence.REPEAT_ACCEPTED
    assert record.gateway_id
    assert transport.taken == [CLAIM.reference]
    assert set(transport.messaged.values()) == {1}


def test_a_repeat_that_is_refused_as_one_proves_that_it_was_sent() -> None:
    transport = Gateway(recognises=True, taken=[CLAIM.reference])
    assert settled(transport).record == proven(CLAIM, Evidence.REPEAT_REFUSED)
    assert not transport.messaged


def test_what_a_repeat_has_sent_is_known_before_the_next_doubt_is_settled() -> None:
    """Whoever is stopped in the middle has then something to record."""
    transport = Gateway(recognises=True, failures=[None, CampaignInterruptedError("stopped")])
    claims = [replace(CLAIM, reference=f"k{number}") for number in range(2)]
    verdicts = reconciler(transport).reconcile(map(outcome, claims))
    record = next(verdicts).record
    assert record is not None
    assert record.evidence is Evidence.REPEAT_ACCEPTED
    with pytest.raises(CampaignInterruptedError):
        next(verdicts)


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
    for choice, phase, sends in (
        ("assume_sent", Phase.ASSUMED_SENT, False), ("resend", None, True), ("fail", None, False),
        ("resend_unlisted", None, False),
    ):  # fmt: skip
        verdict = settled(Gateway(recognises=True, failures=[error]), on_unknown=choice)
        assert (verdict.record.phase if verdict.record else None) is phase
        assert verdict.is_to_be_sent is sends


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RejectedError("no credit", kind=ErrorKind.CREDIT), "the repeat was refused, which proves nothing: no credit"),
        (SendOutcomeUnknownError("no answer again"), "no answer again"),
        (ConfigurationError("send_at has passed"), "send_at has passed"),
    ],
)  # fmt: skip
def test_how_a_repeat_ended_that_proves_nothing_is_told(
    error: Exception, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    settled(Gateway(recognises=True, failures=[error]))
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert said in line
    assert line.startswith(f"batch 5 (2 recipients, reference {CLAIM.reference}): ")


@pytest.mark.parametrize("choice", CHOICES)
def test_a_repeat_that_must_wait_leaves_the_doubt_to_a_later_attempt(choice: Any) -> None:
    """Neither is it settled, nor may the choice decide while there is still evidence to be had."""
    wait = RetryableNotSentError("429", retry_after=40)
    verdict = settled(Gateway(recognises=True, failures=[wait]), on_unknown=choice)
    assert verdict == Verdict(verdict.outcome, failure=wait)


@pytest.mark.parametrize(
    ("age", "repeats"),
    [(timedelta(0), True), (timedelta(hours=22, minutes=59), True), (timedelta(hours=23), False),
     (timedelta(days=2), False), (timedelta(minutes=-1), False)],
)  # fmt: skip
def test_an_old_batch_is_not_repeated_because_the_gateway_has_forgotten_it(
    age: timedelta, repeats: bool
) -> None:
    claim = replace(CLAIM, at=(NOW - age).isoformat())
    transport = Gateway(recognises=True)
    assert (settled(transport, claim).record is not None) is repeats
    assert transport.steps == ["repeat"] * repeats
    assert OctopushHook(conn_id="x").repeats_safely(age) is repeats


@pytest.mark.parametrize("claim", [replace(CLAIM, reference=""), replace(CLAIM, at=None)])
def test_without_a_reference_or_a_time_nothing_is_repeated(claim: BatchRecord) -> None:
    transport = Gateway(finds=bool(claim.reference), recognises=True)
    record = settled(transport, claim, on_unknown="assume_sent").record
    assert record is not None
    assert (record.phase, record.evidence) == (Phase.ASSUMED_SENT, Evidence.ASSUMED)
    assert "repeat" not in transport.steps


def test_a_doubt_whose_recipients_are_not_known_asks_nothing() -> None:
    transport = Gateway(finds=True, recognises=True, taken=[CLAIM.reference])
    [verdict] = reconciler(transport).reconcile([outcome(recipients=())])
    assert verdict.record is None
    assert verdict.ask_in is not None
    assert not transport.steps


# The user's choice


def test_to_resend_leaves_the_sending_to_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    transport = Gateway()
    verdict = settled(transport, on_unknown="resend")
    assert verdict == Verdict(verdict.outcome, is_to_be_sent=True)
    assert not transport.steps
    assert "on_unknown='resend' decides" in caplog.text


def test_to_assume_records_what_a_sensor_can_ask_by(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    record = settled(Gateway(finds=True), on_unknown="assume_sent").record
    assert record == replace(
        CLAIM, phase=Phase.ASSUMED_SENT, tag="tag-k3v9x0q2w7ha", evidence=Evidence.ASSUMED
    )
    assert "on_unknown='assume_sent' decides" in caplog.text
    assert "+336" not in caplog.text


# What resend_unlisted believes: whether a look-up lists nothing, was answered, is allowed to disprove, and comes late
# enough after the last claim.
UNLISTED = [
    ({}, OLD, True),
    ({}, replace(OLD, at=(NOW - timedelta(minutes=15)).isoformat()), True),
    ({}, replace(OLD, at=(NOW - timedelta(minutes=14, seconds=59)).isoformat()), False),
    ({}, CLAIM, False),
    ({}, replace(OLD, again_at=NOW.isoformat()), False),
    ({}, replace(OLD, at=None), False),
    ({}, replace(OLD, reference=""), False),
    ({"disproves": False}, OLD, False),
    ({"finds": False}, OLD, False),
    ({"taken": [CLAIM.reference]}, OLD, False),
    ({"trouble_asked": [None, None, RetryableNotSentError("no connection")]}, OLD, False),
    ({"trouble_asked": [RetryableNotSentError("no connection"), None, None]}, OLD, True),
    ({"trouble_asked": [Proof(Evidence.LOOK_UP, 0), None, None]}, OLD, False),
]


@pytest.mark.parametrize(("gateway", "claim", "sends"), UNLISTED)
def test_what_a_gateway_does_not_list_is_sent_again_only_where_that_can_be_believed(
    gateway: dict[str, Any], claim: BatchRecord, sends: bool
) -> None:
    transport = Gateway(**{"finds": True, "disproves": True, **gateway})
    assert settled(transport, claim, on_unknown="resend_unlisted").is_to_be_sent is sends
    for choice in ("fail", "assume_sent"):
        transport = Gateway(**{"finds": True, "disproves": True, **gateway})
        assert not settled(transport, claim, on_unknown=choice).is_to_be_sent


@pytest.mark.parametrize(
    ("minutes", "ask_in"),
    [(-60, 80 * 60), (15, 5 * 60), (19.9, 30), (20, None)],
    ids=["it is still to come", "as long as for others", "rounded up by a gateway, almost", "by then"],
)
def test_what_was_planned_is_not_believed_unlisted_before_it_left_and_had_its_time(
    minutes: float, ask_in: float | None
) -> None:
    transport = Gateway(finds=True, disproves=True)
    planned = NOW - timedelta(minutes=minutes)
    verdict = settled(transport, OLD, on_unknown="resend_unlisted", planned=planned)
    assert (verdict.is_to_be_sent, verdict.ask_in) == (ask_in is None, ask_in)
    # A quarter of an hour for the gateway to list it, and five minutes for one that rounds the time up.
    assert verdict.until == (None if ask_in is None else planned + timedelta(minutes=20))


@pytest.mark.parametrize(
    ("age", "ask_in"),
    [(0, LEAST_LOOK_UP_INTERVAL), (29, LEAST_LOOK_UP_INTERVAL), (100, 100), (300, MOST_LOOK_UP_INTERVAL),
     (500, MOST_LOOK_UP_INTERVAL), (700, 201),
     (890, LEAST_LOOK_UP_INTERVAL), (900, None), (4000, None), (-60, LEAST_LOOK_UP_INTERVAL)],
)  # fmt: skip
def test_a_young_batch_is_asked_about_again_when_it_is_worth_it(age: float, ask_in: float | None) -> None:
    """And never so soon that a wait for it is not handed to the triggerer."""
    claim = replace(CLAIM, at=(NOW - timedelta(seconds=age)).isoformat())
    assert settled(Gateway(finds=True), claim).ask_in == ask_in
    assert settled(Gateway(finds=False), claim).ask_in is None


# Disputes


@pytest.mark.parametrize("choice", CHOICES)
def test_what_is_disputed_is_proven_by_a_look_up_and_keeps_nothing_of_what_its_answer_said(
    choice: Any,
) -> None:
    transport = Gateway(finds=True, taken=[CLAIM.reference])
    record = settled(transport, DISPUTED, on_unknown=choice).record
    assert record == proven(OLD, Evidence.LOOK_UP, tag="tag-k3v9x0q2w7ha")


def test_what_is_disputed_is_not_repeated() -> None:
    transport = Gateway(recognises=True)
    assert settled(transport, DISPUTED).record is None
    assert not transport.steps


def test_what_is_disputed_can_be_assumed_sent_once_and_for_all() -> None:
    record = settled(Gateway(), DISPUTED, on_unknown="assume_sent").record
    assert record == replace(OLD, phase=Phase.ASSUMED_SENT, at=NOW.isoformat(), evidence=Evidence.ASSUMED)
