"""
One batch being sent: the worker threads, how a batch leaves, and what to record of how that ended.

The main thread asks what is done; each thread does one thing at a time. Daemon threads and plain values are used where
futures would do, because a signal handler may interrupt the main thread anywhere and must lose no result.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, Generic, TypeVar

from airflow_provider_voicepartner.constants import CLAIM_IS_STALE, CLAIM_LASTS
from airflow_provider_voicepartner.exceptions import (
    CampaignInterruptedError,
    ConfigurationError,
    NotSentError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.gateways.model import Message, Recipient
from airflow_provider_voicepartner.gateways.wire import ApiRequest
from airflow_provider_voicepartner.sending.records import BatchRecord, Evidence, Phase
from airflow_provider_voicepartner.sending.transport import BatchTransport, Slot

Result = TypeVar("Result")

log = logging.getLogger(__name__)

_sending = threading.local()


class Job(Generic[Result]):
    """
    Something that a worker thread does.

    Its result stays here and not in a queue: a signal handler that raises in the main thread can then lose none.

    :param do: runs in a thread of the pool.
    """

    __slots__ = ("_once", "do", "error", "is_done", "result")

    def __init__(self, do: Callable[[], Result]) -> None:
        self._once = Lock()
        self.do = do
        self.is_done = False
        self.result: Result | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        """Run it and store its result or error; do nothing if it was cancelled."""
        if not self._once.acquire(blocking=False):
            return
        try:
            self.result = self.do()
        except BaseException as error:
            self.error = error
        self.is_done = True

    def cancel(self) -> bool:
        """Keep it from starting; say whether that was in time."""
        return self._once.acquire(blocking=False)


class WorkerPool:
    """
    Threads that run jobs. They are left without waiting for one that hangs, and do not keep the process alive.

    Threads are started as they are needed, and there are never more than jobs under way at once. Each job is begun at
    once, in a thread of its own: it was claimed in the ledger, and what is claimed and has not left is in doubt if the
    worker dies.
    """

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Job[Any] | None] = SimpleQueue()
        self._done_signal: SimpleQueue[None] = SimpleQueue()
        self._threads = 0
        self._busy = 0

    def start(self, job: Job[Result]) -> None:
        """Run a job in a worker thread now."""
        self._busy += 1
        if self._threads < self._busy:
            self._threads += 1
            Thread(target=self._run, name=f"voicepartner-worker-{self._threads}", daemon=True).start()
        self._jobs.put(job)

    def free(self) -> None:
        """Note that a job is done, whose thread may run another one."""
        self._busy -= 1

    def wait(self, seconds: float) -> None:
        """Wait until some job is done that was not waited for yet, or the time is over."""
        if self._is_signalled(seconds):
            while self._is_signalled(0):
                pass

    def ends_within(self, seconds: float) -> bool:
        """Say whether some job ends within this time that was not waited for yet; :meth:`wait` then returns at once."""
        if not self._is_signalled(seconds):
            return False
        self._done_signal.put(None)
        return True

    def wait_for_all(self, jobs: list[Job[Result]], seconds: float) -> None:
        """Wait until all of these jobs are done, or the time is over."""
        deadline = time.monotonic() + seconds
        while not all(job.is_done for job in jobs) and (left := deadline - time.monotonic()) > 0:
            self.wait(left)

    def close(self) -> None:
        """Let free threads end; one that hangs ends when its job does."""
        for _ in range(self._threads):
            self._jobs.put(None)

    def _is_signalled(self, seconds: float) -> bool:
        try:
            self._done_signal.get(block=seconds > 0, timeout=seconds)
        except Empty:
            return False
        return True

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.run()
            self._done_signal.put(None)


def check_claim() -> None:
    """
    Stop a batch whose claim is stale; called right before its body leaves, in the thread that sends it.

    :raises CampaignInterruptedError: the worker was frozen for too long.
    """
    attempt: BatchAttempt | None = getattr(_sending, "attempt", None)
    if attempt is not None and attempt.is_old(_sending.now(), CLAIM_IS_STALE):
        raise CampaignInterruptedError(
            "the worker was frozen after it had claimed a batch, which was not sent"
        )


@dataclass(slots=True, kw_only=True)
class BatchAttempt:
    """
    A batch that is ready to leave, or under way.

    :param index: of the batch, from 0.
    :param request: as built.
    :param claim: what the ledger is to know of it while it is under way.
    :param slot: at the rate limit.
    :param due: when the slot comes, by the campaign's clock.
    :param send_at: that the request was built with; None for at once.
    :param unresolved: the record of an earlier attempt that left it in doubt; None if there is none.
    """

    index: int
    recipients: Sequence[Recipient]
    request: ApiRequest
    claim: BatchRecord
    slot: Slot
    due: float
    send_at: datetime | None = None
    unresolved: BatchRecord | None = None

    @classmethod
    def claim_for(
        cls, unresolved: BatchRecord | None, size: int, new_reference: Callable[[], str]
    ) -> BatchRecord:
        """
        Return the claim of a batch that is to leave.

        One that was in doubt keeps its claim: its reference, so that a repeat is recognised where the gateway can, and
        the moment of the first claim, from which the gateway counts how long it does. A disputed one gets another: the
        gateway knows its reference already, and would refuse it again and again.
        """
        resent = 0 if unresolved is None else unresolved.resent + 1
        if unresolved is not None and unresolved.reference and unresolved.phase is Phase.CLAIMED:
            return replace(unresolved.as_claimed, resent=resent)
        return BatchRecord(phase=Phase.CLAIMED, reference=new_reference(), size=size, resent=resent)

    def is_old(self, moment: datetime, age: timedelta = CLAIM_LASTS) -> bool:
        """Say whether the claim is so old that a later attempt would misjudge when the batch left."""
        claimed = self.claim.again_at or self.claim.at
        return claimed is not None and moment - datetime.fromisoformat(claimed) >= age

    def claim_now(self, moment: datetime) -> None:
        """Set when the batch is claimed, or claimed again."""
        at = moment.isoformat()
        self.claim = replace(self.claim, again_at=at) if self.claim.at else replace(self.claim, at=at)

    @property
    def not_sent(self) -> BatchRecord:
        """What to record when this attempt provably reached nobody; an earlier doubt stays."""
        return self.unresolved or replace(self.claim, phase=Phase.REFUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptResult:
    """
    How an attempt ended.

    :param record: what to record; None leaves the claim, in doubt.
    :param error: what to raise once every attempt has ended.
    :param unknown_because: why it is unknown whether the batch was accepted; None where that is known.
    """

    attempt: BatchAttempt
    record: BatchRecord | None = None
    error: BaseException | None = None
    unknown_because: str | None = None


@dataclass(frozen=True, kw_only=True)
class BatchSender:
    """
    Sends attempts, each in a thread of its own.

    :param transport: the hook.
    :param message: what the campaign says.
    :param now: the present, aware; injected by tests.
    """

    transport: BatchTransport
    message: Message
    now: Callable[[], datetime]

    def send(self, attempt: BatchAttempt) -> AttemptResult:
        """Send one batch; raises nothing that says what to record."""
        _sending.attempt, _sending.now = attempt, self.now
        try:
            return self._send(attempt)
        finally:
            _sending.attempt = None

    def _send(self, attempt: BatchAttempt) -> AttemptResult:
        try:
            receipt = self.transport.deliver(
                attempt.request, self.message, attempt.recipients, slot=attempt.slot
            )
        except (NotSentError, ConfigurationError, CampaignInterruptedError) as error:
            # Interrupted: in a wait before the request left, or between two tries of which the first was refused.
            if getattr(error, "kind", None) is ErrorKind.DUPLICATE:
                return self._judge_duplicate(attempt, error)
            return AttemptResult(attempt=attempt, record=attempt.not_sent, error=error)
        except SendOutcomeUnknownError as error:
            return AttemptResult(attempt=attempt, unknown_because=str(error))
        evidence = Evidence.SENT_AGAIN if attempt.unresolved else None
        at = self.now().isoformat()
        return AttemptResult(
            attempt=attempt, record=BatchRecord.of_receipt(receipt, attempt.claim, at=at, evidence=evidence)
        )

    def _judge_duplicate(self, attempt: BatchAttempt, error: Exception) -> AttemptResult:
        """
        Judge a refusal as a duplicate.

        For an id that was sent before, it proves that the batch was accepted then. For one that was made for this very
        attempt, it proves nothing: somebody else's id, or a misreading.
        """
        unresolved = attempt.unresolved
        if unresolved is not None and unresolved.reference and unresolved.phase is Phase.CLAIMED:
            proven = replace(
                attempt.claim,
                phase=Phase.SENT,
                accepted=attempt.claim.size,
                tag=self.transport.tag_of(self.message, attempt.claim.reference),
                at=self.now().isoformat(),
                again_at=None,
                evidence=Evidence.REPEAT_REFUSED,
            )
            return AttemptResult(attempt=attempt, record=proven)
        why = f"the gateway refused it as a duplicate, although its id is new: {error}"
        log.error("Batch %d (reference %s): %s", attempt.index + 1, attempt.claim.reference, why)
        # A repeat would be answered likewise and prove nothing; the record keeps later attempts from believing it.
        return AttemptResult(
            attempt=attempt, record=replace(attempt.claim, phase=Phase.DISPUTED), unknown_because=why
        )
