"""
Asks a gateway about all the campaigns that wait in one event loop, as in a triggerer: few threads, few requests.

An account has one hook, whoever waits, and keeps to its rate limit. Campaigns of which few people are left are asked
about together. What is told goes to the store in groups, from where all learn it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from airflow_provider_voicepartner.constants import POLL_SLOT_WAIT, POLL_THREADS
from airflow_provider_voicepartner.delivery.group_commit import GroupWriter
from airflow_provider_voicepartner.exceptions import RetryableNotSentError, SendOutcomeUnknownError
from airflow_provider_voicepartner.hooks.completion import CompletionCheck
from airflow_provider_voicepartner.hooks.polling import PollRequest, PollResult, Rounds, is_enough_for_a_write
from airflow_provider_voicepartner.hooks.rate_limiter import StoreRateLimiter, limit_polling
from airflow_provider_voicepartner.settings import WAITING, open_configured_store

if TYPE_CHECKING:
    from airflow_provider_voicepartner.delivery.inbound import CampaignKey
    from airflow_provider_voicepartner.delivery.store import KnownCampaign
    from airflow_provider_voicepartner.gateways.model import DeliveryReport
    from airflow_provider_voicepartner.hooks.base import GatewayHook

    Reports = Sequence[DeliveryReport]


@cache
def _pool() -> ThreadPoolExecutor:
    """Return the threads in which gateways are asked: a few for all triggers of the process."""
    return ThreadPoolExecutor(POLL_THREADS, thread_name_prefix="voicepartner-asks")


async def _in_a_thread(work: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(_pool(), work, *arguments)


class _RefusedTogetherError(Exception):
    """The gateway minds one of several questions; which one is not known."""


@dataclass(slots=True)
class _Group:
    """Questions about a few people each, on their way into one request."""

    questions: list[PollRequest] = field(default_factory=list)
    people: int = 0
    reports: asyncio.Future[Mapping[int, Reports]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    timer: asyncio.TimerHandle | None = None


class GatewayPoller:
    """
    Asks one account. Belongs to one event loop.

    :param hook: the account's.
    """

    def __init__(self, hook: GatewayHook) -> None:
        self.hook = hook
        # A failed request is asked again with the next round: nobody is to wait for it in a thread that others need.
        hook.sender.retry = replace(hook.sender.retry, attempts=1)
        self._writer = GroupWriter(partial(open_configured_store, WAITING))
        self._rate_limiter: StoreRateLimiter | None = None
        self._preparing = asyncio.Lock()
        self._group = _Group()

    async def ask(
        self, watch: CompletionCheck, known: Mapping[CampaignKey, KnownCampaign], *, batching_delay: float
    ) -> None:
        """
        Ask about every batch of a campaign that is not complete. What is told is in the store when this returns.

        :param watch: made with this poller's hook.
        :param known: of the campaign.
        :param batching_delay: seconds that a question about few people may wait for others.
        :raises RejectedError: the gateway refuses to tell.
        :raises StoreUnavailableError: slots cannot be taken.
        :raises NotStoredError: what was told could not be kept.
        """
        await self._prepare()
        rounds = Rounds(watch.questions(known), share=self._share)
        answers, refused = list[PollResult](), None
        while refused is None and (asked := rounds.next()):
            watch.last_asked = asked[-1].place
            found = await asyncio.gather(
                *(self._answer(watch, question, batching_delay) for question in asked), return_exceptions=True
            )
            answered = [one for one in found if isinstance(one, PollResult)]
            answers += answered
            refused = next((one for one in found if isinstance(one, BaseException)), None)
            rounds.take(len(answered))
            if is_enough_for_a_write(answers):
                await self._keep(watch, answers)
                answers = []
        await self._keep(watch, answers)
        if refused is not None:
            raise refused

    async def _keep(self, watch: CompletionCheck, answers: Sequence[PollResult]) -> None:
        """Write what several answers tell in one transaction, and take note of them."""
        if arrivals := [arrival for answer in answers for arrival in watch.arrivals(answer)]:
            await self._writer.write(arrivals)
        for answer in answers:
            watch.take(answer)

    def _share(self, question: PollRequest) -> float:
        """Return which part of a request a question takes."""
        most = self.hook.most_recipients_a_poll
        return len(question.people) / most if question.people and most else 1.0

    async def close(self) -> None:
        """Close what was opened; whoever still waits is not answered."""
        await _in_a_thread(self._close)

    def _close(self) -> None:
        self._writer.close()
        if self._rate_limiter is not None:
            self._rate_limiter.close()
        self.hook.close()

    async def _prepare(self) -> None:
        if self._rate_limiter is None:
            async with self._preparing:
                if self._rate_limiter is None:
                    self._rate_limiter = await _in_a_thread(self._pace)

    def _pace(self) -> StoreRateLimiter:
        return limit_polling(self.hook, open_configured_store(WAITING), longest_wait=POLL_SLOT_WAIT)

    async def _answer(
        self, watch: CompletionCheck, question: PollRequest, batching_delay: float
    ) -> PollResult | None:
        if question.people and self.hook.most_recipients_a_poll:
            try:
                return await self._answer_in_a_group(watch, question, batching_delay)
            except _RefusedTogetherError:
                # One that the gateway minds must not end the wait of all who were asked about with it.
                question = replace(question, people=())
        found: PollResult | None = await _in_a_thread(watch.answer, question)
        return found

    async def _answer_in_a_group(
        self, watch: CompletionCheck, question: PollRequest, batching_delay: float
    ) -> PollResult | None:
        group, place = self._join(question, batching_delay)
        await asyncio.wait([group.reports])
        error = group.reports.exception()
        if error is not None and not isinstance(error, RetryableNotSentError | SendOutcomeUnknownError):
            raise _RefusedTogetherError
        return watch.answer(question, lambda: group.reports.result()[place])

    def _join(self, question: PollRequest, batching_delay: float) -> tuple[_Group, int]:
        """Put a question into the next request, and let that leave when it is full or has waited for long enough."""
        if self._group.people + len(question.people) > self.hook.most_recipients_a_poll:
            self._leave(self._group)
        group = self._group
        group.questions.append(question)
        group.people += len(question.people)
        if group.people == self.hook.most_recipients_a_poll:
            self._leave(group)
        elif group.timer is None:
            group.timer = asyncio.get_running_loop().call_later(batching_delay, self._leave, group)
        return group, len(group.questions) - 1

    def _leave(self, group: _Group) -> None:
        if group.timer is not None:
            group.timer.cancel()
        if group is self._group:
            self._group = _Group()
        asking = asyncio.get_running_loop().run_in_executor(_pool(), self._poll, group.questions)
        asking.add_done_callback(lambda done: _settle(group.reports, done))

    def _poll(self, questions: Sequence[PollRequest]) -> dict[int, Reports]:
        """Ask about the people of several questions at once, and sort what is told by question."""
        places = {
            (question.sent.gateway_id, number): place
            for place, question in enumerate(questions)
            for number in question.people
        }
        found: dict[int, list[DeliveryReport]] = {place: [] for place in range(len(questions))}
        for report in self.hook.poll_recipients([(str(name), number) for name, number in places]):
            place = places.get((report.campaign_id, report.phone_number))
            if place is not None:
                found[place].append(report)
        return dict(found)


def _settle(reports: asyncio.Future[Mapping[int, Reports]], done: asyncio.Future[dict[int, Reports]]) -> None:
    if reports.done() or done.cancelled():
        return
    error = done.exception()
    if error is None:
        reports.set_result(done.result())
    else:
        reports.set_exception(error)
        reports.exception()  # everybody may have left meanwhile; that is no reason for a warning


@dataclass(slots=True)
class _Shared:
    poller: GatewayPoller
    users: int = 0


_pollers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Any, _Shared]] = WeakKeyDictionary()


def _account_of(hook: GatewayHook) -> bytes:
    """Return what is the same for hooks on the same account and settings, and shows neither."""
    connection = hook.connection
    fields = (
        hook.conn_id, connection.conn_type, connection.host, connection.login, connection.password, connection.extra
    )  # fmt: skip
    return hashlib.sha256(repr(fields).encode("utf-8", "surrogatepass")).digest()


@asynccontextmanager
async def shared_poller(hook: GatewayHook) -> AsyncIterator[GatewayPoller]:
    """
    Share a poller with all who ask the same account at the same time, within a block.

    :param hook: is used by all of them if this is the first; its connection has been looked up.
    """
    name = _account_of(hook)
    pollers = _pollers.setdefault(asyncio.get_running_loop(), {})
    shared = pollers.get(name)
    if shared is None:
        shared = pollers[name] = _Shared(GatewayPoller(hook))
    shared.users += 1
    try:
        yield shared.poller
    finally:
        shared.users -= 1
        if not shared.users:
            del pollers[name]
            await shared.poller.close()
