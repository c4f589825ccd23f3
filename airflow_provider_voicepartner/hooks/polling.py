"""
Polls the gateway about one campaign: one request at first, several at once while it answers, fewer when it does not.

Reports are written to the store, and count once they are there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, partial
from random import randrange
from typing import TYPE_CHECKING

from airflow_provider_voicepartner.constants import (
    FEW_RECIPIENTS,
    LONGEST_POLL_ROUND,
    MOST_UNANSWERED_POLLS,
    POLLS_AT_ONCE,
    REPORTS_A_WRITE,
    WORKER_POLL_SLOT_WAIT,
)
from airflow_provider_voicepartner.delivery.completion import AwaitedBatch
from airflow_provider_voicepartner.delivery.inbound import CampaignKey, InboundRecord
from airflow_provider_voicepartner.delivery.store import FROM_NOW, DeliveryStore, KnownCampaign
from airflow_provider_voicepartner.exceptions import (
    RejectedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.gateways.status import NOT_FOUND
from airflow_provider_voicepartner.hooks.completion_options import UNCONFIRMED_AFTER, CompletionOptions
from airflow_provider_voicepartner.hooks.rate_limiter import limit_polling
from airflow_provider_voicepartner.hooks.registry import can_report, hook_class, hook_for, reports_by_account
from airflow_provider_voicepartner.sending.batch import Job, WorkerPool
from airflow_provider_voicepartner.sending.report import CampaignReport, SentBatch, read_batches
from airflow_provider_voicepartner.settings import WAITING, open_configured_store

if TYPE_CHECKING:
    from airflow_provider_voicepartner.db.transactions import Store
    from airflow_provider_voicepartner.gateways.model import DeliveryReport
    from airflow_provider_voicepartner.hooks.base import GatewayHook
    from airflow_provider_voicepartner.hooks.rate_limiter import StoreRateLimiter

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PollRequest:
    """
    One request to a gateway: what became of a batch.

    :param place: of the batch in the campaign, from 0.
    :param phone_numbers: the few recipients without a final status; empty asks about the whole batch.
    :param tolerates_not_found: the batch is so young that the gateway need not know it.
    """

    place: int
    sent: SentBatch
    phone_numbers: tuple[str, ...] = field(default=(), repr=False)
    tolerates_not_found: bool = False

    @property
    def name(self) -> str | None:
        """What the gateway knows the batch by."""
        return self.sent.gateway_id or self.sent.tag


@dataclass(frozen=True, slots=True, kw_only=True)
class PollResult:
    """
    What a gateway reported.

    :param request: what it was asked.
    :param reports: may be empty.
    :param is_last: it will never report more.
    :param polled_at: when it was asked, in Unix seconds; None is now.
    """

    request: PollRequest
    reports: Sequence[DeliveryReport] = ()
    is_last: bool = False
    polled_at: float | None = None


class Rounds:
    """
    Divides the requests of one check into rounds. The requests of a round are sent at the same time.

    The first round is one request. Each round that is answered in full doubles the next one, up to ``POLLS_AT_ONCE``. A
    round that is answered in part shrinks the next one to that part: the rate limit lets no more through. After
    ``MOST_UNANSWERED_POLLS`` requests in a row without any answer there are no more rounds.

    :param requests: in the order in which they are sent.
    :param share: of one HTTP request that a poll request takes, up to 1: those about few recipients share one.
    """

    def __init__(
        self,
        requests: Sequence[PollRequest],
        *,
        share: Callable[[PollRequest], float] = lambda request: 1.0,
    ) -> None:
        self._requests = requests
        self._share = share
        self._begin = self._end = 0
        self._width = 1
        self._unanswered = 0.0

    def next(self) -> Sequence[PollRequest]:
        """Return the requests of the next round; none when the check is over."""
        self._begin = self._end
        if self._unanswered >= MOST_UNANSWERED_POLLS:
            return ()
        size = 0.0
        for request in self._requests[self._begin :]:
            size += self._share(request)
            if size > self._width and self._end > self._begin:
                break
            self._end += 1
        return self._requests[self._begin : self._end]

    def note(self, answered: int) -> None:
        """Take note of how many requests of the round were answered."""
        asked = self._end - self._begin
        if not answered:
            self._unanswered += max(1, self._width)
            self._width = 1
            return
        self._unanswered = 0
        if answered == asked:
            self._width = min(self._width * 2, POLLS_AT_ONCE)
        else:
            self._width = max(1, self._width * answered // asked)


def is_enough_for_a_write(results: Sequence[PollResult]) -> bool:
    """Say whether answers hold so many reports that they are written before the check is over."""
    return sum(len(result.reports) for result in results) >= REPORTS_A_WRITE


def run_at_once(
    run: Callable[[PollRequest], PollResult | None], requests: Sequence[PollRequest]
) -> list[PollResult | BaseException]:
    """
    Run several requests, each in a thread of its own, and wait for all answers.

    :param run: runs one; called by several threads at once.
    :returns: results and errors, in the order of the requests; without those that could not be sent now.
    """
    if len(requests) == 1:
        try:
            found = run(requests[0])
        except Exception as error:
            return [error]
        return [] if found is None else [found]
    threads = WorkerPool()
    jobs = [Job(partial(run, request)) for request in requests]
    try:
        for job in jobs:
            threads.start(job)
        threads.wait_for_all(jobs, LONGEST_POLL_ROUND)
    finally:
        threads.close()
    results = [job.error or job.result for job in jobs if job.is_done]
    return [result for result in results if result is not None]


class CampaignPoller:
    """
    Polls the gateway about one campaign, and stores what it reports. Used by one thread at a time.

    :param report: of the campaign.
    :param options: of whoever waits.
    :param hook: one that others use too, where there is one (triggers).
    :param now: Unix seconds, injected by tests; None is the hook's clock.
    :param start: picks which of so many requests is the first of all, from 0; injected by tests.
    """

    def __init__(
        self,
        report: CampaignReport,
        options: CompletionOptions,
        *,
        hook: GatewayHook | None = None,
        now: Callable[[], float] | None = None,
        start: Callable[[int], int] = randrange,
    ) -> None:
        self.report = report
        self.options = options
        self._now = now
        self._start = start
        self.last_polled: int | None = None
        """The place of the last batch that was polled."""
        self._owns_hook = hook is None
        if hook is not None:
            self.hook = hook
        self._rate_limiter: StoreRateLimiter | None = None
        self.unfinished: dict[int, tuple[str, ...]] = {}
        """The recipients without a final status, by the place of their batch; only where they are few."""
        # By place: when the batch was polled after silence began to count, with its answer stored; since when no more
        # reports are expected; a digest of the last answer.
        self._polled_at: dict[int, float] = {}
        self._over_since: dict[int, float] = {}
        self._stored: dict[int, int] = {}

    @cached_property
    def hook(self) -> GatewayHook:
        """The gateway's hook, which keeps to the rate limit."""
        conn_id = self.options.conn_id or self.report.conn_id
        return hook_for(conn_id, kind=self.report.kind, who="CampaignCompletionSensor")

    @cached_property
    def _opened(self) -> Store:
        return open_configured_store(WAITING)

    @cached_property
    def store(self) -> DeliveryStore:
        """Where reports are stored."""
        return DeliveryStore(self._opened)

    @cached_property
    def sent(self) -> tuple[SentBatch, ...]:
        """
        The batches of the campaign, read from the store where the report does not list them.

        :raises ConfigurationError: they are in another store, or were purged.
        :raises StoreUnavailableError: the store cannot be used.
        """
        if not self.report.stored:
            return self.report.batches
        return read_batches(self._opened, self.report)

    @cached_property
    def batches(self) -> tuple[AwaitedBatch, ...]:
        """The batches as their completion is counted."""
        return tuple(
            AwaitedBatch(
                gateway=self.report.gateway,
                reference=batch.reference,
                gateway_id=batch.gateway_id,
                accepted=batch.accepted,
            )
            for batch in self.sent
        )

    @property
    def keys(self) -> tuple[CampaignKey, ...]:
        """The keys under which the store has reports about the campaign."""
        return tuple(key for batch in self.batches for key in batch.keys)

    @cached_property
    def since(self) -> float:
        """When reports may begin to come, in Unix seconds: when it was sent, or is to be sent."""
        moments = [
            datetime.fromisoformat(text) for text in (self.report.sent_at, self.report.scheduled_for) if text
        ]
        return max((moment.timestamp() for moment in moments), default=0.0)

    @property
    def unconfirmed_at(self) -> float:
        """The moment from which recipients without a report are unconfirmed, in Unix seconds."""
        after = self.options.unconfirmed_after
        return self.since + (UNCONFIRMED_AFTER[self.report.kind] if after is None else after)

    @cached_property
    def can_poll(self) -> bool:
        """True where the gateway can be polled."""
        return hook_class(self.report.gateway).polls_delivery

    def now(self) -> float:
        """Return the present in Unix seconds."""
        return self._now() if self._now is not None else self.hook.sender.now().timestamp()

    def known(self) -> Mapping[CampaignKey, KnownCampaign]:
        """Return what the store knows of the campaign."""
        return self.store.changes(since=FROM_NOW, also=self.keys).campaigns

    def poll(self) -> None:
        """
        Poll every batch that is not complete, and store what the gateway reports.

        :raises RejectedError: the gateway refuses to answer.
        :raises StoreUnavailableError: the store cannot be used.
        """
        requests = self.poll_requests(self.known()) if self.can_poll else []
        if requests and self._rate_limiter is None and self._owns_hook:
            self._rate_limiter = limit_polling(self.hook, self._opened, longest_wait=WORKER_POLL_SLOT_WAIT)
            # The next check polls again.
            self.hook.sender.retry = replace(self.hook.sender.retry, attempts=1)
        rounds, results, refused = Rounds(requests), list[PollResult](), None
        while refused is None and (asked := rounds.next()):
            self.last_polled = asked[-1].place
            found = run_at_once(self.run, asked)
            answered = [one for one in found if isinstance(one, PollResult)]
            results += answered
            refused = next((one for one in found if isinstance(one, BaseException)), None)
            rounds.note(len(answered))
            if is_enough_for_a_write(results):
                self._store_results(results)
                results = []
        self._store_results(results)
        if refused is not None:
            raise refused

    def _store_results(self, results: Sequence[PollResult]) -> None:
        """Write the reports of several results in one transaction, and note the results."""
        if records := [record for result in results for record in self.records(result)]:
            self.store.write(records)
        for result in results:
            self.note(result)

    def poll_requests(self, known: Mapping[CampaignKey, KnownCampaign]) -> list[PollRequest]:
        """
        Return what to poll now: every batch that is not complete, once its time has come.

        A check may end before all of them were polled, for want of answers or of slots at the rate limit. So each check
        begins after the batch that was polled last. The first one, which may be the only one of its process, begins
        anywhere. Otherwise the same batches would be left out each time.
        """
        age = self.now() - self.since
        if age < 0:
            return []
        open_requests = [
            PollRequest(
                place=place,
                sent=sent,
                phone_numbers=self.unfinished.get(place, ()),
                tolerates_not_found=age < self.options.not_found_grace,
            )
            for place, (sent, batch) in enumerate(zip(self.sent, self.batches, strict=True))
            if place not in self._over_since and not batch.is_complete(known)
        ]
        if self.last_polled is not None:
            last = self.last_polled
            first = next((at for at, request in enumerate(open_requests) if request.place > last), 0)
        else:
            first = self._start(len(open_requests)) if len(open_requests) > MOST_UNANSWERED_POLLS else 0
        return open_requests[first:] + open_requests[:first]

    def run(
        self, request: PollRequest, fetch: Callable[[], Sequence[DeliveryReport]] | None = None
    ) -> PollResult | None:
        """
        Run one request.

        :param fetch: gets the reports; None asks the hook about the whole batch.
        :returns: None when the gateway cannot be polled now.
        :raises RejectedError: the gateway refuses to answer.
        """
        polled_at = self.now()
        if request.name is None:
            return PollResult(request=request, is_last=True, polled_at=polled_at)
        try:
            reports = _about(request, fetch() if fetch else self._fetch(request.sent))
            return PollResult(request=request, reports=reports, polled_at=polled_at)
        except RetryableNotSentError as error:
            log.warning("The gateway could not be polled, will try again: %s", error)
            return None
        except SendOutcomeUnknownError:
            # The hook's error for an answer that cannot be read. This was a read, so it may be repeated.
            log.warning("The gateway's answer about %s could not be read, will try again", request.name)
            return None
        except RejectedError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                raise
            if request.tolerates_not_found:
                log.info("The gateway does not know %s yet", request.name)
                return PollResult(request=request, polled_at=polled_at)
            if request.sent.state == "assumed_sent":
                log.warning("The gateway does not know %s, which was only assumed to be sent", request.name)
                return PollResult(request=request, is_last=True, polled_at=polled_at)
            raise

    def _fetch(self, sent: SentBatch) -> Sequence[DeliveryReport]:
        if sent.gateway_id is not None:
            return self.hook.poll_delivery(sent.gateway_id)
        return self.hook.poll_by_tag(sent.tag or "")

    def records(self, result: PollResult) -> list[InboundRecord]:
        """Return the records to store for a result; none where it says no more than the one before."""
        keys = self.batches[result.request.place].keys
        if not keys or self._stored.get(result.request.place) == _digest(result.reports):
            return []
        # The key under which callbacks are stored: a recipient who is polled and reported by a callback counts once.
        key = keys[-1] if reports_by_account(self.report.gateway) else keys[0]
        now = time.time()
        return [
            InboundRecord(key=key, event=report, received_at=now)
            for report in result.reports
            if report.detail != NOT_FOUND
        ]

    def note(self, result: PollResult) -> None:
        """Note a result whose reports are in the store now."""
        place, reports, now = result.request.place, result.reports, self.now()
        if result.polled_at is None or result.polled_at >= self.unconfirmed_at:
            self._polled_at[place] = now
        self._stored[place] = _digest(reports)
        left = tuple(report.phone_number for report in reports if not report.status.is_terminal)
        is_odd = any(report.detail == NOT_FOUND for report in reports)
        self.unfinished.pop(place, None)
        if result.is_last:
            if result.request.sent.tag is not None or not can_report(self.report.gateway):
                self._over_since[place] = now
        elif result.request.phone_numbers:
            if left and not is_odd:
                self.unfinished[place] = left
        elif (
            left
            and not is_odd
            and len(reports) >= self.batches[place].accepted
            and len(left) <= FEW_RECIPIENTS
        ):
            self.unfinished[place] = left
        elif reports and not left and now - self.since >= self.options.unlisted_grace:
            # SMS Partner leaves out recipients on its STOP list without a word, and never lists them.
            self._over_since[place] = now

    def close(self) -> None:
        """Close what was opened here."""
        if self._owns_hook and "hook" in self.__dict__:
            self.hook.close()
        if "_opened" in self.__dict__:
            self._opened.close()


def _about(request: PollRequest, reports: Sequence[DeliveryReport]) -> Sequence[DeliveryReport]:
    """Return the reports without those that name another message, whose recipients must not count here."""
    asked = request.sent.gateway_id
    own = [report for report in reports if None in (asked, report.campaign_id) or report.campaign_id == asked]
    if others := len(reports) - len(own):
        log.warning(
            "The answer about %s has %d reports about another message, which are ignored", asked, others
        )
    return own


def _digest(reports: Sequence[DeliveryReport]) -> int:
    """Return a number that tells two answers apart."""
    return hash(
        tuple((one.phone_number, one.gateway_status, one.detail, one.at, one.cost) for one in reports)
    )
