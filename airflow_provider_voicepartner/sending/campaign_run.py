"""One attempt at a campaign: for each batch claim, send, record; then reconcile unknown outcomes."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from airflow_provider_voicepartner.constants import ANSWERS_TOGETHER, INTERRUPTED_GRACE, STOP_CHECK_INTERVAL
from airflow_provider_voicepartner.exceptions import (
    CampaignInterruptedError,
    RejectedError,
    RetryableNotSentError,
)
from airflow_provider_voicepartner.gateways.model import Recipient
from airflow_provider_voicepartner.sending.batch import (
    AttemptResult,
    BatchAttempt,
    BatchSender,
    Job,
    WorkerPool,
)
from airflow_provider_voicepartner.sending.budget import Budget, SegmentCounts, unit_of
from airflow_provider_voicepartner.sending.campaign_spec import Campaign, ReadAhead, Schedule, SendingTools
from airflow_provider_voicepartner.sending.pricing import Pricing
from airflow_provider_voicepartner.sending.progress import ProgressLog
from airflow_provider_voicepartner.sending.reconcile import (
    OutcomeReconciler,
    UnknownOutcome,
    Verdict,
    unresolved,
)
from airflow_provider_voicepartner.sending.records import BatchRecord, Phase
from airflow_provider_voicepartner.sending.request_builder import RequestBuilder
from airflow_provider_voicepartner.sending.transport import RateLimitWaitTooLongError

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class CampaignRun:
    """The state of one campaign on its way."""

    sender: SendingTools
    campaign: Campaign
    pool: WorkerPool
    records: dict[int, BatchRecord] = field(default_factory=dict)
    claimed: dict[int, BatchAttempt] = field(default_factory=dict)
    under_way: dict[int, tuple[BatchAttempt, Job[AttemptResult]]] = field(default_factory=dict)
    unwritten: dict[int, BatchRecord] = field(default_factory=dict)
    unknown_outcomes: list[UnknownOutcome] = field(default_factory=list)
    undecided: dict[int, Verdict] = field(default_factory=dict)
    again: list[tuple[int, Sequence[Recipient]]] = field(default_factory=list)
    resent: set[int] = field(default_factory=set)
    gateway_ids: dict[str, int] = field(default_factory=dict)
    ready: BatchAttempt | None = None
    leaving: int = 0
    put_back: tuple[int, Sequence[Recipient]] | None = None
    failure: BaseException | None = None
    stopped_at: float | None = None

    def __post_init__(self) -> None:
        self.batches = ReadAhead(enumerate(self.campaign.batches), self.campaign.max_in_flight)
        sender, campaign = self.sender, self.campaign
        segment_counts = (
            None if campaign.segments_per_batch is None else SegmentCounts(campaign.segments_per_batch)
        )
        self.budget = Budget(
            campaign.max_cost, campaign.unit_price, segment_counts, unit=unit_of(campaign.message)
        )
        self.pricing = Pricing(
            sender, campaign, self.budget, segment_counts, before_request=partial(self._write, {})
        )
        self.schedule = Schedule(campaign, sender.ledger, sender.now)
        self.requests = RequestBuilder(
            transport=sender.transport,
            message=campaign.message,
            schedule=self.schedule,
            new_reference=sender.reference,
            find=sender.ledger.find,
        )
        self.reconciler = OutcomeReconciler(
            transport=sender.transport,
            message=campaign.message,
            send_at=self.schedule.for_repeats,
            on_unknown=campaign.on_unknown,
            planned=campaign.send_at,
            is_same_account=sender.ledger.is_of_this_account,
            is_overtaken=sender.ledger.is_overtaken,
            now=sender.now,
            sleep=sender.stop.sleeper(sender.sleep),
        )
        self.batch_sender = BatchSender(transport=sender.transport, message=campaign.message, now=sender.now)
        self.progress = ProgressLog(len(campaign.batches))
        self.finished = False

    def to_the_end(self) -> list[BatchRecord]:
        """Send batch by batch until nothing is left, then raise the first failure there was, or what is in doubt."""
        while True:
            leaving = list(self._next_attempts())
            self._claim(leaving)
            for attempt in leaving:
                job = Job(partial(self.batch_sender.send, attempt))
                self.under_way[attempt.index] = attempt, job
                del self.claimed[attempt.index]
                self.pool.start(job)
            if not (self.under_way or self.ready) or self._has_waited_enough():
                break
            self._wait()
        # An interrupted wait says less than how far the campaign came.
        if self.failure is not None and not isinstance(self.failure, CampaignInterruptedError):
            raise self.failure
        if not self.finished and len(self.records) + len(self.undecided) < len(self.campaign.batches):
            raise CampaignInterruptedError("stopped as asked")
        self._log_what_is_final()
        if self.undecided:
            blind = self.sender.ledger.why_blind() if self.sender.ledger.is_blind else None
            raise unresolved(
                [self.undecided[index] for index in sorted(self.undecided)], blind, self.campaign.on_unknown
            )
        records = [self.records[index] for index in sorted(self.records)]
        self._refuse_if_nobody_was_reached(records)
        return records

    def _log_what_is_final(self) -> None:
        """Warn that batches which were assumed sent are final: no later choice sends them."""
        final = [index for index in sorted(self.records) if self.records[index].phase is Phase.ASSUMED_SENT]
        if final and self.campaign.on_unknown.startswith("resend"):
            log.warning(
                "%d batches, the first of them batch %d (%s), were assumed to have been sent, and that is final: "
                "on_unknown=%r does not send them",
                len(final), final[0] + 1, self.records[final[0]].reference, self.campaign.on_unknown,
            )  # fmt: skip

    def _refuse_if_nobody_was_reached(self, records: Sequence[BatchRecord]) -> None:
        """Fail a campaign of which the gateway refused everybody: silence is not success."""
        if records and all(record.reached_nobody for record in records):
            refused = sum(record.size for record in records)
            opted_out = sum(record.opted_out for record in records)
            raise RejectedError(
                f"to: the gateway refused all {refused} recipients by name; {opted_out} of them opted out. Nothing was "
                "sent or billed. Correct the list and clear the task; to try the same recipients again, give "
                "send_again a new text"
            )

    def _has_waited_enough(self) -> bool:
        """Say whether requests in flight have had their time since the campaign was cancelled."""
        return self.sender.stop.is_cancelled and self._grace() <= 0

    def _grace(self) -> float:
        """Return the seconds left for requests in flight, counted from the first call."""
        self.stopped_at = self.stopped_at or time.monotonic()
        return self.stopped_at + INTERRUPTED_GRACE - time.monotonic()

    def _next_attempts(self) -> Iterator[BatchAttempt]:
        """Yield what may leave now: as many as there are free worker threads, each with its slot."""
        free = self.campaign.max_in_flight - len(self.under_way)
        self.leaving = 0
        while free > 0 and self._may_go_on():
            attempt = self.ready = self.ready or self._prepare()
            if attempt is None or attempt.due > self.sender.clock() or not self._is_in_time(attempt):
                return
            self.ready = None
            free -= 1
            self.leaving += 1
            attempt.claim_now(self.sender.now())
            yield attempt

    def _is_in_time(self, attempt: BatchAttempt) -> bool:
        """Look at the planned time once more: it may have passed while an attempt waited for its slot."""
        if attempt.send_at is None or not self.schedule.is_late:
            return True
        try:
            self.requests.build_later(attempt)
        except Exception as error:
            self.failure = error
            self.budget.free(attempt.index)
            self._give_back()
            return False
        return True

    def _may_go_on(self) -> bool:
        if self.failure is not None or self.sender.stop.is_cancelled:
            self._give_back()
            return False
        # With the price unknown, the first batch goes alone.
        alone = self.budget.needs_price and (self.under_way or self.leaving)
        return not self.finished and not alone

    def _give_back(self) -> None:
        """Release the slot of an attempt that will not leave."""
        if self.ready is not None:
            attempt, self.ready = self.ready, None
            self._release(attempt)

    def _release(self, attempt: BatchAttempt) -> None:
        try:
            self.sender.rate_limiter.release(attempt.slot)
        except Exception as error:
            # An unused slot only delays others; what stopped us matters more.
            log.warning("A slot could not be released: %s", type(error).__name__)

    def _prepare(self) -> BatchAttempt | None:
        """Make the next batch ready that has to be sent; None when there is none, or it cannot be sent now."""
        try:
            for index, recipients in self._rest():
                known = self.sender.ledger.find(index, len(recipients))
                if not self._is_to_be_sent(index, known, recipients):
                    continue
                if self.leaving and self.pricing.must_ask(recipients):
                    # Asking a gateway takes seconds, and batches that have their slot must not wait for it.
                    self.put_back = index, recipients
                    return None
                return self._make_ready(index, recipients, known)
        except RateLimitWaitTooLongError as far:
            self.failure = RetryableNotSentError(
                f"the gateway's rate limit: the next batch may leave in {far.wait:.0f} s",
                retry_after=far.wait,
            )
        except Exception as error:
            self.failure = error
        return None

    def _rest(self) -> Iterator[tuple[int, Sequence[Recipient]]]:
        """Yield the batches in order; then, when all attempts have ended, those to send again."""
        while True:
            batch, self.put_back = self.put_back or next(self.batches, None), None
            if batch is None and not (self.under_way or self.leaving):
                self._reconcile()
                self.finished = not self.again
            if batch is None and self.again:
                batch = self.again.pop(0)
            if batch is None:
                return
            yield batch

    def _is_to_be_sent(self, index: int, known: BatchRecord | None, recipients: Sequence[Recipient]) -> bool:
        """Say whether a batch is to be sent, by what the ledger knows of it."""
        if known is None or known.phase is Phase.REFUSED or index in self.resent:
            return True
        if known.phase.is_in_doubt:
            self._put_aside(index, known, recipients)
            return index in self.resent
        self.progress.known(index, known)
        self._settle(index, known)
        return False

    def _put_aside(self, index: int, claim: BatchRecord, recipients: Sequence[Recipient]) -> None:
        """Put an unknown outcome aside until the rest has left; decide it at once where nothing can be asked."""
        if claim.gateway_id is not None:
            self.gateway_ids.setdefault(claim.gateway_id, index)
        why = (
            "the gateway's answers about it contradict each other"
            if claim.phase is Phase.DISPUTED
            else "an earlier attempt may have sent it, and recorded no answer"
        )
        if claim.reference:
            self.unknown_outcomes.append(
                UnknownOutcome(index=index, claim=claim, recipients=recipients, why=why)
            )
            return
        # Without its recipients: a blind attempt comes here with every batch, and memory would hold them all.
        [verdict] = self.reconciler.reconcile(
            [UnknownOutcome(index=index, claim=claim, recipients=(), why=why)]
        )
        self._apply(verdict)

    def _reconcile(self) -> None:
        unknown_outcomes, self.unknown_outcomes = self.unknown_outcomes, []
        if not unknown_outcomes:
            return
        self._write({})
        for verdict in self.reconciler.reconcile(unknown_outcomes):
            self._apply(verdict)
            if verdict.is_to_be_sent and verdict.outcome.index not in self.undecided:
                self.again.append((verdict.outcome.index, verdict.outcome.recipients))
        self._write({})

    def _apply(self, verdict: Verdict) -> None:
        """Apply what became of an unknown outcome."""
        index = verdict.outcome.index
        if verdict.record is not None:
            self.unwritten[index] = verdict.record
            self.progress.sent(index, verdict.record)
            self._settle(index, verdict.record)
        elif verdict.is_to_be_sent and index not in self.resent:
            self.resent.add(index)
        else:
            # Sent again once in this attempt, and in doubt again: it is not sent a third time.
            self.undecided[index] = verdict
            self.failure = self.failure or verdict.failure

    def _settle(self, index: int, record: BatchRecord) -> None:
        """Count a batch that is done. If two were answered with the same id, both are disputed."""
        self.budget.settle(index, record)
        self.records[index] = record
        if record.gateway_id is None:
            return
        other = self.gateway_ids.setdefault(record.gateway_id, index)
        if other == index:
            return
        log.error(
            "Batches %d and %d were answered with the same id, so it is unknown which of them was accepted",
            other + 1, index + 1,
        )  # fmt: skip
        for disputed in (other, index):
            known = self.records.pop(disputed, None) or self.unwritten.get(disputed)
            if known is not None:
                claim = self.unwritten[disputed] = replace(known, phase=Phase.DISPUTED)
                outcome = UnknownOutcome(
                    index=disputed,
                    claim=claim,
                    recipients=(),
                    why="its id was answered for another batch too",
                )
                self.undecided[disputed] = self.reconciler.open_verdict(outcome)

    def _make_ready(
        self, index: int, recipients: Sequence[Recipient], known: BatchRecord | None
    ) -> BatchAttempt:
        unresolved = known if known is not None and known.phase.is_in_doubt else None
        built = self.requests.build(index, recipients, unresolved)
        self.pricing.approve(index, recipients, built.send_at, is_resent=unresolved is not None)
        slot = self.sender.rate_limiter.acquire(built.request.endpoint, self.campaign.longest_wait)
        return BatchAttempt(
            index=index,
            recipients=recipients,
            request=built.request,
            claim=built.claim,
            slot=slot,
            due=self.sender.clock() + slot.wait,
            send_at=built.send_at,
            unresolved=unresolved,
        )

    def _wait(self) -> None:
        """Wait until an attempt ends, or the next batch's slot comes."""
        timeout = self._longest_wait()
        if not self.under_way:
            self.sender.sleep(timeout)
            return
        if not self.pool.ends_within(min(ANSWERS_TOGETHER, timeout)) and self.failure is None:
            # Nothing that takes the processor while answers are read: they often come together.
            self._work_ahead()
        self.pool.wait(0.0 if self._has_result else self._longest_wait())
        self._collect_results()

    def _longest_wait(self) -> float:
        """Return the seconds until there is something to do, whatever is answered."""
        due = STOP_CHECK_INTERVAL if self.ready is None else self.ready.due - self.sender.clock()
        return min(STOP_CHECK_INTERVAL, max(0.0, due))

    def _work_ahead(self) -> None:
        """Build requests and read batches of the list, step by step, until something else is to be done."""
        while not (self._has_result or self.sender.stop.is_cancelled or self._longest_wait() <= 0):
            if not (self.requests.build_ahead(self.batches.ready) or self.batches.read_one()):
                break

    @property
    def _has_result(self) -> bool:
        return any(job.is_done for _, job in self.under_way.values())

    def _collect_results(self) -> None:
        for index, (attempt, job) in list(self.under_way.items()):
            if not job.is_done:
                continue
            del self.under_way[index]
            self.pool.free()
            self._apply_result(job.result or AttemptResult(attempt=attempt, error=job.error))

    def _apply_result(self, result: AttemptResult) -> None:
        """Apply how an attempt ended; without a record its claim stays, and so does an unknown outcome."""
        attempt, record, why = result.attempt, result.record, result.unknown_because
        index = attempt.index
        if record is not None:
            self.unwritten[index] = record
        if why is not None:
            self.budget.leave_in_doubt(index)
            log.warning(
                "Batch %d (%s) is in doubt: %s. Its outcome is checked once all other batches have left",
                index + 1, attempt.claim.reference, why,
            )  # fmt: skip
            self.unknown_outcomes.append(
                UnknownOutcome(
                    index=index, claim=record or attempt.claim, recipients=attempt.recipients, why=why
                )
            )
        elif record is None:
            self.budget.leave_in_doubt(index)
        elif result.error is None:
            self.progress.sent(index, record)
            self._settle(index, record)
        else:
            self.budget.free(index)
        self.failure = self.failure or result.error

    def _claim(self, attempts: Sequence[BatchAttempt]) -> None:
        """Record which attempts are about to leave, and what has ended, in one write; renew old claims."""
        waiting = [attempt for attempt, job in self.under_way.values() if not job.is_done]
        now = self.sender.now()
        for attempt in (old := [attempt for attempt in waiting if attempt.is_old(now)]):
            attempt.claim_now(now)
        self.claimed = {attempt.index: attempt for attempt in attempts}
        try:
            self._write({attempt.index: attempt.claim for attempt in (*old, *attempts)})
        except BaseException:
            for attempt in attempts:
                self._release(attempt)
            self._withdraw(attempts)
            self.claimed.clear()
            raise

    def _withdraw(self, attempts: Sequence[BatchAttempt]) -> None:
        """Withdraw claims of which some may have been written: these batches did not leave now."""
        try:
            self._write({attempt.index: attempt.not_sent for attempt in attempts})
        except Exception as error:
            log.warning(
                "Claims of unsent batches could not be withdrawn and stay in doubt: %s",
                type(error).__name__,
            )

    def _write(self, claims: Mapping[int, BatchRecord]) -> None:
        """Write what has ended and what is about to leave, together."""
        if self.unwritten or claims:
            self.sender.ledger.write({**self.unwritten, **claims})
            self.unwritten.clear()

    def drain(self) -> None:
        """Wait for everything under way, for a limited time, and record what is known; claim nothing more."""
        self._withdraw_what_was_not_begun()
        self.pool.wait_for_all([job for _, job in self.under_way.values()], self._grace())
        self._collect_results()
        try:
            self._give_back()
            self._write({})
        except Exception as error:
            log.error("Results could not be recorded: %s", type(error).__name__)

    def _withdraw_what_was_not_begun(self) -> None:
        """Record that batches did not leave whose claim was written and whose thread has not started: a signal came."""
        waiting = {index: attempt for index, (attempt, job) in self.under_way.items() if job.cancel()}
        for index, attempt in (self.claimed | waiting).items():
            self.under_way.pop(index, None)
            self._release(attempt)
            self.budget.free(index)
            self.unwritten[index] = attempt.not_sent
        self.claimed.clear()
