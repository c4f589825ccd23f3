"""Batches that left without an answer: what proves that they were sent, and what to do when nothing does."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from airflow_provider_voicepartner.constants import (
    LEAST_LOOK_UP_INTERVAL,
    LONGEST_SILENCE,
    LOOK_UP_AFTER,
    MOST_LOOK_UP_INTERVAL,
    SENDING_ROUNDED_BY,
)
from airflow_provider_voicepartner.exceptions import (
    CampaignInterruptedError,
    ConfigurationError,
    NotSentError,
    OutcomePendingError,
    RejectedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
    VoicePartnerProviderError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.gateways.model import Message, Recipient
from airflow_provider_voicepartner.sending.ledger import OnUnknown
from airflow_provider_voicepartner.sending.records import BatchRecord, Evidence, Phase, Proof
from airflow_provider_voicepartner.sending.transport import BatchTransport

log = logging.getLogger(__name__)


_WORDS = {Evidence.LOOK_UP: "knows its reference", Evidence.CALLED_BACK: "called back about it"}


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownOutcome:
    """
    One batch in doubt.

    :param index: from 0.
    :param claim: its record in the ledger; without a reference nothing can be proved.
    :param recipients: who is in it; empty where that is not known any more, and then it cannot be reconciled now.
    :param why: how that came about, as errors and the log say it.
    """

    index: int
    claim: BatchRecord
    recipients: Sequence[Recipient] = field(repr=False)
    why: str

    @property
    def can_be_reconciled(self) -> bool:
        """True where there is something to ask by."""
        return bool(self.claim.reference and self.recipients)

    def __str__(self) -> str:
        """Name the batch, without its recipients."""
        reference = self.claim.reference or "not known"
        return f"batch {self.index + 1} ({self.claim.size} recipients, reference {reference})"


@dataclass(slots=True)
class Verdict:
    """
    What became of an unknown outcome.

    :param record: what to record; None where it is still in doubt, or is to be sent again.
    :param is_to_be_sent: the user's choice is to send it again.
    :param ask_in: seconds after which the gateway may know more; None where it will not.
    :param until: when it will not come to know more, aware; None where ``ask_in`` is.
    :param may_be_unlisted: ``on_unknown="resend_unlisted"`` could decide on it.
    :param failure: what kept the repeat that decides it from being made now.
    """

    outcome: UnknownOutcome
    record: BatchRecord | None = None
    is_to_be_sent: bool = False
    ask_in: float | None = None
    until: datetime | None = None
    may_be_unlisted: bool = False
    failure: RetryableNotSentError | None = None


@dataclass(slots=True)
class _Case:
    """
    One unknown outcome while it is being reconciled.

    :param proof: the best that was found.
    :param is_unlisted: the last look-up answered properly, and listed nothing.
    :param is_unanswered: the last look-up was not answered, which a later one may be.
    """

    outcome: UnknownOutcome
    proof: Proof | None = None
    is_unlisted: bool = False
    is_unanswered: bool = False


@dataclass(frozen=True, kw_only=True)
class OutcomeReconciler:
    """
    Reconciles batches in doubt, always in one order: look-ups, a repeat that the gateway recognises, the user's choice.

    :param transport: the hook.
    :param message: what the campaign says.
    :param send_at: returns for when a repeat is to be sent, None for at once.
    :param on_unknown: the user's choice.
    :param planned: when the campaign reaches recipients, None for at once; before, a gateway may list none of it.
    :param is_same_account: the claims were made with this very account and key; another one lists nothing of them.
    :param is_overtaken: tries that left no trace may have sent again, under other references, what is in doubt. Then
        nothing is repeated or believed unlisted.
    :param now: the present, aware; injected by tests.
    :param sleep: waits; injected by tests.
    """

    transport: BatchTransport
    message: Message
    send_at: Callable[[], datetime | None]
    on_unknown: OnUnknown
    now: Callable[[], datetime]
    planned: datetime | None = None
    is_same_account: bool = True
    is_overtaken: bool = False
    sleep: Callable[[float], None] = time.sleep

    def reconcile(self, outcomes: Iterable[UnknownOutcome]) -> Iterator[Verdict]:
        """
        Reconcile batches as far as it can be done now.

        One by one: where a repeat sends one of them, that is known before the next is asked about.

        :raises CampaignInterruptedError: the campaign was stopped; what is not decided stays in doubt.
        """
        cases = [_Case(outcome) for outcome in outcomes]
        self._look_up([case for case in cases if self._can_look_up(case.outcome)])
        for case in cases:
            yield self._judge(case)

    def _can_look_up(self, outcome: UnknownOutcome) -> bool:
        return outcome.can_be_reconciled and self.transport.can_look_up(self.message, outcome.claim.reference)

    def _look_up(self, cases: list[_Case]) -> None:
        """Ask by our references, a few times. An answer that does not list one proves nothing by itself."""
        left = cases
        for pause in LOOK_UP_AFTER:
            if not left:
                return
            self.sleep(pause)
            left = [case for case in left if not self._is_answered(case)]

    def _is_answered(self, case: _Case) -> bool:
        """Look one batch up; say whether asking again in a moment cannot help."""
        outcome = case.outcome
        try:
            proof = self.transport.find_proof(
                self.message, outcome.claim.reference, outcome.recipients, _moment(outcome.claim.at)
            )
        except CampaignInterruptedError:
            raise
        except VoicePartnerProviderError as error:
            log.warning("%s could not be looked up: %s", outcome, error)
            case.is_unlisted = False
            case.is_unanswered = isinstance(error, RetryableNotSentError)
            return False
        case.is_unlisted, case.is_unanswered = proof is None, False
        if proof is not None and (case.proof is None or proof.accepted >= case.proof.accepted):
            case.proof = proof
        return case.proof is not None and case.proof.accepted >= outcome.claim.size

    def _judge(self, case: _Case) -> Verdict:
        outcome, proof = case.outcome, case.proof
        if proof is not None and proof.accepted >= outcome.claim.size:
            log.info("%s was sent: the gateway %s", outcome, _WORDS[proof.evidence])
            return Verdict(outcome, self.proven(outcome, proof))
        try:
            record = self._repeat(outcome)
        except RetryableNotSentError as error:
            return Verdict(outcome, failure=error)
        if record is not None:
            return Verdict(outcome, record)
        open_ = self.open_verdict(outcome)
        if open_.ask_in is None and case.is_unanswered and self._age_of(outcome.claim) < LONGEST_SILENCE:
            open_.ask_in = MOST_LOOK_UP_INTERVAL
            open_.until = self.now() - self._age_of(outcome.claim) + LONGEST_SILENCE
        if proof is not None and proof.accepted:
            if open_.ask_in is not None and self.on_unknown in ("fail", "resend_unlisted"):
                return open_
            log.warning(
                "%s was sent, but the gateway %s for only %d of them; the others are counted as in doubt",
                outcome, _WORDS[proof.evidence], proof.accepted,
            )  # fmt: skip
            return Verdict(outcome, self.proven(outcome, proof))
        return self._choose(case, open_)

    def _choose(self, case: _Case, open_: Verdict) -> Verdict:
        """Let the user's choice decide, where it applies."""
        outcome = case.outcome
        if self.on_unknown == "assume_sent":
            log.warning("%s is in doubt: %s; on_unknown='assume_sent' decides", outcome, outcome.why)
            return Verdict(outcome, self._assumed(outcome))
        if self.on_unknown == "resend":
            log.warning("%s is in doubt: %s; on_unknown='resend' decides", outcome, outcome.why)
            return Verdict(outcome, is_to_be_sent=True)
        if self.on_unknown == "resend_unlisted" and open_.ask_in is None and self._is_disproved(case):
            held = self._held()
            if held > 0:
                open_.ask_in, open_.until = (
                    max(held, LEAST_LOOK_UP_INTERVAL),
                    self.now() + timedelta(seconds=held),
                )
                return open_
            log.warning(
                "%s is in doubt: %s; the gateway does not list it, so on_unknown='resend_unlisted' sends it again",
                outcome, outcome.why,
            )  # fmt: skip
            return Verdict(outcome, is_to_be_sent=True)
        return open_

    def _is_disproved(self, case: _Case) -> bool:
        return self._may_be_unlisted(case.outcome) and case.is_unlisted and case.proof is None

    def _may_be_unlisted(self, outcome: UnknownOutcome) -> bool:
        # Of a claim without a time nobody knows whether the gateway had enough of it.
        is_old = outcome.claim.at is not None
        is_asked = self._can_look_up(outcome) and self.transport.can_disprove(self.message)
        return is_old and is_asked and self.is_same_account and not self.is_overtaken

    def open_verdict(self, outcome: UnknownOutcome) -> Verdict:
        """Return a verdict that is still open, with the time until which the gateway may list the batch."""
        ask_in = self.ask_in(outcome.claim)
        known_within = self.transport.known_within(self.message)
        until = None
        if ask_in is not None and known_within is not None:
            until = self.now() - self._age_of(outcome.claim) + known_within
        return Verdict(outcome, ask_in=ask_in, until=until, may_be_unlisted=self._may_be_unlisted(outcome))

    def _held(self) -> float:
        """Return the seconds until a gateway must list what it was to send at a planned time."""
        known_within = self.transport.known_within(self.message)
        if self.planned is None or known_within is None:
            return 0.0
        return (self.planned + SENDING_ROUNDED_BY + known_within - self.now()).total_seconds()

    def ask_in(self, claim: BatchRecord) -> float | None:
        """Return the seconds after which to ask again; None once the gateway would list an accepted batch."""
        known_within = self.transport.known_within(self.message)
        if known_within is None or claim.at is None or not claim.reference:
            return None
        if not self.transport.can_look_up(self.message, claim.reference):
            return None
        age = self._age_of(claim).total_seconds()
        left = known_within.total_seconds() - age
        return max(min(age, MOST_LOOK_UP_INTERVAL, left + 1), LEAST_LOOK_UP_INTERVAL) if left > 0 else None

    def _age_of(self, claim: BatchRecord) -> timedelta:
        """Return how long ago a batch was claimed last; of a claim without a time, for ever."""
        claimed = _moment(claim.again_at or claim.at)
        return timedelta.max if claimed is None else max(self.now() - claimed, timedelta(0))

    def _repeat(self, outcome: UnknownOutcome) -> BatchRecord | None:
        """
        Make the same request again, where the gateway refuses a repeat: it is then sent once, now or before.

        A refusal that names the repeat proves that it was sent; any other refusal proves nothing.
        """
        claim, claimed = outcome.claim.as_claimed, _moment(outcome.claim.at)
        if not outcome.can_be_reconciled or claimed is None or outcome.claim.phase is Phase.DISPUTED:
            return None
        if self.is_overtaken:
            return None
        if not self.transport.repeats_safely(self.now() - claimed):
            return None
        try:
            request = self.transport.build_batch(
                self.message, outcome.recipients, reference=claim.reference, send_at=self.send_at()
            )
            receipt = self.transport.deliver(request, self.message, outcome.recipients)
        except RejectedError as error:
            if error.kind is ErrorKind.DUPLICATE:
                log.info("%s was sent: the gateway refused its repeat as a duplicate", outcome)
                return self.proven(outcome, Proof(Evidence.REPEAT_REFUSED, claim.size))
            log.warning("%s: the repeat was refused, which proves nothing: %s", outcome, error)
            return None
        except RetryableNotSentError:
            raise
        except (ConfigurationError, NotSentError, SendOutcomeUnknownError) as error:
            log.warning("%s: the repeat proves nothing: %s", outcome, error)
            return None
        log.info("%s had not been sent; its repeat was accepted as %s", outcome, receipt.gateway_id)
        return BatchRecord.of_receipt(receipt, claim, at=self._stamp(), evidence=Evidence.REPEAT_ACCEPTED)

    def proven(self, outcome: UnknownOutcome, proof: Proof) -> BatchRecord:
        """Record that a batch was sent, by proof and without an answer: its id and cost are not known."""
        accepted = min(proof.accepted, outcome.claim.size)
        return replace(
            outcome.claim.as_claimed,
            phase=Phase.SENT,
            accepted=accepted,
            in_doubt=outcome.claim.size - accepted,
            tag=self._tag(outcome),
            at=self._stamp(),
            again_at=None,
            evidence=proof.evidence,
        )

    def _assumed(self, outcome: UnknownOutcome) -> BatchRecord:
        return replace(
            outcome.claim.as_claimed,
            phase=Phase.ASSUMED_SENT,
            tag=self._tag(outcome),
            at=self._stamp(),
            again_at=None,
            evidence=Evidence.ASSUMED,
        )

    def _tag(self, outcome: UnknownOutcome) -> str | None:
        return (
            self.transport.tag_of(self.message, outcome.claim.reference) if outcome.claim.reference else None
        )

    def _stamp(self) -> str:
        return self.now().isoformat()


def _moment(at: str | None) -> datetime | None:
    return None if at is None else datetime.fromisoformat(at)


def unresolved(
    verdicts: Sequence[Verdict], why_blind: str | None, on_unknown: OnUnknown = "fail"
) -> VoicePartnerProviderError:
    """
    Build the error for what is still in doubt; it names every batch.

    :param verdicts: at least one.
    :param why_blind: what is to be said where earlier tries left no trace; None where all did.
    :param on_unknown: the user's choice.
    :returns: a retryable one while the gateway may still come to know any of them, else one that is not.
    """
    named = [str(verdict.outcome) for verdict in verdicts if verdict.outcome.claim.reference]
    nameless = [verdict.outcome for verdict in verdicts if not verdict.outcome.claim.reference]
    if nameless:
        size = sum(outcome.claim.size for outcome in nameless)
        named.append(
            f"{_ranges([outcome.index for outcome in nameless])} ({size} recipients, reference not known)"
        )
    count = len(verdicts)
    reasons = dict.fromkeys(verdict.outcome.why for verdict in verdicts if verdict.outcome.claim.reference)
    whys = "; ".join([*reasons, *([why_blind] if why_blind else [])])
    what = f"{', '.join(named)} {'is' if count == 1 else 'are'} in doubt: {whys}"
    waits = [verdict.ask_in for verdict in verdicts if verdict.ask_in is not None]
    if waits:
        until = max((verdict.until for verdict in verdicts if verdict.until is not None), default=None)
        by_then = f" until {until.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if until is not None else ""
        then = (
            "what it does not list by then is sent again (on_unknown='resend_unlisted')"
            if on_unknown == "resend_unlisted" and any(verdict.may_be_unlisted for verdict in verdicts)
            else "nothing is sent twice"
        )
        return OutcomePendingError(
            f"{what}. The gateway may still come to know it{by_then}, so a retry asks it again, and {then}. If no "
            "retry is left by then, clear the task after that time",
            retry_after=min(waits),
        )
    one = "it was" if count == 1 else "they were"
    unlisted = (
        ", or on_unknown='resend_unlisted' to have sent again what the gateway does not list"
        if on_unknown != "resend_unlisted" and any(verdict.may_be_unlisted for verdict in verdicts)
        else ""
    )
    return SendOutcomeUnknownError(
        f"on_unknown: {what}. Look {'it' if count == 1 else 'them'} up with the gateway, then set "
        f"on_unknown='assume_sent' if {one} sent, or on_unknown='resend' if {one} not (or if twice is better than "
        f"never){unlisted}, and clear the task. One on_unknown decides on all that are in doubt, and 'assume_sent' is "
        "final"
    )


def _ranges(indexes: Sequence[int]) -> str:
    """Name batches that follow each other by the first and the last."""
    parts: list[list[int]] = []
    for index in sorted(indexes):
        if parts and parts[-1][-1] == index - 1:
            parts[-1] = [parts[-1][0], index]
        else:
            parts.append([index])
    spans = [f"{part[0] + 1}" if len(part) == 1 else f"{part[0] + 1} to {part[-1] + 1}" for part in parts]
    return f"batch{'es' if len(indexes) > 1 else ''} {', '.join(spans)}"
