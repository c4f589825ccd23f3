"""
Polls a gateway for all campaigns that wait in one event loop, as in a triggerer: few threads, few requests.

An account has one hook, however many wait, and keeps to its rate limit. Campaigns with few recipients left share
requests. Reports go to the store in groups, and every waiting campaign reads them there.
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
from airflow_provider_voicepartner.hooks.polling import (
    CampaignPoller,
    PollRequest,
    PollResult,
    Rounds,
    is_enough_for_a_write,
)
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
    """Return the threads in which gateways are polled: a few for all triggers of the process."""
    return ThreadPoolExecutor(POLL_THREADS, thread_name_prefix="voicepartner-polls")


async def _in_a_thread(work: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(_pool(), work, *arguments)


class _RefusedTogetherError(Exception):
    """The gateway refused several poll requests in one HTTP request; which one it minds is not known."""


@dataclass(slots=True)
class _Group:
    """Poll requests about a few recipients each, which are to share one HTTP request."""

    requests: list[PollRequest] = field(default_factory=list)
    recipients: int = 0
    reports: asyncio.Future[Mapping[int, Reports]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    timer: asyncio.TimerHandle | None = None


class GatewayPoller:
    """
    Polls one account. Belongs to one event loop.

    :param hook: the account's.
    """

    def __init__(self, hook: GatewayHook) -> None:
        self.hook = hook
        # A failed request is repeated in the next round: it must not hold a thread that others need.
        hook.sender.retry = replace(hook.sender.retry, attempts=1)
        self.writer = GroupWriter(partial(open_configured_store, WAITING))
        self._rate_limiter: StoreRateLimiter | None = None
        self._preparing = asyncio.Lock()
        self._group = _Group()

    async def poll(
        self, campaign: CampaignPoller, known: Mapping[CampaignKey, KnownCampaign], *, batching_delay: float
    ) -> None:
        """
        Poll every batch of a campaign that is not complete. All reports are in the store when this returns.

        :param campaign: made with this poller's hook.
        :param known: of the campaign.
        :param batching_delay: seconds that a request about few recipients may wait for others.
        :raises RejectedError: the gateway refuses to answer.
        :raises StoreUnavailableError: no slot can be acquired.
        :raises NotStoredError: the reports could not be stored.
        """
        await self._prepare()
        rounds = Rounds(campaign.poll_requests(known), share=self._share)
        results, refused = list[PollResult](), None
        while refused is None and (asked := rounds.next()):
            campaign.last_polled = asked[-1].place
            found = await asyncio.gather(
                *(self._run(campaign, request, batching_delay) for request in asked), return_exceptions=True
            )
            answered = [one for one in found if isinstance(one, PollResult)]
            results += answered
            refused = next((one for one in found if isinstance(one, BaseException)), None)
            rounds.note(len(answered))
            if is_enough_for_a_write(results):
                await self._store_results(campaign, results)
                results = []
        await self._store_results(campaign, results)
        if refused is not None:
            raise refused

    async def _store_results(self, campaign: CampaignPoller, results: Sequence[PollResult]) -> None:
        """Write the reports of several results in one transaction, and note the results."""
        if records := [record for result in results for record in campaign.records(result)]:
            await self.writer.write(records)
        for result in results:
            campaign.note(result)

    def _share(self, request: PollRequest) -> float:
        """Return which part of an HTTP request a poll request takes."""
        most = self.hook.most_recipients_a_poll
        return len(request.phone_numbers) / most if request.phone_numbers and most else 1.0

    async def close(self) -> None:
        """Close what was opened; requests that still wait get no answer."""
        await _in_a_thread(self._close)

    def _close(self) -> None:
        self.writer.close()
        if self._rate_limiter is not None:
            self._rate_limiter.close()
        self.hook.close()

    async def _prepare(self) -> None:
        if self._rate_limiter is None:
            async with self._preparing:
                if self._rate_limiter is None:
                    self._rate_limiter = await _in_a_thread(self._limit)

    def _limit(self) -> StoreRateLimiter:
        return limit_polling(self.hook, open_configured_store(WAITING), longest_wait=POLL_SLOT_WAIT)

    async def _run(
        self, campaign: CampaignPoller, request: PollRequest, batching_delay: float
    ) -> PollResult | None:
        if request.phone_numbers and self.hook.most_recipients_a_poll:
            try:
                return await self._run_in_a_group(campaign, request, batching_delay)
            except _RefusedTogetherError:
                # One request that the gateway refuses must not end the wait of all that shared it.
                request = replace(request, phone_numbers=())
        found: PollResult | None = await _in_a_thread(campaign.run, request)
        return found

    async def _run_in_a_group(
        self, campaign: CampaignPoller, request: PollRequest, batching_delay: float
    ) -> PollResult | None:
        group, place = self._join(request, batching_delay)
        await asyncio.wait([group.reports])
        error = group.reports.exception()
        if error is not None and not isinstance(error, RetryableNotSentError | SendOutcomeUnknownError):
            raise _RefusedTogetherError
        return campaign.run(request, lambda: group.reports.result()[place])

    def _join(self, request: PollRequest, batching_delay: float) -> tuple[_Group, int]:
        """Add a poll request to the next HTTP request, which leaves when it is full or has waited long enough."""
        if self._group.recipients + len(request.phone_numbers) > self.hook.most_recipients_a_poll:
            self._send(self._group)
        group = self._group
        group.requests.append(request)
        group.recipients += len(request.phone_numbers)
        if group.recipients == self.hook.most_recipients_a_poll:
            self._send(group)
        elif group.timer is None:
            group.timer = asyncio.get_running_loop().call_later(batching_delay, self._send, group)
        return group, len(group.requests) - 1

    def _send(self, group: _Group) -> None:
        if group.timer is not None:
            group.timer.cancel()
        if group is self._group:
            self._group = _Group()
        polling = asyncio.get_running_loop().run_in_executor(_pool(), self._poll, group.requests)
        polling.add_done_callback(lambda done: _settle(group.reports, done))

    def _poll(self, requests: Sequence[PollRequest]) -> dict[int, Reports]:
        """Poll the recipients of several requests at once, and sort the reports by request."""
        places = {
            (request.sent.gateway_id, number): place
            for place, request in enumerate(requests)
            for number in request.phone_numbers
        }
        found: dict[int, list[DeliveryReport]] = {place: [] for place in range(len(requests))}
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
        reports.exception()  # nobody may wait for it any more; that is no reason for a warning


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
    Share a poller among all that poll the same account at the same time, within a block.

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
