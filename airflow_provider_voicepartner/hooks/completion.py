"""
What became of a campaign, for whoever waits: ask the gateway where it can be asked, and look into the store.

The sensor, the operators that wait and the trigger all wait through this, so that all mean the same by "complete".
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from math import inf
from random import randrange
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_voicepartner.constants import (
    FEW_RECIPIENTS,
    LAST_POLL_WITHIN,
    MOST_UNANSWERED_POLLS,
    WORKER_POLL_SLOT_WAIT,
)
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.delivery.completion import AwaitedBatch, Progress
from airflow_provider_voicepartner.delivery.inbound import CampaignKey, Completion, InboundRecord
from airflow_provider_voicepartner.delivery.store import FROM_NOW, DeliveryStore, KnownCampaign
from airflow_provider_voicepartner.exceptions import (
    DeliveryFailedError,
    DeliveryUnconfirmedError,
    RejectedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
    WaitGivenUpError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.hooks.completion_options import (
    UNCONFIRMED_AFTER,
    CompletionOptions,
    check_options,
    check_that_anybody_tells,
)
from airflow_provider_voicepartner.hooks.polling import (
    PollRequest,
    PollResult,
    Rounds,
    ask_at_once,
    is_enough_for_a_write,
)
from airflow_provider_voicepartner.hooks.rate_limiter import limit_polling
from airflow_provider_voicepartner.hooks.registry import (
    can_report,
    hook_class,
    hook_for,
    reports_by_account,
    reports_by_batch,
)
from airflow_provider_voicepartner.hooks.storage import write_delivery_reports
from airflow_provider_voicepartner.sending.report import CampaignReport, SentBatch, read_batches
from airflow_provider_voicepartner.settings import WAITING, open_configured_store

if TYPE_CHECKING:
    from airflow_provider_voicepartner.db.transactions import Store
    from airflow_provider_voicepartner.gateways.model import DeliveryReport
    from airflow_provider_voicepartner.hooks.base import GatewayHook
    from airflow_provider_voicepartner.hooks.rate_limiter import StoreRateLimiter

log = logging.getLogger(__name__)

NOT_FOUND: Final = "not_found"
"""Detail of a report that is none: the gateway does not know this person under this message."""


class CompletionCheck:
    """
    Waits for one campaign. Used by one thread at a time.

    :param report: of the campaign.
    :param options: of whoever waits.
    :param hook: one that others use too, where there is one (triggers).
    :param now: Unix seconds, injected by tests; None is the hook's clock.
    :param start: picks which of so many questions is the first of all, from 0; injected by tests.
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
        self.last_asked: int | None = None
        """The place of the last batch that was asked about."""
        self._owns_hook = hook is None
        if hook is not None:
            self.hook = hook
        self._rate_limiter: StoreRateLimiter | None = None
        self._asked_at: dict[int, float] = {}
        self._over_since: dict[int, float] = {}
        self._kept: dict[int, int] = {}
        self._left: dict[int, tuple[str, ...]] = {}
        """
        By place: when the batch was asked about, once silence counts, and the answer was stored; since when nobody
        tells more; what was told; and who is left.
        """

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
        """Where reports are kept."""
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

    @property
    def report_to_hand_over(self) -> CampaignReport:
        """The report for another process, with the batches where that may not reach a file of this machine's."""
        try:
            if self.report.stored and not self._opened.is_postgres:
                return replace(self.report, batches=self.sent, stored=())
        except StoreUnavailableError as error:
            log.warning("The batches of the campaign could not be read now: %s", error)
        return self.report

    @cached_property
    def batches(self) -> tuple[AwaitedBatch, ...]:
        """What is waited for."""
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
        """Under which names reports about the campaign are kept."""
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
        """From when on whoever is left is unconfirmed, in Unix seconds."""
        after = self.options.unconfirmed_after
        return self.since + (UNCONFIRMED_AFTER[self.report.kind] if after is None else after)

    @cached_property
    def asks(self) -> bool:
        """True where the gateway can be asked."""
        return hook_class(self.report.gateway).polls_delivery

    def now(self) -> float:
        """Return the present in Unix seconds."""
        return self._now() if self._now is not None else self.hook.sender.now().timestamp()

    def check(self) -> None:
        """
        Make sure that anybody can ever tell what became of the campaign.

        :raises ConfigurationError: the connection is of another gateway, or something else is at ``report_path``.
        :raises DeliveryUnconfirmedError: the gateway only calls a URL, and there is none.
        """
        self.report.check_gateway(self.hook.conn_type)
        check_that_anybody_tells(type(self.hook))
        check_options(self.options)

    def look(self) -> Progress:
        """
        Ask the gateway once, where it can be asked, and say how far the campaign is.

        A scheduled campaign is not asked about before its time. A gateway that cannot be reached, or does not know the
        campaign yet, leaves its recipients pending.

        :raises RejectedError: the gateway refuses to tell.
        :raises StoreUnavailableError: the store cannot be used.
        """
        self.ask()
        as_of = self.now()
        return self.progress(self.known(), as_of)

    def known(self) -> Mapping[CampaignKey, KnownCampaign]:
        """Return what the store knows of it."""
        return self.store.changes(since=FROM_NOW, also=self.keys).campaigns

    def progress(self, known: Mapping[CampaignKey, KnownCampaign], as_of: float) -> Progress:
        """
        Decide from what is known how far it is.

        :param known: of its keys, from the store.
        :param as_of: when that was read, in Unix seconds. Silence up to then may be final, and no later silence.
        """
        over = {place for place in range(len(self.batches)) if self._is_over(place, as_of)}
        return Progress.of_batches(self.batches, known, over=over)

    def _is_over(self, place: int, as_of: float) -> bool:
        """Say whether nobody will tell more of a batch than was known at a moment."""
        if place in self._nameless or self._over_since.get(place, inf) <= as_of:
            return True
        if as_of < self.unconfirmed_at:
            return False
        if not self.asks or as_of >= self.unconfirmed_at + LAST_POLL_WITHIN:
            return True
        return self.unconfirmed_at <= self._asked_at.get(place, -inf) <= as_of

    @cached_property
    def _nameless(self) -> frozenset[int]:
        """Batches that neither a question nor a call can name: Octopush's, when the answer with the id was lost."""
        if self.asks or reports_by_batch(self.report.gateway):
            return frozenset()
        return frozenset(place for place, batch in enumerate(self.batches) if batch.gateway_id is None)

    def ask(self) -> None:
        """
        Ask the gateway about every batch that is not complete, and keep what it tells in the store.

        :raises RejectedError: the gateway refuses to tell.
        :raises StoreUnavailableError: the store cannot be used.
        """
        questions = self.questions(self.known()) if self.asks else []
        if questions and self._rate_limiter is None and self._owns_hook:
            self._rate_limiter = limit_polling(self.hook, self._opened, longest_wait=WORKER_POLL_SLOT_WAIT)
            # The next look asks again.
            self.hook.sender.retry = replace(self.hook.sender.retry, attempts=1)
        rounds, answers, refused = Rounds(questions), list[PollResult](), None
        while refused is None and (asked := rounds.next()):
            self.last_asked = asked[-1].place
            found = ask_at_once(self.answer, asked)
            answered = [one for one in found if isinstance(one, PollResult)]
            answers += answered
            refused = next((one for one in found if isinstance(one, BaseException)), None)
            rounds.take(len(answered))
            if is_enough_for_a_write(answers):
                self._keep(answers)
                answers = []
        self._keep(answers)
        if refused is not None:
            raise refused

    def _keep(self, answers: Sequence[PollResult]) -> None:
        """Write what several answers tell in one transaction, and take note of them."""
        if arrivals := [arrival for answer in answers for arrival in self.arrivals(answer)]:
            self.store.write(arrivals)
        for answer in answers:
            self.take(answer)

    def questions(self, known: Mapping[CampaignKey, KnownCampaign]) -> list[PollRequest]:
        """
        Return what is to be asked now: about every batch that is not complete, once its time has come.

        A look may be over before all of them were asked, for want of answers or of slots at the rate limit. So each
        look begins behind the last one that was asked, and the first look, which may be the only one of its process,
        anywhere: else the same batches would be left out each time.
        """
        age = self.now() - self.since
        if age < 0:
            return []
        open_questions = [
            PollRequest(
                place=place,
                sent=sent,
                people=self._left.get(place, ()),
                tolerates_not_found=age < self.options.not_found_grace,
            )
            for place, (sent, batch) in enumerate(zip(self.sent, self.batches, strict=True))
            if place not in self._over_since and not batch.is_complete(known)
        ]
        if self.last_asked is not None:
            last = self.last_asked
            first = next((at for at, question in enumerate(open_questions) if question.place > last), 0)
        else:
            first = self._start(len(open_questions)) if len(open_questions) > MOST_UNANSWERED_POLLS else 0
        return open_questions[first:] + open_questions[:first]

    def answer(
        self, question: PollRequest, poll: Callable[[], Sequence[DeliveryReport]] | None = None
    ) -> PollResult | None:
        """
        Ask one question.

        :param poll: what brings the reports; None asks the hook about the whole batch.
        :returns: None when the gateway cannot be asked now.
        :raises RejectedError: the gateway refuses to tell.
        """
        asked_at = self.now()
        if question.name is None:
            return PollResult(question=question, is_last=True, asked_at=asked_at)
        try:
            told = _about(question, poll() if poll else self._poll(question.sent))
            return PollResult(question=question, told=told, asked_at=asked_at)
        except RetryableNotSentError as error:
            log.warning("Could not ask now, will ask again: %s", error)
            return None
        except SendOutcomeUnknownError:
            # The hook's word for an answer that cannot be read. This was a question, so it may be asked again.
            log.warning("The answer about %s cannot be read, will ask again", question.name)
            return None
        except RejectedError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                raise
            if question.tolerates_not_found:
                log.info("The gateway does not know %s yet", question.name)
                return PollResult(question=question, asked_at=asked_at)
            if question.sent.state == "assumed_sent":
                log.warning("The gateway does not know %s, which was only assumed sent", question.name)
                return PollResult(question=question, is_last=True, asked_at=asked_at)
            raise

    def _poll(self, sent: SentBatch) -> Sequence[DeliveryReport]:
        if sent.gateway_id is not None:
            return self.hook.poll_delivery(sent.gateway_id)
        return self.hook.poll_by_tag(sent.tag or "")

    def arrivals(self, answer: PollResult) -> list[InboundRecord]:
        """Return what an answer is to leave in the store: nothing, where it tells no more than the last one."""
        keys = self.batches[answer.question.place].keys
        if not keys or self._kept.get(answer.question.place) == _digest(answer.told):
            return []
        # Where the gateway's calls go, or who is polled and called back about would count twice.
        key = keys[-1] if reports_by_account(self.report.gateway) else keys[0]
        now = time.time()
        return [
            InboundRecord(key=key, event=report, received_at=now)
            for report in answer.told
            if report.detail != NOT_FOUND
        ]

    def take(self, answer: PollResult) -> None:
        """Take note of an answer whose reports are in the store now."""
        place, told, now = answer.question.place, answer.told, self.now()
        if answer.asked_at is None or answer.asked_at >= self.unconfirmed_at:
            self._asked_at[place] = now
        self._kept[place] = _digest(told)
        left = tuple(report.phone_number for report in told if not report.status.is_terminal)
        is_odd = any(report.detail == NOT_FOUND for report in told)
        self._left.pop(place, None)
        if answer.is_last:
            if answer.question.sent.tag is not None or not can_report(self.report.gateway):
                self._over_since[place] = now
        elif answer.question.people:
            if left and not is_odd:
                self._left[place] = left
        elif (
            left and not is_odd and len(told) >= self.batches[place].accepted and len(left) <= FEW_RECIPIENTS
        ):
            self._left[place] = left
        elif told and not left and now - self.since >= self.options.unlisted_grace:
            # SMS Partner leaves out people on its STOP list without a word, and never lists them.
            self._over_since[place] = now

    def is_hopeless(self, progress: Progress) -> bool:
        """Say whether waiting on makes no sense, because the demanded rate can no longer be reached."""
        rate = self.options.min_delivery_rate
        return self.options.fail_fast and rate is not None and progress.best_possible_rate < rate

    def judge(self, progress: Progress) -> dict[str, Any] | None:
        """
        Say what it all comes to.

        :returns: the counts by status with ``expected`` and ``delivery_rate``; None while it is not complete.
        :raises DeliveryFailedError: fewer got it than ``min_delivery_rate`` demands.
        :raises DeliveryUnconfirmedError: somebody is unconfirmed, and ``on_unconfirmed`` is ``fail``.
        """
        rate = self.options.min_delivery_rate
        if not progress.is_complete:
            if rate is not None and self.is_hopeless(progress):
                self._fail(progress, rate)
            return None
        self._write_file()
        self._tell_everybody(progress)
        if rate is not None and progress.delivery_rate < rate:
            self._fail(progress, rate)
        if progress.unconfirmed and self.options.on_unconfirmed == "fail":
            raise DeliveryUnconfirmedError(
                f"on_unconfirmed: nobody told what became of {progress.unconfirmed} recipients: {progress}; use "
                "on_unconfirmed='succeed' where that is good enough"
            )
        return progress.to_json()

    def judge_event(self, event: Any) -> dict[str, Any]:
        """
        Say what an event of :class:`~airflow_provider_voicepartner.triggers.campaign.CampaignCompletionTrigger` means.

        :returns: as :meth:`judge` does.
        :raises RejectedError: the gateway refused to tell.
        :raises WaitGivenUpError: the wait had to be given up, or it is no event of that trigger.
        """
        status = event.get("status") if isinstance(event, Mapping) else None
        if status in ("complete", "hopeless"):
            progress = read_progress(event)
            log.info("Campaign: %s", progress)  # as a sensor that looks by itself tells it
            if self.asks and self.options.report_path and progress.is_complete:
                self.ask()  # The triggerer's store may be another machine's file.
            result = self.judge(progress)
            if result is not None:
                return result
        elif status == "rejected":
            said = event.get("message") or "the gateway refuses to tell what became of the campaign"
            raise RejectedError(str(said), code=event.get("code"), kind=_read_kind(event.get("kind")))
        elif status == "error":
            raise WaitGivenUpError(
                f"the wait was given up: {event.get('message') or 'the trigger says no more'}"
            )
        raise WaitGivenUpError(f"unexpected trigger event with status {status!r}")

    @staticmethod
    def _fail(progress: Progress, rate: float) -> None:
        raise DeliveryFailedError(
            f"min_delivery_rate: {rate:.2%} demanded, {progress.delivery_rate:.2%} reached: {progress}"
        )

    def _write_file(self) -> None:
        if self.options.report_path:
            # One without a number says that a whole batch was cancelled.
            people = [report for report in self.store.reports(self.keys) if report.phone_number]
            write_delivery_reports(self.options.report_path, people)

    def _tell_everybody(self, progress: Progress) -> None:
        """Leave an event for whoever waits for the end of campaigns. What it is about has been decided without it."""
        counts = {status.value: count for status, count in progress.counts.items()}
        try:
            self.store.write(
                [Completion(key=self.keys[0], at=time.time(), counts=counts)] if self.keys else []
            )
        except StoreUnavailableError as error:
            log.warning("That the campaign is complete could not be noted: %s", error)

    def close(self) -> None:
        """Close what was opened here."""
        if self._owns_hook and "hook" in self.__dict__:
            self.hook.close()
        if "_opened" in self.__dict__:
            self._opened.close()


def _about(question: PollRequest, told: Sequence[DeliveryReport]) -> Sequence[DeliveryReport]:
    """Return the reports without those that name another message: others' fates must not count for these people."""
    asked = question.sent.gateway_id
    mine = [report for report in told if None in (asked, report.campaign_id) or report.campaign_id == asked]
    if others := len(told) - len(mine):
        log.warning("The answer about %s has %d reports about another message, left out", asked, others)
    return mine


def _digest(told: Sequence[DeliveryReport]) -> int:
    """Return a number that tells two answers apart."""
    return hash(tuple((one.phone_number, one.gateway_status, one.detail, one.at, one.cost) for one in told))


def read_progress(event: Mapping[str, Any]) -> Progress:
    """
    Read how far a campaign is from an event.

    :raises WaitGivenUpError: it does not say.
    """
    try:
        return Progress.from_json(event.get("progress"))
    except ValueError as error:
        raise WaitGivenUpError(f"unexpected trigger event: {error}") from error


def _read_kind(value: Any) -> ErrorKind:
    return next((kind for kind in ErrorKind if kind.value == value), ErrorKind.REJECTED)
